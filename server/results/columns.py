"""A strip's profile as `reader.profile` has it, by whole columns: the same formulas, three times as fast here.

The reader writes its sums out pixel by pixel, which is right for MicroPython and slow in CPython: nine tenths of what
one strip took were those loops. Here a sum of products is one call of C, and what a fit takes from the place of a line
alone is made once for all the fits there. Rows are 64-bit floats, where the reader keeps 32. Whoever uses it lets the
reader's own arithmetic have the last word where a verdict is not the reader's (`server.results.recomputation`).
"""

from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import compress
from math import dist, hypot, sqrt
from operator import mul
from typing import Final, NamedTuple

from reader.profile import REACH, Fit, Profile

Column = tuple[float, ...]

_RIDGE: Final = 1.0e-4  # as in `Profile._solve`
_SINGULAR: Final = 1.0e-9
_DEGREES: Final = 7  # T0 … T6: a product of two polynomials up to T3 is the mean of two of these


class _Polynomials(NamedTuple):
    """Chebyshev polynomials T0 … T6 at some pixels, a column each, and the square of each column's length."""

    columns: tuple[Column, ...]
    squares: tuple[float, ...]


@lru_cache(maxsize=8)
def _everywhere(pixels: int) -> _Polynomials:
    """At each of so many pixels, which are -1 … 1: T[k + 1] = 2 x T[k] - T[k - 1]."""
    x = [2.0 * i / (pixels - 1) - 1.0 for i in range(pixels)]
    columns = [[1.0] * pixels, x]
    while len(columns) < _DEGREES:
        columns.append([2.0 * at * a - b for at, a, b in zip(x, columns[-1], columns[-2], strict=True)])
    return _measured(map(tuple, columns))


@lru_cache(maxsize=64)
def _at(used: bytes) -> _Polynomials:
    """At the pixels whose byte is 1: they stay the same from solve to solve."""
    return _measured(tuple(compress(column, used)) for column in _everywhere(len(used)).columns)


def _measured(columns: Iterable[Column]) -> _Polynomials:
    made = tuple(columns)
    return _Polynomials(made, tuple(sum(map(mul, column, column)) for column in made))


def _cubic(y: Column, weight: Column, polynomials: _Polynomials) -> tuple[float, float, float, float]:
    """The weighted cubic through `y`, coefficients of T0 … T3.

    A sum of products comes from three lengths, 2 ab = aa + bb - (a - b)(a - b): `dist` takes a quarter of the time that
    products and their sum take, and adds without loss.
    """
    weighted = tuple(map(mul, weight, y))
    ww, rr = hypot(*weight) ** 2, hypot(*weighted) ** 2
    m0, m1, m2, m3, m4, m5, m6 = [
        (ww + square - dist(weight, column) ** 2) / 2 for column, square in zip(*polynomials, strict=True)
    ]
    r0, r1, r2, r3 = [
        (rr + square - dist(weighted, column) ** 2) / 2
        for column, square in zip(polynomials.columns[:4], polynomials.squares[:4], strict=True)
    ]
    # T[i] T[j] = (T[i + j] + T[|i - j|]) / 2. The ridge keeps every pivot of the elimination above zero.
    s00, s01, s02, s03 = m0 + _RIDGE, m1, m2, m3
    s11, s12, s13 = (m2 + m0) / 2 + _RIDGE, (m3 + m1) / 2, (m4 + m2) / 2
    s22, s23, s33 = (m4 + m0) / 2 + _RIDGE, (m5 + m1) / 2, (m6 + m0) / 2 + _RIDGE
    f1, f2, f3 = s01 / s00, s02 / s00, s03 / s00
    s11, s12, s13, r1 = s11 - f1 * s01, s12 - f1 * s02, s13 - f1 * s03, r1 - f1 * r0
    s22, s23, r2 = s22 - f2 * s02, s23 - f2 * s03, r2 - f2 * r0
    s33, r3 = s33 - f3 * s03, r3 - f3 * r0
    f2, f3 = s12 / s11, s13 / s11
    s22, s23, r2 = s22 - f2 * s12, s23 - f2 * s13, r2 - f2 * r1
    s33, r3 = s33 - f3 * s13, r3 - f3 * r1
    f3 = s23 / s22
    c3 = (r3 - f3 * r2) / (s33 - f3 * s23)
    c2 = (r2 - s23 * c3) / s22
    c1 = (r1 - s12 * c2 - s13 * c3) / s11
    return (r0 - s01 * c1 - s02 * c2 - s03 * c3) / s00, c1, c2, c3


def _off(y: Column, coefficients: Sequence[float], polynomials: _Polynomials) -> list[float]:
    """What the cubic leaves of `y`."""
    c0, c1, c2, c3 = coefficients
    _, t1, t2, t3, *_ = polynomials.columns
    return [one - c0 - c1 * a - c2 * b - c3 * c for one, a, b, c in zip(y, t1, t2, t3, strict=True)]


class Columns(Profile):
    """A profile whose sums are made by columns."""

    n: int
    half: float
    noise: float
    y: "array[float]"
    baseline: "array[float]"
    dark: Sequence[float]
    clean: bytes
    lines: Sequence[float]

    def envelope(self) -> None:
        """As the reader's."""
        y, polynomials = tuple(self.y), _everywhere(self.n)
        weight = (1.0,) * self.n
        for _ in range(6):
            coefficients = _cubic(y, weight, polynomials)
            before, weight = weight, tuple([0.05 if one < 0.0 else 1.0 for one in _off(y, coefficients, polynomials)])
            if weight == before:
                break
        else:
            coefficients = _cubic(y, weight, polynomials)
        self._darken(coefficients)

    def fit_baseline(self, places: Sequence[float]) -> None:
        """As the reader's."""
        used, away = bytearray(self.clean), 1.25 * self.half
        for at in places:
            for i in range(max(0, int(at - away)), min(self.n, int(at + away) + 2)):
                if abs(i - at) < away:
                    used[i] = 0
        polynomials = _at(bytes(used))
        y = tuple(compress(self.y, used))
        off = [one - under for one, under in zip(y, compress(self.baseline, used), strict=True)]
        coefficients: Sequence[float] = ()
        for _ in range(5):
            middle = sorted(map(abs, off))[len(off) // 2]
            narrow = 1.0 / (4.0 * max(1.4826 * middle, 1.0e-4)) ** 2
            squares = [one * one * narrow for one in off]
            weight = tuple([(1.0 - one) * (1.0 - one) if one < 1.0 else 0.0 for one in squares])
            coefficients = _cubic(y, weight, polynomials)
            off = _off(y, coefficients, polynomials)
        self._darken(coefficients)
        self.lines = places

    def _darken(self, coefficients: Sequence[float]) -> None:
        c0, c1, c2, c3 = coefficients
        _, t1, t2, t3, *_ = _everywhere(self.n).columns
        values = [c0 + c1 * a + c2 * b + c3 * c for a, b, c in zip(t1, t2, t3, strict=True)]
        self.baseline = array("f", values)
        self.dark = [1.0 - y / (value if value > 0.05 else 0.05) for y, value in zip(self.y, values, strict=True)]
        self._mark_spikes()

    def _mark_spikes(self) -> None:
        dark, floor = self.dark, 5.0 * self.noise
        fives = map(sorted, zip(dark, dark[1:], dark[2:], dark[3:], dark[4:], strict=False))
        near = [middle for _, _, middle, _, _ in fives]
        near = [near[0], near[0], *near, near[-1], near[-1]]
        self.clean = bytes(
            [abs(one - middle) <= floor + 0.25 * abs(middle) for one, middle in zip(dark, near, strict=True)]
        )

    def _fit(self, at: float, terms: int, quick: bool) -> Fit:
        low, high = max(0, int(at - REACH * self.half) + 1), min(self.n, int(at + REACH * self.half) + 1)
        others = [place for place in self.lines if self.half < abs(place - at) < (1.0 + REACH) * self.half]
        if others or 0 in self.clean[low:high]:
            return super()._fit(at, terms, quick)
        value = tuple(self.dark[low:high])
        design = _design(low - at, high - low, self.half, terms)
        fit = Fit()
        fit.at, fit.noise, fit.misfit = at, self.noise, 0.0
        fit.height, fit.level, fit.se, fit.unit = 0.0, 0.0, 1.0, 0.0
        if design is None:
            return fit
        if quick:
            fit.height = sum(map(mul, design.rows[0], value))
        else:
            c = [sum(map(mul, row, value)) for row in design.rows]
            fit.height, fit.level = c[0], c[1]
            told = (sum(map(mul, c, at_pixel)) for at_pixel in design.pixels)
            fit.misfit = dist(value, tuple(told)) / sqrt(max(len(value) - terms, 1))
            fit.noise = max(self.noise, fit.misfit)
        fit.unit = design.unit
        fit.se = fit.noise * fit.unit
        return fit


class _Design(NamedTuple):
    """What a fit takes from the place of the line alone: each parameter is its row times the darkening.

    `pixels` has the terms' values at each pixel; `unit` is the standard error of the height for a noise of 1.
    """

    rows: tuple[Column, ...]
    pixels: tuple[Column, ...]
    unit: float


@lru_cache(maxsize=1_024)
def _design(first: float, count: int, half: float, terms: int) -> _Design | None:
    """Of `count` pixels, the first of which lies `first` from the line; None where too few see it."""
    u = [(first + i) / half for i in range(count)]
    square = [one * one for one in u]
    shape = [(1.0 - one) * (1.0 - one) if one < 1.0 else 0.0 for one in square]
    columns = (shape, [1.0] * count, u, square)[:terms]
    normal = [[sum(map(mul, a, b)) for b in columns] for a in columns]
    if count < 8 or normal[0][0] < 0.5:
        return None
    for i, row in enumerate(normal):
        row += [float(i == side) for side in range(terms)]
    if not _made_triangular(normal, terms):
        return None
    inverse = _answers(normal, terms)
    if inverse[0][0] <= 0.0:
        return None
    pixels = tuple(zip(*columns, strict=True))
    rows = tuple(tuple(sum(map(mul, side, at_pixel)) for at_pixel in pixels) for side in inverse)
    return _Design(rows, pixels, sqrt(inverse[0][0]))


def _made_triangular(rows: list[list[float]], size: int) -> bool:
    """Eliminate below the diagonal of a small symmetric system, right-hand sides last; False when it is singular."""
    for j in range(size):
        row = rows[j]
        pivot = row[j]
        if abs(pivot) < _SINGULAR:
            return False
        for k in range(j + 1, size):
            factor = rows[k][j] / pivot
            rows[k] = [below - factor * above for below, above in zip(rows[k], row, strict=True)]
    return True


def _answers(rows: list[list[float]], size: int) -> list[list[float]]:
    """The answer for each right-hand side of what `_made_triangular` has passed."""
    found: list[list[float]] = []
    for side in range(size, len(rows[0])):
        answer = [0.0] * size
        for j in range(size - 1, -1, -1):
            row = rows[j]
            answer[j] = (row[side] - sum(map(mul, row[j + 1 : size], answer[j + 1 :]))) / row[j]
        found.append(answer)
    return found
