"""Makes one system call of a running process fail, or kills the process in front of it, with strace.

strace is attached when the process waits at its gate, so that the calls are counted from the moment of interest on.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.chaos.service import until

INJECTED = re.compile(r"\d+ +(\w+)\((.*)\(INJECTED\)")
KILLED = re.compile(r"\d+ +(\w+)\((.*?)(?:\) += \?)? ?(?:<unfinished \.\.\.>)?$")


@dataclass(frozen=True)
class Fault:
    """what: EIO, ENOSPC or SIGKILL · call: name of a system call · when: which one, `2+17` every seventeenth from there
    path: only calls about this file"""

    what: str
    call: str
    when: str
    path: Path | None = None

    def __str__(self) -> str:
        return f"{self.what} {self.call} {self.when}"

    @property
    def option(self) -> str:
        kind = "signal" if self.what == "SIGKILL" else "error"
        return f"inject={self.call}:{kind}={self.what}:when={self.when}"


@cache
def obstacle() -> str | None:
    """Why nothing can be injected here; None when it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    strace = subprocess.Popen(["strace", "-o", os.devnull, "-p", str(stranger.pid)], stderr=subprocess.PIPE)
    assert strace.stderr is not None
    said = strace.stderr.readline().decode().strip()
    stranger.communicate(b"\n")
    strace.communicate()
    return None if "attached" in said else f"strace may not trace here: {said}"


def command(fault: Fault, log: Path) -> list[str]:
    """What goes before a command, or before `-p PID`."""
    only = [] if fault.path is None else ["-P", str(fault.path)]
    return ["strace", "-f", "-y", "-s", "0", "-o", str(log), "-e", f"trace={fault.call}", "-e", fault.option, *only]


class Injection:
    """strace on a process and its threads. `log` gets the traced calls, with the paths they are about."""

    def __init__(self, process: int, fault: Fault, log: Path) -> None:
        self._log = log
        self._fault = fault
        self._strace = subprocess.Popen([*command(fault, log), "-p", str(process)], stderr=subprocess.PIPE)
        assert self._strace.stderr is not None
        said = self._strace.stderr.readline()
        assert b"attached" in said, said

    def strike(self, times: int) -> None:
        """Waits until it has struck so often."""
        until(lambda: self._log.read_text("utf-8", "replace").count("(INJECTED)") >= times, f"{self._fault} strikes")

    def end(self) -> list[str]:
        """The places that were hit. Waits for the process to end, when it has not yet."""
        assert self._strace.stderr is not None
        self._strace.stderr.close()
        self._strace.wait()
        lines = self._log.read_text("utf-8", "replace").splitlines()
        hits = [match for line in lines if (match := INJECTED.match(line))]
        if self._fault.what == "SIGKILL" and any("killed by SIGKILL" in line for line in lines):
            calls = [match for line in lines if (match := KILLED.match(line)) and "= 0" not in line]
            hits = calls[-1:]
        return [f"{match[1]} {place(match[1], match[2])}" for match in hits]

    def detach(self) -> list[str]:
        self._strace.terminate()
        return self.end()


PLACES = (
    (r"\.ndjson\.new", "new segment"), (r"queue/\d+-\w+\.ndjson", "segment"), (r"offsets/\w+\.json", "offset"),
    (r"queue/offsets\b", "offsets folder"), (r"/queue\b", "queue folder"), (r"\.duckdb\.wal", "warehouse log"),
    (r"\.duckdb\b", "warehouse"), (r"letters\.ndjson", "dead letters"),
)  # fmt: skip


def place(call: str, arguments: str) -> str:
    """What a call was about. A descriptor remembers the name under which its file was opened."""
    found = next((name for pattern, name in PLACES if re.search(pattern, arguments)), "elsewhere")
    return "segment" if found == "new segment" and call in ("write", "fdatasync", "ftruncate") else found
