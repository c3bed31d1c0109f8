"""Due times: round the clock, in hours of work, over weekends and over the change of the clocks."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader import outcome as outcomes
from reader import packfile
from server.followup import policy
from server.followup.policy import Hours, Rule, Urgency

LONDON = ZoneInfo("Europe/London")
HOURS = Hours(LONDON)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=LONDON)


@pytest.mark.parametrize(
    ("start", "minutes", "expected"),
    [
        ("2026-11-23T09:00", 60, "2026-11-23T10:00"),  # Monday, within the day
        ("2026-11-23T17:30", 60, "2026-11-24T08:30"),  # over the night
        ("2026-11-27T17:30", 60, "2026-11-30T08:30"),  # Friday evening to Monday
        ("2026-11-28T12:00", 600, "2026-11-30T18:00"),  # Saturday: the whole of Monday
        ("2026-11-23T06:00", 30, "2026-11-23T08:30"),  # before work begins
        ("2026-03-27T17:00", 120, "2026-03-30T09:00"),  # the clocks go forward between
        ("2026-11-23T08:00", 600, "2026-11-23T18:00"),  # to the very end of the day
    ],
)
def test_time_runs_only_at_work(start: str, minutes: int, expected: str) -> None:
    assert policy.due(at(start), minutes, HOURS) == at(expected)


def test_what_cannot_wait_runs_round_the_clock() -> None:
    assert policy.due(at("2026-11-27T23:00"), 240, None) == at("2026-11-28T03:00")


@given(
    st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31)),
    st.integers(1, 5_000),
    st.sets(st.integers(0, 6), min_size=1),
    st.integers(0, 20),
    st.integers(1, 3),
)
def test_due_is_never_before_as_long_and_always_at_work(
    start: datetime, minutes: int, days: set[int], opens: int, long: int
) -> None:
    hours = Hours(LONDON, frozenset(days), time(opens), time(opens + long))
    start = start.replace(tzinfo=UTC)
    due = policy.due(start, minutes, hours)
    assert due >= start + timedelta(minutes=minutes)
    local = due.astimezone(LONDON)
    assert local.weekday() in days
    assert time(opens) <= local.time() <= time(opens + long)


def test_an_assays_own_rule_comes_before_that_of_every_assay() -> None:
    own = Rule("malaria-ag", outcomes.POSITIVE, Urgency.NOW, 60, 240, working_hours=False)
    every = Rule(policy.EVERY_ASSAY, outcomes.POSITIVE, Urgency.SOON, 600, 900, working_hours=True)
    assert policy.rule_for([every, own], "malaria-ag", outcomes.POSITIVE) is own
    assert policy.rule_for([own, every], "another", outcomes.POSITIVE) is every


@pytest.mark.parametrize("outcome", [code for code in outcomes.OUTCOMES if code != outcomes.NEGATIVE])
def test_every_outcome_that_is_not_negative_has_a_rule_built_in(outcome: int) -> None:
    rule = policy.rule_for(policy.DEFAULTS, "an-assay-not-known", outcome)
    assert rule.outcome == outcome
    assert 0 < rule.acknowledge_min < rule.act_min


def test_what_no_rule_fits_is_as_urgent_as_any() -> None:
    assert policy.rule_for([], "anything", 77).urgency is Urgency.NOW


def test_hours_that_never_open_are_refused() -> None:
    with pytest.raises(ValueError, match="weekday"):
        Hours(LONDON, frozenset())
    with pytest.raises(ValueError, match="open"):
        Hours(LONDON, opens=time(9), closes=time(9))


def test_every_rule_built_in_is_of_an_assay_that_ships_and_an_outcome_once() -> None:
    shipped = {assay.id for assay in packfile.every()} | {policy.EVERY_ASSAY}
    assert {rule.assay for rule in policy.DEFAULTS} <= shipped
    keys = [(rule.assay, rule.outcome) for rule in policy.DEFAULTS]
    assert len(keys) == len(set(keys))
