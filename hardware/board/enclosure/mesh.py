"""Parts as triangles, for pictures, rays and thickness."""

from dataclasses import dataclass

import numpy as np
from build123d import Part
from numpy.typing import NDArray

Array = NDArray[np.float64]
TOLERANCE = 0.05  # mm that a facet may lie off the surface
ANGLE = 0.3  # radians from facet to facet


@dataclass(frozen=True)
class Mesh:
    """`corners` is (n, 3, 3): triangle, corner, coordinate, in mm; corners go round anticlockwise seen from outside."""

    corners: Array

    @property
    def normals(self) -> Array:
        """Unit normals, outwards, (n, 3)."""
        across = self._across()
        length = np.linalg.norm(across, axis=1, keepdims=True)
        return across / np.where(length > 0, length, 1.0)

    @property
    def areas(self) -> Array:
        """mm2, (n,)."""
        return np.linalg.norm(self._across(), axis=1) / 2

    @property
    def middles(self) -> Array:
        """Centroids, (n, 3)."""
        return self.corners.mean(axis=1)

    def _across(self) -> Array:
        a, b, c = self.corners[:, 0], self.corners[:, 1], self.corners[:, 2]
        return np.cross(b - a, c - a)

    def open_edges(self) -> int:
        """How many edges do not join exactly two triangles that go round opposite ways; 0 is watertight."""
        keys = np.round(self.corners, 5) + 0.0
        points, flat = np.unique(keys.reshape(-1, 3), axis=0, return_inverse=True)
        index = flat.reshape(-1, 3)
        ways = np.concatenate([index[:, [0, 1]], index[:, [1, 2]], index[:, [2, 0]]])
        forth = ways[:, 0] * len(points) + ways[:, 1]
        back = ways[:, 1] * len(points) + ways[:, 0]
        kinds, counts = np.unique(forth, return_counts=True)
        return int(np.sum(counts != 1) + np.sum(~np.isin(kinds, back)))


def mesh(solid: Part, tolerance: float = TOLERANCE, angle: float = ANGLE) -> Mesh:
    """The surface of `solid`."""
    vertices, triangles = solid.tessellate(tolerance, angle)
    points = np.array([tuple(vertex) for vertex in vertices], dtype=np.float64)
    return Mesh(points[np.array(triangles, dtype=np.int64)])


def first_hits(origins: Array, directions: Array, corners: Array, chunk: int = 4_000_000) -> Array:
    """Distance from each origin along its direction to the first triangle, in units of the direction; inf for none.

    `origins` and `directions` are (m, 3), `corners` (n, 3, 3). All is linear in origin and direction: the distance to a
    triangle's plane, and the coordinates there in the triangle's own axes. A triangle's edge belongs to both its
    neighbours, so no ray slips between two.
    """
    a, ab, ac = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    normal = np.cross(ab, ac)
    real = np.einsum("nk,nk->n", normal, normal)
    kept = real > 1e-18
    a, ab, ac, normal, real = a[kept], ab[kept], ac[kept], normal[kept], real[kept]
    to_u = (np.cross(ac, normal) / real[:, None]).T
    to_w = (np.cross(normal, ab) / real[:, None]).T
    plane, zero_u, zero_w = (np.einsum("nk,kn->n", a, k) for k in (normal.T, to_u, to_w))
    found = np.full(len(origins), np.inf)
    step = max(1, chunk // max(1, len(a)))
    for start in range(0, len(origins), step):
        o, v = origins[start : start + step], directions[start : start + step]
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (plane - o @ normal.T) / (v @ normal.T)
            u = o @ to_u + t * (v @ to_u) - zero_u
            w = o @ to_w + t * (v @ to_w) - zero_w
            hit = (u >= -1e-9) & (w >= -1e-9) & (u + w <= 1 + 1e-9) & (t > 1e-6) & np.isfinite(t)
        found[start : start + step] = np.where(hit, t, np.inf).min(axis=1)
    return found
