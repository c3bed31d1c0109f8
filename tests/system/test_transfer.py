"""A transfer cut in its middle, by either end or by the air, goes on where it stopped: nothing lost or twice."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import pytest_asyncio

from emulator.path import ORGANISATION, Enrolled
from tests.system.laptop import Laptop
from tests.system.slow import STORED_AT, Crawl, loaded
from tests.system.village import Event, Village, whole

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def laptop(the_path: Village) -> Laptop:
    await the_path.restore()
    return await Laptop.enrolled(the_path.path, ORGANISATION, "Laptop with a wild clock")


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
    "the hub is killed between two stores": (kill_the_hub, start_the_hub, 44, STORED_AT + 20),
    "the reader goes out of range": (walk_away, come_back, 44, STORED_AT + 20),
    "the reader loses power": (cut_the_power, power_up, 44, STORED_AT + 20),
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
        if after > STORED_AT:
            await village.until(lambda events: _collected(events, enrolled), since)
        await interrupt(village, enrolled, since)
    before = sum(_collected(village.events[since:], enrolled))
    issued_before, released_before = village.path.advertised(enrolled)
    assert before < issued_before, "it was interrupted in its middle"
    assert (before > 0) == (after > STORED_AT)
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
