"""Pictures of solids: shaded faces, dark outlines, hatched cuts, and labels beside the drawing. Orthographic."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from build123d import Box, Location, Part
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from enclosure.assembly import Piece
from enclosure.mesh import Array, mesh

Point = tuple[float, float, float]
FINE = 2  # samples a pixel and direction
INK = (28, 32, 38)
LABEL_PX = 17
_LIGHT = np.array([-0.35, -0.55, 0.76])


@dataclass(frozen=True)
class View:
    """From where: the direction that one looks in, and which way is up in the picture."""

    towards: Point
    up: Point = (0.0, 0.0, 1.0)

    @property
    def axes(self) -> Array:
        """Rows: right, up, and towards the onlooker."""
        back = -np.array(self.towards, dtype=np.float64)
        back /= np.linalg.norm(back)
        right = np.cross(np.array(self.up, dtype=np.float64), back)
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(back, right), back])


@dataclass(frozen=True)
class Label:
    """A name, and the point of the model that its line leads to; `text` begins with < or > to choose the side."""

    text: str
    at: Point


@dataclass(frozen=True)
class Cut:
    """A section: what lies on the onlooker's side of the plane is taken away."""

    axis: int
    at: float
    keep_above: bool

    def of(self, solid: Part) -> Part | None:
        """What is left of a solid, None for nothing."""
        centre = [0.0, 0.0, 0.0]
        size = 1000.0
        centre[self.axis] = self.at + (size if self.keep_above else -size) / 2
        rest = solid & (Location(tuple(centre)) * Box(size, size, size))
        return Part(rest.solids()) if rest.solids() else None


def picture(
    pieces: Sequence[Piece],
    view: View,
    labels: Sequence[Label] = (),
    lines: Sequence[tuple[Point, Point]] = (),
    width: int = 1100,
    margin: int = 190,
    cut: Cut | None = None,
) -> Image.Image:
    """Draw the pieces, `width` pixels across of which `margin` on either side are for labels.

    `lines` are drawn over everything, as rays of light are.
    """
    axes = view.axes
    drawn = _triangles(pieces, cut)
    flat = np.concatenate([corners.reshape(-1, 3) for corners, _ in drawn]) @ axes.T
    low, high = flat.min(axis=0), flat.max(axis=0)
    scale = (width - 2 * margin) / (high[0] - low[0])
    height = int((high[1] - low[1]) * scale) + 60
    least = 30 + LABEL_PX * 2 * max([1, *(_sided(labels, side, axes, low, high) for side in "<>")])
    top = 30 + max(0, least - height) // 2
    height = max(height, least)

    def place(points: Array) -> Array:
        seen = points @ axes.T
        return np.stack(
            [(seen[..., 0] - low[0]) * scale + margin, (high[1] - seen[..., 1]) * scale + top, seen[..., 2]], axis=-1
        )

    canvas = _Canvas(width * FINE, height * FINE)
    for corners, piece in drawn:
        canvas.paint(place(corners) * (FINE, FINE, 1.0), corners, piece.colour, axes, cut)
    image = canvas.image().resize((width, height), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(image)
    for start, end in lines:
        ends = place(np.array([start, end]))
        draw.line([tuple(ends[0, :2]), tuple(ends[1, :2])], fill=(0, 150, 60), width=2)
    _write(draw, [(label.text, place(np.array(label.at))) for label in labels], width, height)
    return image


def _triangles(pieces: Sequence[Piece], cut: Cut | None) -> list[tuple[Array, Piece]]:
    drawn: list[tuple[Array, Piece]] = []
    for piece in pieces:
        solid = cut.of(piece.solid) if cut else piece.solid
        if solid is not None:
            drawn.append((mesh(solid).corners, piece))
    return drawn


class _Canvas:
    """Colour, depth, which surface: one value a sample."""

    def __init__(self, width: int, height: int) -> None:
        self._colour = np.full((height, width, 3), 255.0)
        self._depth = np.full((height, width), -np.inf)
        self._surface = np.zeros((height, width, 4))
        self._piece = 0

    def paint(
        self, placed: Array, corners: Array, colour: Point | tuple[int, int, int], axes: Array, cut: Cut | None
    ) -> None:
        """One piece: `placed` and `corners` are its triangles in the picture and in the model."""
        self._piece += 1
        across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        length = np.linalg.norm(across, axis=1)
        for triangle, real, normal, area in zip(placed, corners, across, length, strict=True):
            if area < 1e-9 or normal @ axes[2] <= 0:
                continue
            unit = normal / area
            on_cut = cut is not None and bool(np.all(np.abs(real[:, cut.axis] - cut.at) < 1e-6))
            shade = 1.0 if on_cut else 0.62 + 0.38 * max(0.0, float(unit @ _LIGHT))
            self._fill(triangle, np.array(colour) * shade, unit, on_cut)

    def _fill(self, triangle: Array, colour: Array, unit: Array, hatched: bool) -> None:
        height, width = self._depth.shape
        x0, y0 = np.maximum(np.floor(triangle[:, :2].min(axis=0)).astype(int), 0)
        x1, y1 = np.minimum(np.ceil(triangle[:, :2].max(axis=0)).astype(int) + 1, (width, height))
        if x0 >= x1 or y0 >= y1:
            return
        xs, ys = np.meshgrid(np.arange(x0, x1) + 0.5, np.arange(y0, y1) + 0.5)
        (ax, ay, az), (bx, by, bz), (cx, cy, cz) = triangle
        det = (by - cy) * (ax - cx) + (cx - bx) * (ay - cy)
        if abs(det) < 1e-9:
            return
        u = ((by - cy) * (xs - cx) + (cx - bx) * (ys - cy)) / det
        v = ((cy - ay) * (xs - cx) + (ax - cx) * (ys - cy)) / det
        w = 1.0 - u - v
        z = u * az + v * bz + w * cz
        window = (slice(y0, y1), slice(x0, x1))
        hit = (u >= -1e-6) & (v >= -1e-6) & (w >= -1e-6) & (z > self._depth[window] + 1e-6)
        if hatched:
            stripes = ((xs + ys) % 14 < 3)[..., None]
            filled = np.where(stripes, colour * 0.55, colour * 0.85)
        else:
            filled = np.broadcast_to(colour, (*xs.shape, 3))
        self._colour[window][hit] = filled[hit]
        self._depth[window][hit] = z[hit]
        self._surface[window][hit] = (*unit, self._piece)

    def image(self) -> Image.Image:
        """With an outline wherever piece or slope changes, or depth jumps."""
        edge = np.zeros(self._depth.shape, dtype=bool)
        depth = np.where(np.isfinite(self._depth), self._depth, -1e4)
        for axis in (0, 1):
            a = (slice(None, -1), slice(None)) if axis == 0 else (slice(None), slice(None, -1))
            b = (slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))
            turn = np.sum(self._surface[a][..., :3] * self._surface[b][..., :3], axis=-1) < 0.88
            other = self._surface[a][..., 3] != self._surface[b][..., 3]
            jump = np.abs(depth[a] - depth[b]) > 1.5
            edge[a] |= (turn & (self._surface[a][..., 3] > 0)) | other | jump
        thick = edge.copy()
        thick[1:] |= edge[:-1]
        thick[:, 1:] |= edge[:, :-1]
        self._colour[thick] = INK
        return Image.fromarray(self._colour.clip(0, 255).astype(np.uint8))


def _side(text: str, at: float, middle: float) -> str:
    return text[0] if text[0] in "<>" else "<" if at < middle else ">"


def _sided(labels: Sequence[Label], side: str, axes: Array, low: Array, high: Array) -> int:
    middle = (low[0] + high[0]) / 2
    return sum(_side(label.text, float(np.array(label.at) @ axes[0]), middle) == side for label in labels)


def _write(
    draw: ImageDraw.ImageDraw, labels: Sequence[tuple[str, NDArray[np.float64]]], width: int, height: int
) -> None:
    font = ImageFont.load_default(LABEL_PX)
    step = LABEL_PX * 2
    for side in "<>":
        mine = sorted(
            (float(at[1]), float(at[0]), text) for text, at in labels if _side(text, at[0], width / 2) == side
        )
        heights = [y for y, _, _ in mine]
        for i in range(1, len(heights)):
            heights[i] = max(heights[i], heights[i - 1] + step)
        if heights and heights[-1] > height - step:
            heights[-1] = height - step
            for i in range(len(heights) - 2, -1, -1):
                heights[i] = min(heights[i], heights[i + 1] - step)
        for (y, x, text), at in zip(mine, heights, strict=True):
            words = text.lstrip("<>")
            long = draw.textlength(words, font=font)
            start = 8.0 if side == "<" else width - 8.0 - long
            near = start + long + 6 if side == "<" else start - 6
            draw.line([(near, at), (x, y)], fill=(255, 255, 255), width=4)
            draw.ellipse([x - 5, y - 5, x + 5, y + 5], fill=(255, 255, 255))
            draw.line([(near, at), (x, y)], fill=INK, width=1)
            draw.ellipse([x - 3, y - 3, x + 3, y + 3], fill=INK)
            draw.text((start, at), words, fill=INK, font=font, anchor="lm")
