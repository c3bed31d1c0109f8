"""Piezo buzzer by PWM: a rhythm of its own for each meaning, so nothing is told by the screen or a colour alone."""

import asyncio
import time

from micropython import const

_HZ = const(2700)  # resonance of the usual 12 mm piezo
_HALF = const(32768)

# Patterns: milliseconds on, off, on … Told apart by rhythm alone, through a wall and by who hears no pitch.
CLICK = (15,)  # a code was taken
DONE = (80, 60, 80)  # an outcome is there
ATTENTION = (120, 80, 120, 80, 120)  # do what the screen says
WARN = (250, 120, 250)  # refused
FAULT = (900,)  # something broke
HERE = (40, 40, 40, 40, 40, 300, 40, 40, 40, 40, 40)  # a hub asks which reader this is


class Buzzer:
    """`pwm` is a machine.PWM. A pattern under way is not interrupted by another."""

    def __init__(self, pwm):
        self._pwm = pwm
        self._busy = False
        pwm.duty_u16(0)

    def alarm(self):
        """Sound FAULT and return when it ends: for when no task runs any more."""
        self._pwm.freq(_HZ)
        self._pwm.duty_u16(_HALF)
        time.sleep_ms(FAULT[0])
        self._pwm.duty_u16(0)

    async def play(self, pattern):
        """Sound a pattern; returns when it ends, at once when one is under way."""
        if self._busy:
            return
        self._busy = True
        try:
            self._pwm.freq(_HZ)
            on = True
            for ms in pattern:
                self._pwm.duty_u16(_HALF if on else 0)
                await asyncio.sleep_ms(ms)
                on = not on
        finally:
            self._pwm.duty_u16(0)
            self._busy = False
