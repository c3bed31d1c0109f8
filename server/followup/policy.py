"""When a result must be acknowledged and acted on, and by whom: policies as data, and the due times they give.

A policy is for one outcome of one assay, or of every assay without its own. A lead may change it; a change is a new
version, and a follow-up keeps the version that it was opened under.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import IntEnum
from zoneinfo import ZoneInfo

from reader import outcome as outcomes

EVERY_ASSAY = "*"


class Urgency(IntEnum):
    """Stored; the worklist is in this order."""

    NOW = 1
    SOON = 2
    ROUTINE = 3


@dataclass(frozen=True, slots=True)
class Rule:
    """A policy's content. Times are minutes; with `working_hours` they run only while the organisation is at work."""

    assay: str
    outcome: int
    urgency: Urgency
    acknowledge_min: int
    act_min: int
    working_hours: bool
    tries: int = 3


@dataclass(frozen=True, slots=True)
class Hours:
    """When an organisation is at work: weekdays (Monday is 0) from `opens` to `closes`, in its own zone."""

    zone: ZoneInfo
    days: frozenset[int] = frozenset({0, 1, 2, 3, 4})
    opens: time = time(8)
    closes: time = time(18)

    def __post_init__(self) -> None:
        if not self.days or not self.days <= set(range(7)) or self.opens >= self.closes:
            raise ValueError("hours of work name a weekday, and open before they close")


_HOUR = 60
_DAY = 10 * _HOUR  # a working day of `Hours`

# What a clinical lead could begin with. Illustrative, as the assays are: a lead reviews them before use.
DEFAULTS = (
    Rule(EVERY_ASSAY, outcomes.POSITIVE, Urgency.NOW, 4 * _HOUR, 24 * _HOUR, working_hours=False),
    Rule(EVERY_ASSAY, outcomes.INVALID, Urgency.SOON, _DAY, 2 * _DAY, working_hours=True),
    Rule(EVERY_ASSAY, outcomes.INDETERMINATE, Urgency.SOON, _DAY, 2 * _DAY, working_hours=True),
    Rule(EVERY_ASSAY, outcomes.ERROR, Urgency.ROUTINE, 2 * _DAY, 5 * _DAY, working_hours=True),
    # Malaria kills within days, and treatment the same day prevents it.
    Rule("malaria-ag", outcomes.POSITIVE, Urgency.NOW, 1 * _HOUR, 4 * _HOUR, working_hours=False, tries=5),
    Rule("malaria-ag", outcomes.INDETERMINATE, Urgency.NOW, 4 * _HOUR, 12 * _HOUR, working_hours=False, tries=5),
    Rule("hiv-ab", outcomes.POSITIVE, Urgency.SOON, _DAY, 3 * _DAY, working_hours=True, tries=5),
    Rule("mtb-lamp", outcomes.POSITIVE, Urgency.SOON, _DAY, 2 * _DAY, working_hours=True, tries=5),
    Rule("fit", outcomes.POSITIVE, Urgency.SOON, _DAY, 3 * _DAY, working_hours=True, tries=5),
    Rule("ct-lamp", outcomes.POSITIVE, Urgency.ROUTINE, 2 * _DAY, 5 * _DAY, working_hours=True),
    Rule("ng-lamp", outcomes.POSITIVE, Urgency.ROUTINE, 2 * _DAY, 5 * _DAY, working_hours=True),
    Rule("hpv-lamp", outcomes.POSITIVE, Urgency.ROUTINE, 2 * _DAY, 10 * _DAY, working_hours=True),
)

# Should no policy fit, which a deleted row could do: as urgent as any.
_UNKNOWN = Rule(EVERY_ASSAY, 0, Urgency.NOW, 4 * _HOUR, 24 * _HOUR, working_hours=False)


def rule_for(rules: Iterable[Rule], assay: str, outcome: int) -> Rule:
    """The rule of that assay and outcome, else that of every assay, else one as urgent as any."""
    found = _UNKNOWN
    for rule in rules:
        if rule.outcome == outcome and rule.assay == assay:
            return rule
        if rule.outcome == outcome and rule.assay == EVERY_ASSAY:
            found = rule
    return found


def due(start: datetime, minutes: int, hours: Hours | None) -> datetime:
    """`minutes` after `start`; with `hours`, minutes at work only. Both in UTC."""
    if hours is None:
        return start + timedelta(minutes=minutes)
    left = timedelta(minutes=minutes)
    at = start.astimezone(hours.zone)
    while True:
        opens = _on(at, hours.opens, hours.zone)
        closes = _on(at, hours.closes, hours.zone)
        if at.weekday() in hours.days and at < closes:
            begins = max(at, opens)
            # Differences are taken in UTC: on the day that the clocks change, a working day is not an hour more.
            open_for = closes.astimezone(UTC) - begins.astimezone(UTC)
            if left <= open_for:
                return begins.astimezone(UTC) + left
            left -= open_for
        at = _on(at + timedelta(days=1), time(0), hours.zone)


def _on(day: datetime, at: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day.date(), at, zone)
