"""A USB cable to an emulated reader: a serial port at which MicroPython's prompt answers, as at a board's.

What is at the port is a board that does not start by itself: no `boot.py`, no `main.py`. The parts of the bench are on
it, and its application is what was written to its flash.
"""

import os
import pty
import tty
from types import TracebackType
from typing import Self


class Cable:
    """`with Cable() as cable:` gives `cable.port`, for whoever is at the computer, and `cable.terminal`, for
    `Bench.add_reader`."""

    def __enter__(self) -> Self:
        # The computer's end stays open here too, so that it may come and go: without it the reader's end would read an
        # end of file.
        self.terminal, self._computer = pty.openpty()
        tty.setraw(self._computer)
        self.port = os.ttyname(self._computer)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.terminal)
        os.close(self._computer)
