"""From a line's signal to a concentration: the calibration turned round, its range, and the outcome it gives."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reader import outcome, packfile, quantity, strip
from server.accuracy.simulated_strips import Strip
from tests.reader.float32_twin import twin
from tests.reader.stubs.packs import changed

CRP = packfile.strip_assay("crp")
LOT = CRP.calibration("CRP001")
LIMITS = (CRP.low_milli, CRP.high_milli)
NARROW = twin("reader.quantity")

calibrations = st.tuples(
    st.integers(-5_000, 20_000), st.integers(400, 3_000), st.integers(500, 500_000), st.integers(60_000, 900_000)
)


def read(signal: int, se: int = 300, calibration: tuple[int, int, int, int] = LOT):
    return quantity.judge(signal, se, calibration, *LIMITS, CRP.grey_milli, CRP.decision_milli)


@given(calibrations, st.integers(1_000, 150_000))
def test_a_concentration_comes_back_from_its_own_signal(calibration: tuple[int, int, int, int], milli: int):
    a, _, _, d = calibration
    signal = quantity.signal(milli, calibration)
    assume(abs(signal - a) > 1000 and abs(d - signal) > 1000)  # a whole ppm says too little there
    value, error, beyond = quantity.concentration(round(signal), 1, calibration, 1, 10**9)
    slope = error or 1  # the value's change with one part per million
    assert beyond == quantity.WITHIN
    assert abs(value - milli) <= slope + 1


@given(calibrations, st.lists(st.integers(-100_000, 1_000_000), min_size=2, max_size=20))
def test_more_signal_is_never_a_lower_concentration(calibration: tuple[int, int, int, int], signals: list[int]):
    found = [quantity.concentration(signal, 100, calibration, *LIMITS) for signal in sorted(signals)]
    assert [value for value, _, _ in found] == sorted(value for value, _, _ in found)
    order = {quantity.BELOW: 0, quantity.WITHIN: 1, quantity.ABOVE: 2}
    sides = [order[beyond] for _, _, beyond in found]
    assert sides == sorted(sides)


@given(calibrations, st.integers(-(2**31), 2**31), st.integers(0, 10**6))
def test_any_signal_gives_a_value_of_the_reportable_range_and_an_outcome_with_its_reason(
    calibration: tuple[int, int, int, int], signal: int, se: int
):
    kind, reason, value, error, beyond = read(signal, se, calibration)
    assert outcome.allowed(kind, reason)
    if kind == outcome.INVALID:
        assert (value, error, beyond) == (None, None, quantity.WITHIN)
        return
    assert LIMITS[0] <= value <= LIMITS[1]
    assert (error is None) == (beyond != quantity.WITHIN)
    if kind == outcome.NEGATIVE:
        assert value < CRP.grey_milli
    if kind == outcome.POSITIVE:
        assert value >= CRP.decision_milli


@given(calibrations, st.integers(-100_000, 1_000_000), st.integers(0, 20_000))
def test_a_board_in_32_bit_floats_gives_the_same_outcome_and_value(
    calibration: tuple[int, int, int, int], signal: int, se: int
):
    wide, narrow = (
        read(signal, se, calibration),
        NARROW.judge(signal, se, calibration, *LIMITS, CRP.grey_milli, CRP.decision_milli),
    )
    if wide[2] is not None and narrow[2] is not None:
        off = abs(wide[2] - narrow[2])
        assert off <= 2 + wide[2] // 10_000
        at_a_limit = min(abs(wide[2] - limit) for limit in (*LIMITS, CRP.grey_milli, CRP.decision_milli)) <= off + 1
    else:
        at_a_limit = False
    doubtful = wide[3] is not None and abs(wide[2] + 2 * wide[3] - CRP.decision_milli) <= 8 + wide[3] // 1000
    assert wide[:2] == narrow[:2] or at_a_limit or doubtful


@pytest.mark.parametrize(
    ("milligrams", "expected"),
    [
        (0, ("negative", quantity.BELOW)),
        (3, ("negative", quantity.BELOW)),
        (10, ("negative", quantity.WITHIN)),
        (19, ("indeterminate", quantity.WITHIN)),
        (21, ("positive", quantity.WITHIN)),
        (120, ("positive", quantity.WITHIN)),
        (400, ("positive", quantity.ABOVE)),
        (10**6, ("positive", quantity.ABOVE)),
    ],
)
def test_a_strip_of_known_concentration_gets_its_outcome_and_says_what_is_beyond_its_range(
    milligrams: int, expected: tuple[str, int]
):
    signal = round(quantity.signal(milligrams * 1000, LOT))
    kind, _, value, _, beyond = read(signal)
    assert (outcome.outcome_name(kind), beyond) == expected
    if beyond == quantity.WITHIN:
        assert abs(value / 1000 / milligrams - 1) < 0.01


def test_a_value_whose_error_reaches_the_decision_limit_is_undecided_and_a_hopeless_one_is_invalid():
    signal = round(quantity.signal(16_000, LOT))
    assert outcome.outcome_name(read(signal, 300)[0]) == "negative"
    assert read(signal, 20_000)[:2] == (outcome.INDETERMINATE, outcome.GREY_ZONE)
    assert read(signal, 80_000)[:2] == (outcome.INVALID, outcome.NOISY_STRIP)
    assert read(-500, 80_000)[:2] == (outcome.INVALID, outcome.NOISY_STRIP)


def test_the_standard_error_is_what_the_value_scatters_by():
    signal = quantity.signal(50_000, LOT)
    sides = [quantity.concentration(round(signal + off), 1000, LOT, *LIMITS)[0] for off in (-1000, 1000)]
    _, error, _ = quantity.concentration(round(signal), 1000, LOT, *LIMITS)
    assert math.isclose((sides[1] - sides[0]) / 2, error, rel_tol=0.02)


def test_a_falling_calibration_is_read_the_other_way():
    falling = (520_000, 1150, 38_000, 2_000)
    value, _, beyond = quantity.concentration(round(quantity.signal(50_000, falling)), 100, falling, *LIMITS)
    assert (beyond, abs(value - 50_000) < 50) == (quantity.WITHIN, True)
    assert quantity.concentration(600_000, 100, falling, *LIMITS)[2] == quantity.BELOW
    assert quantity.concentration(1_000, 100, falling, *LIMITS)[2] == quantity.ABOVE


def analysed(lines: dict[int, float], lot: str | None = "CRP001", **knobs: float) -> strip.StripReading:
    simulated = Strip(seed=4, lines_ppm={11000: 200_000.0, **lines}, noise_ppm=1500.0, **knobs)
    return strip.analyse(
        simulated.pixels(), simulated.white_counts, simulated.dark(), CRP, calibration=CRP.calibration(lot)
    )


def test_a_strip_gives_the_concentration_that_its_line_shows_by_the_calibration_of_its_own_lot():
    first, second = analysed({6000: 250_000.0}), analysed({6000: 250_000.0}, "CRP002")
    for reading, lot in ((first, "CRP001"), (second, "CRP002")):
        line = reading.lines[0]
        assert reading.outcome == line.outcome == outcome.POSITIVE
        expected, _, _ = quantity.concentration(line.signal_ppm, line.se_ppm, CRP.calibration(lot), *LIMITS)
        assert line.value_milli == expected
        assert 25_000 < expected < 50_000
    assert first.lines[0].value_milli != second.lines[0].value_milli


def test_a_strip_of_a_lot_without_a_calibration_is_not_read():
    with pytest.raises(ValueError, match="calibration"):
        analysed({6000: 250_000.0}, lot="nobody's")


def test_a_strip_that_is_no_answer_carries_no_concentration():
    for knobs in ({"leak_counts": 8000}, {"shift_um": 2000}):
        reading = analysed({6000: 250_000.0}, **knobs)
        assert reading.outcome == outcome.INVALID
        assert all(line.value_milli is None and line.beyond == 0 for line in reading.lines)


def test_an_overloaded_quantitative_strip_is_undecided_and_carries_no_concentration():
    assay = changed("crp", hook_ppm=60_000, hook_test_ppm=350_000)
    simulated = Strip(seed=1, lines_ppm={11000: 45_000.0, 6000: 450_000.0}, noise_ppm=1500.0)
    reading = strip.analyse(simulated.pixels(), simulated.white_counts, simulated.dark(), assay, calibration=LOT)
    assert (reading.outcome, reading.reason) == (outcome.INDETERMINATE, outcome.HIGH_DOSE_HOOK)
    assert reading.lines[0].value_milli is None
