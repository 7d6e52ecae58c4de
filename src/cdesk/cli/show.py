"""How answers look: JSON for programs, tables that fit the terminal for people."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import msgspec


def parser(command: str, description: str, **more: Any) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"cdesk {command}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter, **more
    )


def json(value: Any) -> None:
    """One JSON document, indented when a person may be looking."""
    text = msgspec.json.encode(value)
    if sys.stdout.isatty():
        text = msgspec.json.format(text, indent=2)
    sys.stdout.buffer.write(text + b"\n")
    sys.stdout.flush()


def table(
    title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], *,
    right: Sequence[int] = (), whole: Sequence[int] = (), footer: Sequence[str] | None = None, note: str = "",
) -> None:  # fmt: skip
    """Columns in `right` are aligned right; they and those in `whole` are never folded. Other long texts are folded,
    never cut off silently."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    shown = Table(box=box.SIMPLE_HEAD, title=Text(title, "bold") if title else None, title_justify="left",
                  show_footer=footer is not None, pad_edge=False)  # fmt: skip
    for index, heading in enumerate(headings):
        shown.add_column(
            heading, justify="right" if index in right else "left", footer=Text(footer[index], "bold") if footer else "",
            no_wrap=index in right or index in whole, overflow="fold",
        )  # fmt: skip
    for row in rows:
        shown.add_row(*(Text(cell) for cell in row))
    console.print(shown)
    if note:
        console.print(Text(note, "dim"))


def records(names: Sequence[str], rows: Sequence[Sequence[str]], *, note: str = "") -> None:
    """One value a line, for rows too wide for the terminal."""
    from rich.console import Console
    from rich.rule import Rule
    from rich.table import Table
    from rich.text import Text

    console = Console()
    for count, row in enumerate(rows, 1):
        console.print(Rule(Text(str(count), "dim"), align="left", style="dim"))
        shown = Table.grid(padding=(0, 2))
        shown.add_column(style="bold", no_wrap=True)
        shown.add_column(overflow="fold")
        for name, value in zip(names, row, strict=True):
            shown.add_row(Text(name), Text(value))
        console.print(shown)
    if note:
        console.print(Text(note, "dim"))


FOLD_AT = 28


def answer(names: Sequence[str], rows: Sequence[Sequence[Any]], rows_max: int, note: str = "") -> None:
    """Rows of an answer, as a table or, where they are too wide, one value a line."""
    texts = [[cell(value) for value in row] for row in rows[:rows_max]]
    if len(rows) > rows_max:
        note = f"{note}\nOnly the first {rows_max:,} of {len(rows):,} rows are shown.".strip()
    if not rows:
        print(f"No rows.\n{note}".strip())
    elif _width(names, texts) > width():
        records(names, texts, note=note)
    else:
        right = [i for i in range(len(names)) if all(_is_number(row[i]) for row in rows)]
        table("", names, texts, right=right, note=note)


def cell(value: Any) -> str:
    """One value of an answer."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _width(names: Sequence[str], texts: Sequence[Sequence[str]]) -> int:
    """Characters a table needs when texts may be folded at FOLD_AT."""
    widest = [max(len(line) for line in (name, *(row[i] for row in texts))) for i, name in enumerate(names)]
    return sum(min(each, FOLD_AT) + 3 for each in widest)


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def short_number(value: float) -> str:
    """Three digits and a unit, for narrow terminals: 12.3M."""
    for unit in ("", "K", "M", "B"):
        if abs(value) < 999.5 or unit == "B":
            return f"{value:,.0f}{unit}" if not unit or abs(value) >= 99.95 else f"{value:,.1f}{unit}"
        value /= 1000
    return ""


def called() -> str:
    """How a person can call this command from here: by its name when it is on PATH, else by its path."""
    import shutil
    from pathlib import Path

    given = Path(sys.argv[0])
    if shutil.which("cdesk") or given.name != "cdesk":
        return "cdesk"
    whole = given.absolute()
    return str(whole.relative_to(Path.cwd())) if whole.is_relative_to(Path.cwd()) else str(whole)


def width() -> int:
    import shutil

    return shutil.get_terminal_size((80, 24)).columns


def dollars(value: float | None, unpriced: int = 0) -> str:
    if unpriced and not value:
        return "unpriced"
    return ("–" if value is None else f"${value:,.2f}") + ("+?" if unpriced else "")


def size(count: float) -> str:
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 1024:
            break
        count /= 1024
        if unit == "GB":
            break
    return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.1f} {unit}"


def age(seconds: float) -> str:
    for limit, divisor, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / divisor:,.0f} {unit}"
    return f"{seconds / 86_400:,.0f} days"
