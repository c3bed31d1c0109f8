"""Every reason that the analysis can give is given for a trace that shows it, and for no other reason's."""

import math
import random
from collections.abc import Callable

import pytest

from reader import amplification, outcome, packfile, strip
from server.accuracy.page import FAULTS
from server.accuracy.simulated_strips import Strip

STRIP = packfile.strip_assay("sars2-ag")
CONTROL = {11000: 200_000.0}
# What only the course of a test can show; their tests are those of the workflow.
OF_THE_COURSE = {
    outcome.NONE,
    outcome.LID_OPENED,
    outcome.POWER_LOST,
    outcome.SENSOR_FAULT,
    outcome.HEATER_FAULT,
    outcome.CANCELLED,
    outcome.ANALYSIS_FAULT,
    outcome.STORAGE_FAULT,
    outcome.BATTERY_LOW,
    outcome.AMBIENT_TEMPERATURE,
}


def read(simulated: Strip, white: int | None = None) -> int:
    reading = strip.analyse(
        simulated.pixels(), simulated.white_counts if white is None else white, simulated.dark(), STRIP
    )
    return reading.reason


def curve(
    middle: float, width: float = 0.02, noise: float = 0.005, height: float = 1.0, count: int = 120
) -> list[float]:
    chance = random.Random(1)
    return [
        height / (1 + math.exp(max(-60.0, min(60.0, -(i / (count - 1) - middle) / width)))) + chance.gauss(0, noise)
        for i in range(count)
    ]


def bump(count: int = 120) -> list[float]:
    chance = random.Random(1)
    return [math.exp(-(((i / (count - 1) - 0.5) / 0.06) ** 2)) + chance.gauss(0, 0.01) for i in range(count)]


def run(sample: list[float], control: list[float] | None = None, *, excursion: bool = False) -> int:
    readings = [
        amplification.analyse([i * 10_000 for i in range(len(well))], well)
        for well in (sample, curve(0.5) if control is None else control)
    ]
    return amplification.assess(readings[0], readings[1], 1_000_000, excursion).reason


SILENT = curve(9.0)
GIVEN: dict[int, Callable[[], int]] = {
    **{reason: lambda at=template: read(_noisy(at)) for _, template, reason in FAULTS},
    outcome.GREY_ZONE: lambda: read(Strip(3, {**CONTROL, 6000: 12_000.0}, noise_ppm=1000.0)),
    outcome.BACKGROUND_UNEVEN: lambda: read(Strip(3, CONTROL, noise_ppm=1000.0, bow=0.75)),
    outcome.BAD_WHITE_REFERENCE: lambda: read(Strip(3, CONTROL, noise_ppm=1000.0), white=65_535),
    outcome.READ_TOO_EARLY: lambda: strip.check_timing(STRIP.earliest_s - 1, STRIP),
    outcome.READ_TOO_LATE: lambda: strip.check_timing(STRIP.latest_s + 1, STRIP),
    outcome.NO_INTERNAL_CONTROL: lambda: run(SILENT, SILENT),
    outcome.TEMPERATURE_EXCURSION: lambda: run(curve(0.4), excursion=True),
    outcome.NOISY_CURVE: lambda: run(curve(9.0, noise=0.12)),
    outcome.LATE_RISE: lambda: run(curve(0.95)),
    outcome.TOO_FEW_SAMPLES: lambda: run(SILENT[:5]),
    outcome.DOUBTFUL_CURVE: lambda: run(bump()),
    outcome.WEAK_RISE: lambda: run(curve(0.5, noise=0.16)),
}


def _noisy(template: Strip) -> Strip:
    template.seed = 7
    template.noise_ppm = template.noise_ppm or 1500.0
    return template


def test_no_reason_is_kept_that_neither_the_analysis_nor_the_course_of_a_test_gives():
    assert set(GIVEN) | OF_THE_COURSE == set(outcome.reasons())
    assert not set(GIVEN) & OF_THE_COURSE


@pytest.mark.parametrize("reason", GIVEN, ids=outcome.reason_name)
def test_a_trace_that_shows_a_fault_gets_that_reason_and_none_else(reason: int):
    given = GIVEN[reason]()
    assert outcome.reason_name(given) == outcome.reason_name(reason)
