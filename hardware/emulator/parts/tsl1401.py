"""TSL1401 linear array, 128 pixels (TAOS TAOS041, figure 1 and functional description).

A rising CLK with SI high latches what the pixels have gathered and puts pixel 1 on AO; each further rising CLK the
next; the 129th puts AO in high impedance. The new integration starts after the 18th rising CLK and ends at the next SI.
"""

from collections.abc import Callable

PIXELS = 128
_RESET_CLOCKS = 18
DARK_V = 0.10
SATURATION_V = 2.90  # at 3.3 V supply; just under the ADC's full scale at 11 dB
SATURATION_EXPOSURE_S = 0.010  # seconds of full LED on a perfect white


class Tsl1401:
    """`light()` gives LED and ambient light summed over time, in seconds of full LED; `scene()` 128 reflectances."""

    def __init__(self, light: Callable[[], tuple[float, float]], scene: Callable[[], list[float]]) -> None:
        self._light = light
        self._scene = scene
        self.reset()

    def reset(self) -> None:
        """Power-up."""
        self._si = 0
        self._clk = 0
        self._clocks = 1000
        self._started = (0.0, 0.0)
        self._latched = [DARK_V] * PIXELS

    def si(self, level: int) -> None:
        """The SI pin."""
        self._si = level

    def clk(self, level: int) -> None:
        """The CLK pin."""
        rising = level and not self._clk
        self._clk = level
        if not rising:
            return
        if self._si:
            self._latch()
            self._clocks = 1
        else:
            self._clocks += 1
        if self._clocks == _RESET_CLOCKS:
            self._started = self._light()

    def _latch(self) -> None:
        led, ambient = self._light()
        lit = max(0.0, led - self._started[0])
        leaked = max(0.0, ambient - self._started[1])
        span = SATURATION_V - DARK_V
        scene = self._scene()
        self._latched = [DARK_V + span * min(1.0, (lit * value + leaked) / SATURATION_EXPOSURE_S) for value in scene]

    def volts(self) -> float:
        """AO; it floats near ground past the last pixel."""
        if 1 <= self._clocks <= PIXELS:
            return self._latched[self._clocks - 1]
        return 0.0
