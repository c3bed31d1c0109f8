"""All SQL of corrections: versions are added and read, never changed."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.models import Account
from server.corrections.models import Correction
from server.custody.models import SealedRecord
from server.results.models import Result


async def take(session: AsyncSession, result_id: UUID) -> tuple[Result, bytes] | None:
    """A result, held so that nobody corrects it meanwhile, and the chain hash of its record; None without one."""
    statement = (
        select(Result, col(SealedRecord.chain_hash))
        .join(
            SealedRecord,
            (col(SealedRecord.reader_id) == col(Result.reader_id)) & (col(SealedRecord.number) == col(Result.number)),
        )
        .where(col(Result.id) == result_id)
        .with_for_update(of=Result, key_share=True)
    )
    row = (await PlainSession.execute(session, statement)).one_or_none()
    return None if row is None else (row[0], bytes(row[1]))


async def versions(session: AsyncSession, result_id: UUID) -> list[tuple[Correction, str]]:
    """The versions of a result after the reader's, the oldest first, each with the name of whoever made it."""
    statement = (
        select(Correction, col(Account.name))
        .join(Account, col(Account.id) == col(Correction.account_id))
        .where(col(Correction.result_id) == result_id)
        .order_by(col(Correction.version))
    )
    return [(row[0], row[1]) for row in (await PlainSession.execute(session, statement)).all()]


async def add(session: AsyncSession, correction: Correction) -> None:
    """Write a version now."""
    session.add(correction)
    await session.flush()


async def current(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Correction]:
    """The last version of each of those results that has one."""
    statement = (
        select(Correction)
        .ext(distinct_on(col(Correction.result_id)))
        .where(col(Correction.result_id).in_(ids))
        .order_by(col(Correction.result_id), col(Correction.version).desc())
    )
    return {one.result_id: one for one in (await PlainSession.execute(session, statement)).scalars()}


def standing() -> Any:
    """`corrected:2`, `withdrawn:` or `restored:` of the last version of a result, null where there is none."""
    said = func.concat(col(Correction.kind), ":", col(Correction.outcome))
    statement: Select[Any] = (
        select(said)
        .where(col(Correction.result_id) == col(Result.id))
        .order_by(col(Correction.version).desc())
        .limit(1)
    )
    return statement.correlate(Result).scalar_subquery().label("standing")
