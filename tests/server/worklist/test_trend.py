"""A person's values over time: only what may be compared is joined, in order, with its table; none of one value."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from reader import outcome
from server.results.models import Result
from server.worklist import trend

ZONE = ZoneInfo("Europe/London")
START = datetime(2026, 8, 6, 12, tzinfo=UTC)


def result(days: float, value: int | None, *, unit: str = "mg/L", name: str = "CRP", **fields: Any) -> Result:
    code = fields.pop("outcome", outcome.POSITIVE)
    analyte = {"name": name, "outcome": code, "reason": 0, "value": value, "unit": unit, "error": None}
    return Result(
        id=uuid4(), organisation_id=uuid4(), reader_id=b"reader01", number=int(days * 10), site_id=uuid4(),
        hub_id=b"hub", received_at=START + timedelta(days=days), tested_at=START + timedelta(days=days), specimen="S",
        outcome=code,
        reason=0, algorithm="strip/1", firmware="1", analytes=[analyte], boot_id=b"", uptime_ms=0, clock_source=0,
        **{"assay": "crp", "assay_version": 1, **fields},
    )  # fmt: skip


def test_values_are_in_the_order_of_the_tests_whatever_order_they_came_in() -> None:
    this = result(10, 20_000)
    [found] = trend.trends(this, [this, result(20, 5_500), result(0, 80_000)], ZONE)
    plot = found.drawing.plot
    assert (list(plot.xs), list(plot.series[0].ys)) == ([0.0, 10.0, 20.0], [80.0, 20.0, 5.5])
    assert (plot.y_label, plot.x_label) == ("mg/L", "Days since 6 August 2026")
    assert [(rule.at, rule.label) for rule in plot.rules] == [(10.0, "This")]
    assert found.table.rows[0] == ("26 August 2026 at 1pm", "Positive", "5.5 mg/L")
    assert found.table.rows[1][0] == "16 August 2026 at 1pm (this result)"
    assert plot.summary.startswith("3 values of CRP. First, 6 August 2026: 80.0 mg/L.")


def test_what_may_not_be_compared_is_not_joined() -> None:
    this = result(10, 20_000)
    others = [
        result(1, 20_000, unit="ug/L"),
        result(2, 20_000, name="PCT"),
        result(3, 20_000, assay="crp-other"),
        result(4, 20_000, outcome=outcome.INVALID),
        result(5, None),
    ]
    assert trend.trends(this, others, ZONE) == []
    assert len(trend.trends(this, [*others, result(6, 1_000)], ZONE)[0].drawing.plot.xs) == 2


def test_an_invalid_result_shows_no_trend_and_one_value_is_none() -> None:
    this = result(10, 20_000)
    assert trend.trends(this, [this], ZONE) == []
    assert trend.trends(result(10, 1_000, outcome=outcome.INVALID), [this, result(0, 1_000)], ZONE) == []


def test_tests_of_one_moment_are_drawn_and_a_value_that_fell_stays_on_the_plot() -> None:
    this = result(0, 20_000)
    [found] = trend.trends(this, [result(0, 10_000)], ZONE)
    assert list(found.drawing.plot.xs) == [0.0, 0.0]
    assert found.drawing.paths
