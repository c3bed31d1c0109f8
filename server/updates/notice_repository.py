"""SQL of who is to be told that a rollout was paused by its limits, and of what came of telling them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.models import Account
from server.updates.models import FirmwareRelease, Rollout, RolloutNotice, State

Key = tuple[UUID, datetime, UUID]
"""(rollout, when it was paused, account) of a notice."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody who is to be told of a pause, and of which."""

    notice: RolloutNotice
    why: str
    release: int
    version: str
    name: str
    email: str


async def untold(session: AsyncSession, at: datetime) -> Sequence[Key]:
    """Who is to be told at that moment of a rollout that is paused still, and may still sign in, the oldest first."""
    statement = (
        select(col(RolloutNotice.rollout_id), col(RolloutNotice.paused_at), col(RolloutNotice.account_id))
        .join(Rollout, col(Rollout.id) == col(RolloutNotice.rollout_id))
        .join(Account, col(Account.id) == col(RolloutNotice.account_id))
        .where(
            col(RolloutNotice.sent_at).is_(None),
            col(RolloutNotice.retry_at) <= at,
            col(Rollout.state) == State.PAUSED,
            col(Rollout.changed_at) == col(RolloutNotice.paused_at),
            col(Account.active),
        )
        .order_by(col(RolloutNotice.paused_at), col(RolloutNotice.account_id))
    )
    return [(row[0], row[1], row[2]) for row in (await PlainSession.execute(session, statement)).all()]


async def take(session: AsyncSession, key: Key) -> Waiting | None:
    """One who is to be told, held for this transaction; None where they were told, or another is just telling them."""
    rollout_id, paused_at, account_id = key
    statement = (
        select(
            RolloutNotice,
            col(Rollout.why),
            col(FirmwareRelease.release),
            col(FirmwareRelease.version),
            col(Account.name),
            col(Account.email),
        )
        .join(Rollout, col(Rollout.id) == col(RolloutNotice.rollout_id))
        .join(FirmwareRelease, col(FirmwareRelease.image_id) == col(Rollout.image_id))
        .join(Account, col(Account.id) == col(RolloutNotice.account_id))
        .where(
            col(RolloutNotice.rollout_id) == rollout_id,
            col(RolloutNotice.paused_at) == paused_at,
            col(RolloutNotice.account_id) == account_id,
            col(RolloutNotice.sent_at).is_(None),
        )
        .with_for_update(of=RolloutNotice, skip_locked=True)
    )
    row = (await PlainSession.execute(session, statement)).one_or_none()
    return None if row is None else Waiting(row[0], row[1], row[2], row[3], row[4], row[5])
