"""MAX17048 fuel gauge of one lithium cell.

Analog Devices (Maxim) MAX17048/MAX17049 datasheet 19-6171, register summary (table 2): VCELL 78.125 uV a bit, SOC
1/256 % a bit, CRATE 0.208 % an hour a bit, all 16 bits, high byte first.
"""

from micropython import const

_VCELL = const(0x02)
_SOC = const(0x04)
_VERSION = const(0x08)
_CRATE = const(0x16)


class MAX17048:
    """I2C errors are OSError."""

    def __init__(self, i2c, address):
        self._i2c = i2c
        self._address = address
        self._word = bytearray(2)

    def _read(self, register):
        self._i2c.readfrom_mem_into(self._address, register, self._word)
        return self._word[0] << 8 | self._word[1]

    def present(self):
        """True when the version register is of this family (0x001_)."""
        return self._read(_VERSION) & 0xFFF0 == 0x0010

    def millivolts(self):
        """Cell voltage."""
        return self._read(_VCELL) * 5 // 64

    def percent(self):
        """State of charge, 0 to 100."""
        return min(100, self._read(_SOC) >> 8)

    def charging(self):
        """True when the charge rate is above zero."""
        rate = self._read(_CRATE)
        return 0 < rate < 0x8000
