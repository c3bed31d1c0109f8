"""The hub's end of a transfer as a state machine: events in, actions out, no I/O (protocol section 4.5).

| state | event | actions | next |
|---|---|---|---|
| closed | Admitted | | ready |
| ready | StateRead, reader has more than is stored | Report | collecting |
| ready | StateRead, its chain is not the one stored | Report of the disputed record | probing |
| ready | StateRead, nothing new | Collected | ready |
| collecting | Segment: record or DAMAGED as expected | buffer; Store at half the window | collecting |
| collecting | Segment: END | Store what is buffered, then Collected | collecting, ready |
| collecting | Stored | Credit, or Collected after END | collecting, ready |
| collecting, probing | Segment: another number or hash | KeepEvidence, Leave | closed |
| probing | Segment: the disputed record | KeepEvidence if its hash differs, Leave | closed |
| any | Broken (watchdog, error reply, malformed bytes) | Leave | closed |
| any | LinkLost | forget what is not stored | closed |

Records are credited only once they are stored, so what a reader has sent and may believe taken is always on the disk.
"""

from dataclasses import dataclass
from enum import Enum, auto

from hub.messages import Damaged, End, ReaderState, Up
from hub.sealed import SealedRecord, first_previous
from reader import wire

_CHAIN_LOST = bytes(wire.HASH_BYTES)  # the reader lost its journal's end and says so; that is no fork
WINDOW = 512  # segments: about 120 KiB at the largest MTU, and more than two of the longest records at the smallest


class State(Enum):
    CLOSED = auto()
    READY = auto()
    COLLECTING = auto()
    PROBING = auto()


@dataclass(frozen=True, slots=True)
class Known:
    """What the database holds of a reader: the last number stored and its chain hash (None: not known, as after
    DAMAGED)."""

    stored: int
    hash: bytes | None


@dataclass(frozen=True, slots=True)
class Admitted:
    known: Known


@dataclass(frozen=True, slots=True)
class StateRead:
    """`held_hash` is the stored chain hash at `state.next` - 1, or None where the database has none."""

    state: ReaderState
    held_hash: bytes | None


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment came on `up`; `message` is what it completed, or None."""

    message: Up | None


@dataclass(frozen=True, slots=True)
class Stored:
    """The records of the last Store are on the disk."""


@dataclass(frozen=True, slots=True)
class Broken:
    fault: str


@dataclass(frozen=True, slots=True)
class LinkLost:
    pass


Event = Admitted | StateRead | Segment | Stored | Broken | LinkLost


@dataclass(frozen=True, slots=True)
class Report:
    number: int
    credits: int


@dataclass(frozen=True, slots=True)
class Store:
    """Write these durably in one transaction, then give Stored."""

    items: tuple[SealedRecord | Damaged, ...]


@dataclass(frozen=True, slots=True)
class Credit:
    credits: int


@dataclass(frozen=True, slots=True)
class KeepEvidence:
    record: SealedRecord
    reason: str


@dataclass(frozen=True, slots=True)
class Collected:
    """Everything the reader had is stored; `next` is the reader's next number."""

    next: int


@dataclass(frozen=True, slots=True)
class Leave:
    """Drop the link. `fault` is a problem code."""

    fault: str


Action = Report | Store | Credit | KeepEvidence | Collected | Leave


class IllegalEvent(Exception):
    """The caller gave an event that the state has no row for: a mistake in the hub, not in the reader."""


class Transfer:
    """One connection's transfer. `handle` is the whole interface; the caller carries out the actions in their order."""

    def __init__(self, reader_id: bytes, window: int = WINDOW) -> None:
        """`window` is in segments, from 2 to 4,096."""
        if not 2 <= window <= wire.CREDITS_MAX:
            raise ValueError(f"a window of {window} segments is not from 2 to {wire.CREDITS_MAX}")
        self.state = State.CLOSED
        self._reader_id = reader_id
        self._window = window
        self._known = Known(0, None)
        self._expected = 0
        self._previous: bytes | None = None
        self._probe: SealedRecord | None = None
        self._probe_hash: bytes | None = None
        self._buffer: list[SealedRecord | Damaged] = []
        self._used = 0  # segments that came and were not credited again
        self._settling = 0  # of those, the ones whose records the running Store makes durable
        self._storing = False
        self._ended = False

    @property
    def expected(self) -> int:
        """The next number the hub will take."""
        return self._expected

    def handle(self, event: Event) -> list[Action]:
        """Take one event; returns what to do. Raises IllegalEvent only for a mistake of the caller."""
        match event:
            case LinkLost():
                self._forget()
                return []
            case Broken(fault):
                return self._leave(fault)
            case Admitted(known) if self.state in (State.CLOSED, State.READY):
                self._known, self.state = known, State.READY
                return []
            case StateRead(state, held_hash) if self.state is State.READY:
                return self._state_read(state, held_hash)
            case Segment(message) if self.state in (State.COLLECTING, State.PROBING):
                return self._segment(message)
            case Segment():
                return self._leave("reader-misbehaved")  # the reader speaks on `up` without having been asked
            case Stored() if self.state is State.COLLECTING and self._storing:
                return self._stored()
            case _:
                raise IllegalEvent(f"{type(event).__name__} in {self.state.name}")

    def _state_read(self, state: ReaderState, held_hash: bytes | None) -> list[Action]:
        if state.reader_id != self._reader_id:
            return self._leave("reader-not-proved")
        tip = state.next - 1
        if tip > self._known.stored:
            return self._report(state)
        if tip > 0 and held_hash is not None and state.chain not in (held_hash, _CHAIN_LOST):
            if tip < state.first:
                return self._leave("reader-forked")
            self.state, self._expected, self._probe_hash = State.PROBING, tip, held_hash
            self._used = 0
            return [Report(tip, self._window)]
        if tip < self._known.stored:
            return self._leave("reader-behind")
        return [Collected(state.next)]

    def _report(self, state: ReaderState) -> list[Action]:
        follows = self._known.stored + 1
        self._expected = max(follows, state.first)
        if self._expected == 1:
            self._previous = first_previous(self._reader_id)
        else:
            self._previous = self._known.hash if self._expected == follows else None
        self._used, self._settling, self._ended, self._storing = 0, 0, False, False
        self.state = State.COLLECTING
        return [Report(self._expected, self._window)]

    def _segment(self, message: Up | None) -> list[Action]:
        self._used += 1
        if self._used > self._window or (self._ended and message is not None):
            return self._leave("reader-misbehaved")  # beyond its credits, or after END
        match message:
            case SealedRecord():
                actions = self._record(message)
            case Damaged(number):
                actions = self._damaged(number)
            case End(next):
                actions = self._end(next)
            case None:
                actions = []
        if self.state is not State.COLLECTING:
            return actions
        return actions + self._top_up()

    def _record(self, record: SealedRecord) -> list[Action]:
        ours = record.reader_id == self._reader_id and record.number == self._expected
        if not ours:
            return self._dispute(record, "reader-misbehaved")
        if self.state is State.PROBING:
            return self._dispute(record, "reader-forked" if record.hash != self._probe_hash else "reader-behind")
        if self._previous is not None and record.previous != self._previous:
            return self._dispute(record, "reader-forked")
        self._buffer.append(record)
        self._expected, self._previous = record.number + 1, record.hash
        return []

    def _damaged(self, number: int) -> list[Action]:
        if number != self._expected:
            return self._leave("reader-misbehaved")
        if self.state is State.PROBING:
            return self._leave("reader-forked")  # its chain differs, and the bytes that would show where are gone
        self._buffer.append(Damaged(number))
        self._expected, self._previous = number + 1, None
        return []

    def _end(self, next: int) -> list[Action]:
        if next != self._expected or self.state is State.PROBING:
            return self._leave("reader-misbehaved")
        self._ended = True
        return []

    def _dispute(self, record: SealedRecord, fault: str) -> list[Action]:
        keep = fault != "reader-behind"  # the same bytes as stored are no evidence of anything
        kept = self._flush()
        evidence: list[Action] = [KeepEvidence(record, fault)] if keep else []
        return [*kept, *evidence, *self._leave(fault)]

    def _top_up(self) -> list[Action]:
        """Half the window is used up, or END came: store first, and credit what came once it is on the disk."""
        if self._storing or not (self._ended or 2 * self._used >= self._window):
            return []
        self._storing, self._settling = True, self._used
        # Nothing to write: one message as long as half the window, or END after everything was stored.
        return self._flush() if self._buffer else self._stored()

    def _flush(self) -> list[Action]:
        items, self._buffer = tuple(self._buffer), []
        return [Store(items)] if items else []

    def _stored(self) -> list[Action]:
        self._storing = False
        if self._ended:
            if self._buffer:
                return self._top_up()
            self.state, self._known = State.READY, Known(self._expected - 1, self._previous)
            return [Collected(self._expected)]
        self._used -= self._settling
        return [Credit(self._settling), *self._top_up()]

    def _leave(self, fault: str) -> list[Action]:
        self._forget()
        return [Leave(fault)]

    def _forget(self) -> None:
        self.state = State.CLOSED
        self._buffer = []
        self._storing = False
