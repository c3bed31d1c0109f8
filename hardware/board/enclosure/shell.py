"""The head's shell, with openings for screen, buttons, scanner, buzzer and USB; and its small parts."""

from build123d import Part

from enclosure.dimensions import Dimensions
from enclosure.solids import joined, prism, rod, rod_y, slab, without

RAIL = 4.8  # thickness of the scanner's rails
POST = 6.0
SHELF = 1.5  # what the lid's corners rest on


def shell(d: Dimensions) -> Part:
    """In place; printed on its roof."""
    outer = slab((d.bay_width, d.width), (0, d.depth), (d.floor, d.head_height))
    inner = slab((d.bay_width + d.wall, d.width - d.wall), (d.wall, d.depth - d.wall), (0, d.roof))
    body = joined(
        [
            outer - inner,
            *(rod(at, (d.floor, d.roof), 7.0) for at in d.shell_screws),
            *(rod(at, (d.panel_top, d.roof), POST) for at in d.panel_screws),
            *_rails(d),
            *_ribs(d),
        ]
    )
    return without(body, [*_openings(d), *_holes(d)])


def _ribs(d: Dimensions) -> list[Part]:
    """What stands inside the lid's free edge: a rib at the front, one at the back, a wedge along the top."""
    near, far = d.wall + d.gap, d.depth - d.wall - d.gap
    top, x, reach = d.lid_ceiling - d.gap, d.bay_width, max(d.rim_height, SHELF + 0.01)
    wedge = [(x, top), (x - reach, top - reach), (x, top - reach)]
    rest = d.lid_ceiling  # the lid comes to lie on the two ends, so that no light passes above them
    low = d.floor + d.gap
    upright = [(x, rest), (x - SHELF, rest), (x - reach, rest - reach + SHELF), (x - reach, low), (x, low)]
    return [
        prism([(u, near, w) for u, w in wedge], (0, far - near, 0)),
        prism([(u, near, w) for u, w in upright], (0, d.rim, 0)),
        prism([(u, far - d.rim, w) for u, w in upright], (0, d.rim, 0)),
    ]


def _rails(d: Dimensions) -> list[Part]:
    """Two rails from the roof that the scanner slides up between, with a shoulder that it stops against."""
    half, bottom = d.scanner_width / 2 + d.fit, d.scanner_z - d.scanner_height / 2 - d.fit
    shoulder = d.scanner_z + d.scanner_height / 2 + d.fit
    y = (d.wall, scanner_back(d) + 2)
    rails: list[Part] = []
    for side in (-1, 1):
        inner, outer = d.scanner_x + side * half, d.scanner_x + side * (half + RAIL)
        rails.append(slab((min(inner, outer), max(inner, outer)), y, (bottom, d.roof)))
        stop = d.scanner_x + side * (half - 1.5)
        rails.append(slab((min(stop, outer), max(stop, outer)), y, (shoulder, d.roof)))
    return rails


def scanner_back(d: Dimensions) -> float:
    """y of the scanner's back."""
    return d.wall + 0.2 + d.scanner_depth


def _openings(d: Dimensions) -> list[Part]:
    partition = (d.bay_width - 1, d.bay_width + d.wall + 1)
    low, high = d.tray_span
    half_x, half_y, lip = d.screen_window_x / 2, d.screen_window_y / 2, d.pane_lip + 0.2
    screen, eye, pane = (d.panel_middle, d.screen_y), (d.scanner_x, d.scanner_z), d.pane + 0.1
    eye_x, eye_z = d.scanner_window_x / 2, d.scanner_window_z / 2
    plug = d.plug_width / 2
    return [
        slab(partition, (low - d.fit, high + d.fit), (0, d.tray_top + d.fit)),
        slab(partition, (d.block_middle - 4, d.block_middle + 4), (0, 6.0)),
        _window(screen, half_x, half_y, (d.roof - 1, d.head_height + 1)),
        _window(screen, half_x + lip, half_y + lip, (d.roof - 1, d.roof + pane)),
        slab((eye[0] - eye_x, eye[0] + eye_x), (-1, d.wall + 1), (eye[1] - eye_z, eye[1] + eye_z)),
        slab(
            (eye[0] - eye_x - lip, eye[0] + eye_x + lip),
            (d.wall - pane, d.wall + 0.2),
            (eye[1] - eye_z - lip, eye[1] + eye_z + lip),
        ),
        slab((d.usb_x - plug, d.usb_x + plug), (d.depth - d.wall - 1, d.depth + 1), (0, d.usb_z + d.plug_height / 2)),
        *(rod(at, (d.roof - 1, d.head_height + 1), d.button_diameter + 2 * d.fit) for at in d.buttons),
    ]


def _window(at: tuple[float, float], half_x: float, half_y: float, z: tuple[float, float]) -> Part:
    return slab((at[0] - half_x, at[0] + half_x), (at[1] - half_y, at[1] + half_y), z)


def _holes(d: Dimensions) -> list[Part]:
    sound = [(d.buzzer_x + u, 14.0 + w) for u, w in ((0, 0), (-4, 0), (4, 0), (0, -4), (0, 4))]
    rail = d.scanner_width / 2 + d.fit + RAIL / 2
    bottom = d.scanner_z - d.scanner_height / 2
    return [
        *(rod(at, (d.floor - 1, d.floor + 7), d.insert_3) for at in d.shell_screws),
        *(rod(at, (d.panel_top - 1, d.roof), d.thread_2_5) for at in d.panel_screws),
        *(rod_y((-1, d.wall + 1), at, 1.6) for at in sound),
        *(rod((d.scanner_x + s * rail, d.wall + 6), (bottom - 2, bottom + 8), d.thread_2_5) for s in (-1, 1)),
    ]


def scanner_clamp(d: Dimensions) -> Part:
    """The bar below the scanner, screwed to its rails; printed as it stands."""
    half = d.scanner_width / 2 + d.fit + RAIL
    top, back = d.scanner_z - d.scanner_height / 2 - d.fit, scanner_back(d)
    stop = slab((d.scanner_x - 8, d.scanner_x + 8), (back + 0.2, back + 2.2), (top, top + 5))
    bar = slab((d.scanner_x - half, d.scanner_x + half), (d.wall + 0.4, back + 2.2), (top - 2.4, top))
    rail = d.scanner_width / 2 + d.fit + RAIL / 2
    screws = [rod((d.scanner_x + s * rail, d.wall + 6), (top - 4, top + 1), d.through_2_5) for s in (-1, 1)]
    return without(bar + stop, screws)


def button_cap(d: Dimensions, at: tuple[float, float]) -> Part:
    """A cap that a flange keeps under the roof; printed on its face."""
    top = d.head_height + d.button_proud
    flange = d.roof - d.gap
    return rod(at, (flange - d.button_flange, top), d.button_diameter) + rod(
        at, (flange - d.button_flange, flange), d.button_diameter + 2.4
    )
