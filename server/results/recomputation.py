"""The outcome again, from the trace, by the reader's own analysis run here. Pure.

A reader computes with 32-bit floats and the server with 64-bit ones, and the server's analysis may be newer; a
difference is flagged for people to judge, and never replaces what the reader showed. Values are compared too: a
concentration to a hundredth, a time to positive to a hundredth of the run, which is more than the floats differ by.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from reader import amplification, assays, outcome, packfile, strip
from reader.profile import Profile
from server.results.columns import Columns
from server.results.record import Analyte, QcRecord, ResultRecord
from server.results.trace import CurveTrace, StripTrace, TraceDamaged, decode

# Reasons that the analysis of a trace, or the times beside it, can give.
_FROM_STRIP = frozenset(
    (
        outcome.NONE, outcome.NO_CONTROL_LINE, outcome.WEAK_CONTROL_LINE, outcome.SATURATED, outcome.NO_STRIP,
        outcome.STRIP_MOVED, outcome.LIGHT_LEAK, outcome.BACKGROUND_UNEVEN, outcome.GREY_ZONE,
        outcome.HIGH_DOSE_HOOK, outcome.READ_TOO_EARLY, outcome.READ_TOO_LATE, outcome.NOISY_STRIP,
        outcome.LAMP_FAULT, outcome.BAD_WHITE_REFERENCE,
    )
)  # fmt: skip
_FROM_CURVES = frozenset(
    (
        outcome.NONE, outcome.NO_INTERNAL_CONTROL, outcome.TEMPERATURE_EXCURSION, outcome.NOISY_CURVE,
        outcome.LATE_RISE, outcome.TOO_FEW_SAMPLES, outcome.DOUBTFUL_CURVE, outcome.WEAK_RISE,
    )
)  # fmt: skip

_ANSWERS = (outcome.POSITIVE, outcome.NEGATIVE, outcome.INDETERMINATE)


class Recomputation(StrEnum):
    """What came of recomputing the outcome from the trace. Null in the table: not done yet."""

    AGREES = "agrees"
    DIFFERS = "differs"
    NOT_COMPARABLE = "not-comparable"
    """There is no trace, or the reason is one that no trace shows, such as a test that was cancelled."""
    UNKNOWN_ASSAY = "unknown-assay"
    """This server has no such assay, or not that version, or the trace is of another kind."""
    FAILED = "failed"
    """The trace is damaged or cannot be analysed."""


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What came of it; outcome and reason where there are any."""

    verdict: Recomputation
    outcome: int | None = None
    reason: int | None = None


def recompute(record: ResultRecord, pack: bytes | None = None) -> Recomputed:
    """Analyse the record's trace as its assay says, and compare with what the reader said.

    `pack` is what the organisation loaded under the record's assay and version, if it did. No other version is ever
    taken in its place.
    """
    if record.trace is None:
        return Recomputed(Recomputation.NOT_COMPARABLE)
    try:
        trace = decode(record.trace)
    except TraceDamaged:
        return Recomputed(Recomputation.FAILED)
    if record.reason not in (_FROM_STRIP if isinstance(trace, StripTrace) else _FROM_CURVES):
        return Recomputed(Recomputation.NOT_COMPARABLE)
    assay = _definition(record, pack)
    if isinstance(trace, CurveTrace):
        if not isinstance(assay, assays.AmplificationAssay):
            return Recomputed(Recomputation.UNKNOWN_ASSAY)
        return _compared(record, lambda: _curves(trace, assay))
    if not isinstance(assay, assays.StripAssay):
        return Recomputed(Recomputation.UNKNOWN_ASSAY)
    # Nearly every strip agrees, and to see that takes a third of the time by columns. Nothing is flagged by them: what
    # does not agree so is judged by the reader's own arithmetic.
    quick = _compared(record, lambda: _strip(record, trace, assay, Columns))
    if quick.verdict is Recomputation.AGREES:
        return quick
    return _compared(record, lambda: _strip(record, trace, assay, Profile))


def _compared(record: ResultRecord, analyse: Callable[[], "_Said"]) -> Recomputed:
    try:
        said = analyse()
    except _NoCalibration:
        return Recomputed(Recomputation.UNKNOWN_ASSAY)
    except (ArithmeticError, IndexError, ValueError):
        # What the reader's own code treats as a fault of the analysis.
        return Recomputed(Recomputation.FAILED)
    same = (said.outcome, said.reason) == (record.outcome, record.reason) and _same_values(record, said)
    return Recomputed(Recomputation.AGREES if same else Recomputation.DIFFERS, said.outcome, said.reason)


def recompute_control(record: QcRecord, pack: bytes | None = None) -> Recomputed:
    """As `recompute`, of a quality-control test. A verdict other than the one that its assay's own rule for that
    material comes to differs too."""
    said = recompute(record.test, pack)
    assay = _definition(record.test, pack)
    material = None if assay is None else assay.control(record.material)
    if material is None or said.verdict not in (Recomputation.AGREES, Recomputation.NOT_COMPARABLE):
        return said
    _, level, expected = material
    if level == record.level and record.passed == _shows(record.test, expected):
        return said
    return Recomputed(Recomputation.DIFFERS, said.outcome, said.reason)


def _shows(test: ResultRecord, expected: Sequence[int | Sequence[int]]) -> bool:
    """Whether every analyte is as the pack expects it of the material: an outcome, or a value in [lowest, highest]."""
    if test.outcome not in _ANSWERS or len(test.analytes) != len(expected):
        return False
    return all(_is(analyte, wanted) for analyte, wanted in zip(test.analytes, expected, strict=True))


def _is(analyte: Analyte, wanted: int | Sequence[int]) -> bool:
    if isinstance(wanted, int):
        return analyte.outcome == wanted
    low, high = wanted
    if analyte.value is None:
        return False
    if analyte.beyond:  # below the reportable range nothing more is known: as expected only where nothing is
        return analyte.beyond == 1 and low == 0 and analyte.value <= high
    return low <= analyte.value <= high


def _definition(record: ResultRecord, pack: bytes | None) -> assays.StripAssay | assays.AmplificationAssay | None:
    """The assay of the record's id and version; the release's own comes first, and neither can be the other."""
    known = packfile.find(record.assay, record.assay_version)
    if known is None and pack is not None:
        loaded = assays.decode(pack)
        if (loaded.id, loaded.version) == (record.assay, record.assay_version):
            return loaded
    return known


class _NoCalibration(Exception):
    """This server's pack has no calibration of the record's lot."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What came out: values of the analytes in thousandths of their unit, and how far another may be from each."""

    outcome: int
    reason: int
    values: tuple[tuple[int | None, int], ...] = ()


def _same_values(record: ResultRecord, said: _Said) -> bool:
    if not said.values:
        return True
    if len(said.values) != len(record.analytes):
        return False
    for analyte, (value, tolerance) in zip(record.analytes, said.values, strict=True):
        if (analyte.value is None) != (value is None):
            return False
        if analyte.value is not None and value is not None and abs(analyte.value - value) > tolerance:
            return False
    return True


def _strip(record: ResultRecord, trace: StripTrace, assay: assays.StripAssay, profile_of: type[Profile]) -> _Said:
    calibration = assay.calibration(record.lot)
    if assay.unit is not None and calibration is None:
        raise _NoCalibration
    reading = strip.analyse(
        trace.samples,
        trace.white,
        trace.dark,
        assay,
        trace.step_um,
        calibration=calibration,
        profile_of=profile_of,
    )
    if record.read_ms is not None and record.started_ms is not None:
        late = strip.check_timing((record.read_ms - record.started_ms) // 1000, assay)
        if late != outcome.NONE:
            return _Said(outcome.outcome_of(late), late)
    if assay.unit is None:
        return _Said(reading.outcome, reading.reason)
    values = [line.value_milli for line in reading.lines]
    return _Said(reading.outcome, reading.reason, tuple((one, 2 + abs(one or 0) // 100) for one in values))


def _curves(trace: CurveTrace, assay: assays.AmplificationAssay) -> _Said:
    if len(trace.wells) != 2:
        raise ValueError("an amplification has two wells")
    times_ms = [trace.start_ms + i * trace.step_ms for i in range(len(trace.wells[0]))]
    watch = amplification.TemperatureWatch(
        assay.target_cc, assay.tolerance_cc, assay.warm_up_s * 1000, assay.excursion_s * 1000
    )
    for time_ms, temperature_cc in zip(times_ms, trace.temperatures_cc, strict=True):
        watch.add(time_ms, temperature_cc)
    specimen, control = (amplification.analyse(times_ms, well) for well in trace.wells)
    whole = amplification.assess(specimen, control, assay.latest_positive_s * 1000, watch.excursion)
    value = None
    if whole.ttp_ms is not None and whole.outcome in (outcome.POSITIVE, outcome.INDETERMINATE):
        value = whole.ttp_ms // 60
    tolerance = 1 + len(times_ms) * trace.step_ms // 100 // 60
    return _Said(whole.outcome, whole.reason, ((value, tolerance),) * len(assay.analytes))
