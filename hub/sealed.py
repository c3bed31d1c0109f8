"""What a blind courier may read of what is sealed, all in clear: of a record its reader, number, previous hash and key
generation; of a registration its id."""

import hashlib
from dataclasses import dataclass
from typing import Any, cast

import cbor2

from hub import cbor
from hub.errors import Malformed
from reader import wire

_HEADER_MAX = 64
_KEYS = {wire.COSE_ALG, wire.COSE_KID, wire.HDR_NUMBER, wire.HDR_PREVIOUS, wire.HDR_GENERATION}


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """One record as it came off the air. `sealed` is never changed; `hash` is the chain hash at `number` (16 bytes)."""

    reader_id: bytes
    number: int
    previous: bytes
    generation: int
    hash: bytes
    sealed: bytes


def read_record(sealed: bytes) -> SealedRecord:
    """Read the clear header of a tagged COSE_Encrypt0 (protocol section 2). Raises Malformed; opens nothing."""
    value = cbor.decode(sealed, wire.RECORD_MAX)
    content: Any = value.value if isinstance(value, cbor2.CBORTag) else None
    parts = cast(list[Any], content) if isinstance(content, list) else []
    if len(parts) != 3 or not isinstance(parts[0], bytes) or not isinstance(parts[1], dict):
        raise Malformed("This is not a sealed record: that has a tag and three parts.")
    nonce = cast(dict[Any, Any], parts[1])
    if set(nonce) != {wire.COSE_IV} or not is_bytes(nonce[wire.COSE_IV], wire.CIPHER_NONCE_BYTES):
        raise Malformed("The sealed record's nonce is not 13 bytes.")
    if not isinstance(parts[2], bytes) or len(parts[2]) <= wire.TAG_BYTES:
        raise Malformed("The sealed record's content is too short.")
    header = cbor.decode(parts[0], _HEADER_MAX)
    if not isinstance(header, dict) or set(cast(dict[Any, Any], header)) != _KEYS:
        raise Malformed("The sealed record's header does not have the keys of this protocol.")
    fields = cast(dict[int, Any], header)
    if fields[wire.COSE_ALG] != wire.COSE_AES_CCM_16_128_256:
        raise Malformed("The sealed record names another cipher.")
    reader_id, previous = fields[wire.COSE_KID], fields[wire.HDR_PREVIOUS]
    number, generation = fields[wire.HDR_NUMBER], fields[wire.HDR_GENERATION]
    if not is_bytes(reader_id, wire.READER_ID_BYTES) or not is_bytes(previous, wire.HASH_BYTES):
        raise Malformed("The sealed record's reader or previous hash has the wrong length.")
    if not is_uint(number, 0xFFFFFFFF) or number == 0 or not is_uint(generation, 0xFFFFFFFF):
        raise Malformed("The sealed record's number is out of range.")
    return SealedRecord(reader_id, number, previous, generation, chain_hash(sealed), sealed)


def read_registration(sealed: bytes) -> bytes:
    """The id of a sealed registration (protocol section 7). Raises Malformed; opens nothing."""
    value = cbor.decode(sealed, wire.REGISTRATION_MAX)
    parts = cast(list[Any], value) if isinstance(value, list) else []
    lengths = (wire.REGISTRATION_KEY_ID_BYTES, wire.HUB_ID_BYTES, wire.REGISTRATION_ID_BYTES)
    sound = len(parts) == 4 and all(is_bytes(part, size) for part, size in zip(parts, lengths, strict=False))
    if not sound or not isinstance(parts[3], bytes):
        raise Malformed("This is not a sealed registration: that has the ids of its key, its hub and itself.")
    return parts[2]


def chain_hash(sealed: bytes) -> bytes:
    """The first 16 bytes of SHA-256 of the sealed record, tag included."""
    return hashlib.sha256(sealed).digest()[: wire.HASH_BYTES]


def first_previous(reader_id: bytes) -> bytes:
    """The previous hash of a reader's record 1."""
    return hashlib.sha256(reader_id).digest()[: wire.HASH_BYTES]


def is_bytes(value: object, length: int) -> bool:
    return isinstance(value, bytes) and len(value) == length


def is_uint(value: object, highest: int = 2**63 - 1) -> bool:
    """A whole number from 0 to `highest`; the default is what SQLite's INTEGER holds."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= highest
