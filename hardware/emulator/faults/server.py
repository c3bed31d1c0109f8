"""Faults of the server: kill -9 while it accepts, PostgreSQL killed under it, twenty clients with one batch, batches of
several hubs in any order, and a restore from a backup. Server and PostgreSQL are the real programs.

What was answered is held, what is offered again is held once, and after a restore the hubs offer until all is whole.
"""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import httpx

from reader import wire

from ..modelled.air import Air
from ..modelled.reader import ModelledReader
from .campaign import BrokenPromise, Part, Say, Tally, Trial
from .carrier import Answer, Carrier
from .programme import Programme, programme, settle


class _Scene:
    """One trial: readers, what they had issued before, two carriers."""

    def __init__(
        self, made: Programme, readers: list[ModelledReader], carriers: list[Carrier], chance: random.Random
    ) -> None:
        self.programme, self.readers, self.carriers, self.chance = made, readers, carriers, chance
        self.before = {reader.reader_id: len(reader.issued) for reader in readers}
        self.faults = 0

    def issue(self, low: int, high: int) -> None:
        for reader in self.readers:
            reader.issue(self.chance.randint(low, high))

    def fresh(self, reader: ModelledReader) -> list[bytes]:
        """What a reader issued in this trial."""
        return reader.issued[self.before[reader.reader_id] :]

    def batches(self) -> list[list[bytes]]:
        """All that was issued in this trial, in batches of several readers."""
        batches: list[list[bytes]] = []
        for reader in self.readers:
            fresh, at = self.fresh(reader), 0
            while at < len(fresh):
                size = self.chance.randint(1, 60)
                batches.append(fresh[at : at + size])
                at += size
        return batches

    async def finish(self) -> Tally:
        """Offer everything once more, and count. The receipts must then be for all of it."""
        receipts: dict[bytes, int] = {}
        for reader in self.readers:
            fresh = self.fresh(reader)
            for at in range(0, len(fresh), 250):
                answer = await self.carriers[0].offer(fresh[at : at + 250])
                receipts |= answer.receipts
                wrong = [said for said in answer.said if said[0] not in (wire.HELD, wire.DUPLICATE)]
                if answer.status != 200 or wrong:
                    raise BrokenPromise(f"offered again it was answered {answer.status} {answer.problem} {wrong[:3]}")
        tally = self.programme.count(self.readers, self.before)
        tally.faults = self.faults
        for reader in self.readers:
            if self.fresh(reader) and receipts.get(reader.reader_id) != len(reader.issued):
                raise BrokenPromise(f"{reader.name} got a receipt for {receipts.get(reader.reader_id)}", tally)
        return tally

    def answered(self, batch: list[bytes], answer: Answer) -> None:
        """What the server has just said is held must be held, whatever befell it since."""
        if answer.status == 200 and any(said[0] not in (wire.HELD, wire.DUPLICATE) for said in answer.said):
            raise BrokenPromise(f"a true record was answered {answer.said[:3]} in a batch of {len(batch)}")


async def _offer_under_fire(scene: _Scene, fire: Callable[[], Awaitable[None]]) -> None:
    """Two carriers offer everything while `fire` happens; what was answered must be held afterwards."""
    batches = scene.batches()
    said: list[bytes] = []

    async def offer(carrier: Carrier, mine: list[list[bytes]]) -> None:
        for batch in mine:
            with contextlib.suppress(httpx.TransportError, httpx.HTTPStatusError):  # the server has been shot
                answer = await carrier.offer(batch)
                scene.answered(batch, answer)
                if answer.status == 200:
                    said.extend(batch)

    await asyncio.gather(fire(), *(offer(carrier, batches[at::2]) for at, carrier in enumerate(scene.carriers)))
    held: set[bytes] = set()
    for reader in scene.readers:
        held |= set(scene.programme.held(reader, scene.before[reader.reader_id]).values())
    if lost := [one for one in said if one not in held]:
        raise BrokenPromise(f"{len(lost)} records that were answered are not held", Tally(lost=len(lost)))


async def _killed(scene: _Scene) -> Tally:
    """kill -9 of the server at a random instant while two hubs offer."""
    scene.issue(100, 400)

    async def fire() -> None:
        await asyncio.sleep(scene.chance.uniform(0, 1.0))  # the instant of the kill, not a wait for anything
        await scene.programme.server.kill()
        scene.faults += 1
        await scene.programme.start_server()

    await _offer_under_fire(scene, fire)
    return await scene.finish()


async def _backend_killed(scene: _Scene) -> Tally:
    """kill -9 of connections of PostgreSQL, by which it restarts itself and recovers under a server that goes on."""
    scene.issue(100, 400)

    async def fire() -> None:
        for _ in range(scene.chance.randint(1, 3)):
            await asyncio.sleep(scene.chance.uniform(0, 0.7))
            with contextlib.suppress(OSError, IndexError):  # it is just starting again
                pids = scene.programme.rows_or_none("SELECT pid FROM pg_stat_activity WHERE usename = 'doorstep_app'")
                os.kill(scene.chance.choice(pids)[0], signal.SIGKILL)
                scene.faults += 1

    await _offer_under_fire_until_up(scene, fire)
    return await scene.finish()


async def _cluster_killed(scene: _Scene) -> Tally:
    """kill -9 of PostgreSQL and of all its processes at once, as a power cut does, and of the server; both are started
    again by one command."""
    scene.issue(100, 400)

    async def fire() -> None:
        await asyncio.sleep(scene.chance.uniform(0, 1.0))
        scene.programme.kill_postgresql()
        await scene.programme.server.kill()
        scene.faults += 2
        await scene.programme.start_server()

    await _offer_under_fire(scene, fire)
    return await scene.finish()


async def _offer_under_fire_until_up(scene: _Scene, fire: Callable[[], Awaitable[None]]) -> None:
    async def and_up() -> None:
        await fire()
        await scene.programme.until_up()

    await _offer_under_fire(scene, and_up)


async def _together(scene: _Scene) -> Tally:
    """Twenty clients post the same batch at once; then several hubs post the rest interleaved and out of order."""
    scene.issue(40, 120)
    batches = scene.batches()
    answers = await asyncio.gather(*(scene.carriers[at % 2].offer(batches[0]) for at in range(20)))
    scene.faults += 19
    if not any(answer.status == 200 for answer in answers):
        raise BrokenPromise(f"none of twenty was answered: {[(one.status, one.problem) for one in answers]}")
    held_now = sum(said[0] == wire.HELD for answer in answers for said in answer.said)
    if held_now != len(batches[0]):
        raise BrokenPromise(f"twenty clients were told {held_now} times that one of {len(batches[0])} is new")
    scene.chance.shuffle(batches)
    for batch in batches:
        scene.chance.shuffle(batch)
    scene.faults += len(batches)
    await asyncio.gather(*(_offer_each(scene, carrier, batches[at::2]) for at, carrier in enumerate(scene.carriers)))
    return await scene.finish()


async def _offer_each(scene: _Scene, carrier: Carrier, batches: list[list[bytes]]) -> None:
    for batch in batches:
        scene.answered(batch, await carrier.offer(batch))


async def _restored(scene: _Scene) -> Tally:
    """The database goes back to a backup while hubs have delivered since and readers have let go: after the new epoch
    the real hub offers again what it kept, until all is whole."""
    made = scene.programme
    scene.issue(10, 60)
    laptop = await made.laptop()
    async with Air(scene.readers) as air:
        await laptop.start(air)
        await settle(scene.readers)
        backup = made.folder / "backup"
        await made.server.stop()
        await asyncio.to_thread(_copy, made.cluster, backup)
        await made.start_server()
        scene.issue(10, 60)
        await settle(scene.readers)  # the readers have discarded what the backup does not hold
        await made.server.stop()
        await asyncio.to_thread(_put_back, backup, made.cluster)
        scene.faults += 1
        await made.command("server", "new-epoch", "--why", "restored in a trial")
        await made.start_server()
        laptop.forget()
        await laptop.until("epoch", timeout=120)
        await _until_whole(scene)
        await laptop.stop()
    return await scene.finish()


def _copy(cluster: Path, backup: Path) -> None:
    # cp keeps the owner: PostgreSQL runs as another user where we are root, and starts on no files but its own.
    subprocess.run(["cp", "-a", str(cluster), str(backup)], check=True)


def _put_back(backup: Path, cluster: Path) -> None:
    shutil.rmtree(cluster)
    backup.rename(cluster)


async def _until_whole(scene: _Scene) -> None:
    """Until the server holds all again by the hub alone; the carriers of the trial have not offered anything yet."""
    async with asyncio.timeout(120):
        for reader in scene.readers:  # by number only: byte for byte it is counted at the end
            before = scene.before[reader.reader_id]
            while len(scene.programme.held(reader, before)) < len(reader.issued) - before:  # noqa: ASYNC110
                await asyncio.sleep(0.2)


_Kind = Callable[[_Scene], Awaitable[Tally]]


def _part(name: str, what: str, kinds: tuple[_Kind, ...], seeds: int, few: int) -> Part:
    """Seed N tries kind N, in turn."""

    @contextlib.asynccontextmanager
    async def opened(say: Say) -> AsyncGenerator[Trial]:
        async with programme(say) as made, contextlib.AsyncExitStack() as open_:
            carriers = [await open_.enter_async_context(Carrier(made.address)) for _ in range(2)]
            for carrier in carriers:
                await carrier.enrol(await made.code())

            async def trial(seed: int) -> Tally:
                readers = await made.some_readers(3)
                chance = random.Random(seed)  # noqa: S311  no secret
                try:
                    return await kinds[(seed - 1) % len(kinds)](_Scene(made, readers, carriers, chance))
                except BaseException:
                    made.readers.clear()  # what a failed trial left on its readers is not for the next one
                    raise
                finally:
                    await made.end_laptops()
                    if not made.server.running:
                        await made.start_server()

            yield trial

    return Part(name, what, seeds, few, opened)


PARTS = (
    _part("killed", "kill -9 while accepting", (_killed,), seeds=60, few=1),
    _part("postgresql", "PostgreSQL killed under it", (_backend_killed, _cluster_killed), seeds=40, few=2),
    _part("together", "twenty clients, one batch; hubs interleaved, out of order", (_together,), seeds=60, few=1),
    _part("restored", "restored from a backup, new epoch", (_restored,), seeds=10, few=1),
)
