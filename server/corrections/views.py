"""What pages show of corrected and withdrawn results, in words."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from server.corrections.models import Correction, Kind
from server.corrections.service import History
from server.web import formatting
from server.worklist import wording
from server.worklist.wording import OutcomeWords


@dataclass(frozen=True, slots=True)
class VersionView:
    """A version in the history of a result."""

    number: str
    what: str
    who: str
    why: str
    hash: str


@dataclass(frozen=True, slots=True)
class CorrectedView:
    """What a result is now, where that is not what the reader said; `outcome` is None where nothing may be concluded.

    `said` is empty where the reader's outcome stands.
    """

    said: str
    outcome: OutcomeWords | None
    why: str
    by: str
    version: int
    versions: list[VersionView]
    whole: bool


def view(history: History, reader_said: int, received: str, zone: ZoneInfo) -> CorrectedView:
    """On the page of a result."""
    last = history.versions[-1] if history.versions else None
    current = last[0] if last else None
    stands = current is None or current.kind == Kind.RESTORED
    first = VersionView("1", f"The reader said: {wording.outcome(reader_said).word.lower()}", received, "", "")
    return CorrectedView(
        said="" if stands or current is None else words(current),
        outcome=wording.outcome(current.outcome) if current is not None and current.outcome is not None else None,
        why=current.why if current is not None else "",
        by=f"{last[1]}, {formatting.date_and_time(last[0].at, zone)}" if last else "",
        version=current.version if current is not None else 0,
        versions=[first, *(_version(one, who, zone) for one, who in history.versions)],
        whole=history.whole,
    )


def _version(one: Correction, who: str, zone: ZoneInfo) -> VersionView:
    when = formatting.date_and_time(one.at, zone)
    return VersionView(
        str(one.version + 1), words(one), f"{who}, {when}", one.why, formatting.hexadecimal(one.hash[:16])
    )


def words(one: Correction) -> str:
    """`Corrected to negative`, `Withdrawn`, `Restored to what the reader said`."""
    if one.kind == Kind.WITHDRAWN:
        return "Withdrawn"
    if one.outcome is None:
        return "Restored to what the reader said"
    return f"Corrected to {wording.outcome(one.outcome).word.lower()}"


def flag(standing: str | None) -> str:
    """The same in a list, of what `repository.standing` gave; empty where the reader's outcome stands."""
    kind, _, outcome = (standing or "").partition(":")
    if kind == Kind.WITHDRAWN:
        return "Withdrawn"
    return f"Corrected to {wording.outcome(int(outcome)).word.lower()}" if outcome else ""


def flag_of(one: Correction | None) -> str:
    """As `flag`, of a version."""
    return "" if one is None or one.kind == Kind.RESTORED else words(one)
