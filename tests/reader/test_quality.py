"""When quality control is due, what it shows, and that a power cut at any write never makes a pass of what was none."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reader import durable, outcome, quality, results
from reader.quality import Quality

HOUR = 3_600_000
NOW = 1_795_262_400_000
MATERIALS = {"negative": ["02000000000909", "negative", [2]], "positive": ["02000000000916", "positive", [1]]}


def pack(**rules: Any) -> Any:
    chosen = {"hours": 0, "tests": 0, "lot_change": False, "after_fault": False, "levels": ["negative", "positive"]}
    fields = {f"qc_{name}": value for name, value in (chosen | rules).items()}
    of = {material[0]: material for material in MATERIALS.values()}
    return SimpleNamespace(id="some-ag", version=1, kind=1, control=of.get, **fields)


def control(assay: Any, level: str = "positive", lot: str = "L1", said: int | None = None) -> Any:
    test = results.Test()
    test.take_assay(assay)
    test.take_control(assay, MATERIALS[level], "M1")
    test.lot = lot
    test.outcome = said or MATERIALS[level][2][0]
    test.reason = outcome.NONE
    test.analytes = [["X", test.outcome, 0, None, None, None]]
    return test


def person(assay: Any, lot: str = "L1") -> Any:
    test = results.Test()
    test.take_assay(assay)
    test.specimen, test.lot = "S-1", lot
    return test


def run(kept: Quality, test: Any, now_ms: int | None = NOW) -> None:
    kept.begin(test)
    if test.control is not None:
        test.passed = quality.verdict(test)
        kept.conclude(test, now_ms)


def pass_all(kept: Quality, assay: Any, lot: str = "L1", now_ms: int = NOW) -> None:
    for level in assay.qc_levels:
        run(kept, control(assay, level, lot), now_ms)


@pytest.fixture
def kept(tmp_path: Path) -> Quality:
    made = Quality(str(tmp_path))
    made.clock_known(NOW)
    return made


def test_hours_are_counted_from_the_first_start_with_a_clock_and_then_from_the_last_pass(kept: Quality) -> None:
    assay = pack(hours=24)
    assert kept.due(assay, "L1", NOW + 23 * HOUR) is None
    assert kept.due(assay, "L1", NOW + 24 * HOUR) == "control due"
    pass_all(kept, assay, now_ms=NOW + 30 * HOUR)
    assert kept.due(assay, "L1", NOW + 53 * HOUR) is None
    assert kept.due(assay, "L1", NOW + 54 * HOUR) == "control due"


def test_without_a_clock_or_with_one_that_went_back_the_hours_cannot_be_judged_so_it_is_due(kept: Quality) -> None:
    assay = pack(hours=24)
    assert kept.due(assay, "L1", None) == "control due"
    assert kept.due(assay, "L1", NOW - 1) == "control due"
    assert kept.due(pack(), "L1", None) is None


def test_it_is_due_after_so_many_patients_tests_and_control_runs_do_not_count(kept: Quality) -> None:
    assay = pack(tests=3)
    for _ in range(3):
        assert kept.due(assay, "L1", NOW) is None
        run(kept, person(assay))
    assert kept.due(assay, "L1", NOW) == "control due"
    pass_all(kept, assay)
    assert kept.due(assay, "L1", NOW) is None


def test_a_lot_that_has_not_passed_is_due_and_one_that_has_stays_accepted(kept: Quality) -> None:
    assay = pack(lot_change=True)
    assert kept.due(assay, "L1", NOW) == "control due"
    pass_all(kept, assay, "L1")
    assert kept.due(assay, "L1", NOW) is None
    assert kept.due(assay, "L2", NOW) == "control due"
    pass_all(kept, assay, "L2")
    assert (kept.due(assay, "L1", NOW), kept.due(assay, "L2", NOW)) == (None, None)


def test_levels_of_two_lots_do_not_make_one_round(kept: Quality) -> None:
    assay = pack(lot_change=True)
    run(kept, control(assay, "negative", "L1"))
    run(kept, control(assay, "positive", "L2"))
    assert (kept.due(assay, "L1", NOW), kept.due(assay, "L2", NOW)) == ("control due", "control due")
    run(kept, control(assay, "negative", "L2"))
    assert kept.due(assay, "L2", NOW) is None


def test_a_fault_makes_it_due_for_its_own_kind_of_test_only(kept: Quality) -> None:
    assay, other = pack(after_fault=True), pack(after_fault=True)
    other.kind, other.id = 2, "some-lamp"
    kept.fault(1)
    assert (kept.due(assay, "L1", NOW), kept.due(other, "L1", NOW)) == ("control due", None)
    pass_all(kept, assay)
    assert kept.due(assay, "L1", NOW) is None


def test_a_failure_locks_the_assay_until_every_level_has_passed_anew(kept: Quality) -> None:
    assay = pack()
    run(kept, control(assay, "negative"))
    run(kept, control(assay, "positive", said=outcome.NEGATIVE))
    assert kept.due(assay, "L1", NOW) == "control failed"
    run(kept, control(assay, "positive"))
    assert kept.due(assay, "L1", NOW) == "control failed", "the pass before the failure counts no more"
    assert kept.missing(assay) == ["negative"]
    run(kept, control(assay, "negative"))
    assert kept.due(assay, "L1", NOW) is None
    assert kept.missing(assay) == []


def test_a_level_run_of_a_persons_own_accord_locks_nothing_when_it_passes(kept: Quality) -> None:
    assay = pack(hours=24)
    run(kept, control(assay, "negative"))
    assert kept.due(assay, "L1", NOW) is None


def test_levels_passed_more_than_a_day_apart_are_no_round(kept: Quality) -> None:
    assay = pack(lot_change=True)
    run(kept, control(assay, "negative"), NOW)
    run(kept, control(assay, "positive"), NOW + 25 * HOUR)
    assert kept.due(assay, "L1", NOW + 25 * HOUR) == "control due"


@pytest.mark.parametrize(
    ("expected", "analyte", "passes"),
    [
        ([1], ["X", 1, 0, None, None, None], True),
        ([1], ["X", 2, 0, None, None, None], False),
        ([1], ["X", 3, 8, None, None, None], False),
        ([[60_000, 100_000]], ["X", 1, 0, 60_000, "mg/L", 1], True),
        ([[60_000, 100_000]], ["X", 1, 0, 59_999, "mg/L", 1], False),
        ([[60_000, 100_000]], ["X", 1, 0, 100_001, "mg/L", 1], False),
        ([[60_000, 150_000]], ["X", 1, 0, 150_000, "mg/L", None, 2], False),
        ([[0, 7_000]], ["X", 2, 0, 5_000, "mg/L", None, 1], True),
        ([[1, 7_000]], ["X", 2, 0, 5_000, "mg/L", None, 1], False),
        ([[0, 7_000]], ["X", 2, 0, None, None, None], False),
        ([1, 1], ["X", 1, 0, None, None, None], False),
    ],
)
def test_what_a_control_must_show(expected: list[Any], analyte: list[Any], passes: bool) -> None:
    assay = pack()
    assay.control = lambda gtin: [gtin, "positive", expected]
    test = control(assay)
    test.outcome, test.analytes = analyte[1], [analyte]
    assert quality.verdict(test) == passes


def test_a_run_without_an_answer_has_not_passed() -> None:
    test = control(pack())
    test.fail(outcome.CANCELLED)
    assert not quality.verdict(test)


def test_a_state_whose_copies_are_both_damaged_is_due_and_passes_by_every_level(kept: Quality, tmp_path: Path) -> None:
    assay = pack()
    pass_all(kept, assay)
    for copy in ("quality-some-ag.a", "spare/quality-some-ag.b"):
        (tmp_path / copy).write_bytes(b"rotten")
    assert kept.due(assay, "L1", NOW) == "control due"
    run(kept, control(assay, "negative"))
    assert kept.due(assay, "L1", NOW) == "control failed"
    run(kept, control(assay, "positive"))
    assert kept.due(assay, "L1", NOW) is None


@pytest.mark.parametrize("back", ["quality-some-ag.a", "spare/quality-some-ag.b"])
def test_a_folder_that_goes_back_in_time_does_not_lift_a_failed_control(
    kept: Quality, tmp_path: Path, back: str
) -> None:
    assay = pack()
    pass_all(kept, assay)
    before = (tmp_path / back).read_bytes()
    run(kept, control(assay, "negative", said=outcome.POSITIVE))
    (tmp_path / back).write_bytes(before)
    assert kept.due(assay, "L1", NOW) == "control failed"


class PowerCut(Exception):
    """The power went."""


class Journal:
    """The note of a test under way and the records: as the reader's journal, each step whole or not at all."""

    def __init__(self) -> None:
        self.note: Any = None
        self.records: list[tuple[str, bool]] = []


def _steps(kept: Quality, journal: Journal, test: Any, step: Any) -> None:
    """A test of control material as reader.preparation and reader.course write it."""
    step()
    journal.note = test
    kept.begin(test)
    test.passed = quality.verdict(test)
    step()
    journal.records.append((test.control[1], test.passed))
    journal.note = None
    kept.conclude(test, NOW)


def _start_again(kept: Quality, journal: Journal) -> None:
    """As reader.app does before anything else."""
    if journal.note is not None:
        lost = journal.note
        kept.lost(lost)
        journal.records.append((lost.control[1], False))
        journal.note = None


def _passed_since_the_last_failure(records: list[tuple[str, bool]]) -> set[str]:
    levels: set[str] = set()
    for level, passed in records:
        levels = levels | {level} if passed else set()
    return levels


@pytest.mark.parametrize("said", [outcome.POSITIVE, outcome.NEGATIVE])
@pytest.mark.parametrize("failed_before", [False, True])
def test_the_power_cut_at_every_write_never_leaves_a_pass_that_was_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: int, failed_before: bool
) -> None:
    cuts = 0
    while True:
        folder = tmp_path / f"{cuts}"
        folder.mkdir()
        kept, journal, assay = Quality(str(folder)), Journal(), pack(lot_change=True)
        kept.clock_known(NOW)
        if failed_before:
            run(kept, control(assay, "negative", said=outcome.POSITIVE))
            journal.records.append(("negative", False))
        run(kept, control(assay, "negative"))
        journal.records.append(("negative", True))
        left = cuts
        real = durable.replace

        def step() -> None:
            nonlocal left
            if left == 0:
                raise PowerCut
            left -= 1

        def replace(path: str, data: bytes, step: Any = step, real: Any = real) -> None:
            step()
            real(path, data)

        with monkeypatch.context() as patched:
            patched.setattr(durable, "replace", replace)
            try:
                _steps(kept, journal, control(assay, "positive", said=said), step)
                whole = True
            except PowerCut:
                whole = False
        kept = Quality(str(folder))
        _start_again(kept, journal)
        open_for_patients = kept.due(assay, "L1", NOW) is None
        if open_for_patients:
            assert _passed_since_the_last_failure(journal.records) == {"negative", "positive"}
        if journal.records[-1] == ("positive", False):
            assert kept.due(assay, "L1", NOW) is not None
        if whole:
            assert open_for_patients == (said == outcome.POSITIVE)
            break
        cuts += 1
    assert cuts >= 6
