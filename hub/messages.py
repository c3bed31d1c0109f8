"""The messages of `control` and `up`: building the hub's requests and reading the reader's replies (protocol section
4)."""

from dataclasses import dataclass
from typing import Any, cast

from hub import cbor
from hub.admission import Ticket
from hub.errors import Malformed
from hub.sealed import SealedRecord, is_bytes, is_uint, read_record
from reader import wire

_UINT32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Challenge:
    nonce: bytes
    proof: bytes


@dataclass(frozen=True, slots=True)
class ReaderState:
    """The reader about itself. `wall_ms` is Unix ms or None; `chain` is the chain hash at `next` - 1."""

    reader_id: bytes
    first: int
    next: int
    released: int
    chain: bytes
    boot_id: bytes
    uptime_ms: int
    wall_ms: int | None
    clock_source: int
    battery: int
    firmware: str
    down: int
    generation: int
    free: int
    flags: int
    name: str


@dataclass(frozen=True, slots=True)
class Done:
    op: int


@dataclass(frozen=True, slots=True)
class Taken:
    code: int
    number: int
    released: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the reader wants of an image: `offset` of the next byte, of `size`."""

    code: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class ErrorReply:
    code: int
    op: int


@dataclass(frozen=True, slots=True)
class End:
    next: int


@dataclass(frozen=True, slots=True)
class Damaged:
    number: int


Control = Challenge | ReaderState | Done | Taken | Wanted | ErrorReply
Up = SealedRecord | End | Damaged


def hello(ticket: Ticket, hub_id: bytes, nonce: bytes) -> bytes:
    return cbor.encode([wire.OP_HELLO, wire.VERSION, hub_id, ticket.expiry, ticket.generation, nonce])


def prove(proof: bytes) -> bytes:
    return cbor.encode([wire.OP_PROVE, proof])


def status() -> bytes:
    return cbor.encode([wire.OP_STATUS])


def report(number: int, credits: int) -> bytes:
    return cbor.encode([wire.OP_REPORT, number, credits])


def credit(credits: int) -> bytes:
    return cbor.encode([wire.OP_CREDIT, credits])


def clock(unix_ms: int, uncertainty_ms: int, proof: bytes) -> bytes:
    return cbor.encode([wire.OP_CLOCK, unix_ms, uncertainty_ms, proof])


def identify() -> bytes:
    return cbor.encode([wire.OP_IDENTIFY])


def image(image_id: bytes) -> bytes:
    return cbor.encode([wire.OP_IMAGE, image_id])


def piece(offset: int, content: bytes) -> bytes:
    """A message of `down`: a part of an image, at most PIECE_MAX bytes."""
    return cbor.encode([wire.OP_PIECE, offset, content])


def read_control(message: bytes) -> Control:
    """Read one reply of the reader. Raises Malformed."""
    match cbor.decode(message, wire.CONTROL_MAX):
        case [wire.OP_CHALLENGE, bytes(nonce), bytes(proof)] if (
            len(nonce) == wire.AUTH_NONCE_BYTES and len(proof) == wire.PROOF_BYTES
        ):
            return Challenge(nonce, proof)
        case [wire.OP_STATE, state]:
            return _state(state)
        case [wire.OP_DONE, op] if is_uint(op, 255):
            return Done(op)
        case [wire.OP_TAKEN, code, number, released] if (
            is_uint(code, 255) and is_uint(number, _UINT32) and is_uint(released, _UINT32)
        ):
            return Taken(code, number, released)
        case [wire.OP_WANTED, code, offset, size] if (
            is_uint(code, 255) and is_uint(offset, wire.IMAGE_MAX) and is_uint(size, wire.IMAGE_MAX) and offset <= size
        ):
            return Wanted(code, offset, size)
        case [wire.OP_ERROR, code, op] if is_uint(code, 255) and is_uint(op, 255):
            return ErrorReply(code, op)
        case _:
            raise Malformed("The reader answered with a message that is not of this protocol.")


def read_up(message: bytes) -> Up:
    """Read one message of `up`: a sealed record, END or DAMAGED. Raises Malformed."""
    if message[:1] != b"\x82":
        return read_record(message)
    match cbor.decode(message, wire.CONTROL_MAX):
        case [wire.OP_END, number] if _is_number(number):
            return End(number)
        case [wire.OP_DAMAGED, number] if _is_number(number):
            return Damaged(number)
        case _:
            raise Malformed("The reader sent a message that is not of this protocol.")


def _is_number(value: object) -> bool:
    return is_uint(value, _UINT32) and value != 0


def _state(said: Any) -> ReaderState:
    state = cast(dict[Any, Any], said) if isinstance(said, dict) else {}
    if set(state) != set(range(wire.STATE_READER_ID, wire.STATE_NAME + 1)):
        raise Malformed("The reader's state does not have the fields of this protocol.")
    value = ReaderState(*(state[key] for key in range(wire.STATE_READER_ID, wire.STATE_NAME + 1)))
    sound = (
        is_bytes(value.reader_id, wire.READER_ID_BYTES)
        and is_bytes(value.chain, wire.HASH_BYTES)
        and is_bytes(value.boot_id, wire.BOOT_ID_BYTES)
        and _is_number(value.first)
        and _is_number(value.next)
        and value.first <= value.next
        and is_uint(value.released, _UINT32)
        and value.released < value.next
        and is_uint(value.uptime_ms)
        and (value.wall_ms is None or is_uint(value.wall_ms))
        and is_uint(value.clock_source, wire.CLOCK_SERVER)
        and is_uint(value.battery, 100)
        and is_uint(value.down, _UINT32)
        and is_uint(value.generation, _UINT32)
        and is_uint(value.free)
        and is_uint(value.flags, 255)
        and _is_label(value.firmware)
        and _is_label(value.name)
    )
    if not sound:
        raise Malformed("A field of the reader's state is out of range.")
    return value


def _is_label(value: object) -> bool:
    return isinstance(value, str) and len(value.encode()) <= 64
