"""Messages of any length pass through segments of any size, and what is out of order is refused and never acted on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader import wire
from reader.segments import Assembler, Segmenter


def cut(out: Segmenter, message: bytes, limit: int) -> list[bytes]:
    out.load(message)
    found = []
    while (segment := out.segment(limit)) is not None:
        found.append(bytes(segment))
        out.sent()
    return found


def feed(into: Assembler, value: bytes) -> list[int | bytes]:
    return [code or bytes(message) for code, message in into.feed(value)]


@given(st.lists(st.binary(min_size=1, max_size=900), min_size=1, max_size=6), st.integers(3, 600), st.booleans())
def test_messages_arrive_as_they_were_sent(messages: list[bytes], limit: int, together: bool) -> None:
    out, into = Segmenter(), Assembler(900)
    segments = [segment for message in messages for segment in cut(out, message, limit)]
    assert all(len(segment) <= min(limit, 244) for segment in segments)
    values = [b"".join(segments)] if together else segments
    assert [got for value in values for got in feed(into, value)] == messages


@given(st.binary(min_size=1, max_size=600), st.integers(3, 100), st.data())
def test_a_segment_lost_repeated_or_swapped_is_never_a_message(message: bytes, limit: int, data: st.DataObject) -> None:
    out, into = Segmenter(), Assembler(900)
    segments = cut(out, message, limit)
    at = data.draw(st.integers(0, len(segments) - 1))
    way = data.draw(st.sampled_from(["lost", "twice"] + (["swapped"] if at + 1 < len(segments) else [])))
    changed = list(segments)
    if way == "lost":
        del changed[at]
    elif way == "twice":
        changed.insert(at, segments[at])
    else:
        changed[at], changed[at + 1] = changed[at + 1], changed[at]
    got = [one for value in changed for one in feed(into, value)]
    whole = [one for one in got if isinstance(one, bytes)]
    if way == "twice" and at == len(segments) - 1:
        assert got == [message, wire.ERR_OUT_OF_ORDER]
    elif way == "lost" and at == len(segments) - 1:
        assert got == []  # the rest may still come
    else:
        assert whole == []
        assert set(got) == {wire.ERR_OUT_OF_ORDER}
        # An error leaves no trace but the base of the counter: the message after the next is taken whole.
        feed(into, cut(out, b"next", 244)[0])
        assert feed(into, cut(out, b"after", 244)[0]) == [b"after"]


@given(st.lists(st.binary(max_size=700), max_size=20))
def test_any_bytes_give_codes_of_the_protocol_and_messages_within_the_bound(values: list[bytes]) -> None:
    into = Assembler(256)
    for value in values:
        events = list(into.feed(value))
        assert len(events) <= len(value) // 3 + 1
        for code, message in events:
            assert code in (0, wire.ERR_MALFORMED, wire.ERR_OVERSIZED, wire.ERR_OUT_OF_ORDER)
            assert (message is None) == bool(code)
            assert message is None or 1 <= len(message) <= 256


def test_a_segment_stays_until_it_is_sent() -> None:
    out = Segmenter()
    out.load(b"x" * 300)
    first = bytes(out.segment(100) or b"")
    assert bytes(out.segment(50) or b"") == first
    assert not out.sent()
    with pytest.raises(ValueError, match="no segment"):
        out.sent()
    with pytest.raises(ValueError, match="still being sent"):
        out.load(b"y")


def test_a_link_without_room_for_a_segment_is_an_error_and_not_an_endless_loop() -> None:
    out = Segmenter()
    out.load(b"x")
    with pytest.raises(ValueError, match="no room"):
        out.segment(2)
