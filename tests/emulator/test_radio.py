"""The whole radio: firmware's `bluetooth`, the air, and plain bleak with `backend=`."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakError

from emulator.air import LinkModel
from emulator.bench import Bench

RADIO = Path(__file__).parent / "firmware_radio"
SERVICE = "c7a6e1f0-6b21-4f0e-9a55-3d2f8be01a00"
STATUS = "c7a6e1f0-6b21-4f0e-9a55-3d2f8be01a01"
CONTROL = "c7a6e1f0-6b21-4f0e-9a55-3d2f8be01a02"
DOWN = "c7a6e1f0-6b21-4f0e-9a55-3d2f8be01a03"


async def _reader(bench, **options):
    reader = await bench.add_reader(firmware=RADIO, **options)
    await reader.wait_for(lambda: reader.advertising)
    return reader


async def _gathered(enough, timeout: float = 10) -> None:
    async with asyncio.timeout(timeout):
        while True:  # what is awaited has nothing to tell us by
            if enough():
                return
            await asyncio.sleep(0.01)


@asynccontextmanager
async def _connected(bench, reader) -> AsyncIterator[BleakClient]:
    device = await BleakScanner.find_device_by_address(reader.address, timeout=60, backend=bench.scanner)
    assert device is not None
    async with BleakClient(device, backend=bench.client, timeout=60) as client:
        yield client


async def test_a_scan_hears_name_services_and_address(bench):
    reader = await _reader(bench)
    found = await BleakScanner.discover(timeout=0.3, return_adv=True, backend=bench.scanner)
    device, advertisement = found[reader.address]
    assert advertisement.local_name == "Reader"  # it is in the scan response
    assert advertisement.service_uuids == [SERVICE]
    assert device.name == "Reader"


async def test_a_scan_for_a_service_does_not_hear_others(bench):
    await _reader(bench)
    other = "c7a6e1f0-6b21-4f0e-9a55-3d2f8be01aff"
    assert await BleakScanner.discover(timeout=0.3, service_uuids=[other], backend=bench.scanner) == []


async def test_a_hub_connects_reads_and_the_reader_learns_of_it(bench):
    reader = await _reader(bench, speed=50)
    async with _connected(bench, reader) as client:
        assert client.mtu_size == 256
        assert bytes(await client.read_gatt_char(STATUS)) == b"hello"
        await reader.wait_for_console("mtu 256")
        assert reader.connected
        assert not reader.advertising
        assert reader.effective_speed == 1.0
        assert {c.uuid for c in client.services.get_service(SERVICE).characteristics} == {STATUS, CONTROL, DOWN}
    await reader.wait_for_console("disconnect")
    await reader.wait_for(lambda: reader.advertising)
    assert reader.effective_speed == 50


async def test_a_write_beyond_the_default_buffer_is_cut_to_20_bytes_in_silence(bench):
    reader = await _reader(bench)
    async with _connected(bench, reader) as client:
        await client.write_gatt_char(DOWN, b"x" * 33, response=True)
        await reader.wait_for_console("write 3 20")
        with pytest.raises(BleakError, match="do not fit"):
            await client.write_gatt_char(DOWN, b"x" * 300, response=False)


async def test_an_append_buffer_gathers_writes_up_to_its_size_and_a_read_empties_it(bench):
    reader = await _reader(bench)
    async with _connected(bench, reader) as client:
        acknowledged = asyncio.Event()
        await client.start_notify(CONTROL, lambda _c, _v: acknowledged.set())
        await client.write_gatt_char(CONTROL, b"q", response=True)  # DOWN is left unread by the handler from here on
        await client.write_gatt_char(CONTROL, b"a", response=True)
        await asyncio.wait_for(acknowledged.wait(), 60)
        for _ in range(3):
            await client.write_gatt_char(DOWN, b"y" * 20, response=True)
        await client.write_gatt_char(CONTROL, b"r", response=True)
        await reader.wait_for_console("read 50 0")


async def test_notifications_arrive_whole_and_in_order_though_the_pool_runs_empty(bench):
    reader = await _reader(bench)
    async with _connected(bench, reader) as client:
        got: list[bytes] = []
        await client.start_notify(STATUS, lambda _c, value: got.append(bytes(value)))
        await client.write_gatt_char(CONTROL, b"n" + bytes((200, 0, 240)), response=True)
        await reader.wait_for_console("notified 200 full True")  # ENOMEM was met and waited out
        await _gathered(lambda: len(got) == 200)
        assert [int.from_bytes(value[:2], "little") for value in got] == list(range(200))
        assert {len(value) for value in got} == {240}


async def test_a_notification_longer_than_the_mtu_allows_is_cut(bench):
    reader = await _reader(bench)
    async with _connected(bench, reader) as client:
        got: list[bytes] = []
        arrived = asyncio.Event()
        await client.start_notify(STATUS, lambda _c, value: (got.append(bytes(value)), arrived.set()))
        await client.write_gatt_char(CONTROL, b"n" + bytes((1, 0, 255)), response=True)
        await asyncio.wait_for(arrived.wait(), 60)
        assert len(got[0]) == 253


async def test_an_indication_is_acknowledged_to_the_firmware(bench):
    reader = await _reader(bench)
    async with _connected(bench, reader) as client:
        got: list[bytes] = []
        await client.start_notify(CONTROL, lambda _c, value: got.append(bytes(value)))
        await client.write_gatt_char(CONTROL, b"i", response=True)
        await reader.wait_for_console("indicated 0")
        assert got == [b"done"]


async def test_what_a_characteristic_does_not_allow_is_refused(bench):
    reader = await _reader(bench)
    async with _connected(bench, reader) as client:
        with pytest.raises(BleakError, match="refused"):
            await client.read_gatt_char(DOWN)
        with pytest.raises(BleakError, match="refused"):
            await client.write_gatt_char(STATUS, b"no", response=True)


async def test_the_reader_can_hang_up(bench):
    reader = await _reader(bench)
    gone = asyncio.Event()
    device = await BleakScanner.find_device_by_address(reader.address, timeout=60, backend=bench.scanner)
    client = BleakClient(device, lambda _client: gone.set(), backend=bench.client)
    await client.connect()
    with contextlib.suppress(BleakError):  # it may hang up before its answer to the write is out
        await client.write_gatt_char(CONTROL, b"x", response=True)
    await asyncio.wait_for(gone.wait(), 60)
    assert not client.is_connected
    with pytest.raises(BleakError):
        await client.read_gatt_char(STATUS)


async def test_out_of_range_both_sides_see_the_link_die_and_can_meet_again(bench):
    reader = await _reader(bench)
    gone = asyncio.Event()
    device = await BleakScanner.find_device_by_address(reader.address, timeout=60, backend=bench.scanner)
    client = BleakClient(device, lambda _client: gone.set(), backend=bench.client)
    await client.connect()
    reader.out_of_range()
    with pytest.raises(BleakError, match="lost"):
        await client.read_gatt_char(STATUS)
    await asyncio.wait_for(gone.wait(), 60)
    await reader.wait_for_console("disconnect")
    assert await BleakScanner.discover(timeout=0.3, backend=bench.scanner) == []
    reader.in_range()
    async with _connected(bench, reader) as again:
        assert bytes(await again.read_gatt_char(STATUS)) == b"hello"


async def test_a_reader_that_left_while_a_hub_connects_is_in_nobodys_way(bench):
    gone, there = await _reader(bench), await _reader(bench)
    device = await BleakScanner.find_device_by_address(gone.address, timeout=60, backend=bench.scanner)
    gone.out_of_range()
    with pytest.raises(BleakError):
        await BleakClient(device, backend=bench.client, timeout=1).connect()
    async with _connected(bench, there) as client:
        assert bytes(await client.read_gatt_char(STATUS)) == b"hello"
    gone.in_range()
    await BleakScanner.find_device_by_address(gone.address, timeout=60, backend=bench.scanner)
    assert not gone.connected, "what was given up is not made later"


async def test_a_short_absence_loses_nothing(bench):
    reader = await _reader(bench)
    async with _connected(bench, reader) as client:
        reader.out_of_range()
        reading = asyncio.create_task(client.read_gatt_char(STATUS))
        await asyncio.sleep(0.15)
        assert not reading.done()
        reader.in_range()
        assert bytes(await asyncio.wait_for(reading, 60)) == b"hello"


async def test_a_power_cut_is_seen_by_the_hub_at_the_supervision_timeout_and_the_reader_comes_back(bench):
    reader = await _reader(bench)
    gone = asyncio.Event()
    device = await BleakScanner.find_device_by_address(reader.address, timeout=60, backend=bench.scanner)
    client = BleakClient(device, lambda _client: gone.set(), backend=bench.client)
    await client.connect()
    await reader.cut_power()
    await asyncio.wait_for(gone.wait(), 60)
    await reader.power_on()
    await reader.wait_for(lambda: reader.advertising)
    async with _connected(bench, reader) as again:
        assert bytes(await again.read_gatt_char(STATUS)) == b"hello"


async def test_a_reader_that_is_not_there_is_a_bleak_error(bench):
    client = BleakClient("C0:00:00:00:00:99", backend=bench.client, timeout=0.5)
    with pytest.raises(BleakError, match="not heard"):
        await client.connect()


async def test_two_readers_talk_at_once_though_they_were_connected_together(bench):
    readers = [await _reader(bench), await _reader(bench)]
    clients = [BleakClient(reader.address, backend=bench.client, timeout=60) for reader in readers]
    await asyncio.gather(*(client.connect() for client in clients))
    got: list[list[bytes]] = [[], []]
    for client, mine in zip(clients, got, strict=True):
        await client.start_notify(STATUS, lambda _c, value, mine=mine: mine.append(bytes(value)))
    await asyncio.gather(
        *(client.write_gatt_char(CONTROL, b"n" + bytes((100, 0, 200)), response=True) for client in clients)
    )
    await _gathered(lambda: all(len(mine) == 100 for mine in got))
    for client in clients:
        await client.disconnect()


@pytest.mark.parametrize("loss", [0.0, 0.3])
async def test_loss_costs_time_and_never_data(loss):
    async with Bench(seed=3, link=LinkModel(interval_s=0.004, loss=loss)) as bench:
        reader = await _reader(bench)
        async with _connected(bench, reader) as client:
            got: list[int] = []
            await client.start_notify(STATUS, lambda _c, value: got.append(int.from_bytes(value[:2], "little")))
            await client.write_gatt_char(CONTROL, b"n" + bytes((150, 0, 200)), response=True)
            await _gathered(lambda: len(got) == 150)
            assert got == list(range(150))


_HUB = """
import asyncio, sys
from bleak import BleakClient, BleakScanner
from emulator.backend import AirClient, AirScanner

async def main():
    device = await BleakScanner.find_device_by_name("Reader", timeout=60, backend=AirScanner)
    async with BleakClient(device, backend=AirClient) as client:
        print(bytes(await client.read_gatt_char(sys.argv[1])).decode(), flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_hub_in_another_process_reaches_the_reader_and_its_death_is_seen(bench):
    reader = await _reader(bench)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _HUB, STATUS),
        stdout=subprocess.PIPE,
        env={**os.environ, "DOORSTEP_RADIO": bench.radio},
    )
    try:
        async with asyncio.timeout(20):
            assert await process.stdout.readline() == b"hello\n"
    finally:
        process.kill()
        await process.wait()
    await reader.wait_for_console("disconnect")
    async with _connected(bench, reader) as client:
        assert bytes(await client.read_gatt_char(STATUS)) == b"hello"


async def test_no_radio_named_is_a_sentence_that_says_what_to_set(monkeypatch):
    from emulator.backend import AirScanner

    monkeypatch.delenv("DOORSTEP_RADIO", raising=False)
    with pytest.raises(BleakError, match="DOORSTEP_RADIO"):
        await BleakScanner.discover(timeout=0.1, backend=AirScanner)


async def test_a_power_cut_right_after_a_disconnect_does_not_end_the_next_link():
    async with Bench(seed=1, link=LinkModel(interval_s=0.004, supervision_timeout_s=2)) as bench:
        reader = await _reader(bench)
        async with _connected(bench, reader):
            pass
        await reader.cut_power()  # before it has heard that the hub has gone
        await reader.power_on()
        await reader.wait_for(lambda: reader.advertising)
        await _holds(bench, reader, 2.5)


@pytest.mark.parametrize("first", ["reader", "hub"])
async def test_a_link_closed_out_of_range_does_not_end_the_next_one_at_its_timeout(first):
    async with Bench(seed=1, link=LinkModel(interval_s=0.004, supervision_timeout_s=2)) as bench:
        reader = await _reader(bench)
        device = await BleakScanner.find_device_by_address(reader.address, timeout=60, backend=bench.scanner)
        client = BleakClient(device, backend=bench.client)
        await client.connect()
        if first == "reader":
            await client.write_gatt_char(CONTROL, b"X", response=True)  # it hangs up in a moment
        reader.out_of_range()
        if first == "reader":
            await reader.wait_for_console("disconnect")
        await client.disconnect()
        reader.in_range()
        await reader.wait_for(lambda: reader.advertising)
        await _holds(bench, reader, 2.5)


async def _holds(bench, reader, seconds: float) -> None:
    """A new link outlives every time-out of the one before."""
    lost = asyncio.Event()
    device = await BleakScanner.find_device_by_address(reader.address, timeout=60, backend=bench.scanner)
    async with BleakClient(device, lambda _client: lost.set(), backend=bench.client, timeout=60) as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(lost.wait(), seconds)
        assert bytes(await client.read_gatt_char(STATUS)) == b"hello"
    await reader.wait_for(lambda: not reader.connected, what="the end of the link on the reader's side")
