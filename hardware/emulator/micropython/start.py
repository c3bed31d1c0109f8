"""What the board does before boot.py: flash at '/', and asyncio in virtual time; dropped before the firmware runs."""

import os
import sys

import _bench
import vfs
from micropython import const

_BLOCK = const(4096)


def prepare(socket_path, standins, firmware, cells):
    """Make ready to run the firmware in the host folder `firmware` under the bench at `socket_path`, the flash's cells
    in the host file `cells`; what to run."""
    standins = vfs.VfsPosix(standins)
    firmware = vfs.VfsPosix(firmware)
    _bench.connect(socket_path.encode())
    import _board
    import time

    blocks = _bench.struct.unpack_from("<I", _bench.hello, 53)[0]
    wall = _bench.struct.unpack_from("<q", _bench.hello, 64)[0]
    if wall:
        time.set_wall(wall)
    cells = open(cells, "rb")
    vfs.umount("/")
    _mount(_board.Flash(blocks, cells))
    vfs.mount(standins, "/.b")
    vfs.mount(firmware, "/.f")
    sys.path[:] = ["/.b", "/.f", ".frozen"]
    return [path for path in ("/.f/boot.py", "/.f/main.py") if _exists(path)]


def _mount(flash):
    try:
        vfs.mount(flash, "/")
    except OSError:
        first = bytearray(_BLOCK)
        flash.readblocks(0, first)
        if first != b"\xff" * _BLOCK:
            raise  # as the board: a flash that is neither ours nor blank is left for a person to look at
        vfs.VfsLfs2.mkfs(flash)
        vfs.mount(flash, "/")
    os.chdir("/")


def _exists(path):
    try:
        os.stat(path)
    except OSError:
        return False
    return True
