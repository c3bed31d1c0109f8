"""Traces as the reader measured them: decoded from the record, for recomputation and for drawing."""

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any, Final

from reader import wire

SAMPLE_MIN: Final = -(2**31)
SAMPLE_MAX: Final = 2**31 - 1
# A step between two samples of 32 bits has 33 bits, and one more for its sign in zigzag form.
_STEP_BYTES_MAX: Final = 5


class TraceDamaged(ValueError):
    """The coded samples are not what the protocol's delta coding makes."""


@dataclass(frozen=True, slots=True)
class StripTrace:
    """A strip's profile: raw counts, one a pixel of `step_um`; white and dark are one level or one a pixel."""

    step_um: int
    samples: list[int]
    white: int | list[int]
    dark: int | list[int]


@dataclass(frozen=True, slots=True)
class CurveTrace:
    """An amplification: raw fluorescence counts, a list a well (specimen, then internal control where there is one).

    Sample i was taken `start_ms + i * step_ms` after heating began. Temperatures are hundredths of a degree Celsius.
    """

    step_ms: int
    start_ms: int
    wells: list[list[int]]
    temperatures_cc: list[int]


def decode(trace: dict[int, Any]) -> StripTrace | CurveTrace:
    """The trace of a record that `server.results.record` has passed. Raises `TraceDamaged`."""
    count: int = trace[wire.TRACE_COUNT]
    if trace[wire.TRACE_KIND] == wire.TRACE_STRIP:
        return StripTrace(
            step_um=trace[wire.TRACE_STEP],
            samples=undelta(trace[wire.TRACE_SAMPLES], count),
            white=_level(trace[wire.TRACE_WHITE], count),
            dark=_level(trace[wire.TRACE_DARK], count),
        )
    return CurveTrace(
        step_ms=trace[wire.TRACE_STEP],
        start_ms=trace[wire.TRACE_START],
        wells=[undelta(well, count) for well in trace[wire.TRACE_SAMPLES]],
        temperatures_cc=undelta(trace[wire.TRACE_TEMPERATURES], count),
    )


def _level(value: int | bytes, count: int) -> int | list[int]:
    return value if isinstance(value, int) else undelta(value, count)


_STEP = re.compile(rb"[\x80-\xff]*[\x00-\x7f]", re.DOTALL)


def undelta(coded: bytes, count: int) -> list[int]:
    """`count` samples from delta, zigzag and LEB128 (docs/protocol.md section 2). Raises `TraceDamaged`."""
    if not count <= len(coded) <= _STEP_BYTES_MAX * count:
        raise TraceDamaged("the trace does not hold as many samples as it says")
    steps = _STEP.findall(coded)
    if len(steps) != count or coded[-1:] > b"\x7f":
        raise TraceDamaged("the trace does not hold as many samples as it says")
    samples = list(accumulate(map(_step, steps)))
    if samples and not SAMPLE_MIN <= min(samples) <= max(samples) <= SAMPLE_MAX:
        raise TraceDamaged("a sample of the trace is out of range")
    return samples


@lru_cache(maxsize=4_096)  # neighbouring pixels differ by little: a trace has few different steps
def _step(coded: bytes) -> int:
    if len(coded) > _STEP_BYTES_MAX:
        raise TraceDamaged("a step of the trace is longer than any can be")
    if coded[-1] == 0 and len(coded) > 1:
        raise TraceDamaged("a step of the trace is not in its shortest form")
    zigzag = 0
    for byte in reversed(coded):
        zigzag = zigzag << 7 | byte & 127
    return (zigzag >> 1) ^ -(zigzag & 1)
