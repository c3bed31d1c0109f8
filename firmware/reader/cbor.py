"""Deterministic CBOR (RFC 8949 section 4.2.1) in both directions, with a decoder that refuses before it allocates.

`encode(value)` and `decode(data)` carry integers of 64 bits, byte and text strings, arrays (list or tuple), maps,
tags, booleans and null, which is all the protocol uses (docs/protocol.md section 1). Floats, undefined, indefinite
lengths, longer heads than needed, and keys out of order or twice are refused. Every refusal is a `CborError` with a
stable `code`.
"""

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value):
        return value


DEPTH_MAX = const(8)
ITEMS_MAX = const(512)
LENGTH_MAX = const(8192)

TRUNCATED = "truncated"
TRAILING = "trailing"
TOO_LONG = "too-long"
TOO_DEEP = "too-deep"
TOO_MANY = "too-many"
NOT_SHORTEST = "not-shortest"
INDEFINITE = "indefinite"
KEY_ORDER = "key-order"
BAD_TEXT = "bad-text"
UNSUPPORTED = "unsupported"


class CborError(ValueError):
    """These bytes, or this value, are not of the protocol's CBOR; `code` is one of this module's names."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


class Tag:
    """A tagged item (RFC 8949 section 3.4)."""

    __slots__ = ("number", "value")

    def __init__(self, number, value):
        self.number = number
        self.value = value

    def __eq__(self, other):
        return isinstance(other, Tag) and self.number == other.number and self.value == other.value

    def __hash__(self):
        return hash(self.number)


def encode(value):
    """Return the one deterministic encoding of `value` as bytes. CborError: unsupported, too-deep."""
    out = bytearray()
    _write(out, value, DEPTH_MAX)
    return bytes(out)


def decode(data, views=False, longest=LENGTH_MAX):
    """Return the one item that `data` (bytes, bytearray or memoryview) encodes.

    At most `longest` bytes, 8 levels of arrays, maps and tags, 512 items. With `views`, byte strings are memoryviews
    into `data` instead of copies, except as map keys.
    """
    if len(data) > longest:
        raise CborError(TOO_LONG)
    reading = _Reading(data, views)
    value = reading.item(DEPTH_MAX)
    if reading.at != reading.end:
        raise CborError(TRAILING)
    return value


def _head(out, major, number):
    if number < 24:
        out.append(major | number)
        return
    if number < 0x100:
        size = 1
        out.append(major | 24)
    elif number < 0x10000:
        size = 2
        out.append(major | 25)
    elif number < 0x100000000:
        size = 4
        out.append(major | 26)
    elif number < 0x10000000000000000:
        size = 8
        out.append(major | 27)
    else:
        raise CborError(UNSUPPORTED)
    out.extend(number.to_bytes(size, "big"))


def _write(out, value, depth):
    if value is None:
        out.append(0xF6)
    elif value is True:
        out.append(0xF5)
    elif value is False:
        out.append(0xF4)
    elif isinstance(value, int):
        if value < 0:
            _head(out, 0x20, -1 - value)
        else:
            _head(out, 0x00, value)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        _head(out, 0x40, len(value))
        out.extend(value)
    elif isinstance(value, str):
        text = value.encode()
        _head(out, 0x60, len(text))
        out.extend(text)
    elif depth == 0:
        raise CborError(TOO_DEEP)
    elif isinstance(value, (list, tuple)):
        _head(out, 0x80, len(value))
        for item in value:
            _write(out, item, depth - 1)
    elif isinstance(value, dict):
        _write_map(out, value, depth - 1)
    elif isinstance(value, Tag):
        _head(out, 0xC0, value.number)
        _write(out, value.value, depth - 1)
    else:
        raise CborError(UNSUPPORTED)


def _write_map(out, value, depth):
    keys = []
    for key in value:
        if isinstance(key, bool) or not isinstance(key, (int, str, bytes)):
            raise CborError(UNSUPPORTED)
        encoded = bytearray()
        _write(encoded, key, 0)
        keys.append((bytes(encoded), key))
    keys.sort(key=_first)
    _head(out, 0xA0, len(keys))
    for encoded, key in keys:
        out.extend(encoded)
        _write(out, value[key], depth)


def _first(pair):
    return pair[0]


class _Reading:
    """A cursor over one message; it knows how many items may still come."""

    __slots__ = ("at", "end", "items", "view", "views")

    def __init__(self, data, views):
        self.view = memoryview(data)
        self.at = 0
        self.end = len(data)
        self.items = ITEMS_MAX
        self.views = views

    def _argument(self, short):
        if short < 24:
            return short
        if short > 27:
            raise CborError(INDEFINITE if short == 31 else UNSUPPORTED)
        size = 1 << (short - 24)
        start = self.at
        self.at = start + size
        if self.at > self.end:
            raise CborError(TRUNCATED)
        number = int.from_bytes(self.view[start : self.at], "big")
        if number < (24 if size == 1 else 1 << (size << 2)):
            raise CborError(NOT_SHORTEST)
        return number

    def item(self, depth):
        if self.at >= self.end:
            raise CborError(TRUNCATED)
        if self.items == 0:
            raise CborError(TOO_MANY)
        self.items -= 1
        head = self.view[self.at]
        self.at += 1
        major = head >> 5
        if major == 7:
            return _simple(head)
        number = self._argument(head & 0x1F)
        if major == 0:
            return number
        if major == 1:
            return -1 - number
        if major == 2:
            chunk = self._chunk(number)
            return chunk if self.views else bytes(chunk)
        if major == 3:
            return text(self._chunk(number))
        if depth == 0:
            raise CborError(TOO_DEEP)
        if major == 4:
            self._expect(number)
            return [self.item(depth - 1) for _ in range(number)]
        if major == 5:
            return self._map(number, depth - 1)
        return Tag(number, self.item(depth - 1))

    def _expect(self, count):
        # Each item is at least one byte, so a count beyond what is left is a lie, found before a list is grown for it.
        if count > self.end - self.at:
            raise CborError(TRUNCATED)
        if count > self.items:
            raise CborError(TOO_MANY)

    def _chunk(self, length):
        start = self.at
        if length > self.end - start:
            raise CborError(TRUNCATED)
        self.at = start + length
        return self.view[start : self.at]

    def _map(self, count, depth):
        self._expect(count * 2)
        value = {}
        before = None
        for _ in range(count):
            start = self.at
            # The next head says whether the key is an integer or a string; anything else cannot be a key here.
            if start < self.end and self.view[start] >= 0x80:
                raise CborError(UNSUPPORTED)
            key = self.item(depth)
            encoded = bytes(self.view[start : self.at])
            if before is not None and encoded <= before:
                raise CborError(KEY_ORDER)
            before = encoded
            if self.views and isinstance(key, memoryview):
                key = bytes(key)
            value[key] = self.item(depth)
        return value


def _simple(head):
    if head == 0xF4:
        return False
    if head == 0xF5:
        return True
    if head == 0xF6:
        return None
    raise CborError(INDEFINITE if head == 0xFF else UNSUPPORTED)


def text(chunk):
    """Return the text of UTF-8 bytes, strictly (RFC 3629 section 4): MicroPython's own check lets overlong forms
    pass.
    """
    at = 0
    end = len(chunk)
    while at < end:
        byte = chunk[at]
        at += 1
        if byte < 0x80:
            continue
        if 0xC2 <= byte <= 0xDF:
            more, low, high = 1, 0x80, 0xBF
        elif 0xE0 <= byte <= 0xEF:
            more = 2
            low = 0xA0 if byte == 0xE0 else 0x80
            high = 0x9F if byte == 0xED else 0xBF  # U+D800 to U+DFFF are surrogates
        elif 0xF0 <= byte <= 0xF4:
            more = 3
            low = 0x90 if byte == 0xF0 else 0x80
            high = 0x8F if byte == 0xF4 else 0xBF
        else:
            raise CborError(BAD_TEXT)
        if at + more > end or not low <= chunk[at] <= high:
            raise CborError(BAD_TEXT)
        for place in range(at + 1, at + more):
            if chunk[place] & 0xC0 != 0x80:
                raise CborError(BAD_TEXT)
        at += more
    return str(chunk, "utf-8")
