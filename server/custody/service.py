"""Accepts what a hub offers, in one transaction: custody, results, and what goes down with the answer.

The order matters. Records are opened before any lock is taken; then the custody of every reader of the offer is locked,
in the order of their ids; then places are decided, and everything is written. Offering the same again changes nothing.

Statements are sent as soon as they can be and answered together: a usual offer is three round trips to the database. A
few records are two: they are opened with the keys that the readers had the last time, while it is asked what keys they
have now, and what was asked so is used only where these are the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import cbor2

from reader import wire
from server.custody import downlink, keeping, opening, repository, sighting_repository, taking
from server.custody.chain import Held
from server.custody.downlink_repository import Carried
from server.custody.keeping import Answer, Source
from server.custody.offer import Offer, SeenReader
from server.custody.opening import Authentic, Parsed, ReaderKeys, Refused
from server.database import direct
from server.database.columns import now
from server.database.direct import Connection, Pending
from server.hubs.service import Unauthorised
from server.hubs.tokens import TokenHolder
from server.readers.keys import Keyring
from server.readers.repository import StoredKey
from server.registrations import keys as registration_keys
from server.registrations import taking as registrations
from server.results import service as results
from server.results.repository import Untimed
from server.updates import following

_EPOCH_START = datetime.fromtimestamp(0, UTC)
# Beyond it a hub's clock is no date: year 9999 in milliseconds.
_LATEST_MS = 253_402_300_799_000
# To open so many takes no longer than the round trip that it saves; more would be opened under the readers' locks.
_FEW = 8


def accept(
    connection: Connection, keyring: Keyring, policy: downlink.Policy, hub: TokenHolder, offer: Offer
) -> Callable[[], list[list[Any]]]:
    """Store an offer in the connection's transaction; what is returned gives the items of the answer.

    It may be called while the transaction commits, with which its last look-ups are one round trip; nothing of it may
    leave before that is done. Done twice, `accept` does no harm. Raises `Unauthorised` for a hub that is revoked by
    now, before anything is stored, and `KeyUnreadable` under a wrong master key.
    """
    source = Source(hub.organisation_id, hub.hub_id, now())
    parsed, refused = opening.parse_all(offer.records)
    named = {one.header.reader_id for one in parsed}
    direct.enter(connection, hub.organisation_id)
    knowing = repository.known(connection, hub.hub_id, named | {seen.reader_id for seen in offer.sightings})
    connection.push()
    supposed = None if len(parsed) > _FEW or offer.sightings else keyring.remembered(hub.organisation_id, named)
    asked = None if supposed is None else _ask(connection, keyring, policy, source, offer, parsed, supposed)
    known = knowing.result()
    if known is None:
        raise Unauthorised
    if asked is None or supposed != known.keys:
        # What was asked by keys that are no longer all, or no longer the same, is asked anew; nothing was written.
        asked = _ask(connection, keyring, policy, source, offer, parsed, known.keys)
        keyring.remember(hub.organisation_id, known.keys)
    answers, due = _store(connection, policy, source, asked, offer.software)
    refused = sorted([*refused, *asked.refused], key=lambda one: one.index)
    answers.update(keeping.refuse(connection, source, refused))
    registered = registrations.take(connection, keyring, source, offer.registrations)
    key = known.registration_key or registration_keys.ensure(connection, keyring, source.organisation_id, source.at)
    down = downlink.items(connection, keyring, policy, asked.carrier, due, known.epoch, source.at)
    awaiting = following.awaiting(connection, source.organisation_id)
    head = {
        wire.HEAD_VERSION: wire.VERSION,
        wire.HEAD_NOW_MS: _milliseconds(source.at),
        wire.HEAD_EPOCH: known.epoch,
        wire.HEAD_REGISTRATION_KEY: key,
    }

    def answer() -> list[list[Any]]:
        items = [*_answer_items(len(offer.records), answers), *registered, *down()]
        images = awaiting.result()
        header = {**head, wire.HEAD_IMAGES: images} if images else head
        return [[wire.ITEM_HEADER, header], *items]

    return answer


def encode(items: Sequence[list[Any]]) -> bytes:
    """The items, fewer than 65,536, as a CBOR sequence (RFC 8742): an array of them without its head."""
    head = 1 if len(items) < 24 else 2 if len(items) < 256 else 3
    return cbor2.dumps(items)[head:]


@dataclass(frozen=True, slots=True)
class _Anchored:
    """The (reader, boot)s that have a new anchor, and results of those that were seen whose time rests on none."""

    boots: Pending[set[tuple[bytes, bytes]]]
    untimed: Pending[list[Untimed]]


@dataclass(frozen=True, slots=True)
class _Asked:
    """An offer as it was opened with the readers' keys, and what was asked of the database for it.

    `due` is None where the records say something of commands or keys, which must be stored before it is asked.
    """

    own: dict[bytes, ReaderKeys]
    authentic: list[Authentic]
    refused: list[Refused]
    carrier: downlink.Carrier
    locking: Pending[dict[bytes, Held]]
    neighbours: Pending[list[repository.Neighbour]]
    anchored: _Anchored | None
    tests: results.Asked | None
    due: Pending[list[Carried]] | None


def _ask(
    connection: Connection,
    keyring: Keyring,
    policy: downlink.Policy,
    source: Source,
    offer: Offer,
    parsed: Sequence[Parsed],
    stored: Sequence[StoredKey],
) -> _Asked:
    """Open the records, lock the custody of their readers, and ask all that is to be known, in one go."""
    own = opening.reader_keys(keyring, stored)
    missing = {one.header.reader_id for one in parsed} - own.keys()
    elsewhere = repository.known_anywhere(connection, missing) if missing else set[bytes]()
    authentic, refused = opening.open_all(parsed, own, elsewhere)
    # A hub sees readers of others pass by, and they are no business of ours.
    sightings = [seen for seen in offer.sightings if seen.reader_id in own]
    carrier = downlink.Carrier(
        hub_id=source.hub_id,
        organisation_id=source.organisation_id,
        tickets=offer.tickets,
        readers={one.header.reader_id for one in authentic} | {seen.reader_id for seen in sightings},
        seen_down={seen.reader_id: seen.down for seen in sightings},
    )
    locking = repository.lock(connection, carrier.readers)
    neighbours = repository.neighbours(connection, keeping.places(authentic))
    anchored = _keep_sightings(connection, source, offer, sightings)
    tests = taking.ask(connection, authentic)
    # What is due is looked up while it is decided here what becomes of the records.
    connection.want_answers()
    due = None
    if not any(taking.bears_on_downlink(one, own) for one in authentic):
        due = downlink.ask(connection, policy, carrier, source.at)
        connection.want_answers()
    return _Asked(own, authentic, refused, carrier, locking, neighbours, anchored, tests, due)


def _store(
    connection: Connection, policy: downlink.Policy, source: Source, asked: _Asked, software: str
) -> tuple[dict[int, Answer], downlink.Due]:
    """Keep the authentic records; the answers to them, and what is due down after them."""
    held = asked.locking.result()
    repository.add_neighbours(held, asked.neighbours.result())
    kept = keeping.keep(connection, source, asked.authentic, held)
    repository.hub_seen(connection, source.hub_id, software, source.at)
    # The database writes them while it is found out here what is in them.
    connection.push()
    taking.interpret(connection, source, kept.taken, asked.own, asked.tests)
    if asked.anchored is not None and (boots := asked.anchored.boots.result()):
        waiting = [one for one in asked.anchored.untimed.result() if (one.reader_id, one.boot_id) in boots]
        results.improve_times(connection, source.organisation_id, waiting)
    due = asked.due or downlink.ask(connection, policy, asked.carrier, source.at)
    return kept.answers, downlink.Due(due.result(), held)


def _keep_sightings(
    connection: Connection, source: Source, offer: Offer, sightings: Sequence[SeenReader]
) -> _Anchored | None:
    """Store sightings, if there are any."""
    if not sightings:
        return None
    seen = [(one, _seen_at(one.hub_ms, offer.hub_ms, source.at)) for one in sightings]
    boots = sighting_repository.insert(connection, source.organisation_id, source.hub_id, offer.hub_ms, source.at, seen)
    # Those of this offer are not among them: their times are derived with these very sightings.
    return _Anchored(boots, results.ask_untimed(connection, {(one.reader_id, one.boot_id) for one in sightings}))


def _seen_at(hub_ms: int, hub_posted_ms: int, at: datetime) -> datetime:
    """When the hub saw it, by the server's clock; a hub whose clock went back in between saw it at latest now."""
    ago_ms = max(0, min(hub_posted_ms, _LATEST_MS) - min(hub_ms, _LATEST_MS))
    return max(_EPOCH_START, at - timedelta(milliseconds=min(ago_ms, _milliseconds(at))))


def _answer_items(count: int, answers: dict[int, Answer]) -> list[list[Any]]:
    """One answer per record, in the order of the request."""
    return [
        [wire.ITEM_ANSWER, index, one.reader_id, one.number, one.disposition, one.problem]
        for index, one in ((index, answers[index]) for index in range(count))
    ]


def _milliseconds(at: datetime) -> int:
    return (at - _EPOCH_START) // timedelta(milliseconds=1)
