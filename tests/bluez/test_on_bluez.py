"""The hub on the operating system's own Bluetooth: stock bleak, D-Bus, bluetoothd and the kernel's stack."""

import pytest

from tests.bluez.guest import Guest
from tests.bluez.laptop import LaptopVillage, arrived
from tests.system.village import cancel, strip

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_enrolled_laptop_collects_over_bluez_and_brings_the_receipts_back(
    village: LaptopVillage, guest: Guest
) -> None:
    since = len(village.events)
    enrolled = await village.reader("Village hall")
    await cancel(enrolled, strip("DS-BLUEZ-01", "error", "cancelled"))
    assert (await arrived(village, since))[enrolled.reader_id] >= 2
    assert [result["specimen"] for result in await village.results()] == ["DS-BLUEZ-01"]
    assert enrolled.reader.address in await guest.bluez(), "BlueZ has met the reader"
