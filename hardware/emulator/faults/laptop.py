"""The hub's end in this process: its own collector, transfer and store, on a disk that takes its time."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hub.clock import Clock, Comparison, Reading
from hub.collector import Collector, LinkLost, Visit
from hub.events import Events
from hub.store import Store

from .campaign import BrokenPromise
from .central import CentralLink
from .channel import Channel
from .office import Office

HUB_ID = b"hub-0001"
_WALL_MS = 1_800_000_000_000
_OFFER_MAX, _OFFER_BYTES = 500, 4 * 1024 * 1024
# What a bad link may come to. Any other fault of a visit means that one of the two ends broke the protocol.
_PASSING = (None, "reader-unreachable", "reader-stalled")


class SimulatedClock(Clock):
    """The laptop's clocks in simulated time."""

    def read(self) -> Reading:
        now_ms = int(asyncio.get_running_loop().time() * 1000)
        return Reading(_WALL_MS + now_ms, now_ms, "boot")


class DirectWriter:
    """`hub.writer.Writer` without its thread: the store's methods run at once, and then the disk's time passes. `kept`
    counts what became durable."""

    def __init__(self, store: Store, disk_s: float) -> None:
        self._store, self._disk_s = store, disk_s
        self.kept = 0
        self.on_kept: Callable[[], None] = lambda: None

    async def __call__(self, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        found = method(self._store, *arguments, **named)
        if method is Store.keep_records:
            self.kept += len(arguments[1])
            self.on_kept()
            await asyncio.sleep(self._disk_s)
        return found


class Laptop:
    """One run of a hub on the store in `folder`; `run` until it is stopped."""

    def __init__(
        self, folder: Path, channel: Channel, office: Office, reader_id: bytes, chance: random.Random,
        disk_s: float = 0.0, turn_s: float = 0.0, window: int | None = None,
    ) -> None:  # fmt: skip
        self._channel, self._office, self._reader_id, self._chance = channel, office, reader_id, chance
        self._turn_s = turn_s
        self.store = Store(folder)
        self.store.adopt(HUB_ID)
        clock = SimulatedClock()
        self.writer = DirectWriter(self.store, disk_s)
        writer: Any = self.writer
        events = Events(writer, clock)
        sized: dict[str, Any] = {} if window is None else {"window": window}
        self._collector = Collector(writer, events, clock, HUB_ID, **sized)
        self._clock = clock
        self.visits: list[Visit] = []

    async def run(self) -> None:
        """Visit and exchange until cancelled. BrokenPromise when an end breaks the protocol."""
        while True:
            self.exchange()
            visit = await self.visit()
            if visit.fault not in _PASSING:
                raise BrokenPromise(f"a visit ended with {visit.fault}: {visit.detail}")
            await asyncio.sleep(self._chance.uniform(0.5, 2.0))

    async def visit(self) -> Visit:
        """One visit, from the connection to its end."""
        try:
            link = await CentralLink.open(self._channel, self._turn_s)
        except LinkLost as lost:
            return Visit(fault=lost.code)
        with contextlib.closing(link):
            visit = await self._collector.visit(self._reader_id, link)
        self.visits.append(visit)
        return visit

    def exchange(self) -> None:
        """Offer what is stored to the server, and take its answer."""
        while True:
            offers = self.store.offers(_OFFER_MAX, _OFFER_BYTES)
            sightings = [row[0] for row in self.store.sightings(100)]
            now = self._clock.read()
            reply = self._office.reply(offers, HUB_ID, now.wall_ms)
            self.store.apply(offers, sightings, reply, Comparison(now.wall_ms, now, 50))
            if not offers:
                return

    def close(self) -> None:
        """The process ends."""
        self.store.close()
