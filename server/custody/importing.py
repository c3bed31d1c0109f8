"""Takes a hub's file as if the hub had offered it over the network, and answers it by another file.

The hub's signature stands for its token. Batches go the way of every exchange (`server.custody.service.accept`), each
in a transaction of its own, so that a file taken twice, or half and then whole, changes nothing that one taking would
not.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384
from joserfc.jwk import ECKey

from reader import wire
from server.audit import service as audit
from server.audit.service import Actor
from server.custody import cbor, downlink, sealed_file, service
from server.custody.offer import BadItem, Offer, SeenReader, sighting
from server.custody.sealed_file import FROM_HUB, FROM_SERVER, FileRefused, Progress
from server.database import direct, tenancy
from server.database.columns import now
from server.database.direct import Pool
from server.database.engine import Sessions
from server.hubs import repository as hubs
from server.hubs.models import Hub
from server.hubs.service import Unauthorised
from server.hubs.tokens import TokenHolder
from server.readers.keys import Keyring

BATCH_RECORDS = 500
BATCH_SIGHTINGS = 400
BATCH_REGISTRATIONS = 100
_ACTOR = Actor("command", "doorstep server import")
_NAMES = {wire.HELD: "held", wire.DUPLICATE: "duplicates", wire.CONFLICT: "conflicts", wire.QUARANTINED: "quarantined"}


@dataclass(slots=True)
class Imported:
    """What came of a file: counts of its records by disposition, of its sightings, and of what goes back."""

    hub_id: str
    records: int = 0
    held: int = 0
    duplicates: int = 0
    conflicts: int = 0
    quarantined: int = 0
    sightings: int = 0
    registrations: int = 0
    registrations_set_aside: int = 0
    receipts: int = 0
    messages: int = 0


@dataclass(slots=True)
class _Down:
    """What goes back: the latest receipt of each reader, the messages that wait, and what was set aside."""

    epoch: bytes = b""
    receipts: dict[bytes, list[Any]] = field(default_factory=dict[bytes, list[Any]])
    messages: dict[tuple[bytes, int], list[Any]] = field(default_factory=dict[tuple[bytes, int], list[Any]])
    aside: list[list[Any]] = field(default_factory=list[list[Any]])

    def items(self) -> Iterator[list[Any]]:
        yield from self.aside
        yield from self.receipts.values()
        yield from (self.messages[key] for key in sorted(self.messages))


async def take(
    sessions: Sessions,
    pool: Pool,
    keyring: Keyring,
    clock_floor: timedelta,
    path: Path,
    answer: Path | None,
    overwrite: bool,
    progress: Progress,
) -> Imported:
    """Import `path`; with `answer`, write what goes back to the hub there. Raises `FileRefused`.

    No tickets go back: they are secrets, and a file is read by whoever finds it.
    """
    checked = sealed_file.check(path, items, progress)
    hub = await _hub(sessions, path, checked)
    holder = TokenHolder(hub.hub_id, hub.organisation_id)
    found, down = Imported(hub.hub_id.hex()), _Down()
    policy = downlink.Policy(timedelta(0), clock_floor, tickets=False)
    try:
        for records, sightings, registrations in _batches(path, checked, progress):
            # Sightings in a file are in terms of our own clock, for nobody knows how long it was on its way.
            offer = Offer(_milliseconds(now()), None, checked.head.software, {}, records, sightings, registrations)
            _count(found, down, offer, _accepted(pool, keyring, policy, holder, offer))
    except Unauthorised:
        raise FileRefused(_not_ours(path, checked)) from None
    found.receipts, found.messages = len(down.receipts), len(down.messages)
    async with tenancy.transaction(sessions, hub.organisation_id) as session:
        await audit.record(
            session,
            organisation_id=hub.organisation_id,
            actor=_ACTOR,
            action="custody.import",
            subject_kind="hub",
            subject=found.hub_id,
            detail={key: value for key, value in asdict(found).items() if key != "hub_id"},
        )
    if answer is not None:
        software = f"doorstep {version('doorstep')}"
        sealed_file.write(answer, down.epoch, _milliseconds(now()), software, down.items(), overwrite)
    return found


def _accepted(
    pool: Pool, keyring: Keyring, policy: downlink.Policy, holder: TokenHolder, offer: Offer
) -> list[list[Any]]:
    return direct.answered(pool, lambda connection: service.accept(connection, keyring, policy, holder, offer))


def _count(found: Imported, down: _Down, offer: Offer, items: list[list[Any]]) -> None:
    found.records += len(offer.records)
    found.sightings += len(offer.sightings)
    found.registrations += len(offer.registrations)
    for item in items:
        match item[0]:
            case wire.ITEM_HEADER:
                down.epoch = item[1][wire.HEAD_EPOCH]
            case wire.ITEM_ANSWER:
                name = _NAMES[item[4]]
                setattr(found, name, getattr(found, name) + 1)
                if item[4] in (wire.CONFLICT, wire.QUARANTINED):
                    down.aside.append(item)
            case wire.ITEM_REGISTRATION:
                # The hub hears of it over a network only: nobody vouches for a file, and it would let go of its bytes.
                found.registrations_set_aside += item[2] not in (wire.HELD, wire.DUPLICATE)
            case wire.ITEM_RECEIPT:
                if item[2] >= down.receipts.get(item[1], item)[2]:
                    down.receipts[item[1]] = item
            case wire.ITEM_DOWN:
                down.messages[item[1], item[2]] = item
            case other:
                raise AssertionError(f"an answer by file holds item {other}")


async def _hub(sessions: Sessions, path: Path, checked: sealed_file.Checked) -> Hub:
    """The hub that made the file, by its signature. Raises `FileRefused`."""
    async with tenancy.transaction(sessions) as session:
        hub = await hubs.hub_anywhere(session, checked.head.hub_id) if checked.head.hub_id else None
    if hub is None or hub.revoked_at is not None or checked.signature is None:
        raise FileRefused(_not_ours(path, checked))
    half = sealed_file.SIGNATURE_BYTES // 2
    r, s = (int.from_bytes(part, "big") for part in (checked.signature[:half], checked.signature[half:]))
    public = ECKey.import_key(hub.public_key).public_key
    try:
        public.verify(encode_dss_signature(r, s), checked.signed, ECDSA(SHA384()))
    except InvalidSignature:
        raise FileRefused(_not_ours(path, checked)) from None
    return hub


def _not_ours(path: Path, checked: sealed_file.Checked) -> str:
    maker = f"hub {checked.head.hub_id.hex()}" if checked.head.hub_id else "a server"
    return (
        f"{path} says that it is from {maker}, which is not an enrolled hub of this server or did not sign it. Nothing "
        "was stored. Records in it can still be delivered: import it at an enrolled hub (doorstep hub import)."
    )


def items(kind: int, content: bytes) -> tuple[list[bytes], list[SeenReader], list[bytes]]:
    """Records, sightings and registrations of a frame. Raises `FileRefused`. What is from the server is not for it."""
    records, sightings, registrations, at, index = list[bytes](), list[SeenReader](), list[bytes](), 0, 0
    while at < len(content):
        try:
            end = cbor.scan(content, at)
            item, at = cbor.loads(content[at:end]), end
            match item:
                case [wire.ITEM_RECORD, bytes() as sealed] if kind == FROM_HUB:
                    records.append(sealed)
                case [wire.ITEM_SIGHTING, dict()] if kind == FROM_HUB:
                    sightings.append(sighting(index, cast("dict[Any, Any]", item[1])))
                case [wire.ITEM_REGISTRATION, bytes() as sealed] if (
                    kind == FROM_HUB and 0 < len(sealed) <= wire.REGISTRATION_MAX
                ):
                    registrations.append(sealed)
                case [int(), *_] if kind == FROM_SERVER:
                    pass
                case _:
                    raise FileRefused(_NOT_OF_IT)
        except (cbor.NotCbor, cbor.TooDeep, cbor.TooMany, BadItem):
            raise FileRefused(_NOT_OF_IT) from None
        index += 1
    return records, sightings, registrations


_NOT_OF_IT = "The file holds an item that is not of the protocol. Nothing was stored. Export it again at the hub."


def _batches(
    path: Path, checked: sealed_file.Checked, progress: Progress
) -> Iterator[tuple[list[bytes], list[SeenReader], list[bytes]]]:
    """Records, sightings and registrations in portions that one transaction takes; at least one, so that a hub that had
    nothing to offer is answered too."""
    records, sightings, registrations, any_batch = list[bytes](), list[SeenReader](), list[bytes](), False
    for kind, content in sealed_file.frames(path, checked, progress):
        more, seen, registered = items(kind, content)
        records += more
        sightings += seen
        registrations += registered
        while (
            len(records) >= BATCH_RECORDS
            or len(sightings) >= BATCH_SIGHTINGS
            or len(registrations) >= BATCH_REGISTRATIONS
        ):
            yield records[:BATCH_RECORDS], sightings[:BATCH_SIGHTINGS], registrations[:BATCH_REGISTRATIONS]
            any_batch = True
            del records[:BATCH_RECORDS], sightings[:BATCH_SIGHTINGS], registrations[:BATCH_REGISTRATIONS]
    if records or sightings or registrations or not any_batch:
        yield records, sightings, registrations


def _milliseconds(at: datetime) -> int:
    return (at - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
