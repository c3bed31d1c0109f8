"""What the amplification analysis makes of curves, made and measured."""

import csv
import math
import os
import random
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reader import amplification, outcome
from server.accuracy.simulated_curves import FAMILIES, Family

DATA = Path(os.environ.get("DOORSTEP_DATA") or Path(__file__).parents[3] / "shared" / "data") / "amplification"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the measured curves are not here: set DOORSTEP_DATA")


def sigmoid(count: int = 120, middle: float = 0.5, width: float = 0.02, **knobs: float) -> list[float]:
    """A curve in units of its own rise: knobs are noise, drift (over the run), fade after the middle, and a seed."""
    chance = random.Random(int(knobs.get("seed", 1)))
    curve = []
    for i in range(count):
        u = i / (count - 1)
        value = 1 / (1 + math.exp(-max(-60.0, min(60.0, (u - middle) / width))))
        value *= 1 - knobs.get("fade", 0) * max(0.0, u - middle)
        curve.append(value + knobs.get("drift", 0) * u + chance.gauss(0, knobs.get("noise", 0.005)))
    return curve


def judged(values: list[float], step_ms: int = 10_000) -> amplification.CurveReading:
    reading = amplification.analyse([i * step_ms for i in range(len(values))], values)
    assert outcome.allowed(reading.outcome, reading.reason)
    return reading


def name(reading: amplification.CurveReading) -> str:
    return outcome.outcome_name(reading.outcome)


def measured(file: str, time_column: int = 0) -> dict[str, tuple[list[int], list[float]]]:
    with (DATA / file).open(newline="") as stream:
        header, *rows = list(csv.reader(stream))
    ticks = [round(float(row[time_column]) * 1000) for row in rows]
    return {title: (ticks, [float(row[i]) for row in rows]) for i, title in enumerate(header) if i > time_column}


@needs_data
def test_no_curve_of_c17_is_called_at_its_start_transient():
    curves = {title: curve for title, curve in measured("C17.csv").items() if title != "C17.cycle"}
    assert len(curves) == 3
    for title, (ticks, values) in curves.items():
        reading = amplification.analyse(ticks, values)
        assert name(reading) == "positive", title
        assert reading.ttp_ms > 300_000, title
        early = amplification.analyse(ticks[:12], values[:12])
        assert not early.final, title


@needs_data
def test_the_measured_lamp_curve_turns_positive_between_14_and_a_half_and_18_and_a_half_minutes():
    ((ticks, values),) = measured("LAMP.csv").values()
    reading = amplification.analyse(ticks, values)
    assert name(reading) == "positive"
    assert 14_500 < reading.ttp_ms < 18_500
    assert reading.ttp_se_ms < 1000


@needs_data
def test_all_four_dilutions_of_c67_are_positive():
    curves = measured("C67.csv", time_column=1)
    assert len(curves) == 4
    assert {name(amplification.analyse(*curve)) for curve in curves.values()} == {"positive"}


@needs_data
def test_what_is_called_while_a_measured_run_goes_on_is_what_is_called_at_its_end():
    called = 0
    for file, column in (("C17.csv", 1), ("C67.csv", 1), ("LAMP.csv", 0), ("RAS002.csv", 0)):
        for title, (ticks, values) in measured(file, column).items():
            curve = amplification.Curve()
            early = None
            for tick, value in zip(ticks, values, strict=True):
                curve.add(tick, value)
                if early is None and curve.result().final:
                    early = curve.result()
            if early is not None:
                called += 1
                late = curve.result()
                assert name(late) == "positive", title
                assert abs(late.ttp_ms - early.ttp_ms) < 0.05 * (ticks[-1] - ticks[0]), title
    assert called >= 45


@pytest.mark.parametrize("count", [30, 40, 60, 120, 270, 540])
@pytest.mark.parametrize("middle", [0.25, 0.5, 0.8])
@pytest.mark.parametrize("knobs", [{}, {"drift": -0.15}, {"drift": 0.08}, {"fade": 0.6}, {"noise": 0.02}], ids=str)
def test_a_sigmoid_is_positive_where_its_tangent_leaves_the_baseline(count: int, middle: float, knobs: dict):
    for seed in range(4):
        reading = judged(sigmoid(count, middle, seed=seed, **knobs))
        assert name(reading) == "positive", f"seed {seed}"
        span = (count - 1) * 10_000
        assert abs(reading.ttp_ms - (middle - 0.04) * span) < 0.035 * span + 10_000


def _flat(u: float) -> float:
    return 0.0


NO_RISE = {
    "flat": _flat,
    "rising straight": lambda u: u,
    "falling straight": lambda u: -u,
    "bending up slowly": lambda u: u * u,
    "settling from above": lambda u: math.exp(-u / 0.05),
    "settling from below": lambda u: -math.exp(-u / 0.05),
    "settling from below, then rising": lambda u: -math.exp(-u / 0.03) + 0.5 * u,
    "one sample of start transient": lambda u: 5.0 if u == 0 else 0.0,
    "a bubble of one sample": lambda u: 3.0 if abs(u - 0.5) < 0.003 else 0.0,
    "a drop of one sample": lambda u: -3.0 if abs(u - 0.5) < 0.003 else 0.0,
    "a wave": lambda u: math.sin(2 * math.pi * u),
}


@pytest.mark.parametrize("shape", NO_RISE, ids=str)
def test_what_is_not_amplification_is_never_positive(shape: str):
    called = []
    for seed in range(40):
        chance = random.Random(seed)
        count = chance.choice([30, 40, 90, 120, 270])
        noise = chance.choice([0.003, 0.01, 0.05])
        curve = [NO_RISE[shape](i / (count - 1)) + chance.gauss(0, noise) for i in range(count)]
        reading = judged(curve)
        assert name(reading) != "positive", f"seed {seed}"
        called.append(name(reading))
    if shape != "a wave":  # which nobody would call plain
        assert called.count("negative") >= 30, called


def test_a_plain_take_off_after_a_transient_as_tall_as_itself_is_never_a_plain_negative():
    for seed in range(60):
        chance = random.Random(seed)
        middle = chance.uniform(0.5, 0.85)
        lead = [-math.exp(-i / 119 / 0.06) for i in range(120)]
        curve = [a + b for a, b in zip(lead, sigmoid(120, middle, 0.02, seed=seed), strict=True)]
        assert name(judged(curve)) != "negative", f"seed {seed}"


def test_a_bump_that_comes_and_goes_is_not_plain():
    for seed in range(20):
        chance = random.Random(seed)
        curve = [math.exp(-(((i / 119 - 0.5) / 0.06) ** 2)) + chance.gauss(0, 0.01) for i in range(120)]
        reading = judged(curve)
        assert outcome.reason_name(reading.reason) == "doubtful-curve", f"seed {seed}"


def test_a_rise_in_the_last_samples_is_not_called_plain_until_it_is_one():
    seen = [name(judged(sigmoid(200, 0.5, 0.02)[:last])) for last in range(60, 160, 2)]
    assert seen[0] == "negative"
    assert seen[-1] == "positive"
    assert "negative" not in seen[seen.index("positive") :], seen


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-1e5, 1e5),
    st.floats(1e-2, 1e4),
    st.sampled_from([71, 1000, 54_000]),
    st.integers(0, 10**8),
    st.booleans(),
)
def test_scale_offset_and_clock_do_not_change_the_outcome(
    offset: float, scale: float, step: int, zero: int, rises: bool
):
    assume(abs(offset) < 1e4 * scale)
    curve = sigmoid(100, noise=0.01) if rises else sigmoid(100, 9.0, noise=0.01)
    moved = [offset + scale * value for value in curve]
    reading = amplification.analyse([zero + i * step for i in range(100)], moved)
    assert name(reading) == ("positive" if rises else "negative")
    if rises:
        assert abs((reading.ttp_ms - zero) / step - judged(curve).ttp_ms / 10_000) < 1.5


@settings(max_examples=80, deadline=None)
@given(st.lists(st.floats() | st.floats(-10, 10) | st.just(3.0e38), max_size=200))
def test_any_values_give_an_outcome_with_its_reason(values: list[float]):
    reading = judged(values)
    assert reading.samples + reading.missing == len(values)
    if reading.samples < amplification.MIN_SAMPLES:
        assert reading.reason == outcome.TOO_FEW_SAMPLES


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(FAMILIES), st.integers(0, 10**6), st.integers(-60, 60))
def test_multiplying_a_curve_by_a_positive_factor_never_changes_its_call(family: Family, seed: int, power: int):
    curve = family.curve(seed)
    middle = sorted(value for value in curve.values if not math.isnan(value))[0]
    plain = [value - middle for value in curve.values]  # a factor leaves 0 where it is
    times = [value * 2.0**power for value in plain]  # by powers of two, so that no rounding hides in the answer
    one, other = amplification.analyse(curve.times_ms, plain), amplification.analyse(curve.times_ms, times)
    assert (one.outcome, one.reason, one.ttp_ms, one.snr_milli) == (
        other.outcome,
        other.reason,
        other.ttp_ms,
        other.snr_milli,
    )


@pytest.mark.parametrize("factor", [1e-6, 0.003, 7.0, 1e5, 3.3e9])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_no_unit_of_fluorescence_changes_a_call(family: Family, factor: float):
    changed = []
    for seed in range(20):
        curve = family.curve(seed)
        one = amplification.analyse(curve.times_ms, curve.values)
        other = amplification.analyse(curve.times_ms, [value * factor for value in curve.values])
        if (one.outcome, one.reason) != (other.outcome, other.reason):
            changed.append(seed)
    assert changed == []


LEAST_RIGHT = {
    "slow": 0.94,
    "with gaps and wrong samples": 0.9,
    "on a rising baseline": 0.94,
    "bending up": 0.75,
    "correlated noise": 0.83,
    "wandering": 0.88,
    "single wrong samples": 0.88,
    "rising towards a limit": 0.92,
    "a jump within one sample": 0.4,
    "swinging": 0.4,
}
"""Of families whose curves are hard to tell; every other is right in 96 of 100."""


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_curves_of_each_family_are_called_what_they_are_and_what_never_amplified_is_hardly_ever_positive(
    family: Family,
):
    called = []
    for seed in range(1000, 1150):
        curve = family.curve(seed)
        called.append(name(amplification.analyse(curve.times_ms, curve.values)))
    assert called.count(family.truth) >= LEAST_RIGHT.get(family.name, 0.96) * len(called), called
    wrong = {"positive": "negative", "negative": "positive"}[family.truth]
    assert called.count(wrong) <= 0.04 * len(called)


def test_missing_values_are_counted_and_do_not_change_the_call():
    curve = sigmoid(120)
    for i in random.Random(5).sample(range(120), 20):
        curve[i] = math.nan
    reading = judged(curve)
    assert (name(reading), reading.samples, reading.missing) == ("positive", 100, 20)


def test_a_long_run_takes_no_more_memory_than_a_short_one_and_keeps_its_time_to_positive():
    for count in (100, 161, 320, 321, 5000):
        curve = amplification.Curve()
        for i, value in enumerate(sigmoid(count)):
            curve.add(i * 1000, value)
        assert len(curve._t) == len(curve._v) == amplification.BINS
        reading = curve.result()
        assert name(reading) == "positive"
        assert abs(reading.ttp_ms / (count * 1000) - 0.46) < 0.03


def wells(sample: list[float], control: list[float], **more: object) -> tuple[str, str]:
    both = amplification.assess(judged(sample), judged(control), **more)
    assert outcome.allowed(both.outcome, both.reason)
    return outcome.outcome_name(both.outcome), outcome.reason_name(both.reason)


def test_the_internal_control_decides_what_a_silent_sample_means():
    rises, silent = sigmoid(120), sigmoid(120, 9.0)
    assert wells(silent, rises) == ("negative", "none")
    assert wells(silent, silent) == ("invalid", "no-internal-control")
    assert wells(silent, rises[:5]) == ("invalid", "no-internal-control")
    assert wells(rises, silent) == ("positive", "none")
    assert wells(rises[:5], rises) == ("invalid", "too-few-samples")
    assert wells(rises, rises, excursion=True) == ("invalid", "temperature-excursion")
    assert wells(rises, rises, latest_positive_ms=300_000) == ("indeterminate", "late-rise")
    assert wells(rises, rises, latest_positive_ms=900_000) == ("positive", "none")


def test_a_well_too_noisy_to_show_what_the_control_shows_is_no_negative():
    chance = random.Random(2)
    control = [100 * value for value in sigmoid(120)]
    quiet, loud = ([chance.gauss(0, sd) for _ in range(120)] for sd in (1.0, 12.0))
    assert wells(quiet, control) == ("negative", "none")
    assert wells(loud, control) == ("invalid", "noisy-curve")
    assert wells(control, loud) == ("positive", "none")
    assert wells(loud, loud) == ("invalid", "no-internal-control")


def watched(temperatures: list[int]) -> amplification.TemperatureWatch:
    watch = amplification.TemperatureWatch(6500, 100, 300_000, 30_000)
    for i, temperature in enumerate(temperatures):
        watch.add(i * 10_000, temperature)
    return watch


def test_a_reaction_may_warm_up_and_waver_but_not_leave_its_temperature():
    warm_up = [2000 + 150 * i for i in range(30)]
    assert not watched(warm_up + [6500] * 240).excursion
    assert not watched(warm_up + [6500] * 100 + [6350] * 3 + [6500] * 100).excursion
    assert watched(warm_up + [6500] * 100 + [6350] * 4 + [6500] * 100).excursion
    assert watched(warm_up + [6500] * 100 + [6650] * 4).excursion
    assert watched([2000] * 200).excursion, "it never got warm"
    assert watched(warm_up).excursion, "nobody looked once it should be warm"
    assert (watched([*warm_up, 6480, 6530]).lowest_cc, watched([*warm_up, 6480, 6530]).highest_cc) == (6480, 6530)
