"""`time` in virtual time, with the ESP32's epoch (2000-01-01) and a wall clock that nobody has set at power-up."""

import _bench
from utime import ticks_add, ticks_diff  # noqa: F401  part of this module

wall = 0  # microseconds from the epoch to power-up, as set by machine.RTC


def __getattr__(name):
    import _time

    return getattr(_time, name)


def ticks_us():
    _bench.tick()
    return _bench.now()


def ticks_ms():
    return ticks_us() // 1000


def sleep_us(us):
    _bench.pause(us)


def sleep_ms(ms):
    _bench.pause(ms * 1000)


def sleep(seconds):
    _bench.pause(int(seconds * 1000000))


def set_wall(us):
    global wall
    wall = us - _bench.now()
