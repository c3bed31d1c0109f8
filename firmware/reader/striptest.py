"""Reads a strip: frames of the linear array with the lamp off and on, the analysis, and the test's outcome."""

import asyncio
import gc
import sys
import time
from array import array

from micropython import const

from reader import memory, outcome, results

_DARK_FRAMES = const(4)
_LIT_FRAMES = const(8)
_EXPOSURE_MS = const(12)
_PIXELS = const(128)
_PIXEL_UM = const(125)


async def measure(parts):
    """(lit, dark) mean frames, each an array of 128 counts on the 16-bit scale."""
    dark = await _frames(parts.array, None, _DARK_FRAMES)
    return await _frames(parts.array, parts.strip_lamp, _LIT_FRAMES), dark


async def _frames(strip_array, lamp, count):
    sums = array("I", bytes(4 * _PIXELS))
    for _ in range(count):
        strip_array.flush()
        # The lamp is the shutter: it is dark while pixels are clocked, so that how long that takes changes nothing.
        if lamp:
            lamp.on()
        time.sleep_ms(_EXPOSURE_MS)
        if lamp:
            lamp.off()
        strip_array.read_into(sums)
        await asyncio.sleep_ms(0)  # a frame takes about 30 ms; the others run between frames
    mean = array("H", bytes(2 * _PIXELS))
    for i in range(_PIXELS):
        mean[i] = (sums[i] + count // 2) // count
    return mean


def judge(parts, test, lit, dark, white, calibration):
    """Fill in outcome, analytes and trace of `test` from what was just measured. `white` is a level or an array of
    them.

    An analysis that fails, for want of memory too, makes the outcome *error, analysis fault*; the trace is kept.
    """
    test.read = parts.clock.uptime_ms()
    test.calibration = calibration
    test.trace = results.strip_trace(lit, _PIXEL_UM, white, dark)
    gc.collect()
    try:
        from reader import strip

        assay = test.assay
        lot = assay.calibration(test.lot) if assay.unit is not None else None
        reading = strip.analyse(lit, white, dark, assay, _PIXEL_UM, calibration=lot)
        test.algorithm = "strip/%d" % strip.ALGORITHM
        late = strip.check_timing((test.read - test.started) // 1000, test.assay)
        if late:
            test.fail(late)
        else:
            test.outcome, test.reason = reading.outcome, reading.reason
            test.analytes = [_analyte(line, reading, assay.unit) for line in reading.lines]
    except (ArithmeticError, IndexError, MemoryError, ValueError) as error:
        sys.print_exception(error)
        test.fail(outcome.ANALYSIS_FAULT)
    finally:
        strip = reading = None
        memory.forget("strip", "profile", "quantity", "floats")


def _analyte(line, reading, unit):
    # When the strip as a whole is not an answer, no line of it is.
    whole = reading.outcome in (outcome.POSITIVE, outcome.NEGATIVE, outcome.INDETERMINATE) and reading.reason in (
        outcome.NONE,
        line.reason,
        outcome.GREY_ZONE,
    )
    said = (line.outcome, line.reason) if whole else (reading.outcome, reading.reason)
    name = results.label(line.name)
    if unit is None:
        return [name, said[0], said[1], line.signal_ppm * 1000, "ppm", line.se_ppm * 1000]
    if not whole or line.value_milli is None:
        return [name, said[0], said[1], None, unit, None]
    kept = [name, said[0], said[1], line.value_milli, unit, line.value_se_milli]
    if line.beyond:
        kept.append(line.beyond)
    return kept
