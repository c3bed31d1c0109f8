"""Recalling results and lifting a recall; the work is done in portions that can be cut off and gone on with anywhere.

Each portion is one transaction that holds the recall's row, marks what it found and moves on by as much: what was
marked is marked once, however often it is begun.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.permissions import May, require
from server.accounts.service import Viewer
from server.audit import service as audit
from server.database import tenancy
from server.database.columns import now
from server.database.engine import Sessions
from server.followup import opening
from server.followup.states import State
from server.problems import NotFound, Problem
from server.recalls import repository
from server.recalls.models import Recall
from server.recalls.repository import RELIED_ON, Affected, Listed, Scope, Touched

PORTION = 1_000
# Portions done within the request that records a recall, so that a small one is done when its page is shown.
AT_ONCE = 5
# A batch may take this long from the time it gave its results to its commit.
LOOK_BACK = timedelta(minutes=10)
REASON_MAX = 2_000
VALUE_MAX = 64
PEOPLE_ROWS = 200
FILE_ROWS = 1_000


class RecallRefused(Problem):
    """What was asked for is no recall; `extra["field"]` names the field that is wrong."""

    status = 422
    code = "recall-refused"
    title = "This cannot be recalled"


class AlreadyLifted(Problem):
    """Somebody else was quicker."""

    status = 409
    code = "recall-already-lifted"
    title = "This recall is not in force any more"


@dataclass(frozen=True, slots=True)
class Standing:
    """A recall, and what it has marked so far."""

    listed: Listed
    touched: Touched


def check(scope: Scope) -> None:
    """Raises `RecallRefused` for a scope that holds everything, or nothing ever."""
    if not (scope.lot or scope.reader_id or scope.firmware or scope.algorithm):
        raise RecallRefused(
            "Give a lot, a reader, a firmware version or an algorithm version. Dates alone are not enough.",
            extra={"field": "lot"},
        )
    for name in ("lot", "firmware", "algorithm"):
        value = getattr(scope, name)
        if value is not None and (len(value) > VALUE_MAX or not value.isprintable()):
            raise RecallRefused(f"Write it as it is printed, at most {VALUE_MAX} characters.", extra={"field": name})
    if scope.tested_from and scope.tested_to and scope.tested_from > scope.tested_to:
        raise RecallRefused("The last day is before the first.", extra={"field": "to-day"})


async def preview(session: AsyncSession, viewer: Viewer, scope: Scope) -> Touched:
    """What a recall of that scope would mark now; nothing is kept. Raises `RecallRefused`, `NotAllowed`."""
    require(viewer, May.RECALL)
    check(scope)
    await _audited(session, viewer, "recall.preview", "none", _detail(scope))
    return await repository.touched(session, viewer.organisation_id, scope)


async def make(session: AsyncSession, viewer: Viewer, scope: Scope, reason: str) -> Recall:
    """Put a recall in force; `go_on` marks what it holds. Raises `RecallRefused`, `NotAllowed`."""
    require(viewer, May.RECALL)
    check(scope)
    if not _words(reason):
        raise RecallRefused(
            f"Write why these results must not be relied on, in at most {REASON_MAX:,} characters.",
            extra={"field": "reason"},
        )
    if scope.reader_id is not None and scope.reader_id not in {one for one, _ in await repository.choices(session)}:
        raise RecallRefused("Choose a reader of your organisation.", extra={"field": "reader"})
    recall = Recall(
        organisation_id=viewer.organisation_id,
        lot=scope.lot,
        reader_id=scope.reader_id,
        firmware=scope.firmware,
        algorithm=scope.algorithm,
        tested_from=scope.tested_from,
        tested_to=scope.tested_to,
        reason=reason.strip(),
        made_by=viewer.account_id,
    )
    await _audited(session, viewer, "recall.make", str(recall.id), _detail(scope))
    session.add(recall)
    await session.flush()
    return recall


async def lift(session: AsyncSession, viewer: Viewer, recall_id: UUID, why: str, *, close: bool = False) -> int:
    """End a recall: it marks nothing more, and its results are not called recalled. Its follow-ups go on.

    With `close`, those that are open for it alone, and that nobody has acted on yet, are closed with the same reason;
    how many. Raises `RecallRefused` without a reason, `AlreadyLifted`, `NotFound`, `NotAllowed`.
    """
    require(viewer, May.RECALL)
    if not _words(why):
        raise RecallRefused("Write why these results may be relied on after all.", extra={"field": "why"})
    await _audited(session, viewer, "recall.lift", str(recall_id), {"close": close})
    recall = await repository.take(session, recall_id, wait=True)
    if recall is None:
        raise NotFound("There is no such recall in your organisation.")
    if recall.lifted_at is not None:
        raise AlreadyLifted("Somebody else has lifted it. Load the page again.")
    recall.lifted_at, recall.lifted_by, recall.why_lifted = now(), viewer.account_id, why.strip()
    session.add(recall)
    await session.flush()
    if not close:
        return 0
    note = f"Recall lifted: {why.strip()}"[:REASON_MAX]
    return await repository.close_opened_only(session, recall_id, viewer.account_id, note, recall.lifted_at)


async def opened_only(session: AsyncSession, viewer: Viewer, recall_id: UUID) -> int:
    """How many follow-ups lifting the recall could close. Raises `NotAllowed`."""
    require(viewer, May.RECALL)
    return await repository.opened_only(session, recall_id)


async def go_on(sessions: Sessions, organisation_id: UUID, recall_id: UUID, portions: int | None = None) -> bool:
    """Mark what the recall holds, in transactions of `PORTION` results looked at, at most so many; whether it is done.

    Safe to be cut off anywhere, and to be run by several at once.
    """
    while portions is None or portions > 0:
        async with tenancy.transaction(sessions, organisation_id) as session:
            more = await _portion(session, recall_id, now())
        if not more:
            return True
        portions = None if portions is None else portions - 1
    return False


async def go_on_with_all(sessions: Sessions, organisation_id: UUID) -> None:
    """Every recall in force: those not whole yet go on, the others look at what has arrived since."""
    async with tenancy.transaction(sessions, organisation_id) as session:
        found = await repository.in_force(session, organisation_id)
    for recall_id in found:
        await go_on(sessions, organisation_id, recall_id)


async def _portion(session: AsyncSession, recall_id: UUID, at: datetime) -> bool:
    """One portion; whether there is more to look at."""
    recall = await repository.take(session, recall_id)
    if recall is None or recall.lifted_at is not None:
        return False
    stretch = await repository.stretch(session, recall, PORTION)
    if stretch.last_at is not None:
        await _mark(session, recall, await repository.unmarked(session, recall, stretch), at)
        recall.looked_to, recall.looked_id = stretch.last_at, stretch.last_id
    whole = stretch.looked < PORTION
    if whole:
        recall.whole_at = recall.whole_at or at
        # What is looked at once more is not marked once more.
        floor = at - LOOK_BACK
        if recall.looked_to is not None and recall.looked_to > floor:
            recall.looked_to, recall.looked_id = floor, UUID(int=0)
    session.add(recall)
    await session.flush()
    return not whole


async def _mark(session: AsyncSession, recall: Recall, found: list[tuple[UUID, UUID, str, int]], at: datetime) -> None:
    """Mark results, and see to it that somebody follows up each one that was relied on."""
    if not found:
        return
    open_now = await repository.states(session, [one[0] for one in found])
    done: dict[UUID, str] = {}
    missing: list[opening.New] = []
    for result_id, site_id, assay, outcome in found:
        if result_id in open_now:
            done[result_id] = "open" if open_now[result_id] else "reopened"
        elif outcome in RELIED_ON:
            done[result_id] = "opened"
            missing.append(opening.New(result_id, site_id, assay, outcome))
        else:
            done[result_id] = "marked"
    again = [result_id for result_id, did in done.items() if did == "reopened"]
    if again:
        await repository.reopen(session, recall, again, State.NEW, at)
    if missing:
        await opening.open_recalled(session, recall.organisation_id, at, missing)
    await repository.mark(session, recall, done, at)


async def every(
    session: AsyncSession,
    viewer: Viewer,
    before: tuple[datetime, UUID] | None = None,
    most: int = repository.LISTED,
) -> list[Listed]:
    """The organisation's recalls, the newest first; see `repository.listed`."""
    require(viewer, May.READ_RESULTS)
    return await repository.listed(session, viewer.organisation_id, before=before, most=most)


async def one(session: AsyncSession, viewer: Viewer, recall_id: UUID) -> Standing:
    """A recall with what it has marked. Raises `NotFound`."""
    require(viewer, May.READ_RESULTS)
    return await standing(session, viewer, recall_id)


async def standing(session: AsyncSession, viewer: Viewer, recall_id: UUID) -> Standing:
    """As `one`, for somebody whose right to see it was asked before. Raises `NotFound`."""
    found = await repository.listed(session, viewer.organisation_id, recall_id)
    if not found:
        raise NotFound("There is no such recall in your organisation.")
    return Standing(found[0], await repository.marked(session, viewer.organisation_id, recall_id))


async def people(session: AsyncSession, viewer: Viewer, recall_id: UUID, page: int) -> tuple[list[Affected], bool]:
    """A page of the people behind a recall's results, and whether there is more; audited before it is read."""
    require(viewer, May.FOLLOW_UP)
    await _audited(session, viewer, "recall.people", str(recall_id), {"page": page})
    found = await repository.affected(session, recall_id, page, PEOPLE_ROWS)
    return found[:PEOPLE_ROWS], len(found) > PEOPLE_ROWS


async def people_after(
    session: AsyncSession, viewer: Viewer, recall_id: UUID, after: UUID | None, most: int
) -> list[Affected]:
    """What a recall marked, in the order of result ids, those `after` one where it is given; audited before it is read.

    Raises `NotFound`, `NotAllowed`.
    """
    require(viewer, May.READ_PATIENTS)
    await _audited(session, viewer, "recall.people", str(recall_id), {"after": str(after) if after else None})
    if not await repository.listed(session, viewer.organisation_id, recall_id):
        raise NotFound("There is no such recall in your organisation.")
    return await repository.affected_after(session, recall_id, after, most)


async def may_download(session: AsyncSession, viewer: Viewer, recall_id: UUID) -> None:
    """Write that the whole list is downloaded, before the first of it is read. Raises `NotFound`, `NotAllowed`."""
    require(viewer, May.FOLLOW_UP)
    await _audited(session, viewer, "recall.download", str(recall_id))
    if not await repository.listed(session, viewer.organisation_id, recall_id):
        raise NotFound("There is no such recall in your organisation.")


def _words(said: str) -> bool:
    return bool(said.strip()) and len(said) <= REASON_MAX and "\x00" not in said


def _detail(scope: Scope) -> dict[str, object]:
    return {
        "lot": scope.lot,
        "reader": scope.reader_id.hex() if scope.reader_id else None,
        "firmware": scope.firmware,
        "algorithm": scope.algorithm,
        "from": scope.tested_from.isoformat() if scope.tested_from else None,
        "to": scope.tested_to.isoformat() if scope.tested_to else None,
    }


async def _audited(
    session: AsyncSession, viewer: Viewer, action: str, subject: str, detail: dict[str, object] | None = None
) -> None:
    await audit.record(
        session,
        organisation_id=viewer.organisation_id,
        actor=audit.Actor("account", str(viewer.account_id)),
        action=action,
        purpose=viewer.purpose,
        subject_kind="recall",
        subject=subject,
        detail=detail,
    )
