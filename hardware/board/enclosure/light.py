"""Light-tightness: no straight line may lead from outside the closed reader to what measures, nor into the bay.

Straight lines are cast from the places that must be dark, at random and aimed at every seam and opening; each has to
meet something opaque. Light that is reflected is not followed: the light
trap makes it meet black plastic at least twice, and the firmware's dark frame measures what is left.
"""

from dataclasses import dataclass

import numpy as np

from enclosure.assembly import Made, Piece
from enclosure.dimensions import Dimensions
from enclosure.mesh import Array, first_hits, mesh
from enclosure.wells import board_top

# What stops light; bought parts are left out, but for the boards that close a chamber and the cassette.
_OPAQUE = {"array board", "well board 1", "well board 2", "cassette"}
_COARSE = (0.2, 0.7)  # mm, radians


@dataclass(frozen=True)
class Leak:
    """A straight way in: where it ends, and the point outside or the direction that it comes from."""

    place: str
    end: tuple[float, float, float]
    towards: tuple[float, float, float]


def leaks(pieces: list[Piece], d: Dimensions, rays: int = 400, seed: int = 1) -> list[Leak]:
    """Every line that found a way out. `rays` is how many go from each place at random."""
    source = np.random.default_rng(seed)
    outside = openings(d)
    found: list[Leak] = []
    opaque = [piece for piece in pieces if piece.made is not Made.BOUGHT or piece.name in _OPAQUE]
    corners = np.concatenate([mesh(piece.solid, *_COARSE).corners for piece in opaque])
    for place, ends in {**sensing(d), "bay": _bay(d, source)}.items():
        picks = ends[source.integers(0, len(ends), rays)]
        directions = source.normal(size=(rays, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        aimed_from = np.repeat(ends, len(outside), axis=0)
        aimed = np.tile(outside, (len(ends), 1)) - aimed_from
        origins, ways = np.concatenate([picks, aimed_from]), np.concatenate([directions, aimed])
        free = ~np.isfinite(first_hits(origins, ways, corners))
        found += [Leak(place, _point(end), _point(way)) for end, way in zip(origins[free], ways[free], strict=True)]
    return found


def _point(values: Array) -> tuple[float, float, float]:
    x, y, z = (round(float(value), 3) for value in values)
    return (x, y, z)


def sensing(d: Dimensions) -> dict[str, Array]:
    """What measures: points on the array's face, on the membrane and on the two AS7341; each (n, 3)."""
    along = np.linspace(-0.49, 0.49, 5)
    array = d.array_pixels * d.pixel_pitch
    middle = np.full(5, d.cassette_middle)
    places = {
        "array": np.stack([d.optical_x + along * array, middle, np.full(5, d.array_z - 0.01)], axis=1),
        "membrane": np.stack([d.optical_x + along * d.window_length, middle, np.full(5, d.membrane_z + 0.01)], axis=1),
    }
    for number, y in enumerate(d.wells, 1):
        top = board_top(d) + d.sensor_height + 0.01
        spots = [(d.well_x + u, y + v, top) for u in (-1.0, 0.0, 1.0) for v in (-0.7, 0.7)]
        places[f"well sensor {number}"] = np.array(spots)
    return places


def _bay(d: Dimensions, source: np.random.Generator) -> Array:
    """Points in the air of the bay, inside the rim: half at the heights of the seams, half anywhere above the parts."""
    n = 40
    keep = d.wall + d.gap + 2.0 + 0.5
    x = source.uniform(keep, d.bay_width - 4.5, n)
    y = source.uniform(keep, d.depth - keep, n)
    z = np.where(np.arange(n) % 2, source.uniform(d.floor + 0.05, d.floor + d.gap, n), source.uniform(32, 33, n))
    return np.stack([x, y, z], axis=1)


def openings(d: Dimensions) -> Array:
    """Points outside, (n, 3): along the seams about the lid, and before screen, scanner, USB, buzzer and buttons."""
    right = d.bay_width - d.gap / 2
    low, back = d.floor + d.gap / 2, d.hinge_z - d.gap / 2
    across, deep = np.linspace(1, d.bay_width - 1, 16), np.linspace(1, d.depth - 1, 40)
    rise = np.linspace(low, d.lid_ceiling, 14)
    seam_y = d.depth - d.wall - d.gap / 2
    points: list[tuple[float, float, float]] = []
    points += [(-0.1, y, low) for y in deep] + [(x, -0.1, low) for x in across]
    points += [(x, d.depth + 0.1, back) for x in across]
    points += [(right, -0.1, z) for z in rise] + [(right, d.depth + 0.1, z) for z in rise]
    points += [(right, y, d.lid_height + 0.1) for y in deep]
    points += [(-0.1, seam_y, z) for z in rise]
    points += [(d.panel_middle, d.screen_y, d.head_height + 0.1), (d.scanner_x, -0.1, d.scanner_z)]
    points += [(d.usb_x + u, d.depth + 0.1, d.usb_z) for u in (-6.0, 0.0, 6.0)]
    points += [(d.buzzer_x, -0.1, 14.0), *((x, y, d.head_height + 2.0) for x, y in d.buttons)]
    return np.array(points)
