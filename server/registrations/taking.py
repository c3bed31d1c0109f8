"""Takes registrations in the transaction of an exchange: opened and held, or set aside with their bytes.

Whose they are is decided afterwards (`settling`), so that nothing of that holds up custody.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reader import wire
from server.audit import service as audit
from server.audit.service import Actor
from server.custody.keeping import Source
from server.database.direct import Connection
from server.readers.keys import Keyring
from server.registrations import keys, opening, repository
from server.registrations.opening import Content, Envelope, NotOpened
from server.registrations.repository import StoredKey


@dataclass(frozen=True, slots=True)
class Opened:
    """One that opens."""

    envelope: Envelope
    plaintext: bytes
    content: Content


def take(connection: Connection, keyring: Keyring, source: Source, offered: Sequence[bytes]) -> list[list[Any]]:
    """Hold or quarantine each; the items of the answer, in the order of the offer. Done twice it does no harm.

    Raises `KeyUnreadable` under a wrong master key.
    """
    if not offered:
        return []
    audit.record_directly(
        connection,
        organisation_id=source.organisation_id,
        at=source.at,
        actor=Actor("hub", source.hub_id.hex()),
        action="registration.take",
        subject_kind="hub",
        subject=source.hub_id.hex(),
        detail={"registrations": len(offered)},
    )
    sealed = list(dict.fromkeys(offered))
    found = open_all(connection, keyring, source, sealed)
    answers = _hold(connection, source, found)
    for one, result in found.items():
        if one not in answers:
            assert isinstance(result, NotOpened), "what opens was held"
            _set_aside(connection, source, one, result.code)
            answers[one] = (_named(one), wire.QUARANTINED, result.code)
    told, items = set[bytes](), list[list[Any]]()
    for one in offered:
        registration_id, disposition, problem = answers[one]
        # The very same bytes twice in one offer: the second finds the first.
        again = one in told and disposition == wire.HELD
        told.add(one)
        items.append([wire.ITEM_REGISTRATION, registration_id, wire.DUPLICATE if again else disposition, problem])
    return items


def open_all(
    connection: Connection, keyring: Keyring, source: Source, sealed: Sequence[bytes]
) -> dict[bytes, Opened | NotOpened]:
    """Each of them opened with the organisation's keys, or why not."""
    parsed: dict[bytes, Envelope | NotOpened] = {}
    for one in sealed:
        try:
            parsed[one] = opening.parse(one)
        except NotOpened as error:
            parsed[one] = error
    named = [one for one in parsed.values() if isinstance(one, Envelope)]
    asked = repository.keys(connection, {one.key_id for one in named})
    own = repository.own_hubs(connection, {one.maker for one in named}).result()
    stored = asked.result()
    return {
        one: _open(keyring, source, envelope, stored.get(envelope.key_id), own)
        if isinstance(envelope, Envelope)
        else envelope
        for one, envelope in parsed.items()
    }


def _open(
    keyring: Keyring, source: Source, envelope: Envelope, stored: StoredKey | None, own: set[bytes]
) -> Opened | NotOpened:
    try:
        if envelope.maker not in own:
            raise NotOpened("unknown-hub")
        private = keys.private(keyring, source.organisation_id, stored, source.at)
        plaintext = opening.open_message(envelope, private)
        return Opened(envelope, plaintext, opening.read(plaintext, envelope))
    except NotOpened as error:
        return error


def _hold(
    connection: Connection, source: Source, found: dict[bytes, Opened | NotOpened]
) -> dict[bytes, tuple[bytes | None, int, str | None]]:
    # In the order of their ids, so that two exchanges with the same ones never wait in a ring.
    opened = sorted(
        ((one, result) for one, result in found.items() if isinstance(result, Opened)),
        key=lambda pair: pair[1].envelope.registration_id,
    )
    asked = [
        (
            one,
            result,
            repository.add_opened(
                connection,
                source.organisation_id,
                source.hub_id,
                source.at,
                digest_of(one),
                result.plaintext,
                result.content,
            ),
        )
        for one, result in opened
    ]
    new = {one: added.result() for one, _, added in asked}
    taken = [result.envelope.registration_id for one, result in opened if not new[one]]
    there = repository.digests(connection, source.organisation_id, taken) if taken else {}
    answers: dict[bytes, tuple[bytes | None, int, str | None]] = {}
    for one, result in opened:
        registration_id = result.envelope.registration_id
        if new[one]:
            answers[one] = (registration_id, wire.HELD, None)
        elif there.get(registration_id) == digest_of(one):
            answers[one] = (registration_id, wire.DUPLICATE, None)
        else:
            _set_aside(connection, source, one, "conflict")
            answers[one] = (registration_id, wire.CONFLICT, "conflict")
    return answers


def _set_aside(connection: Connection, source: Source, sealed: bytes, code: str) -> None:
    sentence = opening.SENTENCES[code]
    named = _envelope(sealed)
    repository.quarantine(
        connection, source.organisation_id, source.hub_id, source.at, sealed, digest_of(sealed), code, sentence, named
    )


def _envelope(sealed: bytes) -> tuple[bytes, bytes] | None:
    try:
        envelope = opening.parse(sealed)
    except NotOpened:
        return None
    return envelope.registration_id, envelope.maker


def _named(sealed: bytes) -> bytes | None:
    named = _envelope(sealed)
    return named[0] if named else None


def digest_of(sealed: bytes) -> bytes:
    """SHA-256 of the sealed registration."""
    return hashlib.sha256(sealed).digest()
