"""A chart of an artifact as SVG, by the hint it was kept with: bars or lines over the first rows.

One colour for each value of the series column, SERIES_MAX at most; rows beyond POINTS_MAX are not drawn, and the chart
says so. A sample's figures have their ± drawn, where it is known. It carries no script, no link and no font, and every text in it is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import islice
from typing import NamedTuple

from cdesk.activity.model import JSON
from cdesk.artifact.model import Artifact
from cdesk.errors import UsageError
from cdesk.query.sample import ERROR

POINTS_MAX = 500
SERIES_MAX = 8
WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 60
LABELS_MAX = 12
WHISKER = 7
LABEL_CHARACTERS_MAX = 14
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999933", "#332288")


def drawn(artifact: Artifact, rows: Iterator[list[JSON]]) -> str:
    """Raises UsageError when the artifact was kept without a chart."""
    chart = artifact.chart
    if chart is None:
        raise UsageError(f"{artifact.artifact_id} was kept without a chart.", "Take it as json, csv or html.")
    names = [column.name for column in artifact.columns]
    x, y = names.index(chart.x), names.index(chart.y)
    by = names.index(chart.series) if chart.series else None
    off = names.index(chart.y + ERROR) if chart.y + ERROR in names else None
    points = [
        _Point(_text(row[x]), "" if by is None else _text(row[by]), height, _figure(row[off]) if off is not None else None)
        for row in islice(rows, POINTS_MAX) if (height := _figure(row[y])) is not None
    ]  # fmt: skip
    places = list(dict.fromkeys(point.place for point in points))
    series = list(dict.fromkeys(point.series for point in points))[:SERIES_MAX]
    drawn_points = [point for point in points if point.series in series]
    sheet = _Sheet(places, series, [end for point in drawn_points for end in point.reach])
    marks = [
        shape for name in series for shape in sheet.marks(chart.kind, name, [p for p in drawn_points if p.series == name])
    ]  # fmt: skip
    marks += [shape for point in drawn_points for shape in sheet.whisker(chart.kind, point)]
    said = f"{chart.y} by {chart.x}" + (
        f", the first {POINTS_MAX:,} of {artifact.row_count:,} rows" if artifact.row_count > POINTS_MAX else ""
    )
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="11" role="img">',
        f"<title>{escape(artifact.title or said)}</title>",
        f'<text x="{LEFT}" y="18" font-size="14">{escape(_short(artifact.title or said, 90))}</text>',
        f'<text x="{LEFT}" y="32" fill="#666">{escape(_short(said, 110))}</text>',
        *(_error_legend() if any(point.error is not None for point in drawn_points) else ()),
        *sheet.axes(), *marks, *(_legend(series) if by is not None else ()), "</svg>", "",
    ])  # fmt: skip


class _Point(NamedTuple):
    """error: the height is off by so much at most, in 95 of 100 samples; None where that is not known"""

    place: str
    series: str
    height: float
    error: float | None

    @property
    def reach(self) -> tuple[float, float]:
        return self.height - (self.error or 0), self.height + (self.error or 0)


class _Sheet:
    """Where values are on it."""

    def __init__(self, places: Sequence[str], series: Sequence[str], heights: Sequence[float]) -> None:
        self._places = {place: number for number, place in enumerate(places)}
        self._series = {name: number for number, name in enumerate(series)}
        self._low, self._high = min([0.0, *heights]), max([0.0, *heights])
        self._step = (WIDTH - LEFT - RIGHT) / max(1, len(places))

    def marks(self, kind: str, name: str, points: Sequence[_Point]) -> Iterator[str]:
        colour = COLOURS[self._series[name]]
        if kind == "line":
            line = " ".join(f"{self._x(one.place) + self._step / 2:.1f},{self._y(one.height):.1f}" for one in points)
            yield f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>'
            return
        width = self._bar()
        for place, _, height, error in points:
            left = self._x(place) + self._step * 0.1 + width * self._series[name]
            off = "" if error is None else f" ± {error:g}"
            top, foot = sorted((self._y(height), self._y(0)))
            yield (
                f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{foot - top:.1f}" fill="{colour}">'
                f"<title>{escape(f'{place} {name}: {height:g}{off}')}</title></rect>"
            )

    def whisker(self, kind: str, point: _Point) -> Iterator[str]:
        """From the least to the most that it may be."""
        if point.error is None:
            return
        middle = self._x(point.place) + self._step / 2
        if kind != "line":
            middle = self._x(point.place) + self._step * 0.1 + self._bar() * (self._series[point.series] + 0.5)
        foot, top = (self._y(end) for end in point.reach)
        yield _whisker(middle, top, foot)

    def _bar(self) -> float:
        return self._step * 0.8 / max(1, len(self._series))

    def axes(self) -> Iterator[str]:
        for part in range(5):
            value = self._low + (self._high - self._low) * part / 4
            y = self._y(value)
            yield f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
            yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#666">{value:.6g}</text>'
        every = max(1, -(-len(self._places) // LABELS_MAX))
        for place, number in self._places.items():
            if number % every == 0:
                x = self._x(place) + self._step / 2
                yield f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle" fill="#666">{escape(_short(place))}</text>'

    def _x(self, place: str) -> float:
        return LEFT + self._step * self._places[place]

    def _y(self, value: float) -> float:
        span = (self._high - self._low) or 1.0
        return HEIGHT - BOTTOM - (value - self._low) / span * (HEIGHT - TOP - BOTTOM)


def _legend(series: Sequence[str]) -> Iterator[str]:
    width = (WIDTH - LEFT - RIGHT) / max(1, len(series))
    for number, name in enumerate(series):
        x = LEFT + width * number
        yield f'<rect x="{x:.1f}" y="{HEIGHT - 22}" width="10" height="10" fill="{COLOURS[number]}"/>'
        yield f'<text x="{x + 14:.1f}" y="{HEIGHT - 13}">{escape(_short(name))}</text>'


def _whisker(x: float, top: float, foot: float) -> str:
    left, right = x - WHISKER / 2, x + WHISKER / 2
    return (
        f'<path class="error" d="M{left:.1f} {top:.1f}H{right:.1f}M{x:.1f} {top:.1f}V{foot:.1f}M{left:.1f} {foot:.1f}H{right:.1f}" '
        f'stroke="#222" fill="none"/>'
    )


def _error_legend() -> Iterator[str]:
    yield _whisker(WIDTH - RIGHT - 150, 8, 20)
    yield f'<text x="{WIDTH - RIGHT - 142}" y="18" fill="#666">± (95 %): it is a sample</text>'


def _figure(value: JSON) -> float | None:
    """What is no finite number is not drawn."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if abs(found) < float("inf") else None


def _text(value: JSON) -> str:
    return "" if value is None else "".join(c for c in str(value) if c.isprintable())


def _short(words: str, characters: int = LABEL_CHARACTERS_MAX) -> str:
    return words if len(words) <= characters else words[: characters - 1] + "…"
