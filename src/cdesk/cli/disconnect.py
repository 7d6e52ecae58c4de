"""`cdesk disconnect`: takes out of Claude Code what `cdesk connect` put in, and nothing else."""

from __future__ import annotations

from functools import partial

from cdesk import config
from cdesk.capture import install, plugin
from cdesk.capture.install import Connections
from cdesk.cli import show
from cdesk.cli.connect import add_place, carry_out, server_edit, settings_path


def run(arguments: list[str]) -> int:
    parser = show.parser(
        "disconnect", "Takes our hooks, telemetry, plugin and MCP server out of Claude Code, after showing the difference\n"
        "and keeping a backup. What was recorded stays.",
    )  # fmt: skip
    add_place(parser)
    given = parser.parse_args(arguments)
    home = config.home()
    path = settings_path(given)
    edit = install.disconnect(path, Connections.load(home.path))
    server = partial(server_edit, given, home, None)
    is_plugin = given.scope == "user" and install.has_plugin(install.standing(path))
    if not edit.is_change and not server().is_change:
        print(f"{path} holds nothing of ours; nothing to change.")
        return 0
    if carry_out(edit, server, home, given) and is_plugin:
        for changed in plugin.forget(home.path, path.parent, server().path):
            print(f"Took the plugin out of {changed}.")
    return 0
