"""What the production test says of one thing, and the judgement of what was measured."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any


class Verdict(Enum):
    """What became of a line."""

    PASS = "pass"  # noqa: S105  not a password
    FAIL = "fail"
    SKIPPED = "skipped"  # it needs a person


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `what` was looked at, the `value` in `unit`, its limits (None: none), and what to do when it fails."""

    what: str
    value: float | str | bool | None
    unit: str
    low: float | None
    high: float | None
    verdict: Verdict
    fix: str

    def as_json(self) -> Mapping[str, Any]:
        """For a program; `fix` only where there is something to fix."""
        said = asdict(self) | {"verdict": self.verdict.value}
        return said if self.verdict is Verdict.FAIL else {**said, "fix": None}

    def as_text(self) -> str:
        """For a person."""
        measured = f"{_words(self.value)} {self.unit}".strip()
        bounds = [f"{word} {bound:g}" for word, bound in (("from", self.low), ("to", self.high)) if bound is not None]
        limits = " ".join(bounds)
        text = f"{self.verdict.name:8}{self.what}: {measured}" + (f" (limits: {limits})" if limits else "")
        return text + (f"\n        {self.fix}" if self.verdict is Verdict.FAIL else "")


def within(what: str, value: float | None, unit: str, low: float | None, high: float | None, fix: str) -> Line:
    """A measured quantity; None (it could not be measured) fails."""
    good = value is not None and (low is None or value >= low) and (high is None or value <= high)
    return Line(what, value, unit, low, high, Verdict.PASS if good else Verdict.FAIL, fix)


def true(what: str, value: bool, fix: str) -> Line:
    """Something that is so or not."""
    return Line(what, value, "", None, None, Verdict.PASS if value else Verdict.FAIL, fix)


def failed(what: str, said: str, fix: str) -> Line:
    """Something that could not even be asked; `said` is why."""
    return Line(what, said, "", None, None, Verdict.FAIL, fix)


def skipped(what: str) -> Line:
    """Something that only a person can tell, where none is asked."""
    return Line(what, None, "", None, None, Verdict.SKIPPED, "")


def _words(value: float | str | bool | None) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case str():
            return value
        case _:
            return f"{value:g}"
