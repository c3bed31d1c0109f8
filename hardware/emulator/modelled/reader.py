"""A reader as a model: its end of the protocol (docs/protocol.md section 4) with real seals, tickets and receipts.

It keeps what it issued for good, so that a trial can compare; `released` is what a real reader would have discarded.
Written from the protocol, and apart from the firmware, the hub and the server.
"""

import copy
import hashlib
import hmac
import os
import time
from collections.abc import Callable
from typing import Any

import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from reader import wire

from ..benchmarks.sealing import FIRMWARE, Sealer

_PAYLOAD = 242

Send = Callable[[str, bytes], None]  # "control" or "up", and a value


def derived(key: bytes, reader_id: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 as in docs/protocol.md section 1."""
    return HKDF(algorithm=SHA256(), length=wire.KEY_BYTES, salt=reader_id, info=info).derive(key)


class ModelledReader:
    """One reader. `issued` is all it ever sealed, number 1 first; `unproved` counts what it refused on `down`."""

    def __init__(self, reader_id: bytes, key: bytes, generation: int, name: str) -> None:
        self.reader_id, self.name, self.generation = reader_id, name, generation
        self._key = key
        self._sealer = Sealer(reader_id, key, generation)
        self._down_cipher = AESCCM(derived(key, reader_id, wire.INFO_DOWN), tag_length=wire.TAG_BYTES)
        self.issued: list[bytes] = []
        self.released = self.down = self.unproved = 0
        self.boot_id = os.urandom(wire.BOOT_ID_BYTES)
        self._began_s = time.monotonic()
        self.wall_ms: int | None = None
        self.changed: Callable[[], None] = lambda: None

    def issue(self, count: int) -> None:
        """Make `count` results more."""
        self.issued += [self._sealer.result() for _ in range(count)]
        self.changed()

    def cloned(self) -> "ModelledReader":
        """Another device with the same identity, key and history: each writes on by itself from here."""
        clone = copy.copy(self)
        clone._sealer = copy.copy(self._sealer)
        clone.issued = list(self.issued)
        return clone

    @property
    def next(self) -> int:
        """The next number."""
        return len(self.issued) + 1

    @property
    def settled(self) -> bool:
        """Whether it holds a receipt for all it issued."""
        return self.released == len(self.issued)

    def hash_at(self, number: int) -> bytes:
        """The chain hash at `number`; 0 is before the first."""
        return hashlib.sha256(self.issued[number - 1] if number else self.reader_id).digest()[: wire.HASH_BYTES]

    def uptime_ms(self) -> int:
        """Milliseconds since it was switched on."""
        return int((time.monotonic() - self._began_s) * 1000) + 100_000_000

    def state(self) -> dict[int, Any]:
        """`state` of the CDDL."""
        return {
            1: self.reader_id, 2: min(self.released + 1, self.next), 3: self.next, 4: self.released,
            5: self.hash_at(self.next - 1), 6: self.boot_id, 7: self.uptime_ms(), 8: self.wall_ms,
            9: wire.CLOCK_UNSET if self.wall_ms is None else wire.CLOCK_HUB, 10: 80, 11: FIRMWARE,
            12: self.down, 13: self.generation, 14: 1000, 15: 0, 16: self.name,
        }  # fmt: skip

    def ticket_secret(self, hub_id: bytes, expiry: int) -> bytes:
        """The secret that a ticket for that hub holds."""
        return derived(self._key, self.reader_id, wire.INFO_TICKET + hub_id + expiry.to_bytes(8, "big"))

    def take(self, sealed: bytes) -> list[Any]:
        """A message on `down`; what is answered."""
        try:
            protected, unprotected, ciphertext = cbor2.loads(sealed).value
            header = cbor2.loads(protected)
            number, nonce = int(header[wire.HDR_NUMBER]), unprotected[wire.COSE_IV]
            aad = cbor2.dumps(["Encrypt0", protected, b""])
            message = cbor2.loads(self._down_cipher.decrypt(nonce, ciphertext, aad))
            sound = header[wire.COSE_KID] == self.reader_id and nonce[:4] == number.to_bytes(4, "big")
        except (InvalidTag, ValueError, KeyError, TypeError, AttributeError, cbor2.CBORDecodeError):
            return self._refused(wire.ERR_SEAL_REFUSED, 0)
        if not sound:
            return self._refused(wire.ERR_SEAL_REFUSED, number)
        if message[wire.DOWN_TYPE] == wire.DOWN_RECEIPT:
            return self._receipt(number, message)
        if number != self.down + 1:
            return self._refused(wire.ERR_REPLAYED, number)
        self.down = number
        self._journal(wire.EVENT_DOWN_APPLIED, [number, message[wire.DOWN_TYPE]])
        return [wire.OP_TAKEN, wire.ERR_NONE, number, self.released]

    def _receipt(self, number: int, message: dict[int, Any]) -> list[Any]:
        if number > len(self.issued) or message[wire.DOWN_B] != self.hash_at(number):
            return self._refused(wire.ERR_CHAIN_MISMATCH, number)
        self.released = max(self.released, number)
        self.changed()
        return [wire.OP_TAKEN, wire.ERR_NONE, number, self.released]

    def _refused(self, code: int, number: int) -> list[Any]:
        self.unproved += code != wire.ERR_REPLAYED
        return [wire.OP_TAKEN, code, number, self.released]

    def _journal(self, code: int, numbers: list[int]) -> None:
        moment = [self.boot_id, self.uptime_ms(), None, wire.CLOCK_UNSET, None]
        record = {
            wire.REC_KIND: wire.KIND_EVENT,
            wire.REC_TIME: moment,
            wire.REC_FIRMWARE: FIRMWARE,
            wire.REC_BODY: {1: code, 2: None, 3: numbers},
        }
        self.issued.append(self._sealer.seal(cbor2.dumps(record, canonical=True)))
        self.changed()


class Connection:
    """One connection to a reader: values in by `written`, values out by `send`."""

    def __init__(self, reader: ModelledReader, send: Send) -> None:
        self._reader, self._send = reader, send
        self._counters = {"control": 0, "up": 0}
        self._open: dict[str, bytearray] = {"control": bytearray(), "down": bytearray()}
        self._said = self._secret = self._session = b""
        self._admitted = False
        self._cursor: int | None = None
        self._credits = 0
        self._rest = b""

    def written(self, channel: str, value: bytes) -> None:
        """The hub wrote one segment to `control` or `down`."""
        message = self._open[channel]
        if value[0] & 0x80:
            message.clear()
        message += value[2:]
        if value[0] & 0x40:
            whole = bytes(message)
            message.clear()
            if channel == "control":
                self._control(whole)
            else:
                taken = self._reader.take(whole) if self._admitted else self._error(wire.ERR_NOT_ADMITTED, 0x80)
                self._reply(taken)

    def _control(self, message: bytes) -> None:
        request = cbor2.loads(message)
        op = request[0]
        if op == wire.OP_HELLO:
            self._hello(*request[1:])
        elif op == wire.OP_PROVE:
            self._prove(request[1])
        elif not self._admitted:
            self._reply(self._error(wire.ERR_NOT_ADMITTED, op))
        elif op == wire.OP_STATUS:
            self._reply([wire.OP_STATE, self._reader.state()])
        elif op == wire.OP_REPORT:
            self._report(request[1], request[2])
        elif op == wire.OP_CREDIT:
            self._credits = min(wire.CREDITS_MAX, self._credits + request[1])
            self._pump()
        elif op == wire.OP_CLOCK:
            self._clock(*request[1:])
        elif op == wire.OP_IMAGE:
            self._reply([wire.OP_WANTED, wire.ERR_IMAGE, 0, 0])  # it awaits none
        else:
            self._reply(self._error(wire.ERR_UNKNOWN_OP, op))

    def _hello(self, version: int, hub_id: bytes, expiry: int, generation: int, nonce: bytes) -> None:
        reader = self._reader
        if version != wire.VERSION or generation != reader.generation:
            code = wire.ERR_VERSION if version != wire.VERSION else wire.ERR_TICKET_REFUSED
            self._reply(self._error(code, wire.OP_HELLO))
            return
        if reader.wall_ms is not None and expiry * 1000 <= reader.wall_ms:
            self._reply(self._error(wire.ERR_TICKET_EXPIRED, wire.OP_HELLO))
            return
        mine = os.urandom(wire.AUTH_NONCE_BYTES)
        self._secret = reader.ticket_secret(hub_id, expiry)
        self._said = reader.reader_id + hub_id + expiry.to_bytes(8, "big") + nonce + mine
        self._reply([wire.OP_CHALLENGE, mine, self._mac(wire.LABEL_READER_PROOF)[: wire.PROOF_BYTES]])

    def _prove(self, proof: bytes) -> None:
        self._admitted = hmac.compare_digest(proof, self._mac(wire.LABEL_HUB_PROOF)[: wire.PROOF_BYTES])
        self._session = self._mac(wire.LABEL_SESSION)
        if self._admitted:
            self._reply([wire.OP_STATE, self._reader.state()])
        else:
            self._reply(self._error(wire.ERR_TICKET_REFUSED, wire.OP_PROVE))

    def _mac(self, label: bytes) -> bytes:
        return hmac.digest(self._secret, label + self._said, "sha256")

    def _clock(self, unix_ms: int, uncertainty_ms: int, proof: bytes) -> None:
        said = wire.LABEL_CLOCK + unix_ms.to_bytes(8, "big") + uncertainty_ms.to_bytes(4, "big")
        if hmac.digest(self._session, said, "sha256")[: wire.PROOF_BYTES] != proof:
            self._reply(self._error(wire.ERR_TICKET_REFUSED, wire.OP_CLOCK))
            return
        self._reader.wall_ms = unix_ms
        self._reply([wire.OP_DONE, wire.OP_CLOCK])

    def _report(self, number: int, credits: int) -> None:
        reader = self._reader
        if number < reader.state()[2]:
            self._reply(self._error(wire.ERR_GONE, wire.OP_REPORT))
        elif number > reader.next:
            self._reply(self._error(wire.ERR_AHEAD, wire.OP_REPORT))
        else:
            self._cursor, self._credits, self._rest = number, credits, b""
            self._pump()

    def _pump(self) -> None:
        while self._cursor is not None and self._credits > 0:
            first, ending = not self._rest, self._cursor == self._reader.next
            if first:
                end = cbor2.dumps([wire.OP_END, self._cursor])
                self._rest = end if ending else self._reader.issued[self._cursor - 1]
            part, self._rest = self._rest[:_PAYLOAD], self._rest[_PAYLOAD:]
            self._credits -= 1
            self._segment("up", part, first, not self._rest)
            if not self._rest:
                self._cursor = None if ending else self._cursor + 1

    def _reply(self, reply: list[Any]) -> None:
        message = cbor2.dumps(reply, canonical=True)
        for at in range(0, len(message), _PAYLOAD):
            part = message[at : at + _PAYLOAD]
            self._segment("control", part, at == 0, at + len(part) == len(message))

    def _segment(self, channel: str, part: bytes, first: bool, last: bool) -> None:
        head = (0x80 if first else 0) | (0x40 if last else 0) | self._counters[channel]
        self._counters[channel] = (self._counters[channel] + 1) % 64
        self._send(channel, bytes([head, len(part)]) + part)

    @staticmethod
    def _error(code: int, op: int) -> list[Any]:
        return [wire.OP_ERROR, code, op]
