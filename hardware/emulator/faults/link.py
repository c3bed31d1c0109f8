"""Class link: what a radio does to a transfer, a thousand seeds with both real ends in this process, and a sample on
the whole chain of processes (chain.py).
"""

import asyncio
import random
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ..air import LinkModel
from . import virtual_time
from .campaign import Part, Say, Tally, Trial
from .chain import chain
from .channel import Channel
from .instrument import Instrument, provision
from .laptop import Laptop
from .office import Office

READER = b"reader-1"
KEY = bytes(range(32))
_MEMORY = Path("/dev/shm")  # noqa: S108  no power is cut here: what a disk's sync costs proves nothing
_LIMIT_S = 2 * virtual_time.HOUR_S
_TROUBLES = ("out of range", "hub restart", "reader restart", "link drop")


@dataclass(frozen=True)
class Scene:
    """What a seed makes of the air, the two ends and their luck."""

    model: LinkModel
    mtu: int
    enomem: float
    disk_s: float
    turn_s: float
    window: int | None
    sizes: tuple[int, ...]  # of the results that wait at first
    later: tuple[int, ...]  # and of those that come meanwhile
    troubles: tuple[tuple[int, str, float], ...]  # after so many packets: what, and for how many seconds


def scene(chance: random.Random) -> Scene:
    """Draw one."""
    interval_s = chance.choice((0.0075, 0.015, 0.03, 0.05, 0.1))
    model = LinkModel(
        interval_s=interval_s,
        packets_per_event=chance.choice((1, 2, 4, 6, None)),
        payload_bytes=chance.choice((27, 123, 251)),
        phy_mbit=chance.choice((1, 2)),
        loss=chance.choice((0.0, 0.0, 0.02, 0.1, 0.3)),
        supervision_timeout_s=chance.choice((0.5, 1.0, 4.0)),
        transmit_buffers=chance.choice((1, 3, 12)),
    )
    sizes = tuple(chance.choice((60, 300, 900, 1500, 3900)) for _ in range(chance.randrange(2, 24)))
    mtu = chance.choice((23, 23, 50, 185, 247, 517))
    # Data packets it will take or so, so that the troubles come in the middle.
    packets = sum(sizes) // min(mtu - 5, model.payload_bytes, 242) + 40
    troubles = tuple(
        (chance.randrange(packets), chance.choice(_TROUBLES), chance.choice((0.0, 0.3, 2.0, 20.0)))
        for _ in range(chance.randrange(0, 6))
    )
    return Scene(
        model, mtu, chance.choice((0.0, 0.0, 0.05, 0.4)), chance.choice((0.0, 0.02, 0.5)),
        chance.choice((0.0, 0.0, 0.002)), chance.choice((None, None, 16, 64)), sizes,
        tuple(chance.choice((60, 900)) for _ in range(chance.randrange(0, 6))), troubles,
    )  # fmt: skip


class Meeting:
    """A reader, a hub and a server with the air between them, until everything is where it belongs."""

    def __init__(self, folder: Path, chance: random.Random, made: Scene) -> None:
        self._folder, self._chance, self._scene = folder, chance, made
        self.channel = Channel(made.model, chance, made.mtu, made.enomem)
        self.office = Office(READER, KEY)
        self.issued: dict[int, bytes] = {}
        self.collected = 0
        self.troubled = 0
        self._troubles: asyncio.Queue[tuple[str, float]] = asyncio.Queue()
        self._laptop: Laptop | None = None
        self._hub: asyncio.Task[None] | None = None
        self._reader: Instrument | None = None
        self._on = asyncio.Event()

    async def run(self) -> Tally:
        """The whole of it. BrokenPromise."""
        self._watch()
        (self._folder / "flash").mkdir()
        provision(self._folder / "flash", READER, KEY)
        self._switch_on()
        assert self._reader is not None
        for size in self._scene.sizes:
            self._reader.record(size)
        later = asyncio.create_task(self._results())
        trouble = asyncio.create_task(self._trouble())
        self._open_hub()
        try:
            while not (later.done() and self._settled()):
                await asyncio.sleep(0.5)
                self._look(later, trouble)
        finally:
            later.cancel()
            trouble.cancel()
            self._close_hub()
            self._reader.power_off()
        return self._count()

    def _watch(self) -> None:
        waiting = sorted(self._scene.troubles, reverse=True)

        def packet() -> None:
            while waiting and self.channel.packets.sent >= waiting[-1][0]:
                _, what, seconds = waiting.pop()
                self._troubles.put_nowait((what, seconds))

        self.channel.on_packet = packet

    def _look(self, *tasks: asyncio.Task[None]) -> None:
        """Nothing may have ended by an error of its own."""
        for task in (*tasks, self._hub):
            if task is not None and task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error
        if self._reader is not None and self._reader.failed is not None:
            raise self._reader.failed

    def _settled(self) -> bool:
        journal = self._reader.journal if self._reader is not None else None
        return self._hub is not None and journal is not None and journal.released == len(self.issued)

    # The two ends

    def _switch_on(self) -> None:
        self._reader = Instrument(self._folder / "flash", self.channel, self._chance, self.issued)
        self._on.set()

    def _open_hub(self) -> None:
        made = self._scene
        self._laptop = Laptop(
            self._folder / "hub", self.channel, self.office, READER, self._chance, made.disk_s, made.turn_s, made.window
        )
        self._hub = asyncio.create_task(self._laptop.run())

    def _close_hub(self) -> None:
        """The process dies: what it has not committed is gone, and the system drops its link."""
        if self._hub is not None:
            self._hub.cancel()
        if self._laptop is not None:
            self.collected += self._laptop.writer.kept
            self._laptop.close()
        self._hub = self._laptop = None

    async def _results(self) -> None:
        for size in self._scene.later:
            await asyncio.sleep(self._chance.uniform(0.05, 6.0))
            await self._on.wait()
            assert self._reader is not None
            self._reader.record(size)

    async def _trouble(self) -> None:
        while True:
            what, seconds = await self._troubles.get()
            self.troubled += 1
            if what == "out of range":
                self.channel.set_near(False)
                await asyncio.sleep(seconds)
                self.channel.set_near(True)
            elif what == "link drop" and self.channel.connection is not None:
                self.channel.connection.close()
            elif what == "hub restart":
                self._close_hub()
                await asyncio.sleep(seconds)
                self._open_hub()
            elif what == "reader restart" and self._reader is not None:
                self._reader.power_off()
                self._reader = None
                self._on.clear()
                await asyncio.sleep(seconds)
                self._switch_on()

    def _count(self) -> Tally:
        held = {number: record.sealed for number, record in self.office.held.items()}
        packets = self.channel.packets
        tally = Tally(faults=self.troubled + packets.lost + packets.refused, issued=len(self.issued), held=len(held))
        tally.lost = len(self.issued.keys() - held.keys())
        # What the hub stored twice, and what reached the server that no reader issued.
        tally.duplicated = self.collected - len(self.issued) + len(held.keys() - self.issued.keys())
        tally.undetected = sum(held[number] != self.issued[number] for number in held.keys() & self.issued.keys())
        return tally


def meet(seed: int, limit_s: float = _LIMIT_S) -> Tally:
    """One seed of the fast tier, with so many simulated seconds to end in. BrokenPromise."""
    chance = random.Random(seed)  # noqa: S311  a simulation
    where = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="doorstep-faults-", dir=where) as folder:
        return virtual_time.run(_met(Path(folder), chance), limit_s)


async def _met(folder: Path, chance: random.Random) -> Tally:
    return await Meeting(folder, chance, scene(chance)).run()


@asynccontextmanager
async def _fast(say: Say) -> AsyncGenerator[Trial]:
    async def trial(seed: int) -> Tally:
        return await asyncio.to_thread(meet, seed)

    yield trial


PARTS = (
    Part("fast", "both real ends over a modelled radio, in simulated time", 1000, 40, _fast),
    Part("chain", "readers, hub and server as processes of their own, in real time", 20, 0, chain),
)
