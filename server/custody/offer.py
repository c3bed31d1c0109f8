"""What a hub offers in one exchange: the body's bytes to a header, records and sightings, or one refusal of it all.

Everything is checked before anything is stored; sizes, depth and counts are those of docs/protocol.md section 5.
"""

import re
from dataclasses import dataclass, field
from typing import Any, cast

from reader import wire
from server.custody import cbor
from server.problems import Problem

BODY_MAX = 8 * 1024 * 1024
ITEMS_MAX = 1_000
TICKETS_MAX = 1_000
# The header may list 1,000 tickets, three items each.
_HEADER_ITEMS_MAX = 4_096
_BIGINT_MAX = 2**63 - 1
_INT_MAX = 2**31 - 1
_EXPIRY_MAX = 2**40  # Unix seconds


class NotASequence(Problem):
    """The body does not decode."""

    status = 400
    code = "not-a-cbor-sequence"
    title = "The body is not a CBOR sequence"


class BadItem(Problem):
    """An item is not of this protocol; the first item, the header, has index 0."""

    status = 400
    code = "bad-item"
    title = "An item is not of this protocol"

    def __init__(self, index: int, sentence: str) -> None:
        super().__init__(f"Item {index}: {sentence} Nothing was stored.", extra={"index": index})


class TooDeep(Problem):
    """An item nests beyond the limit."""

    status = 413
    code = "too-deep"
    title = "An item nests too deep"

    def __init__(self, limit: int) -> None:
        super().__init__(f"At most {limit} levels are taken.", extra={"limit": limit})


class TooMany(Problem):
    """More items in the body, or within one of its items, than the limit."""

    status = 413
    code = "too-many"
    title = "There are too many items"

    def __init__(self, limit: int, where: str) -> None:
        super().__init__(f"At most {limit} items are taken in {where}.", extra={"limit": limit})


class VersionNotSpoken(Problem):
    """The hub speaks another version."""

    status = 426
    code = "version"
    title = "This version of the protocol is not spoken here"

    def __init__(self) -> None:
        super().__init__(f"This server speaks version {wire.VERSION}.", extra={"versions": [wire.VERSION]})


@dataclass(frozen=True, slots=True)
class SeenReader:
    """A sighting: the fields of docs/protocol.cddl by name. Times in milliseconds."""

    reader_id: bytes
    boot_id: bytes
    uptime_ms: int
    hub_ms: int
    uncertainty_ms: int
    first: int
    next: int
    released: int
    down: int
    battery_percent: int
    flags: int
    firmware: str
    generation: int


@dataclass(frozen=True, slots=True)
class Offer:
    """A whole, checked request. `tickets` is expiry (Unix seconds) by reader id; records keep their order, and so do
    registrations."""

    hub_ms: int
    epoch: bytes | None
    software: str
    tickets: dict[bytes, int]
    records: list[bytes]
    sightings: list[SeenReader]
    registrations: list[bytes] = field(default_factory=list[bytes])


def read(body: bytes) -> Offer:
    """Read a request's body, at most `BODY_MAX` bytes. Raises one of the problems above."""
    items = _split(body)
    if not items:
        raise NotASequence("The body is empty. It begins with a header item.")
    hub_ms, epoch, software, tickets = _header(items[0])
    records: list[bytes] = []
    sightings: list[SeenReader] = []
    registrations: list[bytes] = []
    for index, item in enumerate(items[1:], 1):
        match item:
            case [wire.ITEM_RECORD, bytes() as sealed]:
                records.append(sealed)
            case [wire.ITEM_SIGHTING, dict()]:
                sightings.append(sighting(index, cast("dict[Any, Any]", item[1])))
            case [wire.ITEM_REGISTRATION, bytes() as sealed] if 0 < len(sealed) <= wire.REGISTRATION_MAX:
                registrations.append(sealed)
            case _:
                raise BadItem(index, "It is neither a record, nor a sighting, nor a registration.")
    return Offer(hub_ms, epoch, software, tickets, records, sightings, registrations)


# The head of a record, which nearly every item is: an array of its kind and the sealed bytes.
_RECORD = re.compile(rb"\x82%c(?:\x58([\x18-\xff])|\x59(?!\x00)(..))" % wire.ITEM_RECORD, re.DOTALL)


def _end(found: re.Match[bytes]) -> int:
    return found.end() + int.from_bytes(found.group(1) or found.group(2), "big")


def _split(body: bytes) -> list[Any]:
    items: list[Any] = []
    at = 0
    while at < len(body):
        if len(items) == ITEMS_MAX:
            raise TooMany(ITEMS_MAX, "one body")
        if (found := _RECORD.match(body, at)) and (end := _end(found)) <= len(body):
            items.append([wire.ITEM_RECORD, body[found.end() : end]])
            at = end
            continue
        items_max = wire.CBOR_ITEMS_MAX if items else _HEADER_ITEMS_MAX
        try:
            end = cbor.scan(body, at, items_max=items_max)
            items.append(cbor.loads(body[at:end]))
        except cbor.TooDeep:
            raise TooDeep(wire.CBOR_DEPTH_MAX) from None
        except cbor.TooMany:
            raise TooMany(items_max, "one item") from None
        except cbor.NotCbor as error:
            raise NotASequence(f"In item {len(items)}, {error}. Nothing was stored.") from None
        at = end
    return items


def _header(item: Any) -> tuple[int, bytes | None, str, dict[bytes, int]]:
    match item:
        case [wire.ITEM_HEADER, dict()]:
            fields = cast("dict[Any, Any]", item[1])
        case _:
            raise BadItem(0, "It is not a header.")
    version = fields.get(wire.HEAD_VERSION)
    if not is_uint(version):
        raise BadItem(0, "The header names no version.")
    # Before the rest is judged: another version's header may look otherwise.
    if version != wire.VERSION:
        raise VersionNotSpoken
    names = (wire.HEAD_VERSION, wire.HEAD_NOW_MS, wire.HEAD_EPOCH, wire.HEAD_SOFTWARE, wire.HEAD_TICKETS)
    if fields.keys() != set(names):
        raise BadItem(0, "The header does not hold just what the protocol names.")
    _, hub_ms, epoch, software, tickets = (fields[name] for name in names)
    if not is_uint(hub_ms) or not is_label(software) or not (epoch is None or is_bytes(epoch, wire.EPOCH_BYTES)):
        raise BadItem(0, "The header's clock, epoch or software is not of the protocol.")
    if not isinstance(tickets, list) or len(cast("list[Any]", tickets)) > TICKETS_MAX:
        raise BadItem(0, f"The header's tickets are not a list of at most {TICKETS_MAX}.")
    held: dict[bytes, int] = {}
    for ticket in cast("list[Any]", tickets):
        match ticket:
            case [bytes() as reader_id, expiry_s] if len(reader_id) == wire.READER_ID_BYTES and is_uint(
                expiry_s, _EXPIRY_MAX
            ):
                held[reader_id] = expiry_s
            case _:
                raise BadItem(0, "A ticket of the header is not a reader id and an expiry.")
    return hub_ms, epoch, software, held


_SIGHTING = (
    wire.SIGHT_READER_ID,
    wire.SIGHT_BOOT_ID,
    wire.SIGHT_UPTIME_MS,
    wire.SIGHT_HUB_MS,
    wire.SIGHT_UNCERTAINTY_MS,
    wire.SIGHT_FIRST,
    wire.SIGHT_NEXT,
    wire.SIGHT_RELEASED,
    wire.SIGHT_DOWN,
    wire.SIGHT_BATTERY,
    wire.SIGHT_FLAGS,
    wire.SIGHT_FIRMWARE,
    wire.SIGHT_GENERATION,
)
_NUMBERS = (wire.SIGHT_FIRST, wire.SIGHT_NEXT)
_NUMBER_MAX = 0xFFFF_FFFF


def sighting(index: int, fields: dict[Any, Any]) -> SeenReader:
    """The sighting that is item `index`. Raises `BadItem`."""
    if fields.keys() != set(_SIGHTING):
        raise BadItem(index, "The sighting does not hold just what the protocol names.")
    sound = (
        is_bytes(fields[wire.SIGHT_READER_ID], wire.READER_ID_BYTES)
        and is_bytes(fields[wire.SIGHT_BOOT_ID], wire.BOOT_ID_BYTES)
        and all(is_uint(fields[name]) for name in (wire.SIGHT_UPTIME_MS, wire.SIGHT_HUB_MS, wire.SIGHT_FLAGS))
        and is_uint(fields[wire.SIGHT_UNCERTAINTY_MS])
        and all(is_uint(fields[name], _NUMBER_MAX) and fields[name] >= 1 for name in _NUMBERS)
        and is_uint(fields[wire.SIGHT_RELEASED], _NUMBER_MAX)
        and is_uint(fields[wire.SIGHT_DOWN], _NUMBER_MAX)
        and is_uint(fields[wire.SIGHT_BATTERY], 100)
        and is_uint(fields[wire.SIGHT_GENERATION], _INT_MAX)
        and is_label(fields[wire.SIGHT_FIRMWARE])
    )
    if not sound:
        raise BadItem(index, "A field of the sighting is not of the protocol.")
    return SeenReader(*(fields[name] for name in _SIGHTING))


def is_uint(value: object, largest: int = _BIGINT_MAX) -> bool:
    """True for an integer from 0 to `largest`; the default is what the database holds."""
    return type(value) is int and 0 <= value <= largest


def is_bytes(value: object, length: int) -> bool:
    """True for a byte string of that length."""
    return isinstance(value, bytes) and len(value) == length


def is_label(value: object) -> bool:
    """True for a text of at most 64 bytes that the database can hold: it cannot hold U+0000."""
    return isinstance(value, str) and len(value.encode()) <= 64 and "\0" not in value
