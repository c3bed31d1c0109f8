"""What stays of the start: the flash as littlefs sees it, and asyncio's waiting in virtual time."""

import asyncio.core as core

import _bench
from micropython import const

_FLASH_PROG = const(5)
_FLASH_ERASE = const(6)
_FLASH_SYNC = const(7)
_BLOCK = const(4096)

_AHEAD_US = _bench.base + 3600 * 1000000


class Flash:
    """The board's `vfs` partition: an esp32.Partition of subtype vfs as its block device methods behave."""

    def __init__(self, blocks, cells):
        self.blocks = blocks
        self.cells = cells  # the host's file, which only the bench writes

    def readblocks(self, block, buf, offset=0):
        self.cells.seek(block * _BLOCK + offset)
        if self.cells.readinto(buf) != len(buf):
            raise OSError(22)  # beyond its end
        _bench.charge(20 + len(buf) // 20)  # 40 MB/s on four lines, and the driver's overhead

    def writeblocks(self, block, buf, offset=None):
        if offset is None:  # the simple interface erases by itself
            self.ioctl(6, block)
            offset = 0
        try:
            _bench.ask(_FLASH_PROG, "<II", block, offset, data=buf)
        except OSError as error:
            # As a number: an exception would leap over littlefs, which then closes its open file in the collector.
            return -error.errno
        _bench.charge(30 + len(buf) * 8 // 5)  # 0.4 ms a page of 256 bytes (W25Q128JV, AC characteristics, typical)

    def ioctl(self, op, arg):
        if op == 3:
            _bench.ask(_FLASH_SYNC, "")
        elif op == 4:
            return self.blocks
        elif op == 5:
            return _BLOCK
        elif op == 6:
            try:
                _bench.ask(_FLASH_ERASE, "<I", arg)
            except OSError as error:
                return -error.errno
            _bench.charge(45000)  # sector erase, typical
        return 0


class IOQueue(core.IOQueue):
    def wait_io_event(self, dt):
        # The core looks at its tasks again only if dt > 0; for dt < 0 this has to stay until one is ready.
        if dt == 0:
            _bench.tick()
        while True:
            if self.map:
                super().wait_io_event(0)
            task = core._task_queue.peek()
            if dt == 0 or (task and core.ticks_diff(task.ph_key, core.ticks()) <= 0):
                return
            _bench.wait(dt * 1000 if dt > 0 else -1)
            if dt > 0:
                dt = 0


# The task queue is C and stamps a task that is ready at once with the real clock; those that sleep are stamped
# here. An hour ahead of the real clock, what is ready at once always counts as due, at any speed.
core.ticks = lambda: (_bench.now() + _AHEAD_US) // 1000
core.IOQueue = IOQueue
core.new_event_loop()
