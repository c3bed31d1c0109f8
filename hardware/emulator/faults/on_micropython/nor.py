"""The reader's flash in memory, for MicroPython: NOR cells under littlefs, a log of what was written, counts, and
what the operations would have cost on the part.

Programming only clears bits; a program that would have to set one is an error of whoever forgot to erase. Costs are
of the W25Q128JV (AC characteristics, typical and greatest): 0.4 and 3 ms to program a page of 256 bytes, 45 and
400 ms to erase a sector of 4,096, 40 MB/s to read on four lines at 80 MHz, with 20 us for each call of the driver, as
the bench charges them (hardware/emulator/micropython/start.py).
"""

import sys

import vfs

BLOCK = 4096
_READ, _PROGRAM, _ERASE, _SYNC = 0, 1, 2, 3
KINDS = ("read", "program", "erase", "sync")


class Flash:
    """A block device of whole blocks in `image` (bytearray). `log` gets (kind, place, bytes) of each write."""

    def __init__(self, image, log=None):
        self.image = image
        self.log = log
        self.counts = [0, 0, 0, 0]
        self.us = 0
        self.worst_us = 0
        self.read_bytes = 0
        self.erased = None  # erases of each block, once `count_erases` was called

    def count_erases(self):
        self.erased = [0] * (len(self.image) // BLOCK)

    def readblocks(self, block, buffer, offset=0):
        at = block * BLOCK + offset
        size = len(buffer)
        buffer[:] = memoryview(self.image)[at : at + size]
        self.counts[_READ] += 1
        self.read_bytes += size
        cost = 20 + size // 40
        self.us += cost
        self.worst_us += cost

    def writeblocks(self, block, buffer, offset=0):
        at = block * BLOCK + offset
        size = len(buffer)
        if self.log is not None:
            old = int.from_bytes(self.image[at : at + size], "big")
            new = int.from_bytes(buffer, "big")
            if old & new != new:
                raise ValueError("block %d was programmed without being erased" % block)
            self.log.append((_PROGRAM, at, bytes(buffer)))
        self.image[at : at + size] = buffer
        self.counts[_PROGRAM] += 1
        pages = (offset + size + 255) // 256 - offset // 256
        # The typical time is nearly all of it the cells', so a part of a page costs its share, at least a tenth.
        self.us += 30 + max(40 * pages, size * 8 // 5)
        self.worst_us += 30 + 3000 * pages

    def ioctl(self, request, argument):
        if request == 4:
            return len(self.image) // BLOCK
        if request == 5:
            return BLOCK
        if request == 3:
            self.counts[_SYNC] += 1
            if self.log is not None:
                self.log.append((_SYNC, 0, b""))
        if request == 6:
            at = argument * BLOCK
            if self.log is not None:
                self.log.append((_ERASE, at, b"\xff" * BLOCK))
            self.image[at : at + BLOCK] = b"\xff" * BLOCK
            self.counts[_ERASE] += 1
            self.us += 45000
            self.worst_us += 400000
            if self.erased is not None:
                self.erased[argument] += 1
        return 0


def blank(blocks):
    """An erased image, formatted."""
    image = bytearray(b"\xff" * (BLOCK * blocks))
    vfs.VfsLfs2.mkfs(Flash(image))
    return image


def board(firmware):
    """Make this process's file tree the board's: the flash goes to "/", the host's firmware stays readable."""
    host = vfs.VfsPosix(firmware)
    here = vfs.VfsPosix(sys.path[0])
    vfs.umount("/")
    vfs.mount(host, "/.firmware")
    vfs.mount(here, "/.faults")
    sys.path[:] = ["/.firmware", "/.faults", ".frozen"]


def mount(device):
    """Put a flash in; OSError when littlefs finds no file system on it."""
    vfs.mount(vfs.VfsLfs2(device), "/")


def unmount():
    vfs.umount("/")


class Chance:
    """Numbers from a seed, the same on every machine (a linear congruential generator, Numerical Recipes)."""

    def __init__(self, seed):
        self._state = (seed * 2654435761 + 12345) & 0xFFFFFFFF

    def below(self, bound):
        self._state = (self._state * 1664525 + 1013904223) & 0xFFFFFFFF
        return (self._state >> 8) % bound

    def bytes(self, count):
        return bytes([self.below(256) for _ in range(count)])


TEARS = ("nothing written", "a part written", "a part written and garbage in the rest")


def tear(image, write, way, chance):
    """Apply a write that lost its power to `image`, as TEARS[way] says."""
    kind, at, data = write
    size = len(data)
    if way == 0 or size == 0:
        return
    kept = chance.below(size)
    image[at : at + kept] = data[:kept]
    if way == 2:
        # Cells that were being moved: a program has cleared some of them, an erase leaves any of them anyhow.
        for place in range(kept, size):
            noise = chance.below(256)
            image[at + place] = noise if kind == _ERASE else image[at + place] & (noise | data[place])


def apply(image, write):
    """Apply a whole write."""
    _, at, data = write
    image[at : at + len(data)] = data
