"""The real hub process on the real firmware: emulated readers on a virtual air, plain bleak, and a server on a
socket."""

import asyncio
import hashlib
import hmac
import json
import os
import sqlite3
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import cbor2
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from model_server import ModelServer

from hub import service
from hub.enrol import enrol
from hub.radio import Radio
from hub.settings import HubSettings

emulator = pytest.importorskip("emulator.bench")
from emulator.air import LinkModel  # noqa: E402

FIRMWARE = Path(__file__).parents[2] / "firmware"
if not (FIRMWARE / "main.py").exists():
    pytest.skip("the firmware is not there", allow_module_level=True)


def hkdf(key, reader_id, info):
    return hmac.digest(hmac.digest(reader_id, key, "sha256"), info + b"\x01", "sha256")


def seal_down(key, reader_id, number, message, generation=1):
    """A sealed downlink message, made by `cryptography` from the protocol's section 3."""
    header = cbor2.dumps({1: 31, 4: reader_id, -70001: number, -70003: generation})
    nonce = number.to_bytes(4, "big") + os.urandom(9)
    aad = cbor2.dumps(["Encrypt0", header, b""])
    sealed = AESCCM(hkdf(key, reader_id, b"doorstep/1 down"), 16).encrypt(
        nonce, cbor2.dumps(message, canonical=True), aad
    )
    return cbor2.dumps(cbor2.CBORTag(16, [header, {5: nonce}, sealed]))


class Village:
    """Readers on a bench, provisioned, and a server that holds their keys."""

    def __init__(self, bench, server, folder):
        self.bench, self.server, self.folder, self.keys = bench, server, folder, {}
        self.events = []
        self.enrolment = None
        server.seal_receipt = self.seal_receipt

    def seal_receipt(self, reader_id, number, sealed):
        message = {1: 1, 2: number, 3: hashlib.sha256(sealed).digest()[:16], 4: self.server.epoch}
        return seal_down(self.keys[reader_id], reader_id, number, message)

    async def add(self, name, **options):
        reader_id, key = os.urandom(8), os.urandom(32)
        reader = await self.bench.add_reader(name=name, start=False, **options)
        await reader.write_files(
            {"/identity.cbor": cbor2.dumps({1: reader_id, 2: [[1, key]], 3: name, 4: 0}, canonical=True)}
        )
        await reader.power_on()
        self.keys[reader_id] = key
        expiry = 4_000_000_000
        secret = hkdf(
            key, reader_id, b"doorstep/1 ticket" + bytes.fromhex(self.enrolment.hub_id) + expiry.to_bytes(8, "big")
        )
        self.server.tickets.append([reader_id, expiry, 1, secret])
        return reader_id

    async def enrol(self):
        self.enrolment = await asyncio.to_thread(enrol, self.folder, self.server.code, self.server.url, "Village hall")

    async def run(self, until=0, timeout=60, **settings):
        chosen = HubSettings(data=self.folder, poll=0.3, **settings)
        radio = Radio((self.bench.scanner, self.bench.client))
        async with asyncio.timeout(timeout):
            await service.run(chosen, [self.events.append], until, radio)

    def rows(self, sql):
        with sqlite3.connect(self.folder / "hub.sqlite3") as db:
            return db.execute(sql).fetchall()

    def named(self, event):
        return [found for found in self.events if found["event"] == event]


@asynccontextmanager
async def village(folder, **link):
    with ModelServer() as server:
        async with emulator.Bench(seed=3, link=LinkModel(interval_s=0.004, supervision_timeout_s=0.5, **link)) as bench:
            made = Village(bench, server, folder)
            await made.enrol()
            yield made


async def test_a_reader_is_collected_delivered_and_holds_its_receipt(tmp_path):
    async with village(tmp_path) as there:
        reader_id = await there.add("One")
        await there.run(until=1)
        held = there.server.held[reader_id]
        assert sorted(held) == list(range(1, len(held) + 1))
        assert len(held) >= 1
        ((released, delivered, next),) = there.rows("SELECT released, delivered, next FROM readers")
        assert released == delivered == next - 1 == len(held)
        assert there.named("released")[-1]["number"] == released
        assert [event["code"] for event in there.named("problem")] in ([], ["reader-not-enrolled"])


async def test_three_readers_at_once_over_a_bad_link(tmp_path):
    async with village(tmp_path, loss=0.1) as there:
        ids = [await there.add(f"R{number}") for number in range(3)]
        await there.run(until=3, timeout=90)
        assert all(there.server.held[reader_id] for reader_id in ids)


def radio_package(folder):
    """What an installed package that brings the emulated radio looks like to `importlib.metadata`."""
    info = folder / "radio-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: radio\nVersion: 0\n")
    (info / "entry_points.txt").write_text("[doorstep.radios]\nbench = emulator.backend:backends\n")
    return folder


async def test_the_command_itself_collects_and_delivers_as_a_process_and_stops_on_sigterm(tmp_path):
    async with village(tmp_path / "hub") as there:
        await there.add("One")
        environment = {
            **os.environ,
            "DOORSTEP_HUB_DATA": str(there.folder),
            "DOORSTEP_HUB_POLL": "0.3",
            "DOORSTEP_HUB_RADIO": f"bench:{there.bench.radio}",
            "PYTHONPATH": str(radio_package(tmp_path / "site")),
        }
        command = (Path(sys.executable).with_name("doorstep"), "hub", "run", "--json-events")
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        seen = []
        async with asyncio.timeout(60):
            while not seen or seen[-1]["event"] != "released":
                seen.append(json.loads(await process.stdout.readline()))
            process.terminate()
            rest = await process.stdout.read()
            assert await process.wait() == 0
        assert json.loads(rest.splitlines()[-1])["event"] == "stopped"
        order = [event["event"] for event in seen]
        assert order.index("seen") < order.index("collected") < order.index("delivered") < order.index("released")


async def test_a_hub_killed_at_any_moment_goes_on_and_nothing_is_lost_or_twice(tmp_path):
    async with village(tmp_path / "hub") as there:
        ids = [await there.add(f"R{number}") for number in range(2)]
        environment = {
            **os.environ,
            "DOORSTEP_HUB_DATA": str(there.folder),
            "DOORSTEP_HUB_POLL": "0.2",
            "DOORSTEP_HUB_RADIO": f"bench:{there.bench.radio}",
            "PYTHONPATH": str(radio_package(tmp_path / "site")),
        }
        command = (Path(sys.executable).with_name("doorstep"), "hub", "run", "--json-events", "--until-delivered", "2")
        for last_event in ("started", "visiting", "collected", "answered", "delivered"):
            process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
            assert process.stdout is not None
            async with asyncio.timeout(60):
                while line := await process.stdout.readline():
                    if json.loads(line)["event"] == last_event:
                        break
            if process.returncode is None and line:
                process.kill()
            await process.wait()
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.DEVNULL)
        async with asyncio.timeout(60):
            assert await process.wait() == 0
        for reader_id in ids:
            held = there.server.held[reader_id]
            assert sorted(held) == list(range(1, len(held) + 1))
        stored = there.rows("SELECT reader_id, number, sealed FROM records")
        assert all(there.server.held[reader_id][number] == sealed for reader_id, number, sealed in stored)
        assert there.rows("SELECT count(*) FROM readers WHERE released = delivered AND undelivered = 0") == [(2,)]


async def test_the_server_away_and_a_damaged_database_cost_nothing(tmp_path):
    async with village(tmp_path) as there:
        reader_id = await there.add("One")
        there.server.receipts = False
        stopped = asyncio.create_task(there.run())
        async with asyncio.timeout(30):
            while not there.named("answered"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        stopped.cancel()
        await asyncio.gather(stopped, return_exceptions=True)
        file = there.folder / "hub.sqlite3"
        file.write_bytes(b"x" * file.stat().st_size)
        there.server.receipts = True
        await there.run(until=1)
        assert "store-damaged" in {event["code"] for event in there.named("problem")}
        assert list(there.folder.glob("damaged-*/hub.sqlite3"))
        held = there.server.held[reader_id]
        assert there.rows("SELECT released, undelivered FROM readers") == [(len(held), 0)]
