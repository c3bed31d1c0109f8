"""Parts that claim the same space: every pair is cut with each other and the common volume measured."""

from dataclasses import dataclass
from itertools import combinations

from build123d import BoundBox, Part

from enclosure import bought
from enclosure.assembly import Made, Piece
from enclosure.dimensions import Dimensions

NOTHING = 1e-3  # mm3: below it two parts touch


@dataclass(frozen=True)
class Clash:
    """Two parts, by name, and the volume that both claim, mm3."""

    one: str
    other: str
    volume: float


def clashes(pieces: list[Piece], only: set[str] | None = None) -> list[Clash]:
    """All of them; with `only`, those in which a part of that name takes part."""
    boxes = {piece.name: piece.solid.bounding_box() for piece in pieces}
    found: list[Clash] = []
    for one, other in combinations(pieces, 2):
        if only is not None and one.name not in only and other.name not in only:
            continue
        if apart(boxes[one.name], boxes[other.name]):
            continue
        volume = common(one.solid, other.solid)
        if volume > NOTHING:
            found.append(Clash(one.name, other.name, round(volume, 3)))
    return found


def apart(one: BoundBox, other: BoundBox) -> bool:
    """True when the boxes have no volume in common."""
    lows = zip(one.min, other.max, strict=True)
    highs = zip(other.min, one.max, strict=True)
    return any(low >= high - 1e-6 for low, high in [*lows, *highs])


def common(one: Part, other: Part) -> float:
    """The volume that both claim, mm3."""
    return float((one & other).volume)


def in_keep_out(pieces: list[Piece], d: Dimensions) -> list[Clash]:
    """Metal, boards and the cell where the antenna needs air; printed plastic may be there."""
    air = bought.antenna_keep_out(d)
    volumes = [(piece.name, common(piece.solid, air)) for piece in pieces if piece.metal or piece.made is Made.MILLED]
    return [Clash(name, "antenna's air", round(volume, 3)) for name, volume in volumes if volume > NOTHING]
