"""All SQL of recalls: what they fit, a portion at a time, and whom they concern; inside one organisation."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, func, insert, literal, or_, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlalchemy.orm import aliased
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from reader import outcome as outcomes
from server.accounts.models import Account
from server.followup.models import FollowUp
from server.followup.states import Ending, State
from server.organisations.models import Site
from server.patients.models import Patient, SpecimenLink
from server.readers.models import Reader
from server.recalls.models import Recall, RecalledResult
from server.results.models import Result

RELIED_ON = (outcomes.POSITIVE, outcomes.NEGATIVE, outcomes.INDETERMINATE)
"""Outcomes that somebody may have acted on; an invalid test or an error said nothing."""
LISTED = 200


@dataclass(frozen=True, slots=True)
class Scope:
    """What a recall is of; see `Recall`."""

    lot: str | None = None
    reader_id: bytes | None = None
    firmware: str | None = None
    algorithm: str | None = None
    tested_from: datetime | None = None
    tested_to: datetime | None = None

    @classmethod
    def of(cls, recall: Recall) -> "Scope":
        return cls(
            recall.lot, recall.reader_id, recall.firmware, recall.algorithm, recall.tested_from, recall.tested_to
        )

    def fits(self) -> list[ColumnElement[bool]]:
        """The results it is of. One whose test time is doubtful is left out only where no time it may have fits."""
        exact = (
            (col(Result.lot), self.lot),
            (col(Result.reader_id), self.reader_id),
            (col(Result.firmware), self.firmware),
            (col(Result.algorithm), self.algorithm),
        )
        chosen = [column == value for column, value in exact if value is not None]
        doubt = func.make_interval(0, 0, 0, 0, 0, 0, func.coalesce(col(Result.tested_uncertainty_ms), 0) / 1000.0)
        if self.tested_from is not None:
            chosen.append(func.coalesce(col(Result.tested_at) + doubt, col(Result.received_at)) >= self.tested_from)
        if self.tested_to is not None:
            chosen.append(or_(col(Result.tested_at).is_(None), col(Result.tested_at) - doubt <= self.tested_to))
        return chosen


@dataclass(frozen=True, slots=True)
class Touched:
    """How many results a scope holds, of how many people, how many of nobody that is known, by outcome."""

    results: int
    people: int
    unknown: int
    positive: int
    negative: int
    indeterminate: int
    no_result: int


def _counted(organisation_id: UUID, *chosen: ColumnElement[bool]) -> Any:
    """The statement of `Touched` over what is chosen of results."""
    outcome = col(Result.outcome)
    return (
        select(
            func.count(),
            func.count(col(SpecimenLink.patient_id).distinct()),
            func.count().filter(col(SpecimenLink.patient_id).is_(None)),
            func.count().filter(outcome == outcomes.POSITIVE),
            func.count().filter(outcome == outcomes.NEGATIVE),
            func.count().filter(outcome == outcomes.INDETERMINATE),
            func.count().filter(outcome.not_in(RELIED_ON)),
        )
        .select_from(Result)
        .outerjoin(SpecimenLink, _whose())
        .where(col(Result.organisation_id) == organisation_id, *chosen)
    )


def _whose() -> ColumnElement[bool]:
    return and_(
        col(SpecimenLink.organisation_id) == col(Result.organisation_id),
        col(SpecimenLink.specimen) == col(Result.specimen),
        col(SpecimenLink.ended_at).is_(None),
    )


async def touched(session: AsyncSession, organisation_id: UUID, scope: Scope) -> Touched:
    """What a recall of that scope would mark now."""
    row = (await PlainSession.execute(session, _counted(organisation_id, *scope.fits()))).one()
    return Touched(*row)


async def marked(session: AsyncSession, organisation_id: UUID, recall_id: UUID) -> Touched:
    """What a recall has marked."""
    mine = select(col(RecalledResult.result_id)).where(col(RecalledResult.recall_id) == recall_id)
    row = (await PlainSession.execute(session, _counted(organisation_id, col(Result.id).in_(mine)))).one()
    return Touched(*row)


async def in_force(session: AsyncSession, organisation_id: UUID) -> list[UUID]:
    """The recalls that are not lifted, the oldest first."""
    statement = (
        select(col(Recall.id))
        .where(col(Recall.organisation_id) == organisation_id, col(Recall.lifted_at).is_(None))
        .order_by(col(Recall.made_at), col(Recall.id))
    )
    return list((await PlainSession.execute(session, statement)).scalars().all())


async def take(session: AsyncSession, recall_id: UUID, *, wait: bool = False) -> Recall | None:
    """The recall, held for this transaction; None when there is none, or another holds it and `wait` is false."""
    statement = select(Recall).where(col(Recall.id) == recall_id).with_for_update(skip_locked=not wait)
    return (await PlainSession.execute(session, statement)).scalar_one_or_none()


@dataclass(frozen=True, slots=True)
class Stretch:
    """Results in the order of their arrival: how many were looked at, where the last one is."""

    looked: int
    last_at: datetime | None
    last_id: UUID | None


async def stretch(session: AsyncSession, recall: Recall, most: int) -> Stretch:
    """The next `most` results after where the recall has come to, whether they fit or not."""
    following = select(col(Result.id), col(Result.received_at)).where(
        col(Result.organisation_id) == recall.organisation_id
    )
    if recall.looked_to is not None:
        following = following.where(_after(recall))
    ordered = following.order_by(col(Result.received_at), col(Result.id)).limit(most).subquery()
    last = select(ordered.c.received_at, ordered.c.id).order_by(ordered.c.received_at.desc(), ordered.c.id.desc())
    counted = select(func.count()).select_from(ordered).scalar_subquery()
    row = (await PlainSession.execute(session, last.add_columns(counted).limit(1))).one_or_none()
    return Stretch(0, None, None) if row is None else Stretch(row[2], row[0], row[1])


def _after(recall: Recall) -> ColumnElement[bool]:
    return tuple_(col(Result.received_at), col(Result.id)) > tuple_(
        literal(recall.looked_to), literal(recall.looked_id)
    )


async def unmarked(session: AsyncSession, recall: Recall, to: Stretch) -> list[tuple[UUID, UUID, str, int]]:
    """(id, site, assay, outcome) of what fits in that stretch and is not marked by this recall yet."""
    known = (
        select(literal(1))
        .where(col(RecalledResult.recall_id) == recall.id, col(RecalledResult.result_id) == col(Result.id))
        .exists()
    )
    statement = select(col(Result.id), col(Result.site_id), col(Result.assay), col(Result.outcome)).where(
        col(Result.organisation_id) == recall.organisation_id,
        tuple_(col(Result.received_at), col(Result.id)) <= tuple_(literal(to.last_at), literal(to.last_id)),
        *Scope.of(recall).fits(),
        ~known,
    )
    if recall.looked_to is not None:
        statement = statement.where(_after(recall))
    # Held, as the exchange's own follow-ups of them would be, so that two recalls do not open the same one.
    found = await PlainSession.execute(session, statement.order_by(col(Result.id)).with_for_update(key_share=True))
    return [(row[0], row[1], row[2], row[3]) for row in found.all()]


async def states(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, bool]:
    """Of those results that have a follow-up, whether it is still open; the follow-ups are held."""
    statement = (
        select(col(FollowUp.result_id), col(FollowUp.due_at).is_not(None))
        .where(col(FollowUp.result_id).in_(ids))
        .order_by(col(FollowUp.result_id))
        .with_for_update()
    )
    return {row[0]: row[1] for row in (await PlainSession.execute(session, statement)).all()}


# As `server.followup.service._reopen` does for one: as long to acknowledge and to act as was given at first.
_REOPEN = text(
    """
    WITH reopened AS (
        UPDATE follow_up SET state = :new, version = version + 1, escalation = 0, tries = 0, ending = NULL,
            acknowledged_at = NULL, contacted_at = NULL, ended_at = NULL, opened_at = :at,
            acknowledge_by = :at + (acknowledge_by - opened_at), act_by = :at + (act_by - opened_at),
            due_at = :at + (acknowledge_by - opened_at), remind_at = :at + (acknowledge_by - opened_at)
        WHERE result_id = ANY(:results) AND due_at IS NULL
        RETURNING result_id, organisation_id, version, state
    )
    INSERT INTO follow_up_event (organisation_id, result_id, version, at, account_id, act, state, note, detail)
    SELECT organisation_id, result_id, version, :at, CAST(:account AS uuid), 'reopen', state, :note,
        jsonb_build_object('recall', CAST(:recall AS text))
    FROM reopened
    """
)


async def reopen(session: AsyncSession, recall: Recall, ids: Sequence[UUID], new: int, at: datetime) -> None:
    """Open again the follow-ups of those results, in the name of who recalled them."""
    values = {
        "new": new,
        "at": at,
        "results": list(ids),
        "account": recall.made_by,
        "note": f"Recalled: {recall.reason}"[:2_000],
        "recall": str(recall.id),
    }
    await (await session.connection()).execute(_REOPEN, values)


# Open for no other reason than a recall, and nobody has done more than take note of it: what a recall in force still
# marks, what a person opened again or tried to reach somebody for, and what other doubt there is, stays open.
_OPENED_ONLY = """
    SELECT f.result_id FROM recalled_result m JOIN follow_up f ON f.result_id = m.result_id
    JOIN result r ON r.id = m.result_id
    JOIN LATERAL (
        SELECT max(o.marked_at) AS at, bool_or(o.did = 'reopened') AS again FROM recalled_result o
        WHERE o.result_id = m.result_id AND o.did IN ('opened', 'reopened')
    ) AS opening ON opening.at IS NOT NULL
    WHERE m.recall_id = :recall AND f.due_at IS NOT NULL AND f.state IN (1, 2) AND f.tries = 0
      AND (r.recomputation IS DISTINCT FROM 'differs' OR opening.again)
      AND NOT EXISTS (SELECT FROM correction c WHERE c.result_id = m.result_id AND c.at >= opening.at)
      AND NOT EXISTS (
          SELECT FROM follow_up_event e WHERE e.result_id = m.result_id AND e.act = 'reopen' AND e.at > opening.at
      )
      AND NOT EXISTS (
          SELECT FROM recalled_result other JOIN recall ON recall.id = other.recall_id
          WHERE other.result_id = m.result_id AND other.recall_id <> m.recall_id AND recall.lifted_at IS NULL
      )
"""
_COUNT_OPENED_ONLY = text(f"SELECT count(*) FROM ({_OPENED_ONLY}) AS theirs")  # noqa: S608 - made of the constant above
_CLOSE_OPENED_ONLY = text(
    f"""
    WITH theirs AS ({_OPENED_ONLY} ORDER BY f.result_id FOR UPDATE OF f),
    closed AS (
        UPDATE follow_up SET state = :closed, version = version + 1, due_at = NULL, remind_at = NULL, ended_at = :at,
            ending = :ending
        WHERE result_id IN (SELECT result_id FROM theirs)
        RETURNING result_id, organisation_id, version, state
    ),
    written AS (
        INSERT INTO follow_up_event (organisation_id, result_id, version, at, account_id, act, state, note, detail)
        SELECT organisation_id, result_id, version, :at, CAST(:account AS uuid), 'close', state, :note,
            jsonb_build_object('recall', CAST(:recall AS text), 'ending', CAST(:ending AS text))
        FROM closed
    )
    SELECT result_id FROM closed
    """  # noqa: S608 - as above
)


async def opened_only(session: AsyncSession, recall_id: UUID) -> int:
    """How many open follow-ups there are for this recall and for no other reason."""
    return (await (await session.connection()).execute(_COUNT_OPENED_ONLY, {"recall": recall_id})).scalar_one()


async def close_opened_only(session: AsyncSession, recall_id: UUID, account_id: UUID, note: str, at: datetime) -> int:
    """Close those, each with its event; how many."""
    values = {
        "recall": recall_id,
        "closed": int(State.CLOSED),
        "ending": str(Ending.RECALL_LIFTED),
        "account": account_id,
        "note": note,
        "at": at,
    }
    return len((await (await session.connection()).execute(_CLOSE_OPENED_ONLY, values)).all())


async def mark(session: AsyncSession, recall: Recall, done: dict[UUID, str], at: datetime) -> None:
    """Write what was done with each result."""
    rows = [
        {
            "recall_id": recall.id,
            "result_id": result_id,
            "organisation_id": recall.organisation_id,
            "marked_at": at,
            "did": did,
        }
        for result_id, did in done.items()
    ]
    await PlainSession.execute(session, insert(RecalledResult), rows)


@dataclass(frozen=True, slots=True)
class Listed:
    """A recall with who made and lifted it, the name of its reader, and how many results it has marked."""

    recall: Recall
    made_by: str
    lifted_by: str | None
    reader: str | None
    results: int


async def listed(
    session: AsyncSession,
    organisation_id: UUID,
    recall_id: UUID | None = None,
    before: tuple[datetime, UUID] | None = None,
    most: int = LISTED,
) -> list[Listed]:
    """The newest recalls, the newest first, at most so many, those `before` one if it is given; or the one asked for.

    `before` is when that one was made, and its id.
    """
    made, lifted = aliased(Account), aliased(Account)
    number = select(func.count()).where(col(RecalledResult.recall_id) == col(Recall.id)).scalar_subquery()
    statement = (
        select(Recall, col(made.name), col(lifted.name), col(Reader.name), number)
        .join(made, col(made.id) == col(Recall.made_by))
        .outerjoin(lifted, col(lifted.id) == col(Recall.lifted_by))
        .outerjoin(Reader, col(Reader.reader_id) == col(Recall.reader_id))
        .where(col(Recall.organisation_id) == organisation_id)
        .order_by(col(Recall.made_at).desc(), col(Recall.id).desc())
        .limit(most)
    )
    if before is not None:
        statement = statement.where(tuple_(col(Recall.made_at), col(Recall.id)) < tuple_(*map(literal, before)))
    if recall_id is not None:
        statement = statement.where(col(Recall.id) == recall_id)
    return [Listed(*row) for row in (await PlainSession.execute(session, statement)).all()]


@dataclass(frozen=True, slots=True)
class Affected:
    """A recalled result with its person, where that is known."""

    result: Result
    did: str
    site: str
    patient: Patient | None
    follow_up: FollowUp | None
    owner: str | None


def _affected(recall_id: UUID) -> Any:
    return (
        select(Result, col(RecalledResult.did), col(Site.name), Patient, FollowUp, col(Account.name))
        .select_from(RecalledResult)
        .join(Result, col(Result.id) == col(RecalledResult.result_id))
        .join(Site, col(Site.id) == col(Result.site_id))
        .outerjoin(SpecimenLink, _whose())
        .outerjoin(Patient, col(Patient.id) == col(SpecimenLink.patient_id))
        .outerjoin(FollowUp, col(FollowUp.result_id) == col(Result.id))
        .outerjoin(Account, col(Account.id) == col(FollowUp.owner_id))
        .where(col(RecalledResult.recall_id) == recall_id)
    )


async def affected(session: AsyncSession, recall_id: UUID, page: int, rows: int) -> list[Affected]:
    """A page of what a recall marked, by the person's name, those of nobody known last; one row more when there is."""
    statement = (
        _affected(recall_id)
        .order_by(
            case((col(Patient.id).is_(None), 1), else_=0),
            col(Patient.family_plain),
            col(Patient.given),
            col(Patient.id),
            col(Result.received_at),
            col(Result.id),
        )
        .offset((page - 1) * rows)
        .limit(rows + 1)
    )
    return [Affected(*row) for row in (await PlainSession.execute(session, statement)).all()]


async def affected_after(session: AsyncSession, recall_id: UUID, after: UUID | None, rows: int) -> list[Affected]:
    """The next rows in the order of result ids, for a file of them all."""
    statement = _affected(recall_id).order_by(col(RecalledResult.result_id)).limit(rows)
    if after is not None:
        statement = statement.where(col(RecalledResult.result_id) > after)
    return [Affected(*row) for row in (await PlainSession.execute(session, statement)).all()]


def recalled() -> ColumnElement[bool]:
    """Whether a recall in force has marked the result."""
    return (
        select(literal(1))
        .where(
            col(RecalledResult.result_id) == col(Result.id),
            col(Recall.id) == col(RecalledResult.recall_id),
            col(Recall.lifted_at).is_(None),
        )
        .exists()
        .label("recalled")
    )


async def of_result(session: AsyncSession, result_id: UUID) -> list[Recall]:
    """Every recall that marked a result, also lifted ones, the newest first."""
    statement = (
        select(Recall)
        .join(RecalledResult, col(RecalledResult.recall_id) == col(Recall.id))
        .where(col(RecalledResult.result_id) == result_id)
        .order_by(col(Recall.made_at).desc())
        .limit(20)
    )
    return list((await PlainSession.execute(session, statement)).scalars().all())


async def choices(session: AsyncSession) -> list[tuple[bytes, str]]:
    """(id, name) of every reader, by name."""
    statement = select(col(Reader.reader_id), col(Reader.name)).order_by(col(Reader.name)).limit(2_000)
    return [(row[0], row[1]) for row in (await PlainSession.execute(session, statement)).all()]
