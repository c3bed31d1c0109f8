"""PCF8563 real-time clock with its own cell: whole seconds, and whether they can be believed.

NXP PCF8563 rev. 11, table 4 (registers), section 8.3 (VL: integrity of the clock is not guaranteed), 8.5 (time and
date, BCD).
The chip counts leap years as every fourth, which holds to 2099; the century bit is kept 0 for 20xx.
"""

from micropython import const

_CONTROL_1 = const(0x00)
_SECONDS = const(0x02)
_VL = const(0x80)

EARLIEST_YEAR = const(2024)  # a date before this project is a clock that was never set


def _bcd(byte):
    high, low = byte >> 4, byte & 15
    if high > 9 or low > 9:
        raise ValueError("not a decimal")
    return high * 10 + low


def _to_bcd(value):
    return value // 10 << 4 | value % 10


def days_of(year, month, day):
    """Days from 1 January 1970 to a Gregorian date: years counted from March, so that the leap day comes last."""
    if month <= 2:
        year -= 1
        month += 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719469


def date_of(days):
    """(year, month, day) of days since 1 January 1970."""
    days += 719468
    era, day_of_era = days // 146097, days % 146097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year_of_era + era * 400 + (1 if month <= 2 else 0), month, day_of_year - (153 * shifted + 2) // 5 + 1


class PCF8563:
    """I2C errors are OSError."""

    def __init__(self, i2c, address):
        self._i2c = i2c
        self._address = address
        self._data = bytearray(7)

    def read(self):
        """Unix seconds (UTC), or None when the chip lost power since it was set or holds no possible date."""
        data = self._data
        self._i2c.readfrom_mem_into(self._address, _SECONDS, data)
        if data[0] & _VL:
            return None
        try:
            second, minute, hour = _bcd(data[0] & 0x7F), _bcd(data[1] & 0x7F), _bcd(data[2] & 0x3F)
            day, month, year = _bcd(data[3] & 0x3F), _bcd(data[5] & 0x1F), 2000 + _bcd(data[6])
        except ValueError:
            return None
        if year < EARLIEST_YEAR or not (1 <= month <= 12 and 1 <= day <= 31):
            return None
        if hour > 23 or minute > 59 or second > 59:
            return None
        return days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second

    def set(self, unix_s):
        """Set the clock; writing the seconds register clears VL."""
        days, rest = unix_s // 86400, unix_s % 86400
        year, month, day = date_of(days)
        if not EARLIEST_YEAR <= year <= 2099:
            raise ValueError("the clock chip holds 2024 to 2099")
        data = self._data
        data[0] = _to_bcd(rest % 60)
        data[1] = _to_bcd(rest // 60 % 60)
        data[2] = _to_bcd(rest // 3600)
        data[3] = _to_bcd(day)
        data[4] = (days + 4) % 7  # 1 January 1970 was a Thursday
        data[5] = _to_bcd(month)
        data[6] = _to_bcd(year - 2000)
        self._i2c.writeto_mem(self._address, _CONTROL_1, b"\x00\x00")
        self._i2c.writeto_mem(self._address, _SECONDS, data)
