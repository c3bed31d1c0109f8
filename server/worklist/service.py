"""What a clinician reads: each read is written to the audit log before the first row of patient data is fetched."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.service import Viewer
from server.assays import service as assays
from server.audit import service as audit
from server.corrections import repository as corrections_repository
from server.corrections import service as corrections
from server.corrections.models import Correction
from server.corrections.service import History
from server.custody.cose import Unsealable
from server.database import tenancy
from server.database.engine import Sessions
from server.followup import repository as follow_ups
from server.followup import service as following
from server.followup.repository import Counts
from server.followup.service import Standing
from server.patients import repository as people_repository
from server.patients import service as people
from server.patients.models import Patient
from server.problems import NotFound, Problem
from server.quality import service as quality
from server.quality.service import Beside
from server.readers.keys import Keyring, KeyUnreadable
from server.recalls import repository as recalls
from server.recalls.models import Recall
from server.results import service as results
from server.results.models import Result
from server.results.trace import CurveTrace, StripTrace
from server.retention import repository as retention
from server.worklist import repository, traces, waiting
from server.worklist.repository import Cursor, Found, Row, Troubles
from server.worklist.traces import Shown
from server.worklist.waiting import Place

# How far back the list is compared when a page begins to listen: a batch may take this long from its time to its
# commit.
LOOK_BACK = timedelta(minutes=10)
# A person's results shown beside one of them.
EARLIER = 20
_NO_TRACE = "The reader recorded no trace that can be drawn for this test."
_NOT_OPENED = "The trace cannot be drawn, because the stored record does not open any more. Tell whoever runs Doorstep."
_NOT_UNDERSTOOD = "The trace cannot be drawn, because this server does not know the assay. Its bytes are kept."
_DAMAGED = "The trace cannot be drawn, because it is not what the protocol says a trace is. Its bytes are kept."


class Erased(Problem):
    """There was such a result. It was erased, by rule or for the person."""

    status = 410
    code = "result-erased"
    title = "This result was erased"


@dataclass(frozen=True, slots=True)
class Worklist:
    """One page of the list; `mark` is what the page compares with when it begins to listen."""

    rows: list[Row]
    more: bool
    troubles: Troubles
    counts: Counts
    mark: "Mark"


@dataclass(frozen=True, slots=True)
class Mark:
    """How many results the database held that arrived after `since`, when it was looked at."""

    since: datetime
    seen: int

    def text(self) -> str:
        return f"{round(self.since.timestamp() * 1000)}-{self.seen}"

    @classmethod
    def parse(cls, text: str | None) -> "Mark | None":
        """None for anything that `text` did not write."""
        since, _, seen = (text or "").partition("-")
        if not (since.isdecimal() and seen.isdecimal() and len(since) <= 15 and len(seen) <= 6):
            return None
        try:
            return cls(datetime.fromtimestamp(int(since) / 1000, UTC), int(seen))
        except (ValueError, OverflowError, OSError):
            return None


async def read(
    sessions: Sessions,
    viewer: Viewer,
    outcome: int | None,
    assay: str | None,
    after: Cursor | Place | None,
    view: str = "",
    most: int = repository.PAGE_ROWS,
) -> Worklist:
    """One page of `most` rows of the viewer's organisation; `view` is one of `waiting.VIEWS`, or empty for all."""
    async with tenancy.transaction(sessions, viewer.organisation_id) as session:
        await audit.record(
            session,
            organisation_id=viewer.organisation_id,
            actor=_actor(viewer),
            action="worklist.read",
            subject_kind="worklist",
            subject="all",
            purpose=viewer.purpose,
            detail={"view": view, "outcome": outcome, "assay": assay, "after": after.text() if after else None},
        )
        since = _floor(datetime.now(UTC) - LOOK_BACK)
        mark = Mark(since, await repository.arrived_since(session, viewer.organisation_id, since))
        at = datetime.now(UTC)
        if view:
            place = after if isinstance(after, Place) else None
            rows, more = await waiting.page(
                session, viewer.organisation_id, view, viewer.account_id, at, outcome, assay, place, most
            )
        else:
            cursor = after if isinstance(after, Cursor) else None
            rows, more = await repository.page(session, viewer.organisation_id, outcome, assay, cursor, most)
        counts = await follow_ups.counts(session, viewer.organisation_id, viewer.account_id, at)
        return Worklist(rows, more, await repository.troubles(session), counts, mark)


async def arrived(sessions: Sessions, organisation_id: UUID, mark: Mark) -> tuple[int, Mark]:
    """How many results arrived since `mark` was taken, and the mark that says so. No patient data is read."""
    async with tenancy.transaction(sessions, organisation_id) as session:
        seen = await repository.arrived_since(session, organisation_id, mark.since)
        since = _floor(datetime.now(UTC) - LOOK_BACK)
        now = Mark(since, await repository.arrived_since(session, organisation_id, since))
    return max(0, seen - mark.seen), now


@dataclass(frozen=True, slots=True)
class Read:
    """A result that was read: its assay of that very version where it is known, what quality control says beside it,
    what is shown of its trace, why nothing is where nothing is, every recall that marked it, the newest first, what was
    said of it after the reader, and the trace itself.
    """

    found: Found
    assay: assays.Assay | None
    beside: Beside
    shown: Shown | None
    no_drawing: str
    recalls: list[Recall]
    history: History
    trace: StripTrace | CurveTrace | None = None


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the database holds of a result; where its record has no trace, `why_not` says why."""

    found: Found
    assay: assays.Assay | None
    beside: Beside
    recalls: list[Recall]
    history: History
    trace: StripTrace | CurveTrace | None
    why_not: str


async def _kept(session: AsyncSession, keyring: Keyring, viewer: Viewer, result_id: UUID) -> _Kept:
    trace, why_not = None, _NO_TRACE
    try:
        opened = await results.read_patient_data(
            session, keyring, _actor(viewer), viewer.organisation_id, viewer.purpose, result_id
        )
        trace = opened.trace
    except NotFound:
        if (erased := await retention.erasure_of_result(session, result_id)) is not None:
            sentence = f"Its certificate says why: /retention/{erased[0]}"
            raise Erased(sentence, extra={"erasure": str(erased[0])}) from None
        raise NotFound("There is no such result in your organisation. Look for it in the worklist.") from None
    except (Unsealable, KeyUnreadable):
        # The result as it was taken stands in its own table; that its record no longer opens must be seen.
        why_not = _NOT_OPENED
    found = await repository.find(session, result_id)
    if found is None:
        raise NotFound("There is no such result in your organisation. Look for it in the worklist.")
    assay = await assays.definition(session, found.result.assay, found.result.assay_version)
    beside = await quality.beside(session, found.result)
    recalled = await recalls.of_result(session, result_id)
    history = History([], True)
    if found.corrected:
        history = await corrections.history(session, result_id, found.record.chain_hash)
    return _Kept(found, assay, beside, recalled, history, trace, why_not)


def _drawn(kept: _Kept) -> Read:
    shown, why_not = None, kept.why_not
    if kept.trace is not None:
        try:
            shown = traces.shown(kept.trace, kept.assay, kept.found.result.lot)
        except (ValueError, IndexError, ArithmeticError):
            why_not = _DAMAGED
        else:
            why_not = "" if shown else _NOT_UNDERSTOOD
    return Read(kept.found, kept.assay, kept.beside, shown, why_not, kept.recalls, kept.history, kept.trace)


@dataclass(frozen=True, slots=True)
class Whose:
    """A person with their results, the newest first, and the last version of each that has one after the reader's."""

    patient: Patient
    results: list[tuple[Result, str]]
    corrected: dict[UUID, Correction]


async def result(
    sessions: Sessions, keyring: Keyring, viewer: Viewer, result_id: UUID, *, person: bool
) -> tuple[Read, Standing | None, Whose | None]:
    """A result, where its follow-up stands and, where `person` says so, whose it is; raises `NotFound`.

    One transaction reads it all; the trace is drawn when that is over.
    """
    async with tenancy.transaction(sessions, viewer.organisation_id) as session:
        kept = await _kept(session, keyring, viewer, result_id)
        standing = await following.read(session, result_id)
        whose = await _whose(session, viewer, kept.found.result.specimen) if person else None
    return _drawn(kept), standing, whose


async def _whose(session: AsyncSession, viewer: Viewer, specimen: str) -> Whose | None:
    """Whose a specimen is, once the audit log says who looks; None when it is nobody's."""
    found = await people_repository.person_of(session, specimen)
    if found is None:
        return None
    patient = await people.read(session, viewer, found.id)
    results_ = await people_repository.results_of(session, patient.id, EARLIER)
    corrected = await corrections_repository.current(session, [one.id for one, _ in results_])
    return Whose(patient, results_, corrected)


def _actor(viewer: Viewer) -> audit.Actor:
    return audit.Actor("account", str(viewer.account_id))


def _floor(moment: datetime) -> datetime:
    """To the millisecond, so that a mark reads back as what it was."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
