"""What the reader measures: cassettes, reaction tubes, heat and the battery. Every random draw has a given seed."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

PIXELS = 128
WINDOW_MM = 16.0


@dataclass(frozen=True)
class Line:
    """A line on the membrane: where (mm from the window's start), how much its centre darkens (0 to 1), how wide."""

    position_mm: float
    darkening: float
    sigma_mm: float = 0.35


@dataclass
class Strip:
    """A cassette's window as reflectance along its 16 mm; position 0 is the first pixel."""

    lines: Sequence[Line] = ()
    membrane: float = 0.80
    gradient: float = 0.03  # reflectance lost from end to end, as the front leaves it
    tilt: float = 0.0  # fraction of light gained from end to end by a cassette that sits askew
    shift_mm: float = 0.0
    dust: Sequence[tuple[float, float]] = ()  # (position mm, darkening) of specks a pixel wide
    noise: float = 0.004  # standard deviation of the membrane's texture, as reflectance
    seed: int = 0

    def reflectance(self) -> list[float]:
        """128 values from 0 to 1."""
        source = random.Random(self.seed)  # noqa: S311  a simulation
        profile: list[float] = []
        for pixel in range(PIXELS):
            x = (pixel + 0.5) * WINDOW_MM / PIXELS
            along = x / WINDOW_MM - 0.5
            value = self.membrane - self.gradient * along
            for line in self.lines:
                distance = (x - line.position_mm - self.shift_mm) / line.sigma_mm
                value *= 1.0 - line.darkening * math.exp(-0.5 * distance * distance)
            for position_mm, darkening in self.dust:
                if abs(x - position_mm) < 0.75 * WINDOW_MM / PIXELS:
                    value *= 1.0 - darkening
            value = (value + source.gauss(0.0, self.noise)) * (1.0 + self.tilt * along)
            profile.append(min(1.0, max(0.0, value)))
        return profile

    @classmethod
    def from_counts(cls, counts: Sequence[float], positions_mm: Sequence[float], **other: float) -> "Strip":
        """From 8-bit counts of darkening (white reference minus line) at given places, as TalTech's reader has them."""
        if len(counts) != len(positions_mm):
            raise ValueError(f"{len(counts)} counts for {len(positions_mm)} positions: give one count a position.")
        lines = [Line(position, max(0.0, count) / 255.0) for count, position in zip(counts, positions_mm, strict=True)]
        return cls(lines=lines, **other)  # type: ignore[arg-type]


EMPTY_TRAY = [0.05] * PIXELS


@dataclass
class Tube:
    """One well's reaction: fluorescence in counts per millisecond at gain 1 against minutes at temperature.

    Either a sigmoid (`time_to_positive_min` None never rises) or a measured curve replayed: `curve` holds (seconds,
    value) pairs in order, scaled so that its smallest value reads `baseline` and its largest `baseline + rise`.
    """

    time_to_positive_min: float | None = None
    baseline: float = 0.6
    rise: float = 1.8
    slope_min: float = 1.1
    drift_per_min: float = 0.001
    curve: Sequence[tuple[float, float]] = ()
    hot_s: float = 0.0  # how long it has been at temperature; survives power cuts, as chemistry does
    optimum_c: float = 65.0

    def advance(self, seconds: float, block_c: float) -> None:
        """The polymerase works near its optimum and not at all far below it."""
        if abs(block_c - self.optimum_c) <= 3.0:
            self.hot_s += seconds
        elif abs(block_c - self.optimum_c) <= 8.0:
            self.hot_s += seconds * (1.0 - (abs(block_c - self.optimum_c) - 3.0) / 5.0)

    def fluorescence(self) -> float:
        """Now."""
        minutes = self.hot_s / 60.0
        if self.curve:
            return self._replayed()
        value = self.baseline + self.drift_per_min * minutes
        if self.time_to_positive_min is not None:
            value += self.rise / (1.0 + math.exp(-(minutes - self.time_to_positive_min) / self.slope_min))
        return value

    def _replayed(self) -> float:
        values = [value for _, value in self.curve]
        low, high = min(values), max(values)
        scale = self.rise / (high - low) if high > low else 0.0
        if self.hot_s <= self.curve[0][0]:
            measured = values[0]
        elif self.hot_s >= self.curve[-1][0]:
            measured = values[-1]
        else:
            measured = values[-1]
            for (t0, v0), (t1, v1) in pairwise(self.curve):
                if t0 <= self.hot_s <= t1:
                    measured = v0 + (v1 - v0) * (self.hot_s - t0) / (t1 - t0) if t1 > t0 else v1
                    break
        return self.baseline + (measured - low) * scale


@dataclass
class Heater:
    """The block and its heater as two thermal nodes, and the thermistor in it, which lags; the cut-out is a bimetal
    switch on the block.

    Capacities in J/K, conductances in W/K: a 9 g aluminium block with two tubes, a 5 V 6.3 ohm film heater. The
    thermistor's lag is that of a glass bead with paste in a bore.
    """

    ambient_c: float = 22.0
    supply_v: float = 5.0
    resistance_ohm: float = 6.3
    film_j_per_k: float = 1.2
    block_j_per_k: float = 10.5
    film_to_block_w_per_k: float = 0.9
    block_to_ambient_w_per_k: float = 0.028
    sensor_lag_s: float = 1.5
    cutout_c: float = 85.0
    cutout_reset_c: float = 60.0
    stuck_on: bool = False  # a MOSFET failed short
    open_circuit: bool = False
    duty: float = 0.0
    cutout_open: bool = False
    film_c: float = field(default=22.0, init=False)
    block_c: float = field(default=22.0, init=False)
    sensor_c: float = field(default=22.0, init=False)

    def __post_init__(self) -> None:
        self.film_c = self.block_c = self.sensor_c = self.ambient_c

    @property
    def power_w(self) -> float:
        """Into the film now."""
        duty = 1.0 if self.stuck_on else self.duty
        if self.cutout_open or self.open_circuit:
            return 0.0
        return duty * self.supply_v**2 / self.resistance_ohm

    def advance(self, seconds: float) -> None:
        """Explicit steps short against the film's time constant of 1.3 s."""
        left = seconds
        while left > 0:
            step = min(left, 0.1)
            left -= step
            across = (self.film_c - self.block_c) * self.film_to_block_w_per_k
            lost = (self.block_c - self.ambient_c) * self.block_to_ambient_w_per_k
            self.film_c += (self.power_w - across) * step / self.film_j_per_k
            self.block_c += (across - lost) * step / self.block_j_per_k
            self.sensor_c += (self.block_c - self.sensor_c) * min(1.0, step / self.sensor_lag_s)
            if self.block_c >= self.cutout_c:
                self.cutout_open = True
            elif self.block_c <= self.cutout_reset_c:
                self.cutout_open = False


NTC_OHM = 10_000.0
NTC_BETA = 3950.0


@dataclass
class Thermistor:
    """A 10 kohm B3950 NTC to ground under 10 kohm to 3.3 V; `fault` is "open", "short", or "loose": it fell out of the
    block and is as warm as the room.
    """

    fault: str | None = None

    def volts(self, celsius: float, ambient_c: float = 22.0) -> float:
        """At the divider."""
        if self.fault == "loose":
            celsius = ambient_c
        if self.fault == "open":
            return 3.3
        if self.fault == "short":
            return 0.0
        ohms = NTC_OHM * math.exp(NTC_BETA * (1.0 / (celsius + 273.15) - 1.0 / 298.15))
        return 3.3 * ohms / (ohms + 10_000.0)


# Open-circuit voltage of a lithium-ion cell against its charge in percent, a common discharge curve.
_OCV = ((0, 3.00), (5, 3.45), (10, 3.60), (20, 3.70), (40, 3.78), (60, 3.90), (80, 4.02), (100, 4.18))


@dataclass
class Battery:
    """One lithium-ion cell behind a boost converter."""

    capacity_mah: float = 3000.0
    percent: float = 90.0
    resistance_ohm: float = 0.08
    efficiency: float = 0.88

    def advance(self, seconds: float, load_w: float) -> None:
        """Draw `load_w` from the regulated side for `seconds`."""
        amps = load_w / self.efficiency / self.volts(0.0)
        self.percent = max(0.0, self.percent - amps * seconds / 36.0 / self.capacity_mah * 1000.0)

    def volts(self, load_w: float) -> float:
        """At its terminals under that load."""
        for (p0, v0), (p1, v1) in pairwise(_OCV):
            if self.percent <= p1:
                rest = v0 + (v1 - v0) * (self.percent - p0) / (p1 - p0)
                break
        else:
            rest = _OCV[-1][1]
        return max(0.0, rest - load_w / self.efficiency / max(rest, 1.0) * self.resistance_ohm)


def noise(seed: int) -> Callable[[], float]:
    """A source of unit normal draws."""
    source = random.Random(seed)  # noqa: S311  a simulation
    return lambda: source.gauss(0.0, 1.0)
