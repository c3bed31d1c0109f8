"""The two buttons, the lid and the tray: interrupts note what happened, a task turns it into clean events.

A press is a level held for 15 ms: tactile switches bounce for under 10 ms, at the press and at the release. Both
edges are timed in the interrupt, so that a press is not lost while the task is busy drawing. Handlers allocate
nothing: they set small integers, at which the task looks twenty times a second.
"""

import asyncio
import time

from machine import Pin
from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

A = const(1)
B = const(2)

_HELD_MS = const(15)
_LOOK_MS = const(50)


class Buttons:
    """`await wait(ms)` gives A, B, or 0 when time ran out or the lid or tray changed; `lid_closed` and `strip_in`
    are live. `emptied` is set when the tray is empty, and cleared by who leaves a used cassette in it.
    """

    def __init__(self, pin_a, pin_b, pin_lid, pin_strip):
        self._pins = (pin_a, pin_b)
        self._lid = pin_lid
        self._strip = pin_strip
        self._down = bytearray(2)  # went down and neither came up nor was counted
        self._pressed = bytearray(2)
        self._fell: "list[Any]" = [time.ticks_ms(), time.ticks_ms()]
        self._changed = False
        self.emptied = bool(pin_strip.value())
        both = Pin.IRQ_FALLING | Pin.IRQ_RISING
        pin_a.irq(self._on_a, both)
        pin_b.irq(self._on_b, both)
        pin_lid.irq(self._on_other, both)
        pin_strip.irq(self._on_other, both)

    def _on_a(self, pin):
        self._edge(0, pin)

    def _on_b(self, pin):
        self._edge(1, pin)

    def _edge(self, i, pin):
        now = time.ticks_ms()
        if not pin.value():
            self._fell[i] = now
            self._down[i] = 1
        else:
            self._count(i, now)
            self._down[i] = 0
        self._changed = True

    def _count(self, i, now):
        if self._down[i] and time.ticks_diff(now, self._fell[i]) >= _HELD_MS:
            self._down[i] = 0
            self._pressed[i] = 1

    def _on_other(self, pin):
        if self._strip.value():
            self.emptied = True
        self._changed = True

    @property
    def lid_closed(self):
        return not self._lid.value()

    @property
    def strip_in(self):
        return not self._strip.value()

    def wake(self):
        """Make `wait` return, as a change of the lid would."""
        self._changed = True

    def forget(self):
        """Drop presses that came before now."""
        for i in (0, 1):
            self._down[i] = self._pressed[i] = 0

    async def wait(self, ms):
        """The next press (A or B), or 0 after `ms` milliseconds or when something else changed."""
        end = time.ticks_add(time.ticks_ms(), ms)
        while True:
            now = time.ticks_ms()
            for i in (0, 1):
                self._count(i, now)
                if self._pressed[i]:
                    self._pressed[i] = 0
                    return i + 1
            if self._changed and not (self._down[0] or self._down[1]):
                self._changed = False
                return 0
            left = time.ticks_diff(end, now)
            if left <= 0:
                return 0
            await asyncio.sleep_ms(min(left, _LOOK_MS))
