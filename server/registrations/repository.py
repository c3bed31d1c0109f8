"""SQL of registrations and their keys. What an exchange does goes by `server.database.direct`."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from server.database import arrays, direct
from server.database.direct import Connection, Pending
from server.registrations.models import Registration, RegistrationKey, Standing
from server.registrations.opening import Content


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key pair of the organisation that is entered."""

    key_id: bytes
    encrypted: bytes
    retired_at: datetime | None


_ADD_KEY = b"""
    INSERT INTO registration_key (key_id, organisation_id, public_key, encrypted, created_at)
    VALUES (%(key_id)s, %(organisation_id)s, %(public_key)s, %(encrypted)s, %(at)s) ON CONFLICT DO NOTHING
"""
_CURRENT = b"SELECT public_key FROM registration_key WHERE organisation_id = %(organisation_id)s AND retired_at IS NULL"


def add_key(
    connection: Connection, organisation_id: UUID, key_id: bytes, public_key: bytes, encrypted: bytes, at: datetime
) -> bytes:
    """Make it the organisation's key unless another did meanwhile; the public key that is in force."""
    values = {
        "key_id": key_id, "organisation_id": organisation_id, "public_key": public_key, "encrypted": encrypted,
        "at": at,
    }  # fmt: skip
    direct.tell(connection, _ADD_KEY, values)
    asked = direct.ask(connection, _CURRENT, {"organisation_id": organisation_id}, lambda rows: rows[0][0])
    return bytes(asked.result())


_KEYS = b"SELECT key_id, encrypted, retired_at FROM registration_key WHERE key_id = ANY (%(key_ids)s)"


def keys(connection: Connection, key_ids: Collection[bytes]) -> Pending[dict[bytes, StoredKey]]:
    """Those of the keys that the organisation has."""
    parameters = {"key_ids": arrays.byteas(sorted(key_ids))}
    return direct.ask(connection, _KEYS, parameters, lambda rows: {row[0]: StoredKey(*row) for row in rows})


_HUBS = b"SELECT hub_id FROM hub WHERE hub_id = ANY (%(hub_ids)s)"


def own_hubs(connection: Connection, hub_ids: Collection[bytes]) -> Pending[set[bytes]]:
    """Those of the hubs that are the organisation's, revoked ones too."""
    parameters = {"hub_ids": arrays.byteas(sorted(hub_ids))}
    return direct.ask(connection, _HUBS, parameters, lambda rows: {row[0] for row in rows})


_ADD_OPENED = b"""
    INSERT INTO registration (
        id, organisation_id, registration_id, maker, hub_id, digest, state, code, sentence, sealed, content, specimen,
        received_at, made_at, consent_asked, consent_by, consent_at, local_identifiers, why, attempts
    ) VALUES (
        gen_random_uuid(), %(organisation_id)s, %(registration_id)s, %(maker)s, %(hub_id)s, %(digest)s, 'waiting', '',
        '', '', %(content)s, %(specimen)s, %(at)s, %(made_at)s, %(consent_asked)s, %(consent_by)s, %(consent_at)s,
        %(local)s::jsonb, '', 0
    )
    ON CONFLICT (organisation_id, registration_id) WHERE state <> 'quarantined' DO NOTHING RETURNING id
"""


def add_opened(
    connection: Connection,
    organisation_id: UUID,
    hub_id: bytes,
    at: datetime,
    digest: bytes,
    plaintext: bytes,
    content: Content,
) -> Pending[bool]:
    """Hold an opened one; False when its id is taken."""
    values = {
        "organisation_id": organisation_id,
        "registration_id": content.registration_id,
        "maker": content.maker,
        "hub_id": hub_id,
        "digest": digest,
        "content": plaintext,
        "specimen": content.specimen,
        "at": at,
        **said(content),
    }
    return direct.ask(connection, _ADD_OPENED, values, lambda rows: bool(rows))


def said(content: Content) -> dict[str, Any]:
    """The columns that outlive the plaintext."""
    return {
        "made_at": content.made_at,
        "consent_asked": content.consent_asked,
        "consent_by": content.consent_by,
        "consent_at": content.consent_at,
        "local": json.dumps(list(content.local)),
    }


_DIGESTS = b"""
    SELECT registration_id, digest FROM registration
    WHERE organisation_id = %(organisation_id)s AND registration_id = ANY (%(ids)s) AND state <> 'quarantined'
"""


def digests(connection: Connection, organisation_id: UUID, ids: Collection[bytes]) -> dict[bytes, bytes]:
    """The digest of each of those ids that is taken."""
    parameters = {"organisation_id": organisation_id, "ids": arrays.byteas(sorted(ids))}
    return direct.ask(connection, _DIGESTS, parameters, lambda rows: {row[0]: row[1] for row in rows}).result()


_QUARANTINE = b"""
    INSERT INTO registration (
        id, organisation_id, registration_id, maker, hub_id, digest, state, code, sentence, sealed, content, specimen,
        received_at, consent_asked, consent_by, local_identifiers, why, attempts
    ) VALUES (
        gen_random_uuid(), %(organisation_id)s, %(registration_id)s, %(maker)s, %(hub_id)s, %(digest)s, 'quarantined',
        %(code)s, %(sentence)s, %(sealed)s, '', '', %(at)s, '', '', '[]'::jsonb, '', 0
    )
    ON CONFLICT (organisation_id, digest) WHERE state = 'quarantined' DO NOTHING
"""


def quarantine(
    connection: Connection,
    organisation_id: UUID,
    hub_id: bytes,
    at: datetime,
    sealed: bytes,
    digest: bytes,
    code: str,
    sentence: str,
    named: tuple[bytes, bytes] | None,
) -> None:
    """Keep what did not open, with its bytes; `named` is the id and the maker in its envelope."""
    registration_id, maker = named or (None, None)
    values = {
        "organisation_id": organisation_id, "registration_id": registration_id, "maker": maker, "hub_id": hub_id,
        "digest": digest, "code": code, "sentence": sentence, "sealed": sealed, "at": at,
    }  # fmt: skip
    direct.tell(connection, _QUARANTINE, values)


_TAKE_QUARANTINED = b"""
    SELECT id, sealed, digest FROM registration
    WHERE organisation_id = %(organisation_id)s AND state = 'quarantined' AND id > %(above)s
    ORDER BY id LIMIT %(limit)s FOR UPDATE
"""


@dataclass(frozen=True, slots=True)
class Item:
    """A quarantined registration."""

    id: UUID
    sealed: bytes
    digest: bytes


def take_quarantined(connection: Connection, organisation_id: UUID, above: UUID, limit: int) -> list[Item]:
    """Quarantined ones beyond an id, locked for this transaction."""
    parameters = {"organisation_id": organisation_id, "above": above, "limit": limit}
    return direct.ask(connection, _TAKE_QUARANTINED, parameters, lambda rows: [Item(*row) for row in rows]).result()


_RELEASE = b"""
    UPDATE registration SET state = 'waiting', code = '', sentence = '', sealed = '', content = %(content)s,
        registration_id = %(registration_id)s, maker = %(maker)s, specimen = %(specimen)s, made_at = %(made_at)s,
        consent_asked = %(consent_asked)s, consent_by = %(consent_by)s, consent_at = %(consent_at)s,
        local_identifiers = %(local)s::jsonb, attempts = attempts + 1, tried_at = %(at)s
    WHERE id = %(id)s
"""


def release(connection: Connection, item_id: UUID, at: datetime, plaintext: bytes, content: Content) -> None:
    """It opens now: it leaves quarantine."""
    values = {
        "id": item_id, "at": at, "content": plaintext, "registration_id": content.registration_id,
        "maker": content.maker, "specimen": content.specimen, **said(content),
    }  # fmt: skip
    direct.tell(connection, _RELEASE, values)


_STAY = b"""
    UPDATE registration SET code = %(code)s, sentence = %(sentence)s, attempts = attempts + 1, tried_at = %(at)s
    WHERE id = %(id)s
"""
_DROP = b"DELETE FROM registration WHERE id = %(id)s AND state = 'quarantined'"


def stay(connection: Connection, item_id: UUID, at: datetime, code: str, sentence: str) -> None:
    """It still does not open."""
    direct.tell(connection, _STAY, {"id": item_id, "at": at, "code": code, "sentence": sentence})


def drop(connection: Connection, item_id: UUID) -> None:
    """The very same bytes are held already."""
    direct.tell(connection, _DROP, {"id": item_id})


# Of sessions ------------------------------------------------------------------------------------------

_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('registrations ' || :organisation, 0))")


async def one_at_a_time(session: AsyncSession, organisation_id: UUID) -> None:
    """Wait until nobody else matches registrations of the organisation: two of one person must see each other."""
    await (await session.connection()).execute(_ONE_AT_A_TIME, {"organisation": str(organisation_id)})


async def waiting(session: AsyncSession, organisation_id: UUID, most: int) -> list[Registration]:
    """The oldest that wait to be matched, locked for this transaction."""
    statement = (
        select(Registration)
        .where(col(Registration.organisation_id) == organisation_id, col(Registration.state) == Standing.WAITING)
        .order_by(col(Registration.received_at), col(Registration.id))
        .limit(most)
        .with_for_update()
    )
    return list((await PlainSession.execute(session, statement)).scalars())


async def listed(session: AsyncSession, organisation_id: UUID, states: Sequence[Standing]) -> list[Registration]:
    """Those that stand so, the oldest first, at most 500."""
    statement = (
        select(Registration)
        .where(col(Registration.organisation_id) == organisation_id, col(Registration.state).in_(states))
        .order_by(col(Registration.received_at), col(Registration.id))
        .limit(500)
    )
    return list((await PlainSession.execute(session, statement)).scalars())


async def count_open(session: AsyncSession, organisation_id: UUID) -> int:
    """How many wait for a person."""
    statement = select(func.count()).where(
        col(Registration.organisation_id) == organisation_id,
        col(Registration.state).in_((Standing.UNDECIDED, Standing.QUARANTINED)),
    )
    return (await PlainSession.execute(session, statement)).scalar_one()


async def find(session: AsyncSession, wanted: UUID) -> Registration | None:
    """One of the organisation that is entered, locked for this transaction."""
    statement = select(Registration).where(col(Registration.id) == wanted).with_for_update()
    return (await PlainSession.execute(session, statement)).scalar_one_or_none()


async def of_person(session: AsyncSession, ids: Sequence[UUID]) -> list[Registration]:
    """The registrations of a person's entries, the oldest first."""
    statement = (
        select(Registration).where(col(Registration.patient_id).in_(ids)).order_by(col(Registration.received_at))
    )
    return list((await PlainSession.execute(session, statement)).scalars())


async def save(session: AsyncSession, row: Registration | RegistrationKey) -> None:
    """Write a row now."""
    session.add(row)
    await session.flush()


async def current_key(session: AsyncSession, organisation_id: UUID) -> RegistrationKey | None:
    """The key that hubs are told, locked for this transaction."""
    statement = (
        select(RegistrationKey)
        .where(col(RegistrationKey.organisation_id) == organisation_id, col(RegistrationKey.retired_at).is_(None))
        .with_for_update()
    )
    return (await PlainSession.execute(session, statement)).scalar_one_or_none()


_FORGET = text(
    "DELETE FROM registration_key WHERE organisation_id = :organisation_id AND retired_at < :before RETURNING key_id"
)


async def forget_keys(session: AsyncSession, organisation_id: UUID, before: datetime) -> int:
    """Destroy keys that were retired before; how many."""
    parameters = {"organisation_id": organisation_id, "before": before}
    return len((await (await session.connection()).execute(_FORGET, parameters)).all())
