"""Fills a reader's journal with sealed results by the firmware's own journal and seal, without running tests."""

import asyncio
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .. import image
from ..bench import Bench
from ..power import ReaderError
from ..process import LAUNCH, module_folder
from ..reader import EmulatedReader
from ..wiring import FIRMWARE

_FILL_S = 1200.0

# In one process, its flash in memory: ten thousand records through the bench's sockets would take most of an hour.
_MAIN = """
import gc
import os
import sys
import vfs

BLOCK = 4096
with open({cells!r}, "rb") as file:
    cells = bytearray({size})
    file.readinto(cells)


class Flash:
    def readblocks(self, block, buf, offset=0):
        at = block * BLOCK + offset
        buf[:] = memoryview(cells)[at : at + len(buf)]

    def writeblocks(self, block, buf, offset=0):
        at = block * BLOCK + offset
        cells[at : at + len(buf)] = buf

    def ioctl(self, op, arg):
        if op == 4:
            return len(cells) // BLOCK
        if op == 5:
            return BLOCK
        if op == 6:
            cells[arg * BLOCK : (arg + 1) * BLOCK] = b"\\xff" * BLOCK
        return 0


host = vfs.VfsPosix("/")
vfs.umount("/")
vfs.mount(host, "/.host")
vfs.mount(Flash(), "/")
sys.path[:] = ["/.host" + {firmware!r}, ".frozen"]

from reader import settings
from reader.custody import Recorder, genesis
from reader.identity import Identity
from reader.journal import Journal

identity = Identity(settings.ROOT)
journal = Journal(settings.JOURNAL, genesis(identity.reader_id))
recorder = Recorder(identity, journal, os.urandom)
number = 0
for _ in range({count}):
    number = recorder.write({plaintext!r})
vfs.umount("/")
with open("/.host" + {cells!r}, "wb") as file:
    file.write(cells)
print("filled to", number)
"""


async def fill(bench: Bench, reader: EmulatedReader, plaintext: bytes, count: int) -> int:
    """Append `count` records of `plaintext` to the journal of an enrolled reader that is off; the last number.

    Raises ReaderError with the console when the firmware refuses.
    """
    if reader.powered:
        raise ReaderError(f"{reader.name} is on: cut its power before its journal is filled.")
    return await asyncio.to_thread(_fill, reader, plaintext, count)


def _fill(reader: EmulatedReader, plaintext: bytes, count: int) -> int:
    with tempfile.TemporaryDirectory(prefix="doorstep-fill-") as folder:
        firmware, cells = Path(folder) / "firmware", Path(folder) / "cells"
        shutil.copytree(FIRMWARE, firmware, ignore=shutil.ignore_patterns("__pycache__"))
        main = firmware / "main.py"
        names = {"cells": str(cells), "size": reader.flash.size, "count": count, "plaintext": plaintext}
        main.write_text(_MAIN.format(firmware="", **names), encoding="utf-8")
        built = image.build(firmware)  # with what the program reads in it
        main.write_text(_MAIN.format(firmware=str(built), **names), encoding="utf-8")
        cells.write_bytes(reader.flash.path.read_bytes())
        done = subprocess.run(
            [sys.executable, "-S", "-c", LAUNCH, module_folder(), "-X", "heapsize=64M", str(main)],
            capture_output=True, text=True, timeout=_FILL_S, check=False,
        )  # fmt: skip
        said = [line for line in done.stdout.splitlines() if line.startswith("filled to ")]
        if done.returncode or not said:
            raise ReaderError(f"{reader.name}: its journal was not filled:\n{done.stdout}{done.stderr}")
        _write(reader.flash.path, cells.read_bytes())
        return int(said[-1].split()[-1])


def _write(path: Path, data: bytes) -> None:
    # In place: the reader has the file open.
    with path.open("r+b") as file:
        file.write(data)
