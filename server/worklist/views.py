"""What the list shows, in words: views whose every field a template prints as it is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from server.corrections import views as correction_views
from server.followup.repository import Counts
from server.followup.views import URGENCIES, Brief, brief
from server.quality.repository import Wanting
from server.results.models import Recomputation, Result
from server.web import formatting
from server.worklist import acknowledging, wording
from server.worklist.repository import CONFLICT_CODES, Row, Troubles
from server.worklist.waiting import VIEWS
from server.worklist.wording import OutcomeWords

# A test time less certain than this is marked in the list: half a day may already be another visit.
DOUBTFUL_TIME = timedelta(hours=12)

_GROUPS = {1: "Needs a decision", 2: "Has to be repeated or confirmed", 3: "Negative"}


@dataclass(frozen=True, slots=True)
class Flag:
    text: str
    colour: str


@dataclass(frozen=True, slots=True)
class RowView:
    href: str
    anchor: str
    outcome: OutcomeWords
    specimen: str
    assay: str
    when: str
    certainty: str
    reader: str
    site: str
    flags: list[Flag]
    follow_up: Brief | None
    acknowledged: str
    may_tick: bool


@dataclass(frozen=True, slots=True)
class Tab:
    """One of the lists, with how many wait in it; the count of all is not told."""

    text: str
    href: str
    count: int | None
    current: bool


@dataclass(frozen=True, slots=True)
class Group:
    heading: str
    rows: list[RowView]


@dataclass(frozen=True, slots=True)
class Alert:
    heading: str
    sentence: str
    href: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Filters:
    """What the list is narrowed to; kept in the address."""

    outcome: str = ""
    assay: str = ""
    view: str = ""

    @property
    def any(self) -> bool:
        return bool(self.outcome or self.assay)

    def address(self, path: str, **more: str) -> str:
        chosen = {"view": self.view, "outcome": self.outcome, "assay": self.assay, **more}
        query = urlencode({name: value for name, value in chosen.items() if value})
        return f"{path}?{query}" if query else path


def groups(
    rows: Sequence[Row], zone: ZoneInfo, now: datetime, *, by_urgency: bool = False, ticked: bool = False
) -> list[Group]:
    """The rows under the headings of their ranks (or urgencies), in the order they came.

    With `ticked`, what can be acknowledged together says so.
    """
    made: list[Group] = []
    for rank, heading in (URGENCIES if by_urgency else _GROUPS).items():
        of_rank = [_row(row, zone, now, ticked=ticked) for row in rows if row.rank == rank]
        if of_rank:
            made.append(Group(heading, of_rank))
    return made


def tabs(filters: Filters, counts: Counts) -> list[Tab]:
    """The lists that the page can show, the one shown marked."""
    numbers = {"mine": counts.mine, "team": counts.everybody, "unowned": counts.unowned, "overdue": counts.overdue}
    names = {"": "All results", **VIEWS}
    return [
        Tab(text, replace(filters, view=view).address("/"), numbers.get(view), view == filters.view)
        for view, text in names.items()
    ]


def _row(row: Row, zone: ZoneInfo, now: datetime, *, ticked: bool = False) -> RowView:
    result = row.result
    when, certainty = _tested(result, zone, now)
    return RowView(
        href=f"/results/{result.id}",
        anchor=f"result-{result.id}",
        outcome=wording.outcome(result.outcome),
        specimen=result.specimen,
        assay=wording.assay(result.assay, result.assay_version),
        when=when,
        certainty=certainty,
        reader=row.reader,
        site=row.site,
        flags=_flags(row),
        follow_up=brief(row.follow_up, row.owner, zone, now) if row.follow_up else None,
        acknowledged=row.acknowledged_by or "",
        may_tick=ticked and row.acknowledged_by is None and not acknowledging.doubt(row),
    )


def _tested(result: Result, zone: ZoneInfo, now: datetime) -> tuple[str, str]:
    if result.tested_at is None:
        return f"Before {formatting.date_and_time(result.received_at, zone)}", "time not certain"
    return (
        formatting.day_and_time(result.tested_at, zone, now),
        formatting.uncertainty(span(result.tested_uncertainty_ms)),
    )


def span(milliseconds: int | None) -> timedelta | None:
    return None if milliseconds is None else timedelta(milliseconds=milliseconds)


def _flags(row: Row) -> list[Flag]:
    result = row.result
    flags: list[Flag] = []
    if said := correction_views.flag(row.standing):
        flags.append(Flag(said, "red"))
    if row.recalled:
        flags.append(Flag("Recalled", "red"))
    if row.conflict:
        flags.append(Flag("Custody conflict", "red"))
    if result.recomputation == Recomputation.DIFFERS:
        flags.append(Flag("Recomputed outcome differs", "red"))
    if result.recomputation in (Recomputation.UNKNOWN_ASSAY, Recomputation.FAILED):
        flags.append(Flag("Outcome not checked", "yellow"))
    if clock_doubtful(result):
        flags.append(Flag("Time uncertain", "yellow"))
    if result.checks:
        flags.append(Flag("Self-check failed", "yellow"))
    return flags


def clock_doubtful(result: Result) -> bool:
    """Whether the test time is unknown or not known to within half a day."""
    known = span(result.tested_uncertainty_ms)
    return result.tested_at is None or known is None or known > DOUBTFUL_TIME


def alerts(troubles: Troubles) -> list[Alert]:
    """What is wrong, as banners: forks first, then failed quality control, gaps, and what is quarantined."""
    made: list[Alert] = []
    if troubles.forked:
        names = _names(troubles.forked)
        made.append(
            Alert(
                "A reader's records do not follow one another",
                f"{names}: two different records claim the same place. Do not rely on results of this reader until it "
                "has been looked into.",
                "/quarantine",
                "See what is quarantined",
            )
        )
    made += _controls(troubles.wanting)
    if troubles.gaps:
        said = _names([f"{name} (record {number:,})" for name, number in troubles.gaps])
        made.append(Alert("A record has not arrived yet", f"Later records came, but these are still missing: {said}."))
    told = CONFLICT_CODES if troubles.forked else ()
    total = sum(number for code, number in troubles.quarantined.items() if code not in told)
    if total:
        what = "One record is" if total == 1 else f"{total:,} records are"
        made.append(
            Alert(
                f"{what} in quarantine",
                "It could not be accepted or understood, and may hold a result that is not in this list.",
                "/quarantine",
                "See what is quarantined",
            )
        )
    return made


def _controls(wanting: Sequence[Wanting]) -> list[Alert]:
    failed = [f"{one.assay} on {one.reader}" for one in wanting if one.failed]
    doubted = [f"{one.assay} on {one.reader}" for one in wanting if not one.failed]
    made: list[Alert] = []
    if failed:
        sentence = (
            f"{_names(failed)}: the reader refuses patients' tests of it until every level of control material passes. "
            "Look at the results since the control that passed last."
        )
        made.append(Alert("Quality control failed", sentence, "/quality", "See quality control"))
    if doubted:
        sentence = (
            f"{_names(doubted)}: the control passed on the reader, but its trace does not bear that out. Have it run "
            "again, and do not rely on results of that reader and assay until it has been looked into."
        )
        made.append(Alert("Quality control is in doubt", sentence, "/quality", "See quality control"))
    return made


def _names(names: Sequence[str]) -> str:
    shown = list(names[:5])
    more = len(names) - len(shown)
    if more:
        shown.append(f"{more} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
