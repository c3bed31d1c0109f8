"""The state tables of both ends of the transfer (docs/protocol.md sections 4.4 and 4.5), the real ones, against each
other over a channel that loses, repeats and breaks off: whatever happens, the hub's disk holds the reader's records, in
order, once."""

from collections import deque
from typing import Any

import cbor2
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from emulator.benchmarks.sealing import Sealer
from emulator.faults import instrument  # noqa: F401  stands in for what only MicroPython has, before the reader's modules load
from hub import messages
from hub import transfer as hub
from hub.framing import Joiner, SegmentError
from hub.messages import Damaged, ReaderState
from hub.sealed import SealedRecord, read_record
from reader import journal, wire
from reader import transfer as reader

READER = b"reader-8"
_SEALER = Sealer(READER, bytes(32))
SEALED = [_SEALER.seal(bytes(at * 53 % 700 + 1)) for at in range(60)]
CHAIN = [read_record(sealed) for sealed in SEALED]


class Records:
    """The reader's journal: what it holds, and what of it rotted."""

    def __init__(self) -> None:
        self.first, self.next = 1, 1
        self.rotten: set[int] = set()

    def read_into(self, number: int, buffer: bytearray) -> int:
        if not self.first <= number < self.next:
            raise journal.Gone(str(number))
        if number in self.rotten:
            raise journal.Damaged(number)
        sealed = SEALED[number - 1]
        buffer[: len(sealed)] = sealed
        return len(sealed)


class BothEnds(RuleBasedStateMachine):
    """`disk` is the hub's, with what is committed; `air` the segments that are on their way."""

    @initialize(window=st.sampled_from([16, 64, 512]))
    def begin(self, window: int) -> None:
        self.window = window
        self.records = Records()
        self.reader = reader.Transfer(self.records)
        self.hub = hub.Transfer(READER, window)
        self.disk: list[SealedRecord | Damaged] = []
        self.linked = False
        self.forget()

    def forget(self) -> None:
        self.air: deque[bytes] = deque()
        self.joiner = Joiner(wire.RECORD_MAX)
        self.writing: tuple[SealedRecord | Damaged, ...] | None = None
        self.broken = False  # the air has lost or repeated something on this link

    # What happens to the two

    @rule(count=st.integers(1, 5), rotten=st.booleans())
    def results_are_recorded(self, count: int, rotten: bool) -> None:
        if rotten and self.records.next < len(SEALED):
            self.records.rotten.add(self.records.next)
        self.records.next = min(len(SEALED) + 1, self.records.next + count)

    @precondition(lambda self: not self.linked)
    @rule()
    def a_link_comes_about(self) -> None:
        self.forget()
        self.reader.link_lost()
        self.reader.admitted()
        self.linked = True
        last = self.disk[-1] if self.disk else None
        known = last.hash if isinstance(last, SealedRecord) else None
        self.act(self.hub.handle(hub.Admitted(hub.Known(len(self.disk), known))))
        self.look()

    @precondition(lambda self: self.linked and self.hub.state is hub.State.READY)
    @rule()
    def the_hub_looks_again(self) -> None:
        self.look()

    @precondition(lambda self: self.linked)
    @rule(who=st.sampled_from(["the air", "the hub", "the reader"]))
    def the_link_dies(self, who: str) -> None:
        """By itself, or with one of the two: what was not on the disk is forgotten."""
        self.reader.link_lost()
        self.hub.handle(hub.LinkLost())
        if who == "the hub":
            self.hub = hub.Transfer(READER, self.window)
        if who == "the reader":
            self.reader = reader.Transfer(self.records)
        self.linked = False
        self.forget()

    @precondition(lambda self: self.disk)
    @rule(share=st.floats(0, 1))
    def a_receipt_discards(self, share: float) -> None:
        """Only what the hub has handed on can be released; another hub may have brought the receipt."""
        self.records.first = max(self.records.first, 1 + int(share * len(self.disk)))

    # The air

    @precondition(lambda self: self.linked)
    @rule(count=st.integers(1, 60), limit=st.integers(20, 244), refused=st.booleans())
    def some_of_it_comes(self, count: int, limit: int, refused: bool) -> None:
        self.the_reader_sends(count, limit, refused)
        while self.air and self.linked:
            self.hear(self.air.popleft())
        if self.writing is not None:
            self.the_disk_takes_it()

    @precondition(lambda self: self.linked)
    @rule(count=st.integers(1, 60), limit=st.integers(20, 244), refused=st.booleans())
    def the_reader_sends(self, count: int, limit: int, refused: bool) -> None:
        for _ in range(count):
            segment = self.reader.next_segment(limit)
            if segment is None:
                break
            if refused:  # no memory: it is offered again, the same
                refused = False
                assert bytes(self.reader.next_segment(limit) or b"") == bytes(segment)
            self.air.append(bytes(segment))
            self.reader.sent()
        if self.reader.error:
            self.reader.error = wire.ERR_NONE
            self.leave()

    @precondition(lambda self: self.air)
    @rule(count=st.integers(1, 60))
    def the_hub_hears(self, count: int) -> None:
        while self.air and count and self.linked:
            count -= 1
            self.hear(self.air.popleft())

    @precondition(lambda self: self.air)
    @rule(data=st.data())
    def a_segment_is_lost(self, data: st.DataObject) -> None:
        del self.air[data.draw(st.integers(0, len(self.air) - 1))]
        self.broken = True

    @precondition(lambda self: self.air)
    @rule(data=st.data())
    def a_segment_comes_twice(self, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(self.air) - 1))
        self.air.insert(at, self.air[at])
        self.broken = True

    @precondition(lambda self: self.linked and self.hub.state is hub.State.COLLECTING and self.broken)
    @rule()
    def the_watchdog_ends_what_stands_still(self) -> None:
        self.act(self.hub.handle(hub.Broken("reader-stalled")))

    @precondition(lambda self: self.writing is not None)
    @rule()
    def the_disk_takes_it(self) -> None:
        assert self.writing is not None
        self.disk += self.writing
        self.writing = None
        if self.hub.state is hub.State.COLLECTING:
            self.act(self.hub.handle(hub.Stored()))

    # The hub's hands

    def look(self) -> None:
        tip = self.records.next - 1
        held = self.disk[tip - 1] if 0 < tip <= len(self.disk) else None
        state = ReaderState(
            READER, self.records.first, self.records.next, self.records.first - 1,
            CHAIN[tip - 1].hash if tip else bytes(16), b"boot-001", 1, None, 0, 80, "0.1.0", 0, 0, 9, 0, "reader",
        )  # fmt: skip
        self.act(self.hub.handle(hub.StateRead(state, held.hash if isinstance(held, SealedRecord) else None)))

    def hear(self, value: bytes) -> None:
        try:
            for message in self.joiner.feed(value):
                up = None if message is None else messages.read_up(message)
                self.act(self.hub.handle(hub.Segment(up)))
                if not self.linked:
                    return
        except SegmentError:
            assert self.broken, "a whole stream was refused"
            self.leave()

    def act(self, actions: list[Any]) -> None:
        for action in actions:
            match action:
                case hub.Report(number, credits):
                    assert self.reader.report(number, credits) == wire.ERR_NONE
                case hub.Credit(credits):
                    self.reader.credit(credits)
                case hub.Store(items):
                    if self.hub.state is hub.State.COLLECTING:
                        assert self.writing is None
                        self.writing = items
                    else:
                        self.disk += items
                case hub.Leave(fault):
                    assert self.broken, f"the hub left a reader that did nothing wrong: {fault}"
                    self.leave()
                case hub.Collected(following):
                    assert following == len(self.disk) + 1
                case _:
                    raise AssertionError(f"{action} of a reader that did nothing wrong")

    def leave(self) -> None:
        self.reader.link_lost()
        if self.hub.state is not hub.State.CLOSED:
            self.hub.handle(hub.LinkLost())
        self.linked = False
        self.forget()

    # What must always hold

    @invariant()
    def the_disk_holds_the_readers_records_in_order_once(self) -> None:
        for at, item in enumerate(getattr(self, "disk", [])):
            if isinstance(item, Damaged):
                assert item.number == at + 1
                assert item.number in self.records.rotten
            else:
                assert item.sealed == SEALED[at]

    def teardown(self) -> None:
        """With a link that holds, all of it comes."""
        if not hasattr(self, "disk"):
            return
        self.leave()
        self.a_link_comes_about()
        for _ in range(10_000):
            if self.hub.state is hub.State.READY:
                break
            self.the_reader_sends(60, 244, False)
            self.the_hub_hears(60)
            if self.writing is not None:
                self.the_disk_takes_it()
        assert len(self.disk) == self.records.next - 1
        self.the_disk_holds_the_readers_records_in_order_once()


BothEnds.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestBothEnds = BothEnds.TestCase


def test_the_records_that_are_carried_are_records() -> None:
    assert [record.number for record in CHAIN] == list(range(1, 61))
    assert all(cbor2.loads(sealed).tag == 16 for sealed in SEALED)
