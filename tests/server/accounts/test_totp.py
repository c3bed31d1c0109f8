"""Codes are those of RFC 6238, work once and only near their time; a stored secret opens in its own place only."""

import base64
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from server.accounts import totp

# RFC 6238 appendix B, SHA-1: the eight digits there, whose last six are ours.
SECRET = b"12345678901234567890"
VECTORS = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]


@pytest.mark.parametrize(("at_s", "code"), VECTORS)
def test_the_vectors_of_the_standard_are_taken_at_their_time(at_s: int, code: str) -> None:
    assert totp.matching_step(SECRET, code[-6:], at_s, 0) == at_s // 30


def test_a_code_is_taken_one_step_to_each_side_and_no_further() -> None:
    step = 40_000_000
    code = totp.code_at(SECRET, step)
    taken = [totp.matching_step(SECRET, code, (step + away) * 30 + 15, 0) for away in (-2, -1, 0, 1, 2)]
    assert taken == [None, step, step, step, None]


def test_a_step_that_was_taken_or_is_older_is_refused() -> None:
    step = 40_000_000
    code = totp.code_at(SECRET, step)
    assert [totp.matching_step(SECRET, code, step * 30, last) for last in (step - 1, step, step + 1)] == [
        step,
        None,
        None,
    ]


def test_a_secret_opens_only_under_its_master_key_and_for_its_account() -> None:
    master, account, secret = b"m" * 32, uuid4(), totp.new_secret()
    stored = totp.encrypted(master, account, secret)
    assert secret not in stored
    assert totp.decrypted(master, account, stored) == secret
    for key, whose, what in ((b"n" * 32, account, stored), (master, uuid4(), stored), (master, account, stored[:-1])):
        with pytest.raises(totp.SecondFactorUnreadable, match="recovery code"):
            totp.decrypted(key, whose, what)


def test_an_app_reads_the_same_secret_from_the_address_and_from_the_text() -> None:
    address = urlsplit(totp.address(SECRET, "kit@example.org"))
    told = parse_qs(address.query)
    assert (address.scheme, address.netloc, address.path) == ("otpauth", "totp", "/Doorstep:kit%40example.org")
    assert told["issuer"] == ["Doorstep"]
    assert base64.b32decode(told["secret"][0]) == SECRET
    assert totp.grouped(SECRET).replace(" ", "") == told["secret"][0]


def test_a_recovery_code_is_recognised_however_it_is_typed_and_for_its_person_only() -> None:
    account = uuid4()
    codes = totp.new_recovery_codes()
    assert len(set(codes)) == totp.RECOVERY_CODES
    typed = codes[0].replace("-", " ").lower()
    assert totp.recovery_hash(account, typed) == totp.recovery_hash(account, codes[0])
    assert totp.recovery_hash(uuid4(), codes[0]) != totp.recovery_hash(account, codes[0])
    assert not any(totp.is_time_based(totp.plain(code)) for code in codes)
