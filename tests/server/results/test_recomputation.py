"""The outcome and the value again from the trace: what agrees, what differs, what cannot be compared."""

import math
import random
from typing import Any

import cbor2
import pytest

from reader import amplification, outcome, packfile, quantity, strip, wire
from server.accuracy.simulated_strips import Strip
from server.results.recomputation import Recomputation, recompute
from server.results.record import NotUnderstood, ResultRecord, understand
from tests.server import factory

CRP = packfile.strip_assay("crp")
LAMP = packfile.amplification_assay("sars2-lamp")
LOT = CRP.calibration("CRP001")


def understood(**fields: Any) -> ResultRecord:
    record = understand(cbor2.dumps(factory.result(**fields), canonical=True))
    assert isinstance(record, ResultRecord)
    return record


def crp(height_ppm: float, *, lot: str | None = "CRP001", value: int | None = None, **knobs: Any) -> ResultRecord:
    """A record of a CRP strip as a reader makes it; `value` puts another value in it."""
    simulated = Strip(seed=3, lines_ppm={11000: 200_000.0, 6000: height_ppm}, noise_ppm=1500.0, **knobs)
    pixels = list(simulated.pixels())
    white, dark = simulated.white_counts, simulated.dark()
    reading = strip.analyse(pixels, white, dark, CRP, calibration=LOT)
    line = reading.lines[0]
    analyte: list[Any] = ["CRP", line.outcome, line.reason, line.value_milli, "mg/L", line.value_se_milli]
    if line.beyond:
        analyte.append(line.beyond)
    if value is not None:
        analyte[3] = value
    trace = {**factory.strip_trace(pixels), wire.TRACE_WHITE: white, wire.TRACE_DARK: dark}
    return understood(
        assay="crp",
        lot=lot,
        outcome_code=reading.outcome,
        reason=reading.reason,
        analytes=[analyte],
        trace=trace,
        times=[0, 310_000, 310_000],
    )


@pytest.mark.parametrize("height_ppm", [0.0, 20_000.0, 60_000.0, 250_000.0, 480_000.0, 530_000.0])
def test_a_concentration_that_the_trace_gives_too_agrees_within_its_range_and_beyond(height_ppm: float):
    assert recompute(crp(height_ppm)).verdict == Recomputation.AGREES


def test_a_concentration_that_the_trace_does_not_give_differs_though_the_outcome_is_the_same():
    right = crp(250_000.0).analytes[0].value
    assert right is not None
    assert recompute(crp(250_000.0, value=right + right // 200)).verdict == Recomputation.AGREES
    again = recompute(crp(250_000.0, value=right + right // 20))
    assert again.verdict == Recomputation.DIFFERS
    assert (again.outcome, again.reason) == (outcome.POSITIVE, outcome.NONE)


def test_a_lot_whose_calibration_is_not_known_here_cannot_be_compared():
    assert recompute(crp(250_000.0, lot="ELSEWHERE")).verdict == Recomputation.UNKNOWN_ASSAY
    assert recompute(crp(250_000.0, lot=None)).verdict == Recomputation.UNKNOWN_ASSAY


def curves(specimen: list[float], control: list[float], reason: int, code: int, value: int | None) -> ResultRecord:
    count = len(specimen)
    samples = [[round(20_000 + 1000 * one) for one in well] for well in (specimen, control)]
    trace = {
        wire.TRACE_KIND: wire.TRACE_CURVE,
        wire.TRACE_STEP: 15_000,
        wire.TRACE_COUNT: count,
        wire.TRACE_SAMPLES: [factory.delta(well) for well in samples],
        wire.TRACE_TEMPERATURES: factory.delta([LAMP.target_cc] * count),
        wire.TRACE_START: 15_000,
    }
    said = ["SARS-CoV-2", code, reason, value, "min", None if value is None else 100]
    return understood(assay="sars2-lamp", outcome_code=code, reason=reason, analytes=[said], trace=trace)


def rise(middle: float) -> list[float]:
    chance = random.Random(5)
    return [10 / (1 + math.exp(-(i / 160 - middle) / 0.02)) + chance.gauss(0, 0.05) for i in range(160)]


def test_a_time_to_positive_is_compared_to_a_hundredth_of_the_run():
    specimen, control = rise(0.4), rise(0.5)
    times = [15_000 * (i + 1) for i in range(160)]
    ttp = amplification.analyse(times, specimen).ttp_ms
    assert ttp is not None
    minutes = ttp // 60
    agrees = curves(specimen, control, outcome.NONE, outcome.POSITIVE, minutes)
    assert recompute(agrees).verdict == Recomputation.AGREES
    near = curves(specimen, control, outcome.NONE, outcome.POSITIVE, minutes + 300)
    assert recompute(near).verdict == Recomputation.AGREES
    off = curves(specimen, control, outcome.NONE, outcome.POSITIVE, minutes + 1000)
    assert recompute(off).verdict == Recomputation.DIFFERS


def test_a_negative_from_a_well_too_noisy_to_show_a_rise_is_flagged():
    chance = random.Random(6)
    loud = [chance.gauss(0, 1.2) for _ in range(160)]
    again = recompute(curves(loud, rise(0.5), outcome.NONE, outcome.NEGATIVE, None))
    assert (again.verdict, again.outcome, again.reason) == (
        Recomputation.DIFFERS,
        outcome.INVALID,
        outcome.NOISY_CURVE,
    )


@pytest.mark.parametrize(
    "analyte",
    [
        ["CRP", 2, 0, 5_000, "mg/L", None, 0],
        ["CRP", 2, 0, 5_000, "mg/L", None, 3],
        ["CRP", 2, 0, 5_000, "mg/L", None, True],
        ["CRP", 2, 0, None, "mg/L", None, 1],
        ["CRP", 2, 0, 5_000, "mg/L", None, 1, 1],
        ["CRP", 2, 0, 5_000, "mg/L"],
    ],
)
def test_an_analyte_that_says_neither_below_nor_above_in_its_seventh_place_is_not_understood(analyte: list[Any]):
    with pytest.raises(NotUnderstood):
        understood(analytes=[analyte])


def test_below_and_above_the_reportable_range_are_understood():
    for beyond in (quantity.BELOW, quantity.ABOVE):
        record = understood(analytes=[["CRP", 2, 0, 5_000, "mg/L", None, beyond]])
        assert record.analytes[0].beyond == beyond
    assert understood(analytes=[["CRP", 2, 0, 7_000, "mg/L", 300]]).analytes[0].beyond == 0
