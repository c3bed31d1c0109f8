"""How what an assay measured of a person has gone from test to test: a plot of two values or more, and its table.

Only what may be compared is joined by a line: the same analyte of the same assay in the same unit, of tests that gave
an outcome. All else of a person stands in the list of their results.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from reader import outcome as outcomes
from server.results.models import Result
from server.web import formatting
from server.web.plot import Drawing, Plot, Rule, Series, draw
from server.worklist import wording
from server.worklist.result_view import in_words, unit_in_words
from server.worklist.traces import Table

_MEASURED = (outcomes.POSITIVE, outcomes.NEGATIVE, outcomes.INDETERMINATE)
_DAY_S, _HOUR_S = 86_400, 3_600


@dataclass(frozen=True, slots=True)
class Trend:
    """One analyte's values over time."""

    id: str
    drawing: Drawing
    table: Table


@dataclass(frozen=True, slots=True)
class _Point:
    at: datetime
    result: Result
    analyte: dict[str, Any]


def trends(this: Result, others: Sequence[Result], zone: ZoneInfo) -> list[Trend]:
    """A trend for each analyte of `this` that was measured before or since; none for one that has no value."""
    every = {one.id: one for one in (this, *others)}
    found: list[Trend] = []
    for index, analyte in enumerate(this.analytes):
        points = sorted(_points(this, every.values(), analyte), key=lambda point: (point.at, point.result.number))
        if this.outcome in _MEASURED and len(points) > 1:
            found.append(_trend(f"trend-{index}", this, points, zone))
    return found


def _points(this: Result, results: Any, analyte: dict[str, Any]) -> list[_Point]:
    return [
        _Point(result.tested_at or result.received_at, result, one)
        for result in results
        if result.assay == this.assay and result.outcome in _MEASURED
        for one in result.analytes
        if one["value"] is not None and (one["name"], one["unit"]) == (analyte["name"], analyte["unit"])
    ]


def _trend(name: str, this: Result, points: Sequence[_Point], zone: ZoneInfo) -> Trend:
    analyte = points[0].analyte["name"]
    first = points[0].at
    unit, size = ("Days", _DAY_S) if (points[-1].at - first).total_seconds() >= _DAY_S else ("Hours", _HOUR_S)
    times = [round((point.at - first).total_seconds() / size, 4) for point in points]
    label, scale = _axis(points[0].analyte["unit"])
    values = [round(point.analyte["value"] / scale, 3) for point in points]
    here = next((time for time, point in zip(times, points, strict=True) if point.result.id == this.id), None)
    plot = Plot(
        title=f"{analyte}: this person's values",
        summary=(
            f"{formatting.count(len(points), 'value')} of {analyte}. First, {formatting.date(first, zone)}: "
            f"{in_words(points[0].analyte)}. Last, {formatting.date(points[-1].at, zone)}: "
            f"{in_words(points[-1].analyte)}."
        ),
        x_label=f"{unit} since {formatting.date(first, zone)}",
        y_label=label,
        xs=times,
        series=(Series(analyte, "trend", values),),
        rules=() if here is None else (Rule("x", here, "this", "This", "The result on this page"),),
        floor=0.0,
    )
    rows = [
        (
            formatting.date_and_time(point.at, zone) + (" (this result)" if point.result.id == this.id else ""),
            wording.outcome(point.analyte["outcome"]).word,
            in_words(point.analyte),
        )
        for point in reversed(points)
    ]
    table = Table(f"{analyte}: this person's values, the newest first", ("Tested", "Outcome", "Measured"), rows)
    return Trend(name, draw(plot), table)


def _axis(unit: str | None) -> tuple[str, float]:
    """What the values are called, and by what a stored one is divided to be that."""
    if unit == "ppm":
        return "Darkening of the line, %", 1_000 * 10_000
    if unit == "min":
        return "Rose after, minutes", 1_000
    return unit_in_words(unit) or "Value", 1_000
