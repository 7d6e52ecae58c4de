"""Starts the programs of this folder, hears what they say, and kills them."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).parent

Process = subprocess.Popen[bytes]


_started: list[Process] = []


def start(program: str, *arguments: object, stderr: int | None = None) -> Process:
    """One of the programs here."""
    return started([sys.executable, str(HERE / program), *map(str, arguments)], stderr=stderr)


def started(command: list[str], *, stderr: int | None = None, env: Mapping[str, str] | None = None) -> Process:
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, env=env)
    _started.append(process)
    return process


def end_all() -> None:
    """Kills those that still run."""
    while _started:
        process = _started.pop()
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


def hear(process: Process, word: str) -> None:
    assert process.stdout is not None
    said = process.stdout.readline()
    assert said == word.encode() + b"\n", said


def go(process: Process) -> None:
    """Lets a process that waits at its gate go on."""
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.flush()


def numbers(said: bytes) -> list[int]:
    """The whole lines of what a process said."""
    return [int(line) for line in said.split(b"\n")[:-1]]


def killed_after(process: Process, told: int) -> list[int]:
    """All that the process said before it was killed, some moment after it had said `told` things."""
    assert process.stdout is not None
    said = [int(process.stdout.readline()) for _ in range(told)]
    process.send_signal(signal.SIGKILL)
    rest = numbers(process.stdout.read())
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    if process.stdin is not None:
        process.stdin.close()
    return said + rest
