"""A transfer cut in its middle, by either end or by the air, goes on where it stopped: nothing lost or twice."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from emulator.air import Air, LinkModel
from emulator.path import ORGANISATION, Enrolled
from tests.system.laptop import Laptop
from tests.system.village import Event, Village, cancel, strip, whole

pytestmark = pytest.mark.asyncio(loop_scope="session")

_MTU_REQUEST, _MTU_RESPONSE, _NOTIFICATION = 0x02, 0x03, 0x1B  # Core Specification 3F 3.4.2.1, 3.4.2.2, 3.4.7.1
_SMALLEST_MTU = (23).to_bytes(2, "little")
_STORED_AT = 256  # segments: half the hub's window, when it stores for the first time


class Crawl:
    """An old laptop's air: the smallest packets, so that few records are many segments; and once `after` of them have
    gone, four packets a second: the middle of a transfer, at length."""

    def __init__(self, air: Air, after: int) -> None:
        self.reached = asyncio.Event()
        self._air, self._after = air, after
        self._model, self._send = air.model, air.send_acl_data

    def __enter__(self) -> "Crawl":
        self._air.send_acl_data = self._hear  # type: ignore[method-assign]
        return self

    def __exit__(self, *exc: object) -> None:
        self._air.send_acl_data = self._send  # type: ignore[method-assign]
        self._air.model = self._model

    def _hear(self, sender: Any, destination: Any, transport: Any, data: bytes) -> None:
        if len(data) > 4 and data[4] in (_MTU_REQUEST, _MTU_RESPONSE):
            data = data[:5] + _SMALLEST_MTU
        if len(data) > 4 and data[4] == _NOTIFICATION:
            self._after -= 1
            if self._after == 0:
                self._air.model = replace(self._model, interval_s=0.25, packets_per_event=1)
                self.reached.set()
        self._send(sender, destination, transport, data)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def laptop(the_path: Village) -> Laptop:
    await the_path.restore()
    return await Laptop.enrolled(the_path.path, ORGANISATION, "Laptop with a wild clock")


async def loaded(village: Village, laptop: Laptop, records: int) -> Enrolled:
    """A reader with a test and so many records that the hub has not seen: another hub sets its clock over and over."""
    enrolled = await village.reader("Loaded")
    await cancel(enrolled, strip("DS-LOAD-01", "error", "cancelled"))
    enrolled.reader.speed = 1
    reader_id, air = bytes.fromhex(enrolled.reader_id), village.path.bench.air
    ticket = await laptop.ticket(reader_id)
    async with laptop.connected(reader_id) as central:
        await central.admit(ticket)
        # The link's time is not what this is about: it costs none here.
        slow, air.model = air.model, LinkModel.ideal()
        for _ in range(0, records, 4):
            now_ms = time.time_ns() // 1_000_000
            await central.set_clock(now_ms + 60_000, now_ms, now_ms + 60_000, now_ms)
        air.model = slow
    return enrolled


async def kill_the_hub(village: Village, enrolled: Enrolled, since: int) -> None:
    await village.path.hub.kill()


async def walk_away(village: Village, enrolled: Enrolled, since: int) -> None:
    enrolled.reader.out_of_range()
    await village.until(lambda events: _left(events, enrolled), since)


async def cut_the_power(village: Village, enrolled: Enrolled, since: int) -> None:
    await enrolled.reader.cut_power()
    await village.until(lambda events: _left(events, enrolled), since)


async def start_the_hub(village: Village, enrolled: Enrolled) -> None:
    await village.path.start_hub()


async def come_back(village: Village, enrolled: Enrolled) -> None:
    enrolled.reader.in_range()


async def power_up(village: Village, enrolled: Enrolled) -> None:
    await enrolled.reader.power_on()


def _left(events: list[Event], enrolled: Enrolled) -> bool:
    return any(event["event"] == "left" and event["reader"] == enrolled.reader_id for event in events)


def _collected(events: list[Event], enrolled: Enrolled) -> list[int]:
    return [
        event["count"] for event in events if event["event"] == "collected" and event["reader"] == enrolled.reader_id
    ]


INTERRUPTIONS: dict[str, tuple[Callable[..., Awaitable[None]], Callable[..., Awaitable[None]], int, int]] = {
    "the hub is killed before it stored": (kill_the_hub, start_the_hub, 8, 6),
    "the hub is killed between two stores": (kill_the_hub, start_the_hub, 44, _STORED_AT + 20),
    "the reader goes out of range": (walk_away, come_back, 44, _STORED_AT + 20),
    "the reader loses power": (cut_the_power, power_up, 44, _STORED_AT + 20),
}


@pytest.mark.parametrize("interruption", INTERRUPTIONS)
async def test_a_transfer_that_is_interrupted_goes_on_where_it_stopped(
    village: Village, laptop: Laptop, interruption: str
) -> None:
    interrupt, recover, records, after = INTERRUPTIONS[interruption]
    await village.path.hub.stop()
    enrolled = await loaded(village, laptop, records)
    since = len(village.events)
    with Crawl(village.path.bench.air, after) as crawl:
        await village.path.start_hub()
        async with asyncio.timeout(60):
            await crawl.reached.wait()
        if after > _STORED_AT:
            await village.until(lambda events: _collected(events, enrolled), since)
        await interrupt(village, enrolled, since)
    before = sum(_collected(village.events[since:], enrolled))
    issued_before, released_before = village.path.advertised(enrolled)
    assert before < issued_before, "it was interrupted in its middle"
    assert (before > 0) == (after > _STORED_AT)
    assert released_before == 0
    stored = village.hub_rows(
        "SELECT count(*), max(number) FROM records WHERE reader_id = ?", bytes.fromhex(enrolled.reader_id)
    )
    assert stored == [(before, before or None)]

    await recover(village, enrolled)
    counts = (await whole(village))[enrolled.reader_id]
    assert counts["issued"] >= issued_before > records
    assert sum(_collected(village.events[since:], enrolled)) == counts["issued"], "no record was collected twice"
    assert [result["specimen"] for result in await village.results()] == ["DS-LOAD-01"]
