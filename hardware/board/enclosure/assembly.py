"""All parts in their places, and what happens to them when the lid opens."""

from dataclasses import dataclass, replace
from enum import Enum

from build123d import Axis, Part, Pos

from enclosure import bought, shell, strip, wells
from enclosure.base import base
from enclosure.dimensions import Dimensions
from enclosure.lid import lid

Colour = tuple[int, int, int]
BODY, DARK, CAP = (232, 236, 240), (70, 76, 84), (0, 94, 184)
BOARD, METAL, GOLD, CELL = (38, 122, 74), (176, 182, 190), (214, 178, 70), (96, 128, 190)
GLASS, PAPER, BLACK = (150, 205, 230), (250, 250, 246), (40, 42, 46)
BLUE, GREEN, AMBER, RED = (60, 110, 240), (40, 190, 90), (232, 140, 40), (205, 60, 60)


class Made(Enum):
    """How a part comes to be."""

    PRINTED = "printed"
    MILLED = "milled"
    BOUGHT = "bought"


@dataclass(frozen=True)
class Piece:
    """A part in its place. `bed` is the way up when it is printed; `metal` is kept away from the antenna."""

    name: str
    solid: Part
    colour: Colour
    made: Made = Made.BOUGHT
    metal: bool = False
    on_lid: bool = False
    upside_down: bool = False
    see_through: bool = False


def assembly(d: Dimensions) -> list[Piece]:
    """The reader with its lid closed, a cassette in the tray and a tube in each well."""
    printed = Made.PRINTED
    boards = [wells.sensors(d, y) for y in d.wells]
    shield, antenna = bought.module(d)
    return [
        Piece("base", base(d), BODY, printed),
        Piece("shell", shell.shell(d), BODY, printed, upside_down=True),
        Piece("lid", lid(d), CAP, printed, on_lid=True, upside_down=True),
        Piece("tray", strip.tray(d), DARK, printed),
        Piece("tower", strip.tower(d), DARK, printed),
        Piece("carrier", wells.carrier(d), AMBER, printed, upside_down=True),
        Piece("sensor plate", wells.sensor_plate(d), DARK, printed, upside_down=True),
        Piece("scanner clamp", shell.scanner_clamp(d), DARK, printed),
        *(
            Piece(f"button {name}", shell.button_cap(d, at), CAP, printed, upside_down=True)
            for name, at in zip("AB", d.buttons, strict=True)
        ),
        Piece("block", wells.block(d), METAL, Made.MILLED, metal=True),
        Piece("cassette", bought.cassette(d), PAPER),
        Piece("membrane", bought.membrane(d), (240, 190, 200)),
        Piece("lens", bought.lens(d), BLACK, metal=True),
        Piece("array", bought.array(d), BLACK, metal=True),
        Piece("array board", bought.array_board(d), BOARD, metal=True),
        *(Piece(f"strip lamp {n}", strip.lamp(d, side), GREEN, metal=True) for n, side in ((1, -1), (2, 1))),
        Piece("strip switch", bought.strip_switch(d), BLACK, metal=True),
        Piece("lid switch", bought.lid_switch(d), RED, metal=True),
        Piece("base magnet", bought.magnet(d, False), METAL, metal=True),
        Piece("lid magnet", bought.magnet(d, True), METAL, metal=True, on_lid=True),
        Piece("hinge pin", bought.pin(d), METAL, metal=True),
        *(Piece(f"tube {n}", wells.tube(d, y), GLASS) for n, y in enumerate(d.wells, 1)),
        *(Piece(f"blue lamp {n}", wells.excitation(d, y), BLUE, metal=True) for n, y in enumerate(d.wells, 1)),
        *(Piece(f"well board {n}", board, BOARD, metal=True) for n, (board, _) in enumerate(boards, 1)),
        *(Piece(f"well sensor {n}", chip, BLACK, metal=True) for n, (_, chip) in enumerate(boards, 1)),
        Piece("heater", wells.heater(d), RED, metal=True),
        Piece("cut-out", wells.cutout(d), BLACK, metal=True),
        Piece("NTC", wells.thermistor(d), RED, metal=True),
        Piece("main board", bought.main_board(d), BOARD, metal=True),
        Piece("module", shield, METAL, metal=True),
        Piece("antenna", antenna, GOLD),
        Piece("USB-C", bought.usb(d), METAL, metal=True),
        Piece("buzzer", bought.buzzer(d), BLACK, metal=True),
        Piece("cell", bought.cell(d), CELL, metal=True),
        Piece("panel", bought.panel(d), BOARD, metal=True),
        Piece("screen", bought.screen(d), BLACK, metal=True),
        Piece("screen pane", bought.screen_pane(d), GLASS, see_through=True),
        Piece("scanner pane", bought.scanner_pane(d), GLASS, see_through=True),
        *(
            Piece(f"switch {name}", bought.button_switch(d, at), BLACK, metal=True)
            for name, at in zip("AB", d.buttons, strict=True)
        ),
        Piece("scanner", bought.scanner(d), RED, metal=True),
    ]


def opened(pieces: list[Piece], d: Dimensions, degrees: float) -> list[Piece]:
    """The same with the lid turned open; a switch that it no longer presses keeps its place."""
    axis = Axis((0, d.hinge_y, d.hinge_z), (1, 0, 0))
    return [replace(piece, solid=piece.solid.rotate(axis, -degrees)) if piece.on_lid else piece for piece in pieces]


def moved(piece: Piece, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Piece:
    """The same somewhere else."""
    return replace(piece, solid=Pos(x, y, z) * piece.solid)
