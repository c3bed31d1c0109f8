"""The bodies of the exchange with the server: encoding a request, and reading a response whole or not at all
(protocol section 5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from hub import cbor
from hub.admission import Ticket
from hub.errors import HubError, Malformed
from hub.sealed import is_bytes, is_uint
from reader import wire

RESPONSE_MAX = 8 * 1024 * 1024
ITEMS_MAX = 1_000  # a request's bound; a response may carry as many again for each of receipts, tickets and commands
_RESPONSE_ITEMS_MAX = 8_000
READERS_MAX = 10_000  # in a list of images
IMAGES_MAX_BYTES = READERS_MAX * 80  # 67 bytes an item
_SHA256_BYTES = 32
_UINT32 = 0xFFFFFFFF
_EXPIRY_MAX = 2**40


Kept = Literal["evidence", "records", "carried"]  # disputed; collected here; come in a file from another hub


class VersionNotSpoken(HubError):
    code = "version-too-old"


@dataclass(frozen=True, slots=True)
class Offer:
    """A record offered to the server: `id` is its row of the table `kept`."""

    kept: Kept
    id: int
    reader_id: bytes
    number: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Sighting:
    """A visit: the reader's uptime beside the hub's clock, and its state. The fields are in the order of SIGHT_*."""

    reader_id: bytes
    boot_id: bytes
    uptime_ms: int
    hub_ms: int
    uncertainty_ms: int
    first: int
    next: int
    released: int
    down: int
    battery: int
    flags: int
    firmware: str
    generation: int


@dataclass(frozen=True, slots=True)
class Answer:
    disposition: int
    problem: str | None


@dataclass(frozen=True, slots=True)
class Registered:
    """The answer to one registration."""

    disposition: int
    problem: str | None


@dataclass(frozen=True, slots=True)
class Receipt:
    reader_id: bytes
    number: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Command:
    reader_id: bytes
    number: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Image:
    """An image as the server names it: `size` in bytes, `hash` the SHA-256 of the whole."""

    image_id: bytes
    size: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole, checked response. `now_ms` is the server's clock; `registration_key` is None where it takes none;
    `images` is how many readers that this hub may carry await an image."""

    now_ms: int
    epoch: bytes
    answers: tuple[Answer, ...]
    receipts: tuple[Receipt, ...]
    tickets: tuple[Ticket, ...]
    commands: tuple[Command, ...]
    registration_key: bytes | None = None
    registered: tuple[Registered, ...] = ()
    images: int = 0


def request(
    now_ms: int,
    epoch: bytes | None,
    software: str,
    tickets: Sequence[tuple[bytes, int]],
    offers: Sequence[Offer],
    sightings: Sequence[Sighting],
    registrations: Sequence[bytes] = (),
) -> bytes:
    """The body of a request: header, records, sightings, sealed registrations."""
    header = {
        wire.HEAD_VERSION: wire.VERSION,
        wire.HEAD_NOW_MS: now_ms,
        wire.HEAD_EPOCH: epoch,
        wire.HEAD_SOFTWARE: software,
        wire.HEAD_TICKETS: [[reader_id, expiry] for reader_id, expiry in tickets],
    }
    parts = [cbor.encode([wire.ITEM_HEADER, header])]
    parts += [cbor.encode([wire.ITEM_RECORD, offer.sealed]) for offer in offers]
    parts += [cbor.encode([wire.ITEM_SIGHTING, sighting_fields(sighting)]) for sighting in sightings]
    parts += [cbor.encode([wire.ITEM_REGISTRATION, sealed]) for sealed in registrations]
    return b"".join(parts)


def read_reply(body: bytes, offers: Sequence[Offer], registrations: Sequence[bytes] = ()) -> Reply:
    """Read a response to a request that held `offers`, and registrations of those ids.

    Raises Malformed unless it is whole; VersionNotSpoken.
    """
    at, items = 0, list[Any]()
    while at < len(body):
        if len(items) == _RESPONSE_ITEMS_MAX:
            raise Malformed(f"The answer has more than {_RESPONSE_ITEMS_MAX} items.")
        item, at = cbor.decode_next(body, at)
        items.append(item)
    if not items:
        raise Malformed("The answer is empty.")
    now_ms, epoch, key, images = _header(items[0])
    registered = list[Registered]()
    answers, receipts, tickets, commands = list[Answer](), list[Receipt](), list[Ticket](), list[Command]()
    for item in items[1:]:
        match item:
            case [wire.ITEM_ANSWER, index, reader_id, number, disposition, problem]:
                answers.append(_answer(len(answers), offers, (index, reader_id, number, disposition, problem)))
            case [wire.ITEM_RECEIPT, reader_id, number, sealed]:
                receipts.append(Receipt(*downlink(reader_id, number, sealed)))
            case [wire.ITEM_TICKET, reader_id, expiry, generation, secret] if (
                is_bytes(reader_id, wire.READER_ID_BYTES)
                and is_uint(expiry, _EXPIRY_MAX)
                and is_uint(generation, _UINT32)
                and is_bytes(secret, wire.KEY_BYTES)
            ):
                tickets.append(Ticket(reader_id, expiry, generation, secret))
            case [wire.ITEM_DOWN, reader_id, number, sealed]:
                commands.append(Command(*downlink(reader_id, number, sealed)))
            case [wire.ITEM_REGISTRATION, registration_id, disposition, problem]:
                expected = registrations[len(registered)] if len(registered) < len(registrations) else None
                registered.append(_registered(expected, registration_id, disposition, problem))
            case _:
                raise Malformed("The answer holds an item that is not of this protocol.")
    if len(answers) != len(offers):
        raise Malformed(f"The answer speaks of {len(answers)} records; {len(offers)} were offered.")
    if len(registered) != len(registrations):
        raise Malformed(f"The answer speaks of {len(registered)} registrations; {len(registrations)} were offered.")
    parts = (tuple(answers), tuple(receipts), tuple(tickets), tuple(commands))
    return Reply(now_ms, epoch, *parts, key, tuple(registered), images)


def read_images(body: bytes) -> dict[bytes, Image]:
    """Read the list of images: by reader id, what that reader awaits. Raises Malformed unless all of it is sound."""
    at, found, known = 0, dict[bytes, Image](), dict[bytes, Image]()
    while at < len(body):
        if len(found) == READERS_MAX:
            raise Malformed(f"The list of images names more than {READERS_MAX} readers.")
        item, at = cbor.decode_next(body, at)
        match item:
            case [wire.ITEM_IMAGE, reader_id, image_id, size, hash] if (
                is_bytes(reader_id, wire.READER_ID_BYTES)
                and reader_id not in found
                and is_bytes(image_id, wire.IMAGE_ID_BYTES)
                and is_uint(size, wire.IMAGE_MAX)
                and size > 0
                and is_bytes(hash, _SHA256_BYTES)
            ):
                image = Image(image_id, size, hash)
            case _:
                raise Malformed("The list of images holds an item that is not of this protocol.")
        if known.setdefault(image_id, image) != image:
            raise Malformed("The list of images names one image in two ways.")
        found[reader_id] = image
    return found


def _header(item: Any) -> tuple[int, bytes, bytes | None, int]:
    parts = cast(list[Any], item) if isinstance(item, list) else []
    if len(parts) != 2 or parts[0] != wire.ITEM_HEADER or not isinstance(parts[1], dict):
        raise Malformed("The answer does not begin with this protocol's header.")
    fields = cast(dict[Any, Any], parts[1])
    version = fields.get(wire.HEAD_VERSION)
    if is_uint(version) and version != wire.VERSION:
        raise VersionNotSpoken(
            f"The server speaks version {version} of the protocol; this hub speaks {wire.VERSION}. Update Doorstep."
        )
    now_ms, epoch = fields.get(wire.HEAD_NOW_MS), fields.get(wire.HEAD_EPOCH)
    if version != wire.VERSION or not is_uint(now_ms) or not is_bytes(epoch, wire.EPOCH_BYTES):
        raise Malformed("The answer's header is not of this protocol.")
    key = fields.get(wire.HEAD_REGISTRATION_KEY)
    if key is not None and not is_bytes(key, wire.REGISTRATION_KEY_BYTES):
        raise Malformed("The answer's header names a registration key that is none.")
    images = fields.get(wire.HEAD_IMAGES, 0)
    if not is_uint(images, _UINT32):
        raise Malformed("The answer's header does not say how many readers await an image.")
    return cast(int, now_ms), cast(bytes, epoch), cast("bytes | None", key), images


def _registered(expected: bytes | None, registration_id: Any, disposition: Any, problem: Any) -> Registered:
    held = disposition in (wire.HELD, wire.DUPLICATE)
    named = expected is not None and (registration_id == expected or (registration_id is None and not held))
    worded = problem is None or (isinstance(problem, str) and len(problem) <= 64)
    if not named or not worded or not is_uint(disposition, wire.QUARANTINED) or disposition < wire.HELD:
        raise Malformed("The answer to a registration does not fit what was offered.")
    return Registered(disposition, problem)


def _answer(position: int, offers: Sequence[Offer], said: tuple[Any, Any, Any, Any, Any]) -> Answer:
    index, reader_id, number, disposition, problem = said
    if position >= len(offers) or index != position:
        raise Malformed("The answer's records are not in the order of the request.")
    offer = offers[position]
    named = (reader_id is None or reader_id == offer.reader_id) and (number is None or number == offer.number)
    worded = problem is None or (isinstance(problem, str) and len(problem) <= 64)
    if not named or not worded or not is_uint(disposition, wire.QUARANTINED) or disposition < wire.HELD:
        raise Malformed(f"The answer to record {position} does not fit what was offered.")
    if disposition in (wire.HELD, wire.DUPLICATE) and (reader_id is None or number is None):
        raise Malformed(f"The answer to record {position} says it is held without saying which it is.")
    return Answer(disposition, problem)


def downlink(reader_id: Any, number: Any, sealed: Any) -> tuple[bytes, int, bytes]:
    """The checked parts of a receipt or command item. Raises Malformed."""
    sound = (
        is_bytes(reader_id, wire.READER_ID_BYTES)
        and is_uint(number, _UINT32)
        and number != 0
        and isinstance(sealed, bytes)
        and 0 < len(sealed) <= wire.DOWN_MAX
    )
    if not sound:
        raise Malformed("The answer holds a message for a reader that is not of this protocol.")
    return reader_id, number, sealed


def sighting_fields(sighting: Sighting) -> dict[int, Any]:
    """The map of a sighting item."""
    s = sighting
    return {
        wire.SIGHT_READER_ID: s.reader_id,
        wire.SIGHT_BOOT_ID: s.boot_id,
        wire.SIGHT_UPTIME_MS: s.uptime_ms,
        wire.SIGHT_HUB_MS: s.hub_ms,
        wire.SIGHT_UNCERTAINTY_MS: s.uncertainty_ms,
        wire.SIGHT_FIRST: s.first,
        wire.SIGHT_NEXT: s.next,
        wire.SIGHT_RELEASED: s.released,
        wire.SIGHT_DOWN: s.down,
        wire.SIGHT_BATTERY: s.battery,
        wire.SIGHT_FLAGS: s.flags,
        wire.SIGHT_FIRMWARE: s.firmware,
        wire.SIGHT_GENERATION: s.generation,
    }
