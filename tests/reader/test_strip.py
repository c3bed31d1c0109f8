"""What the strip analysis makes of simulated strips, sound and faulty."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reader import outcome, packfile, strip
from server.accuracy.simulated_strips import Strip, disturbed
from tests.reader.stubs.packs import changed

ONE = packfile.strip_assay("sars2-ag")
TWO = packfile.strip_assay("flu-ab-ag")
CONTROL = {11000: 200_000.0}
HOOK = "high-dose-hook"


def read(simulated: Strip, assay=ONE) -> strip.StripReading:
    return strip.analyse(simulated.pixels(), simulated.white_counts, simulated.dark(), assay)


def said(reading: strip.StripReading) -> tuple[str, str]:
    assert outcome.allowed(reading.outcome, reading.reason)
    for line in reading.lines:
        assert outcome.allowed(line.outcome, line.reason)
    return outcome.outcome_name(reading.outcome), outcome.reason_name(reading.reason)


SOUND = [
    ("no test line", {}, ("negative", "none")),
    ("a strong line", {"lines_ppm": {**CONTROL, 6000: 400_000.0}}, ("positive", "none")),
    ("a line that the eye hardly sees", {"lines_ppm": {**CONTROL, 6000: 30_000.0}}, ("positive", "none")),
    ("a line in the grey zone", {"lines_ppm": {**CONTROL, 6000: 12_000.0}}, ("indeterminate", "grey-zone")),
    ("a strip pushed in too little", {"lines_ppm": {**CONTROL, 6000: 40_000.0}, "shift_um": 500}, ("positive", "none")),
    ("tilt and gradient, no line", {"tilt": 0.3, "bow": 0.2}, ("negative", "none")),
    ("a small leak, no line", {"leak_counts": 2000}, ("negative", "none")),
    ("a broad smear over the line's place", {"smear": (48.0, 15.0, 0.1)}, ("negative", "none")),
    ("specks of dust beside the line", {"dust": [(40.0, 1.5, 0.3), (56.0, 2.0, 0.2)]}, ("negative", "none")),
    ("a speck of dust on the line's place", {"dust": [(47.5, 1.0, 0.3)]}, ("negative", "none")),
    ("a narrow line", {"lines_ppm": {**CONTROL, 6000: 40_000.0}, "width_um": 550}, ("positive", "none")),
    ("a wide line", {"lines_ppm": {**CONTROL, 6000: 40_000.0}, "width_um": 1100}, ("positive", "none")),
]
FAULTY = [
    ("no control line", {"lines_ppm": {6000: 100_000.0}}, ("invalid", "no-control-line")),
    ("a bare membrane", {"lines_ppm": {}}, ("invalid", "no-control-line")),
    ("a faint control line", {"lines_ppm": {11000: 25_000.0}}, ("invalid", "weak-control-line")),
    ("lines two millimetres off", {"lines_ppm": {**CONTROL, 6000: 5e4}, "shift_um": 2000}, ("invalid", "strip-moved")),
    ("much test, little control", {"lines_ppm": {11000: 45_000.0, 6000: 450_000.0}}, ("indeterminate", HOOK)),
    ("the lid ajar", {"leak_counts": 8000}, ("invalid", "light-leak")),
    ("too much light", {"gain": 1.8}, ("invalid", "saturated")),
    ("an empty tray", {"lines_ppm": {}, "membrane": 0.1}, ("invalid", "no-strip")),
    ("a dead lamp", {"lines_ppm": {}, "membrane": 0.0}, ("error", "lamp-fault")),
    ("noise that hides the cut-off", {"noise_ppm": 30_000.0}, ("invalid", "noisy-strip")),
]


@pytest.mark.parametrize(("what", "knobs", "expected"), SOUND + FAULTY, ids=[case[0] for case in SOUND + FAULTY])
def test_each_strip_gets_its_outcome_and_reason_from_any_seed(what: str, knobs: dict, expected: tuple[str, str]):
    for seed in range(20):
        simulated = Strip(seed=seed, **{"lines_ppm": CONTROL, "noise_ppm": 2000.0, **knobs})
        assert said(read(simulated)) == expected, f"{what}, seed {seed}"


def test_a_hair_across_the_place_of_a_line_makes_no_positive_and_hides_none():
    for seed in range(40):
        chance = random.Random(seed)
        hair = [(47.5 + chance.uniform(-3, 3), chance.uniform(2.5, 4), chance.uniform(0.1, 0.5))]
        blank = Strip(seed=seed, lines_ppm=CONTROL, noise_ppm=2000, dust=hair)
        assert read(blank).outcome != outcome.POSITIVE, f"seed {seed}"
        lined = Strip(seed=seed, lines_ppm={**CONTROL, 6000: 60_000.0}, noise_ppm=2000, dust=hair)
        assert read(lined).outcome != outcome.NEGATIVE, f"seed {seed}"


def test_a_strip_that_is_not_plain_leaves_no_line_that_reads_as_an_answer():
    for what, knobs, (kind, _) in FAULTY:
        reading = read(Strip(seed=3, **{"lines_ppm": CONTROL, "noise_ppm": 2000.0, **knobs}))
        for line in reading.lines:
            assert outcome.outcome_name(line.outcome) == kind, what


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (0, 0, ("negative", "negative", "negative")),
        (80_000, 0, ("positive", "negative", "positive")),
        (0, 80_000, ("negative", "positive", "positive")),
        (300_000, 30_000, ("positive", "positive", "positive")),
        (0, 12_000, ("negative", "indeterminate", "indeterminate")),
        (80_000, 12_000, ("positive", "indeterminate", "positive")),
    ],
)
def test_two_test_lines_are_judged_each_for_itself(a: float, b: float, expected: tuple[str, str, str]):
    for seed in range(10):
        lines = {4000: float(a), 7500: float(b), 11500: 250_000.0}
        reading = read(Strip(seed=seed, lines_ppm=lines, noise_ppm=1500, shift_um=300), TWO)
        each = [outcome.outcome_name(line.outcome) for line in reading.lines]
        assert (*each, outcome.outcome_name(reading.outcome)) == expected, f"seed {seed}"


def test_four_test_lines_two_millimetres_apart_are_told_from_each_other():
    four = changed("flu-ab-ag", analytes=["a", "b", "c", "d"], test_um=[3000, 5200, 7400, 9600], control_um=12000)
    for which in range(16):
        lines = {place: 60_000.0 if which >> i & 1 else 0.0 for i, place in enumerate(four.test_um)}
        reading = read(Strip(seed=which, lines_ppm={**lines, 12000: 250_000.0}, noise_ppm=1500), four)
        seen = sum((line.outcome == outcome.POSITIVE) << i for i, line in enumerate(reading.lines))
        assert seen == which


def test_position_is_found_to_a_fifth_of_a_pixel_and_height_to_a_tenth_and_within_its_error():
    within = 0
    for seed in range(60):
        shift = random.Random(seed).uniform(-500, 500)
        lines = {**CONTROL, 6000: 100_000.0}
        line = read(Strip(seed=seed, lines_ppm=lines, noise_ppm=2000, shift_um=shift)).lines[0]
        assert abs(line.position_um - 6000 - shift) < 25
        assert abs(line.signal_ppm - 100_000) < 10_000
        weak = {**CONTROL, 6000: 20_000.0}
        line = read(Strip(seed=seed, lines_ppm=weak, noise_ppm=4000, shift_um=shift)).lines[0]
        within += abs(line.signal_ppm - 20_000) < 2 * line.se_ppm
    assert within >= 54, f"only {within} of 60 weak lines within two standard errors of the truth"


def test_a_line_of_three_times_the_pixel_noise_is_detected_at_one_false_alarm_in_a_hundred(capsys):
    noise = 4000.0
    blanks = sorted(_score(disturbed(seed, 0.0, noise)) for seed in range(500))
    lines = [_score(disturbed(seed, 3 * noise, noise)) for seed in range(50_000, 50_400)]
    limit = blanks[int(0.99 * len(blanks))]
    share = sum(score > limit for score in lines) / len(lines)
    alarms = sum(score >= strip.DETECTED for score in blanks) / len(blanks)
    with capsys.disabled():
        print(f"\n  blanks: seeds 0 to 499, 99th percentile {limit:.2f} standard errors, {alarms:.3f} beyond the gate;")
        print(f"  lines of 3 x noise: seeds 50000 to 50399, detected {share:.4f}")
    assert share >= 0.95
    assert alarms <= 0.02


def _score(simulated: Strip) -> float:
    reading = read(simulated)
    assert reading.lines, "a disturbed strip is still read"
    return reading.lines[0].signal_ppm / max(reading.lines[0].se_ppm, 1)


def test_white_and_dark_may_be_levels_or_one_a_pixel_and_unusable_ones_are_named():
    simulated = Strip(seed=1, lines_ppm={**CONTROL, 6000: 50_000.0}, noise_ppm=1500)
    pixels = simulated.pixels()
    level = strip.analyse(pixels, simulated.white_counts, simulated.dark(), ONE)
    each = strip.analyse(pixels, [simulated.white_counts] * 128, [simulated.dark()] * 128, ONE)
    assert level.lines[0].signal_ppm == each.lines[0].signal_ppm
    for white in (0, 900, 65535, [simulated.white_counts] * 127):
        reading = strip.analyse(pixels, white, simulated.dark() if white != 0 else 0, ONE)
        assert said(reading) == ("error", "bad-white-reference")


def test_a_pattern_of_the_lamp_cancels_against_a_white_reference_that_shows_it():
    simulated = Strip(seed=2, lines_ppm={**CONTROL, 6000: 40_000.0}, noise_ppm=1000)
    wave = [1 - 0.25 * ((i % 16) / 16) for i in range(128)]
    pixels = [round(900 + (count - 900) * part) for count, part in zip(simulated.pixels(), wave, strict=True)]
    white = [round(900 + (simulated.white_counts - 900) * part) for part in wave]
    reading = strip.analyse(pixels, white, simulated.dark(), ONE)
    assert said(reading) == ("positive", "none")
    assert abs(reading.lines[0].signal_ppm - 40_000) < 5000


@pytest.mark.parametrize(
    ("elapsed", "reason"),
    [(899, outcome.READ_TOO_EARLY), (900, outcome.NONE), (1800, outcome.NONE), (1801, outcome.READ_TOO_LATE)],
)
def test_the_read_window_is_enforced_to_the_second(elapsed: int, reason: int):
    assert strip.check_timing(elapsed, ONE) == reason


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 65535), min_size=128, max_size=128), st.integers(0, 65535), st.integers(0, 65535))
def test_any_counts_give_an_outcome_with_its_reason_and_whole_numbers(pixels: list[int], white: int, dark: int):
    reading = strip.analyse(pixels, white, dark, TWO)
    said(reading)
    for line in reading.lines:
        assert all(isinstance(value, int) for value in (line.signal_ppm, line.se_ppm, line.position_um, line.level_ppm))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.3, 1.15), st.floats(0, 200_000))
def test_the_level_of_the_light_does_not_change_what_is_seen(seed: int, gain: float, height: float):
    knobs = {"lines_ppm": {**CONTROL, 6000: height}, "noise_ppm": 1500.0, "dark_counts": 0}
    full, dimmer = read(Strip(seed=seed, **knobs)), read(Strip(seed=seed, gain=gain, **knobs))
    if gain * 0.8 >= 0.31:
        assert abs(full.lines[0].signal_ppm - dimmer.lines[0].signal_ppm) < 1000
