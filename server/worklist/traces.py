"""From the raw trace of a test to what a clinician sees of it: a plot with its marks, and the numbers behind it.

The reader's own analysis is run again here on the trace that the reader recorded, so the marks are where the decision
was made, not where somebody thought they were.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from reader import amplification, assays, quantity, strip
from reader import outcome as outcomes
from server.results.trace import CurveTrace, StripTrace
from server.web.formatting import celsius, clock_minutes, duration, measure, percent
from server.web.plot import Band, Plot, Rule, Series


@dataclass(frozen=True, slots=True)
class Table:
    """The numbers behind a plot. The first cell of each row is its heading."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page shows of a trace."""

    plot: Plot
    measured: Table
    samples: Table


def strip_shown(
    trace: StripTrace, assay: assays.StripAssay, calibration: tuple[int, int, int, int] | None = None
) -> Shown:
    """The strip's darkening along its window, with control line, test lines and cut-off where the assay puts them."""
    reading = strip.analyse(trace.samples, trace.white, trace.dark, assay, trace.step_um, calibration=calibration)
    places = [round((pixel + 0.5) * trace.step_um / 1000, 3) for pixel in range(len(trace.samples))]
    control = reading.control
    if control is None:
        return _strip_unread(trace, places)
    darkening = [
        round(100 * (1 - value / max(level, 1)), 3)
        for value, level in zip(reading.profile, reading.baseline, strict=True)
    ]
    names = _line_names(assay)
    half_mm = assay.line_um / 1000 * 0.75
    rules: list[Rule] = []
    cut_offs: list[Rule] = []
    bands: list[Band] = []
    limits, legend = _cut_offs(assay, calibration)
    highest = max(limits) / 10_000
    for index, (name, line) in enumerate(zip(names, reading.lines, strict=True)):
        at = line.position_um / 1000
        cut_off = limits[index] / 10_000
        found = line.signal_ppm >= assay.positive_ppm[index]
        said = f"Test line: {line.name}" if found else f"Where the test line for {line.name} would be"
        bands.append(Band(at - half_mm, at + half_mm, "line"))
        rules.append(Rule("x", at, "test-line" if found else "missing", name, said))
        cut_offs.append(Rule("y", cut_off, "cutoff", "", "" if index else legend, (at - 2 * half_mm, at + 2 * half_mm)))
    at = control.position_um / 1000
    control_found = control.signal_ppm >= assay.control_ppm
    said = "Control line" if control_found else "Where the control line should be"
    bands.append(Band(at - half_mm, at + half_mm, "line"))
    rules.append(Rule("x", at, "control-line" if control_found else "missing", "C", said))
    plot = Plot(
        title="Strip profile",
        summary=_strip_summary(control, reading.lines, assay),
        x_label="Distance along the strip, mm",
        y_label="Darkening of the strip, %",
        xs=places,
        series=(
            Series("Strip as read", "profile", darkening),
            Series("Baseline of the bare membrane", "baseline", [0.0] * len(places)),
        ),
        rules=[*rules, *cut_offs],
        bands=bands,
        floor=0.0,
        least_span=3 * highest,
    )
    return Shown(plot, _lines_table(control, reading.lines, assay), _pixels_table(trace, places, darkening))


def curves_shown(trace: CurveTrace, assay: assays.AmplificationAssay) -> Shown:
    """The fluorescence of both wells over time, with baseline and rise of each, and the assay's time limit."""
    times_ms = [trace.start_ms + index * trace.step_ms for index in range(len(trace.wells[0]))]
    minutes = [round(time_ms / 60_000, 4) for time_ms in times_ms]
    names = ("Specimen", "Internal control")
    roles = ("sample", "control")
    readings = [amplification.analyse(times_ms, well) for well in trace.wells]
    rules: list[Rule] = []
    baselines: list[Rule] = []
    for role, reading in zip(roles, readings, strict=False):
        if reading.ttp_ms is None:
            continue
        at = reading.ttp_ms / 60_000
        letter, said = ("S", "Time to positive") if role == "sample" else ("IC", "Rise of the internal control")
        rules.append(Rule("x", at, f"{role}-ttp", letter, f"{said}, {clock_minutes(reading.ttp_ms)}"))
        baselines.append(
            Rule("y", reading.level, "baseline", "", "" if baselines else "Baseline before the rise", (minutes[0], at))
        )
    said = f"Latest time that counts as positive, {clock_minutes(assay.latest_positive_s * 1000)}"
    rules.append(Rule("x", assay.latest_positive_s / 60, "cutoff", "Limit", said))
    plot = Plot(
        title="Amplification curves",
        summary=_curves_summary(readings, trace),
        x_label="Time since heating began, minutes",
        y_label="Fluorescence, counts",
        xs=minutes,
        series=[Series(name, role, list(well)) for name, role, well in zip(names, roles, trace.wells, strict=False)],
        rules=[*rules, *baselines],
    )
    return Shown(plot, _wells_table(names, readings), _samples_table(trace, times_ms))


def shown(
    trace: StripTrace | CurveTrace, assay: assays.StripAssay | assays.AmplificationAssay | None, lot: str | None = None
) -> Shown | None:
    """What is shown of a trace, or None when the assay is not known or is of another kind than the trace."""
    if isinstance(trace, StripTrace) and isinstance(assay, assays.StripAssay):
        calibration = assay.calibration(lot)
        return None if assay.unit and calibration is None else strip_shown(trace, assay, calibration)
    if isinstance(trace, CurveTrace) and isinstance(assay, assays.AmplificationAssay):
        return curves_shown(trace, assay)
    return None


def _line_names(assay: assays.StripAssay) -> list[str]:
    """What is printed beside a cassette's window: T, or T1, T2 where there are several."""
    many = len(assay.analytes) > 1
    return [f"T{index}" if many else "T" for index in range(1, len(assay.analytes) + 1)]


def _strip_unread(trace: StripTrace, places: Sequence[float]) -> Shown:
    """Only the raw counts, where no strip could be made out in them."""
    plot = Plot(
        title="Strip profile",
        summary="No strip could be made out, so only what the sensor counted is drawn; no line can be marked in it.",
        x_label="Distance along the window, mm",
        y_label="Light, sensor counts",
        xs=places,
        series=(Series("Light that came back", "profile", list(trace.samples)),),
        floor=0.0,
        least_span=1000.0,
    )
    nothing = Table("What was measured", ("Line", "Signal"), ())
    return Shown(plot, nothing, _pixels_table(trace, places, None))


def _cut_offs(assay: assays.StripAssay, calibration: tuple[int, int, int, int] | None) -> tuple[list[int], str]:
    """Where each test line's outcome turns, parts per million, and what that is called."""
    if assay.unit is None or calibration is None:
        each = " and ".join(percent(one) for one in sorted(set(assay.positive_ppm)))
        return assay.positive_ppm, f"Cut-off of a test line, {each}"
    limit = round(quantity.signal(assay.decision_milli, calibration))
    return [limit] * len(assay.analytes), f"Decision limit of {measure(assay.decision_milli, assay.unit)}"


def _strip_summary(control: strip.LineReading, lines: Sequence[strip.LineReading], assay: assays.StripAssay) -> str:
    if control.signal_ppm < assay.control_ppm:
        # Without a control line even the absence of a test line says nothing.
        return "There is no control line, so the test lines say nothing, whether they show or not."
    if control.signal_ppm < assay.control_faint_ppm:
        sentences = [f"The control line is faint, {percent(control.signal_ppm)} darker than the membrane."]
    else:
        sentences = [f"The control line is {percent(control.signal_ppm)} darker than the membrane."]
    if assay.unit is not None:
        sentences += [_concentration(line, assay) for line in lines]
        return " ".join(sentences)
    for line, grey_ppm, positive_ppm in zip(lines, assay.grey_ppm, assay.positive_ppm, strict=True):
        if line.signal_ppm >= positive_ppm:
            place = f"at or above the cut-off of {percent(positive_ppm)}"
        elif line.signal_ppm >= grey_ppm:
            place = f"between the limits of {percent(grey_ppm)} and {percent(positive_ppm)}"
        else:
            place = f"below the limit of {percent(grey_ppm)} for a line"
        sentences.append(f"{line.name}: {percent(line.signal_ppm)}, {place}.")
    return " ".join(sentences)


def _concentration(line: strip.LineReading, assay: assays.StripAssay) -> str:
    dark = f"{line.name}: {percent(line.signal_ppm)} darker than the membrane"
    if line.value_milli is None:
        return f"{dark}, which gives no concentration."
    value, limit = measure(line.value_milli, assay.unit), measure(assay.decision_milli, assay.unit)
    side = "at or above" if line.value_milli >= assay.decision_milli else "below"
    beyond = ("", "less than ", "more than ")[line.beyond]
    return f"{dark}, which is {beyond}{value} by the lot's calibration, {side} the decision limit of {limit}."


def _curves_summary(readings: Sequence[amplification.CurveReading], trace: CurveTrace) -> str:
    sentences: list[str] = []
    for name, reading in zip(("specimen", "internal control"), readings, strict=False):
        if reading.outcome == outcomes.POSITIVE and reading.ttp_ms is not None:
            sentences.append(f"The {name} rose after {duration(timedelta(milliseconds=reading.ttp_ms))}.")
        elif reading.ttp_ms is not None:
            after = duration(timedelta(milliseconds=reading.ttp_ms))
            sentences.append(f"The {name} rose after {after}, but not clearly as amplification does.")
        else:
            sentences.append(f"The {name} did not rise.")
    if trace.temperatures_cc:
        low, high = celsius(min(trace.temperatures_cc)), celsius(max(trace.temperatures_cc))
        held = f"stayed at {low}" if low == high else f"was between {low} and {high}"
        sentences.append(f"The block {held} from the first sample to the last.")
    return " ".join(sentences)


def _lines_table(control: strip.LineReading, lines: Sequence[strip.LineReading], assay: assays.StripAssay) -> Table:
    rows = [
        (
            line.name,
            f"{line.position_um / 1000:.2f} mm",
            f"{percent(line.signal_ppm)} (standard error {percent(line.se_ppm)})",
            percent(positive_ppm),
            "–" if line.ratio_ppm is None else f"{line.ratio_ppm / 1_000_000:.2f}",
        )
        for line, positive_ppm in zip(lines, assay.positive_ppm, strict=True)
    ]
    rows.append(
        (
            "Control line",
            f"{control.position_um / 1000:.2f} mm",
            f"{percent(control.signal_ppm)} (standard error {percent(control.se_ppm)})",
            percent(assay.control_ppm),
            "–",
        )
    )
    return Table("Lines", ("Line", "Position", "Darkening", "Cut-off", "Ratio to control"), rows)


def _pixels_table(trace: StripTrace, places: Sequence[float], darkening: Sequence[float] | None) -> Table:
    head = ["Position, mm", "Light, counts"]
    if darkening is not None:
        head.append("Darkening, %")
    rows = [
        (f"{place:.2f}", f"{count:,}", *(() if darkening is None else (f"{darkening[index]:.2f}".replace("-", "−"),)))
        for index, (place, count) in enumerate(zip(places, trace.samples, strict=True))
    ]
    return Table("Every pixel of the strip", head, rows)


def _wells_table(names: Sequence[str], readings: Sequence[amplification.CurveReading]) -> Table:
    rows = [
        (
            name,
            "Rose" if reading.outcome == outcomes.POSITIVE else outcomes.outcome_name(reading.outcome).capitalize(),
            "–" if reading.ttp_ms is None else clock_minutes(reading.ttp_ms),
            "–" if reading.ttp_se_ms is None else f"{reading.ttp_se_ms / 1000:.0f} seconds",
            f"{reading.level:,.0f}",
            f"{reading.rise:,.0f}",
        )
        for name, reading in zip(names, readings, strict=False)
    ]
    head = ("Well", "Curve", "Time to positive, min:s", "Standard error", "Baseline, counts", "Rise, counts")
    return Table("Wells", head, rows)


def _samples_table(trace: CurveTrace, times_ms: Sequence[int]) -> Table:
    head = ["Time, min:s", "Specimen", "Internal control"][: 1 + len(trace.wells)]
    warm = len(trace.temperatures_cc) == len(times_ms)
    if warm:
        head.append("Temperature")
    rows = [
        (
            clock_minutes(time_ms),
            *(f"{well[index]:,}" for well in trace.wells),
            *((celsius(trace.temperatures_cc[index]),) if warm else ()),
        )
        for index, time_ms in enumerate(times_ms)
    ]
    return Table("Every sample", head, rows)
