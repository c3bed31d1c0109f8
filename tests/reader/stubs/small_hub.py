"""A small hub for the reader's tests: protocol.md section 4 by plain bleak, written apart from the real hub."""

import asyncio
import hashlib
import hmac
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import cbor2
from bleak import BleakClient, BleakScanner
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from emulator.bench import Bench

BASE = "8f3c1d5{}-6b0e-4f6a-9a57-2d41c7e8b610"
SERVICE, STATUS, CONTROL, UP, DOWN = (BASE.format(n) for n in "23456")
HUB_ID = b"test-hub"
GENERATION = 1


def hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 for one block (RFC 5869)."""
    return hmac.digest(hmac.digest(salt, key, "sha256"), info + b"\x01", "sha256")


def open_record(sealed: bytes, key: bytes, reader_id: bytes) -> dict[int, Any]:
    """The plaintext of a sealed record, checked as the server checks it (protocol.md section 2)."""
    protected, unprotected, ciphertext = cbor2.loads(sealed).value
    header = cbor2.loads(protected)
    assert header[4] == reader_id
    assert unprotected[5][:4] == header[-70001].to_bytes(4, "big")
    aad = cbor2.dumps(["Encrypt0", protected, b""])
    return cbor2.loads(AESCCM(hkdf(key, reader_id, b"doorstep/1 record"), 16).decrypt(unprotected[5], ciphertext, aad))


def seal_down(key: bytes, reader_id: bytes, number: int, message: Any) -> bytes:
    """What the server seals for this reader (section 3)."""
    header = cbor2.dumps({1: 31, 4: reader_id, -70001: number, -70003: GENERATION}, canonical=True)
    nonce = number.to_bytes(4, "big") + os.urandom(9)
    secret = hkdf(key, reader_id, b"doorstep/1 down")
    sealed = AESCCM(secret, 16).encrypt(
        nonce, cbor2.dumps(message, canonical=True), cbor2.dumps(["Encrypt0", header, b""])
    )
    return cbor2.dumps(cbor2.CBORTag(16, [header, {5: nonce}, sealed]))


class Stream:
    """Messages out of the segments of one characteristic, in order, or an assertion."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[bytes] = asyncio.Queue()
        self.segments = 0
        self._open = bytearray()
        self._counter = 0

    def feed(self, _: object, value: bytearray) -> None:
        """A notification or indication."""
        while value:
            flags, size = value[0], value[1]
            assert 1 <= size <= 242
            assert flags & 0x3F == self._counter, "a segment is missing or out of order"
            assert bool(flags & 0x80) == (not self._open)
            self._counter = (self._counter + 1) % 64
            self.segments += 1
            self._open += value[2 : 2 + size]
            value = value[2 + size :]
            if flags & 0x40:
                self.messages.put_nowait(bytes(self._open))
                self._open.clear()


class SmallHub:
    """One connection to one reader."""

    def __init__(self, client: BleakClient, reader_id: bytes, key: bytes, gone: asyncio.Event) -> None:
        self.client = client
        self.reader_id = reader_id
        self.key = key
        self.gone = gone
        self.control = Stream()
        self.up = Stream()
        self._counters = {CONTROL: 0, DOWN: 0}

    async def subscribe(self) -> None:
        """As section 4 asks: first subscribe, then write."""
        await self.client.start_notify(CONTROL, self.control.feed)
        await self.client.start_notify(UP, self.up.feed)

    async def send(self, characteristic: str, message: bytes) -> None:
        """Write a message in segments of the link's size."""
        room = min(242, self.client.mtu_size - 5)
        for at in range(0, len(message), room):
            part = message[at : at + room]
            flags = self._counters[characteristic] | (0x80 if at == 0 else 0)
            flags |= 0x40 if at + room >= len(message) else 0
            self._counters[characteristic] = (self._counters[characteristic] + 1) % 64
            await self.client.write_gatt_char(characteristic, bytes((flags, len(part))) + part, response=True)

    async def ask(self, *fields: Any) -> list[Any]:
        """Send a request and wait for its reply."""
        await self.send(CONTROL, cbor2.dumps(list(fields)))
        return await self.reply()

    async def reply(self) -> list[Any]:
        """The next reply on control."""
        return cbor2.loads(await asyncio.wait_for(self.control.messages.get(), 10))

    async def admit(self, expiry: int = 4_000_000_000) -> dict[int, Any]:
        """HELLO to STATE; returns the state."""
        secret = hkdf(self.key, self.reader_id, b"doorstep/1 ticket" + HUB_ID + expiry.to_bytes(8, "big"))
        nonce = os.urandom(16)
        op, reader_nonce, proof = await self.ask(1, 1, HUB_ID, expiry, GENERATION, nonce)
        assert op == 2
        said = self.reader_id + HUB_ID + expiry.to_bytes(8, "big") + nonce + reader_nonce
        assert proof == hmac.digest(secret, b"doorstep/1 reader" + said, "sha256")[:16]
        self.session_key = hmac.digest(secret, b"doorstep/1 session" + said, "sha256")
        op, state = await self.ask(3, hmac.digest(secret, b"doorstep/1 hub" + said, "sha256")[:16])
        assert op == 4
        return state

    async def collect(self, first: int, credits: int = 4096) -> list[bytes]:
        """Sealed records from `first` on, until END."""
        await self.send(CONTROL, cbor2.dumps([6, first, credits]))
        records: list[bytes] = []
        while True:
            message = await asyncio.wait_for(self.up.messages.get(), 20)
            if isinstance(item := cbor2.loads(message), list):
                assert item == [12, first + len(records)]
                return records
            records.append(message)

    async def set_clock(self, unix_ms: int, uncertainty_ms: int = 50) -> list[Any]:
        """CLOCK with its proof."""
        said = b"doorstep/1 clock" + unix_ms.to_bytes(8, "big") + uncertainty_ms.to_bytes(4, "big")
        return await self.ask(8, unix_ms, uncertainty_ms, hmac.digest(self.session_key, said, "sha256")[:16])

    async def receipt(self, number: int, sealed: bytes) -> list[Any]:
        """Bring the server's receipt up to `number`."""
        message = {1: 1, 2: number, 3: hashlib.sha256(sealed).digest()[:16], 4: b"epoch--1"}
        await self.send(DOWN, seal_down(self.key, self.reader_id, number, message))
        return await self.reply()


@asynccontextmanager
async def connected(bench: Bench, reader_id: bytes, key: bytes) -> AsyncIterator[SmallHub]:
    """Scan for the reader, connect and subscribe; the bench's readers keep the hub's time meanwhile."""

    def ours(device: object, advertisement: Any) -> bool:
        return advertisement.manufacturer_data.get(0xFFFF, b"")[1:9] == reader_id

    in_step = [reader for reader in bench.readers if reader.in_step]
    for reader in in_step:
        reader.in_step = False
    try:
        device = await BleakScanner.find_device_by_filter(ours, timeout=10, backend=bench.scanner)
        assert device is not None, "the reader was not heard"
        gone = asyncio.Event()
        async with BleakClient(device, disconnected_callback=lambda _: gone.set(), backend=bench.client) as client:
            hub = SmallHub(client, reader_id, key, gone)
            await hub.subscribe()
            yield hub
    finally:
        for reader in in_step:
            reader.in_step = True
