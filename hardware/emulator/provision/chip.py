"""The ESP32-S3 of a board before any MicroPython answers on it, through esptool: looked at, erased and written.

esptool is run as the program it is (GPL-2.0 or later), never imported.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from emulator.provision import micropython
from emulator.provision.board import BoardError

FLASH_MB = 16  # ESP32-S3-WROOM-1 N16R8
_SIZE = re.compile(r"^Detected flash size: (\d+)MB\s*$", re.MULTILINE)
_LITTLEFS, _LITTLEFS_AT = b"littlefs", 8  # in either of the first two blocks (littlefs, SPEC.md, "superblock")
_BLOCK = 4096


class Chip:
    """The chip at `port`; each call connects anew and resets it afterwards. Raises BoardError, as every method does."""

    def __init__(self, port: str, baud: int = 460_800) -> None:
        self._port = port
        self._baud = baud

    def check(self) -> None:
        """See that it is an ESP32-S3 with the flash of a reader's board."""
        said = self._esptool(["flash-id"])
        size = _SIZE.search(said)
        if size is None or int(size[1]) != FLASH_MB:
            has = f"{size[1]} MB" if size else "an unknown size"
            raise BoardError(
                f"The flash of this board has {has}, not {FLASH_MB} MB: a reader has an ESP32-S3-WROOM-1 N16R8. "
                "Nothing was changed."
            )

    def holds_files(self) -> bool:
        """Whether there is a file system where MicroPython keeps its own: it may hold a reader's results."""
        table = micropython.partitions(self._read(micropython.TABLE, micropython.TABLE_BYTES))
        if table is None:
            raise BoardError(
                "Something is on this board that is not MicroPython, so nobody can tell whether it holds results. "
                "Nothing was changed."
            )
        at = micropython.files_at(table)
        if at is None:
            return False
        blocks = self._read(at, 2 * _BLOCK)
        return any(
            blocks[start + _LITTLEFS_AT : start + _LITTLEFS_AT + len(_LITTLEFS)] == _LITTLEFS for start in (0, _BLOCK)
        )

    def write(self, content: bytes) -> None:
        """Erase everything and write `content` to offset 0, byte for byte; esptool compares it afterwards."""
        keep = ["--flash-mode", "keep", "--flash-freq", "keep", "--flash-size", "keep"]
        with tempfile.TemporaryDirectory(prefix="doorstep-flash-") as folder:
            path = Path(folder) / "micropython.bin"  # what was looked through, whatever becomes of the person's file
            path.write_bytes(content)
            self._esptool(["write-flash", "--erase-all", *keep, "0x0", str(path)], show=True)

    def _read(self, at: int, size: int) -> bytes:
        with tempfile.TemporaryDirectory(prefix="doorstep-flash-") as folder:
            path = Path(folder) / "read.bin"
            self._esptool(["read-flash", "--no-progress", hex(at), hex(size), str(path)])
            return path.read_bytes()

    def _esptool(self, command: Sequence[str], *, show: bool = False) -> str:
        """Run esptool; what it said. `show`: its progress goes to standard error, and is not kept."""
        options = ["--chip", "esp32s3", "--port", self._port, "--baud", str(self._baud)]
        done = subprocess.run(
            [sys.executable, "-m", "esptool", *options, *command],
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno() if show else subprocess.PIPE,
            stderr=subprocess.STDOUT if not show else subprocess.PIPE,
            text=True,
            check=False,
        )
        said = (done.stdout or "") + (done.stderr or "" if show else "")
        if done.returncode:
            raise BoardError(_sentence(self._port, said, show))
        return said


def _sentence(port: str, said: str, writing: bool) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = next((line for line in reversed(lines) if "error" in line.lower()), lines[-1] if lines else "no reason")
    if writing:
        return (
            f"The board is erased and not whole: esptool said: {last} Run this again; if it stays, try another cable."
        )
    return (
        f"No ESP32-S3 answers at {port}; esptool said: {last} Hold the board's BOOT button, press RESET, let go of "
        "BOOT, and run this again. Nothing was changed."
    )
