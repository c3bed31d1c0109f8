"""The lid over the loading bay: its walls stand outside the rim all round, so that light has no straight way in."""

from build123d import Part

from enclosure.dimensions import Dimensions
from enclosure.solids import joined, prism, rod, rod_x, slab, without


def lid(d: Dimensions) -> Part:
    """Closed; printed on its top."""
    right, bottom = d.bay_width - d.gap, d.floor + d.gap
    back = d.depth - d.wall
    finger_x = (d.lid_switch_x - 2.5, d.lid_switch_x + 2.5)
    column = (d.wall, d.inside + 7.4)
    parts = [
        slab((0, right), (0, d.depth), (d.lid_ceiling, d.lid_height)),
        slab((0, right), (0, d.wall), (bottom, d.lid_height)),
        slab((0, d.wall), (0, back - d.gap), (bottom, d.lid_height)),
        slab((0, right), (back, d.depth), (d.hinge_z, d.lid_height)),
        slab((0, d.wall), (back - d.gap, d.depth), (d.hinge_z, d.lid_height)),
        slab(column, column, (8.0 + d.gap, d.lid_height)),
        slab(finger_x, (8.0, 13.0), (finger_bottom(d), d.lid_height)),
        *_pull(d),
        *_knuckle(d),
    ]
    middle = d.inside + 3.7
    magnet_top = 8.0 + d.gap + d.magnet_thickness + 0.05
    holes = [
        rod((middle, middle), (8.0, magnet_top), d.magnet + 0.1),
        rod_x((0, d.bay_width), (d.hinge_y, d.hinge_z), d.pin + 0.2),
    ]
    return without(joined(parts), holes)


def finger_bottom(d: Dimensions) -> float:
    """Where the lid presses the switch's lever: the height of the pressed lever."""
    return d.floor + d.lid_switch_height + d.lid_switch_lever


def knuckle(d: Dimensions) -> tuple[float, float]:
    """x limits of the lid's knuckle, between the base's two."""
    return (10.0 + d.gap, d.bay_width - 10.0 - d.gap)


def _pull(d: Dimensions) -> list[Part]:
    """A ridge for a gloved finger on the front."""
    outline = [(0.0, 10.0), (-3.0, 13.0), (-3.0, 15.0), (0.0, 18.0)]
    return [prism([(7.0, y, z) for y, z in outline], (d.bay_width - 14.0, 0, 0))]


def _knuckle(d: Dimensions) -> list[Part]:
    """Solid up to the plane that the lid is printed on."""
    x = knuckle(d)
    return [
        slab(x, (d.depth, d.hinge_y + d.hinge_radius), (d.hinge_z, d.lid_height)),
        rod_x(x, (d.hinge_y, d.hinge_z), 2 * d.hinge_radius),
    ]
