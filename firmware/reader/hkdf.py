"""HMAC-SHA256 (RFC 2104), HKDF-SHA256 (RFC 5869) and a comparison whose time does not depend on where bytes differ."""

import hashlib

_BLOCK = 64
_DIGEST = 32


def _padded(key, mask):
    if len(key) > _BLOCK:
        key = hashlib.sha256(key).digest()
    block = bytearray(_BLOCK)
    for at in range(_BLOCK):
        block[at] = mask ^ (key[at] if at < len(key) else 0)
    return block


def hmac(key, *parts):
    """Return HMAC-SHA256 of the concatenated `parts` under `key`: 32 bytes."""
    inner = hashlib.sha256(_padded(key, 0x36))
    for part in parts:
        inner.update(part)
    outer = hashlib.sha256(_padded(key, 0x5C))
    outer.update(inner.digest())
    return outer.digest()


def extract(salt, material):
    """Return the pseudorandom key of RFC 5869 section 2.2; an empty salt stands for 32 zero bytes."""
    return hmac(salt or bytes(_DIGEST), material)


def expand(pseudorandom, info, length=_DIGEST):
    """Return `length` bytes (at most 8,160) of RFC 5869 section 2.3."""
    if not 0 < length <= 255 * _DIGEST:
        raise ValueError("HKDF-SHA256 gives 1 to 8160 bytes")
    out = bytearray()
    block = b""
    counter = 1
    while len(out) < length:
        block = hmac(pseudorandom, block, info, bytes((counter,)))
        out.extend(block)
        counter += 1
    return bytes(out[:length])


def hkdf(material, salt, info, length=_DIGEST):
    """Return `length` bytes derived from `material` (RFC 5869)."""
    return expand(extract(salt, material), info, length)


def equal(one, other):
    """Compare two byte strings of the same secret length without an early exit. Lengths are not secret."""
    if len(one) != len(other):
        return False
    differ = 0
    for at in range(len(one)):
        differ |= one[at] ^ other[at]
    return differ == 0
