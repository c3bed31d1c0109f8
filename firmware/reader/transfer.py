"""The reader's end of the transfer of records: a cursor over the journal that moves by credits (docs/protocol.md
section 4.4).
"""

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value):
        return value


from reader import cbor, wire
from reader.journal import Damaged, Gone
from reader.segments import Segmenter

CLOSED = const(0)
IDLE = const(1)
SENDING = const(2)
WAITING = const(3)


class Transfer:
    """What goes out on `up`.

    `records` has `first`, `next` and `read_into(number, buffer)`, which returns a length and raises Damaged or Gone.
    The record is copied into one buffer that lives as long as this object. `error` is set when the transfer ended by
    itself, `damaged` to the number of a record that was found rotten; whoever has told it sets them back to 0.
    """

    def __init__(self, records):
        self._records = records
        self._message = bytearray(wire.RECORD_MAX)
        self._segments = Segmenter()
        self.state = CLOSED
        self.cursor = 0
        self.credits = 0
        self.error = wire.ERR_NONE
        self.damaged = 0
        self._loaded = 0

    def admitted(self):
        """closed -> idle."""
        self.state = IDLE
        self.credits = 0

    def suspend(self):
        """any -> closed, because admission starts anew on the same link: what was being sent is forgotten, the
        counter goes on.
        """
        self._segments.abandon()
        self.state = CLOSED
        self.cursor = 0
        self.credits = 0

    def link_lost(self):
        """any -> closed."""
        self.suspend()
        self._segments.reset()
        self.error = wire.ERR_NONE

    def report(self, number, credit):
        """REPORT: start, or start again, at `number`. Return an error code of the link."""
        if self.state == CLOSED:
            return wire.ERR_NOT_ADMITTED
        if number < self._records.first:
            return wire.ERR_GONE
        if number > self._records.next:
            return wire.ERR_AHEAD
        self._segments.abandon()
        self.cursor = number
        self.credits = min(credit, wire.CREDITS_MAX)
        self.state = SENDING
        return wire.ERR_NONE

    def credit(self, more):
        """CREDIT: `more` segments may go. Ignored while nothing was asked for."""
        if self.state == WAITING:
            self.state = SENDING
        if self.state == SENDING:
            self.credits = min(self.credits + more, wire.CREDITS_MAX)

    def next_segment(self, limit):
        """Return the segment to notify now (memoryview, at most `limit` bytes) or None; the same until `sent()`."""
        if self.state != SENDING:
            return None
        if self.credits == 0:
            self.state = WAITING
            return None
        if self._segments.idle and not self._load():
            return None
        return self._segments.segment(limit)

    def sent(self):
        """The radio took the segment."""
        if self.state != SENDING:
            raise ValueError("nothing is being sent")
        done = self._segments.sent()
        self.credits -= 1
        if done:
            if self._loaded == wire.OP_END:
                self.state = IDLE
            else:
                self.cursor += 1

    def _load(self):
        if self.cursor >= self._records.next:
            self._loaded = wire.OP_END
            self._segments.load(cbor.encode([wire.OP_END, self._records.next]))
            return True
        self._loaded = 0
        try:
            length = self._records.read_into(self.cursor, self._message)
        except Damaged:
            self.damaged = self.cursor
            self._segments.load(cbor.encode([wire.OP_DAMAGED, self.cursor]))
        except Gone:
            # Released meanwhile: the server holds it, and this hub must ask anew from `first`.
            self.state = IDLE
            self.error = wire.ERR_GONE
            return False
        else:
            self._segments.load(self._message, length)
        return True
