"""The amplification block: two wells for 0.2 ml tubes in warm aluminium, lit from the left and read from below."""

from build123d import Part

from enclosure.dimensions import Dimensions
from enclosure.solids import cone, joined, prism, rod, rod_x, slab, without


def tube_solid(d: Dimensions, y: float, slack: float = 0.0) -> Part:
    """A tube without its cap, or with `slack` the bore that takes it."""
    at, rim = (d.well_x, y), d.tube_tip + d.tube_length
    shoulder = rim - d.tube_straight
    wide, narrow = d.tube_rim_diameter + 2 * slack, d.tube_tip_diameter + 2 * slack
    return joined([cone(at, (d.tube_tip - slack, shoulder), narrow, wide), rod(at, (shoulder, rim), wide)])


def tube(d: Dimensions, y: float) -> Part:
    """A closed tube."""
    rim = d.tube_tip + d.tube_length
    cap = rod((d.well_x, y), (rim, rim + d.tube_cap_height), d.tube_cap_diameter)
    return joined([tube_solid(d, y), cap])


def block(d: Dimensions) -> Part:
    """Aluminium, milled: bores for the tubes, light paths from the left and down, a hole for the NTC between them."""
    x = (d.well_x - d.block_x / 2, d.well_x + d.block_x / 2)
    front = d.block_middle - d.block_y / 2
    body = slab(x, (front, front + d.block_y), (d.block_bottom, d.block_top))
    holes = [rod_x((x[0] - 1, d.well_x), (d.block_middle, d.excitation_z), 2.6)]
    for y in d.wells:
        holes += [
            tube_solid(d, y, d.tube_slack),
            rod((d.well_x, y), (d.block_bottom - 1, d.tube_tip + 1), d.aperture),
            rod_x((x[0] - 1, d.well_x), (y, d.excitation_z), d.aperture),
        ]
    return without(body, holes)


def carrier(d: Dimensions) -> Part:
    """The printed housing around the block, of a plastic that stands 100 degrees; printed on its roof."""
    x, y = d.cavity
    top = d.block_top + d.carrier_roof
    wall, low = y[0] - d.carrier_wall, d.floor
    outline = [(wall + 1, low), (wall - 5, low), (wall - 5, low + 8), (wall, low + 13), (wall + 1, low + 13)]
    foot = prism([(d.well_x - 5, v, w) for v, w in outline], (10.0, 0, 0))
    outer = slab(
        (x[0] - d.carrier_left, x[1] + d.carrier_wall), (y[0] - d.carrier_wall, y[1] + d.carrier_wall), (d.floor, top)
    )
    holes = [
        slab(x, y, (d.floor - 1, d.block_top)),
        slab((x[1] - 1, x[1] + d.carrier_wall + 1), (d.block_middle - 4, d.block_middle + 4), (d.floor - 1, 6.0)),
        *(rod((d.well_x, y), (d.block_top - 1, top + 1), d.tube_rim_diameter + 2 * d.fit) for y in d.wells),
        *(rod_x((x[0] - d.carrier_left - 1, x[0] + 1), (y, d.excitation_z), 3.2) for y in d.wells),
        *(rod(at, (d.floor - 1, d.floor + 7), d.thread_2_5) for at in d.carrier_screws),
    ]
    return without(joined([foot, outer]), holes)


def sensor_plate(d: Dimensions) -> Part:
    """Carries the block and holds an AS7341 under each tube behind an aperture; printed upside down."""
    x, y = d.cavity
    back = d.block_middle + d.block_y / 2 - d.fit
    body = slab((x[0] + d.fit, x[1] - d.fit), (y[0] + d.fit, back), (d.floor, d.block_bottom))
    half = d.sensor_board / 2 + 0.2
    holes: list[Part] = []
    ends = ((y[0], d.wells[0] + half), (d.wells[1] - half, y[1]))
    for well, end in zip(d.wells, ends, strict=True):
        holes += [
            slab(x, end, (d.floor - 1, board_top(d) + 0.2)),
            slab(
                (d.well_x - 2.5, d.well_x + 2.5),
                (well - 2.0, well + 2.0),
                (d.floor, board_top(d) + d.sensor_height + 0.4),
            ),
            rod((d.well_x, well), (d.floor, d.block_bottom + 1), d.aperture),
        ]
    cables = slab((d.well_x, x[1] + 1), (d.wells[0], d.wells[1]), (d.floor - 1, 6.0))
    return without(body, [*holes, cables])


def board_top(d: Dimensions) -> float:
    """Height of the upper face of the sensors' boards, which rest on the base."""
    return 5.0 + d.sensor_board_thickness


def sensors(d: Dimensions, y: float) -> tuple[Part, Part]:
    """An AS7341's board and the sensor on it."""
    half, top = d.sensor_board / 2, board_top(d)
    board = slab((d.well_x - half, d.well_x + half), (y - half, y + half), (top - d.sensor_board_thickness, top))
    chip = slab(
        (d.well_x - d.sensor_x / 2, d.well_x + d.sensor_x / 2),
        (y - d.sensor_y / 2, y + d.sensor_y / 2),
        (top, top + d.sensor_height),
    )
    return board, chip


def excitation(d: Dimensions, y: float) -> Part:
    """A blue 3 mm LED, pushed into the carrier's left wall."""
    x = d.cavity[0][0]
    return rod_x((x - d.carrier_left + 0.1, x - 0.1), (y, d.excitation_z), 3.0)


def heater(d: Dimensions) -> Part:
    """Polyimide heater film on the block's right side, with its pressure pad."""
    x = d.well_x + d.block_x / 2
    across, up = d.heater_y / 2, d.heater_z / 2
    middle = (d.block_bottom + d.block_top) / 2
    return slab(
        (x, x + d.heater_thickness), (d.block_middle - across, d.block_middle + across), (middle - up, middle + up)
    )


def cutout(d: Dimensions) -> Part:
    """The thermal cut-out against the block's back end."""
    back = d.block_middle + d.block_y / 2
    top = d.block_top - 0.3
    return slab(
        (d.well_x - d.cutout_x / 2, d.well_x + d.cutout_x / 2), (back, back + d.cutout_y), (top - d.cutout_z, top)
    )


def thermistor(d: Dimensions) -> Part:
    """The NTC's bead in the block, between the wells."""
    left = d.well_x - d.block_x / 2
    return rod_x((left, d.well_x - 0.5), (d.block_middle, d.excitation_z), 2.4)
