"""Work behind the requests: recomputing outcomes from their traces, of results and of quality-control tests.

The queue is the table itself: one whose `recomputed_at` is null waits. Whoever works takes a few with SKIP LOCKED
and stores their verdicts in the same transaction, so that any number of processes share the work, none does a result
twice, and one that is killed leaves its share waiting. A wake-up says that there may be work; nothing depends on it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from server.custody import opening
from server.custody.cose import Unsealable
from server.database import tenancy
from server.database.columns import now
from server.database.engine import Sessions
from server.followup import opening as follow_ups
from server.organisations import repository as organisations
from server.quality import repository as quality
from server.readers.keys import Keyring, KeyUnreadable
from server.results import repository
from server.results.analyst import Analyst, AnalystLost, Work, verdict_on
from server.results.recomputation import Recomputation, Recomputed
from server.results.repository import Waiting

log = logging.getLogger("doorstep.results")

# A portion's rows are locked while it is analysed: some 50 ms.
PORTION = 25
LOOK_EVERY_SECONDS = 30
RETRY_SECONDS = 5
# What arrives within it is recomputed together: to begin at once for every single result would take the interpreter
# from the request after it.
GATHER_SECONDS = 0.25

# Results to their verdicts.
Analyse = Callable[[Sequence[Work]], Awaitable[list[Recomputed]]]


async def analyse_here(records: Sequence[Work]) -> list[Recomputed]:
    """Analyse in this process."""
    return await asyncio.to_thread(lambda: [verdict_on(one) for one in records])


async def recompute_portion(
    sessions: Sessions, keyring: Keyring, organisation_id: UUID, analyse: Analyse = analyse_here
) -> int:
    """Recompute up to `PORTION` results of an organisation; how many there were. Raises `KeyUnreadable`."""
    async with tenancy.transaction(sessions, organisation_id) as session:
        connection = await session.connection()
        waiting = await repository.take_unrecomputed(connection, PORTION)
        if not waiting:
            return 0
        said = await _verdicts(keyring, waiting, analyse)
        verdicts = [(one.id, verdict) for one, verdict in zip(waiting, said, strict=True)]
        at = now()
        await repository.set_recomputed(connection, verdicts, at)
        differing = [result_id for result_id, one in verdicts if one.verdict is Recomputation.DIFFERS]
        if differing:
            await follow_ups.open_in_doubt(session, organisation_id, at, differing)
            await repository.notify(connection, repository.notifications(organisation_id, differing))
        return len(verdicts)


async def recompute_controls(
    sessions: Sessions, keyring: Keyring, organisation_id: UUID, analyse: Analyse = analyse_here
) -> int:
    """As `recompute_portion`, of quality-control tests."""
    async with tenancy.transaction(sessions, organisation_id) as session:
        connection = await session.connection()
        waiting = await quality.take_unrecomputed(connection, PORTION)
        if waiting:
            said = await _verdicts(keyring, waiting, analyse)
            await quality.set_recomputed(connection, list(zip(waiting, said, strict=True)), now())
        return len(waiting)


async def _verdicts(
    keyring: Keyring, waiting: Sequence[Waiting | quality.Waiting], analyse: Analyse
) -> list[Recomputed]:
    """What recomputation says of each; of one that no longer opens, that it failed."""
    opened = [_open(keyring, one) for one in waiting]
    work = [Work(content, one.pack) for one, content in zip(waiting, opened, strict=True) if content is not None]
    said = iter(await analyse(work))
    return [Recomputed(Recomputation.FAILED) if content is None else next(said) for content in opened]


def _open(keyring: Keyring, one: Waiting | quality.Waiting) -> bytes | None:
    try:
        return opening.plaintext(keyring, one.sealed, one.encrypted)
    except Unsealable as error:
        log.error("record %s %d no longer opens: %s", one.reader_id.hex(), one.number, error.code)
        return None


async def recompute_for(
    sessions: Sessions, keyring: Keyring, organisation_ids: Iterable[UUID], analyse: Analyse = analyse_here
) -> None:
    """Recompute whatever waits in those organisations, a portion of each in turn."""
    turns, at_once = list(organisation_ids), 1
    while turns:
        busy: list[UUID] = []
        for organisation_id in turns:
            portions = [recompute_portion(sessions, keyring, organisation_id, analyse) for _ in range(at_once)]
            controls = recompute_controls(sessions, keyring, organisation_id, analyse)
            try:
                if PORTION in await asyncio.gather(*portions, controls):
                    busy.append(organisation_id)
            except KeyUnreadable as error:
                # Its results wait for the right key; those of others need not.
                log.error("%s", error)
        # Where more waits, one portion is fetched or stored while another is analysed.
        turns, at_once = busy, 2


class Wake:
    """Says whose results may wait; nothing depends on it but how soon they are recomputed."""

    def __init__(self) -> None:
        self._told: set[UUID] = set()
        self._event = asyncio.Event()

    def tell(self, organisation_id: UUID) -> None:
        """Results of the organisation have arrived."""
        self._told.add(organisation_id)
        self._event.set()

    async def wait(self, seconds: float) -> set[UUID]:
        """The organisations told of since the last time, `GATHER_SECONDS` after the first; none when there was none."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return set()
        await asyncio.sleep(GATHER_SECONDS)
        self._event.clear()
        told, self._told = self._told, set()
        return told


async def work(sessions: Sessions, keyring: Keyring, wake: Wake) -> None:
    """Recompute until cancelled: what is told of at once, and whatever waits anywhere every `LOOK_EVERY_SECONDS`."""
    analyst = Analyst()

    async def analyse(records: Sequence[Work]) -> list[Recomputed]:
        return await asyncio.to_thread(analyst.recompute, records)

    look_at = time.monotonic()
    told: set[UUID] = set()
    try:
        while True:
            try:
                if time.monotonic() >= look_at:
                    told |= await _every(sessions)
                    look_at = time.monotonic() + LOOK_EVERY_SECONDS
                await recompute_for(sessions, keyring, told, analyse)
            except (SQLAlchemyError, OSError, AnalystLost) as error:
                # What was told of waits in the table; while the database is away every look at it fails at once.
                log.warning("recomputation was interrupted (%s); it goes on later", type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
            told = await wake.wait(max(0.0, look_at - time.monotonic()))
    finally:
        analyst.close()


async def _every(sessions: Sessions) -> set[UUID]:
    async with tenancy.transaction(sessions) as session:
        return {one.id for one in await organisations.organisations(session)}
