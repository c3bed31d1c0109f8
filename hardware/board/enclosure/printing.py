"""What a printer of filament needs: closed meshes, walls that are not too thin, and nothing that hangs in the air."""

from dataclasses import dataclass

import numpy as np
from build123d import GeomType, Part

from enclosure.assembly import Piece
from enclosure.dimensions import Dimensions
from enclosure.mesh import Array, Mesh, first_hits, mesh

STEEP = 0.7072  # cosine of 45 degrees: what leans further hangs
THIN_SHARE = 0.03  # of a part's surface: the edges of wedges and countersinks are thin and harmless


@dataclass(frozen=True)
class Ceiling:
    """A face that hangs when the part lies as it is printed: its narrower side, mm, and where it is.

    The span of a ring or a long strip is at most four times area over outline, which is twice its width.
    """

    part: str
    span: float
    middle: tuple[float, float, float]


def thickness(surface: Mesh, samples: int = 1200, seed: int = 1) -> Array:
    """How thick the part is behind points spread evenly over its surface, mm: the way straight in to the other side."""
    source = np.random.default_rng(seed)
    areas = surface.areas
    picks = source.choice(len(areas), samples, p=areas / areas.sum())
    u, v = np.sqrt(source.random(samples)), source.random(samples)
    weights = np.stack([1 - u, u * (1 - v), u * v], axis=1)
    points = np.einsum("nk,nkc->nc", weights, surface.corners[picks])
    return first_hits(points, -surface.normals[picks], surface.corners)


def thin_share(piece: Piece, d: Dimensions) -> float:
    """Share of the surface that has less than the least wall behind it."""
    depths = thickness(mesh(piece.solid))
    return float(np.mean(depths < d.least_wall - 0.01))


def ceilings(piece: Piece) -> list[Ceiling]:
    """Flat faces that lean over by more than 45 degrees and do not lie on the bed."""
    up = -1.0 if piece.upside_down else 1.0
    bed = _lowest(piece.solid, up)
    found: list[Ceiling] = []
    for face in piece.solid.faces().filter_by(GeomType.PLANE):
        box = face.bounding_box()
        height = box.min.Z if up > 0 else -box.max.Z
        if face.normal_at().Z * up > -STEEP or height < bed + 0.01:
            continue
        middle = face.center()
        around = sum(wire.length for wire in face.wires())
        span = min(box.size.X, box.size.Y, 4 * face.area / around)
        found.append(Ceiling(piece.name, round(span, 2), (round(middle.X, 1), round(middle.Y, 1), round(middle.Z, 1))))
    return found


def _lowest(solid: Part, up: float) -> float:
    box = solid.bounding_box()
    return box.min.Z if up > 0 else -box.max.Z
