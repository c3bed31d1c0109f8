"""The rest of `time`: what the reader does without, loaded when it is first named (see `time`)."""

import _bench
import time as _own
import utime
from micropython import const
from utime import ticks_cpu  # noqa: F401  part of `time`

_EPOCH = const(946684800)  # 2000-01-01 in the host's epoch


def time_ns():
    return (_bench.now() + _own.wall) * 1000


def time():
    return (_bench.now() + _own.wall) // 1000000


def gmtime(seconds=None):
    return utime.gmtime((time() if seconds is None else int(seconds)) + _EPOCH)[:8]


localtime = gmtime


def mktime(parts):
    # The host's mktime is local time; count the days ourselves so that the result does not depend on the host's zone.
    year, month, day = parts[0], parts[1], parts[2]
    if month < 3:
        year -= 1
        month += 12
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 730426
    return ((days * 24 + parts[3]) * 60 + parts[4]) * 60 + parts[5]
