"""Processes what is in quarantine again, once its cause was put right: an enrolment, a key, or a newer server.

Each item goes the very way that an offer goes, under the hub that brought it; what takes its place is held from now on
and leaves quarantine. Every attempt is written down beside the item, whatever came of it. Done twice it does no harm.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from reader import wire
from server.audit import service as audit
from server.audit.service import Actor
from server.custody import keeping, opening, quarantine_repository, repository, taking
from server.custody.keeping import Answer, Source
from server.custody.opening import Authentic, Refused
from server.custody.quarantine_repository import Attempt, Item
from server.database import direct
from server.database.columns import now
from server.database.direct import Connection, Pool
from server.readers.keys import Keyring

PROCESSED = "processed"
# A portion's readers are locked while it is worked on.
PORTION = 200


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of processing: items looked at, and of these how many left quarantine."""

    tried: int
    processed: int


# What a person can do about each code (docs/protocol.md section 5); shown beside the reason.
REMEDIES = {
    "malformed": "Nothing can be read of it. If a newer server knows this form, update and process again; else find out"
    " which hub sent it and have its software looked at.",
    "wrong-algorithm": "It was sealed by another method. If a newer server knows it, update and process again.",
    "unknown-reader": "Enrol the reader under this id with its own key: doorstep server reader restore. Then process"
    " again.",
    "foreign-reader": "The reader belongs to another organisation. Find out why this hub carries its records; they are"
    " taken from a hub of its own organisation.",
    "unknown-generation": "Put the missing key back: doorstep server reader restore. Then process again.",
    "does-not-open": "It was altered on the way, or its reader has another key than the server. The reader keeps the"
    " true record and sends it again; if it never does, put its key back and process again.",
    "nonce-mismatch": "It was altered on the way. The reader keeps the true record and sends it again.",
    "not-understood": "The record is held and safe, but this server cannot read what is in it. Update the server, then"
    " process again.",
    "fork": "Two readers may share one key. Take the reader out of use and compare its own list of results; revoke it"
    " if it was copied. Once the missing record before this one is there, process again.",
    "conflict": "Two authentic records claim one number: two readers may share one key. Take the reader out of use,"
    " revoke it, and repeat the tests in question.",
}


def remedy(code: str) -> str:
    """What to do about a quarantined item of that code."""
    return REMEDIES.get(code, "Update the server, then process again.")


def process(pool: Pool, keyring: Keyring, organisation_id: UUID, actor: Actor) -> Tally:
    """Process every open item of an organisation again, a portion a transaction.

    Raises `KeyUnreadable` under a wrong master key.
    """
    tried = processed = 0
    above = 0
    while True:
        start = above
        attempts, last = direct.transaction(
            pool, lambda connection, start=start: _portion(connection, keyring, organisation_id, actor, start)
        )
        if not attempts:
            return Tally(tried, processed)
        above = last
        tried += len(attempts)
        processed += sum(one.code == PROCESSED for one in attempts)


def _portion(
    connection: Connection, keyring: Keyring, organisation_id: UUID, actor: Actor, above: int
) -> tuple[list[Attempt], int]:
    direct.enter(connection, organisation_id)
    items = quarantine_repository.take_open(connection, above, PORTION)
    if not items:
        return [], above
    at = now()
    detail = {"items": len(items), "first": items[0].id, "last": items[-1].id}
    audit.record_directly(
        connection,
        organisation_id=organisation_id,
        at=at,
        actor=actor,
        action="quarantine.process",
        subject_kind="quarantine",
        subject="open",
        detail=detail,
    )
    by_hub: defaultdict[bytes, list[Item]] = defaultdict(list)
    for item in items:
        by_hub[item.hub_id].append(item)
    attempts = [
        attempt
        for hub_id, its in by_hub.items()
        for attempt in _again(connection, keyring, Source(organisation_id, hub_id, at), its)
    ]
    quarantine_repository.note(connection, organisation_id, at, actor, attempts, PROCESSED)
    return attempts, items[-1].id


def _again(connection: Connection, keyring: Keyring, source: Source, items: Sequence[Item]) -> list[Attempt]:
    """Take the items of one hub as if they were offered now."""
    parsed, refused = opening.parse_all([item.content for item in items])
    named = {one.header.reader_id for one in parsed}
    own = opening.reader_keys(keyring, repository.keys(connection, named))
    missing = named - own.keys()
    elsewhere = repository.known_anywhere(connection, missing) if missing else set[bytes]()
    authentic, more = opening.open_all(parsed, own, elsewhere)
    held = repository.lock(connection, {one.header.reader_id for one in authentic}).result()
    repository.add_neighbours(held, repository.neighbours(connection, keeping.places(authentic)).result())
    kept = keeping.keep(connection, source, authentic, held)
    late = _understood_late(connection, authentic, kept.answers)
    taking.interpret(connection, source, [*kept.taken, *late], own)
    understood = {one.index for one in late}
    made = [_attempt(items[one.index], kept.answers[one.index], one, one.index in understood) for one in authentic]
    return [*made, *(_still(items[one.index], one) for one in [*refused, *more])]


def _understood_late(
    connection: Connection, authentic: Sequence[Authentic], answers: dict[int, Answer]
) -> list[Authentic]:
    """Records that were held all along, are understood only now, and have no row of what is in them yet."""
    held = [one for one in authentic if one.content is not None and answers[one.index].disposition == wire.DUPLICATE]
    bare = quarantine_repository.uninterpreted(connection, [(one.header.reader_id, one.header.number) for one in held])
    first: dict[tuple[bytes, int], Authentic] = {}
    for one in held:
        first.setdefault((one.header.reader_id, one.header.number), one)
    return [one for place, one in first.items() if place in bare]


def _attempt(item: Item, answer: Answer, one: Authentic, late: bool) -> Attempt:
    if answer.disposition == wire.HELD:
        sentence = "It has taken its place." if one.content is not None else f"It is held. {one.why_not}"
        return Attempt(item.id, PROCESSED, sentence)
    if answer.disposition == wire.DUPLICATE:
        if one.content is None:
            return Attempt(item.id, opening.NOT_UNDERSTOOD, one.why_not or item.sentence)
        return Attempt(item.id, PROCESSED, "It is understood now." if late else "It is held.")
    return Attempt(item.id, answer.problem or item.code, item.sentence)


def _still(item: Item, refused: Refused) -> Attempt:
    return Attempt(item.id, refused.code, refused.sentence)
