"""Sealed messages are the COSE that cwt and cryptography speak, and a message that is not whole does not open."""

from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cwt import COSE, COSEKey
from hypothesis import given, settings
from hypothesis import strategies as st

from reader import cbor, cose, wire

KEY = bytes(range(32))
READER = b"reader-1"
OLD_KEY = "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
NEW_KEY = "d7828d13b2b0bdc325a76236df93cc6b"
# RFC 3610 section 8, packet vectors 1 to 13, 18 and 24: key, nonce, header, payload, ciphertext with tag.
RFC_3610 = [
    (
        OLD_KEY,
        f"{0x00000003 + at:08x}{0x03 + at - 1:02x}{0x02 + at - 1:02x}{at:02x}a0a1a2a3a4a5",
        header,
        start,
        end,
        sealed,
    )
    for at, header, start, end, sealed in (
        (0, 8, 8, 0x1E, "588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0"),
        (1, 8, 8, 0x1F, "72c91a36e135f8cf291ca894085c87e3cc15c439c9e43a3ba091d56e10400916"),
        (2, 8, 8, 0x20, "51b1e5f44a197d1da46b0f8e2d282ae871e838bb64da8596574adaa76fbd9fb0c5"),
        (3, 12, 12, 0x1E, "a28c6865939a9a79faaa5c4c2a9d4a91cdac8c96c861b9c9e61ef1"),
        (4, 12, 12, 0x1F, "dcf1fb7b5d9e23fb9d4e131253658ad86ebdca3e51e83f077d9c2d93"),
        (5, 12, 12, 0x20, "6fc1b011f006568b5171a42d953d469b2570a4bd87405a0443ac91cb94"),
        (6, 8, 8, 0x1E, "0135d1b2c95f41d5d1d4fec185d166b8094e999dfed96c048c56602c97acbb7490"),
        (7, 8, 8, 0x1F, "7b75399ac0831dd2f0bbd75879a2fd8f6cae6b6cd9b7db24c17b4433f434963f34b4"),
        (8, 8, 8, 0x20, "82531a60cc24945a4b8279181ab5c84df21ce7f9b73f42e197ea9c07e56b5eb17e5f4e"),
        (9, 12, 12, 0x1E, "07342594157785152b074098330abb141b947b566aa9406b4d999988dd"),
        (10, 12, 12, 0x1F, "676bb20380b0e301e8ab79590a396da78b834934f53aa2e9107a8b6c022c"),
        (11, 12, 12, 0x20, "c0ffa0d6f05bdb67f24d43a4338d2aa4bed7b20e43cd1aa31662e7ad65d6db"),
    )
]
RFC_3610_RANDOM = [
    (
        NEW_KEY, "00412b4ea9cdbe3c9696766cfa", "0be1a88bace018b1", "08e8cf97d820ea258460e96ad9cf5289054d895ceac47c",
        "4cb97f86a2a4689a877947ab8091ef5386a6ffbdd080f8e78cf7cb0cddd7b3",
    ),
    (
        NEW_KEY, "00d560912d3f703c9696766cfa", "cd9044d2b71fdb8120ea60c0", "6435acbafb11a82e2f071d7ca4a5ebd93a803ba87f",
        "009769ecabdf48625594c59251e6035722675e04c847099e5ae0704551",
    ),
    (
        NEW_KEY, "008d493b30ae8b3c9696766cfa", "6e37a6ef546d955d34ab6059", "abf21c0b02feb88f856df4a37381bce3cc128517d4",
        "f32905b88a641b04b9c9ffb58cc390900f3da12ab16dce9e82efa16da62059",
    ),
]  # fmt: skip


def rfc_vectors() -> list[tuple[bytes, bytes, bytes, bytes, bytes]]:
    found = []
    for key, nonce, header, start, end, sealed in RFC_3610:
        found.append((key, nonce, bytes(range(header)).hex(), bytes(range(start, end + 1)).hex(), sealed))
    return [tuple(bytes.fromhex(part) for part in vector) for vector in found + RFC_3610_RANDOM]  # type: ignore[misc]


@pytest.mark.parametrize(("key", "nonce", "aad", "plaintext", "sealed"), rfc_vectors())
def test_ccm_gives_what_the_rfc_prints(key: bytes, nonce: bytes, aad: bytes, plaintext: bytes, sealed: bytes) -> None:
    tag_length = len(sealed) - len(plaintext)
    out = bytearray(len(sealed))
    cose.ccm_seal(key, nonce, aad, plaintext, memoryview(out), tag_length)
    assert out == sealed
    assert cose.ccm_open(key, nonce, aad, sealed, tag_length) == plaintext


@settings(deadline=None)
@given(
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=13, max_size=13),
    st.binary(max_size=60),
    st.integers(0, 1700),
)
def test_ccm_agrees_with_cryptography_at_any_length(key: bytes, nonce: bytes, aad: bytes, length: int) -> None:
    plaintext = bytes(at * 7 & 0xFF for at in range(length))
    out = bytearray(length + 16)
    cose.ccm_seal(key, nonce, aad, plaintext, memoryview(out))
    assert bytes(out) == AESCCM(key, 16).encrypt(nonce, plaintext, aad)
    assert cose.ccm_open(key, nonce, aad, out) == plaintext


@settings(deadline=None)
@given(
    st.integers(1, 2**32 - 1),
    st.integers(0, 2**32),
    st.binary(min_size=1, max_size=900),
    st.binary(min_size=9, max_size=9),
)
def test_cwt_opens_a_sealed_record(number: int, generation: int, plaintext: bytes, random9: bytes) -> None:
    sealed = cose.seal_record(KEY, READER, number, bytes(16), generation, plaintext, random9)
    key = COSEKey.from_symmetric_key(alg="AES-CCM-16-128-256", key=KEY, kid=READER)
    protected, unprotected, opened = COSE.new(verify_kid=True).decode_with_headers(bytes(sealed), key)
    assert opened == plaintext
    assert protected == {1: 31, 4: READER, -70001: number, -70002: bytes(16), -70003: generation}
    assert unprotected == {5: number.to_bytes(4, "big") + random9}
    assert cbor.encode(cbor.decode(sealed)) == bytes(sealed)
    mine = cose.open_record({generation: KEY}.get, READER, sealed)
    assert (mine.number, mine.generation, mine.previous, mine.plaintext) == (number, generation, bytes(16), plaintext)


@settings(deadline=None)
@given(st.integers(1, 2**32 - 1), st.binary(min_size=1, max_size=900), st.binary(min_size=9, max_size=9))
def test_what_cwt_seals_opens_here(number: int, plaintext: bytes, random9: bytes) -> None:
    sealed = down(number, plaintext, number.to_bytes(4, "big") + random9)
    opened = cose.open_down({0: KEY}.get, READER, sealed)
    assert (opened.number, opened.generation, opened.plaintext) == (number, 0, plaintext)


def down(number: int, plaintext: bytes, nonce: bytes) -> bytes:
    key = COSEKey.from_symmetric_key(alg="AES-CCM-16-128-256", key=KEY, kid=READER)
    header = {1: 31, 4: READER, -70001: number, -70003: 0}
    return COSE.new().encode(plaintext, key, protected=header, unprotected={5: nonce})


def test_every_single_bit_altered_is_refused() -> None:
    sealed = down(7, b"a short message", (7).to_bytes(4, "big") + bytes(9))
    for bit in range(len(sealed) * 8):
        altered = bytearray(sealed)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(cose.CoseError):
            cose.open_down({0: KEY}.get, READER, altered)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_with_a_code(data: bytes) -> None:
    for opening in (cose.open_down, cose.open_record):
        with pytest.raises(cose.CoseError) as refused:
            opening({0: KEY}.get, READER, data)
        assert refused.value.code == str(refused.value)


SHAPES: list[tuple[str, Any]] = [
    ("no array", cbor2.CBORTag(16, 1)),
    ("two items", cbor2.CBORTag(16, [b"", {}])),
    ("header is no byte string", cbor2.CBORTag(16, [{}, {5: bytes(13)}, bytes(40)])),
    ("header is no map", cbor2.CBORTag(16, [b"\x01", {5: bytes(13)}, bytes(40)])),
    ("nonce is text", cbor2.CBORTag(16, [b"\xa0", {5: "x" * 13}, bytes(40)])),
    ("nonce of 12", cbor2.CBORTag(16, [b"\xa0", {5: bytes(12)}, bytes(40)])),
    ("unprotected is no map", cbor2.CBORTag(16, [b"\xa0", [], bytes(40)])),
    ("nothing but a tag", cbor2.CBORTag(16, [b"\xa0", {5: bytes(13)}, bytes(16)])),
    ("another tag", cbor2.CBORTag(17, [b"\xa0", {5: bytes(13)}, bytes(40)])),
]


@pytest.mark.parametrize("value", [value for _, value in SHAPES], ids=[name for name, _ in SHAPES])
def test_another_shape_is_malformed(value: Any) -> None:
    with pytest.raises(cose.CoseError, match="malformed"):
        cose.open_down({0: KEY}.get, READER, cbor2.dumps(value))


def test_a_record_is_at_most_as_long_as_the_protocol_lets_it_be() -> None:
    overhead = len(cose.seal_record(KEY, READER, 2**32 - 1, bytes(16), 0, bytes(1000), bytes(9))) - 1000
    longest = wire.RECORD_MAX - overhead
    assert len(cose.seal_record(KEY, READER, 2**32 - 1, bytes(16), 0, bytes(longest), bytes(9))) == wire.RECORD_MAX
    with pytest.raises(cose.CoseError, match="too-long"):
        cose.seal_record(KEY, READER, 2**32 - 1, bytes(16), 0, bytes(longest + 1), bytes(9))


def test_a_nonce_without_its_random_part_is_never_used() -> None:
    with pytest.raises(ValueError, match="nine bytes"):
        cose.seal_record(KEY, READER, 1, bytes(16), 0, b"x", b"")
