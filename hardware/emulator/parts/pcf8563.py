"""PCF8563 real-time clock (NXP rev 11): BCD time registers, the VL (integrity lost) bit, kept going by its own cell."""

import datetime

from .bus import Clock, Registers


class Pcf8563(Registers):
    """Counts seconds of the world's clock; `lose_cell()` is what a flat or removed cell does."""

    size = 16

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.drift_ppm = 0.0
        self.lose_cell()

    def lose_cell(self) -> None:
        """The oscillator has stopped: the time means nothing and VL says so until seconds are written."""
        self._integrity_lost = True
        self._set(datetime.datetime(2000, 1, 1))

    def set_time(self, when: datetime.datetime) -> None:
        """Set the time as a factory does."""
        self._integrity_lost = False
        self._set(when.replace(tzinfo=None))

    @property
    def now(self) -> datetime.datetime:
        """What it shows."""
        passed = (self._clock.us - self._since_us) / 1e6 * (1 + self.drift_ppm / 1e6)
        return self._base + datetime.timedelta(seconds=int(passed))

    def _set(self, when: datetime.datetime) -> None:
        self._base = when
        self._since_us = self._clock.us

    def read(self, size: int) -> bytes:
        """The time registers are frozen together for a read (section 8.3)."""
        when = self.now
        self.registers[2] = _bcd(when.second) | (0x80 if self._integrity_lost else 0)
        self.registers[3] = _bcd(when.minute)
        self.registers[4] = _bcd(when.hour)
        self.registers[5] = _bcd(when.day)
        self.registers[6] = (when.weekday() + 1) % 7
        # Century bit C: 0 means 20xx in the usual reading of section 8.4.6.
        self.registers[7] = _bcd(when.month) | (0x80 if when.year < 2000 else 0)
        self.registers[8] = _bcd(when.year % 100)
        return super().read(size)

    def write(self, data: bytes) -> None:
        """Writing any time register restarts the count from what the registers then say."""
        if len(data) > 1:
            self.read(0)
        super().write(data)
        if len(data) > 1 and any(2 <= data[0] + i <= 8 for i in range(len(data) - 1)):
            if data[0] <= 2 < data[0] + len(data) - 1:
                self._integrity_lost = bool(self.registers[2] & 0x80)
            try:
                self._set(
                    datetime.datetime(
                        2000 + _number(self.registers[8]),
                        _number(self.registers[7] & 0x1F),
                        _number(self.registers[5] & 0x3F),
                        _number(self.registers[4] & 0x3F),
                        _number(self.registers[3] & 0x7F),
                        _number(self.registers[2] & 0x7F),
                    )
                )
            except ValueError:
                self._integrity_lost = True  # the part would count on from nonsense; nobody may trust it


def _bcd(value: int) -> int:
    return value // 10 << 4 | value % 10


def _number(value: int) -> int:
    return (value >> 4) * 10 + (value & 15)
