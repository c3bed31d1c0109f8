"""The strip's instrument: the tray that a cassette slides into, and the tower above it with array, lens and lamps."""

import math

from build123d import Part, Pos, Rot

from enclosure.dimensions import Dimensions
from enclosure.solids import joined, rectangle, rod, slab, taper, without

FOOT = 2.4
EAR = 8.0
SWITCH_X = 8.0  # from the cassette's end to the strip switch's middle
SWITCH = (6.0, 6.0, 2.8)  # detector switch, mm
PLUNGER = 1.6


def tray(d: Dimensions) -> Part:
    """Printed as it stands."""
    low, high = d.tray_span
    side = (d.bay_width - 12, d.tray_right)
    z = (d.floor, d.tray_top)
    body = joined(
        [
            slab((d.tray_left, d.tray_right), (low, high), (d.floor, d.tray_floor)),
            slab(side, (low, low + d.tray_side), z),
            slab(side, (high - d.tray_side, high), z),
            slab((d.tray_right - d.tray_end, d.tray_right), (low, high), z),
            *(slab(x, y, z) for x, y in d.tray_ears),
        ]
    )
    at = (d.cassette_right - SWITCH_X, d.cassette_middle)
    pocket = slab(
        (at[0] - SWITCH[0] / 2 - 0.2, at[0] + SWITCH[0] / 2 + 0.2),
        (at[1] - SWITCH[1] / 2 - 0.2, at[1] + SWITCH[1] / 2 + 0.2),
        (d.floor - 1, d.floor + SWITCH[2] + 0.2),
    )
    groove = slab((at[0], d.tray_right + 1), (at[1] - 1.5, at[1] + 1.5), (d.floor - 1, d.floor + 1.5))
    return without(body, [pocket, groove, rod(at, (d.floor, d.tray_floor + 1), PLUNGER + 0.8), *_ear_holes(d, z, 2.8)])


def tower(d: Dimensions) -> Part:
    """Printed as it stands: the field of view is a cavity that narrows upwards, and so carries itself."""
    low, high = d.tray_span
    x, y, half = d.optical_x, d.cassette_middle, d.tower_half
    seat = d.array_z + d.array_height
    body = joined(
        [
            slab((d.bay_width + d.wall + d.gap, d.tray_right), (low, high), (d.tray_top, d.tray_top + FOOT)),
            slab((x - half, x + half), (y - half, y + half), (d.tray_top, seat + d.board_thickness)),
            *(slab(ear_x, ear_y, (d.tray_top, d.tray_top + EAR)) for ear_x, ear_y in d.tray_ears),
            *(_lamp_block(d, side) for side in (-1, 1)),
        ]
    )
    bore = d.lens_z - d.lens_length / 2
    board = d.array_board / 2 + 0.2
    room = 0.6  # about the field of view
    lower = field(d, d.tray_top)
    upper = field(d, bore)
    holes = [
        taper(
            rectangle((x, y), lower + room, 4.5, d.tray_top - 0.01),
            rectangle((x, y), upper + room, 3.0, bore),
        ),
        rod((x, y), (bore - 0.01, seat + 1), d.lens_barrel),
        slab((x - board, x + board), (y - board, y + board), (seat, seat + d.board_thickness + 1)),
        *(rod((x + u, y + v), (seat - 6, seat), 1.6) for u in (-7.2, 7.2) for v in (-7.2, 7.2)),
        *_ear_holes(d, (d.tray_top, d.tray_top + EAR - 0.8), d.thread_2_5),
    ]
    for side in (-1, 1):
        holes += [lamp_bore(d, side), _beam(d, side)]
    return without(body, holes)


def field(d: Dimensions, z: float) -> float:
    """Half the width at height `z` of what reaches the lens's aperture from the window."""
    above = (z - d.membrane_z) / d.membrane_to_lens
    return d.window_length / 2 * (1 - above) + d.lens_aperture / 2 * above


def lamp(d: Dimensions, side: int, extra: float = 0.0, longer: float = 0.0) -> Part:
    """A strip lamp (3 mm LED) in place, its tip towards the window's middle; `side` is -1 in front, 1 behind."""
    straight = rod((0, 0), (d.lamp_reach, d.lamp_reach + d.lamp_length + longer), d.lamp_diameter + extra)
    return Pos(d.optical_x, d.cassette_middle, d.membrane_z) * Rot(-45 * side, 0, 0) * straight


def lamp_bore(d: Dimensions, side: int) -> Part:
    """The bore that it is pushed into from outside."""
    return lamp(d, side, 0.2, 12.0)


def _lamp_block(d: Dimensions, side: int) -> Part:
    inner, outer = d.cassette_middle + side * (d.tower_half - 1), d.cassette_middle + side * (d.tower_half + 6)
    return slab(
        (d.optical_x - 3.5, d.optical_x + 3.5), (min(inner, outer), max(inner, outer)), (d.tray_top, d.tray_top + 14)
    )


def _beam(d: Dimensions, side: int) -> Part:
    """The lamp's way to the whole window."""
    reach = (d.lamp_reach + 0.3) * math.sqrt(0.5)
    up = d.tray_top - d.membrane_z
    return taper(
        rectangle((d.optical_x, d.cassette_middle + side * up), 7.5, 1.6, d.tray_top - 0.01),
        rectangle((d.optical_x, d.cassette_middle + side * reach), 1.5, 1.5, d.membrane_z + reach),
    )


def _ear_holes(d: Dimensions, z: tuple[float, float], diameter: float) -> list[Part]:
    middles = [((x[0] + x[1]) / 2, (y[0] + y[1]) / 2) for x, y in d.tray_ears]
    return [rod(at, (z[0] - 0.01, z[1] + 0.01), diameter) for at in middles]
