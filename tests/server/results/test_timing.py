"""When a test was: what each piece of evidence is worth, and that none is believed beyond it."""

from datetime import UTC, datetime, timedelta

import pytest

from reader import wire
from server.results.models import TimeBasis
from server.results.timing import NOT_KNOWN, POST_UNCERTAINTY_MS, Anchor, DerivedTime, derive

NOW_MS = 1_780_000_000_000
HOUR_MS = 3_600_000


def at(ms: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=ms)


def when(
    uptime_ms: int,
    *anchors: Anchor,
    wall_ms: int | None = None,
    source: int = wire.CLOCK_UNSET,
    uncertainty_ms: int | None = None,
) -> DerivedTime:
    return derive(
        uptime_ms=uptime_ms,
        recorded_ms=uptime_ms + 2_000,
        wall_ms=wall_ms,
        clock_source=source,
        wall_uncertainty_ms=uncertainty_ms,
        received_ms=NOW_MS,
        anchors=anchors,
    )


def visit(uptime_ms: int, ago_ms: int, hub_error_ms: int = 0, uncertainty_ms: int = 50) -> Anchor:
    """A hub's visit `ago_ms` before now, posted now, by a hub whose clock is ahead by `hub_error_ms`."""
    return Anchor(uptime_ms, NOW_MS - ago_ms + hub_error_ms, uncertainty_ms, NOW_MS + hub_error_ms, NOW_MS)


def test_a_visit_ties_uptime_to_the_clock() -> None:
    found = when(1_000_000, visit(1_000_000 + HOUR_MS, ago_ms=2 * HOUR_MS))
    assert found.basis is TimeBasis.ANCHOR
    assert found.at == at(NOW_MS - 3 * HOUR_MS)
    assert found.uncertainty_ms is not None
    assert POST_UNCERTAINTY_MS < found.uncertainty_ms < POST_UNCERTAINTY_MS + 2_000


@pytest.mark.parametrize("hub_error_ms", [-400 * 24 * HOUR_MS, -5_000, 0, 5_000, 400 * 24 * HOUR_MS])
def test_a_hub_whose_clock_is_wrong_is_corrected_by_the_servers(hub_error_ms: int) -> None:
    found = when(0, visit(HOUR_MS, HOUR_MS, hub_error_ms))
    assert found.at == at(NOW_MS - 2 * HOUR_MS)


def test_the_nearest_visit_is_taken_and_the_uncertainty_grows_with_the_distance() -> None:
    near, far = visit(10 * HOUR_MS, HOUR_MS), visit(1_000 * HOUR_MS, 0)
    found = when(9 * HOUR_MS, far, near)
    assert found.at == at(NOW_MS - 2 * HOUR_MS)
    alone = when(9 * HOUR_MS, visit(500 * HOUR_MS, 0))
    assert alone.uncertainty_ms is not None
    assert found.uncertainty_ms is not None
    assert alone.uncertainty_ms > found.uncertainty_ms + 100_000


def test_a_test_after_the_visit_counts_on_from_it() -> None:
    found = when(3 * HOUR_MS, visit(HOUR_MS, 5 * HOUR_MS))
    assert found.at == at(NOW_MS - 3 * HOUR_MS)


def test_a_hub_whose_clock_went_back_between_visit_and_post_ties_nothing() -> None:
    torn = Anchor(HOUR_MS, NOW_MS, 50, NOW_MS - HOUR_MS, NOW_MS)
    assert when(0, torn) == NOT_KNOWN


def test_without_a_visit_the_readers_clock_stands_with_what_it_says_of_itself() -> None:
    found = when(HOUR_MS, wall_ms=NOW_MS - HOUR_MS, source=wire.CLOCK_HUB, uncertainty_ms=700)
    assert found == DerivedTime(at(NOW_MS - HOUR_MS - 2_000), 700, TimeBasis.READER_CLOCK)
    floor = when(HOUR_MS, wall_ms=NOW_MS - HOUR_MS, source=wire.CLOCK_SERVER, uncertainty_ms=700)
    assert floor.uncertainty_ms is None


def test_without_any_clock_nothing_is_claimed() -> None:
    assert when(HOUR_MS) == NOT_KNOWN
    assert when(HOUR_MS, wall_ms=NOW_MS, source=wire.CLOCK_UNSET) == NOT_KNOWN


@pytest.mark.parametrize("wall_ms", [0, NOW_MS + HOUR_MS, 2**63 - 1, NOW_MS - 40 * 366 * 24 * HOUR_MS])
def test_a_clock_that_says_what_cannot_be_is_not_believed(wall_ms: int) -> None:
    assert when(2_000, wall_ms=wall_ms, source=wire.CLOCK_RTC, uncertainty_ms=0) == NOT_KNOWN


def test_numbers_at_the_edge_of_what_can_be_kept_raise_nothing() -> None:
    edge = 2**63 - 1
    assert when(edge, Anchor(0, edge, edge, edge, NOW_MS)).at is None
    assert when(0, Anchor(edge, 0, edge, edge, NOW_MS)).at is None
