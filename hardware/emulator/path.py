"""The whole path on one machine: a server, a hub and readers, each the real program, for the demo, the benchmarks and
the system tests.

The server and the hub are other processes, started by the `doorstep` command as a person would; the readers stand on a
bench in this one. Everything lives in one folder and ends with it. Secrets are made for the occasion.
"""

import asyncio
import base64
import contextlib
import json
import os
import secrets
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cbor2
import httpx
from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from reader import wire

from .bench import Bench
from .guardian import Guardian
from .reader import EmulatedReader

ORGANISATION = "Demonstration health board"
SITE = "Community round"
EMAIL = "clinician@doorstep.example"
_COMMAND = [sys.executable, "-c", "from hub.command import main; main()"]
_START_S = 90.0
_COMMAND_S = 90.0
_STOP_S = 15.0
_LINE_MAX = 1 << 20

Told = Callable[[dict[str, Any]], None]


class PathError(Exception):
    """A part of the path did not start or answer; the message is for a person and ends with what it last printed."""


@dataclass
class Enrolled:
    """A reader as the server knows it. The key goes onto the reader and is not kept."""

    name: str
    reader_id: str
    reader: EmulatedReader
    flash: Path


@dataclass
class Place:
    """Where the path runs, and its settings as environment variables."""

    folder: Path
    port: int
    environment: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def address(self) -> str:
        """The server's, as a browser is given it."""
        return f"http://127.0.0.1:{self.port}"


def place(folder: Path) -> Place:
    """Settings for a path that lives in `folder`, on a free port, with secrets of its own."""
    port = _free_port()
    made = Place(folder, port)
    # Only what a process needs to run, so that nobody's own DOORSTEP_* setting reaches a demonstration.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DOORSTEP_")}
    cache = os.environ.get("DOORSTEP_CACHE")
    made.environment = kept | ({"DOORSTEP_CACHE": cache} if cache else {})
    made.environment |= {
        "DOORSTEP_DATA_DIR": str(folder / "server"),
        "DOORSTEP_HOST": "127.0.0.1",
        "DOORSTEP_PORT": str(port),
        "DOORSTEP_BASE_URL": made.address,
        "DOORSTEP_HUB_DATA": str(folder / "hub"),
        "DOORSTEP_HUB_POLL": "0.5",
    }
    for name in ("MASTER_KEY", "TOKEN_SECRET", "SESSION_SECRET"):
        made.environment[f"DOORSTEP_{name}"] = base64.b64encode(secrets.token_bytes(32)).decode()
    return made


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Program:
    """A `doorstep` command that runs until stopped; its output goes to a file, or line by line to `told`."""

    def __init__(self, name: str, where: Place, *arguments: str, told: Told | None = None) -> None:
        self.name = name
        self._where = where
        self._arguments = arguments
        self._told = told
        self._log = where.folder / f"{name}.log"
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it; it may need a while until it answers."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *_COMMAND,
                *self._arguments,
                env=self._where.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if self._told else log,
                stderr=log,
                limit=_LINE_MAX,
                start_new_session=True,  # Ctrl-C is for us; we end it in order
            )
        if self._told is not None:
            self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        assert self._told is not None
        while line := await self._process.stdout.readline():
            with contextlib.suppress(json.JSONDecodeError):  # a person's line among the events
                self._told(json.loads(line))

    @property
    def running(self) -> bool:
        """Whether it has started and not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """Its process's number; None before the start and after the end."""
        return self._process.pid if self._process is not None else None

    async def stop(self) -> None:
        """Ask it to end, and make it after a while."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End it as kill -9 does, between two instructions."""
        await self._end(signal.SIGKILL)

    async def _end(self, how: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            process.send_signal(how)
            try:
                await asyncio.wait_for(process.wait(), _STOP_S)
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._reading is not None:
            await self._reading
        self._process = self._reading = None

    def last_words(self) -> str:
        """The end of its log."""
        try:
            return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])
        except FileNotFoundError:
            return ""


async def run_command(where: Place, *arguments: str, given: str | None = None) -> str:
    """Run a `doorstep` command; what it printed. PathError with its own sentence when it fails."""
    process = await asyncio.create_subprocess_exec(
        *_COMMAND,
        *arguments,
        env=where.environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, complaint = await asyncio.wait_for(
            process.communicate(f"{given}\n".encode() if given else b""), _COMMAND_S
        )
    except TimeoutError:
        process.kill()
        raise PathError(f"doorstep {' '.join(arguments[:2])} did not end within {_COMMAND_S:.0f} s.") from None
    if process.returncode:
        said = complaint.decode(errors="replace").strip()
        raise PathError(f"doorstep {' '.join(arguments[:2])} failed ({process.returncode}): {said}")
    return out.decode()


class WholePath:
    """`async with WholePath(folder) as path:` has a server running and a hub enrolled; readers come by `add_reader`."""

    def __init__(self, folder: Path, *, seed: int = 0, told: Told | None = None) -> None:
        self.place = place(folder)
        self.bench = Bench(seed=seed)
        self.readers: list[Enrolled] = []
        self.password = secrets.token_urlsafe(12)
        self.server = Program("server", self.place, "server", "run")
        self._listener = told
        self._advertised: dict[str, tuple[int, int]] = {}
        self._heard = asyncio.Event()
        self._open = contextlib.AsyncExitStack()
        self.hub = self._hub()

    def _hub(self) -> Program:
        return Program("hub", self.place, "hub", "run", "--json-events", told=self._event)

    async def __aenter__(self) -> "WholePath":
        try:
            self._open.enter_context(Guardian(self.place.folder))
            await self._open.enter_async_context(self.bench)
            self.place.environment["DOORSTEP_HUB_RADIO"] = f"emulated:{self.bench.radio}"
            await self._open.enter_async_context(BleakScanner(self._on_advertisement, backend=self.bench.scanner))
            self._open.push_async_callback(self.server.stop)
            await self.server.start()
            await self.until_answering()
            await self.command("server", "create-organisation", "--name", ORGANISATION)
            await asyncio.gather(self._enrol_hub(), self._create_user())
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._open.aclose()

    async def until_answering(self) -> None:
        """Wait until the server answers a browser."""
        end = time.monotonic() + _START_S
        async with httpx.AsyncClient(base_url=self.place.address) as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get("/sign-in")).is_success:
                        return
                if not self.server.running or time.monotonic() > end:
                    raise PathError(f"The server did not start.\n{self.server.last_words()}")
                await asyncio.sleep(0.1)

    async def _create_user(self) -> None:
        await self.command(
            *("server", "create-user", "--organisation", ORGANISATION, "--email", EMAIL, "--name", "Clinician on duty"),
            "--password-stdin",
            given=self.password,
        )

    async def _enrol_hub(self) -> None:
        made = await self.command("server", "enrol-hub", "--organisation", ORGANISATION, "--site", SITE, "--json")
        await self.command(
            *("hub", "enrol", json.loads(made)["code"], "--server", self.place.address, "--name", "Laptop")
        )

    async def start_hub(self) -> None:
        """Start the hub's process; it ends with the path."""
        self.hub = self._hub()
        self._open.push_async_callback(self.hub.stop)
        await self.hub.start()

    async def add_reader(self, name: str, *, clock: datetime | None = None, **options: Any) -> Enrolled:
        """Enrol a reader with the server, provision it and switch it on. `clock` is what its clock chip shows (UTC);
        none is a chip that has lost its time. `options` are those of Bench.add_reader."""
        made = json.loads(
            await self.command(
                *("server", "enrol-reader", "--organisation", ORGANISATION, "--site", SITE, "--name", name, "--json")
            )
        )
        flash = self.place.folder / f"reader-{made['reader_id']}.bin"
        reader = await self.bench.add_reader(name=name, flash=flash, start=False, **options)
        await provision(
            reader, bytes.fromhex(made["reader_id"]), bytes.fromhex(made["key"]), int(made["generation"]), name
        )
        if clock is not None:
            reader.circuit.rtc.set_time(clock)
        reader.close_lid()
        await reader.start()
        enrolled = Enrolled(name, made["reader_id"], reader, flash)
        self.readers.append(enrolled)
        return enrolled

    async def command(self, *arguments: str, given: str | None = None) -> str:
        """Run a `doorstep` command; what it printed. PathError with its own sentence when it fails."""
        return await run_command(self.place, *arguments, given=given)

    def _event(self, event: dict[str, Any]) -> None:
        if self._listener is not None:
            self._listener(event)

    async def custody(self) -> dict[str, dict[str, int]]:
        """For each reader id: `issued` (by the reader's own advertisement), `stored` (by the hub), `held` (by the
        server) and `released` (by the reader's own advertisement)."""
        status = json.loads(await self.command("hub", "status", "--json"))
        ledger = json.loads(await self.command("custody", "--organisation", ORGANISATION, "--json"))
        stored = {reader["id"]: int(reader["stored"]) for reader in status["readers"]}
        held = {reader["reader_id"]: int(reader["held"]) for reader in ledger["readers"]}
        found: dict[str, dict[str, int]] = {}
        for enrolled in self.readers:
            issued, released = self.advertised(enrolled)
            found[enrolled.reader_id] = {
                "issued": issued,
                "stored": stored.get(enrolled.reader_id, 0),
                "held": held.get(enrolled.reader_id, 0),
                "released": released,
            }
        return found

    async def settled(self, timeout: float = 120) -> dict[str, dict[str, int]]:
        """Wait until every reader holds receipts for all it has issued, by its own advertisement; then `custody()`, of
        a moment at which no reader issued anything. PathError."""
        found: dict[str, dict[str, int]] = {}
        try:
            async with asyncio.timeout(timeout):
                while True:
                    while not all(self._is_settled(enrolled) for enrolled in self.readers):
                        self._heard.clear()
                        await self._heard.wait()
                    before = dict(self._advertised)
                    found = await self.custody()
                    # Hub and server are asked one after the other, and a reader that is visited tells nothing the
                    # while: one that journalled something in between (its clock was set) is asked about anew.
                    if self._advertised == before and not any(_ahead(counts) for counts in found.values()):
                        return found
        except TimeoutError:
            told = {enrolled.name: self.advertised(enrolled) for enrolled in self.readers}
            raise PathError(
                f"Within {timeout:.0f} s not every reader got receipts for all it issued (issued, released): {told}; "
                f"last counted: {found}\n{self.hub.last_words()}"
            ) from None

    def advertised(self, enrolled: Enrolled) -> tuple[int, int]:
        """(issued, released) of the reader's last advertisement; (0, 0) before the first."""
        return self._advertised.get(enrolled.reader_id, (0, 0))

    def _is_settled(self, enrolled: Enrolled) -> bool:
        issued, released = self.advertised(enrolled)
        return issued > 0 and issued == released

    def _on_advertisement(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        data = advertisement.manufacturer_data.get(wire.ADVERT_COMPANY, b"")
        if len(data) == struct.calcsize(wire.ADVERT_FORMAT):
            _, reader_id, following, released, _ = struct.unpack(wire.ADVERT_FORMAT, data)
            self._advertised[reader_id.hex()] = (following - 1, released)
            self._heard.set()

    async def results(self) -> list[dict[str, Any]]:
        """What the server has opened and interpreted, oldest first."""
        return list(json.loads(await self.command("server", "results", "--organisation", ORGANISATION, "--json")))


def _ahead(counts: dict[str, int]) -> bool:
    """Whether hub or server hold more than the reader's last advertisement says that it issued."""
    return max(counts["stored"], counts["held"]) > counts["issued"]


async def provision(
    reader: EmulatedReader, reader_id: bytes, key: bytes, generation: int, name: str, language: str | None = None
) -> None:
    """Put the identity on a reader that is off, as an engineer does over USB (`firmware/reader/identity.py` reads it).

    `reader_id` is 8 bytes, `key` 32, secret. Without a `language` it speaks English until the server sets another.
    """
    identity: dict[int, object] = {1: reader_id, 2: [[generation, key]], 3: name, 4: 0}
    if language is not None:
        identity[6] = language
    await reader.write_files({"/identity.cbor": cbor2.dumps(identity, canonical=True)})


async def walk_back(reader: EmulatedReader, timeout: float = 60) -> None:
    """Let the reader's time run on until its clock chip shows ours, then at our pace: the worker walks back.

    Ever slower towards the end, and never by what the chip showed last, but by what the reader says it shows now: at
    300 times our pace a fifth of a second too long is a minute, by which every time of a test would be wrong. One in
    step lets just so much pass.
    """
    fastest = reader.speed
    async with asyncio.timeout(timeout):
        while reader.in_step:
            behind = (datetime.now(UTC).replace(tzinfo=None) - reader.circuit.rtc.now).total_seconds()
            if behind <= 1:
                reader.in_step = False
            else:
                await reader.let_pass(behind, timeout)
        while True:
            await reader.measure_heap()  # it answers with its time
            behind = (datetime.now(UTC).replace(tzinfo=None) - reader.circuit.rtc.now).total_seconds()
            if behind <= 1:
                break
            reader.speed = max(1.0, min(fastest, 2 * behind))
            await asyncio.sleep(min(1.0, behind / reader.speed / 2))
    reader.speed = 1.0
