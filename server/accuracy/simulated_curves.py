"""Simulated amplification curves of known truth, in families of shapes that instruments and assays give.

A curve is built over a run from 0 to 1, a rise in units of itself and a curve without one in units of its noise, and
is then put on a scale, an offset and a clock of its own: instruments report anything from hundredths to millions. A
rise is a Richards curve, whose skew makes the approach to the plateau slower than the start (Richards 1959, J Exp Bot
10:290; asymmetry in qPCR: Spiess et al. 2008, BMC Bioinformatics 9:221). Everything is drawn from a seed.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

CYCLES = (35, 40, 45, 50, 60)
CYCLE_MS = 60_000
# Minutes of a run and seconds between samples of isothermal instruments.
RUNS = ((30, 60), (45, 30), (60, 60), (90, 60), (40, 20), (60, 15))

Range = tuple[float, float]


@dataclass(frozen=True)
class SimulatedCurve:
    """One curve: times in milliseconds, values in an arbitrary unit, NaN where missing."""

    times_ms: list[int]
    values: list[float]


@dataclass(frozen=True)
class Family:
    """Curves of one kind: `shape` makes the values of so many samples, `truth` is whether something amplified."""

    name: str
    truth: Literal["positive", "negative"]
    shape: Callable[[random.Random, int], list[float]]

    def curve(self, seed: int) -> SimulatedCurve:
        """The curve of that seed."""
        chance = random.Random(f"{self.name} {seed}")  # noqa: S311 - a simulation
        if chance.random() < 0.5:
            count, step_ms = chance.choice(CYCLES), CYCLE_MS
        else:
            minutes, seconds = chance.choice(RUNS)
            count, step_ms = minutes * 60 // seconds, seconds * 1000
        scale = 10 ** chance.uniform(-2, 6)
        offset = scale * chance.choice((0.0, chance.uniform(-2, 2), chance.uniform(0, 20)))
        values = [offset + scale * value for value in self.shape(chance, count)]
        return SimulatedCurve([(i + 1) * step_ms for i in range(count)], values)


def richards(u: float, middle: float, width: float, skew: float) -> float:
    """A rise from 0 to 1; `width` is that of the steep part, as a part of the run, `skew` above 1 slows its end."""
    return (1 + math.exp(max(-60.0, min(60.0, -(u - middle) / width)))) ** -skew


def _rises(
    middle: Range,
    *,
    noise: Range = (0.002, 0.02),
    drift: Range = (-0.1, 0.1),
    width: Range = (0.015, 0.05),
    skew: Range = (0.7, 2.0),
    then: Callable[[random.Random, list[float]], list[float]] | None = None,
) -> Callable[[random.Random, int], list[float]]:
    """Curves with one rise at `middle` on a straight baseline; `then` spoils them. All ranges are drawn from evenly."""

    def shape(chance: random.Random, count: int) -> list[float]:
        at, wide, bend = chance.uniform(*middle), chance.uniform(*width), chance.uniform(*skew)
        slope, sd = chance.uniform(*drift), chance.uniform(*noise)
        values = [richards(u, at, wide, bend) + slope * u + chance.gauss(0, sd) for u in _run(count)]
        return then(chance, values) if then else values

    return shape


def _run(count: int) -> list[float]:
    return [i / (count - 1) for i in range(count)]


def _climbing(chance: random.Random, values: list[float]) -> list[float]:
    slope = chance.uniform(0.2, 0.5)
    return [value + slope * max(0.0, u - 0.5) for value, u in zip(values, _run(len(values)), strict=True)]


def _falling(chance: random.Random, values: list[float]) -> list[float]:
    part = chance.uniform(0.2, 0.8)
    return [value - part * max(0.0, u - 0.55) / 0.45 for value, u in zip(values, _run(len(values)), strict=True)]


def _after_transient(chance: random.Random, values: list[float]) -> list[float]:
    height, lasting = chance.choice((-1, 1)) * chance.uniform(0.3, 2), chance.uniform(0.01, 0.035)
    return [value + height * math.exp(-u / lasting) for value, u in zip(values, _run(len(values)), strict=True)]


def _spoilt(chance: random.Random, values: list[float]) -> list[float]:
    for i in chance.sample(range(len(values)), len(values) // 8):
        values[i] = math.nan
    for i in chance.sample(range(len(values)), 2):
        values[i] += chance.choice((-1, 1)) * chance.uniform(0.3, 3)
    return values


def _counted(chance: random.Random, values: list[float]) -> list[float]:
    steps = chance.uniform(15, 60)
    return [round(value * steps) / steps for value in values]


def _without(shape: Callable[[random.Random], Callable[[float], float]]) -> Callable[[random.Random, int], list[float]]:
    """Curves without amplification: what `shape` draws, in standard deviations of the noise, and the noise."""

    def values(chance: random.Random, count: int) -> list[float]:
        drawn = shape(chance)
        return [drawn(u) + chance.gauss(0, 1) for u in _run(count)]

    return values


def _flat(_: random.Random) -> Callable[[float], float]:
    return lambda u: 0.0


def _drifting(sign: int) -> Callable[[random.Random], Callable[[float], float]]:
    def draw(chance: random.Random) -> Callable[[float], float]:
        slope = sign * chance.uniform(1, 200)
        return lambda u: slope * u

    return draw


def _settling(chance: random.Random) -> Callable[[float], float]:
    height, lasting = chance.choice((-1, 1)) * chance.uniform(3, 200), chance.uniform(0.02, 0.15)
    slope = chance.uniform(-30, 30)
    return lambda u: height * math.exp(-u / lasting) + slope * u


def _bending(chance: random.Random) -> Callable[[float], float]:
    height, power = chance.uniform(5, 100), chance.uniform(1.5, 3)
    return lambda u: height * u**power


def _saturating(chance: random.Random) -> Callable[[float], float]:
    height, lasting = chance.uniform(5, 100), chance.uniform(0.2, 0.6)
    return lambda u: height * (1 - math.exp(-u / lasting))


def _step(chance: random.Random) -> Callable[[float], float]:
    height, at = chance.choice((-1, 1)) * chance.uniform(8, 100), chance.uniform(0.15, 0.85)
    slope = chance.uniform(-10, 10)
    return lambda u: (height if u > at else 0.0) + slope * u


def _wave(chance: random.Random) -> Callable[[float], float]:
    height, times, phase = chance.uniform(2, 20), chance.uniform(2, 6), chance.uniform(0, 2 * math.pi)
    return lambda u: height * math.sin(phase + 2 * math.pi * times * u)


def _walk(chance: random.Random, count: int) -> list[float]:
    step, at = chance.uniform(0.2, 1), 0.0
    values: list[float] = []
    for _ in range(count):
        at += chance.gauss(0, step)
        values.append(at + chance.gauss(0, 1))
    return values


def _correlated(chance: random.Random, count: int) -> list[float]:
    kept, slope, at = chance.uniform(0.5, 0.9), chance.uniform(-30, 30), 0.0
    values: list[float] = []
    for u in _run(count):
        at = kept * at + chance.gauss(0, 1)
        values.append(at + slope * u)
    return values


def _spikes(chance: random.Random, count: int) -> list[float]:
    values = [chance.gauss(0, 1) for _ in range(count)]
    for i in chance.sample(range(count), 3):
        values[i] += chance.choice((-1, 1)) * chance.uniform(5, 100)
    return values


def _few_counts(chance: random.Random, count: int) -> list[float]:
    fine = chance.choice((0.3, 0.5, 1.0))
    return [float(round(chance.gauss(0, 1) * fine)) for _ in range(count)]


def _constant(_: random.Random, count: int) -> list[float]:
    return [1.0] * count


FAMILIES = (
    Family("plain rise", "positive", _rises((0.3, 0.75))),
    Family("slow to its plateau", "positive", _rises((0.3, 0.5), width=(0.05, 0.1), skew=(2, 6))),
    Family("climbing on after its rise", "positive", _rises((0.3, 0.6), then=_climbing)),
    Family("falling from its plateau", "positive", _rises((0.25, 0.5), then=_falling)),
    Family("early", "positive", _rises((0.15, 0.28), width=(0.012, 0.03))),
    Family("late, the plateau not reached", "positive", _rises((0.8, 0.93), noise=(0.002, 0.01), drift=(-0.05, 0.05),
                                                               width=(0.015, 0.04), skew=(1, 1))),
    Family("slow", "positive", _rises((0.4, 0.6), noise=(0.002, 0.01), drift=(-0.05, 0.05), width=(0.06, 0.085),
                                      skew=(0.8, 1))),
    Family("weak, 14 to 25 times its noise", "positive", _rises((0.3, 0.7), noise=(0.04, 0.0714), drift=(-0.05, 0.05))),
    Family("on a falling baseline", "positive", _rises((0.3, 0.75), drift=(-1.0, -0.2))),
    Family("on a rising baseline", "positive", _rises((0.3, 0.75), drift=(0.1, 0.5))),
    Family("after a start transient", "positive", _rises((0.4, 0.75), then=_after_transient)),
    Family("with gaps and wrong samples", "positive", _rises((0.3, 0.7), then=_spoilt)),
    Family("in few counts", "positive", _rises((0.3, 0.7), then=_counted)),
    Family("flat", "negative", _without(_flat)),
    Family("drifting up", "negative", _without(_drifting(1))),
    Family("drifting down", "negative", _without(_drifting(-1))),
    Family("settling at the start", "negative", _without(_settling)),
    Family("rising towards a limit", "negative", _without(_saturating)),
    Family("bending up", "negative", _without(_bending)),
    Family("correlated noise", "negative", _correlated),
    Family("wandering", "negative", _walk),
    Family("single wrong samples", "negative", _spikes),
    Family("flat in few counts", "negative", _few_counts),
    Family("constant", "negative", _constant),
    Family("a jump within one sample", "negative", _without(_step)),
    Family("swinging", "negative", _without(_wave)),
)  # fmt: skip
