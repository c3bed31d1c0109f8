"""SSD1306 OLED controller, 128 x 64, on I2C (Solomon Systech rev 1.1: commands in table 9-1, addressing in 10.1.3)."""

from collections.abc import Callable

WIDTH = 128
PAGES = 8

# Commands that take parameters: number of bytes that follow.
_PARAMETERS = {
    0x20: 1, 0x21: 2, 0x22: 2, 0x26: 6, 0x27: 6, 0x29: 5, 0x2A: 5, 0x81: 1, 0x8D: 1,
    0xA3: 2, 0xA8: 1, 0xD3: 1, 0xD5: 1, 0xD9: 1, 0xDA: 1, 0xDB: 1,
}  # fmt: skip
# A column of a page by the level of each of its bits, and with the bits turned over.
_LEVEL = [bytes(value >> bit & 1 for value in range(256)) for bit in range(8)]
_INVERSE = bytes(255 - value for value in range(256))


class Ssd1306:
    """Display RAM and what of it can be seen; `on_change` is called after each transaction that changed it."""

    def __init__(self) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self.version = 0  # another one whenever what is seen may be another picture
        self.reset()

    def reset(self) -> None:
        """Power-up state."""
        self.version += 1
        self.ram = bytearray(WIDTH * PAGES)
        self.on = False
        self.pump = False
        self.inverse = False
        self.all_on = False
        self.contrast = 0x7F
        self._mode = 2
        self._columns = (0, WIDTH - 1)
        self._pages = (0, PAGES - 1)
        self._column = 0
        self._page = 0
        self._segment_remap = False
        self._scan_down = False
        self._pending = bytearray()

    def write(self, data: bytes) -> None:
        """A control byte (Co, D/C#) and what it announces (datasheet 8.1.5.2)."""
        at = 0
        changed = False
        while at < len(data):
            control = data[at]
            at += 1
            if control & 0x80:
                rest, at = data[at : at + 1], at + 1
            else:
                rest, at = data[at:], len(data)
            if control & 0x40:
                for value in rest:
                    self._store(value)
                changed = True
            else:
                for value in rest:
                    self._command(value)
                changed = True
        if changed:
            self.version += 1
            self.on_change()

    def read(self, size: int) -> bytes:
        """Status byte: bit 6 set while the display is off (datasheet table 9-2)."""
        return bytes((0x00 if self.on else 0x40,)) * size

    def pixels(self) -> bytes:
        """WIDTH x 64 bytes, 1 for a lit pixel, row by row as a person sees it; all dark when off."""
        if not self.on or not self.pump:
            return bytes(WIDTH * PAGES * 8)
        columns = b"\xff" * len(self.ram) if self.all_on else bytes(self.ram)
        if self.inverse:
            columns = columns.translate(_INVERSE)
        rows: list[bytes] = []
        for page in range(PAGES):
            across = columns[page * WIDTH : (page + 1) * WIDTH]
            # This module is mounted so that remap and downward scan together give an upright picture.
            if not self._segment_remap:
                across = across[::-1]
            rows += [across.translate(level) for level in _LEVEL]
        return b"".join(rows if self._scan_down else reversed(rows))

    def _store(self, value: int) -> None:
        self.ram[self._page * WIDTH + self._column] = value
        if self._mode == 2:
            self._column = (self._column + 1) % WIDTH
        elif self._mode == 0:
            self._column += 1
            if self._column > self._columns[1]:
                self._column = self._columns[0]
                self._page = self._page + 1 if self._page < self._pages[1] else self._pages[0]
        else:
            self._page += 1
            if self._page > self._pages[1]:
                self._page = self._pages[0]
                self._column = self._column + 1 if self._column < self._columns[1] else self._columns[0]

    def _command(self, value: int) -> None:
        self._pending.append(value)
        command = self._pending[0]
        if len(self._pending) <= _PARAMETERS.get(command, 0):
            return
        parameters = bytes(self._pending[1:])
        self._pending.clear()
        if command <= 0x0F:
            self._column = self._column & 0xF0 | command
        elif command <= 0x1F:
            self._column = (command & 0x07) << 4 | self._column & 0x0F
        elif command == 0x20:
            self._mode = parameters[0] & 3
        elif command == 0x21:
            self._columns = (parameters[0] & 0x7F, parameters[1] & 0x7F)
            self._column = self._columns[0]
        elif command == 0x22:
            self._pages = (parameters[0] & 7, parameters[1] & 7)
            self._page = self._pages[0]
        elif command == 0x81:
            self.contrast = parameters[0]
        elif command == 0x8D:
            self.pump = bool(parameters[0] & 0x04)
        elif command in (0xA0, 0xA1):
            self._segment_remap = bool(command & 1)
        elif command in (0xA4, 0xA5):
            self.all_on = bool(command & 1)
        elif command in (0xA6, 0xA7):
            self.inverse = bool(command & 1)
        elif command in (0xAE, 0xAF):
            self.on = bool(command & 1)
        elif 0xB0 <= command <= 0xB7:
            self._page = command & 7
        elif command in (0xC0, 0xC8):
            self._scan_down = bool(command & 8)
