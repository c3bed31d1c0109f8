"""One emulated reader on the bench: the hands that use it and the eyes that watch it."""

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path

from . import screen
from .calls import Event, ResetCause
from .flash import Tear
from .physics import Strip, Tube
from .power import Memory, PoweredReader, ReaderError
from .process import ReaderProcess

__all__ = ["EmulatedReader", "Memory", "ReaderError"]

_LOADER = """
import os
for path, data in {files!r}.items():
    parts = path.strip("/").split("/")
    for i in range(1, len(parts)):
        try:
            os.mkdir("/" + "/".join(parts[:i]))
        except OSError as error:
            if error.errno != 17:
                raise
    with open(path, "wb") as file:
        file.write(data)
print("loaded")
"""


class EmulatedReader(PoweredReader):
    """A reader on the bench. `speed` hurries its time; while a hub is connected it runs at 1, as the hub does."""

    _read: tuple[int, str] | None = None  # the picture that was read last, and what it says

    # Hands

    async def press(self, button: str, ms: int = 80) -> None:
        """Press button "A" or "B" for `ms` of the reader's milliseconds; returns when its interrupts have seen it."""
        pin = {"A": self.board.BUTTON_A, "B": self.board.BUTTON_B}[button]
        self._input(pin, 0)
        if await self.seen() is not None:
            await self.let_pass(ms / 1000)
        self._input(pin, 1)
        await self.seen()

    def _input(self, pin: int, level: int) -> None:
        self.circuit.set_input(pin, level)
        if pin in self._wake_pins:
            self._wake.set()

    def scan(self, text: str | bytes) -> None:
        """Hold a code before the scanner."""
        self.circuit.scanner.scan(text)

    def open_lid(self) -> None:
        """Open the lid: light comes in."""
        self.circuit.advance()
        self.circuit.world.lid_open = True
        self._input(self.board.LID, 1)

    def close_lid(self) -> None:
        """Close the lid."""
        self.circuit.advance()
        self.circuit.world.lid_open = False
        self._input(self.board.LID, 0)

    def insert_strip(self, strip: Strip) -> None:
        """Put a cassette in the tray."""
        self.circuit.world.strip = strip
        self._input(self.board.STRIP_PRESENT, 0)

    def remove_strip(self) -> None:
        """Take the cassette out."""
        self.circuit.world.strip = None
        self._input(self.board.STRIP_PRESENT, 1)

    def insert_tube(self, tube: Tube, well: str = "sample") -> None:
        """Put a tube into the "sample" or the "control" well."""
        self._set_tube(well, tube)

    def remove_tube(self, well: str = "sample") -> None:
        """Take a tube out."""
        self._set_tube(well, None)

    def _set_tube(self, well: str, tube: Tube | None) -> None:
        self.circuit.advance()
        if well == "sample":
            self.circuit.world.sample_tube = tube
        elif well == "control":
            self.circuit.world.control_tube = tube
        else:
            raise ValueError(f'A well is "sample" or "control"; {well!r} is not.')

    def cut_power_after(self, writes: int, tear: Tear = Tear.NONE) -> None:
        """Lose power at the flash write, erase or sync that follows `writes` further ones."""
        self.flash.cut_after(writes, tear)

    async def write_files(self, files: Mapping[str, bytes]) -> None:
        """Put files on its flash while it is off, as provisioning does: path ("/identity.cbor") to content.

        Folders are made; the flash is formatted if it is blank. Raises ReaderError with the console if it fails.
        """
        if self._power:
            raise ReaderError(f"{self.name} is on: cut its power before its flash is written from outside.")
        with tempfile.TemporaryDirectory(prefix="doorstep-files-") as folder:
            # Not through the image cache: what is provisioned may be secret.
            (Path(folder) / "main.py").write_text(_LOADER.format(files=dict(files)), encoding="utf-8")
            said: list[str] = []
            self._cause, self._wake_reason = ResetCause.PWRON, 0
            process = ReaderProcess(Path(folder), "4M", self._handle, said.append, self.flash.path, compiled=True)
            await process.start()
            async with asyncio.timeout(30):
                code = await process.wait()
        if code or "loaded" not in said:
            raise ReaderError(f"{self.name}: its flash could not be written:\n" + "\n".join(said))

    # Eyes

    def screen_text(self) -> str:
        """What the display says, as up to eight lines of text."""
        display = self.circuit.display
        if self._read is None or self._read[0] != display.version:
            self._read = (display.version, screen.read(display.pixels()))
        return self._read[1]

    def screen_png(self, path: Path, scale: int = 4) -> None:
        """Save the display as a picture."""
        screen.save(self.circuit.display.pixels(), path, scale)

    @property
    def resting(self) -> bool:
        """Whether it has put its screen and its scanner to sleep."""
        return self.circuit.scanner.asleep and not self.circuit.display.on

    @property
    def buzzer_hz(self) -> int:
        """The tone that sounds; 0 for silence."""
        return self.circuit.buzzer_hz

    @property
    def status_led(self) -> tuple[int, int, int]:
        """Red, green and blue of the status LED."""
        return self.circuit.status_led

    async def measure_heap(self, timeout: float = 10) -> Memory:
        """Have the process collect its garbage and report; it answers when it next looks at its events."""
        self.memory = None
        self._push(Event.MEMORY, b"")
        await self.wait_for(lambda: self.memory is not None, timeout=timeout, what="a report of its heap")
        assert self.memory is not None
        return self.memory

    async def wait_for_text(self, text: str, timeout: float = 10) -> None:
        """Wait until the display shows `text`."""
        await self.wait_for(lambda: text in self.screen_text(), timeout, f"the screen text {text!r}")

    async def wait_for_console(self, text: str, timeout: float = 10) -> None:
        """Wait until a console line holds `text`."""
        await self.wait_for(lambda: any(text in line for line in self.console), timeout, f"the console line {text!r}")

    async def wait_for_exit(self, timeout: float = 10) -> int:
        """Wait until the process has ended by itself; its exit code."""
        await self.wait_for(lambda: self.exit_code is not None, timeout, "the end of its process")
        assert self.exit_code is not None
        return self.exit_code
