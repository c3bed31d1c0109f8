"""The self-check at start: one bit for each part that does not answer as its datasheet says; 0 is all well.

What can be asked in a moment is asked by `run`, before the first picture; what must be watched for some seconds, the
heater and the clock, by `watch`, while the reader already waits for a person.
"""

import asyncio
import gc
import time
from array import array

from micropython import const

from reader.drivers.ntc import NTCError

OLED = const(1)
MUX = const(2)
SPECTRAL_SAMPLE = const(4)
SPECTRAL_CONTROL = const(8)
GAUGE = const(16)
CLOCK_CHIP = const(32)
ARRAY_DARK = const(64)
STORAGE = const(128)
MEMORY = const(256)
THERMISTOR = const(512)
CUTOUT = const(1024)
CALIBRATION = const(2048)
ARRAY_LIT = const(4096)
HEATER = const(8192)

# What must be well before a test of that kind is begun; STORAGE before any.
FOR_AMPLIFICATION = MUX | SPECTRAL_SAMPLE | SPECTRAL_CONTROL | THERMISTOR | CUTOUT | HEATER
FOR_STRIP = ARRAY_DARK | ARRAY_LIT

_EXPOSURE_MS = const(12)  # as a strip is read
_DARK_LIMIT = const(6553)  # a tenth of full scale with the lamp off and the lid closed
_LIT_LIMIT = const(650)  # the lamp on an empty, black tray is four times this above the dark
_FREE_MIN = const(24000)

# A second at full power warms the block by a third of a degree, within three seconds; the thermistor tells a fiftieth.
_WATCH_MS = const(1000)
_SPREAD_MS = const(2500)
_WARMS_CC = const(12)
_WARM_CC = const(4000)  # hotter than this the block cools too fast for so small a step, and the heater has just worked


def run(parts):
    """Check every part of `parts` (see reader.parts); returns the bits. The OLED is told by its own screen."""
    bits = amplification(parts)
    if parts.screen.failed:
        bits |= OLED
    if not _answers(parts.gauge.present):
        bits |= GAUGE
    if parts.clock.chip_failed:
        bits |= CLOCK_CHIP
    if parts.buttons.lid_closed:  # otherwise the light is the room's; the scan of a cassette asks again
        bits |= strip(parts)
    gc.collect()
    if gc.mem_free() < _FREE_MIN:
        bits |= MEMORY
    return bits


def amplification(parts):
    """Check the parts that an amplification needs; returns their bits."""
    bits = 0
    try:
        for channel, bit in ((0, SPECTRAL_SAMPLE), (1, SPECTRAL_CONTROL)):
            parts.mux.select(channel)
            if parts.mux.selected() != 1 << channel:
                bits |= MUX
            if not _answers(parts.spectral.present):
                bits |= bit
        parts.mux.none()
    except OSError:
        bits |= MUX
    try:
        parts.ntc.read()
    except NTCError:
        bits |= THERMISTOR
    if parts.cutout.value():
        bits |= CUTOUT
    return bits


def strip(parts):
    """Check the parts that a strip needs, with the lid closed; returns their bits."""
    dark = _level(parts.array, None)
    if dark > _DARK_LIMIT:
        return ARRAY_DARK
    # The tray is black when it is empty, so it is enough that the lamp shines and the array sees it.
    return 0 if _level(parts.array, parts.strip_lamp) > dark + _LIT_LIMIT else ARRAY_LIT


def _level(strip_array, lamp):
    """Mean level of the linear array, 16-bit scale."""
    sums = array("I", bytes(4 * 128))
    strip_array.flush()
    if lamp:
        lamp.on()
    time.sleep_ms(_EXPOSURE_MS)
    if lamp:
        lamp.off()
    strip_array.read_into(sums)
    return sum(sums) // 128


async def watch(parts, idle):
    """Watch heater and clock for some seconds; returns the bits of those that failed. None when `idle()` came to say
    no meanwhile: the heater is a test's."""
    began = parts.clock.chip_seconds()
    bits = 0
    try:
        before = parts.ntc.read()
        await asyncio.sleep_ms(_WATCH_MS)
        resting = parts.ntc.read()
        if not idle():
            return None
        if resting - before > _WARMS_CC:
            bits |= HEATER  # it warms while it is off
        elif resting < _WARM_CC and not parts.cutout.value():
            try:
                parts.heater.pulse(True)
                await asyncio.sleep_ms(_WATCH_MS)
            finally:
                parts.heater.pulse(False)
            await asyncio.sleep_ms(_SPREAD_MS)
            warmed = parts.ntc.read()
            await asyncio.sleep_ms(_WATCH_MS)
            # It must have warmed, and not go on: in the first second after the power came a block on a heater that is
            # always on is still too cold to tell.
            if warmed - resting < _WARMS_CC or parts.ntc.read() - warmed > _WARMS_CC:
                bits |= HEATER
    except NTCError:
        await asyncio.sleep_ms(_WATCH_MS)  # THERMISTOR says so; the clock needs its second all the same
    if began is not None and parts.clock.chip_seconds() == began:
        bits |= CLOCK_CHIP
    return bits


def _answers(ask):
    try:
        return ask()
    except OSError:
        return False
