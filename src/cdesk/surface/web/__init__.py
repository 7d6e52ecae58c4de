"""The built page. `dist` is made from the folder `web` of the source by `make web`, and shipped inside the wheel."""

from pathlib import Path

DIST = Path(__file__).parent / "dist"
