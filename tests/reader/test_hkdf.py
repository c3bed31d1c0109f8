"""Keys are derived as RFC 5869 says, and compared without telling where they differ."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader import hkdf

# RFC 5869 appendix A, test cases 1 to 3: material, salt, info, length, pseudorandom key, output.
RFC_5869 = [
    (
        b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)), 42,
        "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (
        bytes(range(0x50)), bytes(range(0x60, 0xB0)), bytes(range(0xB0, 0x100)), 82,
        "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
        "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
    ),
    (
        b"\x0b" * 22, b"", b"", 42,
        "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("material", "salt", "info", "length", "pseudorandom", "output"), RFC_5869)
def test_it_gives_what_the_rfc_prints(
    material: bytes, salt: bytes, info: bytes, length: int, pseudorandom: str, output: str
) -> None:
    assert hkdf.extract(salt, material).hex() == pseudorandom
    assert hkdf.hkdf(material, salt, info, length).hex() == output


def test_hmac_gives_what_rfc_4231_prints() -> None:
    # RFC 4231 section 4.3, test case 2.
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert hkdf.hmac(b"Jefe", b"what do ya want ", b"for nothing?").hex() == expected


@given(st.binary(max_size=200), st.lists(st.binary(max_size=100), max_size=4))
def test_hmac_agrees_with_the_standard_library_for_any_key(key: bytes, parts: list[bytes]) -> None:
    assert hkdf.hmac(key, *parts) == hmac.digest(key, b"".join(parts), "sha256")


@pytest.mark.parametrize("length", [0, -1, 255 * 32 + 1])
def test_a_length_that_hkdf_cannot_give_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="8160"):
        hkdf.expand(bytes(32), b"", length)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_equal_is_equality(one: bytes, other: bytes) -> None:
    assert hkdf.equal(one, other) == (one == other)
    assert hkdf.equal(one, bytes(one))
    assert hkdf.equal(memoryview(one), one)
