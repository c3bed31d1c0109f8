"""Time as evidence: a boot id, a count of milliseconds that never goes back, and wall time with who set it and how
surely.

Wall time comes, best first, from whoever set it in this run (a hub, the server's floor) or from the clock chip.
The chip's error is what it was set with, plus 100 parts per million since (PCF8563 with a plain crystal over
temperature and age; NXP UM10301, section 8), plus the second it counts in. The floor, the latest time the server
has vouched for, is kept by custody.
"""

import time

from micropython import const

from reader import wire

_DRIFT_PER_MILLION = const(100)
_CHIP_STEP_MS = const(1000)
_UNKNOWN_MS = const(86400000)  # error of a chip that was set nobody noted when


class Clock:
    """`chip` has `read()` -> Unix seconds or None and `set(seconds)`; `boot_id` is 8 random bytes of this start.

    `set_note` is (unix ms of the last setting, its uncertainty in ms) from before this start, or None.
    `on_set(unix_ms, uncertainty_ms)` is called so that the next start knows it.
    """

    def __init__(self, chip, boot_id, set_note=None, on_set=None):
        self._chip = chip
        self.boot_id = boot_id
        self._on_set = on_set
        self._ticks = time.ticks_ms()
        self._uptime = 0
        self._anchor_wall = None  # unix ms at …
        self._anchor_uptime = 0  # … this uptime
        self._uncertainty = 0
        self._source = wire.CLOCK_UNSET
        self.chip_failed = False
        self._read_chip(set_note)

    def _read_chip(self, note):
        try:
            seconds = self._chip.read()
        except OSError:
            self.chip_failed = True
            return
        if seconds is None:
            return
        self._anchor_wall = seconds * 1000
        self._anchor_uptime = self.uptime_ms()
        self._source = wire.CLOCK_RTC
        self._uncertainty = _UNKNOWN_MS
        if note is not None and note[0] <= self._anchor_wall:
            self._uncertainty = note[1] + _CHIP_STEP_MS + (self._anchor_wall - note[0]) * _DRIFT_PER_MILLION // 1000000

    def uptime_ms(self):
        """Milliseconds since this start. Must be called at least every six days: `ticks_ms` wraps after twelve."""
        now = time.ticks_ms()
        self._uptime += time.ticks_diff(now, self._ticks)
        self._ticks = now
        return self._uptime

    def wall(self):
        """(unix ms or None, source, uncertainty in ms or None)."""
        if self._anchor_wall is None:
            return None, wire.CLOCK_UNSET, None
        since = self.uptime_ms() - self._anchor_uptime
        sure = self._uncertainty
        if sure is not None:
            sure += since * _DRIFT_PER_MILLION // 1000000
        return self._anchor_wall + since, self._source, sure

    def chip_seconds(self):
        """What the chip counts now, to see whether it counts; None when it is unset or does not answer."""
        try:
            return self._chip.read()
        except OSError:
            self.chip_failed = True
            return None

    def doubt_chip(self):
        """The chip stands still: what it said at the start is no time."""
        self.chip_failed = True
        if self._source == wire.CLOCK_RTC:
            self._anchor_wall = None
            self._source = wire.CLOCK_UNSET

    def moment(self):
        """What every record carries: [boot id, uptime ms, wall ms or None, source, uncertainty ms or None]."""
        wall, source, uncertainty = self.wall()
        return [self.boot_id, self.uptime_ms(), wall, source, uncertainty]

    def set(self, unix_ms, uncertainty_ms, source):
        """Take a time from a hub or the server, and pass it to the chip. A chip that does not answer is noted in
        `chip_failed`.
        """
        self._anchor_wall = unix_ms
        self._anchor_uptime = self.uptime_ms()
        self._uncertainty = uncertainty_ms
        self._source = source
        try:
            self._chip.set(unix_ms // 1000)
        except (OSError, ValueError):
            self.chip_failed = True
        if self._on_set:
            self._on_set(unix_ms, uncertainty_ms)

    def date(self):
        """Today as (year, month, day), UTC, or None when the clock is unset."""
        wall = self.wall()[0]
        if wall is None:
            return None
        from reader.drivers import pcf8563

        return pcf8563.date_of(wall // 86400000)
