"""Bounded, deterministic CBOR: every byte is checked before cbor2 may allocate for it (protocol section 1).

cbor2 follows whatever nesting, lengths and semantic tags it is given; `measure` walks the heads first, in time
linear in the
number of items, and refuses everything the protocol refuses.
"""

from typing import Any

import cbor2

from hub.errors import Malformed
from reader import wire

_UINT, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_FALSE_TRUE_NULL = (20, 21, 22)


def decode(data: bytes, limit: int) -> Any:
    """Decode one item that fills `data` (at most `limit` bytes). Raises Malformed."""
    if len(data) > limit:
        raise Malformed(f"The message has {len(data)} bytes; at most {limit} are allowed.")
    if measure(data, 0) != len(data):
        raise Malformed("Bytes follow the end of the message.")
    return _loads(data)


def decode_next(data: bytes, start: int) -> tuple[Any, int]:
    """Decode the item of a CBOR sequence (RFC 8742) at `start`; returns it and where the next begins. Raises
    Malformed."""
    end = measure(data, start)
    return _loads(data[start:end]), end


def encode(value: Any) -> bytes:
    """Deterministic encoding. The hub's own maps have one-byte keys, for which cbor2's order and RFC 8949's are the
    same."""
    return cbor2.dumps(value, canonical=True)


def measure(data: bytes, start: int) -> int:
    """Where the item at `start` ends. Raises Malformed for anything the protocol refuses (section 1)."""
    return _Walk(data).item(start, 1)


def _loads(data: bytes) -> Any:
    try:
        return cbor2.loads(data)
    except (cbor2.CBORDecodeError, ValueError, OverflowError) as error:
        raise Malformed("The message is not CBOR.") from error


class _Walk:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._items = 0

    def item(self, at: int, depth: int) -> int:
        if depth > wire.CBOR_DEPTH_MAX:
            raise Malformed(f"The message nests deeper than {wire.CBOR_DEPTH_MAX} levels.")
        self._items += 1
        if self._items > wire.CBOR_ITEMS_MAX:
            raise Malformed(f"The message has more than {wire.CBOR_ITEMS_MAX} items.")
        major, argument, at = self._head(at)
        if major in (_BYTES, _TEXT):
            if argument > len(self._data) - at:
                raise Malformed("A string is longer than the message.")
            return at + argument
        if major == _ARRAY:
            for _ in range(self._count(argument, at)):
                at = self.item(at, depth + 1)
        elif major == _MAP:
            at = self._map(argument, at, depth)
        elif major == _TAG:
            if argument != wire.COSE_ENCRYPT0_TAG:
                raise Malformed(f"Tag {argument} is not of this protocol.")
            at = self.item(at, depth + 1)
        elif major == _SIMPLE and argument not in _FALSE_TRUE_NULL:
            raise Malformed("The message holds a value that the protocol does not have.")
        return at

    def _map(self, pairs: int, at: int, depth: int) -> int:
        previous = b""
        for _ in range(self._count(2 * pairs, at) // 2):
            end = self.item(at, depth + 1)
            key = self._data[at:end]
            if key <= previous:
                raise Malformed("The keys of a map are not in order.")
            previous = key
            at = self.item(end, depth + 1)
        return at

    def _count(self, items: int, at: int) -> int:
        if items > len(self._data) - at:
            raise Malformed("A list is longer than the message.")
        return items

    def _head(self, at: int) -> tuple[int, int, int]:
        if at >= len(self._data):
            raise Malformed("The message ends too soon.")
        first = self._data[at]
        major, low, at = first >> 5, first & 31, at + 1
        if low < 24:
            return major, low, at
        if low > 27 or major == _SIMPLE:
            raise Malformed("The message uses a form of CBOR that the protocol does not have.")
        size = 1 << (low - 24)
        if size > len(self._data) - at:
            raise Malformed("The message ends too soon.")
        argument = int.from_bytes(self._data[at : at + size], "big")
        shortest = 24 if size == 1 else 1 << (4 * size)
        if argument < shortest:
            raise Malformed("A number is not in its shortest form.")
        return major, argument, at + size
