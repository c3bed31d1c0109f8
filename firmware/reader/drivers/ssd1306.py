"""SSD1306 128 x 64 OLED on I2C: a frame buffer of which only the changed columns of changed pages are written.

Solomon Systech SSD1306 rev 1.1: commands in section 9 (table 9-1), I2C framing in 8.1.5, page addressing mode in
10.1.3, charge pump in the application note (power-up sequence).
"""

from micropython import const

WIDTH = const(128)
HEIGHT = const(64)
_PAGES = const(8)

# Control byte, section 8.1.5.2: Co = 0, so all that follows is of one kind.
_COMMANDS = const(0x00)
_DATA = const(0x40)

_START = (
    b"\x00"
    b"\xae"  # display off
    b"\xd5\x80"  # clock: divide 1, oscillator 8
    b"\xa8\x3f"  # multiplex 64
    b"\xd3\x00"  # no offset
    b"\x40"  # start line 0
    b"\x8d\x14"  # charge pump on
    b"\x20\x02"  # page addressing mode
    b"\xa1\xc8"  # segment and row order for this panel
    b"\xda\x12"  # alternative COM pins
    b"\x81\x7f"  # contrast
    b"\xd9\xf1"  # pre-charge for the internal supply
    b"\xdb\x40"  # VCOMH
    b"\xa4\xa6"  # show the RAM, not inverted
)


class SSD1306:
    """`buffer` is MONO_VLSB, 1,024 bytes; `show` writes what differs from the panel. I2C errors are OSError."""

    def __init__(self, i2c, address):
        self._i2c = i2c
        self._address = address
        self.buffer = bytearray(WIDTH * _PAGES)
        self._shown = bytearray(WIDTH * _PAGES)
        self._line = bytearray(WIDTH + 1)
        self._seek = bytearray(4)
        self._known = False  # whether _shown is what the panel holds

    def start(self):
        """Initialise the panel, clear it and switch it on."""
        self._known = False
        self._i2c.writeto(self._address, _START)
        self.show()
        self._i2c.writeto(self._address, b"\x00\xaf")

    def power(self, on):
        """Show what the panel holds, or sleep (10 uA at most, table 12-1) and keep it."""
        self._i2c.writeto(self._address, b"\x00\xaf" if on else b"\x00\xae")

    def show(self):
        """Write the columns that changed since the last time, page by page; returns how many bytes went out."""
        buffer, shown, line = self.buffer, self._shown, self._line
        known = self._known
        self._known = False  # an error half way leaves the panel unknown, so the next call writes all of it
        sent = 0
        for page in range(_PAGES):
            base = page * WIDTH
            left = 0
            right = WIDTH - 1
            if known:
                while left < WIDTH and buffer[base + left] == shown[base + left]:
                    left += 1
                if left == WIDTH:
                    continue
                while buffer[base + right] == shown[base + right]:
                    right -= 1
            count = right - left + 1
            self._seek[0] = _COMMANDS
            self._seek[1] = 0xB0 | page
            self._seek[2] = left & 15
            self._seek[3] = 0x10 | left >> 4
            self._i2c.writeto(self._address, self._seek)
            line[0] = _DATA
            line[1 : count + 1] = memoryview(buffer)[base + left : base + right + 1]
            self._i2c.writeto(self._address, memoryview(line)[: count + 1])
            shown[base + left : base + right + 1] = memoryview(buffer)[base + left : base + right + 1]
            sent += count
        self._known = True
        return sent
