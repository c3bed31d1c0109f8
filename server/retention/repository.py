"""All SQL of retention: what is due under a rule, what holds it back, and the calls that erase."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text, TextClause, cast, func, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.models import Account
from server.retention.models import ErasedPerson, ErasedRecord, Erasure, RetentionRule

LISTED = 200

# Somebody waits, or is waited for.
_OPEN = "EXISTS (SELECT FROM follow_up f WHERE f.result_id = r.id AND f.due_at IS NOT NULL)"
# It ended so lately that its time has not come.
_LATE = "EXISTS (SELECT FROM follow_up f WHERE f.result_id = r.id AND f.ended_at >= :before)"
# Evidence that is in dispute is not destroyed.
_UNPROVED = """EXISTS (
    SELECT FROM sealed_record s JOIN custody c ON c.reader_id = s.reader_id
    WHERE s.reader_id = r.reader_id AND s.number = r.number
      AND (s.number > c.held_to OR substr(sha256(s.sealed), 1, 16) <> s.chain_hash)
)"""
_HERE = "(SELECT doorstep_organisation())"
_OF_PERSON = f"""
    SELECT FROM specimen_link l JOIN result r ON r.organisation_id = l.organisation_id AND r.specimen = l.specimen
    WHERE l.organisation_id = {_HERE} AND l.patient_id = p.id AND l.ended_at IS NULL
"""
_PERSON_DUE = f"""
    p.organisation_id = {_HERE} AND p.merged_into IS NULL AND p.created_at < :before
    AND NOT EXISTS (
        SELECT FROM patient_change c WHERE (c.patient_id = p.id OR c.other_id = p.id) AND c.at >= :before
    )
    AND NOT EXISTS (
        SELECT FROM specimen_link l WHERE l.patient_id = p.id AND greatest(l.linked_at, l.ended_at) >= :before
    )
    AND NOT EXISTS ({_OF_PERSON} AND (r.received_at >= :before OR {_LATE}))
"""  # noqa: S608 - made of the constants above, as everything here
_PERSON_HELD = f"EXISTS ({_OF_PERSON} AND ({_OPEN} OR {_UNPROVED}))"

_RESULTS_DUE = f"r.organisation_id = {_HERE} AND r.received_at < :before AND NOT {_LATE}"
_DUE_RESULTS = text(
    f"""
    SELECT r.id FROM result r WHERE {_RESULTS_DUE} AND NOT {_OPEN} AND NOT {_UNPROVED}
    ORDER BY r.received_at, r.id LIMIT :portion
    """  # noqa: S608
)
_DUE_PEOPLE = text(
    f"SELECT p.id FROM patient p WHERE {_PERSON_DUE} AND NOT {_PERSON_HELD} ORDER BY p.id LIMIT :portion"  # noqa: S608
)
# Sealed bytes are not hashed to count: whether they are proved is looked at when they are erased.
_COUNT_RESULTS = text(
    f"SELECT count(*), count(*) FILTER (WHERE {_OPEN}) FROM result r WHERE {_RESULTS_DUE}"  # noqa: S608
)
_COUNT_PEOPLE = text(
    f"SELECT count(*), count(*) FILTER (WHERE EXISTS ({_OF_PERSON} AND {_OPEN})) FROM patient p WHERE {_PERSON_DUE}"  # noqa: S608
)
_COUNT_SET_ASIDE = text(
    f"""
    SELECT count(*), 0 FROM quarantine
    WHERE organisation_id = {_HERE} AND status = 'processed' AND processed_at < :before AND content <> ''
    """  # noqa: S608
)


@dataclass(frozen=True, slots=True)
class Due:
    """How many a rule would erase now, and how many of what is due are held back, because a follow-up is open."""

    erased: int
    held_back: int


async def rules(session: AsyncSession) -> dict[str, RetentionRule]:
    """The organisation's rules, by kind."""
    found = (await PlainSession.execute(session, select(RetentionRule))).scalars()
    return {one.kind: one for one in found}


async def set_rule(session: AsyncSession, organisation_id: UUID, kind: str, months: int | None, at: datetime) -> None:
    """Keep that kind for so long from now on."""
    values = {"organisation_id": organisation_id, "kind": kind, "months": months, "changed_at": at}
    statement = insert(RetentionRule).values(values)
    statement = statement.on_conflict_do_update(
        index_elements=["organisation_id", "kind"], set_={"months": months, "changed_at": at}
    )
    await PlainSession.execute(session, statement)


async def results_due(session: AsyncSession, before: datetime, portion: int) -> list[UUID]:
    """Results that a rule erases, the oldest first, at most so many."""
    return await _ids(session, _DUE_RESULTS, {"before": before, "portion": portion})


async def people_due(session: AsyncSession, before: datetime, portion: int) -> list[UUID]:
    """People whom a rule erases, at most so many."""
    return await _ids(session, _DUE_PEOPLE, {"before": before, "portion": portion})


async def count_results(session: AsyncSession, before: datetime) -> Due:
    """How many results are due."""
    return await _due(session, _COUNT_RESULTS, before)


async def count_people(session: AsyncSession, before: datetime) -> Due:
    """How many people are due."""
    return await _due(session, _COUNT_PEOPLE, before)


async def count_set_aside(session: AsyncSession, before: datetime) -> Due:
    """How many items of quarantine, dealt with before then, still have their bytes."""
    return await _due(session, _COUNT_SET_ASIDE, before)


async def _due(session: AsyncSession, statement: TextClause, before: datetime) -> Due:
    all_, held = (await (await session.connection()).execute(statement, {"before": before})).one()
    return Due(all_ - held, held)


async def _ids(session: AsyncSession, statement: TextClause, parameters: dict[str, Any]) -> list[UUID]:
    return list((await (await session.connection()).execute(statement, parameters)).scalars())


_PEOPLE_THERE = text(
    f"SELECT p.id FROM patient p WHERE p.organisation_id = {_HERE} AND p.id = ANY (CAST(:named AS uuid[]))"  # noqa: S608
    f" AND NOT {_PERSON_HELD} ORDER BY p.id LIMIT :portion"
)
_RESULTS_THERE = text(
    f"""
    SELECT r.id FROM result r
    JOIN unnest(CAST(:readers AS text[]), CAST(:numbers AS bigint[])) AS named (reader, number)
        ON r.reader_id = decode(named.reader, 'hex') AND r.number = named.number
    WHERE r.organisation_id = {_HERE} AND NOT {_OPEN} AND NOT {_UNPROVED} ORDER BY r.id LIMIT :portion
    """  # noqa: S608
)
_COUNT_THERE = text(
    f"""
    SELECT (SELECT count(*) FROM patient p WHERE p.organisation_id = {_HERE} AND p.id = ANY (CAST(:named AS uuid[])))
        + (SELECT count(*) FROM result r
           JOIN unnest(CAST(:readers AS text[]), CAST(:numbers AS bigint[])) AS named (reader, number)
               ON r.reader_id = decode(named.reader, 'hex') AND r.number = named.number
           WHERE r.organisation_id = {_HERE})
    """  # noqa: S608
)


@dataclass(frozen=True, slots=True)
class Named:
    """People by id and records by (reader in hexadecimal, number)."""

    people: tuple[str, ...] = ()
    records: tuple[tuple[str, int], ...] = ()

    def parameters(self) -> dict[str, Any]:
        return {
            "named": list(self.people),
            "readers": [reader for reader, _ in self.records],
            "numbers": [number for _, number in self.records],
        }


async def people_there(session: AsyncSession, named: Named, portion: int) -> list[UUID]:
    """Those of the people named who are there and held back by nothing."""
    return await _ids(session, _PEOPLE_THERE, {"named": list(named.people), "portion": portion})


async def results_there(session: AsyncSession, named: Named, portion: int) -> list[UUID]:
    """The results of those of the records named which are there and held back by nothing."""
    parameters = named.parameters()
    del parameters["named"]
    return await _ids(session, _RESULTS_THERE, {**parameters, "portion": portion})


async def count_there(session: AsyncSession, named: Named) -> int:
    """How many of the people and records named are there."""
    return (await (await session.connection()).execute(_COUNT_THERE, named.parameters())).scalar_one()


_PERSON = text(
    f"""
    SELECT count(*) AS results, count(*) FILTER (WHERE {_OPEN}) AS open,
           count(*) FILTER (WHERE {_UNPROVED}) AS unproved, count(DISTINCT l.specimen) AS specimens
    FROM specimen_link l JOIN result r ON r.organisation_id = l.organisation_id AND r.specimen = l.specimen
    WHERE l.organisation_id = {_HERE} AND l.patient_id = :patient_id AND l.ended_at IS NULL
    """  # noqa: S608
)


@dataclass(frozen=True, slots=True)
class OfPerson:
    """What there is of somebody; `open` follow-ups and `unproved` records hold an erasure back."""

    results: int
    open: int
    unproved: int
    specimens: int


async def of_person(session: AsyncSession, patient_id: UUID) -> OfPerson:
    """What there is of somebody."""
    row = (await (await session.connection()).execute(_PERSON, {"patient_id": patient_id})).one()
    return OfPerson(row.results, row.open, row.unproved, row.specimens)


async def add(session: AsyncSession, erasure: Erasure) -> None:
    """Write an erasure that begins, or how far one has come."""
    session.add(erasure)
    await session.flush()


async def take(session: AsyncSession, erasure_id: UUID) -> Erasure | None:
    """The erasure, held for this transaction; None where another is just at it, or there is none."""
    statement = select(Erasure).where(col(Erasure.id) == erasure_id).with_for_update(skip_locked=True)
    return (await PlainSession.execute(session, statement)).scalar_one_or_none()


async def under_way(session: AsyncSession) -> list[UUID]:
    """Erasures that are not finished, the oldest first."""
    statement = select(col(Erasure.id)).where(col(Erasure.finished_at).is_(None)).order_by(col(Erasure.made_at))
    return list((await PlainSession.execute(session, statement)).scalars())


async def listed(
    session: AsyncSession,
    erasure_id: UUID | None = None,
    *,
    before: tuple[datetime, UUID] | None = None,
    most: int = LISTED,
) -> list[tuple[Erasure, str]]:
    """Erasures, the newest first, each with who had it done; one of them where an id is given.

    `before` is where the page before ended: its last erasure's beginning and id.
    """
    statement = (
        select(Erasure, func.coalesce(col(Account.name), col(Erasure.actor)))
        .outerjoin(Account, cast(col(Account.id), Text) == col(Erasure.actor))
        .order_by(col(Erasure.made_at).desc(), col(Erasure.id).desc())
        .limit(most)
    )
    if erasure_id is not None:
        statement = statement.where(col(Erasure.id) == erasure_id)
    if before is not None:
        statement = statement.where(tuple_(col(Erasure.made_at), col(Erasure.id)) < before)
    return [(row[0], row[1]) for row in (await PlainSession.execute(session, statement)).all()]


_ERASE = text("SELECT results, people FROM doorstep_erase(:which, CAST(:chosen AS uuid[]), CAST(:persons AS uuid[]))")
_CLEAR = text("SELECT doorstep_clear(:which, :before, :portion)")


async def erase(
    session: AsyncSession, erasure_id: UUID, results: Sequence[UUID], people: Sequence[UUID]
) -> tuple[int, int]:
    """Destroy those results, and those people with all that is theirs; how many of each.

    The database refuses it (`object_in_use`) where somebody is waited for or a record is not proved.
    """
    parameters = {"which": erasure_id, "chosen": list(results), "persons": list(people)}
    row = (await (await session.connection()).execute(_ERASE, parameters)).one()
    return row.results, row.people


async def clear(session: AsyncSession, erasure_id: UUID, before: datetime, portion: int) -> int:
    """Destroy the bytes of items that left quarantine before then, at most so many; how many."""
    parameters = {"which": erasure_id, "before": before, "portion": portion}
    return (await (await session.connection()).execute(_CLEAR, parameters)).scalar_one()


async def erased_records(session: AsyncSession, erasure_id: UUID) -> list[ErasedRecord]:
    """What an erasure destroyed, by reader and number."""
    statement = (
        select(ErasedRecord)
        .where(col(ErasedRecord.erasure_id) == erasure_id)
        .order_by(col(ErasedRecord.reader_id), col(ErasedRecord.number))
    )
    return list((await PlainSession.execute(session, statement)).scalars())


async def erased_people(session: AsyncSession, erasure_id: UUID) -> list[UUID]:
    """The ids of entries that an erasure destroyed."""
    statement = (
        select(col(ErasedPerson.patient_id))
        .where(col(ErasedPerson.erasure_id) == erasure_id)
        .order_by(col(ErasedPerson.patient_id))
    )
    return list((await PlainSession.execute(session, statement)).scalars())


async def erasure_of_result(session: AsyncSession, result_id: UUID) -> tuple[UUID, datetime] | None:
    """(erasure, when) of a result that was there once; None for any other."""
    statement = select(col(ErasedRecord.erasure_id), col(ErasedRecord.at)).where(
        col(ErasedRecord.result_id) == result_id
    )
    row = (await PlainSession.execute(session, statement)).first()
    return None if row is None else (row[0], row[1])
