"""Segments: how one message travels in pieces that fit an ATT value (docs/protocol.md section 4.1)."""

from reader import wire


class Segmenter:
    """Cuts messages into segments, one at a time, in a buffer of its own; one per characteristic.

    `segment()` is the segment to send now and stays the same until `sent()`, so that a refused notification is tried
    again by asking again.
    """

    def __init__(self):
        self._buffer = bytearray(wire.SEGMENT_HEADER + wire.SEGMENT_PAYLOAD_MAX)
        self._view = memoryview(self._buffer)
        self.reset()

    def reset(self):
        """A new connection: the counter begins at 0."""
        self._counter = 0
        self.abandon()

    def abandon(self):
        """Forget the message half sent; the counter goes on."""
        self._message = None
        self._at = 0
        self._end = 0
        self._size = 0

    @property
    def idle(self):
        """No message is open."""
        return self._message is None

    def load(self, message, length=None):
        """Begin `message` (bytes or a buffer that stays unchanged until the last segment is sent)."""
        if self._message is not None:
            raise ValueError("a message is still being sent")
        self._end = len(message) if length is None else length
        if self._end == 0:
            raise ValueError("a message has at least one byte")
        self._message = memoryview(message)
        self._at = 0
        self._size = 0

    def segment(self, limit):
        """Return the segment to send now as a memoryview of at most `limit` bytes (ATT MTU - 3), or None."""
        if self._message is None:
            return None
        if self._size == 0:
            size = min(limit - wire.SEGMENT_HEADER, wire.SEGMENT_PAYLOAD_MAX, self._end - self._at)
            if size < 1:
                raise ValueError("the link's MTU has no room for a segment")
            flags = self._counter
            if self._at == 0:
                flags |= wire.SEGMENT_FIRST
            if self._at + size == self._end:
                flags |= wire.SEGMENT_LAST
            self._buffer[0] = flags
            self._buffer[1] = size
            self._view[2 : 2 + size] = self._message[self._at : self._at + size]
            self._size = size
        return self._view[: wire.SEGMENT_HEADER + self._size]

    def sent(self):
        """The segment last returned has gone out. Return True when it was the message's last."""
        if self._size == 0:
            raise ValueError("no segment waits to be sent")
        self._counter = (self._counter + 1) & wire.SEGMENT_COUNTER
        self._at += self._size
        self._size = 0
        if self._at == self._end:
            self.abandon()
            return True
        return False


class Assembler:
    """Puts messages of at most `bound` bytes together again; one per characteristic."""

    def __init__(self, bound):
        self._buffer = bytearray(bound)
        self._view = memoryview(self._buffer)
        self._bound = bound
        self.reset()

    def reset(self):
        """A new connection: no message open, the counter begins at 0."""
        self._expected = 0
        self._length = 0
        self._open = False

    def feed(self, value):
        """Yield (error code, None) or (0, message) for each event in `value`: one or more whole segments, as they
        were written.

        A message is a memoryview that holds until the next step. A segment that is cut short ends the value: where
        the next one begins cannot be known.
        """
        value = memoryview(value)
        at = 0
        end = len(value)
        if end == 0:
            self._open = False
            yield wire.ERR_MALFORMED, None
        while at < end:
            size = value[at + 1] if at + 1 < end else 0
            start = at + wire.SEGMENT_HEADER
            if not 1 <= size <= wire.SEGMENT_PAYLOAD_MAX or start + size > end:
                self._open = False
                yield wire.ERR_MALFORMED, None
                return
            at = start + size
            error = self._take(value[start - wire.SEGMENT_HEADER], value[start:at])
            if error:
                self._open = False
                yield error, None
            elif not self._open:
                yield wire.ERR_NONE, self._view[: self._length]

    def _take(self, flags, payload):
        counter = flags & wire.SEGMENT_COUNTER
        in_order = counter == self._expected
        self._expected = (counter + 1) & wire.SEGMENT_COUNTER
        first = bool(flags & wire.SEGMENT_FIRST)
        if not in_order or first == self._open:
            return wire.ERR_OUT_OF_ORDER
        if first:
            self._length = 0
        total = self._length + len(payload)
        if total > self._bound:
            return wire.ERR_OVERSIZED
        self._view[self._length : total] = payload
        self._length = total
        self._open = not flags & wire.SEGMENT_LAST
        return wire.ERR_NONE
