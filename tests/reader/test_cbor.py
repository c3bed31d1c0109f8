"""The reader's CBOR is the deterministic one that cbor2 speaks too, and any other bytes are refused within bounds."""

import json
import random
import tracemalloc
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader import cbor

KEYS = st.integers(-(2**63), 2**64 - 1) | st.text(max_size=8) | st.binary(max_size=8)
SCALARS = st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=40)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=20
)


def ordered(value: Any) -> Any:
    """`value` with map keys in the order of RFC 8949 section 4.2.1, for cbor2 to write as they come."""
    if isinstance(value, dict):
        return {key: ordered(value[key]) for key in sorted(value, key=cbor2.dumps)}
    return [ordered(item) for item in value] if isinstance(value, list) else value


def refusal(data: bytes) -> str | None:
    """The code that `data` is refused with, or None if it is the one encoding of a value."""
    try:
        value = cbor.decode(data)
    except cbor.CborError as error:
        return error.code
    assert cbor.encode(value) == bytes(data)
    return None


@given(VALUES)
def test_it_writes_what_cbor2_writes_and_reads_it_back(value: Any) -> None:
    data = cbor.encode(value)
    assert data == cbor2.dumps(ordered(value))
    assert cbor.decode(data) == value
    assert cbor.decode(memoryview(data)) == cbor2.loads(data)


@given(VALUES, st.integers(0, 2**64 - 1))
def test_tags_are_carried(value: Any, number: int) -> None:
    data = cbor.encode(cbor.Tag(number, value))
    assert cbor.decode(data) == cbor.Tag(number, value)


CODES = {
    "truncated", "trailing", "too-long", "too-deep", "too-many", "not-shortest", "indefinite", "key-order", "bad-text",
    "unsupported", None,
}  # fmt: skip


@given(st.binary(max_size=600))
def test_any_bytes_are_the_one_encoding_of_a_value_or_refused_with_a_code(data: bytes) -> None:
    assert refusal(data) in CODES


@given(VALUES, st.data())
def test_one_altered_byte_never_breaks_the_decoder(value: Any, data: st.DataObject) -> None:
    altered = bytearray(cbor.encode(value))
    altered[data.draw(st.integers(0, len(altered) - 1))] = data.draw(st.integers(0, 255))
    assert refusal(altered) in CODES


@given(st.binary(max_size=8))
def test_text_is_taken_exactly_when_it_is_utf_8(data: bytes) -> None:
    try:
        expected = data.decode()
    except UnicodeDecodeError:
        with pytest.raises(cbor.CborError, match="bad-text"):
            cbor.text(data)
    else:
        assert cbor.text(data) == expected


def test_views_are_not_copies() -> None:
    data = bytearray(cbor.encode([b"abc", {b"key": b"value"}]))
    one, two = cbor.decode(data, views=True)
    data[2] = ord("X")
    assert bytes(one) == b"Xbc"
    assert bytes(two[b"key"]) == b"value"


@pytest.mark.parametrize(
    ("value", "code"),
    [(1.5, "unsupported"), (2**64, "unsupported"), (-(2**64) - 1, "unsupported"), ({None: 1}, "unsupported"),
     ({True: 1}, "unsupported"), ({(1,): 1}, "unsupported"), ({1}, "unsupported")],
)  # fmt: skip
def test_what_the_protocol_has_no_place_for_is_not_written(value: Any, code: str) -> None:
    with pytest.raises(cbor.CborError, match=code):
        cbor.encode(value)


def test_eight_levels_are_taken_and_nine_are_not_in_both_directions() -> None:
    value: Any = 0
    for _ in range(8):
        value = [value]
    assert cbor.decode(cbor.encode(value)) == value
    with pytest.raises(cbor.CborError, match="too-deep"):
        cbor.encode([value])


@pytest.mark.parametrize("head", ["9b00000001ffffffff", "bb7fffffffffffffff", "5b00000001ffffffff", "9a00ffffff"])
def test_a_length_that_lies_is_refused_before_memory_is_taken_for_it(head: str) -> None:
    data = bytes.fromhex(head) + bytes(100)
    tracemalloc.start()
    code = refusal(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert code == "truncated"
    assert peak < 20_000


def test_a_message_beyond_its_bound_is_refused() -> None:
    with pytest.raises(cbor.CborError, match="too-long"):
        cbor.decode(bytes(257), longest=256)


def test_micropython_and_cpython_say_the_same_of_thousands_of_altered_messages(
    micropython: Any, tmp_path: Path
) -> None:
    seeded = random.Random(20)
    examples = json.loads((Path(__file__).resolve().parents[1] / "vectors" / "messages.json").read_text())
    messages = [bytes.fromhex(example["hex"]) for example in examples]
    altered = []
    for _ in range(4000):
        data = bytearray(seeded.choice(messages)[:300])
        for _ in range(seeded.randint(1, 3)):
            data[seeded.randrange(len(data))] = seeded.randrange(256)
        altered.append(bytes(data[: seeded.choice((len(data), seeded.randint(1, len(data))))]))
    altered += [seeded.randbytes(seeded.randint(1, 12)) for _ in range(4000)]
    altered += [b"\x81" * levels + b"\x00" for levels in range(1, 20)]
    file = tmp_path / "altered"
    file.write_text("\n".join(data.hex() for data in altered))
    # A map with b"x" and "x" for keys: the interpreter tells them apart, and says that it compared them.
    said = micropython("agree.py", str(file), warning="Warning: Comparison between bytes and str").splitlines()
    assert said == [refusal(data) or data.hex() for data in altered]
    assert len({line for line in said if not all(c in "0123456789abcdef" for c in line)}) >= 8
