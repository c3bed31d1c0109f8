"""The short ways to read a body and a sealed record's headers say what the long ways say, or nothing."""

import re
from typing import Any

import cbor2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reader import wire
from server.custody import cbor, cose, offer
from server.custody.cose import SealedHeader, Unsealable
from server.problems import Problem
from tests.server import factory
from tests.server.altered import altered

EDGES = [0, 1, 23, 24, 255, 256, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1, 2**32]
READER = factory.Reader(bytes(range(8)), bytes(32))


def long_way(sealed: bytes) -> SealedHeader | None:
    try:
        return cose._parse(sealed)
    except Unsealable:
        return None


def sealed_with(number: int, generation: int, ciphertext: int, **changes: int) -> bytes:
    protected = cbor2.dumps(
        {
            wire.COSE_ALG: changes.get("algorithm", wire.COSE_AES_CCM_16_128_256),
            wire.COSE_KID: bytes(range(8)),
            wire.HDR_NUMBER: number,
            wire.HDR_PREVIOUS: bytes(16),
            wire.HDR_GENERATION: generation,
        },
        canonical=True,
    )
    message = [protected, {wire.COSE_IV: bytes(13)}, bytes(ciphertext)]
    return cbor2.dumps(cbor2.CBORTag(wire.COSE_ENCRYPT0_TAG, message))


@pytest.mark.parametrize("number", EDGES)
@pytest.mark.parametrize("generation", EDGES)
def test_every_width_of_number_is_read_alike(number: int, generation: int) -> None:
    for ciphertext in (16, 17, 23, 24, 255, 256, 4_000):
        sealed = sealed_with(number, generation, ciphertext)
        assert cose._usual(sealed) in (long_way(sealed), None)
    usual = cose._usual(sealed_with(number, generation, 500))
    sound = 1 <= number <= cose.NUMBER_MAX and generation <= cose.GENERATION_MAX
    assert (usual is not None) is sound, "what readers write goes the short way"


@settings(max_examples=1_500, deadline=None)
@given(st.data())
def test_whatever_is_changed_it_never_says_more_than_the_long_way(data: st.DataObject) -> None:
    number = data.draw(st.sampled_from(EDGES) | st.integers(0, 2**32))
    sealed = sealed_with(number, data.draw(st.sampled_from(EDGES)), data.draw(st.integers(0, 300)))
    changed = altered(data, sealed, least=0, near=100)
    usual = cose._usual(changed)
    assert usual is None or usual == long_way(changed)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=120))
@example(b"")
def test_arbitrary_bytes_go_the_long_way(junk: bytes) -> None:
    assert cose._usual(junk) is None


def test_a_record_beyond_the_limit_goes_the_long_way() -> None:
    assert cose._usual(sealed_with(1, 0, wire.RECORD_MAX)) is None


NEVER = re.compile(b"(?!)")
ITEMS = [
    cbor2.dumps([wire.ITEM_RECORD, bytes(length)]) for length in (0, 1, 23, 24, 255, 256, 900, wire.RECORD_MAX)
] + [cbor2.dumps([wire.ITEM_REGISTRATION, bytes(40)]), cbor2.dumps([wire.ITEM_SIGHTING, {1: 2}])]


def split(body: bytes) -> list[Any] | str:
    try:
        return offer._split(body)
    except Problem as problem:
        return f"{problem.code}: {problem.detail}"


@settings(max_examples=1_000, deadline=None)
@given(st.data())
def test_a_body_is_split_as_it_is_when_every_item_is_walked(data: st.DataObject) -> None:
    body = bytearray(b"".join(data.draw(st.lists(st.sampled_from(ITEMS), max_size=6))))
    for _ in range(data.draw(st.integers(0, 3))):
        if body:
            at = data.draw(st.integers(0, len(body) - 1) | st.integers(0, min(len(body) - 1, 6)))
            body[at : at + data.draw(st.integers(0, 1))] = data.draw(st.binary(max_size=2))
    short = split(bytes(body))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(offer, "_RECORD", NEVER)
        assert split(bytes(body)) == short


def test_the_records_of_a_body_are_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cbor, "scan", lambda *_, **__: pytest.fail("walked"))
    assert [len(item[1]) for item in offer._split(b"".join(ITEMS[3:8]))] == [24, 255, 256, 900, wire.RECORD_MAX]
