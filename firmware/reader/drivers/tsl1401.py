"""TSL1401 linear array: 128 pixels of the strip window, one analogue value a clock.

ams TSL1401CL datasheet v1-00: SI high over a rising CLK starts a read-out and the next integration (figure 12,
operational waveforms); pixel 1 is on AO after that edge; 129 clocks are needed to end the read-out and the 18
first of them reset the integrators, so integration is the time from SI to SI less 18 clocks.
"""

from micropython import const

PIXELS = const(128)


class TSL1401:
    """`ao` is a machine.ADC, `si` and `clk` output pins. Values are the ADC's 16-bit scale."""

    def __init__(self, ao, si, clk):
        self._ao = ao
        self._si = si
        self._clk = clk
        si.value(0)
        clk.value(0)

    def _begin(self):
        si, clk = self._si, self._clk
        si.value(1)
        clk.value(1)
        si.value(0)

    def flush(self):
        """Clock out and drop what has gathered; the integration that counts begins here."""
        clk = self._clk
        self._begin()
        for _ in range(PIXELS):
            clk.value(0)
            clk.value(1)
        clk.value(0)

    def read_into(self, sums):
        """Read one frame and add each pixel to `sums` (array of at least 32 bits, length PIXELS)."""
        clk, read = self._clk, self._ao.read_u16
        self._begin()
        for i in range(PIXELS):
            # AO settles in 120 ns (typical, to 1 %), far less than one of these calls.
            sums[i] += read()
            clk.value(0)
            clk.value(1)
        clk.value(0)
