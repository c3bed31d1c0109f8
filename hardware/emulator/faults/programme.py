"""A programme in the small, for the trials of hubs and servers: a real server with PostgreSQL, a relay in front of it,
laptops with the real hub, modelled readers, and the ledger: what the server holds, read from its tables and compared
byte for byte.

The relay is the network. Its address is the server's official one, so that a hub goes through it as through any other,
and it can be cut, or answer by itself as a captive portal does.
"""

import asyncio
import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from ..guardian import Guardian
from ..modelled import install
from ..modelled.air import Air
from ..modelled.reader import ModelledReader
from ..path import ORGANISATION, SITE, PathError, Place, Program, place, run_command
from .campaign import BrokenPromise, Say, Tally
from .carrier import Carrier

_START_S = 90.0
_SETTLE_S = 120.0
_HERE = ("--organisation", ORGANISATION)
# Settings of a hub that does not let a trial wait.
_IMPATIENT = {"DOORSTEP_HUB_POLL": "0.3", "DOORSTEP_HUB_WATCHDOG": "3", "DOORSTEP_HUB_REVISIT": "1"}


class Relay:
    """The network between hubs and the server: TCP passed on, cut, or answered by somebody else."""

    def __init__(self, port: int, to: int) -> None:
        self._port, self._to = port, to
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.up = True
        self.answer: bytes | None = None
        """Bytes that answer every request in the server's place; None passes requests on."""
        self.cut_after: int | None = None
        """The server's answers on each connection end after so many bytes; None lets them through."""
        self.intercepted = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._opened, "127.0.0.1", self._port)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def honest(self) -> None:
        """Pass everything on again."""
        self.up, self.answer, self.cut_after = True, None, None

    def cut(self) -> None:
        """No network: what is open ends, what is opened ends at once."""
        self.up = False
        self.hang_up()

    def hang_up(self) -> None:
        """End what is open, so that what a hub keeps alive does not go on as it was."""
        for task in list(self._tasks):
            task.cancel()

    async def _opened(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if not self.up:
                self.intercepted += 1
            elif self.answer is not None:
                await reader.readuntil(b"\r\n\r\n")
                self.intercepted += 1
                writer.write(self.answer)
                await writer.drain()
                await asyncio.sleep(0.05)  # let what was written leave: an abort would take it back
            else:
                await self._pass_on(reader, writer)
        except (OSError, EOFError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # whoever spoke has gone
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to = await asyncio.open_connection("127.0.0.1", self._to)
        try:
            there_and_back = (_pump(reader, to, None), self._back(there, writer))
            ways: list[asyncio.Task[Any]] = [asyncio.create_task(way) for way in there_and_back]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            to.transport.abort()

    async def _back(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await _pump(there, writer, self.cut_after):
            self.intercepted += 1


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int | None) -> bool:
    """Pass bytes on until the end; True when `most` ended it."""
    passed = 0
    while data := await reader.read(65_536):
        if most is not None and passed + len(data) >= most:
            writer.write(data[: most - passed])
            await writer.drain()
            return True
        passed += len(data)
        writer.write(data)
        await writer.drain()
    return False


@dataclass
class Laptop:
    """One hub: its folder, its process and what it told."""

    programme: "Programme"
    folder: Path
    name: str
    told: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    _program: Program | None = None
    _heard: asyncio.Event = field(default_factory=asyncio.Event)

    def _place(self, air: Air, patience: Mapping[str, str] = _IMPATIENT) -> Place:
        environment = self.programme.place.environment | {
            "DOORSTEP_HUB_DATA": str(self.folder),
            "DOORSTEP_HUB_RADIO": f"modelled:{air.port}",
            "PYTHONPATH": str(self.programme.plugin),
            **patience,
        }
        return Place(self.programme.place.folder, self.programme.place.port, environment)

    @property
    def pid(self) -> int | None:
        """Of its process, None before the start."""
        return None if self._program is None else self._program.pid

    async def start(self, air: Air, patience: Mapping[str, str] = _IMPATIENT) -> None:
        """Start the real `doorstep hub run`; `patience` are settings of how long it waits."""
        program = Program(self.name, self._place(air, patience), "hub", "run", "--json-events", told=self._tell)
        self._program = program
        await program.start()

    def _tell(self, event: dict[str, Any]) -> None:
        self.told.append(event)
        self._heard.set()

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._program is not None and self._program.running

    async def kill(self) -> None:
        """kill -9."""
        if self._program is not None:
            await self._program.kill()

    async def stop(self) -> None:
        """Ask it to end."""
        if self._program is not None:
            await self._program.stop()

    async def until(self, event: str, timeout: float = 60, **fields: Any) -> dict[str, Any]:
        """The next event of that kind with those fields, from what was told since the last `forget`."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    for one in self.told:
                        if one["event"] == event and fields.items() <= one.items():
                            return one
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            last = [f"{one['event']} {one.get('code', '')}".strip() for one in self.told[-12:]]
            words = self._program.last_words() if self._program else ""
            raise PathError(
                f"{self.name} did not tell {event} {fields} in {timeout:.0f} s; last: {last}\n{words}"
            ) from None

    def forget(self) -> None:
        """What was told is told."""
        self.told.clear()

    async def command(self, air: Air, *arguments: str) -> Any:
        """A `doorstep hub` command with --json; what it printed."""
        return json.loads(await run_command(self._place(air), "hub", *arguments, "--json"))

    async def killed_command(self, air: Air, after_s: float, *arguments: str) -> None:
        """A `doorstep hub` command that is killed with -9 so many seconds after its start."""
        program = Program(f"{self.name}-command", self._place(air), "hub", *arguments)
        await program.start()
        await asyncio.sleep(after_s)
        await program.kill()


class Programme:
    """`async with programme(say) as made:` a server that runs; readers and laptops are made when they are first asked
    for."""

    def __init__(self, folder: Path, say: Say) -> None:
        self.folder, self._say = folder, say
        self.place = place(folder)
        front = place(folder).port
        self.relay = Relay(front, self.place.port)
        self.place.environment["DOORSTEP_BASE_URL"] = self.address = f"http://127.0.0.1:{front}"
        self.server = Program("server", self.place, "server", "run")
        self.plugin = folder / "plugin"
        self.readers: list[ModelledReader] = []
        self._enrolled: dict[str, Path] = {}
        self._count = 0
        self._laptops: list[Laptop] = []
        self._organisations: set[str] = set()

    async def open(self) -> None:
        """Start everything. PathError."""
        install(self.plugin)
        await self.relay.open()
        await self.start_server()
        await self.command("server", "create-organisation", "--name", ORGANISATION)

    async def close(self) -> None:
        """End everything."""
        await self.end_laptops()
        await self.server.stop()
        await self.relay.close()
        with contextlib.suppress(OSError, psutil.NoSuchProcess):  # no such file or process: it was stopped in order
            self.kill_postgresql()  # a server that had to be killed has left it behind

    async def start_server(self) -> None:
        """Start `doorstep server run`, and wait until it answers."""
        await self.server.start()
        end = time.monotonic() + _START_S
        async with httpx.AsyncClient(base_url=self.place.address) as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get("/sign-in")).status_code < 500:
                        return
                if not self.server.running or time.monotonic() > end:
                    raise PathError(f"The server did not start.\n{self.server.last_words()}")
                await asyncio.sleep(0.1)

    async def command(self, *arguments: str) -> str:
        """Run a `doorstep` command; what it printed. PathError with its own sentence when it fails."""
        return await run_command(self.place, *arguments)

    async def some_readers(self, count: int) -> list[ModelledReader]:
        """The first `count` readers, enrolled when there are not so many."""
        while len(self.readers) < count:
            wanted = min(3, count - len(self.readers))
            names = [f"Reader {len(self.readers) + at + 1}" for at in range(wanted)]
            self.readers += await asyncio.gather(*(self._enrol(name) for name in names))
        return self.readers[:count]

    async def fresh_readers(self, count: int) -> list[ModelledReader]:
        """`count` readers that no trial has used; later trials do not get them."""
        self._count += count
        return list(await asyncio.gather(*(self._enrol(f"Fresh {self._count - at}") for at in range(count))))

    async def _enrol(self, name: str) -> ModelledReader:
        said = await self.command("server", "enrol-reader", *_HERE, "--site", SITE, "--name", name, "--json")
        made = json.loads(said)
        key = bytes.fromhex(made["key"])
        return ModelledReader(bytes.fromhex(made["reader_id"]), key, int(made["generation"]), name)

    async def code(self) -> str:
        """A code that enrols one hub."""
        made = await self.command("server", "enrol-hub", *_HERE, "--site", SITE, "--json")
        return str(json.loads(made)["code"])

    async def foreign_carrier(self, organisation: str) -> Carrier:
        """A hub of another organisation, which is made when it is first asked for."""
        if organisation not in self._organisations:
            await self.command("server", "create-organisation", "--name", organisation)
            self._organisations.add(organisation)
        made = await self.command("server", "enrol-hub", "--organisation", organisation, "--json")
        carrier = Carrier(self.address)
        await carrier.enrol(str(json.loads(made)["code"]))
        return carrier

    def process(self) -> psutil.Process:
        """The server's process."""
        assert self.server.pid is not None, "the server runs"
        return psutil.Process(self.server.pid)

    async def laptop(self, name: str = "Laptop") -> Laptop:
        """A laptop with the identity `name` and an empty database."""
        if name not in self._enrolled:
            made = Laptop(self, self.folder / f"enrolled-{name}", name)
            arguments = ("hub", "enrol", await self.code(), "--server", self.address, "--name", name)
            where = Place(
                self.folder, self.place.port, self.place.environment | {"DOORSTEP_HUB_DATA": str(made.folder)}
            )
            await run_command(where, *arguments)
            self._enrolled[name] = made.folder
        self._count += 1
        folder = self.folder / f"{name}-{self._count}"
        shutil.copytree(self._enrolled[name], folder)
        self._laptops.append(Laptop(self, folder, name))
        return self._laptops[-1]

    async def end_laptops(self) -> None:
        """End what a trial left running, and its folders."""
        for laptop in self._laptops:
            await laptop.kill()
            shutil.rmtree(laptop.folder, ignore_errors=True)
        self._laptops.clear()

    # the ledger -----------------------------------------------------------------------------------

    def rows(self, statement: str, *parameters: Any) -> list[Any]:
        """Rows of the server's own tables, as their owner."""
        lines = (self.cluster / "postmaster.pid").read_text().splitlines()
        with psycopg.connect(host=lines[4], port=lines[3], user="postgres", dbname="postgres") as connection:
            return connection.execute(statement.encode(), parameters).fetchall()

    def rows_or_none(self, statement: str) -> list[Any]:
        """As `rows`; none while the database does not answer."""
        try:
            return self.rows(statement)
        except psycopg.Error:
            return []

    @property
    def here(self) -> tuple[str, str]:
        """The option of a command that names the organisation."""
        return "--organisation", ORGANISATION

    @property
    def cluster(self) -> Path:
        """The folder of the server's PostgreSQL."""
        return self.folder / "server" / "postgresql"

    def kill_postgresql(self) -> None:
        """kill -9 of PostgreSQL with all its processes."""
        postmaster = psutil.Process(int((self.cluster / "postmaster.pid").read_text().splitlines()[0]))
        for process in [postmaster, *postmaster.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    async def until_up(self) -> None:
        """Until the server answers and its database too."""
        async with asyncio.timeout(_START_S):
            while not self.rows_or_none("SELECT 1"):  # noqa: ASYNC110  another process: there is nothing to wait for
                await asyncio.sleep(0.1)
            async with httpx.AsyncClient(base_url=self.place.address, timeout=30) as client:
                while (await client.get("/sign-in")).status_code >= 500:  # noqa: ASYNC110  as above
                    await asyncio.sleep(0.1)

    def held(self, reader: ModelledReader, after: int = 0) -> dict[int, bytes]:
        """What the server holds of a reader beyond number `after`, by number."""
        select = "SELECT number, sealed FROM sealed_record WHERE reader_id = %s AND number > %s"
        return {int(number): bytes(sealed) for number, sealed in self.rows(select, reader.reader_id, after)}

    def aside(self, reader: ModelledReader) -> list[bytes]:
        """What the server keeps of a reader in quarantine."""
        rows = self.rows("SELECT content FROM quarantine WHERE reader_id = %s", reader.reader_id)
        return [bytes(content) for (content,) in rows]

    def results(self, reader: ModelledReader, after: int = 0) -> list[int]:
        """The numbers of the results that a clinician may see, each as often as it is there."""
        select = "SELECT number FROM result WHERE reader_id = %s AND number > %s ORDER BY number"
        return [int(number) for (number,) in self.rows(select, reader.reader_id, after)]

    def count(self, readers: Iterable[ModelledReader], before: dict[bytes, int]) -> Tally:
        """Compare what readers issued beyond `before` with what the server holds, byte for byte."""
        tally = Tally()
        for reader in readers:
            after = before[reader.reader_id]
            held, results = self.held(reader, after), self.results(reader, after)
            issued = dict(enumerate(reader.issued[after:], after + 1))
            right = sum(1 for number, sealed in issued.items() if held.get(number) == sealed)
            tally.issued += len(issued)
            tally.held += right
            tally.lost += len(issued) - right
            tally.duplicated += len(results) - len(set(results))
            tally.undetected += len(held.keys() - issued.keys())  # held, and nobody issued it
            if reader.released > after and reader.released not in held:
                raise BrokenPromise(f"{reader.name} discarded number {reader.released}, which is not held", tally)
        return tally


_shared: Programme | None = None


@contextlib.asynccontextmanager
async def programme(say: Say) -> AsyncGenerator[Programme]:
    """A running programme in a folder of its own, gone at the end; inside `shared` the one that runs already."""
    if _shared is not None:
        yield _shared
        return
    with tempfile.TemporaryDirectory(prefix="doorstep-faults-") as folder, Guardian(Path(folder), remove=True):
        made = Programme(Path(folder), say)
        try:
            say("starts a server")
            await made.open()
            yield made
        finally:
            await made.close()


@contextlib.asynccontextmanager
async def shared(say: Say) -> AsyncGenerator[Programme]:
    """One programme for all parts that are run inside, so that a few seeds of each do not cost a server each."""
    global _shared
    async with programme(say) as made:
        _shared = made
        try:
            yield made
        finally:
            _shared = None


async def settle(readers: Iterable[ModelledReader], timeout: float = _SETTLE_S) -> None:
    """Until every reader holds receipts for all it issued. PathError."""
    wanted = list(readers)
    changed = asyncio.Event()

    def tell() -> None:
        changed.set()

    told: Callable[[], None] = tell
    for reader in wanted:
        reader.changed = told
    try:
        async with asyncio.timeout(timeout):
            while not all(reader.settled for reader in wanted):
                changed.clear()
                await changed.wait()
    except TimeoutError:
        said = [(reader.name, len(reader.issued), reader.released) for reader in wanted]
        raise PathError(f"Within {timeout:.0f} s not all receipts came (issued, released): {said}") from None
