"""A board at a serial port without a board: real MicroPython with littlefs on a file, its REPL on a pseudo-terminal.

`machine.reset()` ends the process and another begins on the same port and the same flash, which is what a person sees
of a board that is reset. There is no radio and no instrument, so what is written is not started.

Given a `RomChip`, the same port is esptool's too. It resets a chip into its ROM by the lines RTS and DTR, which a
pseudo-terminal does not have: here the first bytes of esptool's greeting do.
"""

import os
import pty
import select
import shutil
import subprocess
import sys
import threading
import tty
from pathlib import Path

from rom_chip import SYNC, RomChip

_BLOCKS = 1024
_START = """
import os, sys, vfs

class Cells:
    def __init__(self, path):
        self.file = open(path, "r+b")
    def readblocks(self, block, buf, offset=0):
        self.file.seek(block * 4096 + offset)
        self.file.readinto(buf)
    def writeblocks(self, block, buf, offset=None):
        self.file.seek(block * 4096 + (offset or 0))
        self.file.write(buf)
    def ioctl(self, op, arg):
        if op == 3:
            self.file.flush()
        elif op == 4:
            return {blocks}
        elif op == 5:
            return 4096
        elif op == 6:
            self.file.seek(arg * 4096)
            self.file.write(b"\\xff" * 4096)
        return 0

class Machine:
    @staticmethod
    def reset():
        cells.file.flush()
        sys.exit()

cells = Cells({path!r})
sys.modules["machine"] = Machine
vfs.umount("/")
try:
    vfs.mount(cells, "/")
except OSError:
    vfs.VfsLfs2.mkfs(cells)
    vfs.mount(cells, "/")
os.chdir("/")
sys.path[:] = ["", ".frozen", "/lib"]
"""


class PtyBoard:
    """`with PtyBoard(folder) as board:` gives `board.port`. `resets` and `sent` (bytes to it) count; at `cut_at` bytes
    it is unplugged. `blank`: there is no MicroPython on its `chip`."""

    def __init__(self, folder: Path, chip: RomChip | None = None, blank: bool = False) -> None:
        self.chip = chip
        self._downloading = threading.Event()
        if blank:
            self._downloading.set()
        self._cells = folder / "flash.bin"
        self._script = folder / "start.py"
        self.resets = -1
        self.sent = 0
        self.cut_at: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "PtyBoard":
        if not self._cells.exists():
            self._cells.write_bytes(b"\xff" * (4096 * _BLOCKS))
        self._script.write_text(_START.format(blocks=_BLOCKS, path=str(self._cells)))
        self._inside = pty.openpty()
        self._outside = pty.openpty()
        for pair in (self._inside, self._outside):
            tty.setraw(pair[1])  # a serial line changes no byte
        self.port = os.ttyname(self._outside[1])
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run), threading.Thread(target=self._carry)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._process is not None:
            self._process.kill()
        for thread in self._threads:
            thread.join()
        for end in (*self._inside, *self._outside):
            os.close(end)

    def _run(self) -> None:
        """Start MicroPython, and again after each reset."""
        command = shutil.which("micropython", path=str(Path(sys.executable).parent))
        assert command is not None
        while not self._over.is_set():
            if self._downloading.is_set():
                self._over.wait(0.05)
                continue
            self.resets += 1
            ends = self._inside[1]
            self._process = subprocess.Popen(
                [command, "-X", "heapsize=8M", "-i", str(self._script)], stdin=ends, stdout=ends, stderr=ends
            )
            self._process.wait()

    def _carry(self) -> None:
        """Bytes from each side to the other, as a cable does."""
        inside, outside = self._inside[0], self._outside[0]
        while not self._over.is_set():
            ready, _, _ = select.select([inside, outside], [], [], 0.05)
            for end in ready:
                data = os.read(end, 4096)
                if end == inside:
                    os.write(outside, data)
                    continue
                self.sent += len(data)
                if self.cut_at is not None and self.sent >= self.cut_at:
                    self._over.set()
                    if self._process is not None:
                        self._process.kill()
                    return
                if self.chip is not None and SYNC in data:
                    self._downloading.set()
                    if self._process is not None:
                        self._process.kill()
                    self.chip.restart()
                if self.chip is not None and self._downloading.is_set():
                    os.write(outside, self.chip.answer(data))
                else:
                    os.write(inside, data)
