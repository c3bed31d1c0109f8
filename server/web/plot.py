"""A small line plot: what is drawn, the same once as inline SVG (no script, print) and once as data for uPlot.

A `Plot` says what is drawn in the data's own units; `Drawing` turns it into coordinates of a fixed view box that the
template writes out. The view box is narrow so that its lettering stays readable when a phone scales it.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, isfinite, log10

WIDTH, HEIGHT = 360, 250
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 34, 40

Scale = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Series:
    """One line: `role` picks its stroke (profile, baseline, sample, control); `ys` is as long as the plot's xs."""

    name: str
    role: str
    ys: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """A straight mark across the plot at `at` of one axis, over `span` of the other axis or all of it."""

    axis: str
    at: float
    role: str
    label: str
    legend: str
    span: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Band:
    """A shaded stretch of the x axis, such as the window in which a line is looked for."""

    start: float
    end: float
    role: str


@dataclass(frozen=True, slots=True)
class Plot:
    """What is drawn. `summary` says in a sentence or two what a person would see in it."""

    title: str
    summary: str
    x_label: str
    y_label: str
    xs: Sequence[float]
    series: Sequence[Series]
    rules: Sequence[Rule] = ()
    bands: Sequence[Band] = ()
    floor: float | None = None
    least_span: float = 0.0

    def data(self) -> str:
        """The plot as JSON for the page's script; `<` is escaped, so that no text can close the script element."""
        content = {
            "x": list(self.xs),
            "xLabel": self.x_label,
            "yLabel": self.y_label,
            "title": self.title,
            "yRange": list(_y_range(self)),
            "series": [{"name": one.name, "role": one.role, "y": list(one.ys)} for one in self.series],
            "rules": [
                {"axis": one.axis, "at": one.at, "role": one.role, "label": one.label, "span": one.span}
                for one in self.rules
            ],
            "bands": [{"start": one.start, "end": one.end, "role": one.role} for one in self.bands],
        }
        return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A straight mark in view box units and where its label goes; "" when a neighbour's label is there."""

    x1: float
    y1: float
    x2: float
    y2: float
    role: str
    label: str
    label_x: float
    label_y: float
    anchor: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A `Plot` in view box units, ready for the template."""

    plot: Plot
    paths: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    segments: list[Segment] = field(default_factory=list[Segment])
    bands: list[tuple[float, float, str]] = field(default_factory=list[tuple[float, float, str]])
    x_ticks: list[Tick] = field(default_factory=list[Tick])
    y_ticks: list[Tick] = field(default_factory=list[Tick])
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def draw(plot: Plot) -> Drawing:
    """Lay `plot` out; raises `ValueError` when it has no finite point."""
    x_low, x_high = min(plot.xs), max(plot.xs)
    if x_low == x_high:
        x_high = x_low + 1
    y_low, y_high = _y_range(plot)

    def across(value: float) -> float:
        return round(LEFT + (value - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT), 1)

    def up(value: float) -> float:
        return round(HEIGHT - BOTTOM - (value - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM), 1)

    drawing = Drawing(plot)
    for band in plot.bands:
        start, end = across(max(band.start, x_low)), across(min(band.end, x_high))
        if end > start:
            drawing.bands.append((start, round(end - start, 1), band.role))
    for series in plot.series:
        drawing.paths.append((_path(plot.xs, series.ys, across, up), series.role))
    taken: list[tuple[float, float]] = []
    for rule in plot.rules:
        if rule.axis == "x" and x_low <= rule.at <= x_high:
            low, high = rule.span or (y_low, y_high)
            x = across(rule.at)
            label = rule.label if all(abs(x - place) > 8 + room for place, room in taken) else ""
            taken.append((x, len(rule.label) * 3.4))
            drawing.segments.append(Segment(x, up(low), x, up(high), rule.role, label, x, TOP - 6, "middle"))
        elif rule.axis == "y" and y_low <= rule.at <= y_high:
            start, end = rule.span or (x_low, x_high)
            y = up(rule.at)
            x1, x2 = across(max(start, x_low)), across(min(end, x_high))
            drawing.segments.append(Segment(x1, y, x2, y, rule.role, rule.label, x2 - 2, y - 4, "end"))
    drawing.x_ticks.extend(Tick(across(value), text) for value, text in _ticks(x_low, x_high, 6))
    drawing.y_ticks.extend(Tick(up(value), text) for value, text in _ticks(y_low, y_high, 5))
    return drawing


def _y_range(plot: Plot) -> tuple[float, float]:
    values = [value for series in plot.series for value in series.ys if value is not None and isfinite(value)]
    if not values or not plot.xs:
        raise ValueError("a plot needs at least one finite point")
    values.extend(rule.at for rule in plot.rules if rule.axis == "y")
    if plot.floor is not None:
        values.append(plot.floor)
    low, high = min(values), max(values)
    span = max(high - low, plot.least_span) or 1.0
    return low - 0.03 * span, max(high, low + span) + 0.08 * span


def _path(xs: Sequence[float], ys: Sequence[float | None], across: Scale, up: Scale) -> str:
    """An SVG path; the line is broken where a value is missing, never joined over the hole."""
    parts: list[str] = []
    pen_down = False
    for x, y in zip(xs, ys, strict=True):
        if y is None or not isfinite(y):
            pen_down = False
            continue
        parts.append(f"{'L' if pen_down else 'M'}{across(x):g} {up(y):g}")
        pen_down = True
    return "".join(parts)


def _ticks(low: float, high: float, about: int) -> list[tuple[float, str]]:
    """Round numbers between `low` and `high`, near `about` of them, with their text."""
    rough = (high - low) / about
    power = 10.0 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    decimals = max(0, -floor(log10(step)))
    ticks: list[tuple[float, str]] = []
    for index in range(ceil(low / step), floor(high / step) + 1):
        value = index * step
        ticks.append((value, f"{value:,.{decimals}f}".replace("-", "−")))
    return ticks
