"""COSE_Encrypt0 (RFC 9052 section 5.2) with AES-CCM-16-128-256 (RFC 9053 section 4.2) over the ECB and CBC of
`cryptolib`.

MicroPython's `cryptolib` has no CCM and, in the standard build, no CTR. CCM (RFC 3610) is both: CBC-MAC is CBC
encryption of which only the last block is kept, and CTR is ECB of counter blocks. Both run through one buffer of 512
bytes, whatever the message's length.
"""

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value):
        return value


from cryptolib import aes

from reader import cbor, wire
from reader.hkdf import equal

_ECB = const(1)
_CBC = const(2)
_BLOCK = const(16)
_CHUNK = const(512)

MALFORMED = "malformed"
WRONG_ALGORITHM = "wrong-algorithm"
FOREIGN_READER = "foreign-reader"
UNKNOWN_GENERATION = "unknown-generation"
NONCE_MISMATCH = "nonce-mismatch"
DOES_NOT_OPEN = "does-not-open"
TOO_LONG = "too-long"


class CoseError(ValueError):
    """This message is not sealed for this reader, or cannot be; `code` is one of this module's names."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


def ccm_seal(key, nonce, aad, plaintext, out, tag_length=wire.TAG_BYTES):
    """Encrypt `plaintext` into `out` (memoryview, `tag_length` longer): ciphertext, then tag. RFC 3610 with L = 2.

    `key` 16 or 32 bytes, `nonce` 13 bytes never used before under it.
    """
    length = len(plaintext)
    work = bytearray(_CHUNK)
    tag = _mac(key, nonce, aad, plaintext, tag_length, work)
    stream = aes(key, _ECB)
    _xor_stream(stream, nonce, plaintext, out, work)
    out[length:] = _mask_tag(stream, nonce, tag, tag_length)


def ccm_open(key, nonce, aad, ciphertext, tag_length=wire.TAG_BYTES):
    """Return the plaintext of `ciphertext` (ciphertext, then tag) as a bytearray. CoseError: does-not-open."""
    length = len(ciphertext) - tag_length
    if length < 0:
        raise CoseError(DOES_NOT_OPEN)
    ciphertext = memoryview(ciphertext)
    plaintext = bytearray(length)
    work = bytearray(_CHUNK)
    stream = aes(key, _ECB)
    _xor_stream(stream, nonce, ciphertext[:length], memoryview(plaintext), work)
    tag = _mask_tag(stream, nonce, _mac(key, nonce, aad, plaintext, tag_length, work), tag_length)
    if not equal(tag, ciphertext[length:]):
        raise CoseError(DOES_NOT_OPEN)
    return plaintext


def _mac(key, nonce, aad, plaintext, tag_length, work):
    """Return the CBC-MAC of RFC 3610 section 2.2, 16 bytes, not yet encrypted."""
    view = memoryview(work)
    flags = (0x40 if aad else 0) | (tag_length - 2) // 2 << 3 | 1
    chain = aes(key, _CBC, bytes(_BLOCK))
    first = bytes((flags,)) + nonce + len(plaintext).to_bytes(2, "big")
    chain.encrypt(first, view[:_BLOCK])
    last = bytes(view[:_BLOCK])
    if aad:
        if len(aad) >= 0xFF00:
            raise CoseError(TOO_LONG)
        last = _absorb(chain, len(aad).to_bytes(2, "big") + aad, view)
    if len(plaintext):
        last = _absorb(chain, plaintext, view)
    return last


def _absorb(chain, data, view):
    """Run `data`, padded with zeros to whole blocks, through the chain and return its last block."""
    data = memoryview(data)
    for start in range(0, len(data), _CHUNK):
        piece = data[start : start + _CHUNK]
        size = len(piece)
        padded = (size + _BLOCK - 1) // _BLOCK * _BLOCK
        view[:size] = piece
        for at in range(size, padded):
            view[at] = 0
        chain.encrypt(view[:padded], view[:padded])
    return bytes(view[padded - _BLOCK : padded])


def _xor_stream(stream, nonce, source, out, work):
    """Write `source` xor the key stream of RFC 3610 section 2.3 (counters from 1) to `out`."""
    source = memoryview(source)
    view = memoryview(work)
    prefix = b"\x01" + nonce
    counter = 1
    for start in range(0, len(source), _CHUNK):
        piece = source[start : start + _CHUNK]
        size = len(piece)
        padded = (size + _BLOCK - 1) // _BLOCK * _BLOCK
        for at in range(0, padded, _BLOCK):
            view[at : at + 14] = prefix
            work[at + 14] = counter >> 8
            work[at + 15] = counter & 0xFF
            counter += 1
        stream.encrypt(view[:padded], view[:padded])
        # One long integer is seven times quicker here than a loop over bytes.
        mixed = int.from_bytes(piece, "big") ^ int.from_bytes(view[:size], "big")
        out[start : start + size] = mixed.to_bytes(size, "big")


def _mask_tag(stream, nonce, tag, tag_length):
    mask = stream.encrypt(b"\x01" + nonce + b"\x00\x00")
    return bytes([tag[at] ^ mask[at] for at in range(tag_length)])


def seal_record(key, reader_id, number, previous, generation, plaintext, random9):
    """Return sealed record `number` as a bytearray (docs/protocol.md section 2). CoseError: too-long.

    `key` is the record key of `generation`, `previous` the chain hash at number - 1, `random9` nine bytes of the
    hardware random generator.
    """
    protected = cbor.encode(
        {
            wire.COSE_ALG: wire.COSE_AES_CCM_16_128_256,
            wire.COSE_KID: reader_id,
            wire.HDR_NUMBER: number,
            wire.HDR_PREVIOUS: previous,
            wire.HDR_GENERATION: generation,
        }
    )
    return seal(key, protected, number, plaintext, random9)


def seal(key, protected, number, plaintext, random9):
    """Return the tagged COSE_Encrypt0 of `plaintext` under the encoded `protected` header, as a bytearray."""
    if len(random9) != wire.CIPHER_NONCE_BYTES - 4:
        raise ValueError("the random part of a nonce is nine bytes")
    nonce = number.to_bytes(4, "big") + random9
    length = len(plaintext) + wire.TAG_BYTES
    if length > wire.RECORD_MAX:
        raise CoseError(TOO_LONG)
    # The array is written by hand so that the ciphertext is made in its place: tag 16, three items, then a byte
    # string head.
    head = b"\xd0\x83" + cbor.encode(protected) + cbor.encode({wire.COSE_IV: nonce})
    head += bytes((0x40 | length,)) if length < 24 else _long_head(length)
    if len(head) + length > wire.RECORD_MAX:
        raise CoseError(TOO_LONG)
    sealed = bytearray(len(head) + length)
    sealed[: len(head)] = head
    ccm_seal(key, nonce, _enc_structure(protected), plaintext, memoryview(sealed)[len(head) :])
    return sealed


def _long_head(length):
    return bytes((0x58, length)) if length < 256 else bytes((0x59, length >> 8, length & 0xFF))


def _enc_structure(protected):
    return cbor.encode(["Encrypt0", protected, b""])


class Opened:
    """A sealed message whose seal held: `number` and `generation` of its header, and `plaintext` (bytearray)."""

    __slots__ = ("generation", "number", "plaintext", "previous")

    def __init__(self, number, generation, previous, plaintext):
        self.number = number
        self.generation = generation
        self.previous = previous
        self.plaintext = plaintext


def open_down(key_of, reader_id, sealed):
    """Return what the server sealed for this reader, as `Opened` (docs/protocol.md section 3).

    `key_of(generation)` gives the downlink key or None. CoseError with any code but too-long.
    """
    return _open(key_of, reader_id, sealed, False)


def open_record(key_of, reader_id, sealed):
    """Return what this reader sealed, as `Opened` with `previous`; `key_of(generation)` gives the record key."""
    return _open(key_of, reader_id, sealed, True)


def _open(key_of, reader_id, sealed, chained):
    protected, nonce, ciphertext = _parts(_decoded(sealed, True))
    header = _decoded(protected, False)
    if not isinstance(header, dict) or len(header) != (5 if chained else 4):
        raise CoseError(MALFORMED)
    number = header.get(wire.HDR_NUMBER)
    generation = header.get(wire.HDR_GENERATION)
    previous = header.get(wire.HDR_PREVIOUS)
    if not _is_number(number, 1, 0xFFFFFFFF) or not _is_number(generation, 0, 0xFFFFFFFFFFFFFFFF):
        raise CoseError(MALFORMED)
    if chained and not (isinstance(previous, bytes) and len(previous) == wire.HASH_BYTES):
        raise CoseError(MALFORMED)
    if header.get(wire.COSE_ALG) != wire.COSE_AES_CCM_16_128_256:
        raise CoseError(WRONG_ALGORITHM)
    if header.get(wire.COSE_KID) != reader_id:
        raise CoseError(FOREIGN_READER)
    key = key_of(generation)
    if key is None:
        raise CoseError(UNKNOWN_GENERATION)
    if int.from_bytes(nonce[:4], "big") != number:
        raise CoseError(NONCE_MISMATCH)
    plaintext = ccm_open(key, bytes(nonce), _enc_structure(protected), ciphertext)
    return Opened(number, generation, previous, plaintext)


def _decoded(data, views):
    try:
        return cbor.decode(data, views, wire.RECORD_MAX)
    except cbor.CborError:
        pass  # raised below, because MicroPython does not chain exceptions and says so each time
    raise CoseError(MALFORMED)


def _parts(outer):
    if not isinstance(outer, cbor.Tag) or outer.number != wire.COSE_ENCRYPT0_TAG:
        raise CoseError(MALFORMED)
    body = outer.value
    if not isinstance(body, list) or len(body) != 3:
        raise CoseError(MALFORMED)
    protected, unprotected, ciphertext = body
    if not isinstance(unprotected, dict) or len(unprotected) != 1:
        raise CoseError(MALFORMED)
    nonce = unprotected.get(wire.COSE_IV)
    if not isinstance(protected, memoryview) or not isinstance(ciphertext, memoryview):
        raise CoseError(MALFORMED)
    if not isinstance(nonce, memoryview) or len(nonce) != wire.CIPHER_NONCE_BYTES or len(ciphertext) <= wire.TAG_BYTES:
        raise CoseError(MALFORMED)
    return protected, nonce, ciphertext


def _is_number(value, least, most):
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
