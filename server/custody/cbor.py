"""Looks at CBOR from outside before anything is built of it: deterministic form, size, depth and number of items.

`cbor2` decodes only what `scan` has passed, or patterns that pass nothing else (`server.results.usual`), so that no
length it reads can make it allocate. The rules are those of docs/protocol.md section 1 (deterministic encoding,
RFC 8949 section 4.2.1, without floating-point numbers).
"""

from typing import Any, Final

import cbor2

from reader import wire

_BYTES: Final = 2
_TEXT: Final = 3
_ARRAY: Final = 4
_MAP: Final = 5
_TAG: Final = 6
_SIMPLE: Final = 7
_FALSE_TRUE_NULL: Final = (0xF4, 0xF5, 0xF6)


def _short(first: int) -> int:
    """The length of an item that begins with that byte, 0 where more bytes are needed to tell."""
    major, info = first >> 5, first & 31
    if first in _FALSE_TRUE_NULL or (major < _BYTES and info < 24):
        return 1
    return 1 + info if major in (_BYTES, _TEXT) and info < 24 else 0


_SHORT: Final = bytes(map(_short, range(256)))


class NotCbor(ValueError):
    """The bytes are not deterministic CBOR; the text says what is wrong and at which byte."""


class TooDeep(ValueError):
    """Nested beyond the limit."""


class TooMany(ValueError):
    """More items than the limit."""


def decode(data: bytes, *, tag: int | None = None) -> Any:
    """The one item that fills `data`, within the protocol's limits. Raises as `scan` does."""
    end = scan(data, 0, tag=tag)
    if end != len(data):
        raise NotCbor(f"bytes follow the end of the item at byte {end}")
    return loads(data)


def loads(scanned: bytes) -> Any:
    """Decode what `scan` has passed, or would. `NotCbor` for a text that is not UTF-8, which only decoding finds."""
    try:
        return cbor2.loads(scanned)
    except (cbor2.CBORDecodeError, ValueError) as error:
        raise NotCbor("a text is not UTF-8") from error


def scan(
    data: bytes,
    at: int,
    *,
    depth_max: int = wire.CBOR_DEPTH_MAX,
    items_max: int = wire.CBOR_ITEMS_MAX,
    tag: int | None = None,
) -> int:
    """Where the data item that begins at `at` ends.

    `tag` is the one tag number that may stand around the whole item. Raises `NotCbor`, `TooDeep` or `TooMany`. Every
    item counts: containers, map keys and the tag too. `depth_max` is the most containers inside one another.
    """
    scanner = _Scanner(data, items_max)
    if tag is not None and at < len(data) and data[at] >> 5 == _TAG:
        _, value, after = scanner.head(at)
        if value != tag:
            raise NotCbor(f"tag {value} stands at byte {at}")
        at = after
    return scanner.item(at, depth_max)


class _Scanner:
    """Walks heads, never content, in time linear in their number."""

    __slots__ = ("_data", "_left", "_size")

    def __init__(self, data: bytes, items_max: int) -> None:
        self._data = data
        self._size = len(data)
        self._left = items_max

    def item(self, at: int, depth_left: int) -> int:
        """The end of the item at `at`."""
        # Nearly all items are short numbers and strings: their whole length shows in the first byte.
        if at < self._size and (end := at + _SHORT[self._data[at]]) > at:
            if not self._left:
                raise TooMany
            self._left -= 1
            if end > self._size:
                raise NotCbor(f"a string is cut short at byte {self._size}")
            return end
        major, value, at = self.head(at)
        if major < _BYTES:
            return at
        if major <= _TEXT:
            if value > self._size - at:
                raise NotCbor(f"a string is cut short at byte {self._size}")
            return at + value
        if major in (_ARRAY, _MAP):
            if not depth_left:
                raise TooDeep
            # A child is at least one byte, so a count that the rest cannot hold is refused before it is walked.
            if value > self._size - at:
                raise NotCbor(f"a container is cut short at byte {self._size}")
            return self._array(value, at, depth_left - 1) if major == _ARRAY else self._map(value, at, depth_left - 1)
        if major == _TAG:
            raise NotCbor(f"tag {value} stands before byte {at}")
        return at

    def _array(self, count: int, at: int, depth_left: int) -> int:
        for _ in range(count):
            at = self.item(at, depth_left)
        return at

    def _map(self, pairs: int, at: int, depth_left: int) -> int:
        last = b""
        for _ in range(pairs):
            key_at = at
            at = self.item(at, depth_left)
            if self._data[key_at] >> 5 >= _ARRAY:
                raise NotCbor(f"a map key is neither a number nor a string at byte {key_at}")
            key = self._data[key_at:at]
            # Bytewise order of the encoded keys (RFC 8949 section 4.2.1); so none is there twice.
            if key <= last:
                raise NotCbor(f"a map key is repeated or out of order at byte {key_at}")
            last = key
            at = self.item(at, depth_left)
        return at

    def head(self, at: int) -> tuple[int, int, int]:
        """(major type, value, where the head ends) of the item at `at`."""
        self._left -= 1
        if self._left < 0:
            raise TooMany
        if at >= self._size:
            raise NotCbor(f"the data ends early, at byte {self._size}")
        first = self._data[at]
        major, info = first >> 5, first & 31
        if major == _SIMPLE:
            if first not in _FALSE_TRUE_NULL:
                raise NotCbor(f"a value that the protocol does not have stands at byte {at}")
            return major, 0, at + 1
        if info < 24:
            return major, info, at + 1
        if info > 27:
            raise NotCbor(f"an indefinite or reserved length stands at byte {at}")
        width = 1 << (info - 24)
        end = at + 1 + width
        if end > self._size:
            raise NotCbor(f"the data ends early, at byte {self._size}")
        value = int.from_bytes(self._data[at + 1 : end], "big")
        # Shortest form: what needs one byte less must use it.
        if value < 24 or (width > 1 and value >> (4 * width) == 0):
            raise NotCbor(f"a number is longer than it needs to be at byte {at}")
        return major, value, end
