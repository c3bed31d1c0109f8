"""`esp32`: what the reader uses of it."""

import _bench
from micropython import const

_TEMPERATURE = const(20)
_WAKE_PIN = const(138)

WAKEUP_ALL_LOW = const(0)
WAKEUP_ANY_HIGH = const(1)


def mcu_temperature():
    """Whole degrees Celsius inside the chip."""
    answer = _bench.ask(_TEMPERATURE, "")
    return answer[0] - 256 if answer[0] > 127 else answer[0]


def wake_on_ext1(pins=(), level=0):
    _bench.send(_WAKE_PIN, "B%ds" % len(pins), level, bytes([pin.id for pin in pins]))
