"""What a benchmark gives: a value with its unit, what it is held against, and which side of that is good."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Say = Callable[[str], None]
Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Figure:
    """One figure.

    ratio    value / rival where there is a rival, else value / limit
    limit    what the value keeps to, in its unit: from above when lower is better, from below when higher is
    target   the ratio at that limit: 1 without a rival
    rival    the other side of the ratio, in the same unit, measured in the same run; None without one
    """

    name: str
    what: str
    value: float
    unit: str
    limit: float
    better: Better
    rival: float | None = None

    @property
    def ratio(self) -> float:
        """Value against rival, or against limit."""
        return self.value / (self.limit if self.rival is None else self.rival)

    @property
    def target(self) -> float:
        """The ratio at the limit."""
        return 1.0 if self.rival is None else self.limit / self.rival

    @property
    def kept(self) -> bool:
        """Whether the value is on the good side of its limit."""
        return self.value <= self.limit if self.better == "lower" else self.value >= self.limit

    def as_json(self) -> dict[str, Any]:
        """For a program; numbers to four significant digits."""
        told = asdict(self) | {"ratio": self.ratio, "target": self.target, "kept": self.kept}
        del told["name"]
        return {key: _short(value) if isinstance(value, float) else value for key, value in told.items()}


def _short(value: float) -> float:
    return float(f"{value:.4g}")
