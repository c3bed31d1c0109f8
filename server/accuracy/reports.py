"""What the reader's analysis says of traces, beside what is known of them: calls, proportions and disagreements.

The analysis runs with the parameters it ships with; nothing is chosen per file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Literal

from reader import amplification, outcome, packfile, strip
from server.accuracy.files import UNRATED, Curves, StripRow, Truth, Verdict

# An 8-bit strip reader's count of darkening, in parts per million of its white.
PPM_PER_COUNT = 1_000_000 / 255
INTERVAL = "Wilson score, 95 %"

Answers = tuple[Truth, Truth]


@dataclass
class Call:
    """One trace: what the analysis said and what people said."""

    name: str
    outcome: str
    reason: str
    truth: Truth  # all who rated it, of one mind
    value: float | None = None  # time to positive in the axis' own unit; strip: signal in parts per million
    error: float | None = None  # its standard error
    majority: Truth = "unrated"  # most of those who rated it

    @property
    def disagrees(self) -> bool:
        """True when people were of one mind and the analysis was not of it."""
        return self.truth in ("positive", "negative") and self.outcome != self.truth


@dataclass
class Proportion:
    """Right answers among those that count, with the Wilson 95 % interval (Wilson 1927, J Am Stat Assoc 22:209)."""

    right: int
    of: int
    value: float | None = None
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if self.of:
            self.value = self.right / self.of
            self.low, self.high = wilson(self.right, self.of)


@dataclass
class Report:
    """One file's calls summed up. Indeterminate is never right; invalid is left out of both proportions and counted."""

    file: str
    kind: Literal["amplification", "strips"]
    unit: str
    calls: list[Call]
    notes: list[str] = field(default_factory=list[str])

    def proportion(self, truth: Truth) -> Proportion:
        """Right answers among valid calls on traces of that truth, by raters of one mind."""
        return _proportion(((call.outcome, call.truth) for call in self.calls), truth)

    def by_majority(self, truth: Truth) -> Proportion:
        """Right answers among valid calls on traces of that truth, by most of the raters."""
        return _proportion(((call.outcome, call.majority) for call in self.calls), truth)

    def count(self, name: str) -> int:
        """How many calls have that outcome."""
        return sum(call.outcome == name for call in self.calls)

    def as_json(self) -> dict[str, object]:
        """The report as plain data; calls in the file's order."""
        return {
            "file": self.file,
            "kind": self.kind,
            "unit": self.unit,
            "traces": len(self.calls),
            "rated": sum(call.truth in ("positive", "negative") for call in self.calls),
            "disputed": sum(call.truth == "disputed" for call in self.calls),
            "interval": INTERVAL,
            "sensitivity": asdict(self.proportion("positive")),
            "specificity": asdict(self.proportion("negative")),
            "by_majority": {
                "sensitivity": asdict(self.by_majority("positive")),
                "specificity": asdict(self.by_majority("negative")),
            },
            "invalid_rate": self.count("invalid") / len(self.calls),
            "indeterminate_rate": self.count("indeterminate") / len(self.calls),
            "disagreements": [asdict(call) for call in self.calls if call.disagrees],
            "calls": [asdict(call) for call in self.calls],
            "notes": self.notes,
        }


def _proportion(calls: Iterable[tuple[str, Truth]], truth: Truth) -> Proportion:
    counted = [said for said, known in calls if known == truth and said != "invalid"]
    return Proportion(counted.count(truth), len(counted))


def wilson(right: int, of: int) -> tuple[float, float]:
    """Lower and upper 95 % limit of a proportion; `of` is at least 1."""
    z = 1.959964
    share = right / of
    centre = share + z * z / (2 * of)
    reach = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    scale = 1 + z * z / of
    return max(0.0, (centre - reach) / scale), min(1.0, (centre + reach) / scale)


def judge_curves(curves: Curves, verdicts: dict[str, Verdict]) -> Report:
    """Run every curve through the reader's analysis; times in the report are in the axis' own unit."""
    calls: list[Call] = []
    for name, values in curves.columns:
        reading = amplification.analyse(curves.ticks, values)
        verdict = verdicts.get(name, UNRATED)
        calls.append(
            Call(
                name=name,
                outcome=outcome.outcome_name(reading.outcome),
                reason=outcome.reason_name(reading.reason),
                truth=verdict.unanimous,
                value=None if reading.ttp_ms is None else reading.ttp_ms / curves.ticks_per_unit,
                error=None if reading.ttp_se_ms is None else reading.ttp_se_ms / curves.ticks_per_unit,
                majority=verdict.majority,
            )
        )
    return Report(curves.file, "amplification", curves.axis, calls, list(curves.notes))


def judge_strips(file: str, rows: list[StripRow], notes: list[str]) -> Report:
    """Each row is one strip, its zones repeated measurements of one test line.

    The line's signal is their mean, with the mean's standard error; counts become parts per million of an 8-bit white,
    and the reader's own decision with the built-in cut-offs follows. The control line, not given, counts as sound.
    """
    cut_offs = packfile.strip_assay("sars2-ag")
    calls: list[Call] = []
    for row in rows:
        count = len(row.zones)
        mean = sum(row.zones) / count
        spread = sum((zone - mean) ** 2 for zone in row.zones) / (count - 1) if count > 1 else 0.0
        signal, error = mean * PPM_PER_COUNT, math.sqrt(spread / count) * PPM_PER_COUNT
        decided, reason = strip.judge(signal, error, cut_offs.grey_ppm[0], cut_offs.positive_ppm[0])
        calls.append(
            Call(
                name=row.name,
                outcome=outcome.outcome_name(decided),
                reason=outcome.reason_name(reason),
                truth=row.truth,
                value=signal,
                error=error,
                majority=row.truth,
            )
        )
    assumed = "zones of a row are repeats of one test line; the control line is taken as sound"
    return Report(file, "strips", "ppm of white", calls, [assumed, *notes])
