"""Opens sealed records: authentic ones with their content, the others with the reason why not."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from sqlalchemy.ext.asyncio import AsyncConnection

from server.custody import cose, repository
from server.custody.cose import SealedHeader, Unsealable
from server.readers import keys
from server.readers.keys import Keyring
from server.readers.repository import StoredKey
from server.results import record
from server.results.record import EventRecord, NotUnderstood, QcRecord, ResultRecord

NOT_UNDERSTOOD = "not-understood"


@dataclass(slots=True)  # made by the thousand, and a frozen one takes five times as long to make
class Parsed:
    """A record of an offer whose headers could be read. `index` is its position among the offer's records."""

    index: int
    sealed: bytes
    digest: bytes
    header: SealedHeader


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that is not authentic as far as can be told: it takes no place. `header` where it could be read."""

    index: int
    sealed: bytes
    digest: bytes
    header: SealedHeader | None
    code: str
    sentence: str


@dataclass(slots=True)  # made by the thousand, and a frozen one takes five times as long to make
class Authentic:
    """A record that its reader made. `content` is None where it was not understood, and `why_not` then says so."""

    index: int
    sealed: bytes
    digest: bytes
    header: SealedHeader
    content: ResultRecord | EventRecord | QcRecord | None
    why_not: str | None


@dataclass(frozen=True, slots=True)
class ReaderKeys:
    """What opens one reader's records: a cipher a key generation. `generation` is the one it is known to seal with."""

    site_id: UUID
    generation: int
    ciphers: Mapping[int, AESCCM]


def digest_of(sealed: bytes) -> bytes:
    """SHA-256 of a sealed record: its chain hash is the first half."""
    return hashlib.sha256(sealed).digest()


def parse_all(records: Sequence[bytes]) -> tuple[list[Parsed], list[Refused]]:
    """Read the headers of every record of an offer."""
    parsed: list[Parsed] = []
    refused: list[Refused] = []
    for index, sealed in enumerate(records):
        digest = digest_of(sealed)
        try:
            parsed.append(Parsed(index, sealed, digest, cose.parse(sealed)))
        except Unsealable as error:
            refused.append(Refused(index, sealed, digest, None, error.code, error.sentence))
    return parsed, refused


def reader_keys(keyring: Keyring, stored: Iterable[StoredKey]) -> dict[bytes, ReaderKeys]:
    """The ciphers of every reader whose keys were loaded. Raises `KeyUnreadable` under a wrong master key."""
    ciphers: dict[bytes, dict[int, AESCCM]] = {}
    known: dict[bytes, StoredKey] = {}
    for one in stored:
        reader_id = bytes(one.reader_id)
        key = keyring.decrypt(reader_id, one.generation, one.encrypted)
        ciphers.setdefault(reader_id, {})[one.generation] = _cipher(reader_id, key)
        known[reader_id] = one
    return {
        reader_id: ReaderKeys(known[reader_id].site_id, known[reader_id].current_generation, its)
        for reader_id, its in ciphers.items()
    }


@lru_cache(maxsize=4_096)
def _cipher(reader_id: bytes, key: bytes) -> AESCCM:
    return cose.record_cipher(keys.record_key(reader_id, key))


def open_all(
    parsed: Sequence[Parsed], own: Mapping[bytes, ReaderKeys], elsewhere: set[bytes]
) -> tuple[list[Authentic], list[Refused]]:
    """Open every record under its reader's key. `elsewhere` are readers that other organisations have."""
    authentic: list[Authentic] = []
    refused: list[Refused] = []
    for one in parsed:
        try:
            opened = _open(one.header, own, elsewhere)
        except Unsealable as error:
            refused.append(Refused(one.index, one.sealed, one.digest, one.header, error.code, error.sentence))
            continue
        try:
            content, why_not = record.understand(opened), None
        except NotUnderstood as error:
            content, why_not = None, str(error)
        authentic.append(Authentic(one.index, one.sealed, one.digest, one.header, content, why_not))
    return authentic, refused


def _open(header: SealedHeader, own: Mapping[bytes, ReaderKeys], elsewhere: set[bytes]) -> bytes:
    reader = own.get(header.reader_id)
    if reader is None:
        if header.reader_id in elsewhere:
            raise Unsealable("foreign-reader", "The reader is not one of this organisation.")
        raise Unsealable("unknown-reader", "No reader of this id is enrolled. Enrol it, or check the reader.")
    cipher = reader.ciphers.get(header.generation)
    if cipher is None:
        raise Unsealable("unknown-generation", f"The reader has no key of generation {header.generation}.")
    return cose.open_record(header, cipher)


async def reopen(
    connection: AsyncConnection, keyring: Keyring, reader_id: bytes, number: int
) -> ResultRecord | EventRecord | QcRecord | None:
    """The content of a held record, opened anew; None when it is not held or is not understood.

    Raises `KeyUnreadable` under a wrong master key and `Unsealable` when the held bytes were altered.
    """
    found = await repository.sealed_with_key(connection, reader_id, number)
    if found is None:
        return None
    try:
        return record.understand(plaintext(keyring, *found))
    except NotUnderstood:
        return None


def plaintext(keyring: Keyring, sealed: bytes, encrypted: bytes) -> bytes:
    """What is inside a held record, opened anew with its reader's encrypted key. Raises as `reopen` does."""
    header = cose.parse(sealed)
    key = keyring.decrypt(header.reader_id, header.generation, encrypted)
    return cose.open_record(header, _cipher(header.reader_id, key))
