"""Whatever the hub asks and however often the link dies, what it stores is the journal, in order, once."""

from typing import Any

import cbor2
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reader import transfer, wire
from reader.journal import Damaged, Gone
from reader.transfer import Transfer
from tests.reader.bench import Stream


class Records:
    """A journal in memory, some records of which rotted."""

    def __init__(self) -> None:
        self.first = 1
        self.next = 1
        self.rotten: set[int] = set()

    def body(self, number: int) -> bytes:
        return number.to_bytes(4, "big") * (1 + number * 37 % 200)

    def read_into(self, number: int, buffer: bytearray) -> int:
        if not self.first <= number < self.next:
            raise Gone(str(number))
        if number in self.rotten:
            raise Damaged(number)
        data = self.body(number)
        buffer[: len(data)] = data
        return len(data)


class TransferMachine(RuleBasedStateMachine):
    """The hub's end as protocol.md section 4.5 has it, in a few lines, against the reader's."""

    @initialize()
    def begin(self) -> None:
        self.records = Records()
        self.transfer = Transfer(self.records)
        self.stored: list[bytes] = []
        self.linked = False
        self.collecting = False
        self.credits = 0
        self.up = Stream()

    @rule(count=st.integers(1, 4), rotten=st.booleans())
    def results_are_recorded(self, count: int, rotten: bool) -> None:
        if rotten:
            self.records.rotten.add(self.records.next)
        self.records.next += count

    @precondition(lambda self: not self.linked)
    @rule()
    def a_hub_connects(self) -> None:
        self.transfer.link_lost()
        self.up = Stream()
        self.transfer.admitted()
        self.linked = True
        self.collecting = False

    @precondition(lambda self: self.linked)
    @rule()
    def the_link_dies(self) -> None:
        self.transfer.link_lost()
        self.linked = self.collecting = False
        assert self.transfer.next_segment(244) is None

    @precondition(lambda self: self.linked and self.transfer.state == transfer.IDLE)
    @rule(credit=st.integers(1, 60))
    def it_asks_for_a_report(self, credit: int) -> None:
        assert self.transfer.report(max(len(self.stored) + 1, self.records.first), credit) == 0
        self.credits = credit
        self.collecting = True

    @precondition(lambda self: self.collecting and not self.up.open)
    @rule(credit=st.integers(1, 60))
    def it_asks_again_between_messages(self, credit: int) -> None:
        assert self.transfer.report(len(self.stored) + 1, credit) == 0
        self.credits = credit

    @precondition(lambda self: self.linked)
    @rule(number=st.integers(0, 100))
    def it_asks_for_what_is_not_there(self, number: int) -> None:
        number += self.records.next + 1
        assert self.transfer.report(number, 5) == wire.ERR_AHEAD

    @precondition(lambda self: self.linked)
    @rule(credit=st.integers(1, 60))
    def it_gives_credit(self, credit: int) -> None:
        ignored = self.transfer.state == transfer.IDLE
        self.transfer.credit(credit)
        if not ignored:
            self.credits += credit

    @precondition(lambda self: self.linked)
    @rule(count=st.integers(1, 40), limit=st.integers(20, 244), refused=st.booleans())
    def segments_flow(self, count: int, limit: int, refused: bool) -> None:
        for _ in range(count):
            segment = self.transfer.next_segment(limit)
            if segment is None:
                assert self.credits == 0 or self.transfer.state == transfer.IDLE
                return
            if refused:  # the radio has no memory: nothing was sent, and the same segment is offered again
                refused = False
                assert bytes(self.transfer.next_segment(limit) or b"") == bytes(segment)
            message = self.up.take(bytes(segment))
            self.transfer.sent()
            self.credits -= 1
            assert self.credits >= 0, "a segment without credit"
            if message is not None:
                self.receive(message)

    def receive(self, message: bytes) -> None:
        number = len(self.stored) + 1
        if number in self.records.rotten and number < self.records.next:
            assert cbor2.loads(message) == [wire.OP_DAMAGED, number]
            self.stored.append(message)
        elif number < self.records.next and message == self.records.body(number):
            self.stored.append(message)
        else:
            assert cbor2.loads(message) == [wire.OP_END, self.records.next]
            assert number == self.records.next
            assert self.transfer.state == transfer.IDLE
            self.collecting = False

    @invariant()
    def nothing_is_lost_or_invented(self) -> None:
        if hasattr(self, "stored"):
            assert len(self.stored) < self.records.next

    @precondition(lambda self: self.linked and self.transfer.state == transfer.IDLE)
    @rule()
    def all_of_it_comes_when_the_link_holds(self) -> None:
        self.it_asks_for_a_report(wire.CREDITS_MAX)
        self.segments_flow(wire.CREDITS_MAX, 244, False)
        assert len(self.stored) == self.records.next - 1


TransferMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestTransfer = TransferMachine.TestCase


@pytest.fixture
def sending() -> Any:
    records = Records()
    records.next = 6
    made = Transfer(records)
    made.admitted()
    return records, made


def test_what_was_released_is_gone(sending: Any) -> None:
    records, made = sending
    records.first = 3
    assert made.report(2, 5) == wire.ERR_GONE
    assert made.report(6, 5) == 0
    assert made.report(7, 5) == wire.ERR_AHEAD


def test_a_record_released_while_it_is_next_ends_the_transfer_with_gone(sending: Any) -> None:
    records, made = sending
    made.report(1, 500)
    records.first = 4
    assert made.next_segment(244) is None
    assert (made.error, made.state) == (wire.ERR_GONE, transfer.IDLE)


def test_credits_add_up_to_the_bound(sending: Any) -> None:
    _, made = sending
    made.report(1, wire.CREDITS_MAX)
    made.credit(wire.CREDITS_MAX)
    assert made.credits == wire.CREDITS_MAX


def test_nothing_is_reported_before_admission() -> None:
    made = Transfer(Records())
    assert made.report(1, 5) == wire.ERR_NOT_ADMITTED
    assert made.next_segment(244) is None
    with pytest.raises(ValueError, match="nothing is being sent"):
        made.sent()


def test_a_report_in_the_middle_of_a_message_begins_it_again_and_the_counter_goes_on(sending: Any) -> None:
    records, made = sending
    made.report(5, 50)
    up = Stream()
    up.take(bytes(made.next_segment(20)))
    made.sent()
    assert made.report(5, 50) == 0
    message = None
    while message is None:
        message = up.take(bytes(made.next_segment(20)))
        made.sent()
    assert message == records.body(5)
