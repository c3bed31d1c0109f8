"""Opens a sealed registration and reads it whole or not at all: pure functions (docs/protocol.md section 7)."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from reader import wire
from server.custody import cbor
from server.custody.offer import is_bytes, is_uint
from server.patients.service import Entry

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_LATEST_MS = 253_402_300_799_000  # beyond it no calendar goes
_TEXTS = {
    wire.REG_SPECIMEN: 64, wire.REG_GIVEN: 100, wire.REG_FAMILY: 100, wire.REG_PHONE: 40, wire.REG_EMAIL: 254,
    wire.REG_ADDRESS: 400, wire.REG_POSTCODE: 12, wire.REG_LANGUAGE: 60, wire.REG_SAFE_CONTACT: 400,
}  # fmt: skip
_KEYS = frozenset(range(wire.REG_ID, wire.REG_CONSENT + 1))
_LOCAL_MAX, _LOCAL_LONGEST = 4, 64
_ASKED_LONGEST, _BY_LONGEST = 200, 100

SENTENCES = {
    "malformed": "It is not a sealed registration of this protocol.",
    "unknown-hub": "It names a hub that is not of this organisation.",
    "unknown-key": "It is sealed to a key that this organisation does not have.",
    "retired-key": "It is sealed to a key that was replaced more than 90 days ago.",
    "does-not-open": "It was altered on the way, or is not of the hub that it names.",
    "not-understood": "It opens, but this server cannot read what is in it.",
    "conflict": "Another registration has this id.",
}
REMEDIES = {
    "unknown-hub": "Find out why this hub carries another's registrations, and bring them by a hub of their own"
    " organisation.",
    "unknown-key": "If an older backup was restored, this key is lost: ask the hub's people for the details on paper.",
    "retired-key": "Ask the hub's people for the details on paper, and connect that laptop more often.",
    "not-understood": "Update the server, then process again: doorstep server registration process.",
}


def remedy(code: str) -> str:
    """What to do about a quarantined registration of that code."""
    return REMEDIES.get(code, "Ask the hub's people for the details on paper, and have its software looked at.")


class NotOpened(Exception):
    """Why it is quarantined: one of `SENTENCES`."""

    def __init__(self, code: str) -> None:
        super().__init__(SENTENCES[code])
        self.code = code


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is in clear around a registration."""

    key_id: bytes
    maker: bytes
    registration_id: bytes
    message: bytes


@dataclass(frozen=True, slots=True)
class Content:
    """What a registration says. `made_at` and `consent_at` are by the hub's clock."""

    registration_id: bytes
    maker: bytes
    made_at: datetime
    specimen: str
    entry: Entry
    local: tuple[str, ...]
    consent_asked: str
    consent_at: datetime
    consent_by: str


def parse(sealed: bytes) -> Envelope:
    """Raises `NotOpened`."""
    match _decoded(sealed, "malformed"):
        case [bytes() as key_id, bytes() as maker, bytes() as registration_id, bytes() as message] if (
            len(key_id) == wire.REGISTRATION_KEY_ID_BYTES
            and len(maker) == wire.HUB_ID_BYTES
            and len(registration_id) == wire.REGISTRATION_ID_BYTES
        ):
            return Envelope(key_id, maker, registration_id, message)
        case _:
            raise NotOpened("malformed")


def open_message(envelope: Envelope, private_key: bytes) -> bytes:
    """The plaintext. Raises `NotOpened`."""
    info = wire.INFO_REGISTRATION + envelope.maker + envelope.registration_id
    try:
        return _SUITE.decrypt(envelope.message, X25519PrivateKey.from_private_bytes(private_key), info)
    except (InvalidTag, ValueError):
        raise NotOpened("does-not-open") from None


def key_id(public_key: bytes) -> bytes:
    """By which a registration names the key that it is sealed to."""
    return hashlib.sha256(public_key).digest()[: wire.REGISTRATION_KEY_ID_BYTES]


def read(plaintext: bytes, envelope: Envelope | None = None) -> Content:
    """What the plaintext says; it must be what the envelope names. Raises `NotOpened`."""
    fields = _decoded(plaintext, "not-understood")
    if not isinstance(fields, dict) or cast("dict[Any, Any]", fields).keys() != _KEYS:
        raise NotOpened("not-understood")
    said = cast("dict[int, Any]", fields)
    named = is_bytes(said[wire.REG_ID], wire.REGISTRATION_ID_BYTES) and is_bytes(said[wire.REG_HUB], wire.HUB_ID_BYTES)
    if not named or not is_uint(said[wire.REG_MADE_MS], _LATEST_MS):
        raise NotOpened("not-understood")
    if envelope is not None and (said[wire.REG_ID], said[wire.REG_HUB]) != (envelope.registration_id, envelope.maker):
        raise NotOpened("does-not-open")
    if not all(_is_text(said[key], longest) for key, longest in _TEXTS.items()):
        raise NotOpened("not-understood")
    asked, consent_ms, by = _consent(said[wire.REG_CONSENT])
    return Content(
        registration_id=said[wire.REG_ID],
        maker=said[wire.REG_HUB],
        made_at=_moment(said[wire.REG_MADE_MS]),
        specimen=said[wire.REG_SPECIMEN],
        entry=Entry(
            given=said[wire.REG_GIVEN],
            family=said[wire.REG_FAMILY],
            birth_date=_birth(said[wire.REG_BIRTH]),
            nhs_number=_nhs_number(said[wire.REG_NHS_NUMBER]),
            phone=said[wire.REG_PHONE],
            email=said[wire.REG_EMAIL],
            address=said[wire.REG_ADDRESS],
            postcode=said[wire.REG_POSTCODE],
            language=said[wire.REG_LANGUAGE],
            safe_contact=said[wire.REG_SAFE_CONTACT],
        ),
        local=_local(said[wire.REG_LOCAL]),
        consent_asked=asked,
        consent_at=_moment(consent_ms),
        consent_by=by,
    )


def _decoded(data: bytes, code: str) -> Any:
    if len(data) > wire.REGISTRATION_MAX:
        raise NotOpened(code)
    try:
        if cbor.scan(data, 0) != len(data):
            raise NotOpened(code)
        return cbor.loads(data)
    except (cbor.NotCbor, cbor.TooDeep, cbor.TooMany):
        raise NotOpened(code) from None


def _is_text(value: object, longest: int) -> bool:
    return isinstance(value, str) and len(value) <= longest and "\0" not in value


def _birth(value: object) -> date | None:
    if value is None:
        return None
    try:
        if not isinstance(value, str) or len(value) != 10:
            raise ValueError("not YYYY-MM-DD")
        return date.fromisoformat(value)
    except ValueError:
        raise NotOpened("not-understood") from None


def _nhs_number(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) != 10 or not (value.isascii() and value.isdecimal()):
        raise NotOpened("not-understood")
    return value


def _local(value: object) -> tuple[str, ...]:
    found = cast("list[Any]", value) if isinstance(value, list) else None
    if found is None or len(found) > _LOCAL_MAX or not all(_is_text(one, _LOCAL_LONGEST) for one in found):
        raise NotOpened("not-understood")
    return tuple(found)


def _consent(value: object) -> tuple[str, int, str]:
    match value:
        case [str() as asked, int() as at_ms, str() as by] if (
            _is_text(asked, _ASKED_LONGEST) and _is_text(by, _BY_LONGEST) and is_uint(at_ms, _LATEST_MS)
        ):
            return asked, at_ms, by
        case _:
            raise NotOpened("not-understood")


def _moment(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(unix_ms // 1000, UTC).replace(microsecond=unix_ms % 1000 * 1000)
