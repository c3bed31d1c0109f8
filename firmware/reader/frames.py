"""How the journal lays sealed records in a file: frames that can be found again when a part of the file has rotted.

A segment file is one head (28 bytes) and frames. A frame is a mark, the sealed record, and the same mark again with
another first byte. A mark (32 bytes, big-endian) is: first byte, version and flags, length (2), number (4), chain
hash at the number (16), CRC-32 of the sealed record, CRC-32 of the mark. So one rotten sector costs one record at
most, and its number and chain hash stay known.
"""

import struct
from array import array
from binascii import crc32

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value):
        return value


HEAD_BYTES = const(28)
MARK_BYTES = const(32)
RECORD_MAX = const(4096)

_MAGIC = b"DSJ1"
_HEAD = ">4sI16s"
_MARK = ">BBHI16sI"
_OPENING = const(0xD5)
_CLOSING = const(0xD6)
_VERSION = const(0x10)
_CLOSES = const(0x01)
_STRIDE = const(512)


def head(first, previous):
    """Return a segment file's head: its first number and the chain hash before it."""
    packed = struct.pack(_HEAD, _MAGIC, first, previous)
    return packed + crc32(packed).to_bytes(4, "big")


def read_head(data):
    """Return (first number, chain hash before it), or None if `data` is not a head."""
    if len(data) < HEAD_BYTES or crc32(data[:24]) != int.from_bytes(data[24:HEAD_BYTES], "big"):
        return None
    magic, first, previous = struct.unpack_from(_HEAD, data)
    return (first, previous) if magic == _MAGIC else None


def mark(closing, number, sealed, chain, closes):
    """Return the mark that opens, or closes, the frame of `sealed`. `closes`: it ends the test that was pending."""
    first = _CLOSING if closing else _OPENING
    flags = _VERSION | (_CLOSES if closes else 0)
    packed = struct.pack(_MARK, first, flags, len(sealed), number, chain, crc32(sealed))
    return packed + crc32(packed).to_bytes(4, "big")


class Mark:
    """What a mark says: `number`, `length`, `chain`, `crc` of the record, `closes`; `closing` at a frame's end."""

    __slots__ = ("chain", "closes", "closing", "crc", "length", "number")

    def __init__(self, closing, flags, length, number, chain, crc):
        self.closing = closing
        self.closes = bool(flags & _CLOSES)
        self.length = length
        self.number = number
        self.chain = chain
        self.crc = crc


def read_mark(data, at=0):
    """Return the Mark at `at` in `data`, or None."""
    if len(data) < at + MARK_BYTES or data[at] not in (_OPENING, _CLOSING):
        return None
    body = bytes(data[at : at + 28])
    if crc32(body) != int.from_bytes(data[at + 28 : at + MARK_BYTES], "big"):
        return None
    first, flags, length, number, chain, crc = struct.unpack(_MARK, body)
    if flags & 0xF0 != _VERSION or not 0 < length <= RECORD_MAX:
        return None
    return Mark(first == _CLOSING, flags, length, number, chain, crc)


class Index:
    """Where the frames of one segment file are: found by their marks, without reading the records.

    `first` and `previous` as in the file's name and head (previous None when the head is rotten); `starts` and
    `lengths` by number - first, 0 for a record whose two marks are gone; `tail` the last Mark; `closing` the highest
    number that ends a pending test, or 0; `size` of the file; `clean` when the file ends with a whole frame; `torn`
    when what follows was plainly never finished (nothing, or an opening mark whose record runs beyond the end).
    """

    def __init__(self, file, size, first):
        self.first = first
        self.starts = array("H")
        self.lengths = array("H")
        self.tail = None
        self.closing = 0
        self.size = size
        file.seek(0)
        found = read_head(file.read(HEAD_BYTES))
        self.previous = found[1] if found is not None and found[0] == first else None
        self.clean = self.previous is not None
        self.torn = size <= HEAD_BYTES
        self._walk(file)

    @property
    def next(self):
        """The number after the last one whose mark was found."""
        return self.first + len(self.starts)

    def append(self, length):
        """A frame with a record of `length` bytes has been added to the file."""
        self.starts.append(self.size + MARK_BYTES)
        self.lengths.append(length)
        self.size += length + 2 * MARK_BYTES

    def place(self, number):
        """Return (start, length) of the sealed record, or (0, 0) if it is damaged beyond finding."""
        at = number - self.first
        if not 0 <= at < len(self.starts):
            return 0, 0
        return self.starts[at], self.lengths[at]

    def _walk(self, file):
        at = HEAD_BYTES
        while at < self.size:
            file.seek(at)
            found = read_mark(file.read(MARK_BYTES))
            if found is not None and not found.closing and found.number >= self.next:
                end = at + 2 * MARK_BYTES + found.length
                if end > self.size:
                    self.clean = False
                    self.torn = True
                    return
                self._note(found, at + MARK_BYTES)
                self.clean = True
                at = end
                continue
            self.clean = False
            at = self._search(file, at + 1)
        self.torn = self.torn or self.clean

    def _note(self, found, start):
        # Every number has a place, so a jump that the file cannot hold is rot that passed its CRC by chance.
        if found.number - self.first > 0xFFFF // MARK_BYTES:
            return
        while self.next < found.number:
            self.starts.append(0)
            self.lengths.append(0)
        self.starts.append(start)
        self.lengths.append(found.length)
        self.tail = found
        if found.closes:
            self.closing = found.number

    def _search(self, file, at):
        """Look for the next mark from `at` on; note a frame of which only the closing mark is left. Return where to
        go on.
        """
        while at + MARK_BYTES <= self.size:
            file.seek(at)
            piece = file.read(_STRIDE + MARK_BYTES)
            for offset in range(min(_STRIDE, len(piece) - MARK_BYTES + 1)):
                found = read_mark(piece, offset) if piece[offset] in (_OPENING, _CLOSING) else None
                if found is None or found.number < self.next:
                    continue
                if not found.closing:
                    return at + offset
                start = at + offset - found.length
                if start >= HEAD_BYTES:
                    self._note(found, start)
                    self.clean = at + offset + MARK_BYTES == self.size
                    return at + offset + MARK_BYTES
            at += _STRIDE
        return self.size


def chain_at(file, index, number):
    """Return the chain hash at `number` from whichever of its marks is whole, or None."""
    start, length = index.place(number)
    if not start:
        return None
    for at in (start - MARK_BYTES, start + length):
        file.seek(at)
        found = read_mark(file.read(MARK_BYTES))
        if found is not None and found.number == number:
            return found.chain
    return None


def read_record(file, index, number, view):
    """Read the sealed record into `view` and return its length, or 0 if it is damaged."""
    start, length = index.place(number)
    if not start or length > len(view):
        return 0
    file.seek(start)
    if file.readinto(view[:length]) != length:
        return 0
    crc = crc32(view[:length])
    for at in (start - MARK_BYTES, start + length):
        file.seek(at)
        found = read_mark(file.read(MARK_BYTES))
        if found is not None and found.number == number:
            return length if found.crc == crc else 0
    return 0
