"""Faults of the laptop and of what is around it: kills, disks, clocks, adapters, networks that answer for others, and
no network at all. The hub, the server and PostgreSQL are the real programs; the readers and the radio are models.

At the end of every trial each record is on the server exactly once, byte for byte, its reader holds the receipt, and at
no time did the hub say "delivered" of what the server did not hold.
"""

import asyncio
import contextlib
import json
import os
import random
import resource
import sqlite3
import ssl
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ..modelled.air import Air
from ..modelled.reader import ModelledReader
from ..path import PathError
from .campaign import BrokenPromise, Part, Say, Tally, Trial
from .programme import Laptop, Programme, programme, settle

_DAY_MS = 86_400_000
_DATABASE = "hub.sqlite3"


class _Scene:
    """One trial: the readers it uses, what they had issued before, and the faults injected so far."""

    def __init__(self, made: Programme, air: Air, readers: list[ModelledReader], chance: random.Random) -> None:
        self.programme, self.air, self.readers, self.chance = made, air, readers, chance
        self.before = {reader.reader_id: len(reader.issued) for reader in readers}
        self.faults = self.undetected = 0

    def issue(self, low: int, high: int) -> None:
        """Every reader issues some results more."""
        for reader in self.readers:
            reader.issue(self.chance.randint(low, high))

    def check_delivered(self, laptop: Laptop) -> None:
        """What the hub says is delivered the server must hold: read now, while the fault stands."""
        path = laptop.folder / _DATABASE
        if not path.exists():
            return
        try:
            with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
                said = dict(database.execute("SELECT reader_id, delivered FROM readers").fetchall())
        except sqlite3.DatabaseError:
            return  # damaged by the trial, or just being made: it says nothing, and so nothing wrong
        for reader in self.readers:
            number = said.get(reader.reader_id, 0)
            if number > self.before[reader.reader_id] and number not in self.programme.held(reader, number - 1):
                self.undetected += 1

    async def finish(self, laptop: Laptop) -> Tally:
        """Let it end well, and count."""
        if not laptop.running:
            await laptop.start(self.air)
        await settle(self.readers)
        await laptop.stop()
        self.check_delivered(laptop)
        tally = self.programme.count(self.readers, self.before)
        tally.faults, tally.undetected = self.faults, tally.undetected + self.undetected
        return tally


async def _killed(scene: _Scene) -> Tally:
    """kill -9 at random instants of the hub's life, records issued meanwhile."""
    laptop = await scene.programme.laptop()
    scene.issue(20, 120)
    for _ in range(scene.chance.randint(1, 3)):
        laptop.forget()
        await laptop.start(scene.air)
        await laptop.until("started")
        await asyncio.sleep(scene.chance.uniform(0, 0.8))  # the instant of the kill, not a wait for anything
        await laptop.kill()
        scene.faults += 1
        scene.check_delivered(laptop)
        if scene.chance.random() < 0.3:
            scene.issue(1, 10)
    return await scene.finish(laptop)


async def _disk_full(scene: _Scene) -> Tally:
    """The disk fills up while the hub collects: told, nothing collected is lost, and it goes on when there is room."""
    laptop = await scene.programme.laptop()
    with _small_disk(laptop) as fill:
        scene.issue(150, 300)
        free = fill(True)
        await laptop.start(scene.air)
        scene.faults += 1
        await laptop.until("problem", code="disk-full")
        scene.check_delivered(laptop)
        await laptop.kill()  # the pause after a full disk is 30 s, and a person who makes room may as well restart it
        fill(False)
        assert free
        return await scene.finish(laptop)


async def _disk_read_only(scene: _Scene) -> Tally:
    """A data folder that cannot be written is a sentence, and the records stay on the readers."""
    laptop = await scene.programme.laptop()
    scene.issue(5, 30)
    scene.faults += 1
    with _read_only(laptop):
        await laptop.start(scene.air)
        said = await _ended(laptop)
    if "cannot be" not in said or "Traceback" in said:
        raise BrokenPromise(f"a read-only folder was told as: {said}")
    laptop = await scene.programme.laptop()
    return await scene.finish(laptop)


async def _ended(laptop: Laptop) -> str:
    """What it said when it ended by itself."""
    async with asyncio.timeout(60):
        while laptop.running:  # noqa: ASYNC110  its end is all there is to wait for
            await asyncio.sleep(0.05)
    log = laptop.programme.place.folder / f"{laptop.name}.log"
    return log.read_text(errors="replace").splitlines()[-1]


async def _damaged(scene: _Scene) -> Tally:
    """Bytes of the database change, between two runs or under a running hub: it is moved aside, readers offer again."""
    laptop = await scene.programme.laptop()
    scene.programme.relay.cut()  # so that what is damaged is not delivered yet
    try:
        first = await scene.programme.laptop()  # another laptop's database gives this one its tickets
        await _give_tickets(scene, first, laptop)
        scene.issue(100, 250)
        await laptop.start(scene.air)
        await laptop.until("collected")
        await asyncio.sleep(scene.chance.uniform(0, 0.3))
        running = scene.chance.random() < 0.4
        if not running:
            await laptop.stop()
        _damage(laptop.folder / _DATABASE, scene.chance)
        scene.faults += 1
    finally:
        scene.programme.relay.honest()
    if not running:
        laptop.forget()
        await laptop.start(scene.air)
    return await scene.finish(laptop)


async def _give_tickets(scene: _Scene, first: Laptop, laptop: Laptop) -> None:
    """Let `first` get tickets with the network up, and `laptop`, which is the same hub, take over its database."""
    scene.programme.relay.honest()
    await first.start(scene.air)
    await first.until("started")
    await first.until("visiting")
    await first.stop()
    scene.programme.relay.cut()
    for suffix in ("", "-wal"):
        path = first.folder / (_DATABASE + suffix)
        if path.exists():
            (laptop.folder / path.name).write_bytes(path.read_bytes())


def _damage(path: Path, chance: random.Random) -> None:
    """Overwrite pages of the file, and of its log, with noise."""
    for name in (path, path.with_name(path.name + "-wal")):
        if not name.exists() or name.stat().st_size == 0:
            continue
        with name.open("r+b") as file:
            for _ in range(chance.randint(2, 6)):
                file.seek(chance.randrange(name.stat().st_size))
                file.write(chance.randbytes(chance.randint(1, 2000)))


async def _clock(scene: _Scene) -> Tally:
    """The laptop's clock jumps by hours or years, forward and back, while it works."""
    laptop = await scene.programme.laptop()
    scene.issue(10, 60)
    await laptop.start(scene.air)
    await laptop.until("started")
    moved_ms = 0
    for _ in range(scene.chance.randint(1, 3)):
        moved_ms = scene.chance.choice([-1, 1]) * scene.chance.choice(
            [2 * 3_600_000, 26 * 3_600_000, 400 * _DAY_MS, 12 * 365 * _DAY_MS]
        )
        scene.air.set_clock(moved_ms)
        scene.faults += 1
        await asyncio.sleep(scene.chance.uniform(0, 0.5))
        scene.issue(1, 20)
        if scene.chance.random() < 0.5:
            await laptop.kill()
            laptop.forget()
            await laptop.start(scene.air)
    try:
        await settle(scene.readers)
        scene.check_delivered(laptop)
        if abs(moved_ms) > 150_000:  # after the last jump an exchange was made, so it must have been told
            await laptop.until("problem", code="clock-wrong")
    finally:
        scene.air.set_clock(0)
    return await scene.finish(laptop)


async def _adapter(scene: _Scene) -> Tally:
    """The adapter goes and comes back, links die, in the midst of transfers."""
    laptop = await scene.programme.laptop()
    scene.issue(50, 200)
    await laptop.start(scene.air)
    await laptop.until("visiting")
    for _ in range(scene.chance.randint(1, 4)):
        await asyncio.sleep(scene.chance.uniform(0, 0.2))
        scene.faults += 1
        if scene.chance.random() < 0.5:
            await scene.air.unplug()
            await asyncio.sleep(scene.chance.uniform(0, 0.5))
            await scene.air.plug()
        else:
            scene.faults += scene.air.drop()
        scene.issue(1, 10)
    # A scan that has died with its adapter is started anew after two minutes of silence; a person restarts it sooner.
    await laptop.stop()
    return await scene.finish(laptop)


async def _two_hubs(scene: _Scene) -> Tally:
    """Two hubs in one room collect the same readers at once, and one of them dies."""
    one, two = await scene.programme.laptop("Laptop"), await scene.programme.laptop("Second")
    scene.issue(40, 150)
    await asyncio.gather(one.start(scene.air), two.start(scene.air))
    await asyncio.gather(one.until("started"), two.until("started"))
    await asyncio.sleep(scene.chance.uniform(0, 1))
    await one.kill()
    scene.faults += 2
    scene.check_delivered(one)
    scene.issue(1, 10)
    return await scene.finish(two)


async def _ten_readers(scene: _Scene) -> Tally:
    """Ten readers at once, links dying now and then."""
    laptop = await scene.programme.laptop()
    scene.issue(10, 60)
    await laptop.start(scene.air)
    await laptop.until("visiting")
    for _ in range(5):
        await asyncio.sleep(scene.chance.uniform(0, 0.2))
        scene.faults += scene.air.drop()
    return await scene.finish(laptop)


async def _month_offline(scene: _Scene) -> Tally:
    """No network for 31 days by the laptop's clock, then there is one: nothing was dropped meanwhile."""
    laptop = await scene.programme.laptop()
    await laptop.start(scene.air)
    await laptop.until("visiting")
    scene.programme.relay.cut()
    try:
        for day in (1, 8, 15, 23, 31):
            scene.issue(3, 15)
            scene.air.set_clock(day * _DAY_MS)
            await asyncio.sleep(scene.chance.uniform(0.1, 0.4))
            if scene.chance.random() < 0.4:
                await laptop.kill()
                await laptop.start(scene.air)
                scene.faults += 1
        await laptop.until("problem", code="server-unreachable")
        scene.faults += 1
        scene.check_delivered(laptop)
    finally:
        scene.programme.relay.honest()
        scene.air.set_clock(0)
    await laptop.stop()
    return await scene.finish(laptop)


_PAGE = b"<!doctype html><title>Sign in</title><h1>Welcome to the free network</h1>"


def _http(status: str, *headers: str, body: bytes = _PAGE) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


# What answers in the server's place, and the problem that must be shown.
_IN_THE_WAY: dict[str, tuple[bytes, str]] = {
    "a captive portal": (_http("200 OK", "Content-Type: text/html"), "network-in-the-way"),
    "a portal that calls its page CBOR": (_http("200 OK", "Content-Type: application/cbor-seq"), ""),
    "a portal that calls its page JSON": (_http("200 OK", "Content-Type: application/json"), "network-in-the-way"),
    "a proxy's page": (_http("502 Bad Gateway", "Content-Type: text/html"), "server-failed"),
    "a redirect": (_http("302 Found", "Location: http://portal.example/"), "network-in-the-way"),
    "a proxy that wants a password": (_http("407 Proxy Authentication Required"), "network-in-the-way"),
    "nothing": (b"\r\n", "server-unreachable"),
    "noise": (bytes(range(256)), "server-unreachable"),
}


async def _in_the_way(scene: _Scene) -> Tally:
    """Somebody else answers, from the first request on or in the midst: no delivery, and the problem is named."""
    laptop = await scene.programme.laptop()
    relay = scene.programme.relay
    what = scene.chance.choice(list(_IN_THE_WAY))
    late = scene.chance.random() < 0.5
    try:
        if late:  # the token is had, and only the exchange is answered by another
            await laptop.start(scene.air)
            await laptop.until("visiting")
            laptop.forget()
        relay.answer, code = _IN_THE_WAY[what]
        relay.hang_up()
        scene.issue(20, 80)
        if not late:
            await laptop.start(scene.air)
        told = await (laptop.until("problem", code=code) if code else laptop.until("problem"))
        scene.faults += relay.intercepted
        await _shown(scene, laptop, told["code"])
    finally:
        relay.honest()
    return await scene.finish(laptop)


async def _truncated(scene: _Scene) -> Tally:
    """The server's answer breaks off after so many bytes: it stored what was offered, and the hub must not think so."""
    laptop = await scene.programme.laptop()
    relay = scene.programme.relay
    scene.issue(20, 80)
    try:
        await laptop.start(scene.air)
        await laptop.until("visiting")
        relay.cut_after = scene.chance.choice([1, 100, 400, 600, 800, 1200])
        relay.hang_up()
        scene.issue(20, 80)
        await laptop.until("problem")
        scene.faults += relay.intercepted + 1
        scene.check_delivered(laptop)
    finally:
        relay.honest()
    return await scene.finish(laptop)


async def _certificate(scene: _Scene) -> Tally:
    """A server with a certificate that nobody vouches for stands at the hub's address."""
    laptop = await scene.programme.laptop()
    scene.issue(10, 40)
    seen: list[bytes] = []

    async def opened(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            seen.append(await reader.read(65_536))
            writer.write(
                _http("200 OK", "Content-Type: application/json", body=b'{"access_token":"x","expires_in":300}')
            )
            await writer.drain()
        writer.close()

    true = (laptop.folder / "enrolment.json").read_text()
    impostor = await asyncio.start_server(opened, "127.0.0.1", 0, ssl=_nobodys_certificate(laptop.folder))
    try:
        port = impostor.sockets[0].getsockname()[1]
        said = json.loads(true)
        for name in ("token_url", "exchange_url"):
            said[name] = f"https://127.0.0.1:{port}/x"
        (laptop.folder / "enrolment.json").write_text(json.dumps(said))
        await laptop.start(scene.air)
        await laptop.until("problem", code="certificate")
        scene.faults += 1
        await _shown(scene, laptop, "certificate")
    finally:
        impostor.close()
    if any(seen):
        raise BrokenPromise("the hub spoke to a server whose certificate nobody vouches for")
    await laptop.stop()
    (laptop.folder / "enrolment.json").write_text(true)
    return await scene.finish(laptop)


def _nobodys_certificate(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    )
    made = builder.sign(key, hashes.SHA256())
    pem = folder / "impostor.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


async def _shown(scene: _Scene, laptop: Laptop, code: str) -> None:
    """The problem stands in `doorstep hub status` with a sentence and a next step, and nothing more is delivered."""
    status = await laptop.command(scene.air, "status")
    standing = [one for one in status["problems"] if one["code"] == code]
    if not standing or not standing[0]["sentence"] or not standing[0]["next_step"]:
        raise BrokenPromise(f"{code} does not stand in the status: {status['problems']}")
    scene.check_delivered(laptop)


async def _by_file(scene: _Scene) -> Tally:
    """No network ever again: records go to the server by file and receipts come back; exports are killed on the way."""
    laptop = await scene.programme.laptop()
    await laptop.start(scene.air)
    await laptop.until("visiting")  # it has its tickets
    scene.programme.relay.cut()
    stick = laptop.folder.with_name(laptop.folder.name + "-stick")
    stick.mkdir()
    try:
        scene.issue(20, 120)
        for reader in scene.readers:
            await laptop.until("collected", reader=reader.reader_id.hex(), stored=len(reader.issued))
        if scene.chance.random() < 0.6:
            scene.faults += await _kill_an_export(scene, laptop, stick / "out")
        made = await laptop.command(scene.air, "export", str(stick / "out"))
        _altered_copy(stick / "out", stick / "altered", scene.chance)
        await _refused(scene, stick / "altered")
        said = await scene.programme.command(
            *("server", "import", str(stick / "out"), "--answer", str(stick / "back"), "--json")
        )
        if json.loads(said)["records"] != made["records"]:
            raise BrokenPromise(f"of {made['records']} records exported the server took {said}")
        scene.check_delivered(laptop)
        await laptop.command(scene.air, "import", str(stick / "back"))
        scene.check_delivered(laptop)
        await settle(scene.readers)
        for reader in scene.readers:  # the reader has it a moment before the hub has written that down
            await laptop.until("delivered", reader=reader.reader_id.hex(), number=reader.released)
        await laptop.stop()
        status = await laptop.command(scene.air, "status")
        if status["undelivered"]:
            raise BrokenPromise(
                f"{status['undelivered']} records are undelivered after their readers took the receipts"
            )
    finally:
        scene.programme.relay.honest()
    return await scene.finish(laptop)


async def _kill_an_export(scene: _Scene, laptop: Laptop, path: Path) -> int:
    """kill -9 an export at a random instant: the file is there whole, or not at all."""
    await laptop.killed_command(scene.air, scene.chance.uniform(0.3, 1.5), "export", str(path))
    if _left_whole(path):
        return 0  # it was quicker than we
    return 1


def _left_whole(path: Path) -> bool:
    """Whether there is such a file; it makes room for the next."""
    there = path.exists()
    path.unlink(missing_ok=True)
    return there


def _altered_copy(path: Path, copy: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if chance.random() < 0.5:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    else:
        del data[chance.randrange(len(data)) :]
    copy.write_bytes(data)


async def _refused(scene: _Scene, path: Path) -> None:
    scene.faults += 1
    try:
        await scene.programme.command("server", "import", str(path))
    except PathError:
        return
    scene.undetected += 1


@contextlib.contextmanager
def _small_disk(laptop: Laptop) -> Generator[Callable[[bool], bool]]:
    """The laptop's folder on a disk that `fill(True)` fills and `fill(False)` empties: a file system in memory where we
    may mount one, else a limit on the size of the process's files."""
    folder = laptop.folder
    kept = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    mounted = os.geteuid() == 0 and (
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=False).returncode == 0
    )
    ballast = folder / "ballast"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(full: bool) -> bool:
        if not mounted:
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000 if full else limits[0], limits[1]))
        elif full:
            with ballast.open("wb") as file:
                file.write(bytes(1_750_000))
        else:
            ballast.unlink(missing_ok=True)
            subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
        return True

    try:
        for name, content in kept.items():
            (folder / name).write_bytes(content)
        yield fill
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@contextlib.contextmanager
def _read_only(laptop: Laptop) -> Generator[None]:
    folder = laptop.folder
    if os.geteuid() != 0:
        folder.chmod(0o500)
        try:
            yield
        finally:
            folder.chmod(0o700)
        return
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


_Kind = Callable[[_Scene], Awaitable[Tally]]


def _part(name: str, what: str, kinds: tuple[_Kind, ...], seeds: int, few: int, readers: int = 2) -> Part:
    """Seed N tries kind N, in turn."""

    @contextlib.asynccontextmanager
    async def opened(say: Say) -> AsyncGenerator[Trial]:
        async with programme(say) as made:

            async def trial(seed: int) -> Tally:
                kind = kinds[(seed - 1) % len(kinds)]
                used = await made.some_readers(10 if kind is _ten_readers else readers)
                async with Air(used) as air:
                    try:
                        return await kind(_Scene(made, air, used, random.Random(seed)))  # noqa: S311  no secret
                    except BaseException:
                        made.readers.clear()  # what a failed trial left on its readers is not for the next one
                        raise
                    finally:
                        made.relay.honest()
                        await made.end_laptops()

            yield trial

    return Part(name, what, seeds, few, opened)


PARTS = (
    _part("killed", "kill -9 at random instants", (_killed,), seeds=200, few=1),
    _part(
        "laptop",
        "disk full, read-only, database damaged, clock moved, a month offline",
        (_disk_full, _disk_read_only, _damaged, _clock, _month_offline),
        seeds=50,
        few=1,
    ),
    _part("radio", "adapter gone, two hubs, ten readers", (_adapter, _two_hubs, _ten_readers), seeds=30, few=1),
    _part(
        "network",
        "captive portals, proxies, broken answers, certificates",
        (_in_the_way, _truncated, _in_the_way, _certificate),
        seeds=60,
        few=1,
    ),
    _part("file", "export and import, killed and altered on the way", (_by_file,), seeds=20, few=1),
)
