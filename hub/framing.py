"""Segments: the hub's cutting of messages into ATT values and joining of them again (protocol section 4.1)."""

from collections.abc import Iterator

from hub.errors import HubError
from reader import wire

ATT_OVERHEAD = 3
SEGMENT_MAX = wire.SEGMENT_HEADER + wire.SEGMENT_PAYLOAD_MAX


class SegmentError(HubError):
    """A segment that breaks section 4.1; `error` is the protocol's code (2, 3 or 4)."""

    code = "segment"

    def __init__(self, error: int, sentence: str) -> None:
        super().__init__(sentence)
        self.error = error


class Cutter:
    """Cuts messages for one characteristic and direction of one connection; keeps its counter."""

    def __init__(self, mtu: int) -> None:
        """`mtu` is the ATT MTU in bytes, 23 or more."""
        self._payload = min(SEGMENT_MAX, mtu - ATT_OVERHEAD) - wire.SEGMENT_HEADER
        if self._payload < 1:
            raise ValueError(f"an MTU of {mtu} leaves no room for a segment")
        self._counter = 0

    def cut(self, message: bytes) -> Iterator[bytes]:
        """One ATT value at a time. An empty message has no form on the wire and raises ValueError."""
        if not message:
            raise ValueError("an empty message cannot be cut")
        for start in range(0, len(message), self._payload):
            payload = message[start : start + self._payload]
            flags = wire.SEGMENT_FIRST if start == 0 else 0
            if start + len(payload) == len(message):
                flags |= wire.SEGMENT_LAST
            yield bytes((flags | self._counter, len(payload))) + payload
            self._counter = (self._counter + 1) & wire.SEGMENT_COUNTER


class Joiner:
    """Joins the segments of one characteristic and direction of one connection into whole messages."""

    def __init__(self, bound: int) -> None:
        """`bound` is the longest message in bytes."""
        self._bound = bound
        self._counter = 0
        self._open: bytearray | None = None

    def feed(self, value: bytes) -> Iterator[bytes | None]:
        """Take one ATT value; yield once a segment: the message it completed, or None. Raises SegmentError."""
        at = 0
        while at < len(value):
            at, message = self._segment(value, at)
            yield message

    def _segment(self, value: bytes, at: int) -> tuple[int, bytes | None]:
        start = at + wire.SEGMENT_HEADER
        if start > len(value):
            raise self._fail(wire.ERR_MALFORMED, "A segment's header is cut short.")
        head, length = value[at], value[at + 1]
        end = start + length
        if not 1 <= length <= wire.SEGMENT_PAYLOAD_MAX or end > len(value):
            raise self._fail(wire.ERR_MALFORMED, "A segment's length is not that of its bytes.")
        counter = head & wire.SEGMENT_COUNTER
        in_order, self._counter = counter == self._counter, (counter + 1) & wire.SEGMENT_COUNTER
        if not in_order:
            raise self._fail(wire.ERR_OUT_OF_ORDER, "A segment is missing or repeated.")
        if bool(head & wire.SEGMENT_FIRST) != (self._open is None):
            raise self._fail(wire.ERR_OUT_OF_ORDER, "A message starts inside another, or continues none.")
        message = bytearray() if self._open is None else self._open
        if len(message) + length > self._bound:
            raise self._fail(wire.ERR_OVERSIZED, f"A message is longer than {self._bound} bytes.")
        message += value[start:end]
        if head & wire.SEGMENT_LAST:
            self._open = None
            return end, bytes(message)
        self._open = message
        return end, None

    def _fail(self, error: int, sentence: str) -> SegmentError:
        self._open = None
        return SegmentError(error, sentence)
