"""`cdesk disconnect`: takes out of Claude Code's settings what `cdesk connect` put in, and nothing else."""

from __future__ import annotations

from cdesk import config
from cdesk.capture import install
from cdesk.capture.install import Connections
from cdesk.cli import show
from cdesk.cli.connect import add_place, carry_out, settings_path


def run(arguments: list[str]) -> int:
    parser = show.parser(
        "disconnect", "Takes our hooks and telemetry out of Claude Code's settings, after showing the difference and\n"
        "keeping a backup. What was recorded stays.",
    )  # fmt: skip
    add_place(parser)
    given = parser.parse_args(arguments)
    home = config.home()
    path = settings_path(given)
    connections = Connections.load(home.path)
    edit = install.disconnect(path, connections)
    if not edit.is_change:
        print(f"{path} holds nothing of ours; nothing to change.")
        return 0
    if carry_out(edit, home, given) and str(path) in connections.known:
        connections.remember(path, None)
    return 0
