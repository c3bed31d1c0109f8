"""The page of figures, docs/accuracy.md: made by `doorstep accuracy --report`, never written by hand.

Every section is a function of fixed seeds, so that whoever makes the page again gets the same text.
"""

from __future__ import annotations

import bisect
import random
import statistics
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from reader import amplification, outcome, packfile, quantity, strip
from server.accuracy.reports import INTERVAL, Proportion, Report
from server.accuracy.simulated_curves import FAMILIES
from server.accuracy.simulated_strips import Strip, disturbed

CURVES_OF_A_FAMILY = 300
BLANKS = range(500)
LINES = range(50_000, 50_300)
PIXEL_NOISE_PPM = 4000.0
CONTRASTS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
FALSE_POSITIVES = (0.005, 0.01, 0.02, 0.05)
DETECTED = 0.95
FAULTY = range(40)
CONCENTRATIONS = (3.0, 6.0, 12.0, 19.0, 25.0, 50.0, 100.0, 140.0, 200.0)  # mg/L
STRIPS_OF_A_CONCENTRATION = 40
CALIBRATED_LOT = "CRP001"

_CONTROL = {11000: 200_000.0}
FAULTS: tuple[tuple[str, Strip, int], ...] = (
    ("no control line", Strip(0, {6000: 100_000.0}), outcome.NO_CONTROL_LINE),
    ("a faint control line", Strip(0, {11000: 25_000.0}), outcome.WEAK_CONTROL_LINE),
    ("lines two millimetres off", Strip(0, {**_CONTROL, 6000: 50_000.0}, shift_um=2000), outcome.STRIP_MOVED),
    ("much test line, little control line", Strip(0, {11000: 45_000.0, 6000: 450_000.0}), outcome.HIGH_DOSE_HOOK),
    ("outside light", Strip(0, _CONTROL, leak_counts=8000), outcome.LIGHT_LEAK),
    ("too much light", Strip(0, _CONTROL, gain=1.8), outcome.SATURATED),
    ("an empty tray", Strip(0, {}, membrane=0.1), outcome.NO_STRIP),
    ("a dead lamp", Strip(0, {}, membrane=0.0), outcome.LAMP_FAULT),
    ("noise that hides the cut-off", Strip(0, _CONTROL, noise_ppm=30_000.0), outcome.NOISY_STRIP),
)


def made(measured: Sequence[Report]) -> str:
    """The whole page, as Markdown that ends with a line end."""
    return "\n\n".join([opening(measured), *(section() for section in SECTIONS)]) + "\n"


def opening(measured: Sequence[Report]) -> str:
    """What the page is, and the figures on measured data."""
    return f"{_head()}\n\n{_measured(measured)}"


def _head() -> str:
    return "# How often the analysis is right\n\n" + _prose(
        f"""Made by `doorstep accuracy --report docs/accuracy.md`; do not edit. The analysis is the reader's own, with
        the one set of parameters that it ships with: amplification version {amplification.ALGORITHM}, strip version
        {strip.ALGORITHM}. An indeterminate answer is never counted as right. An invalid one is left out of both
        proportions and counted by itself. Intervals: {INTERVAL} (Wilson 1927, J Am Stat Assoc 22:209)."""
    )


def _prose(text: str) -> str:
    """The text as one paragraph of lines of at most 120 characters."""
    return textwrap.fill(" ".join(text.split()), 120, break_on_hyphens=False, break_long_words=False)


def _measured(reports: Sequence[Report]) -> str:
    if not reports:
        return "## Measured data\n\nThe folder of measured data was not there when this page was made."
    rows: list[Sequence[str]] = []
    for report in reports:
        rated = any(call.truth != "unrated" for call in report.calls)
        said = Counter(call.outcome for call in report.calls)
        rows.append(
            (
                report.file,
                str(len(report.calls)),
                _share(report.proportion("positive")) if rated else "not rated",
                _share(report.proportion("negative")) if rated else "not rated",
                ", ".join(f"{count} {name}" for name, count in said.most_common()),
            )
        )
    text = ["## Measured data", "", *_table(("file", "traces", "sensitivity", "specificity", "answers"), rows), ""]
    wrong = [(report, call) for report in reports for call in report.calls if call.disagrees]
    text.append("Every disagreement:" if wrong else "No disagreement.")
    for report, call in wrong:
        text.append(f"* {report.file}, {call.name}: {call.outcome}, rated {call.truth} by all.")
    return "\n".join(text)


def curves() -> str:
    """Simulated amplification curves, a row a family."""
    rows: list[Sequence[str]] = []
    totals = {"positive": [0, 0], "negative": [0, 0]}
    for family in FAMILIES:
        said: Counter[str] = Counter()
        for seed in range(CURVES_OF_A_FAMILY):
            curve = family.curve(seed)
            said[outcome.outcome_name(amplification.analyse(curve.times_ms, curve.values).outcome)] += 1
        totals[family.truth][0] += said[family.truth]
        totals[family.truth][1] += said.total()
        counts = [str(said[name]) for name in ("positive", "negative", "indeterminate")]
        rows.append((family.name, family.truth, *counts, _share(Proportion(said[family.truth], said.total()))))
    return "\n".join(
        [
            "## Simulated amplification curves",
            "",
            _prose(
                f"""{CURVES_OF_A_FAMILY} curves of each family, seeds from 0; scale from 0.01 to 1,000,000, offset,
                length and sampling are drawn as well. The last two families amplify nothing but are no plain negative
                either: what counts there is that they are not called positive."""
            ),
            "",
            *_table(("family", "truth", "positive", "negative", "indeterminate", "right"), rows),
            "",
            f"Sensitivity {_share(Proportion(*totals['positive']))}.",
            f"Specificity {_share(Proportion(*totals['negative']))}.",
        ]
    )


def _score(simulated: Strip) -> float:
    """A test line's signal in its own standard errors."""
    reading = _read(simulated)
    return reading.lines[0].signal_ppm / max(reading.lines[0].se_ppm, 1)


def _read(simulated: Strip, assay_id: str = "sars2-ag", lot: str | None = None) -> strip.StripReading:
    assay = packfile.strip_assay(assay_id)
    return strip.analyse(
        simulated.pixels(), simulated.white_counts, simulated.dark(), assay, calibration=assay.calibration(lot)
    )


def lines() -> str:
    """Faint lines: the receiver operating characteristic and the limit of detection."""
    blanks = sorted(_score(disturbed(seed, 0.0, PIXEL_NOISE_PPM)) for seed in BLANKS)
    limits = [blanks[int((1 - rate) * len(blanks))] for rate in FALSE_POSITIVES]
    rows: list[Sequence[str]] = []
    least: tuple[float, Proportion] | None = None
    for contrast in CONTRASTS:
        scores = [_score(disturbed(seed, contrast * PIXEL_NOISE_PPM, PIXEL_NOISE_PPM)) for seed in LINES]
        found = [sum(score > limit for score in scores) for limit in limits]
        at_one = Proportion(found[FALSE_POSITIVES.index(0.01)], len(scores))
        if least is None and (at_one.value or 0) >= DETECTED:
            least = contrast, at_one
        rows.append(
            (
                f"{contrast:.1f}",
                f"{_area(blanks, scores):.4f}",
                *(f"{count / len(scores):.3f}" for count in found),
                f"{at_one.low:.3f} to {at_one.high:.3f}",
            )
        )
    heads = ("contrast", "area", *(f"at {100 * rate:g} %" for rate in FALSE_POSITIVES), "interval at 1 %")
    said = "No contrast tried is detected so often."
    if least:
        said = f"**Limit of detection**: a contrast-to-noise of {least[0]:.1f} a pixel, detected {_share(least[1])}."
    return "\n".join(
        [
            "## Faint lines on simulated strips",
            "",
            _prose(
                f"""Strips with shift, tilt, membrane gradient, leak, dust and smear drawn by seed, pixel noise
                {PIXEL_NOISE_PPM:.0f} ppm; {len(BLANKS)} blank ones and {len(LINES)} of each contrast, which is the
                line's height over the noise of a pixel. The score is the line's signal over its standard error. Shown
                is the part of lines detected at each rate of false positives (receiver operating characteristic), and
                the area under that curve."""
            ),
            "",
            *_table(heads, rows),
            "",
            _prose(f"{said} It is the least contrast tried that is detected at least 95 % of the time at 1 %."),
        ]
    )


def _area(blanks: Sequence[float], scores: Sequence[float]) -> float:
    """Area under the curve: how often a line outscores a blank (Mann and Whitney 1947, Ann Math Stat 18:50)."""
    below = sum(bisect.bisect_left(blanks, score) + bisect.bisect_right(blanks, score) for score in scores)
    return below / 2 / len(scores) / len(blanks)


def faults() -> str:
    """Faulty strips: that each is told, and none is read as negative."""
    rows: list[Sequence[str]] = []
    for what, template, reason in FAULTS:
        readings = [_read(replace(template, seed=seed, noise_ppm=template.noise_ppm or 2000.0)) for seed in FAULTY]
        told = Proportion(sum(reading.reason == reason for reading in readings), len(readings))
        negative = sum(reading.outcome == outcome.NEGATIVE for reading in readings)
        name = outcome.outcome_name(outcome.outcome_of(reason))
        rows.append((what, f"{name}, {outcome.reason_name(reason)}", _share(told), str(negative)))
    return "\n".join(
        [
            "## Faulty strips",
            "",
            f"{len(FAULTY)} strips of each fault, pixel noise 2,000 ppm where the fault is not noise itself.",
            "",
            *_table(("fault", "must be", "told", "read as negative"), rows),
            "",
            _prose(
                """**High dose.** Beyond what a strip can bind, free analyte holds back the labelled antibody and the
                test line fades. A single reading at the end cannot see that: a faded line looks like that of a lower
                concentration. What it can see is the way there, a strong test line that has used up the label before
                it reaches the control line, and that is what a pack's `hook_test_ppm` and `hook_ppm` ask for. A strip
                far beyond the hook is not told; for an assay where that matters, the pack's instructions have to
                dilute."""
            ),
        ]
    )


def concentrations() -> str:
    """A quantitative strip: recovery, scatter and outcome at known concentrations."""
    assay = packfile.strip_assay("crp")
    lot = CALIBRATED_LOT
    calibration = assay.calibration(lot)
    assert calibration is not None
    clean = _read(Strip(0, {**_CONTROL, 6000: 100_000.0}), "crp", lot).lines[0].signal_ppm / 100_000
    rows: list[Sequence[str]] = []
    for known in CONCENTRATIONS:
        height = quantity.signal(round(known * 1000), calibration) / clean
        values: list[int] = []
        said: Counter[str] = Counter()
        for seed in range(STRIPS_OF_A_CONCENTRATION):
            chance = random.Random(seed)  # noqa: S311 - a simulation
            simulated = replace(disturbed(seed, height, 2000.0), width_um=800.0, shift_um=chance.uniform(-400, 400))
            line = _read(simulated, "crp", lot).lines[0]
            said[_range(line) or outcome.outcome_name(line.outcome)] += 1
            if line.value_milli is not None and not line.beyond:
                values.append(line.value_milli)
        rows.append(
            (f"{known:g}", *_recovery(values, known), ", ".join(f"{n} {name}" for name, n in said.most_common()))
        )
    return "\n".join(
        [
            "## Concentrations on simulated strips",
            "",
            _prose(
                f"""C-reactive protein by the illustrative pack, lot {lot}: reportable {assay.low_milli / 1000:g} to
                {assay.high_milli / 1000:g} {assay.unit}, indeterminate from {assay.grey_milli / 1000:g}, positive
                from {assay.decision_milli / 1000:g}. {STRIPS_OF_A_CONCENTRATION} strips of each, pixel noise 2,000
                ppm; shift, tilt, gradient, leak, dust and smear are drawn by seed. A lot is calibrated in the
                reader's own signal, so the simulated lines are as dark as gives that signal on a clean strip. This is
                what optics and analysis add, not what the chemistry of a strip does."""
            ),
            "",
            *_table((f"known, {assay.unit}", "mean", "bias", "variation", "answers"), rows),
        ]
    )


def _range(line: strip.LineReading) -> str:
    return ("", "below the range", "above the range")[line.beyond]


def _recovery(values: Sequence[int], known: float) -> tuple[str, str, str]:
    if len(values) < 2:
        return "–", "–", "–"
    mean = statistics.fmean(values) / 1000
    return f"{mean:.1f}", f"{100 * (mean / known - 1):+.1f} %", f"{statistics.stdev(values) / 10 / mean:.1f} %"


SECTIONS: tuple[Callable[[], str], ...] = (curves, lines, faults, concentrations)


def _share(share: Proportion) -> str:
    if share.value is None:
        return "–"
    return f"{share.value:.3f} ({share.low:.3f} to {share.high:.3f})"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_row(head), _row(["---"] * len(head)), *(_row(row) for row in rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
