"""An analysis that fails, for want of memory too, is an error with its trace kept, never a lost test."""

import pytest

from reader import outcome, packfile, quantity, wire
from server.accuracy.simulated_strips import Strip
from tests.reader.stubs.board_python import run

START = """
from array import array
from reader import outcome, results
def fail(*_, **__): raise {error}
class Clock:
    def uptime_ms(self): return 1234567
class Parts: clock = Clock()
test = results.Test()
"""

STRIP = """
test.take_assay(assay("sars2-ag"))
test.started = 0
from reader import strip, striptest
strip.analyse = fail
lit = array("H", [40000] * 128)
striptest.judge(Parts(), test, lit, array("H", bytes(256)), 55400, "nominal")
"""

CURVE = """
test.take_assay(assay("sars2-lamp"))
from reader import amplification, curvetest
class Curve: add = fail
amplification.Curve = Curve
class Taken:
    wells = array("H", [500] * 8), array("H", [500] * 8)
    temperatures = array("H", [6500] * 8)
    count = 8
    failure = outcome.NONE
curvetest.conclude(Parts(), test, Taken())
"""

END = """
import sys
kept = [name for name in ("strip", "profile", "floats", "quantity", "amplification") if "reader." + name in sys.modules]
moment = [bytes(8), 1234567, None, 0, None]
size = len(results.result(test, moment, "0"))
print(json.dumps([test.outcome, test.reason, test.analytes, test.trace is not None, kept, size]))
"""


@pytest.mark.parametrize("kind", [STRIP, CURVE])
@pytest.mark.parametrize("error", ["MemoryError()", "ZeroDivisionError()", "ValueError('no')", "IndexError()"])
def test_a_failed_analysis_is_an_error_that_keeps_its_trace_and_frees_its_room(kind: str, error: str) -> None:
    said, reason, analytes, traced, kept, size = run(START.format(error=error) + kind + END)
    assert (said, reason) == (wire.OUTCOME_ERROR, outcome.ANALYSIS_FAULT)
    assert analytes == []
    assert traced
    assert kept == []
    assert size > 50


CRP = """
from array import array
from reader import results, striptest
class Clock:
    def uptime_ms(self): return 310000
class Parts: clock = Clock()
test = results.Test()
test.take_assay(assay("crp"))
test.lot = {lot!r}
test.started = 0
dark = array("H", [{dark}] * 128)
striptest.judge(Parts(), test, array("H", {pixels}), dark, {white}, "nominal")
"""
BELOW, WITHIN, ABOVE = 2.0, 50.0, 400.0  # mg/L, around the range that the pack can report


def judged(milligrams: float, lot: str = "CRP001") -> list:
    crp = packfile.strip_assay("crp")
    height = quantity.signal(round(milligrams * 1000), crp.calibration("CRP001"))
    strip = Strip(seed=2, lines_ppm={11000: 200_000.0, 6000: height}, noise_ppm=500.0)
    start = CRP.format(lot=lot, dark=strip.dark(), pixels=list(strip.pixels()), white=strip.white_counts)
    return run(start + END)


@pytest.mark.parametrize(
    ("milligrams", "kind", "side"),
    [(BELOW, wire.OUTCOME_NEGATIVE, [1]), (WITHIN, wire.OUTCOME_POSITIVE, []), (ABOVE, wire.OUTCOME_POSITIVE, [2])],
)
def test_a_quantitative_strip_puts_its_concentration_in_the_record_and_says_what_is_beyond_its_range(
    milligrams: float, kind: int, side: list[int]
) -> None:
    said, reason, ((name, each, why, value, unit, error, *beyond),), traced, kept, _ = judged(milligrams)
    assert (said, reason, each, why, name, unit) == (kind, 0, kind, 0, "CRP", "mg/L")
    assert beyond == side
    if side:
        assert (value, error) == ({1: 5_000, 2: 150_000}[side[0]], None)
    else:
        assert abs(value - 50_000) < 6_000  # a printed line is not quite the fitted shape
        assert 0 < error < 3_000
    assert traced
    assert kept == []


def test_a_quantitative_strip_of_a_lot_without_a_calibration_is_an_error_and_never_a_number() -> None:
    said, reason, analytes, traced, _, _ = judged(WITHIN, lot="OTHER")
    assert (said, reason, analytes, traced) == (wire.OUTCOME_ERROR, outcome.ANALYSIS_FAULT, [], True)
