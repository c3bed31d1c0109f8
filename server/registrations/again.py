"""Processes registrations in quarantine again, once a newer server or a key that was put back can read them."""

from uuid import UUID

from server.audit import service as audit
from server.audit.service import Actor
from server.custody.again import Tally
from server.custody.keeping import Source
from server.database import direct
from server.database.columns import now
from server.database.direct import Connection, Pool
from server.readers.keys import Keyring
from server.registrations import opening, repository, taking
from server.registrations.taking import Opened

PORTION = 50


def process(pool: Pool, keyring: Keyring, organisation_id: UUID, actor: Actor) -> Tally:
    """Process every one again, a portion a transaction. Raises `KeyUnreadable` under a wrong master key."""
    tried = processed = 0
    above = UUID(int=0)
    while True:
        start = above
        count, released, above = direct.transaction(
            pool, lambda connection, start=start: _portion(connection, keyring, organisation_id, actor, start)
        )
        tried, processed = tried + count, processed + released
        if count < PORTION:
            return Tally(tried, processed)


def _portion(
    connection: Connection, keyring: Keyring, organisation_id: UUID, actor: Actor, above: UUID
) -> tuple[int, int, UUID]:
    direct.enter(connection, organisation_id)
    items = repository.take_quarantined(connection, organisation_id, above, PORTION)
    if not items:
        return 0, 0, above
    at = now()
    audit.record_directly(
        connection,
        organisation_id=organisation_id,
        at=at,
        actor=actor,
        action="registration.process",
        subject_kind="registration",
        subject="quarantined",
        detail={"registrations": len(items)},
    )
    source = Source(organisation_id, b"", at)
    found = taking.open_all(connection, keyring, source, [item.sealed for item in items])
    ids = {one.envelope.registration_id for one in found.values() if isinstance(one, Opened)}
    there = repository.digests(connection, organisation_id, ids) if ids else {}
    released = 0
    for item in items:
        result = found[item.sealed]
        if not isinstance(result, Opened):
            repository.stay(connection, item.id, at, result.code, opening.SENTENCES[result.code])
            continue
        registration_id = result.envelope.registration_id
        if there.get(registration_id, item.digest) != item.digest:
            repository.stay(connection, item.id, at, "conflict", opening.SENTENCES["conflict"])
            continue
        released += 1
        if registration_id in there:
            repository.drop(connection, item.id)
        else:
            there[registration_id] = item.digest
            repository.release(connection, item.id, at, result.plaintext, result.content)
    return len(items), released, items[-1].id
