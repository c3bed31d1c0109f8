"""The reader's end in this process: the firmware's own identity, journal, session and link over a modelled radio, with
a device that has no parts.

The modules of MicroPython that they import are stood in for here: `cryptolib` by `cryptography`, `micropython` and
`bluetooth` by as much as is used.
"""

import asyncio
import importlib
import random
import sys
import types
from pathlib import Path
from typing import Any

import cbor2
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from reader import wire

from .channel import Channel, Peripheral


class _Aes:
    """`cryptolib.aes`: mode 1 is ECB, mode 2 is CBC with a chain that goes on from call to call."""

    def __init__(self, key: bytes, mode: int, iv: bytes | None = None) -> None:
        chosen = modes.ECB() if mode == 1 else modes.CBC(iv or b"")  # noqa: S305  what CCM is built of
        self._encryptor = Cipher(algorithms.AES(bytes(key)), chosen).encryptor()

    def encrypt(self, data: bytes, out: memoryview | None = None) -> bytes | None:
        result = self._encryptor.update(bytes(data))
        if out is None:
            return result
        out[: len(result)] = result
        return None


def _firmware(name: str) -> Any:
    """A module of the reader that only MicroPython can import by itself."""
    micropython, cryptolib = types.ModuleType("micropython"), types.ModuleType("cryptolib")
    micropython.const = lambda value: value  # type: ignore[attr-defined]
    cryptolib.aes = _Aes  # type: ignore[attr-defined]
    sys.modules.setdefault("cryptolib", cryptolib)
    absent = [one for one in ("micropython", "bluetooth") if one not in sys.modules]
    for one in absent:
        sys.modules[one] = micropython
    try:
        return importlib.import_module(name)
    finally:
        for one in absent:  # others find out by their absence that this is not MicroPython
            del sys.modules[one]


_session, _link = _firmware("reader.session"), _firmware("reader.link")
_identity, _journal, _custody = _firmware("reader.identity"), _firmware("reader.journal"), _firmware("reader.custody")


async def _sleep_ms(ms: int) -> None:
    await asyncio.sleep(ms / 1000)


_link.asyncio = types.SimpleNamespace(sleep_ms=_sleep_ms)


def provision(folder: Path, reader_id: bytes, key: bytes) -> None:
    """What an engineer puts on a new reader."""
    (folder / "identity.cbor").write_bytes(cbor2.dumps({1: reader_id, 2: [[0, key]], 3: "reader", 4: 0}))


class Instrument:
    """One start of a reader whose flash is `folder`. `issued` by number outlives it: what a person was shown."""

    def __init__(self, folder: Path, channel: Channel, chance: random.Random, issued: dict[int, bytes]) -> None:
        self._chance, self._issued = chance, issued
        self.boot_id = chance.randbytes(8)
        self.firmware = "0.1.0"
        self._wall: tuple[int, float] | None = None
        self._source = wire.CLOCK_UNSET
        self._loop = asyncio.get_running_loop()
        self._started_s = self._loop.time()
        self.identity: Any = _identity.Identity(str(folder))
        reader_id = self.identity.reader_id
        self.journal: Any = _journal.Journal(str(folder / "journal"), _custody.genesis(reader_id), 8192)
        self._recorder: Any = _custody.Recorder(self.identity, self.journal, self.random)
        self.session: Any = _session.Session(self.identity, self.journal, self)
        self._radio = Peripheral(channel)
        _link.bluetooth = types.SimpleNamespace(BLE=lambda: self._radio, UUID=str)
        self.link: Any = _link.Link(self)
        self._running = asyncio.create_task(self.link.run())

    def record(self, size: int) -> None:
        """A result, as the workflow stores it."""
        number = self._recorder.write(self._chance.randbytes(size))
        self._issued[number] = self.journal.read(number)
        self.link.refresh()

    def power_off(self) -> None:
        """Its power goes."""
        self._running.cancel()
        self._radio.power_off()

    @property
    def failed(self) -> BaseException | None:
        """What ended its link task, which never ends by itself."""
        return self._running.exception() if self._running.done() and not self._running.cancelled() else None

    # What the app lends a session and a link

    def uptime_ms(self) -> int:
        return int((self._loop.time() - self._started_s) * 1000)

    def wall_ms(self) -> int | None:
        return None if self._wall is None else self._wall[0] + int((self._loop.time() - self._wall[1]) * 1000)

    def clock_source(self) -> int:
        return self._source

    def set_clock(self, unix_ms: int, uncertainty_ms: int | None, source: int) -> None:
        self._wall, self._source = (unix_ms, self._loop.time()), source
        self.event(wire.EVENT_CLOCK_SET, None, [])

    def battery(self) -> int:
        return 80

    def flags(self) -> int:
        return 0

    def random(self, count: int) -> bytes:
        return self._chance.randbytes(count)

    def identify(self) -> None:
        pass

    def event(self, code: int, detail: str | None, numbers: list[int]) -> None:
        self.record(60)

    def settings_changed(self) -> None:
        pass

    def store_assay(self, pack: bytes) -> bool:
        return False
