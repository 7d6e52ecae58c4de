"""Writes docs/activities.md from the catalog. `--check` only says whether it is current."""

from __future__ import annotations

import sys
from pathlib import Path

from cdesk.activity.catalog import FAMILIES

PAGE = Path(__file__).resolve().parent.parent / "docs" / "activities.md"
INTRODUCTION = """# Activities

Made from `src/cdesk/activity/catalog` by `scripts/catalog_page.py`. Every row of an activity has all its keys in
`feature_json`; what is not known is null. Enumerations stay open. Privacy: public (safe anywhere), internal (about the
work), personal (about a person), content (what was said or written).
"""


def page() -> str:
    parts = [INTRODUCTION]
    for family in FAMILIES:
        parts.append(f"\n## {family.name}: `{family.view}`\n")
        for declared in family.activities:
            aliases = f" Formerly {', '.join(f'`{alias}`' for alias in declared.aliases)}." if declared.aliases else ""
            parts.append(f"\n### {declared.activity}\n{declared.meaning.capitalize()}.{aliases}\n")
            parts.append("\n| feature | type | unit | privacy | meaning |\n|---|---|---|---|---|\n")
            for f in declared.features:
                required = " (required)" if f.required else ""
                parts.append(f"| `{f.name}` | {f.kind} | {f.unit} | {f.privacy} | {f.meaning}{required} |\n")
    return "".join(parts)


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(0 if PAGE.read_text() == page() else "docs/activities.md is out of date: run scripts/catalog_page.py")
    PAGE.write_text(page())
