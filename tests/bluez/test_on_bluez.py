"""The hub on the operating system's own Bluetooth: stock bleak, D-Bus, bluetoothd and the kernel's stack."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import pytest_asyncio

from emulator.path import ORGANISATION, Enrolled
from tests.bluez.guest import Guest
from tests.bluez.laptop import LaptopVillage, arrived, both_connected, collected
from tests.system.laptop import Laptop
from tests.system.slow import STORED_AT, Crawl, loaded
from tests.system.village import cancel, strip

pytestmark = pytest.mark.asyncio(loop_scope="session")

RECORDS = 44  # more than the hub stores at once


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def other_hub(the_path: LaptopVillage) -> Laptop:
    """It gives readers something to tell the hub in the guest; it has a radio of the bench's."""
    return await Laptop.enrolled(the_path.path, ORGANISATION, "Laptop with a wild clock")


async def test_an_enrolled_laptop_collects_over_bluez_and_brings_the_receipts_back(
    village: LaptopVillage, guest: Guest
) -> None:
    since = len(village.events)
    enrolled = await village.reader("Village hall")
    await cancel(enrolled, strip("DS-BLUEZ-01", "error", "cancelled"))
    assert (await arrived(village, since))[enrolled.reader_id] >= 2
    assert [result["specimen"] for result in await village.results()] == ["DS-BLUEZ-01"]
    assert enrolled.reader.address in await guest.bluez(), "it is BlueZ that has met the reader"


async def walk_away(village: LaptopVillage, guest: Guest, enrolled: Enrolled) -> None:
    enrolled.reader.out_of_range()


async def come_back(village: LaptopVillage, guest: Guest, enrolled: Enrolled, since: int) -> None:
    enrolled.reader.in_range()


async def switch_off(village: LaptopVillage, guest: Guest, enrolled: Enrolled) -> None:
    await guest.power(on=False)


async def switch_on(village: LaptopVillage, guest: Guest, enrolled: Enrolled, since: int) -> None:
    await village.until_told("problem", since, code="adapter-off")
    await guest.power(on=True)


async def pull_out(village: LaptopVillage, guest: Guest, enrolled: Enrolled) -> None:
    await guest.unplug()


async def plug_in(village: LaptopVillage, guest: Guest, enrolled: Enrolled, since: int) -> None:
    await village.until_told("problem", since, code="no-adapter")
    await guest.plug_in(village.path.bench.radio)
    await guest.power(on=True)


INTERRUPTIONS: dict[str, tuple[Callable[..., Awaitable[None]], Callable[..., Awaitable[None]]]] = {
    "the link drops": (walk_away, come_back),
    "the adapter is switched off": (switch_off, switch_on),
    "the adapter is pulled out": (pull_out, plug_in),
}


@pytest.mark.parametrize("interruption", INTERRUPTIONS)
async def test_a_transfer_that_is_interrupted_goes_on_where_it_stopped(
    village: LaptopVillage, guest: Guest, other_hub: Laptop, interruption: str
) -> None:
    interrupt, recover = INTERRUPTIONS[interruption]
    await village.path.hub.stop()
    enrolled = await loaded(village, other_hub, RECORDS)
    since = len(village.events)
    with Crawl(village.path.bench.air, STORED_AT + 20) as crawl:
        await village.path.start_hub()
        async with asyncio.timeout(240):
            await crawl.reached.wait()
        await village.until_told("collected", since, reader=enrolled.reader_id)
        await interrupt(village, guest, enrolled)
        left = await village.until_told("left", since, reader=enrolled.reader_id)
    assert left["fault"] is not None
    before = sum(collected(village.events[since:], enrolled))
    assert 0 < before < village.path.advertised(enrolled)[0], "it was interrupted in its middle"
    await recover(village, guest, enrolled, since)
    assert (await arrived(village, since))[enrolled.reader_id] > RECORDS
    assert [result["specimen"] for result in await village.results()] == ["DS-LOAD-01"]


async def test_two_readers_are_collected_at_once(village: LaptopVillage, other_hub: Laptop) -> None:
    await village.path.hub.stop()
    first = await loaded(village, other_hub, RECORDS, "DS-LOAD-01")
    second = await loaded(village, other_hub, RECORDS, "DS-LOAD-02")
    since = len(village.events)
    with Crawl(village.path.bench.air, 1, interval_s=0.05):
        await village.path.start_hub()
        await both_connected(first, second)
    issued = await arrived(village, since)
    assert min(issued[first.reader_id], issued[second.reader_id]) > RECORDS
