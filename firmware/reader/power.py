"""Battery level, and whether there is enough of it to finish a test."""

from micropython import const

LOW_PERCENT = const(15)  # under it: a flag, an event, no amplification
EMPTY_PERCENT = const(5)  # under it: no test at all
NEEDED_STRIP = const(6)
NEEDED_AMPLIFICATION = const(30)  # 45 minutes of heat from a 3,000 mAh cell, with margin for its age
_HYSTERESIS = const(3)


class Battery:
    """`gauge` has `percent()` and `millivolts()`. A gauge that does not answer counts as full and sets `failed`: a
    test that the cell can carry is not refused for the meter's sake, and the self-check bits say so."""

    def __init__(self, gauge):
        self._gauge = gauge
        self.percent = 100
        self.millivolts = None
        self.low = False
        self.failed = False

    def measure(self):
        """Read the gauge; True when the battery has just become low."""
        try:
            self.percent = self._gauge.percent()
            self.millivolts = self._gauge.millivolts()
        except OSError:
            self.failed = True
            self.millivolts = None
            return False
        self.failed = False
        if self.low:
            self.low = self.percent < LOW_PERCENT + _HYSTERESIS
            return False
        self.low = self.percent < LOW_PERCENT
        return self.low
