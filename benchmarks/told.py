"""What it costs that Claude is told its context before the first word.

    python benchmarks/told.py [--rounds 200]

A real service knows of failures in a project. Each round begins one session by each way, interleaved with
`python -I -S -c pass`, which is the least any Python hook can cost; figures are wall times of whole processes. "Told" and
"not told" are the same program and the same service: the latter lacks the token, so that nothing is said to it. What is
added by telling is the difference of their percentiles. Goal: less than 25 ms at P95.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import machine

from cdesk.capture import install

GOAL_MS = 25
FAILURES = 40
PATIENCE_S = 30


def begun(command: list[str], project: str) -> tuple[float, bytes]:
    """How long one beginning of a session takes, in ms, and what is said."""
    payload = {"hook_event_name": "SessionStart", "source": "startup", "session_id": str(uuid.uuid4()), "cwd": project}
    at = time.perf_counter()
    done = subprocess.run(command, input=json.dumps(payload).encode(), stdout=subprocess.PIPE, check=False)
    return (time.perf_counter() - at) * 1000, done.stdout


def known(cdesk: list[str], environment: dict[str, str], project: str, told: list[str]) -> None:
    """A project with failures, and its context in the cache."""
    lines = [
        json.dumps({
            "activity": "tool_called", "ts": f"2026-11-23T09:{number:02d}:00Z", "customer": "ada", "activity_id": f"f{number}",
            "feature_json": {"tool_name": "Bash", "tool_use_id": f"t{number}", "success": False, "project_path": project,
                             "error": f"undefined reference to `pay_{chr(97 + number % 26) * 20}'"},
        }) for number in range(FAILURES)
    ]  # fmt: skip
    subprocess.run(
        [*cdesk, "emit"], input="\n".join(lines).encode(), env=environment, check=True, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + PATIENCE_S
    while not begun(told, project)[1]:
        if time.monotonic() > deadline:
            raise SystemExit("the service has no context for the project; its log says more")
        time.sleep(0.1)


def measured(rounds: int) -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as folder:
        home, untold, alone = (Path(folder) / name for name in ("home", "untold", "alone"))
        project = f"{folder}/shop"
        (Path(folder) / "claude" / "projects").mkdir(parents=True)
        home.mkdir(mode=0o700)
        (home / "config.toml").write_text('[person]\ncustomer = "ada"\n')
        environment = {**os.environ, "CDESK_HOME": str(home), "CLAUDE_CONFIG_DIR": f"{folder}/claude", "HOME": folder}
        cdesk = [sys.executable, "-m", "cdesk"]
        subprocess.run(
            [*cdesk, "up", "--detach", "--port", "0"], env=environment, check=True, stdout=subprocess.DEVNULL
        )
        try:
            for each in (home, untold, alone):
                install.install_command(each)
            for name in ("service.json", "ingest-token"):
                (untold / name).symlink_to(home / name)
            hooks = {
                "told by the service": home, "not told (the same, without the token)": untold, "told by the plain file": alone,
            }  # fmt: skip
            ways = {name: ["sh", "-c", install.command_line(each)] for name, each in hooks.items()}
            known(cdesk, environment, project, ways["told by the service"])
            (alone / "context").mkdir()
            (alone / "context" / "plain").symlink_to(home / "context" / "plain")
            ways = {"python -I -S -c pass": [sys.executable, "-I", "-S", "-c", "pass"], **ways}
            found: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(rounds):
                for name, command in ways.items():
                    took, said = begun(command, project)
                    if bool(said) != name.startswith("told"):
                        raise SystemExit(f"{name}: said {len(said)} bytes")
                    found[name].append(took)
            return found
        finally:
            subprocess.run([*cdesk, "down"], env=environment, check=False, stdout=subprocess.DEVNULL)


def at(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    found = measured(parser.parse_args().rounds)
    print(json.dumps(machine.facts()))
    print(f"{'ms':<42}{'P50':>8}{'P95':>8}{'P99':>8}")
    for name, values in found.items():
        print(f"{name:<42}" + "".join(f"{at(values, percent):>8.1f}" for percent in (50, 95, 99)))
    told, untold = found["told by the service"], found["not told (the same, without the token)"]
    added = {percent: at(told, percent) - at(untold, percent) for percent in (50, 95)}
    verdict = "reached" if added[95] < GOAL_MS else "missed"
    print(f"telling adds {added[50]:.1f} ms at P50, {added[95]:.1f} ms at P95; goal: < {GOAL_MS} ms, {verdict}")


if __name__ == "__main__":
    main()
