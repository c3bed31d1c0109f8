"""`doorstep emulator run --hci`: a reader on a controller of its own behind a Bumble transport, as on a USB dongle.

The controllers here are Bumble's, served over TCP, which needs no hardware: all that a dongle's driver would carry goes
over the socket.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from emulator.bench import Bench
from hub.advert import read_advert
from reader import wire

COMMAND = [sys.executable, "-c", "from hub.command import main; main()"]
READER = '[[reader]]\nname = "{name}"\nenrolled = "{name}.json"\n'


def scenario(folder: Path, *names: str) -> Path:
    """Readers without tests; the first bytes of their ids are 1, 2, …"""
    for at, name in enumerate(names, 1):
        identity = {"reader_id": bytes((at, *range(7))).hex(), "key": bytes(32).hex(), "generation": 0, "name": name}
        (folder / f"{name}.json").write_text(json.dumps(identity))
    file = folder / "fleet.toml"
    file.write_text("speed = 20\n" + "".join(READER.format(name=name) for name in names))
    return file


@asynccontextmanager
async def playing(*arguments: str | Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, "emulator", "run", *map(str, arguments)),
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def heard(bench: Bench, *readers: int, issued: int = 1) -> dict[int, BLEDevice]:
    """The readers whose ids begin so, once each advertises that it has issued so many records."""
    found: dict[int, BLEDevice] = {}
    news = asyncio.Event()

    def detected(device: BLEDevice, data: AdvertisementData) -> None:
        payload = data.manufacturer_data.get(wire.ADVERT_COMPANY)
        if payload is not None and (advert := read_advert(payload)).next > issued:
            found[advert.reader_id[0]] = device
            news.set()

    async with asyncio.timeout(120), BleakScanner(detected, backend=bench.scanner):
        while not found.keys() >= set(readers):
            news.clear()
            await news.wait()
    return found


async def test_each_reader_of_a_scenario_is_heard_and_answers_on_an_adapter_of_its_own(
    bench: Bench, tmp_path: Path
) -> None:
    file = scenario(tmp_path, "North", "South")
    async with playing(file, "--hci", bench.radio, "--hci", bench.radio):
        found = await heard(bench, 1, 2)
        for reader, device in found.items():
            assert device.address.startswith(f"{reader | 0xC0:02X}:00:01"), "an address that no other bench has"
            async with BleakClient(device, backend=bench.client, timeout=60) as client:
                assert {c.uuid for c in client.services.get_service(wire.SERVICE_UUID).characteristics} >= {
                    wire.CONTROL_UUID,
                    wire.UP_UUID,
                    wire.DOWN_UUID,
                }
                assert await client.read_gatt_char(wire.STATUS_UUID)
                told = asyncio.Event()
                await client.start_notify(wire.CONTROL_UUID, lambda _c, _v, told=told: told.set())
                await client.write_gatt_char(wire.CONTROL_UUID, b"\xff", response=True)  # no segment: an error comes
                await asyncio.wait_for(told.wait(), 60)


async def test_an_enrolled_reader_goes_on_with_its_numbers_the_next_time(bench: Bench, tmp_path: Path) -> None:
    file = scenario(tmp_path, "North")
    async with playing(file, "--hci", bench.radio) as first:
        await heard(bench, 1)
        first.send_signal(signal.SIGINT)
        await asyncio.wait_for(first.wait(), 60)
    assert first.returncode == 0
    async with playing(file, "--hci", bench.radio):
        await heard(bench, 1, issued=2)  # each start is a record


async def test_an_adapter_that_is_pulled_out_ends_the_run_with_a_sentence(tmp_path: Path) -> None:
    async with Bench(seed=1) as bench, playing(scenario(tmp_path, "North"), "--hci", bench.radio) as process:
        await heard(bench, 1)
        for hub in list(bench._hubs):
            hub.drop()
        _, complaint = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert "has gone: plug it in and start again" in complaint.decode()
    assert "Traceback" not in complaint.decode()


async def test_what_cannot_be_an_adapter_is_one_sentence(bench: Bench, tmp_path: Path) -> None:
    for arguments, code, sentence in (
        (["--hci", "tcp-client:127.0.0.1:1"], 1, "The adapter tcp-client:127.0.0.1:1 cannot be used"),
        (["--hci", "nonsense"], 1, "The adapter nonsense cannot be used"),
        (["--hci", bench.radio, "--hci", bench.radio], 2, "give --hci as many times"),
    ):
        async with playing(scenario(tmp_path, "North"), *arguments) as process:
            _, complaint = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == code
        assert sentence in complaint.decode()
        assert "Traceback" not in complaint.decode()


async def test_an_identity_that_the_server_did_not_print_is_one_sentence_without_its_key(tmp_path: Path) -> None:
    file = scenario(tmp_path, "North")
    (tmp_path / "North.json").write_text('{"reader_id": "0102030405060708", "key": "5ec4e7", "generation": 0}')
    async with playing(file) as process:
        _, complaint = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert "is not what doorstep server enrol-reader --json printed" in complaint.decode()
    assert "5ec4e7" not in complaint.decode()
