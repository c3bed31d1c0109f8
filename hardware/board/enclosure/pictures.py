"""The pictures of docs/assembly.md: what is seen, from where, and what is named in it."""

from collections.abc import Callable, Sequence

from build123d import Axis
from PIL import Image

from enclosure import strip
from enclosure.assembly import Made, Piece, moved, opened
from enclosure.dimensions import Dimensions
from enclosure.render import Cut, Label, Point, View, picture

FRONT_LEFT = View((0.62, 0.70, -0.60))
FROM_FRONT = View((0, 1, 0))
FROM_BELOW = View((0, 0, 1), (0, 1, 0))
_X_AXIS = Axis((0, 0, 0), (1, 0, 0))

Scene = Callable[[Sequence[Piece], Dimensions], Image.Image]
_STRIP = ("tray", "tower", "lens", "array", "array board", "strip lamp 1", "strip lamp 2", "strip switch")
_WELLS = (
    *("carrier", "sensor plate", "block", "heater", "cut-out", "NTC", "blue lamp 1", "blue lamp 2"),
    *("well board 1", "well board 2", "well sensor 1", "well sensor 2"),
)
_BOARD = ("main board", "module", "antenna", "USB-C", "buzzer")
_UNDER_ROOF = ("shell", "panel", "screen", "screen pane", "scanner pane", "scanner", "scanner clamp")
_BUTTONS = ("button A", "button B", "switch A", "switch B")
_BAY = ("lid switch", "base magnet")


def scenes() -> dict[str, Scene]:
    """Name of the file, without its ending, and what draws it."""
    return {
        "whole": _whole,
        "open": _open,
        "exploded": _exploded,
        "section-strip": _section_strip,
        "section-wells": _section_wells,
        "light-trap": _light_trap,
        "step-bed": _bed,
        "step-wells": _wells,
        "step-tower": _tower,
        "step-base": _base,
        "step-shell": _shell,
        "step-screws": _screws,
    }


def _named(pieces: Sequence[Piece], names: Sequence[str]) -> list[Piece]:
    return [piece for piece in pieces if piece.name in names]


def _top(pieces: Sequence[Piece], name: str, across: float = 0.5, deep: float = 0.5) -> Point:
    """A point on the box around a part: its upper face, at a share of its width and depth."""
    box = next(piece for piece in pieces if piece.name == name).solid.bounding_box()
    return (box.min.X + across * box.size.X, box.min.Y + deep * box.size.Y, box.max.Z)


def _low(pieces: Sequence[Piece], name: str, across: float, deep: float) -> Point:
    """The same a little above the box's lower face."""
    box = next(piece for piece in pieces if piece.name == name).solid.bounding_box()
    return (box.min.X + across * box.size.X, box.min.Y + deep * box.size.Y, box.min.Z + 2)


def _middle(pieces: Sequence[Piece], name: str) -> Point:
    middle = next(piece for piece in pieces if piece.name == name).solid.bounding_box().center()
    return (middle.X, middle.Y, middle.Z)


def _whole(pieces: Sequence[Piece], d: Dimensions) -> Image.Image:
    labels = [
        Label(">screen, 128 x 64", (d.panel_middle, d.screen_y, d.roof + 1)),
        Label(">button A", (*d.buttons[0], d.head_height + d.button_proud)),
        Label(">button B", (*d.buttons[1], d.head_height + d.button_proud)),
        Label(">scanner window", (d.scanner_x, 1.5, d.scanner_z)),
        Label(">buzzer", (d.buzzer_x, 0, 14)),
        Label("<lid over cassette and tubes", (d.bay_width / 2, d.depth * 0.55, d.lid_height)),
        Label("<ridge to open it by", (d.bay_width / 2, -3, 14)),
    ]
    return picture(pieces, FRONT_LEFT, labels, margin=230)


def _open(pieces: Sequence[Piece], d: Dimensions) -> Image.Image:
    tube = d.tube_tip + d.tube_length + d.tube_cap_height
    labels = [
        Label("<tube: internal control", (d.well_x, d.wells[1], tube)),
        Label("<tube: specimen", (d.well_x, d.wells[0], tube)),
        Label("<cassette, sample port", (d.cassette_left + d.sample_port, d.cassette_middle, d.cassette_top)),
        Label("<blue lamps", (d.cavity[0][0] - d.carrier_left, d.wells[0], d.excitation_z)),
        Label("<lid switch", _top(pieces, "lid switch", 0.2, 0.2)),
        Label("<magnet", _top(pieces, "base magnet")),
        Label(">wedge inside the lid's free edge", (d.bay_width - 2, 9, d.lid_ceiling - 2)),
        Label("<rim inside the lid's wall", (d.wall + 1.4, d.depth * 0.42, d.floor + d.rim_height)),
    ]
    return picture(opened(list(pieces), d, d.lid_opens), FRONT_LEFT, labels, margin=240)


def _exploded(pieces: Sequence[Piece], d: Dimensions) -> Image.Image:
    lift: dict[str, tuple[float, float, float]] = {
        "shell": (55, 0, 268),
        "screen pane": (55, 0, 296),
        "scanner pane": (55, -22, 268),
        "lid": (-30, 0, 196),
        "lid magnet": (-30, 0, 178),
        "hinge pin": (-40, 0, 150),
        "cassette": (-62, 0, 26),
        "membrane": (-62, 0, 26),
        "cell": (20, 30, 62),
        "lens": (0, 0, 78),
        "array": (0, 0, 92),
        "array board": (0, 0, 98),
        "lid switch": (0, -14, 14),
        "base magnet": (-8, -14, 14),
        "strip switch": (0, 0, 12),
        "scanner": (75, -30, 96),
        "scanner clamp": (75, -30, 80),
        **dict.fromkeys(("tray",), (0, 0, 26)),
        **dict.fromkeys(("tower", "strip lamp 1", "strip lamp 2"), (0, 0, 52)),
        **dict.fromkeys(("sensor plate",), (-12, 0, 48)),
        **dict.fromkeys(("well board 1", "well board 2", "well sensor 1", "well sensor 2"), (-12, 0, 32)),
        **dict.fromkeys(("block", "heater", "cut-out", "NTC"), (-12, 0, 66)),
        **dict.fromkeys(("blue lamp 1", "blue lamp 2"), (-26, 0, 86)),
        **dict.fromkeys(("carrier",), (-12, 0, 86)),
        **dict.fromkeys(("tube 1", "tube 2"), (-12, 0, 112)),
        **dict.fromkeys(_BOARD, (30, 0, 36)),
        **dict.fromkeys(("panel", "screen", "switch A", "switch B"), (55, 0, 124)),
        **dict.fromkeys(("button A", "button B"), (55, 0, 176)),
    }
    apart = [moved(piece, *lift.get(piece.name, (0, 0, 0))) for piece in pieces]
    right = ("shell", "panel", "scanner", "scanner clamp", "main board", "array board", "lens")
    left = ("lid", "tube 1", "carrier", "well board 1", "cassette", "hinge pin", "lid switch")
    labels = [
        *(Label(">" + name, _top(apart, name, 0.9, 0.12)) for name in right),
        *(Label("<" + name, _top(apart, name, 0.12, 0.3)) for name in left),
        Label(">button caps", _top(apart, "button B")),
        Label(">screen", _top(apart, "screen", 0.9, 0.2)),
        Label(">tower", (d.optical_x + d.tower_half, d.cassette_middle - d.tower_half, 80)),
        Label(">base", (d.width - 12, 12, d.floor)),
        Label(">cell", _top(apart, "cell", 0.9, 0.5)),
        Label("<block", (*_top(apart, "block", 0.0, 0.2)[:2], d.block_bottom + 69)),
        Label("<sensor plate", (*_top(apart, "sensor plate", 0.0, 0.3)[:2], d.floor + 51)),
        Label("<tray", (d.tray_left, d.tray_span[0] + 3, d.tray_floor + 24)),
    ]
    return picture(apart, FRONT_LEFT, labels, width=1200, margin=170)


def _section_strip(pieces: Sequence[Piece], d: Dimensions) -> Image.Image:
    half = d.array_pixels * d.pixel_pitch / 2
    y = d.cassette_middle - 0.1
    lines: list[tuple[Point, Point]] = []
    for side in (-1, 0, 1):
        lens = (d.optical_x, y, d.lens_z)
        lines.append(((d.optical_x + side * d.window_length / 2, y, d.membrane_z), lens))
        lines.append((lens, (d.optical_x - side * half, y, d.array_z)))
    labels = [
        Label("<array board", (d.optical_x - 8, y, d.array_z + 2)),
        Label("<array, 128 pixels", (d.optical_x - 4, y, d.array_z + 0.5)),
        Label("<lens, 8 mm", (d.optical_x - 5, y, d.lens_z + 2)),
        Label("<lid", (8, y, d.lid_height - 1)),
        Label("<cassette", (12, y, d.cassette_top - 2.5)),
        Label("<rim inside the lid", (d.wall + 1.4, y, d.floor + 2)),
        Label(">screen and buttons", (d.panel_middle + 9, y, d.head_height)),
        Label(">tower", (d.optical_x + 10, y, 36)),
        Label(">read window, 16 mm", (d.optical_x + 8, y, d.membrane_z)),
        Label(">strip switch", (d.cassette_right - strip.SWITCH_X, y, d.floor + 1)),
        Label(">main board", (d.board_x + 30, y, d.board_z + 1)),
    ]
    return picture(pieces, FROM_FRONT, labels, lines, width=1200, cut=Cut(1, d.cassette_middle, True))


def _section_wells(pieces: Sequence[Piece], d: Dimensions) -> Image.Image:
    x = d.well_x + 0.1
    labels = [
        Label(">tube", (x, d.wells[1], d.tube_tip + d.tube_length - 3)),
        Label(">thermal cut-out", (x, d.block_middle + d.block_y / 2 + 2, d.block_bottom + 4)),
        Label(">carrier", (x, d.cavity[1][1] + 1, d.block_top)),
        Label(">AS7341 under its aperture", (x, d.wells[1], 6.5)),
        Label(">hinge", (x, d.hinge_y, d.hinge_z)),
        Label("<lid", (x, 20, d.lid_height - 1)),
        Label("<lid's finger on its switch", (x, 10.5, d.floor + d.lid_switch_height + 1)),
        Label("<aluminium block", (x, d.block_middle - 3, d.block_bottom + 6)),
        Label("<cassette", (x, d.cassette_middle - 8, d.cassette_top - 2)),
        Label("<tray", (x, d.cassette_middle - 10, d.tray_floor - 2)),
    ]
    return picture(pieces, View((1, 0, 0)), _mirrored(labels), width=1200, cut=Cut(0, d.well_x, True))


def _mirrored(labels: Sequence[Label]) -> list[Label]:
    """For a view from the left, where the front is on the right."""
    return [Label({"<": ">", ">": "<"}[label.text[0]] + label.text[1:], label.at) for label in labels]


def _light_trap(pieces: Sequence[Piece], d: Dimensions) -> Image.Image:
    y = d.depth * 0.45
    near = Cut(1, y, True)
    kept = [piece for piece in pieces if piece.name in ("base", "lid", "shell")]
    labels = [
        Label("<lid", (1.2, y, 20)),
        Label("<seam, 0.4 mm", (1.2, y, d.floor + d.gap / 2)),
        Label("<rim of the base, inside", (d.wall + d.gap + 1, y, d.floor + 2)),
        Label(">lid's free edge", (d.bay_width - 2, y, d.lid_height - 1)),
        Label(">seam, 0.4 mm", (d.bay_width - d.gap / 2, y, d.lid_height - 0.5)),
        Label(">wedge of the shell, below it", (d.bay_width - 1.5, y, d.lid_ceiling - 3)),
    ]
    only = [moved(piece) for piece in kept]
    for away in (Cut(0, d.bay_width + 6, False), Cut(2, d.lid_height + 8, False)):
        only = [Piece(p.name, rest, p.colour) for p in only if (rest := away.of(p.solid)) is not None]
    return picture(only, FROM_FRONT, labels, width=1000, margin=250, cut=near)


def _bed(pieces: Sequence[Piece], d: Dimensions) -> Image.Image:
    """Every printed part as it lies on the printer."""
    laid: list[Piece] = []
    labels: list[Label] = []
    places = {
        "base": (0, 0),
        "shell": (150, 0),
        "lid": (275, 0),
        "tray": (0, 165),
        "tower": (90, 165),
        "carrier": (160, 165),
        "sensor plate": (205, 165),
        "scanner clamp": (245, 165),
        "button A": (295, 160),
        "button B": (295, 180),
    }
    for piece in pieces:
        if piece.made is not Made.PRINTED:
            continue
        lying = flat(piece)
        box = lying.solid.bounding_box()
        at = places[piece.name]
        laid.append(moved(lying, at[0] - box.min.X, at[1] - box.min.Y))
        labels.append(Label((">" if at[0] > 150 else "<") + piece.name, (at[0] + box.size.X / 2, at[1], 1.0)))
    return picture(laid, View((0.06, 0.62, -0.85)), labels, width=1200)


def flat(piece: Piece) -> Piece:
    """A part as it lies on the printer's bed, z 0."""
    turned = piece.solid.rotate(_X_AXIS, 180) if piece.upside_down else piece.solid
    return moved(Piece(piece.name, turned, piece.colour, piece.made), z=-turned.bounding_box().min.Z)


def _wells(pieces: Sequence[Piece], d: Dimensions) -> Image.Image:
    lift = {
        "carrier": 46.0,
        **dict.fromkeys(("block", "heater", "cut-out", "NTC"), 22.0),
        **dict.fromkeys(("well board 1", "well board 2", "well sensor 1", "well sensor 2"), -16.0),
    }
    out = {"blue lamp 1": (-14, 0, 46), "blue lamp 2": (-14, 0, 46), "heater": (12, 0, 22), "NTC": (-12, 0, 22)}
    out["cut-out"] = (0, 14, 22)
    apart = [moved(p, *out.get(p.name, (0, 0, lift.get(p.name, 0.0)))) for p in _named(pieces, _WELLS)]
    labels = [
        Label("<carrier", _top(apart, "carrier", 0.2, 0.3)),
        Label("<blue lamp", _middle(apart, "blue lamp 1")),
        Label("<NTC", _middle(apart, "NTC")),
        Label("<sensor plate", _top(apart, "sensor plate", 0.1, 0.3)),
        Label("<AS7341 on its board", _middle(apart, "well sensor 1")),
        Label("<thermal cut-out", _low(apart, "cut-out", 0.0, 0.5)),
        Label(">block", _low(apart, "block", 0.5, 0.0)),
        Label(">heater film", _low(apart, "heater", 1.0, 0.03)),
    ]
    return picture(apart, View((0.55, 0.62, -0.55)), labels, width=1000, margin=230)


def _tower(pieces: Sequence[Piece], d: Dimensions) -> Image.Image:
    lift = {"tower": 22.0, "lens": 44.0, "array": 54.0, "array board": 58.0, "strip switch": -14.0}
    out = {"strip lamp 1": (0, -12, 34), "strip lamp 2": (0, 12, 34), "cassette": (-50, 0, 0), "membrane": (-50, 0, 0)}
    names = (*_STRIP, "cassette", "membrane")
    apart = [moved(p, *out.get(p.name, (0, 0, lift.get(p.name, 0.0)))) for p in _named(pieces, names)]
    labels = [
        Label(">array board, array down", _top(apart, "array board", 0.8, 0.4)),
        Label(">lens, screwed in from above", _middle(apart, "lens")),
        Label(">tower", (d.optical_x + 8, d.cassette_middle - 11, 55)),
        Label(">tray", _top(apart, "tray", 0.98, 0.1)),
        Label(">strip lamp", _middle(apart, "strip lamp 1")),
        Label("<cassette, sample end outwards", _top(apart, "cassette", 0.05, 0.3)),
        Label(">strip switch, in the tray's pocket", _middle(apart, "strip switch")),
    ]
    return picture(apart, FRONT_LEFT, labels, width=1100, margin=250)


def _base(pieces: Sequence[Piece], d: Dimensions) -> Image.Image:
    inside = _named(pieces, ("base", *_STRIP, *_WELLS, *_BOARD, *_BAY, "cell"))
    labels = [
        Label("<wells", _top(inside, "carrier", 0.3, 0.6)),
        Label("<lid switch", _top(inside, "lid switch", 0.2, 0.2)),
        Label("<magnet", _top(inside, "base magnet")),
        Label("<tray", (d.tray_left + 4, d.cassette_middle, d.tray_floor)),
        Label("<cell in its cradle", _top(inside, "cell", 0.15, 0.5)),
        Label(">tower", _top(inside, "array board", 0.8, 0.3)),
        Label(">USB-C", _top(inside, "USB-C")),
        Label(">ESP32-S3-WROOM-1", _top(inside, "module", 0.6, 0.3)),
        Label(">antenna: nothing over, under or beside it", _top(inside, "antenna", 0.9, 0.3)),
        Label(">buzzer", _top(inside, "buzzer")),
        Label(">main board", _top(inside, "main board", 0.9, 0.03)),
    ]
    return picture(inside, View((0.45, 0.62, -0.66)), labels, width=1200, margin=230)


def _shell(pieces: Sequence[Piece], d: Dimensions) -> Image.Image:
    drop = {
        "panel": -75.0,
        "screen": -75.0,
        "switch A": -75.0,
        "switch B": -75.0,
        "scanner": -48.0,
        "scanner clamp": -66.0,
    }
    drop |= {"button A": -30.0, "button B": -30.0, "screen pane": -30.0}
    apart = [moved(p, z=drop.get(p.name, 0.0)) for p in _named(pieces, (*_UNDER_ROOF, *_BUTTONS))]
    turned = [moved(Piece(p.name, p.solid.rotate(_X_AXIS, 180), p.colour)) for p in apart]
    labels = [
        Label(">shell, roof down", _low(turned, "shell", 1.0, 0.3)),
        Label(">panel with screen and switches", _top(turned, "panel", 0.9, 0.4)),
        Label("<button caps", _top(turned, "button A")),
        Label("<scanner", _top(turned, "scanner", 0.1)),
        Label("<scanner clamp", _top(turned, "scanner clamp", 0.1)),
        Label("<screen pane", _top(turned, "screen pane", 0.1)),
        Label(">insert for M3", (d.shell_screws[3][0], -d.shell_screws[3][1], -d.floor)),
    ]
    return picture(turned, View((0.30, 0.70, -0.75)), labels, width=1100, margin=250)


def _screws(pieces: Sequence[Piece], d: Dimensions) -> Image.Image:
    base = _named(pieces, ("base",))
    ears = [((x[0] + x[1]) / 2, (y[0] + y[1]) / 2) for x, y in d.tray_ears]
    labels = [Label(f"M3 x {d.screw_shell:g}, shell", (*at, 0)) for at in d.shell_screws]
    labels += [Label(f"M2.5 x {d.screw_strip:g}, tray and tower", (*at, 0)) for at in ears]
    labels += [Label(f"M2.5 x {d.screw_wells:g}, wells", (*at, 0)) for at in d.carrier_screws]
    return picture(base, FROM_BELOW, labels, width=1100, margin=230)
