"""`neopixel` over the bench: one WS2812 or more on a pin."""

import _bench
from micropython import const

_NEOPIXEL = const(131)


class NeoPixel:
    def __init__(self, pin, n):
        self.pin = pin
        self.buf = bytearray(n * 3)

    def __setitem__(self, i, colour):
        # On the wire a WS2812 takes green first.
        for at, value in enumerate((colour[1], colour[0], colour[2])):
            self.buf[3 * i + at] = value

    def write(self):
        _bench.send(_NEOPIXEL, "B%ds" % len(self.buf), self.pin.id, self.buf)
