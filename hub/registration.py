"""Registering a person without a network: the form is checked, sealed at once to the server, and only that is kept.

What is sealed here nobody but the server opens (HPKE, RFC 9180; protocol section 7): this laptop has no key for it.
Nothing of a form reaches a file, the log or an object that outlives the call.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from hub import cbor, specimens
from hub.clock import Clock, estimated
from hub.errors import HubError
from hub.store import Store
from hub.writer import Writer
from reader import wire

# As the server's own form has them, and as nhsuk-frontend names the three parts of a date.
LINES = {"given": 100, "family": 100, "phone": 40, "email": 254, "postcode": 12, "language": 60}
NOTES = {"address": 400, "safe_contact": 400}
BIRTH = ("birth[day]", "birth[month]", "birth[year]")
FIELDS = (
    "specimen", *LINES, *NOTES, *BIRTH, "nhs_number", "local", "consent", "consent_asked", "consent_by",
)  # fmt: skip
LOCAL_MAX, LOCAL_LONGEST = 4, 64
ASKED_LONGEST, BY_LONGEST = 200, 100
_OLDEST = date(1895, 1, 1)
_NEEDED = 2
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_NAMED = {
    "given": "the first name", "family": "the last name", "phone": "the telephone number",
    "email": "the email address", "postcode": "the postcode", "language": "the language", "address": "the address",
    "safe_contact": "the note", "consent_asked": "what was asked", "consent_by": "the name",
}  # fmt: skip


class NoRegistrationKey(HubError):
    code = "no-registration-key"


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field: `field` as the form names it (`birth` for the three of the date), a stable code,
    and a sentence for whoever typed it."""

    field: str
    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """A registration as it is kept and carried; only the server opens it."""

    registration_id: bytes
    sealed: bytes


def check(fields: Mapping[str, str], today: date) -> list[FieldError]:
    """Everything that is wrong with a form, in the order of its fields; empty when it can be sealed. Keeps nothing.

    `fields` are strings by the names in `FIELDS`; one that is missing is empty. `local` has one identifier a line.
    `consent` is anything but empty once the person has agreed.
    """
    found = list[FieldError]()
    try:
        specimens.usable(fields.get("specimen", ""))
    except specimens.NotASpecimen as error:
        found.append(FieldError("specimen", error.code, str(error)))
    if not _name(fields):
        sentence = "Give a name, or what the person is known by."
        found.append(FieldError("given", "name-missing", sentence))
    for name, longest in (LINES | NOTES).items():
        found += _text(fields, name, longest)
    found += _birth_errors(fields, today)
    found += _nhs_number_errors(fields)
    if not found and _identifiers(fields) < _NEEDED:
        sentence = (
            "Give one more thing to know this person by: date of birth, NHS number, telephone, or address or postcode."
        )
        found.append(FieldError("birth", "one-is-not-enough", sentence))
    local = _local(fields)
    if len(local) > LOCAL_MAX or any(len(one) > LOCAL_LONGEST or not one.isprintable() for one in local):
        sentence = f"Write at most {LOCAL_MAX} identifiers, each on its own line and at most {LOCAL_LONGEST} long."
        found.append(FieldError("local", "local-identifiers", sentence))
    if not fields.get("consent", "").strip():
        sentence = "Ask the person, and tick this once they agree. Without it, do not register them."
        found.append(FieldError("consent", "consent-missing", sentence))
    for name, longest, sentence in (
        ("consent_asked", ASKED_LONGEST, "Write what the person agreed to."),
        ("consent_by", BY_LONGEST, "Write the name of whoever asked the person."),
    ):
        if not _line(fields, name):
            found.append(FieldError(name, f"{name.replace('_', '-')}-missing", sentence))
        found += _text(fields, name, longest)
    return found


def seal(fields: Mapping[str, str], public_key: bytes, hub_id: bytes, made_ms: int) -> Sealed:
    """Seal a form that `check` found nothing wrong with. `made_ms` is Unix ms, of the consent too."""
    registration_id = os.urandom(wire.REGISTRATION_ID_BYTES)
    birth = _birth_date(fields)
    content = {
        wire.REG_ID: registration_id,
        wire.REG_HUB: hub_id,
        wire.REG_MADE_MS: made_ms,
        wire.REG_SPECIMEN: specimens.usable(fields.get("specimen", "")),
        wire.REG_GIVEN: _line(fields, "given"),
        wire.REG_FAMILY: _line(fields, "family"),
        wire.REG_BIRTH: birth.isoformat() if birth else None,
        wire.REG_NHS_NUMBER: _nhs_digits(fields) or None,
        wire.REG_PHONE: _line(fields, "phone"),
        wire.REG_EMAIL: _line(fields, "email"),
        wire.REG_ADDRESS: _note(fields, "address"),
        wire.REG_POSTCODE: _line(fields, "postcode"),
        wire.REG_LANGUAGE: _line(fields, "language"),
        wire.REG_SAFE_CONTACT: _note(fields, "safe_contact"),
        wire.REG_LOCAL: _local(fields),
        wire.REG_CONSENT: [_line(fields, "consent_asked"), made_ms, _line(fields, "consent_by")],
    }
    info = wire.INFO_REGISTRATION + hub_id + registration_id
    message = _SUITE.encrypt(cbor.encode(content), X25519PublicKey.from_public_bytes(public_key), info)
    key_id = hashlib.sha256(public_key).digest()[: wire.REGISTRATION_KEY_ID_BYTES]
    return Sealed(registration_id, cbor.encode([key_id, hub_id, registration_id, message]))


async def register(writer: Writer, clock: Clock, fields: Mapping[str, str]) -> list[FieldError]:
    """Check a form, seal it and queue it durably; what is wrong with it, or nothing once it is on the disk, sealed.

    Tell the courier to `wake` after it. Raises NoRegistrationKey until the server was heard once, QueueFull and
    StoreError.
    """
    now = clock.read()
    time = estimated(now, await writer(Store.comparison))
    made_ms = time.unix_ms if time else now.wall_ms
    # A birth of today is not tomorrow's where the zone of the laptop is ahead of the server's.
    wrong = check(fields, datetime.fromtimestamp(made_ms / 1000, UTC).date() + timedelta(days=1))
    if wrong:
        return wrong
    key, hub_id = await writer(Store.registration_key), await writer(Store.setting, "hub_id")
    if key is None or hub_id is None:
        raise NoRegistrationKey(
            "Nobody can be registered here yet: this laptop has not heard from a server that takes registrations. "
            "Connect to a network once."
        )
    made = seal(fields, key, hub_id, made_ms)
    await writer(Store.keep_registration, made.registration_id, made.sealed, now.wall_ms)
    return []


def _line(fields: Mapping[str, str], name: str) -> str:
    return " ".join(fields.get(name, "").split())


def _note(fields: Mapping[str, str], name: str) -> str:
    return "\n".join(line.strip() for line in fields.get(name, "").strip().splitlines())


def _name(fields: Mapping[str, str]) -> str:
    return _line(fields, "given") + _line(fields, "family")


def _local(fields: Mapping[str, str]) -> list[str]:
    lines = (" ".join(line.split()) for line in fields.get("local", "").splitlines())
    return [line for line in lines if line]


def _text(fields: Mapping[str, str], name: str, longest: int) -> list[FieldError]:
    text = _note(fields, name) if name in NOTES else _line(fields, name)
    code = name.replace("_", "-")
    if len(text) > longest:
        return [FieldError(name, f"{code}-too-long", f"Write at most {longest} characters for {_NAMED[name]}.")]
    if not text.replace("\n", " ").isprintable():
        sentence = f"Use letters, digits and marks only for {_NAMED[name]}."
        return [FieldError(name, f"{code}-characters", sentence)]
    return []


def _birth_date(fields: Mapping[str, str]) -> date | None:
    """None where nothing is given. Raises ValueError for what is no date."""
    parts = [fields.get(name, "").strip() for name in BIRTH]
    if not any(parts):
        return None
    if not all(part.isascii() and part.isdecimal() and len(part) <= 4 for part in parts):
        raise ValueError("a part is no number")
    day, month, year = (int(part) for part in parts)
    return date(year, month, day)


def _birth_errors(fields: Mapping[str, str], latest: date) -> list[FieldError]:
    try:
        birth = _birth_date(fields)
    except ValueError:
        sentence = "The date of birth needs a day, a month and a year, such as 7 3 1980. Leave all empty if not known."
        return [FieldError("birth", "birth-not-a-date", sentence)]
    if birth is not None and not _OLDEST <= birth <= latest:
        sentence = "The date of birth cannot be right. Check day, month and year."
        return [FieldError("birth", "birth-out-of-range", sentence)]
    return []


def _nhs_digits(fields: Mapping[str, str]) -> str:
    return "".join(fields.get("nhs_number", "").split()).replace("-", "")


def _nhs_number_errors(fields: Mapping[str, str]) -> list[FieldError]:
    """Ten digits, the last a check of the others (NHS Data Dictionary, NHS NUMBER: modulus 11)."""
    digits = _nhs_digits(fields)
    if not digits:
        return []
    if len(digits) != 10 or not (digits.isascii() and digits.isdecimal()):
        sentence = "An NHS number has 10 digits, such as 999 000 0018. Check it and type it again."
        return [FieldError("nhs_number", "nhs-number-length", sentence)]
    total = sum(int(digit) * weight for digit, weight in zip(digits, range(10, 1, -1), strict=False))
    if (11 - total % 11) % 11 != int(digits[9]) or len(set(digits)) == 1:
        sentence = "One or more digits of this NHS number are wrong. Check it and type it again."
        return [FieldError("nhs_number", "nhs-number-wrong", sentence)]
    return []


def _identifiers(fields: Mapping[str, str]) -> int:
    """How many things there are to know the person by; the server links nobody by one alone."""
    place = _note(fields, "address") or _line(fields, "postcode")
    given = (_name(fields), any(fields.get(name, "").strip() for name in BIRTH), _nhs_digits(fields))
    return sum(map(bool, (*given, _line(fields, "phone"), place)))
