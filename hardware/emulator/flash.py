"""The reader's flash: a file that outlives the process, works as NOR flash does, and can lose power at any write.

Programming can only clear bits and erasing sets a whole block, as on the part; a program that would have to set a bit
stores the AND of old and new, so that firmware that forgets to erase is found out.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

BLOCK = 4096


class Tear(Enum):
    """What the write that loses power leaves behind."""

    NONE = "none"  # nothing of it reached the cells
    PARTIAL = "partial"  # its first part did
    GARBAGE = "garbage"  # its first part did, and the rest of what it touched reads at random


@dataclass
class Counts:
    """Operations since the file was opened."""

    programs: int = 0
    erases: int = 0
    syncs: int = 0
    bytes_programmed: int = 0

    @property
    def writes(self) -> int:
        """Programs, erases and syncs: the points at which power can be cut."""
        return self.programs + self.erases + self.syncs


class PowerLost(Exception):
    """The cut that was asked for has come."""


class Flash:
    """A file of `blocks` blocks of 4096 bytes; created blank (all ones) where there is none."""

    def __init__(self, path: Path, size: int = 2 * 1024 * 1024, seed: int = 0) -> None:
        if size % BLOCK or size <= 0:
            raise ValueError(f"A flash holds whole blocks of {BLOCK} bytes; {size} is not.")
        self.path = path
        self.counts = Counts()
        self.erases_of: dict[int, int] = {}
        self.on_write: Callable[[], None] = lambda: None
        self._random = random.Random(seed)  # noqa: S311  a simulation
        self._cut_in: int | None = None
        self._tear = Tear.NONE
        new = not path.exists()
        self._file = path.open("w+b" if new else "r+b", buffering=0)
        if new:
            self._file.write(b"\xff" * size)  # a reader's process reads the file by itself, so it holds the cells
        self.size = path.stat().st_size

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return self.size // BLOCK

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def cut_after(self, writes: int, tear: Tear = Tear.NONE) -> None:
        """Lose power at the program, erase or sync that follows `writes` further ones, which are completed."""
        self._cut_in = writes
        self._tear = tear

    def keep_power(self) -> None:
        """Forget a cut that has not come yet."""
        self._cut_in = None

    def read(self, block: int, offset: int, size: int) -> bytes:
        """Read; raises OSError beyond the end."""
        at = self._place(block, offset, size)
        self._file.seek(at)
        return self._file.read(size)

    def program(self, block: int, offset: int, data: bytes) -> None:
        """Clear bits. Raises PowerLost if this is the write at which power goes."""
        at = self._place(block, offset, len(data))
        self._file.seek(at)
        old = self._file.read(len(data))
        new = bytes(a & b for a, b in zip(old, data, strict=True))
        if self._cut_now():
            if self._tear is not Tear.NONE:
                kept = self._random.randrange(len(data) + 1)
                rest = old[kept:]
                if self._tear is Tear.GARBAGE:
                    rest = bytes(a & self._random.randrange(256) for a in rest)
                self._store(at, new[:kept] + rest)
            raise PowerLost
        self._store(at, new)
        self.counts.programs += 1
        self.counts.bytes_programmed += len(data)
        self.on_write()

    def erase(self, block: int) -> None:
        """Set every bit of a block."""
        at = self._place(block, 0, BLOCK)
        if self._cut_now():
            if self._tear is Tear.PARTIAL:
                kept = self._random.randrange(BLOCK + 1)
                self._store(at, b"\xff" * kept)
            elif self._tear is Tear.GARBAGE:
                self._store(at, self._random.randbytes(BLOCK))
            raise PowerLost
        self._store(at, b"\xff" * BLOCK)
        self.counts.erases += 1
        self.erases_of[block] = self.erases_of.get(block, 0) + 1
        self.on_write()

    def sync(self) -> None:
        """The file system's sync; the part has no cache, so it only counts and may lose power."""
        if self._cut_now():
            raise PowerLost
        self.counts.syncs += 1
        self.on_write()

    def rot(self, block: int, offset: int, mask: int = 1) -> None:
        """Flip bits of a cell, as age does."""
        at = self._place(block, offset, 1)
        self._store(at, bytes((self.read(block, offset, 1)[0] ^ mask,)))

    def _cut_now(self) -> bool:
        if self._cut_in is None:
            return False
        self._cut_in -= 1
        if self._cut_in >= 0:
            return False
        self._cut_in = None
        return True

    def _place(self, block: int, offset: int, size: int) -> int:
        at = block * BLOCK + offset
        if offset < 0 or size < 0 or at + size > self.size:
            raise OSError(22, f"flash access beyond its end: block {block}, offset {offset}, {size} bytes")
        return at

    def _store(self, at: int, cells: bytes) -> None:
        self._file.seek(at)
        self._file.write(cells)
