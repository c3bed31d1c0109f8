"""Solids by their limits, as drawings have them, instead of by centre and size."""

from collections.abc import Iterable, Sequence

from build123d import Align, Box, Cone, Cylinder, Face, Part, Pos, Rot, Solid, Wire

_LOW = (Align.MIN, Align.MIN, Align.MIN)
_FOOT = (Align.CENTER, Align.CENTER, Align.MIN)
Span = tuple[float, float]
Point = tuple[float, float, float]


def slab(x: Span, y: Span, z: Span) -> Part:
    """A box from its limits; ValueError when one is empty."""
    for low, high in (x, y, z):
        if high <= low:
            raise ValueError(f"a slab from {low} to {high} mm is empty: {x}, {y}, {z}")
    return Pos(x[0], y[0], z[0]) * Box(x[1] - x[0], y[1] - y[0], z[1] - z[0], align=_LOW)


def rod(at: tuple[float, float], z: Span, diameter: float) -> Part:
    """An upright cylinder."""
    return Pos(at[0], at[1], z[0]) * Cylinder(diameter / 2, z[1] - z[0], align=_FOOT)


def cone(at: tuple[float, float], z: Span, lower: float, upper: float) -> Part:
    """An upright frustum from its diameters."""
    return Pos(at[0], at[1], z[0]) * Cone(lower / 2, upper / 2, z[1] - z[0], align=_FOOT)


def rod_x(x: Span, at: tuple[float, float], diameter: float) -> Part:
    """A cylinder along x; `at` is its (y, z)."""
    return Pos(x[0], at[0], at[1]) * Rot(0, 90, 0) * Cylinder(diameter / 2, x[1] - x[0], align=_FOOT)


def rod_y(y: Span, at: tuple[float, float], diameter: float) -> Part:
    """A cylinder along y; `at` is its (x, z)."""
    return Pos(at[0], y[0], at[1]) * Rot(-90, 0, 0) * Cylinder(diameter / 2, y[1] - y[0], align=_FOOT)


def prism(outline: Sequence[Point], along: Point) -> Part:
    """A flat outline, swept along a vector."""
    face = Face(Wire.make_polygon([*outline], close=True))
    return Part([Solid.extrude(face, along)])


def taper(lower: Sequence[Point], upper: Sequence[Point]) -> Part:
    """What lies between two outlines of as many corners."""
    outlines = [Wire.make_polygon([*corners], close=True) for corners in (lower, upper)]
    return Part([Solid.make_loft(outlines, ruled=True)])


def rectangle(middle: tuple[float, float], half_x: float, half_y: float, z: float) -> list[Point]:
    """The corners of an upright taper's end."""
    x, y = middle
    return [
        (x - half_x, y - half_y, z),
        (x + half_x, y - half_y, z),
        (x + half_x, y + half_y, z),
        (x - half_x, y + half_y, z),
    ]


def joined(parts: Iterable[Part]) -> Part:
    """The union."""
    first, *others = parts
    return first + others if others else first


def without(body: Part, holes: Iterable[Part]) -> Part:
    """`body` less what is taken away."""
    return body - list(holes)
