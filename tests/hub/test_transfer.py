"""The hub's end of a transfer as a table: each row of the protocol's section 4.5, and what holds whatever a reader
sends."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_reader import ModelReader, chain_of, sealed_record

from hub.messages import Damaged, End, ReaderState
from hub.sealed import read_record
from hub.transfer import (
    Admitted,
    Broken,
    Collected,
    Credit,
    IllegalEvent,
    KeepEvidence,
    Known,
    Leave,
    LinkLost,
    Report,
    Segment,
    State,
    StateRead,
    Store,
    Stored,
    Transfer,
)  # fmt: skip

READER = b"reader-8"
CHAIN = [read_record(sealed) for sealed in chain_of(READER, 40)]


def state(next, chain=None, first=1):
    model = ModelReader(reader_id=READER)
    fields = model.state() | {2: first, 3: next, 5: chain or (CHAIN[next - 2].hash if next > 1 else bytes(16))}
    return ReaderState(*(fields[key] for key in range(1, 17)))


def at(stored=0, next=11, window=8, first=1):
    """A transfer that has just asked for what is new."""
    transfer = Transfer(READER, window)
    transfer.handle(Admitted(Known(stored, CHAIN[stored - 1].hash if stored else None)))
    assert transfer.handle(StateRead(state(next, first=first), None)) == [Report(max(stored + 1, first), window)]
    return transfer


def test_nothing_new_asks_for_nothing():
    transfer = Transfer(READER)
    transfer.handle(Admitted(Known(4, CHAIN[3].hash)))
    assert transfer.handle(StateRead(state(5), CHAIN[3].hash)) == [Collected(5)]
    assert transfer.state is State.READY


def test_records_are_stored_at_half_the_window_and_credited_only_then():
    transfer = at(window=4)
    assert transfer.handle(Segment(CHAIN[0])) == []
    assert transfer.handle(Segment(CHAIN[1])) == [Store((CHAIN[0], CHAIN[1]))]
    assert transfer.handle(Segment(CHAIN[2])) == [], "nothing more is written or credited while a write runs"
    assert transfer.handle(Stored()) == [Credit(2)]
    assert transfer.handle(Segment(CHAIN[3])) == [Store((CHAIN[2], CHAIN[3]))]


def test_a_reader_that_sends_beyond_its_credits_is_left():
    transfer = at(window=4)
    for record in CHAIN[:4]:
        transfer.handle(Segment(record))
    assert transfer.handle(Segment(CHAIN[4])) == [Leave("reader-misbehaved")]


def test_the_end_stores_what_is_left_and_then_is_ready():
    transfer = at(stored=8)
    transfer.handle(Segment(CHAIN[8]))
    transfer.handle(Segment(CHAIN[9]))
    assert transfer.handle(Segment(End(11))) == [Store((CHAIN[8], CHAIN[9]))]
    assert transfer.handle(Stored()) == [Collected(11)]
    assert transfer.state is State.READY


def test_what_comes_after_the_end_is_asked_for_from_there_and_chained_on_it():
    transfer = at(next=4)
    for record in CHAIN[:3]:
        transfer.handle(Segment(record))
    transfer.handle(Segment(End(4)))
    assert transfer.handle(Stored()) == [Collected(4)]
    assert transfer.handle(StateRead(state(6), None)) == [Report(4, 8)]
    other = read_record(sealed_record(READER, 4, b"another-previous"))
    assert transfer.handle(Segment(other)) == [KeepEvidence(other, "reader-forked"), Leave("reader-forked")]


def test_a_reader_that_lost_the_end_of_its_journal_is_no_fork():
    transfer = Transfer(READER)
    transfer.handle(Admitted(Known(4, CHAIN[3].hash)))
    assert transfer.handle(StateRead(state(5, chain=bytes(16)), CHAIN[3].hash)) == [Collected(5)]


def test_one_long_message_is_credited_without_a_write():
    transfer = at(window=4)
    transfer.handle(Segment(None))
    assert transfer.handle(Segment(None)) == [Credit(2)]


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (CHAIN[5], "reader-misbehaved"),
        (read_record(sealed_record(b"another8", 3, bytes(16))), "reader-misbehaved"),
        (read_record(sealed_record(READER, 3, b"another-previous")), "reader-forked"),
    ],
)
def test_another_record_than_expected_is_evidence_and_what_came_before_is_kept(message, fault):
    transfer = at(stored=1, window=64)
    transfer.handle(Segment(CHAIN[1]))
    assert transfer.handle(Segment(message)) == [Store((CHAIN[1],)), KeepEvidence(message, fault), Leave(fault)]
    assert transfer.state is State.CLOSED


def test_a_lost_link_forgets_what_is_not_stored():
    transfer = at(window=64)
    transfer.handle(Segment(CHAIN[0]))
    assert transfer.handle(LinkLost()) == []
    transfer.handle(Admitted(Known(0, None)))
    assert transfer.handle(StateRead(state(11), None)) == [Report(1, 64)]


def test_a_broken_link_is_left():
    assert at().handle(Broken("reader-stalled")) == [Leave("reader-stalled")]


def test_the_wrong_call_is_the_callers_mistake():
    with pytest.raises(IllegalEvent):
        Transfer(READER).handle(Stored())
    with pytest.raises(IllegalEvent):
        Transfer(READER).handle(StateRead(state(3), None))


messages = st.one_of(
    st.none(),
    st.sampled_from(CHAIN),
    st.integers(1, 12).map(Damaged),
    st.integers(1, 12).map(End),
    st.integers(1, 12).map(lambda number: read_record(sealed_record(READER, number, bytes(16)))),
)


@given(st.lists(messages | st.just("stored"), max_size=60), st.integers(0, 9), st.sampled_from([2, 4, 16]))
@settings(max_examples=300)
def test_whatever_comes_only_a_gapless_chain_is_stored_and_credit_never_exceeds_what_came(script, stored, window):
    transfer = at(stored=stored, window=window)
    kept, came, credited, writing = [], 0, 0, False
    for step in script:
        if transfer.state is not State.COLLECTING:
            break
        if step == "stored":
            if not writing:
                continue
            writing, actions = False, transfer.handle(Stored())
        else:
            came += 1
            actions = transfer.handle(Segment(step))
        for action in actions:
            match action:
                case Store(items):
                    kept += items
                    writing = transfer.state is State.COLLECTING
                case Credit(credits):
                    credited += credits
    assert [item.number for item in kept] == list(range(stored + 1, stored + 1 + len(kept)))
    for before, after in itertools.pairwise(kept):
        assert isinstance(before, Damaged) or isinstance(after, Damaged) or after.previous == before.hash
    assert credited <= came
