"""Enrolling and revoking readers, changing their keys, and putting back what a lost database knew of them."""

import hmac
import os
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from reader import wire
from server.audit import service as audit
from server.audit.service import Actor
from server.custody import commands, cose
from server.custody.models import Custody
from server.database.columns import now
from server.organisations.models import Organisation, Site
from server.organisations.service import usable_name
from server.problems import Problem
from server.readers import keys, repository
from server.readers.keys import Keyring
from server.readers.models import Reader, ReaderKey

NAME_MAX = 32
FIRST_GENERATION = 0


class ReaderUnknown(Problem):
    """The organisation has no such reader."""

    status = 404
    code = "reader-unknown"
    title = "There is no such reader"


class ReaderRevoked(Problem):
    """The reader was revoked; nothing goes down to it any more."""

    status = 409
    code = "reader-revoked"
    title = "The reader is revoked"


class RotationWaits(Problem):
    """A new key is on its way to the reader already."""

    status = 409
    code = "rotation-waits"
    title = "A new key waits for this reader already"


class KeyDiffers(Problem):
    """Another key of that generation is kept, or one cannot be derived."""

    status = 409
    code = "key-differs"
    title = "The key cannot be put back"


@dataclass(frozen=True, slots=True)
class Rotation:
    """A new key on its way: its generation, and the number of the command that carries it."""

    reader_id: bytes
    generation: int
    command: int


@dataclass(frozen=True, slots=True)
class EnrolledReader:
    """A reader just enrolled. `key` is its secret, 32 bytes: shown once, for whoever provisions the reader."""

    reader_id: bytes
    key: bytes
    generation: int
    name: str


async def enrol(
    session: AsyncSession, keyring: Keyring, organisation: Organisation, site: Site, name: str, actor: Actor
) -> EnrolledReader:
    """Make a reader's identity and first key. Raises `NameUnusable`."""
    name = usable_name(name, NAME_MAX)
    enrolled = EnrolledReader(os.urandom(wire.READER_ID_BYTES), os.urandom(wire.KEY_BYTES), FIRST_GENERATION, name)
    reader_id = enrolled.reader_id
    await audit.record(
        session,
        organisation_id=organisation.id,
        actor=actor,
        action="reader.enrol",
        subject_kind="reader",
        subject=reader_id.hex(),
        detail={"name": name, "site": str(site.id)},
    )
    await repository.add(
        session,
        Reader(
            reader_id=reader_id,
            organisation_id=organisation.id,
            site_id=site.id,
            name=name,
            generation=FIRST_GENERATION,
        ),
        ReaderKey(
            reader_id=reader_id,
            generation=FIRST_GENERATION,
            organisation_id=organisation.id,
            encrypted=keyring.encrypt(reader_id, FIRST_GENERATION, enrolled.key),
        ),
        Custody(reader_id=reader_id, organisation_id=organisation.id, held_hash=cose.first_previous(reader_id)),
    )
    return enrolled


async def revoke(session: AsyncSession, organisation: Organisation, reader_id: bytes, actor: Actor) -> bool:
    """Revoke a reader: no more tickets or commands for it. Its records are still taken: they prove what happened.

    False when it was revoked before. Raises `ReaderUnknown`.
    """
    if await repository.find(session, reader_id) is None:
        raise ReaderUnknown(f"{organisation.name} has no reader {reader_id.hex()}.")
    await audit.record(
        session,
        organisation_id=organisation.id,
        actor=actor,
        action="reader.revoke",
        subject_kind="reader",
        subject=reader_id.hex(),
    )
    return await repository.revoke(session, reader_id, now())


async def rotate_key(
    session: AsyncSession, keyring: Keyring, organisation: Organisation, reader_id: bytes, actor: Actor
) -> Rotation:
    """Give a reader a new key, by the next hub that meets it.

    It goes down sealed under the present key. The reader seals with it from the record on that says so; until that
    record is here everything else goes on under the present key, which stays, so that what it sealed still opens.
    Raises `ReaderUnknown`, `ReaderRevoked`, `RotationWaits`.
    """
    reader = await repository.find(session, reader_id)
    if reader is None:
        raise ReaderUnknown(f"{organisation.name} has no reader {reader_id.hex()}.")
    if reader.revoked_at is not None:
        raise ReaderRevoked("No hub speaks to it any more. Provision it anew under another id.")
    await commands.lock(session, reader_id)
    if await commands.waits(session, reader_id, wire.DOWN_KEY):
        raise RotationWaits("Bring a hub to the reader; once it has taken that key, another can follow.")
    newest = await repository.newest_generation(session, reader_id)
    generation = 1 + max(newest, await commands.claimed(session, reader_id))
    key = keyring.rotated(reader_id, generation)
    present = await repository.find_key(session, reader_id, reader.generation)
    assert present is not None, "every reader has the key of its generation"
    await repository.add_key(
        session,
        ReaderKey(
            reader_id=reader_id,
            generation=generation,
            organisation_id=organisation.id,
            encrypted=keyring.encrypt(reader_id, generation, key),
        ),
    )
    downlink_key = keys.downlink_key(reader_id, keyring.decrypt(reader_id, reader.generation, present.encrypted))
    message = {wire.DOWN_TYPE: wire.DOWN_KEY, wire.DOWN_A: generation, wire.DOWN_B: key}
    number = await commands.put(
        session,
        organisation.id,
        reader_id,
        wire.DOWN_KEY,
        reader.generation,
        lambda number: cose.seal_down(reader_id, number, reader.generation, downlink_key, message),
    )
    await audit.record(
        session,
        organisation_id=organisation.id,
        actor=actor,
        action="reader.rotate-key",
        subject_kind="reader",
        subject=reader_id.hex(),
        detail={"generation": generation, "command": number},
    )
    return Rotation(reader_id, generation, number)


async def restore(
    session: AsyncSession,
    keyring: Keyring,
    organisation: Organisation,
    site: Site,
    name: str,
    reader_id: bytes,
    generation: int,
    key: bytes | None,
    actor: Actor,
) -> bool:
    """Put back a reader, or one of its keys, that this database does not have; False when it had both.

    `key` is that of its provisioning; None derives the one that a rotation gave it. What waits in quarantine for it is
    processed afterwards (`server.custody.again`). Raises `KeyDiffers`, `NameUnusable`.
    """
    if key is None:
        if generation == FIRST_GENERATION:
            raise KeyDiffers("The first key of a reader is the one it was provisioned with: give it.")
        key = keyring.rotated(reader_id, generation)
    reader = await repository.find(session, reader_id)
    kept = await repository.find_key(session, reader_id, generation) if reader else None
    if kept is not None:
        if not hmac.compare_digest(keyring.decrypt(reader_id, generation, kept.encrypted), key):
            raise KeyDiffers(f"Another key of generation {generation} is kept for this reader; that one stays.")
        return False
    await audit.record(
        session,
        organisation_id=organisation.id,
        actor=actor,
        action="reader.restore",
        subject_kind="reader",
        subject=reader_id.hex(),
        detail={"generation": generation, "known": reader is not None},
    )
    stored = ReaderKey(
        reader_id=reader_id,
        generation=generation,
        organisation_id=organisation.id,
        encrypted=keyring.encrypt(reader_id, generation, key),
    )
    if reader is not None:
        await repository.add_key(session, stored)
        return True
    await repository.add(
        session,
        Reader(
            reader_id=reader_id,
            organisation_id=organisation.id,
            site_id=site.id,
            name=usable_name(name, NAME_MAX),
            generation=generation,
        ),
        stored,
        Custody(reader_id=reader_id, organisation_id=organisation.id, held_hash=cose.first_previous(reader_id)),
    )
    return True
