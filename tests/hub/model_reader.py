"""A small model of the reader's end (protocol sections 4.1 to 4.4), written from the protocol alone and
independent of the hub.

It shares no code with the hub or the firmware but the vocabulary. Records are shaped as sealed ones; their content
is noise.
"""

import asyncio
import hashlib
import hmac
import os
from dataclasses import dataclass, field

import cbor2

from hub.admission import Ticket
from hub.collector import Channel, LinkLost
from reader import wire


def sealed_record(reader_id: bytes, number: int, previous: bytes, size: int = 300, generation: int = 1) -> bytes:
    header = {1: 31, 4: reader_id, -70001: number, -70002: previous, -70003: generation}
    nonce = number.to_bytes(4, "big") + os.urandom(9)
    return cbor2.dumps(cbor2.CBORTag(16, [cbor2.dumps(header), {5: nonce}, os.urandom(size)]))


def chain_of(reader_id: bytes, count: int, size: int = 300, sealed: list[bytes] | None = None) -> list[bytes]:
    """`count` records more, chained on those of `sealed`."""
    records = list(sealed or [])
    for number in range(len(records) + 1, len(records) + count + 1):
        base = records[-1] if records else reader_id
        records.append(sealed_record(reader_id, number, hashlib.sha256(base).digest()[:16], size))
    return records


@dataclass
class ModelReader:
    """A reader that holds `records` (index 0 is number 1) and takes downlink as `TAKEN` says."""

    reader_id: bytes = field(default_factory=lambda: os.urandom(8))
    key: bytes = field(default_factory=lambda: os.urandom(32))
    records: list[bytes] = field(default_factory=list)
    first: int = 1
    released: int = 0
    down: int = 0
    boot_id: bytes = field(default_factory=lambda: os.urandom(8))
    damaged: set[int] = field(default_factory=set)
    wall_ms: int | None = None
    clock_source: int = 0
    clocks: list[int] = field(default_factory=list)
    taken: list[bytes] = field(default_factory=list)
    receipt_code: int = 0
    command_codes: dict[int, int] = field(default_factory=dict)
    clock_limit_ms: int = 1 << 62
    began_s: float = 0.0
    image_id: bytes = b""  # of the image that it awaits; empty: of none
    image_size: int = 0
    image: bytearray = field(default_factory=bytearray)  # what it has of it
    image_codes: list[int] = field(default_factory=list)  # said in turn, before it takes anything more
    again: dict[int, int] = field(default_factory=dict)  # at this many bytes it goes back to that many, once
    stuck: bool = False
    updates: bool = True  # an older firmware has none

    @property
    def next(self) -> int:
        return len(self.records) + 1

    def add(self, count: int, size: int = 300) -> None:
        self.records = chain_of(self.reader_id, count, size, self.records)

    def hash_at(self, number: int) -> bytes:
        base = self.records[number - 1] if number else self.reader_id
        return hashlib.sha256(base).digest()[:16]

    def ticket(self, hub_id: bytes, expiry: int = 4_000_000_000) -> Ticket:
        info = b"doorstep/1 ticket" + hub_id + expiry.to_bytes(8, "big")
        extract = hmac.digest(self.reader_id, self.key, "sha256")
        return Ticket(self.reader_id, expiry, 1, hmac.digest(extract, info + b"\x01", "sha256"))

    def state(self) -> dict[int, object]:
        return {
            1: self.reader_id, 2: self.first, 3: self.next, 4: self.released,
            5: self.hash_at(self.next - 1), 6: self.boot_id,
            7: 1000, 8: self.wall_ms, 9: self.clock_source, 10: 80, 11: "1.0.0",
            12: self.down, 13: 1, 14: 100, 15: 0, 16: "Test",
        }  # fmt: skip


@dataclass
class ModelLink:
    """One connection to a ModelReader, as a `hub.collector.Link`. Faults are set before the visit.

    `cut_after` loses the link after that many segments on `up`; `mute_after` goes silent;
    `alter` changes one message on `up`; `impostor` does not know the ticket's secret.
    """

    reader: ModelReader
    hub_id: bytes
    mtu: int = 247
    cut_after: int | None = None
    mute_after: int | None = None
    alter: dict[int, bytes] = field(default_factory=dict)
    impostor: bool = False
    segments_up: int = 0
    writes: int = 0
    lost: bool = False
    admitted: bool = False
    cut_at_piece: int | None = None
    pieces: int = 0

    def __post_init__(self) -> None:
        self._out: asyncio.Queue[tuple[Channel, bytes] | None] = asyncio.Queue()
        self._counters = {"in control": 0, "in down": 0, "out control": 0, "out up": 0}
        self._open: dict[str, bytes | None] = {"control": None, "down": None}
        self._cursor: int | None = None
        self._message = b""
        self._credits = 0
        self._secret = b""
        self._session = b""

    # the hub's side

    async def receive(self) -> tuple[Channel, bytes]:
        arrived = await self._out.get()
        if arrived is None:
            self._out.put_nowait(None)
            raise LinkLost("cut by the test")
        return arrived

    async def write_control(self, value: bytes) -> None:
        await self._write("control", value)

    async def write_down(self, value: bytes) -> None:
        await self._write("down", value)

    # the reader's side

    async def _write(self, name: str, value: bytes) -> None:
        await asyncio.sleep(0)
        self.writes += 1
        if self.lost:
            raise LinkLost("cut by the test")
        assert len(value) <= self.mtu - 3, "the value does not fit the MTU"
        assert value[1] == len(value) - 2 >= 1, "one segment, whole"
        assert value[0] & 0x3F == self._counters["in " + name], "the counter is the next one"
        self._counters["in " + name] = (self._counters["in " + name] + 1) % 64
        message = self._open[name]
        assert bool(value[0] & 0x80) == (message is None), "first is set exactly when no message is open"
        message = (message or b"") + value[2:]
        self._open[name] = None if value[0] & 0x40 else message
        if value[0] & 0x40:
            (self._control if name == "control" else self._down)(message)

    def _control(self, message: bytes) -> None:
        request = cbor2.loads(message)
        assert cbor2.dumps(request, canonical=True) == message
        op = request[0]
        if op == wire.OP_HELLO:
            self._hello(*request[1:])
        elif op == wire.OP_PROVE:
            expected = hmac.digest(self._secret, b"doorstep/1 hub" + self._said, "sha256")[:16]
            self.admitted = request[1] == expected
            self._session = hmac.digest(self._secret, b"doorstep/1 session" + self._said, "sha256")
            self._reply([wire.OP_STATE, self.reader.state()] if self.admitted else [wire.OP_ERROR, 6, op])
        elif not self.admitted:
            self._reply([wire.OP_ERROR, wire.ERR_NOT_ADMITTED, op])
        elif op == wire.OP_STATUS:
            self._reply([wire.OP_STATE, self.reader.state()])
        elif op == wire.OP_REPORT:
            self._report(request[1], request[2])
        elif op == wire.OP_CREDIT:
            if self._cursor is not None:
                self._credits = min(wire.CREDITS_MAX, self._credits + request[1])
                self._pump()
        elif op == wire.OP_CLOCK:
            said = b"doorstep/1 clock" + request[1].to_bytes(8, "big") + request[2].to_bytes(4, "big")
            if request[1] >= self.reader.clock_limit_ms:
                self._reply([wire.OP_ERROR, wire.ERR_TICKET_REFUSED, op])
                return
            if hmac.digest(self._session, said, "sha256")[:16] != request[3]:
                self._reply([wire.OP_ERROR, wire.ERR_TICKET_REFUSED, op])
                return
            self.reader.clocks.append(request[1])
            self.reader.wall_ms, self.reader.clock_source = request[1], wire.CLOCK_HUB
            self._reply([wire.OP_DONE, wire.OP_CLOCK])
        elif op == wire.OP_IMAGE and self.reader.updates:
            self._wanted(request[1])
        else:
            self._reply([wire.OP_ERROR, wire.ERR_UNKNOWN_OP, op])

    def _wanted(self, image_id: bytes) -> None:
        reader = self.reader
        code = wire.ERR_IMAGE if not reader.image_id or image_id != reader.image_id else 0
        if code == 0 and reader.image_codes:
            code = reader.image_codes.pop(0)
        self._reply([wire.OP_WANTED, code, len(reader.image), reader.image_size])

    def _piece(self, offset: int, content: bytes) -> None:
        reader = self.reader
        assert 0 < len(content) <= wire.PIECE_MAX
        assert offset + len(content) <= reader.image_size
        self.pieces += 1
        if self.cut_at_piece == self.pieces:
            self.cut()
            return
        if offset == len(reader.image) and not reader.stuck:
            reader.image += content
        back = reader.again.pop(len(reader.image), None)
        if back is not None:
            del reader.image[back:]
        self._wanted(reader.image_id)

    def _hello(self, version: int, hub_id: bytes, expiry: int, generation: int, hub_nonce: bytes) -> None:
        if version != 1 or generation != 1:
            self._reply([wire.OP_ERROR, 11 if version != 1 else 6, 1])
            return
        nonce = os.urandom(16)
        self._secret = os.urandom(32) if self.impostor else self.reader.ticket(hub_id, expiry).secret
        self._said = self.reader.reader_id + hub_id + expiry.to_bytes(8, "big") + hub_nonce + nonce
        self._reply(
            [wire.OP_CHALLENGE, nonce, hmac.digest(self._secret, b"doorstep/1 reader" + self._said, "sha256")[:16]]
        )

    def _report(self, number: int, credits: int) -> None:
        if number < self.reader.first:
            self._reply([wire.OP_ERROR, wire.ERR_GONE, wire.OP_REPORT])
        elif number > self.reader.next:
            self._reply([wire.OP_ERROR, wire.ERR_AHEAD, wire.OP_REPORT])
        else:
            self._cursor, self._credits, self._message = number, credits, b""
            self._pump()

    def _down(self, message: bytes) -> None:
        reader = self.reader
        if not self.admitted:
            self._reply([wire.OP_ERROR, wire.ERR_NOT_ADMITTED, wire.OP_DOWN])
            return
        said = cbor2.loads(message)
        if said[0] == wire.OP_PIECE:
            self._piece(*said[1:])
            return
        kind, number = said  # in place of unsealing
        code = 0
        if kind == "receipt":
            code = reader.receipt_code
            if code == 0:
                reader.released = max(reader.released, number)
                reader.first = max(reader.first, reader.released + 1) if reader.released < reader.next else reader.first
        elif number != reader.down + 1:
            code = wire.ERR_REPLAYED
        else:
            reader.down = number
            code = reader.command_codes.get(number, 0)
            reader.add(1)  # the event that journals it
        if code == 0:
            reader.taken.append(message)
        self._reply([wire.OP_TAKEN, code, number, reader.released])

    def _pump(self) -> None:
        while self._cursor is not None and self._credits > 0:
            self._credits -= 1
            first = not self._message
            if first:
                self._message = self._next_message()
            part, self._message = self._message[: min(242, self.mtu - 5)], self._message[min(242, self.mtu - 5) :]
            ended = not self._message and self._cursor == self.reader.next
            if not self._message:
                self._cursor = None if ended else self._cursor + 1
            if not self._emit("out up", Channel.UP, part, first, not self._message):
                return

    def _next_message(self) -> bytes:
        number = self._cursor
        assert number is not None
        if number in self.alter:
            return self.alter[number]
        if number == self.reader.next:
            return cbor2.dumps([wire.OP_END, number])
        if number in self.reader.damaged:
            return cbor2.dumps([wire.OP_DAMAGED, number])
        return self.reader.records[number - 1]

    def _reply(self, reply: list[object]) -> None:
        message = cbor2.dumps(reply, canonical=True)
        size = min(242, self.mtu - 5)
        for at in range(0, len(message), size):
            part = message[at : at + size]
            self._emit("out control", Channel.CONTROL, part, at == 0, at + len(part) == len(message))

    def _emit(self, counter: str, channel: Channel, part: bytes, first: bool, last: bool) -> bool:
        if self.lost:
            return False
        if channel is Channel.UP:
            self.segments_up += 1
            if self.mute_after is not None and self.segments_up > self.mute_after:
                return False
            if self.cut_after is not None and self.segments_up > self.cut_after:
                self.cut()
                return False
        head = (0x80 if first else 0) | (0x40 if last else 0) | self._counters[counter]
        self._counters[counter] = (self._counters[counter] + 1) % 64
        self._out.put_nowait((channel, bytes([head, len(part)]) + part))
        return True

    def cut(self) -> None:
        self.lost = True
        self._out.put_nowait(None)
