"""A seeded strip: what the line sensor would count over a cassette with the lines, faults and noise asked of it.

Lines are Gaussian, not the shape that the analysis fits. All heights are darkening, parts per million of the membrane.
"""

from __future__ import annotations

import math
import random
from array import array
from dataclasses import dataclass, field

PIXELS = 128
PIXEL_UM = 125
SIGMA_OF_WIDTH = 1 / (2 * math.sqrt(2 * math.log(2)))


@dataclass
class Strip:
    """The knobs of one simulated strip; everything left alone is a sound, noiseless, empty membrane."""

    seed: int
    lines_ppm: dict[int, float] = field(default_factory=dict[int, float])  # position um: darkening at the top
    width_um: float = 800.0
    noise_ppm: float = 0.0  # of one pixel, of the membrane
    shift_um: float = 0.0
    tilt: float = 0.0  # illumination across the window: light at the last pixel over the first, minus one
    bow: float = 0.0  # membrane gradient: parabola, darker at both ends by this part
    leak_counts: int = 0  # outside light, in the profile and in the dark frame
    dust: list[tuple[float, float, float]] = field(  # (pixel, width pixels, darkening part)
        default_factory=list[tuple[float, float, float]]
    )
    smear: tuple[float, float, float] | None = None  # (pixel, width pixels, darkening part), a wide Gaussian
    membrane: float = 0.8  # reflectance
    white_counts: int = 50_000
    dark_counts: int = 900
    gain: float = 1.0  # more light than the white reference had

    def pixels(self) -> array[int]:
        """128 raw counts, as `ADC.read_u16` gives them."""
        chance = random.Random(self.seed)  # noqa: S311 - a simulation
        counts = array("H")
        for i in range(PIXELS):
            x_um = (i + 0.5) * PIXEL_UM
            light = 1.0
            for position_um, height_ppm in self.lines_ppm.items():
                sigma = self.width_um * SIGMA_OF_WIDTH
                light -= height_ppm * 1e-6 * math.exp(-0.5 * ((x_um - position_um - self.shift_um) / sigma) ** 2)
            for centre, width, part in self.dust:
                if abs(i - centre) < width / 2:
                    light *= 1 - part
            if self.smear:
                centre, width, part = self.smear
                light *= 1 - part * math.exp(-0.5 * ((i - centre) / width) ** 2)
            u = 2 * i / (PIXELS - 1) - 1
            level = self.membrane * (1 + self.tilt * (u + 1) / 2) * (1 - self.bow * u * u)
            light = level * (light + chance.gauss(0, self.noise_ppm * 1e-6))
            raw = self.dark_counts + self.leak_counts + self.gain * light * (self.white_counts - self.dark_counts)
            counts.append(max(0, min(65535, round(raw))))
        return counts

    def dark(self) -> int:
        """The dark frame's level, taken beside the reading."""
        return self.dark_counts + self.leak_counts


def disturbed(seed: int, test_ppm: float, noise_ppm: float) -> Strip:
    """A strip of the first built-in assay as the field gives it, by its seed: shift, tilt, leak, dust, smear."""
    chance = random.Random(seed)  # noqa: S311 - a simulation
    lines = {11000: chance.uniform(100_000, 400_000)}
    if test_ppm:
        lines[6000] = test_ppm
    specks = range(chance.randrange(3))
    return Strip(
        seed=seed,
        lines_ppm=lines,
        noise_ppm=noise_ppm,
        width_um=chance.uniform(700, 900),
        shift_um=chance.uniform(-500, 500),
        tilt=chance.uniform(-0.25, 0.25),
        bow=chance.uniform(0, 0.15),
        leak_counts=chance.randrange(2500),
        dust=[(chance.uniform(2, 126), chance.uniform(0.5, 2.2), chance.uniform(0.02, 0.3)) for _ in specks],
        smear=(chance.uniform(0, 127), chance.uniform(12, 40), chance.uniform(0, 0.08))
        if chance.random() < 0.5
        else None,
    )
