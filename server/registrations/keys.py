"""The organisations' registration keys: made at the first need, told to hubs, and replaced.

Each organisation has its own, so that nothing sealed for one opens at another, and one can be replaced alone. The key
before opens for 90 days more.
"""

import os
from datetime import datetime, timedelta
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlmodel.ext.asyncio.session import AsyncSession

from server.audit import service as audit
from server.audit.service import Actor
from server.database.columns import now
from server.database.direct import Connection
from server.readers.keys import Keyring
from server.registrations import opening, repository
from server.registrations.models import RegistrationKey
from server.registrations.opening import NotOpened
from server.registrations.repository import StoredKey

OPENS_AFTER = timedelta(days=90)
_LABEL = b"doorstep/1 registration-key"


def ensure(connection: Connection, keyring: Keyring, organisation_id: UUID, at: datetime) -> bytes:
    """The organisation's public key, made now as it has none."""
    made = _make(keyring, organisation_id, at)
    return repository.add_key(connection, organisation_id, made.key_id, made.public_key, made.encrypted, at)


def private(keyring: Keyring, organisation_id: UUID, stored: StoredKey | None, at: datetime) -> bytes:
    """The private half of a stored key. Raises `NotOpened`; `KeyUnreadable` under a wrong master key."""
    if stored is None:
        raise NotOpened("unknown-key")
    if stored.retired_at is not None and at - stored.retired_at > OPENS_AFTER:
        raise NotOpened("retired-key")
    return keyring.open_secret(_bound_to(organisation_id, stored.key_id), stored.encrypted)


async def rotate(session: AsyncSession, keyring: Keyring, organisation_id: UUID, actor: Actor) -> tuple[bytes, int]:
    """Give the organisation a new key; its id, and how many that no longer open anything were destroyed."""
    at = now()
    await audit.record(
        session,
        organisation_id=organisation_id,
        actor=actor,
        action="registration-key.rotate",
        subject_kind="organisation",
        subject=str(organisation_id),
    )
    current = await repository.current_key(session, organisation_id)
    if current is not None:
        current.retired_at = at
        await repository.save(session, current)
    made = _make(keyring, organisation_id, at)
    await repository.save(session, made)
    return made.key_id, await repository.forget_keys(session, organisation_id, at - OPENS_AFTER)


def _make(keyring: Keyring, organisation_id: UUID, at: datetime) -> RegistrationKey:
    key = X25519PrivateKey.from_private_bytes(os.urandom(32))
    public = key.public_key().public_bytes_raw()
    key_id = opening.key_id(public)
    return RegistrationKey(
        key_id=key_id,
        organisation_id=organisation_id,
        public_key=public,
        encrypted=keyring.seal_secret(_bound_to(organisation_id, key_id), key.private_bytes_raw()),
        created_at=at,
    )


def _bound_to(organisation_id: UUID, key_id: bytes) -> bytes:
    return _LABEL + organisation_id.bytes + key_id
