"""Bought parts as the space that they need: cassette, boards, cell, screen, scanner, switches."""

from build123d import Part

from enclosure import shell, strip
from enclosure.dimensions import Dimensions
from enclosure.lid import finger_bottom
from enclosure.solids import joined, rod, rod_x, slab, without


def cassette(d: Dimensions) -> Part:
    """A lateral-flow cassette with its window and sample port open."""
    y, top = d.cassette_middle, d.cassette_top
    half = d.cassette_width / 2
    body = slab((d.cassette_left, d.cassette_right), (y - half, y + half), (d.tray_floor, top))
    deep = top - d.membrane_below_top - 0.3
    window = slab(window_x(d), (y - d.window_width / 2, y + d.window_width / 2), (deep, top + 1))
    port = rod((d.cassette_left + d.sample_port, y), (top - 2.5, top + 1), 5.0)
    return without(body, [window, port])


def window_x(d: Dimensions) -> tuple[float, float]:
    """x limits of the read window."""
    return (d.optical_x - d.window_length / 2, d.optical_x + d.window_length / 2)


def membrane(d: Dimensions) -> Part:
    """What the array looks at."""
    half = d.window_width / 2
    y = (d.cassette_middle - half, d.cassette_middle + half)
    return slab(window_x(d), y, (d.membrane_z - 0.3, d.membrane_z))


def lens(d: Dimensions) -> Part:
    """M12 lens of 8 mm."""
    at = (d.optical_x, d.cassette_middle)
    return rod(at, (d.lens_z - d.lens_length / 2, d.lens_z + d.lens_length / 2), d.lens_barrel)


def array(d: Dimensions) -> Part:
    """The TSL1401's package, face down."""
    x, y = d.optical_x, d.cassette_middle
    half_x, half_y = d.array_width / 2, d.array_depth / 2
    return slab((x - half_x, x + half_x), (y - half_y, y + half_y), (d.array_z, d.array_z + d.array_height))


def array_board(d: Dimensions) -> Part:
    """The array's board, which closes the tower."""
    x, y, half = d.optical_x, d.cassette_middle, d.array_board / 2
    seat = d.array_z + d.array_height
    board = slab((x - half, x + half), (y - half, y + half), (seat, seat + d.board_thickness))
    return without(board, [rod((x + u, y + v), (seat - 1, seat + 3), 2.2) for u in (-7.2, 7.2) for v in (-7.2, 7.2)])


def strip_switch(d: Dimensions) -> Part:
    """The switch under the cassette's far end, its plunger pressed."""
    at = (d.cassette_right - strip.SWITCH_X, d.cassette_middle)
    size = strip.SWITCH
    body = slab(
        (at[0] - size[0] / 2, at[0] + size[0] / 2),
        (at[1] - size[1] / 2, at[1] + size[1] / 2),
        (d.floor, d.floor + size[2]),
    )
    return joined([body, rod(at, (d.floor, d.tray_floor), strip.PLUNGER)])


def lid_switch(d: Dimensions) -> Part:
    """The switch that the lid's finger presses, with its lever pressed."""
    half = d.lid_switch_length / 2
    x, y = (d.lid_switch_x - half, d.lid_switch_x + half), (7.6, 7.6 + d.lid_switch_depth)
    top = d.floor + d.lid_switch_height
    lever = slab((x[0] + 2, x[1] - 1), (y[0] + 1, y[1] - 1), (top, finger_bottom(d)))
    return joined([slab(x, y, (d.floor, top)), lever])


def magnet(d: Dimensions, upper: bool) -> Part:
    """One of the pair that keeps the lid shut."""
    middle = d.inside + 3.7
    bottom = 8.0 + d.gap if upper else 8.0 - d.magnet_thickness
    return rod((middle, middle), (bottom, bottom + d.magnet_thickness), d.magnet)


def pin(d: Dimensions) -> Part:
    """The hinge's pin."""
    return rod_x((3.0, d.bay_width - 3.0), (d.hinge_y, d.hinge_z), d.pin)


def main_board(d: Dimensions) -> Part:
    """The main board; nothing of it lies under the module's antenna."""
    x, y = (d.board_x, d.board_x + d.board_width), (d.board_y, d.board_y + d.board_depth)
    z = (d.board_z, d.board_z + d.board_thickness)
    clear = d.module_width / 2 + d.antenna_clear
    notch = slab((d.antenna_x, x[1] + 1), (d.module_middle - clear, d.module_middle + clear), (z[0] - 1, z[1] + 1))
    whole = joined([slab(x, y, z), slab((d.tab_x, x[1]), (y[1], y[1] + d.tab_depth), z)])
    return without(whole, [notch, *(rod(at, (z[0] - 1, z[1] + 1), 2.8) for at in d.board_screws)])


def module(d: Dimensions) -> tuple[Part, Part]:
    """The ESP32-S3-WROOM-1: its shielded part, and its antenna."""
    right = d.board_x + d.board_width
    y = (d.module_middle - d.module_width / 2, d.module_middle + d.module_width / 2)
    z = d.board_z + d.board_thickness
    shield = slab((right - d.module_length, d.antenna_x), y, (z, z + d.module_height))
    return shield, slab((d.antenna_x, right), y, (z, z + 0.8))


def antenna_keep_out(d: Dimensions) -> Part:
    """Where no metal, board or cell may be, beside the module itself."""
    right = d.board_x + d.board_width
    half, z = d.module_width / 2 + d.antenna_clear, d.board_z + d.board_thickness
    return slab(
        (d.antenna_x, right + d.antenna_clear),
        (d.module_middle - half, d.module_middle + half),
        (z - d.antenna_clear, z + d.antenna_clear),
    )


def usb(d: Dimensions) -> Part:
    """The USB-C receptacle, its mouth level with the wall's inner face."""
    mouth, half = d.depth - d.wall, d.usb_width / 2
    z = d.board_z + d.board_thickness
    return slab((d.usb_x - half, d.usb_x + half), (mouth - d.usb_depth, mouth), (z, z + d.usb_height))


def buzzer(d: Dimensions) -> Part:
    """The buzzer on the main board."""
    z = d.board_z + d.board_thickness
    half = d.buzzer_side / 2
    return slab(
        (d.buzzer_x - half, d.buzzer_x + half), (d.buzzer_y - half, d.buzzer_y + half), (z, z + d.buzzer_height)
    )


def cell(d: Dimensions) -> Part:
    """A protected 18650 cell, on a pad of foam tape."""
    z = d.floor + d.cell_pad + d.cell_diameter / 2
    return rod_x((d.cell_x, d.cell_x + d.cell_length), (d.cell_y, z), d.cell_diameter)


def panel(d: Dimensions) -> Part:
    """The board under the roof that carries screen and buttons."""
    x, y = (d.panel_x, d.panel_x + d.panel_width), (d.panel_y, d.panel_y + d.panel_depth)
    z = (d.panel_top - d.board_thickness, d.panel_top)
    return without(slab(x, y, z), [rod(at, (z[0] - 1, z[1] + 1), 2.8) for at in d.panel_screws])


def screen(d: Dimensions) -> Part:
    """The OLED module on its header: board, and glass below the pane."""
    x, y, half = d.panel_middle, d.screen_y, d.screen_board / 2
    z = d.panel_top + 2.0
    board = slab((x - half, x + half), (y - half, y + half), (z, z + 1.2))
    glass = slab((x - 13, x + 13), (y - 8.5, y + 8.5), (z + 1.2, z + 2.7))
    header = slab((x - 5.2, x + 5.2), (y + half - 2.5, y + half), (d.panel_top, z))
    return joined([board, glass, header])


def screen_pane(d: Dimensions) -> Part:
    """Clear acrylic, glued from inside."""
    half_x, half_y = d.screen_window_x / 2 + d.pane_lip, d.screen_window_y / 2 + d.pane_lip
    x, y = d.panel_middle, d.screen_y
    return slab((x - half_x, x + half_x), (y - half_y, y + half_y), (d.roof, d.roof + d.pane))


def scanner_pane(d: Dimensions) -> Part:
    """Clear acrylic in front of the scanner."""
    half_x, half_z = d.scanner_window_x / 2 + d.pane_lip, d.scanner_window_z / 2 + d.pane_lip
    x, z = d.scanner_x, d.scanner_z
    return slab((x - half_x, x + half_x), (d.wall - d.pane, d.wall), (z - half_z, z + half_z))


def button_switch(d: Dimensions, at: tuple[float, float]) -> Part:
    """A tactile switch and its stem, which ends under the cap."""
    half = d.switch_side / 2
    top = d.panel_top + d.switch_height
    body = slab((at[0] - half, at[0] + half), (at[1] - half, at[1] + half), (d.panel_top, top))
    return joined([body, rod(at, (top, d.roof - d.gap - d.button_flange), 3.4)])


def scanner(d: Dimensions) -> Part:
    """The scanning engine behind its pane."""
    x, z = d.scanner_x, d.scanner_z
    back = shell.scanner_back(d)
    return slab(
        (x - d.scanner_width / 2, x + d.scanner_width / 2),
        (back - d.scanner_depth, back),
        (z - d.scanner_height / 2, z + d.scanner_height / 2),
    )
