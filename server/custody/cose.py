"""The seal: COSE_Encrypt0 (RFC 9052 section 5.2) with AES-CCM-16-128-256 (RFC 9053 section 4.2), for this protocol.

Written on `cryptography` rather than on `cwt`, because the headers must be read strictly before it is known whose key
opens the record, and `cwt` would parse everything a second time. The tests seal and open with `cwt` to show that the
two agree.
"""

import hashlib
import os
import re
from dataclasses import dataclass
from typing import Any, cast

import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from reader import wire
from server.custody import cbor

_RECORD_HEADERS = (wire.COSE_ALG, wire.COSE_KID, wire.HDR_NUMBER, wire.HDR_PREVIOUS, wire.HDR_GENERATION)
NUMBER_MAX = 0xFFFF_FFFF
GENERATION_MAX = 0x7FFF_FFFF
_NONCE_RANDOM_BYTES = wire.CIPHER_NONCE_BYTES - 4


class Unsealable(Exception):
    """A sealed record that is not one; `code` is the problem code of docs/protocol.md section 5."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


@dataclass(slots=True)  # made by the thousand, and a frozen one takes five times as long to make
class SealedHeader:
    """What of a sealed record can be read without its key. Lengths are those of the protocol."""

    reader_id: bytes
    number: int
    previous: bytes
    generation: int
    nonce: bytes
    protected: bytes
    ciphertext: bytes


def hash_of(digest: bytes) -> bytes:
    """The chain hash of the sealed record, tag included, whose SHA-256 is `digest`: 16 bytes."""
    return digest[: wire.HASH_BYTES]


def first_previous(reader_id: bytes) -> bytes:
    """The previous hash of record 1."""
    return hashlib.sha256(reader_id).digest()[: wire.HASH_BYTES]


def _numbers(most: bytes) -> bytes:
    """A pattern of the deterministic encodings of the numbers from 0; those of four bytes begin with `most`."""
    return rb"[\x00-\x17]|\x18[\x18-\xff]|\x19(?!\x00)..|\x1a(?!\x00\x00)" + most + rb"..."


# A sealed record as every reader writes it, to the byte: tag 16, three parts, each header with just its members.
_USUAL = re.compile(
    rb"\xd0\x83\x58(.)(\xa5\x01\x18\x1f\x04\x48(.{8})"
    + re.escape(cbor2.dumps(wire.HDR_NUMBER)) + rb"(?!\x00)(" + _numbers(b".") + rb")"
    + re.escape(cbor2.dumps(wire.HDR_PREVIOUS)) + rb"\x50(.{16})"
    + re.escape(cbor2.dumps(wire.HDR_GENERATION)) + rb"(" + _numbers(rb"[\x00-\x7f]") + rb"))"
    rb"\xa1\x05\x4d(.{13})(?:\x58([\x18-\xff])|\x59(?!\x00)(..))",
    re.DOTALL,
)  # fmt: skip


def parse(sealed: bytes) -> SealedHeader:
    """Read the headers of a sealed record. Raises `Unsealable`: malformed, wrong-algorithm."""
    return _usual(sealed) or _parse(sealed)


def _usual(sealed: bytes) -> SealedHeader | None:
    """The headers of a record that is as every reader writes it; None for any other, which `_parse` judges.

    It takes a tenth of the time: of 500 records in one offer nearly all are such.
    """
    found = _USUAL.match(sealed)
    if found is None or len(sealed) > wire.RECORD_MAX:
        return None
    length, protected, reader_id, number, previous, generation, nonce, one_byte, two_bytes = found.groups()
    ciphertext = sealed[found.end() :]
    if length[0] != len(protected) or int.from_bytes(one_byte or two_bytes, "big") != len(ciphertext):
        return None
    return SealedHeader(reader_id, _number(number), previous, _number(generation), nonce, protected, ciphertext)


def _number(encoded: bytes) -> int:
    return int.from_bytes(encoded[1:], "big") if len(encoded) > 1 else encoded[0]


def _parse(sealed: bytes) -> SealedHeader:
    if len(sealed) > wire.RECORD_MAX:
        raise Unsealable("malformed", f"The record has {len(sealed)} bytes; at most {wire.RECORD_MAX} are allowed.")
    message = _decoded(sealed, tag=wire.COSE_ENCRYPT0_TAG)
    if not isinstance(message, cbor2.CBORTag):
        raise Unsealable("malformed", "The record is not a tagged COSE_Encrypt0.")
    parts: Any = message.value
    if not isinstance(parts, list) or len(cast("list[Any]", parts)) != 3:
        raise Unsealable("malformed", "The record is not a COSE_Encrypt0 of three parts.")
    protected, unprotected, ciphertext = cast("list[Any]", parts)
    if not isinstance(protected, bytes) or not isinstance(ciphertext, bytes) or len(ciphertext) <= wire.TAG_BYTES:
        raise Unsealable("malformed", "The record's protected header or ciphertext is not what COSE_Encrypt0 holds.")
    nonce = cast("dict[Any, Any]", unprotected).get(wire.COSE_IV) if isinstance(unprotected, dict) else None
    if not isinstance(nonce, bytes) or len(nonce) != wire.CIPHER_NONCE_BYTES or len(cast("Any", unprotected)) != 1:
        raise Unsealable("malformed", "The record's unprotected header must hold a nonce of 13 bytes and nothing else.")
    return _header(protected, nonce, ciphertext)


def _header(protected: bytes, nonce: bytes, ciphertext: bytes) -> SealedHeader:
    header = _decoded(protected)
    if not isinstance(header, dict):
        raise Unsealable("malformed", "The record's protected header is not a map.")
    fields = cast("dict[Any, Any]", header)
    if fields.get(wire.COSE_ALG) != wire.COSE_AES_CCM_16_128_256:
        raise Unsealable("wrong-algorithm", "The record is not sealed with AES-CCM-16-128-256.")
    if len(fields) != len(_RECORD_HEADERS) or any(name not in fields for name in _RECORD_HEADERS):
        raise Unsealable("malformed", "The record's protected header does not hold just what the protocol names.")
    _, reader_id, number, previous, generation = (fields[name] for name in _RECORD_HEADERS)
    if not isinstance(reader_id, bytes) or len(reader_id) != wire.READER_ID_BYTES:
        raise Unsealable("malformed", "The record's reader id is not 8 bytes.")
    if type(number) is not int or not 1 <= number <= NUMBER_MAX:
        raise Unsealable("malformed", "The record's number is out of range.")
    if not isinstance(previous, bytes) or len(previous) != wire.HASH_BYTES:
        raise Unsealable("malformed", "The record's previous hash is not 16 bytes.")
    if type(generation) is not int or not 0 <= generation <= GENERATION_MAX:
        raise Unsealable("malformed", "The record's key generation is out of range.")
    return SealedHeader(reader_id, number, previous, generation, nonce, protected, ciphertext)


def _decoded(data: bytes, tag: int | None = None) -> Any:
    try:
        return cbor.decode(data, tag=tag)
    except cbor.TooDeep:
        raise Unsealable("malformed", "The record nests too deep.") from None
    except cbor.TooMany:
        raise Unsealable("malformed", "The record holds too many items.") from None
    except cbor.NotCbor as error:
        raise Unsealable("malformed", f"The record is not deterministic CBOR: {error}.") from None


def record_cipher(record_key: bytes) -> AESCCM:
    """The cipher of a reader's record key; made once for a batch."""
    return AESCCM(record_key, tag_length=wire.TAG_BYTES)


def open_record(header: SealedHeader, cipher: AESCCM) -> bytes:
    """The plaintext of a sealed record. Raises `Unsealable`: nonce-mismatch, does-not-open."""
    if int.from_bytes(header.nonce[:4], "big") != header.number:
        raise Unsealable("nonce-mismatch", "The record's nonce does not begin with its number: it was altered.")
    try:
        return cipher.decrypt(header.nonce, header.ciphertext, _encryption_structure(header.protected))
    except InvalidTag:
        raise Unsealable("does-not-open", "The record does not open under its reader's key: it was altered.") from None


def seal_down(reader_id: bytes, number: int, generation: int, downlink_key: bytes, message: dict[int, Any]) -> bytes:
    """Seal a downlink message for one reader (docs/protocol.md section 3)."""
    protected = cbor2.dumps(
        {
            wire.COSE_ALG: wire.COSE_AES_CCM_16_128_256,
            wire.COSE_KID: reader_id,
            wire.HDR_NUMBER: number,
            wire.HDR_GENERATION: generation,
        }
    )
    nonce = number.to_bytes(4, "big") + os.urandom(_NONCE_RANDOM_BYTES)
    cipher = AESCCM(downlink_key, tag_length=wire.TAG_BYTES)
    ciphertext = cipher.encrypt(nonce, cbor2.dumps(message), _encryption_structure(protected))
    return cbor2.dumps(cbor2.CBORTag(wire.COSE_ENCRYPT0_TAG, [protected, {wire.COSE_IV: nonce}, ciphertext]))


# Enc_structure (RFC 9052 section 5.3): ["Encrypt0", protected, external data], the last empty.
_STRUCTURE_HEAD = b"\x83\x68Encrypt0"


def _encryption_structure(protected: bytes) -> bytes:
    return _STRUCTURE_HEAD + cbor2.dumps(protected) + b"\x40"
