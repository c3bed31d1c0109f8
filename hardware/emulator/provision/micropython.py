"""The file that holds MicroPython for the board, looked through before anything is erased for it.

What micropython.org gives is one file for offset 0: boot loader, partition table at 0x8000, application. Layout of the
images: ESP-IDF Programming Guide, "App Image Format"; of the table: "Partition Tables".
"""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

VERSION = "1.29"
TABLE, TABLE_BYTES = 0x8000, 0xC00
_LARGEST = 8 * 1024 * 1024
_IMAGE = 0xE9
_ESP32_S3 = 9  # esp_chip_id_t
_HEADER = struct.Struct("<BBBBIBBBBHBHH4xB")  # esp_image_header_t
_SEGMENT = struct.Struct("<II")
_ENTRY = struct.Struct("<2sBBII16sI")  # esp_partition_info_t
_ENTRY_MAGIC, _SUM_MAGIC = b"\xaa\x50", b"\xeb\xeb"
_APPLICATION, _DATA = 0, 1


class WrongFile(Exception):
    """This file must not be written into a reader's board; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Partition:
    """A row of the partition table: type 0 is an application, 1 data; place and length in bytes."""

    kind: int
    offset: int
    size: int
    label: str


@dataclass(frozen=True, slots=True)
class MicroPythonFile:
    """A file that may be written at offset 0."""

    content: bytes
    sha256: str


def read(path: Path, sha256: str | None = None) -> MicroPythonFile:
    """The file at `path`, if it is MicroPython for an ESP32-S3 and, where `sha256` is given, the one that has it.

    Raises WrongFile; OSError when it cannot be read.
    """
    if path.stat().st_size > _LARGEST:
        raise WrongFile(f"{path} is too large to be MicroPython for the ESP32-S3.")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256.strip().lower():
        raise WrongFile(f"{path} is not the file that was meant: its SHA-256 is {found}. Download it again.")
    _check_image(content, 0, "boot loader")
    table = partitions(content[TABLE : TABLE + TABLE_BYTES])
    applications = [entry for entry in table or () if entry.kind == _APPLICATION]
    if not applications:
        raise WrongFile(
            f"{path} holds no partition table where the ESP32-S3 looks for it: take the .bin file that micropython.org "
            "gives for offset 0, not the one for updates over the air."
        )
    _check_image(content, applications[0].offset, "application")
    if f"MicroPython v{VERSION}".encode() not in content:
        raise WrongFile(f"{path} is not MicroPython {VERSION}, which this release of the firmware is made for.")
    return MicroPythonFile(content, found)


def partitions(table: bytes) -> list[Partition] | None:
    """The rows of a partition table; none when it is blank (erased flash), None when it is no table."""
    if not table.strip(b"\xff"):
        return []
    found = list(_rows(table))
    return found or None


def files_at(table: list[Partition]) -> int | None:
    """Where MicroPython keeps its files, in bytes: its partition or, where the table has none, what follows the last
    application. None when the table has neither."""
    for entry in table:
        if entry.kind == _DATA and entry.label in ("vfs", "ffat"):
            return entry.offset
    return max((entry.offset + entry.size for entry in table if entry.kind == _APPLICATION), default=None)


def _rows(table: bytes) -> Iterator[Partition]:
    for at in range(0, len(table) - _ENTRY.size + 1, _ENTRY.size):
        magic, kind, _, offset, size, label, _ = _ENTRY.unpack_from(table, at)
        if magic == _ENTRY_MAGIC:
            yield Partition(kind, offset, size, label.rstrip(b"\0").decode("ascii", "replace"))
        elif magic == _SUM_MAGIC or not table[at : at + _ENTRY.size].strip(b"\xff"):
            return


def _check_image(content: bytes, at: int, what: str) -> None:
    """Header, checksum and, where there is one, hash of the image at `at`, as the chip's own loader checks them."""
    if len(content) < at + _HEADER.size or content[at] != _IMAGE:
        raise WrongFile(f"This is no firmware for an ESP32-S3: there is no {what} at {at:#x}.")
    header = _HEADER.unpack_from(content, at)
    segments, chip, hashed = header[1], header[9], header[13]
    if chip != _ESP32_S3:
        raise WrongFile(f"The {what} is for another chip (number {chip}), not for the ESP32-S3 (number {_ESP32_S3}).")
    end, total = at + _HEADER.size, 0xEF
    for _ in range(segments):
        if len(content) < end + _SEGMENT.size:
            raise _damaged(what)
        _, length = _SEGMENT.unpack_from(content, end)
        end += _SEGMENT.size
        for byte in content[end : end + length]:
            total ^= byte
        end += length
    end += 16 - (end - at) % 16  # the checksum is the last byte of a block of 16
    if len(content) < end + (32 if hashed else 0) or content[end - 1] != total:
        raise _damaged(what)
    if hashed and hashlib.sha256(content[at:end]).digest() != content[end : end + 32]:
        raise _damaged(what)


def _damaged(what: str) -> WrongFile:
    return WrongFile(f"The {what} in this file is damaged or cut short. Download it again.")
