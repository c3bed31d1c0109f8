"""A reader without hardware for the tests of its link: identity, journal, device, and a hub that talks to it."""

import hashlib
import hmac
from pathlib import Path
from typing import Any

import cbor2
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cwt import COSE, COSEKey

from reader import renewal
from reader.custody import Recorder, genesis
from reader.identity import Identity
from reader.journal import Journal
from reader.session import Session

READER = b"reader-1"
KEY = bytes(range(32))
HUB = b"hub-0001"
EXPIRY = 1_800_000_000
EPOCH = b"epoch--1"


def derive(info: bytes, key: bytes = KEY) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=READER, info=info).derive(key)


def ticket(hub: bytes = HUB, expiry: int = EXPIRY, key: bytes = KEY) -> bytes:
    return derive(b"doorstep/1 ticket" + hub + expiry.to_bytes(8, "big"), key)


def provision(folder: Path, **changes: Any) -> None:
    state = {1: READER, 2: [[0, KEY]], 3: "reader one", 4: 0} | changes.get("state", {})
    (folder / "identity.cbor").write_bytes(cbor2.dumps(state))


def sealed_down(number: int, message: Any, generation: int = 0, key: bytes = KEY) -> bytes:
    """What the server seals for this reader, by cwt."""
    cose_key = COSEKey.from_symmetric_key(alg="AES-CCM-16-128-256", key=derive(b"doorstep/1 down", key), kid=READER)
    return COSE.new().encode(
        message if isinstance(message, bytes) else cbor2.dumps(message),
        cose_key,
        protected={1: 31, 4: READER, -70001: number, -70003: generation},
        unprotected={5: number.to_bytes(4, "big") + b"123456789"},
    )


class Device:
    """What the app lends a session; it notes what was asked of it."""

    boot_id = b"boot-001"
    firmware = "0.1.0"

    def __init__(self) -> None:
        self.now_ms = 1_000
        self.wall: int | None = None
        self.source = 0
        self.events: list[tuple[int, str | None, list[int]]] = []
        self.beeps = 0
        self.changes = 0
        self.packs: list[bytes] = []
        self.nonces = 0
        self.root = ""
        self.journal: Any = None
        self.session: Any = None
        self.flagged = 0
        self.progress: int | None = None
        self.renewing = False

    def uptime_ms(self) -> int:
        return self.now_ms

    def wall_ms(self) -> int | None:
        return self.wall

    def clock_source(self) -> int:
        return self.source

    def set_clock(self, unix_ms: int, uncertainty_ms: int | None, source: int) -> None:
        self.wall, self.source = unix_ms, source

    def battery(self) -> int:
        return 87

    def flags(self) -> int:
        return self.flagged

    def random(self, count: int) -> bytes:
        self.nonces += 1
        return hashlib.sha256(self.nonces.to_bytes(4, "big")).digest()[:count]

    def identify(self) -> None:
        self.beeps += 1

    def event(self, code: int, detail: str | None, numbers: list[int]) -> int:
        self.events.append((code, detail, numbers))
        return len(self.events)

    def renew(self, step: str, message: Any) -> Any:
        return renewal.do(self, step, message)

    def settings_changed(self) -> None:
        self.changes += 1

    def store_assay(self, pack: bytes) -> str | None:
        self.packs.append(pack)
        return None if pack.startswith(b"pack") else "pack: not one"


class Stream:
    """One direction of one characteristic at the hub's end, written apart from the reader's own."""

    def __init__(self) -> None:
        self.out_counter = 0
        self.in_counter = 0
        self.message = b""
        self.open = False

    def cut(self, message: bytes, size: int = 242) -> list[bytes]:
        pieces = [message[at : at + size] for at in range(0, len(message), size)]
        found = []
        for at, piece in enumerate(pieces):
            flags = (0x80 if at == 0 else 0) | (0x40 if at == len(pieces) - 1 else 0)
            found.append(bytes([flags | self.out_counter, len(piece)]) + piece)
            self.out_counter = (self.out_counter + 1) % 64
        return found

    def take(self, segment: bytes) -> bytes | None:
        assert segment[0] & 0x3F == self.in_counter, "the reader's counter jumped"
        assert segment[1] == len(segment) - 2
        self.in_counter = (self.in_counter + 1) % 64
        if segment[0] & 0x80:
            self.message = b""  # a first segment inside a message: the hub itself asked anew
            self.open = True
        assert self.open, "a segment of no message"
        self.message += segment[2:]
        if not segment[0] & 0x40:
            return None
        self.open = False
        return self.message


class Hub:
    """A hub on a perfect link to one session."""

    def __init__(self, session: Session, limit: int = 244) -> None:
        self.session = session
        self.limit = limit
        self.control = Stream()
        self.down = Stream()
        self.up = Stream()
        self.session_key = b""
        session.connected()

    def replies(self) -> list[Any]:
        found = []
        while (segment := self.session.next_control(self.limit)) is not None:
            assert len(segment) <= self.limit
            message = self.control.take(bytes(segment))
            self.session.control_sent()
            if message is not None:
                found.append(cbor2.loads(message))
        return found

    def ask(self, *fields: Any) -> list[Any]:
        for segment in self.control.cut(cbor2.dumps(list(fields)), self.limit - 2):
            self.session.on_control(segment)
        return self.replies()

    def send_down(self, sealed: bytes) -> list[Any]:
        for segment in self.down.cut(sealed, self.limit - 2):
            self.session.on_down(segment)
        return self.replies()

    def command(self, number: int, message: Any, generation: int = 0, key: bytes = KEY) -> list[Any]:
        return self.send_down(sealed_down(number, message, generation, key))

    def collect(self) -> list[bytes]:
        """Take from `up` what comes; return the whole messages."""
        found = []
        while (segment := self.session.next_up(self.limit)) is not None:
            assert len(segment) <= self.limit
            message = self.up.take(bytes(segment))
            self.session.up_sent()
            if message is not None:
                found.append(message)
        return found

    def hello(self, expiry: int = EXPIRY, generation: int = 0, nonce: bytes = b"n" * 16) -> Any:
        return self.ask(1, 1, HUB, expiry, generation, nonce)[0]

    def admit(self, expiry: int = EXPIRY, key: bytes = KEY, generation: int = 0) -> Any:
        nonce = b"n" * 16
        challenge = self.hello(expiry, generation, nonce)
        assert challenge[0] == 2, challenge
        secret = ticket(expiry=expiry, key=key)
        said = READER + HUB + expiry.to_bytes(8, "big") + nonce + challenge[1]
        assert challenge[2] == hmac.digest(secret, b"doorstep/1 reader" + said, "sha256")[:16]
        self.session_key = hmac.digest(secret, b"doorstep/1 session" + said, "sha256")
        return self.ask(3, hmac.digest(secret, b"doorstep/1 hub" + said, "sha256")[:16])[0]

    def clock(self, unix_ms: int, uncertainty_ms: int = 50) -> Any:
        said = b"doorstep/1 clock" + unix_ms.to_bytes(8, "big") + uncertainty_ms.to_bytes(4, "big")
        return self.ask(8, unix_ms, uncertainty_ms, hmac.digest(self.session_key, said, "sha256")[:16])[0]


class Bench:
    """Identity, journal, device and session over one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / "identity.cbor").exists():
            provision(folder)
        self.device = Device()
        self.start()

    def start(self) -> None:
        self.identity = Identity(str(self.folder))
        self.journal = Journal(str(self.folder / "journal"), genesis(READER), 4000)
        self.recorder = Recorder(self.identity, self.journal, self.device.random)
        self.session = Session(self.identity, self.journal, self.device)
        self.device.root, self.device.journal, self.device.session = str(self.folder), self.journal, self.session

    def record(self, count: int = 1, size: int = 300) -> None:
        for _ in range(count):
            self.recorder.write(bytes([self.journal.next & 0xFF]) * size)

    def hub(self, limit: int = 244) -> Hub:
        return Hub(self.session, limit)
