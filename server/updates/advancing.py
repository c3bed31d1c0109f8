"""Moves rollouts on: decides what is next, sends the update to the readers of a wave, and stops.

Each step is one transaction that holds the rollout's row, so that several at once do no more than one would, and it may
be cut off anywhere: what is left to do stands in the tables.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from reader import wire
from server.audit import service as audit
from server.audit.service import Actor
from server.custody import queueing
from server.database import tenancy
from server.database.columns import now
from server.database.engine import Sessions
from server.readers.keys import Keyring
from server.updates import release_repository as releases
from server.updates import repository, waves
from server.updates.models import Rollout, State
from server.updates.release_repository import Release
from server.updates.waves import Finish, Open, Progress, Settle, Trip, Wait

PORTION = 200
# Steps done within the request that started or stopped a rollout, so that a small one is done when its page is shown.
AT_ONCE = 6
_ACTOR = Actor("job", "rollouts")
_WENT_BACK = (
    "The server was restored from a backup. This rollout may have been paused or stopped since that was made: resume it"
    " only if it was not."
)


async def go_on_with_all(sessions: Sessions, keyring: Keyring, organisation_id: UUID) -> None:
    """Move every rollout of an organisation on as far as it goes now."""
    async with tenancy.transaction(sessions, organisation_id) as session:
        found = await repository.to_go_on_with(session)
    for rollout_id in found:
        await go_on(sessions, keyring, organisation_id, rollout_id)


async def go_on(
    sessions: Sessions, keyring: Keyring, organisation_id: UUID, rollout_id: UUID, steps: int | None = None
) -> None:
    """Move one on by at most so many steps, or as far as it goes. Raises `KeyUnreadable`, `QueueBusy`."""
    while steps is None or steps > 0:
        async with tenancy.transaction(sessions, organisation_id) as session:
            more = await step(session, keyring, rollout_id, now())
        if not more:
            return
        steps = None if steps is None else steps - 1


async def step(session: AsyncSession, keyring: Keyring, rollout_id: UUID, at: datetime) -> bool:
    """One step; whether another may follow at once."""
    rollout = await repository.take(session, rollout_id)
    if rollout is None:
        return False
    match rollout.state:
        case State.RUNNING:
            return await _run(session, keyring, rollout, at)
        case State.STOPPED:
            return await _stop(session, keyring, rollout, at)
        case _:
            return False


async def _run(session: AsyncSession, keyring: Keyring, rollout: Rollout, at: datetime) -> bool:
    """Decide before anything is sent: a limit that was passed meanwhile keeps the rest of a wave from being sent it."""
    if await repository.history_went_back(session, rollout.changed_at):
        await _trip(session, rollout, _WENT_BACK, at)
        return False
    progress = Progress(
        wave=rollout.wave,
        settled_at=rollout.settled_at,
        soak=timedelta(hours=rollout.soak_hours),
        limit_percent=rollout.limit_percent,
        waves=await repository.standings(session, rollout, at),
    )
    match waves.decide(progress, at):
        case Trip(why):
            await _trip(session, rollout, why, at)
            return False
        case Settle():
            rollout.settled_at = at
        case Open(wave):
            rollout.wave, rollout.settled_at = wave, None
        case Finish():
            rollout.state, rollout.changed_at = State.DONE, at
            await repository.let_go(session, rollout.id)
            await _audited(session, rollout, "rollout.finish", {})
        case Wait():
            return await _send(session, keyring, rollout, at)
    session.add(rollout)
    await session.flush()
    return rollout.state == State.RUNNING


async def _trip(session: AsyncSession, rollout: Rollout, why: str, at: datetime) -> None:
    await _audited(session, rollout, "rollout.trip", {"why": why, "wave": rollout.wave})
    rollout.state, rollout.why, rollout.changed_at = State.PAUSED, why, at
    session.add(rollout)
    await session.flush()
    await repository.tell_leads(session, rollout.id, at)


async def _send(session: AsyncSession, keyring: Keyring, rollout: Rollout, at: datetime) -> bool:
    readers = await repository.unsent(session, rollout, PORTION)
    if not readers:
        return False
    release = await releases.release(session, rollout.image_id)
    assert release is not None, "a rollout's release is never removed"
    numbers = await queueing.queue(session, keyring, rollout.organisation_id, readers, update_message(release))
    await repository.sent(session, rollout.id, numbers, at)
    return bool(numbers)


async def _stop(session: AsyncSession, keyring: Keyring, rollout: Rollout, at: datetime) -> bool:
    readers = await repository.unstopped(session, rollout.id, PORTION)
    numbers = await queueing.queue(session, keyring, rollout.organisation_id, readers, NO_UPDATE)
    await repository.stopped(session, rollout.id, numbers, at)
    await repository.let_go(session, rollout.id)
    return bool(numbers)


NO_UPDATE: dict[int, object] = {wire.DOWN_TYPE: wire.DOWN_UPDATE, wire.DOWN_A: None}
"""The downlink message by which a reader awaits no image any more."""


def update_message(release: Release) -> dict[int, object]:
    """The downlink message by which a reader awaits an image (docs/protocol.cddl, `update`)."""
    return {
        wire.DOWN_TYPE: wire.DOWN_UPDATE,
        wire.DOWN_A: [release.release, release.follows, release.manifest_bytes, release.size],
        wire.DOWN_B: release.manifest_hash,
        wire.DOWN_C: release.version,
    }


async def _audited(session: AsyncSession, rollout: Rollout, action: str, detail: dict[str, object]) -> None:
    await audit.record(
        session,
        organisation_id=rollout.organisation_id,
        actor=_ACTOR,
        action=action,
        subject_kind="rollout",
        subject=str(rollout.id),
        detail=detail,
    )
