"""Acknowledging many negatives at once: only what is plainly negative, and never what anything speaks against."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlmodel.ext.asyncio.session import AsyncSession

from reader import outcome as outcomes
from server.accounts.permissions import May, require
from server.accounts.service import Viewer
from server.audit import service as audit
from server.database.columns import now
from server.followup.models import Acknowledgement
from server.problems import Problem
from server.results.models import Recomputation
from server.worklist import repository
from server.worklist.repository import PAGE_ROWS, Row


class NothingChosen(Problem):
    """No result was ticked, or more than a page of ours holds."""

    status = 422
    code = "nothing-chosen"
    title = "Nothing was acknowledged"


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Which were acknowledged, and which were not, each with why."""

    done: list[Row]
    refused: list[tuple[Row, str]]


def doubt(row: Row) -> str:
    """Why a result is not to be acknowledged together with others, in a sentence; empty when nothing speaks against it.

    A result that the server has not yet analysed itself is not plain: its own analysis may come to another outcome.
    """
    result = row.result
    if result.outcome != outcomes.NEGATIVE or result.reason != outcomes.NONE:
        return "It is not plainly negative."
    if any(one.get("outcome") != outcomes.NEGATIVE for one in result.analytes):
        return "Something that was looked for is not negative."
    if row.standing is not None:
        return "Somebody has said something else of it than the reader."
    if row.recalled:
        return "It is recalled."
    if row.conflict:
        return "Another record claims its place."
    if row.follow_up is not None and row.follow_up.due_at is not None:
        return "It is being followed up."
    if result.recomputation is None:
        return "The server has not analysed its trace yet. Try again in a minute."
    if result.recomputation != Recomputation.AGREES:
        return "The server's own analysis did not confirm it."
    if result.checks:
        return "A self-check of the reader failed."
    return ""


async def acknowledge(session: AsyncSession, viewer: Viewer, ids: Sequence[UUID]) -> Acknowledged:
    """Acknowledge those of the results that are plainly negative, once each; the others are left as they are.

    In the session's transaction, which is bound to the organisation. Raises `NothingChosen`, `NotAllowed`.
    """
    require(viewer, May.FOLLOW_UP)
    if not 0 < len(ids) <= PAGE_ROWS:
        raise NothingChosen(f"Tick the results that you have seen, at most {PAGE_ROWS} at once.")
    await audit.record(
        session,
        organisation_id=viewer.organisation_id,
        actor=audit.Actor("account", str(viewer.account_id)),
        action="result.acknowledge",
        purpose="care",
        subject_kind="results",
        subject="many",
        detail={"results": [str(one) for one in ids]},
    )
    rows = await repository.of_ids(session, ids)
    judged = [(row, doubt(row)) for row in rows]
    plain = [row for row, why in judged if not why]
    if plain:
        at = now()
        values = [
            {
                "result_id": row.result.id,
                "organisation_id": viewer.organisation_id,
                "account_id": viewer.account_id,
                "at": at,
            }
            for row in plain
        ]
        # Whoever was first has acknowledged it; a second one changes nothing.
        await PlainSession.execute(session, insert(Acknowledgement).on_conflict_do_nothing(), values)
    return Acknowledged(plain, [(row, why) for row, why in judged if why])
