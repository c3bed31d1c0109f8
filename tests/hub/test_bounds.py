"""Whatever bytes come from the air or the network, the hub refuses them by name, within bounds, and takes only
what is whole."""

import os
import struct
import tracemalloc

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_reader import chain_of, sealed_record

from hub import cbor, exchange, messages
from hub.admission import ReaderNotProved, Ticket, admit
from hub.advert import read_advert
from hub.errors import Malformed
from hub.exchange import Offer
from hub.framing import Cutter, Joiner, SegmentError
from hub.sealed import chain_hash, first_previous, read_record
from reader import wire

READER = b"reader-8"
OFFER = Offer("records", 1, READER, 1, b"sealed")
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers(0, 23), inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_what_is_deterministic_is_read_as_it_was_written(value):
    encoded = cbor2.dumps(value, canonical=True)
    if not isinstance(value, int) or -(2**64) <= value < 2**64:
        assert cbor.decode(encoded, 65_536) == value


@given(st.binary(max_size=600))
@settings(max_examples=400)
def test_no_bytes_raise_anything_but_malformed(noise):
    for read in (
        read_record,
        messages.read_control,
        messages.read_up,
        read_advert,
        lambda body: exchange.read_reply(body, [OFFER]),
    ):
        try:
            read(noise)
        except Malformed:
            pass
        except exchange.VersionNotSpoken:
            pass


@given(st.data())
@settings(max_examples=300)
def test_an_altered_record_is_refused_or_is_another_record(data):
    sealed = sealed_record(READER, 7, b"p" * 16)
    at = data.draw(st.integers(0, len(sealed) - 1))
    altered = bytearray(sealed)
    altered[at] ^= data.draw(st.integers(1, 255))
    try:
        record = read_record(bytes(altered))
    except Malformed:
        return
    assert record.hash != chain_hash(sealed)


@given(values)
@settings(max_examples=300)
def test_control_and_reply_readers_survive_any_value(value):
    encoded = cbor2.dumps(value, canonical=True)
    for wrapped in (encoded, cbor2.dumps([4, value], canonical=True), cbor2.dumps([0, value], canonical=True)):
        for read in (messages.read_control, messages.read_up, lambda body: exchange.read_reply(body, [])):
            try:
                read(wrapped)
            except Malformed:
                pass
            except exchange.VersionNotSpoken:
                pass


@pytest.mark.parametrize(
    "bytes_",
    [
        b"\x81" * 200 + b"\x00",  # deep
        b"\x9f\x00\xff",  # indefinite
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",  # a list of 2^64
        b"\x5b\x00\x00\x00\xff\xff\xff\xff\xff",  # a string of 1 TB
        b"\x18\x05",  # not the shortest
        b"\xa2\x01\x00\x01\x00",  # the same key twice
        b"\xa2\x02\x00\x01\x00",  # keys out of order
        b"\xfb" + bytes(8),  # a float
        b"\xc1\x00",  # a date tag
        b"\x00\x00",  # bytes that follow
        b"\x99\x02\x01" + b"\x00" * 513,  # too many items
        b"\x62\xff\xfe",  # not UTF-8
        b"",
    ],
)
def test_each_form_the_protocol_lacks_is_refused_before_memory_is_spent(bytes_):
    tracemalloc.start()
    with pytest.raises(Malformed):
        cbor.decode(bytes_, 65_536)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_sealed_record_gives_its_clear_header_and_chain():
    one, two = chain_of(READER, 2)
    record = read_record(two)
    assert (record.reader_id, record.number, record.previous, record.generation) == (READER, 2, chain_hash(one), 1)
    assert read_record(one).previous == first_previous(READER)


@pytest.mark.parametrize("size", [1, 241, 242, 243, 4096])
@pytest.mark.parametrize("mtu", [23, 100, 247, 517])
def test_segments_join_to_what_was_cut_and_the_counter_goes_round(size, mtu):
    cutter, joiner = Cutter(mtu), Joiner(4096)
    for _ in range(70):
        message = os.urandom(size)
        values = list(cutter.cut(message))
        assert all(len(value) <= min(244, mtu - 3) for value in values)
        assert [m for value in values for m in joiner.feed(value) if m is not None] == [message]


def test_several_segments_in_one_value_are_told_apart():
    cutter, joiner = Cutter(23), Joiner(256)
    value = b"".join([*cutter.cut(b"a" * 30), *cutter.cut(b"b")])
    assert [m for m in joiner.feed(value) if m is not None] == [b"a" * 30, b"b"]


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (b"\xc0", wire.ERR_MALFORMED),
        (b"\xc0\x00", wire.ERR_MALFORMED),
        (b"\xc0\x05abc", wire.ERR_MALFORMED),
        (b"\xc0\xf3" + bytes(243), wire.ERR_MALFORMED),
        (b"\xc1\x01a", wire.ERR_OUT_OF_ORDER),
        (b"\x40\x01a", wire.ERR_OUT_OF_ORDER),
        (b"\x80\x01a\x81\x01b", wire.ERR_OUT_OF_ORDER),
        (b"\x80\xf2" + bytes(242) + b"\x41\xf2" + bytes(242), wire.ERR_OVERSIZED),
    ],
)
def test_a_wrong_segment_is_named_by_the_protocols_code(value, error):
    with pytest.raises(SegmentError) as caught:
        list(Joiner(256).feed(value))
    assert caught.value.error == error


@given(st.lists(st.binary(max_size=260), max_size=8))
def test_a_joiner_never_holds_more_than_its_bound(values):
    joiner = Joiner(256)
    for value in values:
        try:
            for message in joiner.feed(value):
                assert message is None or len(message) <= 256
        except SegmentError:
            continue


@pytest.mark.parametrize("change", ["short", "version", "next 0", "released beyond"])
def test_an_advert_that_does_not_fit_is_refused(change):
    fields = {"version": (2, 9, 3), "next 0": (1, 0, 0), "released beyond": (1, 3, 3)}.get(change, (1, 9, 3))
    data = struct.pack(">B8sIIB", fields[0], READER, fields[1], fields[2], 0)
    with pytest.raises(Malformed):
        read_advert(data[:-1] if change == "short" else data)


def test_an_advert_says_what_the_reader_has():
    advert = read_advert(struct.pack(">B8sIIB", 1, READER, 9, 3, 5))
    assert (advert.reader_id, advert.next, advert.released, advert.flags) == (READER, 9, 3, 5)


def test_a_ticket_never_shows_its_secret_and_a_wrong_proof_is_refused():
    ticket = Ticket(READER, 1, 1, b"S" * 32)
    assert "S" * 8 not in repr(ticket)
    assert "53" * 8 not in repr(ticket)
    with pytest.raises(ReaderNotProved):
        admit(ticket, b"hub-id-8", bytes(16), bytes(16), bytes(16))


def _reply(*items):
    return b"".join(cbor2.dumps(item, canonical=True) for item in items)


HEADER = [0, {1: 1, 2: 5, 3: b"epoch--1"}]
HELD = [1, 0, READER, 1, 1, None]


@pytest.mark.parametrize(
    "items",
    [
        (),
        (HEADER,),
        (HELD,),
        (HEADER, HELD, HELD),
        (HEADER, [1, 1, READER, 1, 1, None]),
        (HEADER, [1, 0, b"another8", 1, 1, None]),
        (HEADER, [1, 0, READER, 2, 1, None]),
        (HEADER, [1, 0, None, None, 1, None]),
        (HEADER, [1, 0, READER, 1, 5, None]),
        (HEADER, [1, 0, READER, 1, 0, None]),
        (HEADER, HELD, [2, READER, 0, b"x"]),
        (HEADER, HELD, [2, READER, 1, b"x" * 5000]),
        (HEADER, HELD, [3, READER, 1, 1, b"short"]),
        (HEADER, HELD, [9]),
        ([0, {1: 1, 2: 5, 3: b"short"}], HELD),
    ],
)
def test_a_reply_that_is_not_whole_is_no_reply(items):
    with pytest.raises(Malformed):
        exchange.read_reply(_reply(*items), [OFFER])


@given(st.integers(0, 200))
def test_a_truncated_reply_is_no_reply(length):
    body = _reply(HEADER, HELD, [2, READER, 1, b"r" * 100])
    reply = exchange.read_reply(body, [OFFER])
    assert reply.receipts[0].number == 1
    if length < len(body) and length != len(_reply(HEADER, HELD)):
        with pytest.raises(Malformed):
            exchange.read_reply(body[:length], [OFFER])
