"""A board as the bench's tests have a reader: the application runs on it, its screen is read, a jig is its hands.

The application is started from MicroPython's prompt, unmodified, with one more task beside its own: that sends the
picture that the firmware drew, whenever it has changed, and restarts the board when told. So what is seen is what the
firmware drew; that the display shows it, the production test asks a person.
"""

import asyncio
import binascii
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Self

from serial import Serial, SerialException

from emulator import screen
from emulator.at_hand import Jig
from emulator.power import ReaderError
from emulator.provision.board import Board, BoardError

_PICTURE = b"~"
_START = """
import asyncio, binascii, bluetooth, gc, machine, select, sys
bluetooth.BLE().active(False)
gc.threshold(2048)
from reader import app as _application
_reader = _application.App()
_reader.start()
async def _show():
    told = select.poll()
    told.register(sys.stdin, select.POLLIN)
    before = None
    while True:
        picture = binascii.b2a_base64(_reader.parts.screen.fb)
        if picture != before:
            before = picture
            sys.stdout.write('~')
            sys.stdout.write(picture)
        if told.poll(0) and sys.stdin.read(1) == 'r':
            machine.reset()
        await asyncio.sleep_ms(100)
async def _both():
    asyncio.create_task(_show())
    await _reader.run()
asyncio.run(_both())
"""


class NoJig(Exception):
    """The test needs hands, and there is no jig."""


class BoardReader:
    """`async with BoardReader(port, jig) as reader:` A `ReaderAtHand`. The board has to be a reader already.

    Raises BoardError while it is started, ReaderError when it does not do what was waited for, NoJig for what needs
    one.
    """

    def __init__(self, port: str, jig: Jig | None = None) -> None:
        self._port = port
        self._jig = jig
        self._pixels = bytes(screen.WIDTH * screen.HEIGHT)
        self._said: deque[str] = deque(maxlen=100)
        self._transport: Any = None
        self._over = threading.Event()
        self._listener: threading.Thread | None = None

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._start)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._stop)

    # Hands

    async def press(self, button: str, ms: int = 80) -> None:
        """Press button "A" or "B" for `ms` milliseconds."""
        jig = self._need_jig()
        await asyncio.to_thread(jig.press, button, True)
        await asyncio.sleep(ms / 1000)
        await asyncio.to_thread(jig.press, button, False)

    def scan(self, text: str | bytes) -> None:
        """Send a code as the scanner does."""
        self._need_jig().scan((text.encode() if isinstance(text, str) else text) + b"\r\n")

    def open_lid(self) -> None:
        """Open the lid's switch; no light comes in."""
        self._need_jig().lid(True)

    def close_lid(self) -> None:
        """Close the lid's switch."""
        self._need_jig().lid(False)

    def _need_jig(self) -> Jig:
        if self._jig is None:
            raise NoJig("This needs hands at the board: give --jig PORT (docs/jig.md).")
        return self._jig

    # Eyes

    def screen_text(self) -> str:
        """What the firmware last drew, as up to eight lines of text."""
        return screen.read(self._pixels)

    async def wait_for(
        self, predicate: Callable[[], bool], timeout: float = 10, what: str = "what was waited for"
    ) -> None:
        """Wait until `predicate()` holds."""
        until = time.monotonic() + timeout
        while not predicate():
            if time.monotonic() > until:
                said = "\n".join(self._said)
                raise ReaderError(f"The board at {self._port} waits for {what}:\n{self.screen_text()}\n{said}")
            await asyncio.sleep(0.05)

    async def wait_for_text(self, text: str, timeout: float = 10) -> None:
        """Wait until the firmware has drawn `text`."""
        await self.wait_for(lambda: text in self.screen_text(), timeout, f"the screen text {text!r}")

    # The port

    def _start(self) -> None:
        board = Board(self._port)
        with board:
            found = board.look()
            if not found.reader or found.half_done or found.half_deployed:
                raise BoardError("This board is no reader. Set it up with doorstep reader provision.")
            board.reset()
            board.begin(_START)
            self._transport = board.release()
        self._over.clear()
        self._listener = threading.Thread(target=self._listen, args=(self._transport.serial,))
        self._listener.start()

    def _stop(self) -> None:
        self._over.set()
        if self._listener is not None:
            self._listener.join()
            self._listener = None
        if self._transport is not None:
            try:
                self._transport.serial.write(b"r")  # it restarts, and its own main.py starts it
                self._transport.close()
            except (SerialException, OSError) as error:
                self._said.append(f"[{self._port}] {error}")
            self._transport = None

    def _listen(self, serial: Serial) -> None:
        rest = b""
        while not self._over.is_set():
            try:
                rest += serial.read(max(1, serial.in_waiting)) or b""
            except (SerialException, OSError) as error:
                self._said.append(f"[{self._port}] {error}")
                return
            *lines, rest = rest.split(b"\n")
            for line in lines:
                self._take(line.strip())

    def _take(self, line: bytes) -> None:
        start = line.rfind(_PICTURE)
        if start < 0:
            self._said.append(line.decode(errors="replace"))
            return
        try:
            columns = binascii.a2b_base64(line[start + 1 :])
        except binascii.Error:
            return  # a line that another print broke into; the next change brings another
        if len(columns) == screen.WIDTH * screen.HEIGHT // 8:
            self._pixels = _rows(columns)


def _rows(columns: bytes) -> bytes:
    """A byte a pixel, row by row, of a frame buffer (MONO_VLSB: eight rows a byte, the uppermost lowest)."""
    return bytes(
        columns[(y // 8) * screen.WIDTH + x] >> (y % 8) & 1 for y in range(screen.HEIGHT) for x in range(screen.WIDTH)
    )
