"""The manifest of an image, read line by line from flash (docs/protocol.md section 8.1): nothing of it is held but the
line at hand, and what is not exactly as the protocol has it is refused.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value: int) -> int:
        return value


LINE_MAX = const(160)
FILES_MAX = const(160)
VERSION_MAX = const(32)
_PART_MAX = const(32)
_PARTS_MAX = const(3)
_DIGITS = b"0123456789"
_HEX = b"0123456789abcdef"
_LETTERS = b"abcdefghijklmnopqrstuvwxyz0123456789_-."
_UINT32 = 0xFFFFFFFF


class ManifestError(Exception):
    """It is no manifest; the words say which line."""


class Head:
    """The five lines before the files."""

    def __init__(self, model: str, version: str, release: int, least: int) -> None:
        self.model = model
        self.version = version
        self.release = release
        self.least = least


def head(file: "BinaryIO") -> Head:
    """Read the head; `file` is then at its first file. ManifestError."""
    if _line(file) != b"doorstep-image 1":
        raise ManifestError("first line")
    model = _text(file, b"model ", LINE_MAX)
    version = _text(file, b"version ", VERSION_MAX)
    release = _number(_field(file, b"release "), "release")
    least = _number(_field(file, b"from "), "from")
    if not release:
        raise ManifestError("release")
    return Head(model, version, release, least)


def files(file: "BinaryIO") -> "Iterator[tuple[str, int, bytes]]":
    """(name, size, SHA-256) of each file, from where `head` left `file` to its end. ManifestError."""
    before = b""
    count = 0
    while line := _line(file):
        parts = line.split(b" ")
        count += 1
        if len(parts) != 4 or parts[0] != b"file" or count > FILES_MAX:
            raise ManifestError("file %d" % count)
        _, name, size, digest = parts
        if name <= before or not _is_name(name):
            raise ManifestError("name %d" % count)
        if len(digest) != 64 or not _all_of(digest, _HEX):
            raise ManifestError("hash %d" % count)
        before = name
        yield name.decode(), _number(size, "size %d" % count), _unhex(digest)
    if not count:
        raise ManifestError("no file")


def _line(file):
    """The next line without its end; empty at the end of the file."""
    line = file.readline(LINE_MAX + 2)
    if not line:
        return b""
    if len(line) > LINE_MAX + 1 or len(line) < 2 or line[-1] != 10:
        raise ManifestError("line")
    return line[:-1]


def _field(file, name):
    line = _line(file)
    if line[: len(name)] != name or len(line) == len(name):
        raise ManifestError(name.decode().strip())
    return line[len(name) :]


def _text(file, name, most):
    text = _field(file, name)
    if len(text) > most or any(not 32 <= byte < 127 for byte in text):
        raise ManifestError(name.decode().strip())
    return text.decode()


def _number(digits, what):
    if not 1 <= len(digits) <= 10 or not _all_of(digits, _DIGITS) or (digits[0] == 48 and len(digits) > 1):
        raise ManifestError(what)
    value = int(digits)
    if value > _UINT32:
        raise ManifestError(what)
    return value


def _is_name(name):
    parts = name.split(b"/")
    if parts[0] not in (b"reader", b"packs") or not 2 <= len(parts) <= _PARTS_MAX:
        return False
    return all(1 <= len(part) <= _PART_MAX and part[0] != 46 and _all_of(part, _LETTERS) for part in parts)


def _all_of(data, allowed):
    return all(byte in allowed for byte in data)


def _unhex(digits):
    return bytes([int(digits[at : at + 2], 16) for at in range(0, len(digits), 2)])
