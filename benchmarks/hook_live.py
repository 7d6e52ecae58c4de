"""What our hooks add to a tool call of the real Claude Code, beside no hooks and `/bin/true` hooks.

    CLAUDE_BIN=PATH/TO/claude python benchmarks/hook_live.py --rounds 3

Offline, with the lab beside this repository: one session makes many Read calls, and the gap between two model requests
is one call with its hooks (PostToolUse and PostToolBatch). Rounds are interleaved. On a busy machine compare p25.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import machine
from tests.journeys.cdesk import Cdesk
from tests.shared_data import SHARED

EVENTS = ("PostToolUse", "PostToolBatch")
TRUE = {"type": "command", "command": "/bin/true"}


def connected(cdesk: Cdesk, claude: Path, *options: str) -> dict[str, Any]:
    folder = cdesk.home.parent / "bin"
    folder.mkdir(exist_ok=True)
    if not (folder / "claude").exists():
        (folder / "claude").symlink_to(claude.resolve())
    done = cdesk.run("connect", "--yes", *options, PATH=f"{folder}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr.decode()
    return dict(json.loads((cdesk.claude_dir / "settings.json").read_text()))


def ways(folder: Path, claude: Path) -> tuple[dict[str, dict[str, Any]], list[Cdesk]]:
    """Settings by name; the services they need are running, or dead as their name says."""
    homes = []
    for name in ("running", "dead", "commands", "commands-served"):
        (folder / name / "claude" / "projects").mkdir(parents=True)
        homes.append(Cdesk(folder / name / "home", folder / name / "claude"))
    running, dead, commands, served = homes
    pids = [home.up()["pid"] for home in (running, dead, served)]
    found = {
        "no hooks": {},
        "/bin/true": {"hooks": {event: [{"hooks": [TRUE]}] for event in EVENTS}},
        "ours": connected(running, claude),
        "ours, service dead": connected(dead, claude),
        "ours, commands only, no service": connected(commands, claude, "--command-hooks"),
        "ours, commands only, served": connected(served, claude, "--command-hooks"),
    }
    os.kill(pids[1], signal.SIGKILL)
    return found, homes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    claude = Path(os.environ.get("CLAUDE_BIN", ""))
    if not claude.is_file():
        sys.exit("CLAUDE_BIN must name the Claude Code executable.")
    sys.path.insert(0, str(SHARED.parent / "lab"))
    import measure_hooks  # type: ignore[import-not-found]
    import run_session  # type: ignore[import-not-found]

    original = run_session.run_session

    def call_times(settings: dict[str, Any]) -> list[float]:
        def with_ours(*arguments: Any, **named: Any) -> Any:
            return original(*arguments, **{**named, "extra_settings": settings})

        measure_hooks.run_session = with_ours
        return list(measure_hooks.call_times(claude, given.calls, None, ()))

    with tempfile.TemporaryDirectory() as folder:
        settings, homes = ways(Path(folder), claude)
        try:
            samples: dict[str, list[float]] = {name: [] for name in settings}
            for _ in range(given.rounds):
                for name, wanted in settings.items():
                    samples[name] += call_times(wanted)
        finally:
            for home in homes:
                home.down()
    print(json.dumps(machine.facts()))
    print(f"\n{'ms per tool call':<34} {'p25':>7} {'p50':>7} {'p95':>7} {'added p25':>10} {'added p50':>10}")
    least = statistics.quantiles(samples["no hooks"], n=20)
    for name, values in samples.items():
        cuts = statistics.quantiles(values, n=20)
        print(
            f"{name:<34} {cuts[4]:7.1f} {cuts[9]:7.1f} {cuts[18]:7.1f} {cuts[4] - least[4]:+10.1f} {cuts[9] - least[9]:+10.1f}"
        )


if __name__ == "__main__":
    main()
