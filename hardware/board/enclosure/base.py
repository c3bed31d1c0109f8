"""The base: floor, light trap and back wall of the bay, and everything that is screwed to from below."""

from build123d import Part

from enclosure.dimensions import Dimensions
from enclosure.solids import cone, joined, prism, rod, rod_x, slab, without

COUNTERSINK = 1.8  # depth, mm


def base(d: Dimensions) -> Part:
    """Printed as it stands."""
    body = joined([slab((0, d.width), (0, d.depth), (0, d.floor)), *_bay(d), *_hinge(d), *_head(d)])
    return without(body, [*_screws(d), *_pockets(d)])


def _bay(d: Dimensions) -> list[Part]:
    """The rim that stands inside the lid's walls, doubled where it meets the shell's ribs, and the back wall."""
    low, end = d.wall + d.gap, d.bay_width - d.rim_height - d.gap
    right, back = d.bay_width - d.gap, d.depth - d.wall
    top = d.floor + d.rim_height
    second = (d.inside + d.gap, d.inside + d.gap + d.rim)
    pillar = (d.wall + d.gap, d.inside + 7.4)
    z = (d.floor, top)
    parts = [
        slab((0, right), (back, d.depth), (d.floor, d.hinge_z - d.gap)),
        slab((low, end), (d.depth - d.inside, back), (d.floor, d.hinge_z - d.gap)),
        slab((low, end), (d.depth - d.inside, back - d.gap), (d.floor, d.lid_ceiling - d.gap)),
        slab((right - 10, right), (d.depth - second[1], d.depth - second[0]), (d.floor, d.hinge_z - d.gap)),
        slab(pillar, pillar, (d.floor, 8.0)),
    ]
    if d.rim_height > 0:
        parts += [
            slab((low, d.inside), (low, back), z),
            slab((low, end), (low, d.inside), z),
            slab((right - 10, right), second, (d.floor, top + 2)),
        ]
    return parts


def _hinge(d: Dimensions) -> list[Part]:
    y, z, r = d.hinge_y, d.hinge_z, d.hinge_radius
    lower = 0.7071 * r
    outline = [(d.depth, z - d.gap), (y, z - d.gap), (y + lower, z - lower), (d.depth, z - 2 * lower - d.hinge_out)]
    parts: list[Part] = []
    for x in base_knuckles(d):
        parts.append(rod_x(x, (y, z), 2 * r))
        parts.append(prism([(x[0], v, w) for v, w in outline], (x[1] - x[0], 0, 0)))
    return parts


def base_knuckles(d: Dimensions) -> tuple[tuple[float, float], tuple[float, float]]:
    """x limits of the base's two knuckles."""
    return (3.0, 10.0), (d.bay_width - 10.0, d.bay_width - 3.0)


def _head(d: Dimensions) -> list[Part]:
    """Lips that place the shell, standoffs, the cell's cradle, rests for the wells' boards, the USB opening's sill."""
    lip = (d.floor, d.floor + 3)
    inner = d.wall + d.fit
    left, right = d.bay_width + 16, d.width - 14
    parts = [
        slab((left, right), (inner, inner + 2), lip),
        slab((left, right), (d.depth - inner - 2, d.depth - inner), lip),
        slab((d.width - inner - 2, d.width - inner), (14, d.depth - 14), lip),
        *(rod(at, (d.floor, d.board_z), 6.0) for at in d.board_screws),
    ]
    x = (d.cell_x - d.fit, d.cell_x + d.cell_length + d.fit)
    front, z = d.cell_y - d.cell_diameter / 2 - d.fit, (d.floor, d.floor + 8)
    ends = (d.cell_y - 5, d.cell_y + 3.5)
    parts += [
        slab((x[0] - 1.6, x[0]), ends, z),
        slab((x[1], x[1] + 1.6), ends, z),
        slab((x[0] + 12, x[0] + 24), (front - 1.6, front), z),
        slab((x[1] - 24, x[1] - 12), (front - 1.6, front), z),
    ]
    parts += [slab((d.well_x - 3, d.well_x + 3), (y - 3, y + 3), (d.floor, 5.0)) for y in d.wells]
    half = d.plug_width / 2 - d.fit
    sill = d.usb_z - d.plug_height / 2
    parts.append(slab((d.usb_x - half, d.usb_x + half), (d.depth - d.wall, d.depth), (d.floor, sill)))
    return parts


def _screws(d: Dimensions) -> list[Part]:
    through = (-1.0, d.floor + 1)
    holes: list[Part] = []
    for at in d.shell_screws:
        holes += [rod(at, through, d.through_3), cone(at, (0, COUNTERSINK), 6.6, d.through_3)]
    ears = [((x[0] + x[1]) / 2, (y[0] + y[1]) / 2) for x, y in d.tray_ears]
    for at in [*ears, *d.carrier_screws]:
        holes += [rod(at, through, d.through_2_5), cone(at, (0, COUNTERSINK), 5.6, d.through_2_5)]
    holes += [rod(at, (1.2, d.board_z + 1), d.thread_2_5) for at in d.board_screws]
    return holes


def _pockets(d: Dimensions) -> list[Part]:
    middle = d.inside + 3.7
    magnet = rod((middle, middle), (8.0 - d.magnet_thickness - 0.05, 9), d.magnet + 0.1)
    return [magnet, *(rod_x((x[0] - 1, x[1] + 1), (d.hinge_y, d.hinge_z), d.pin) for x in base_knuckles(d))]
