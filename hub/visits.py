"""Hearing readers and visiting them in fair turns, a few at a time, with every failure named and backed off."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from hub.advert import Advert
from hub.clock import Clock
from hub.collector import Collector, LinkLost, Visit
from hub.errors import DiskFull, StoreDamaged, StoreError, StoreReadOnly
from hub.events import Events
from hub.radio import Radio, RadioFailed
from hub.store import Store, Work
from hub.turns import IMAGE, Turns
from hub.writer import Writer
from reader import wire

_log = logging.getLogger(__name__)

TICK_S = 1.0
SHARE_S = 60.0  # how long one reader may be drained while others wait for a slot
SEEN_EVERY_S = 30.0
FAILURES_TOLD = 3
TICKET_S = 15.0  # how long the server may take to send a ticket for a reader that is new here
RADIO_PAUSE_S = 5.0
DISK_PAUSE_S = 30.0
_RADIO_PROBLEMS = ("no-adapter", "adapter-off", "no-permission", "radio-failed")
_VISIT_PROBLEMS = (
    "reader-not-enrolled", "ticket-expired", "ticket-refused", "reader-not-proved", "reader-version",
    "reader-unreachable", "reader-stalled", "reader-misbehaved", "reader-forked", "reader-behind", "receipt-refused",
)  # fmt: skip
_PASSING = ("reader-unreachable", "reader-stalled")  # the air is like that: told only when it repeats
_FLAG_PROBLEMS = {
    wire.FLAG_LOW_BATTERY: "reader-battery",
    wire.FLAG_STORAGE_FULL: "reader-full",
    wire.FLAG_FAULT: "reader-fault",
}


class Visits:
    """`visited` is called after each visit that may have brought something for the server."""

    def __init__(
        self,
        radio: Radio,
        collector: Collector,
        writer: Writer,
        events: Events,
        clock: Clock,
        slots: int = 3,
        revisit_s: float = 600.0,
        visited: Callable[[], None] = lambda: None,
    ) -> None:
        self._radio, self._collector, self._writer = radio, collector, writer
        self._events, self._clock, self._slots, self._visited = events, clock, slots, visited
        self._turns = Turns(revisit_s)
        self._poke = asyncio.Event()
        self._unsaid: dict[bytes, tuple[Advert, str | None, int | None]] = {}
        self._said_s: dict[bytes, float] = {}
        self._running: dict[bytes, asyncio.Task[None]] = {}
        self._ticketless_s: dict[bytes, float] = {}
        self._others_wait = False
        self._paused_until_s = 0.0

    def poke(self) -> None:
        """Something changed that may make work: look again now."""
        self._poke.set()

    async def scan(self) -> None:
        """Hear readers until cancelled; a radio that fails is tried again."""
        while True:
            try:
                await self._radio.scan(self._heard)
            except RadioFailed as error:
                await self._events.problem(error.code, "", str(error)[:120])
                await asyncio.sleep(RADIO_PAUSE_S)

    async def run(self) -> None:
        """Visit readers until cancelled. Raises StoreDamaged."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._poke.clear()
                await self._say_seen()
                await self._start(tasks)
                try:
                    async with asyncio.timeout(TICK_S):
                        await self._poke.wait()
                except TimeoutError:
                    pass  # a back-off may have ended, or a reader come due

    async def settled(self, readers: int) -> bool:
        """Whether at least `readers` are in range and every one holds receipts for all it has, with nothing waiting
        here."""
        in_range = self._turns.in_range(_now_s())
        if len(in_range) < readers or self._running or self._unsaid:
            return False
        for reader_id in in_range:
            work, advert = await self._writer(Store.work, reader_id), self._turns.advert(reader_id)
            why = self._turns.why(reader_id, work, _now_s())
            if advert.released < advert.next - 1 or why not in (None, IMAGE):
                return False
        return await self._writer(Store.undelivered) == 0 and not await self._writer(Store.has_offers)

    def _heard(self, advert: Advert, name: str | None, rssi: int | None) -> None:
        now_s = _now_s()
        news = self._turns.heard(advert, now_s)
        if news or now_s - self._said_s.get(advert.reader_id, 0) >= SEEN_EVERY_S:
            self._said_s[advert.reader_id] = now_s
            self._unsaid[advert.reader_id] = (advert, name, rssi)
            self._poke.set()

    async def _say_seen(self) -> None:
        while self._unsaid:
            reader_id, (advert, name, rssi) = self._unsaid.popitem()
            subject, now_ms = reader_id.hex(), self._clock.read().wall_ms
            try:
                await self._writer(Store.saw, reader_id, name, rssi, advert.next, advert.released, advert.flags, now_ms)
            except (DiskFull, StoreReadOnly) as error:
                await self._pause(error)
            self._events.emit("seen", reader=subject, name=name, next=advert.next, released=advert.released, rssi=rssi)
            await self._events.solved(*_RADIO_PROBLEMS)
            for flag, code in _FLAG_PROBLEMS.items():
                if advert.flags & flag:
                    await self._events.problem(code, subject)
                else:
                    await self._events.solved(code, subject=subject)

    async def _start(self, tasks: asyncio.TaskGroup) -> None:
        now_s = _now_s()
        if now_s < self._paused_until_s:
            return
        work: dict[bytes, Work] = {}
        for reader_id in self._turns.in_range(now_s):
            found = await self._writer(Store.work, reader_id)
            if found.image is not None and not self._collector.may_ask(reader_id, found.image):
                found = replace(found, image=None)
            work[reader_id] = found
            if work[reader_id].tickets == 0:
                await self._without_ticket(reader_id, now_s)
        while len(self._running) < self._slots:
            reader_id = self._turns.choose(work, now_s)
            if reader_id is None:
                break
            self._turns.begin(reader_id)
            why = self._turns.why(reader_id, work[reader_id], now_s)
            self._events.emit("visiting", reader=reader_id.hex(), why=why)
            self._running[reader_id] = tasks.create_task(self._visit(reader_id))
        self._others_wait = self._turns.choose(work, now_s) is not None

    async def _without_ticket(self, reader_id: bytes, now_s: float) -> None:
        """Ask the server at once; it is a problem when no ticket has come after a while."""
        if reader_id not in self._ticketless_s:
            self._ticketless_s[reader_id] = now_s
            self._visited()
        elif now_s - self._ticketless_s[reader_id] > TICKET_S:
            self._ticketless_s[reader_id] = now_s
            await self._events.problem("reader-not-enrolled", reader_id.hex())
            self._visited()

    async def _visit(self, reader_id: bytes) -> None:
        began_s, visit = _now_s(), Visit()
        try:
            async with self._radio.connect(reader_id) as link:
                visit = await self._collector.visit(
                    reader_id,
                    link,
                    lambda: self._others_wait and _now_s() - began_s > SHARE_S,
                    lambda: self._others_wait,
                )
        except LinkLost as error:
            visit.fault, visit.detail = error.code, str(error)
        except (DiskFull, StoreReadOnly) as error:
            await self._pause(error)
            visit.fault = error.code
        except StoreDamaged:
            raise
        except Exception as error:  # noqa: BLE001  a mistake in the hub costs one visit, not the hub
            _log.exception("visit failed")
            visit.fault, visit.detail = "hub-failed", type(error).__name__
            await self._events.problem("hub-failed", "", visit.detail)
        finally:
            del self._running[reader_id]
            state = visit.state
            numbers = (state.next, state.released) if state else (None, None)
            self._turns.end(reader_id, _now_s(), visit.fault is None, *numbers)
            self._poke.set()
        await self._tell(reader_id.hex(), reader_id, visit)
        if visit.state is not None:
            self._visited()

    async def _tell(self, subject: str, reader_id: bytes, visit: Visit) -> None:
        self._events.emit(
            "left",
            reader=subject,
            collected=visit.collected,
            fault=visit.fault,
            detail=visit.detail,
            yielded=visit.yielded,
        )
        if visit.fault is None:
            await self._events.solved(*_VISIT_PROBLEMS, subject=subject)
            await self._events.solved("disk-full", "store-read-only")
        elif visit.fault in _VISIT_PROBLEMS and not (
            visit.fault in _PASSING and self._turns.failures(reader_id) < FAILURES_TOLD
        ):
            await self._events.problem(visit.fault, subject, visit.detail)

    async def _pause(self, error: StoreError) -> None:
        """What cannot be stored is not collected: the reader keeps it."""
        self._paused_until_s = _now_s() + DISK_PAUSE_S
        await self._events.problem(error.code, "", str(error))


def _now_s() -> float:
    return asyncio.get_running_loop().time()
