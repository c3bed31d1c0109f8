"""A strip's reflectance profile: its baseline, its noise, and the shape of a line fitted at any place along it.

One number a pixel is kept in arrays of 32-bit floats (`reader.floats`).
"""

from array import array
from math import sqrt

from reader.floats import median, zeros

SHAPE = 1.0823922  # full width at half height of the line shape (1 - u*u)**2, in half bases
HALF_AREA = 16.0 / 15.0  # its area, in half bases
REACH = 2.0  # half bases each side of a line that its fit takes in
BEND = 3.5  # times what chance would shift the height, and
BEND_OF_HEIGHT = 0.15  # of the height, from which the ground under a line counts as curved


class Fit:
    """A line shape fitted at one place: height, its standard error, local level, noise used, misfit (all darkening)."""

    __slots__ = ("at", "height", "level", "misfit", "noise", "se", "unit")


class Profile:
    """A reflectance profile, its baseline, and the darkening between them."""

    def __init__(self, reflectance, assay, pixel_um):
        self.y = reflectance
        self.n = len(reflectance)
        self.pixel_um = pixel_um
        self.half = assay.line_um / pixel_um / SHAPE  # half base of the line shape, pixels
        self.weight = zeros(self.n)
        self.baseline = zeros(self.n)
        self.dark = zeros(self.n)
        self.noise = _pixel_noise(reflectance) / median(reflectance)
        self.clean = bytearray(self.n)
        self.lines = ()
        for i in range(self.n):
            self.weight[i] = 1.0
            self.clean[i] = 1

    def envelope(self):
        """A first baseline along the upper side of the profile: what is darker counts for a twentieth."""
        y, baseline, weight = self.y, self.baseline, self.weight
        every = range(self.n)
        for _ in range(6):
            coefficients = self._solve(every)
            changed = False
            for i in every:
                lower = y[i] < baseline[i]
                if lower != (weight[i] < 1.0):
                    weight[i] = 0.05 if lower else 1.0
                    changed = True
            if not changed:
                break  # the same weights again have the same answer
        else:
            coefficients = self._solve(every)
        self._darken(coefficients)

    def fit_baseline(self, places):
        """The baseline through what is not a line: the given places are left out whether or not a line is there."""
        y, baseline, weight = self.y, self.baseline, self.weight
        used = bytearray()  # a strip has fewer than 256 pixels
        for i in range(self.n):
            if self.clean[i] and min([abs(i - at) for at in places]) >= 1.25 * self.half:
                used.append(i)
        for _ in range(5):
            scale = 4.0 * self._residual_scale(used)
            for i in used:
                u = (y[i] - baseline[i]) / scale
                v = 1.0 - u * u
                weight[i] = v * v if -1.0 < u < 1.0 else 0.0
            coefficients = self._solve(used)
        self._darken(coefficients)
        self.lines = places

    def _residual_scale(self, used):
        y, baseline = self.y, self.baseline
        off = array("f")
        for i in used:
            off.append(abs(y[i] - baseline[i]))
        return max(1.4826 * median(off), 1.0e-4)

    def _solve(self, used):
        """Weighted cubic in Chebyshev polynomials of x in -1..1, well conditioned in float32, through the pixels used.

        Its value there goes to the baseline; returned are its coefficients. The sums are written out: this is where
        the time goes.
        """
        y, weight, basis = self.y, self.weight, _basis(self.n)
        s00 = s01 = s02 = s03 = s11 = s12 = s13 = s22 = s23 = s33 = 0.0
        r0 = r1 = r2 = r3 = 0.0
        for i in used:
            w = weight[i]
            if w > 0.0:
                b1, b2, b3 = basis(i)
                value = y[i]
                s00 += w
                r0 += w * value
                wb = w * b1
                s01 += wb
                s11 += wb * b1
                s12 += wb * b2
                s13 += wb * b3
                r1 += wb * value
                wb = w * b2
                s02 += wb
                s22 += wb * b2
                s23 += wb * b3
                r2 += wb * value
                wb = w * b3
                s03 += wb
                s33 += wb * b3
                r3 += wb * value
        ridge = 1.0e-4  # a strip hidden on one side still has an answer
        normal = [
            [s00 + ridge, s01, s02, s03, r0],
            [s01, s11 + ridge, s12, s13, r1],
            [s02, s12, s22 + ridge, s23, r2],
            [s03, s13, s23, s33 + ridge, r3],
        ]
        c0, c1, c2, c3 = coefficients = _back(normal, 4, 0) if _eliminate(normal, 4) else [0.0] * 4
        baseline = self.baseline
        for i in used:
            b1, b2, b3 = basis(i)
            baseline[i] = c0 + c1 * b1 + c2 * b2 + c3 * b3
        return coefficients

    def _darken(self, coefficients):
        """The whole baseline, the darkening against it, and which pixels of that are dust."""
        y, baseline, dark, basis = self.y, self.baseline, self.dark, _basis(self.n)
        c0, c1, c2, c3 = coefficients
        for i in range(self.n):
            b1, b2, b3 = basis(i)
            value = c0 + c1 * b1 + c2 * b2 + c3 * b3
            baseline[i] = value
            dark[i] = 1.0 - y[i] / max(value, 0.05)
        self._mark_spikes()

    def _mark_spikes(self):
        """Pixels off the median of five neighbours are dust: a printed line is too wide to be one."""
        dark, clean, last = self.dark, self.clean, self.n - 5
        floor = 5.0 * self.noise
        for i in range(self.n):
            first = i - 2
            if first < 0:
                first = 0
            elif first > last:
                first = last
            near = sorted(dark[first : first + 5])[2]
            clean[i] = 1 if abs(dark[i] - near) <= floor + 0.25 * abs(near) else 0

    def baseline_at(self, at):
        return self.baseline[max(0, min(self.n - 1, int(at + 0.5)))]

    def find(self, place, reach):
        """The sub-pixel centre within `reach` pixels of `place` where a line explains most; `place` where none does."""
        best, best_gain = place, 0.0
        steps = int(2.0 * reach + 0.5)
        gains = [0.0] * (2 * steps + 1)
        for k in range(2 * steps + 1):
            fit = self.fit(place + (k - steps) * 0.5, True)
            gains[k] = fit.height / fit.se if fit.height > 0.0 else 0.0
            if gains[k] > best_gain:
                best_gain = gains[k]
                best = place + (k - steps) * 0.5
                peak = k
        if best_gain > 0.0 and 0 < peak < 2 * steps:
            below, above = gains[peak - 1], gains[peak + 1]
            bend = 2.0 * best_gain - below - above
            if bend > 0.0:
                best += 0.25 * (above - below) / bend
        return best

    def fit(self, at, quick=False):
        """Line shape, level and slope by least squares over REACH half bases each side; other lines and dust left out.

        The ground may also curve (a smear) where that changes the height by more than chance would: the straight fit is
        the sharper one, the curved one is right on either ground (Hausman 1978, Econometrica 46:1251). `quick` leaves
        the curved one and the misfit out.
        """
        fit = self._fit(at, 3, quick)
        if quick:
            return fit
        curved = self._fit(at, 4, False)
        shift = abs(curved.height - fit.height)
        chance = curved.unit * curved.unit - fit.unit * fit.unit
        if chance > 0.0 and shift > BEND * self.noise * sqrt(chance) and shift > BEND_OF_HEIGHT * fit.height:
            return curved
        return fit

    def _fit(self, at: float, terms: int, quick: bool) -> Fit:
        half, dark, clean = self.half, self.dark, self.clean
        reach = REACH * half
        s00 = s01 = s02 = s03 = s12 = s13 = s22 = s23 = s33 = 0.0
        r0 = r1 = r2 = r3 = 0.0
        used = bytearray()  # a strip has fewer than 256 pixels
        others = [place for place in self.lines if abs(place - at) > half]
        for i in range(max(0, int(at - reach) + 1), min(self.n, int(at + reach) + 1)):
            if not clean[i] or (others and _nearer(others, i, at, half)):
                continue
            used.append(i)
            u = (i - at) / half
            value = dark[i]
            square = u * u
            if square < 1.0:
                shape = (1.0 - square) * (1.0 - square)
                s00 += shape * shape
                s01 += shape
                s02 += shape * u
                s03 += shape * square
                r0 += shape * value
            s12 += u
            s22 += square
            r1 += value
            r2 += u * value
            if terms == 4:
                s13 += square
                s23 += u * square
                s33 += square * square
                r3 += square * value
        fit = Fit()
        fit.at, fit.noise, fit.misfit = at, self.noise, 0.0
        fit.height, fit.level, fit.se, fit.unit = 0.0, 0.0, 1.0, 0.0
        if len(used) < 8 or s00 < 0.5:
            return fit
        # The height's own variance is the first element of the inverse: what a right-hand side of 1, 0, 0 gives.
        normal = [[s00, s01, s02, r0, 1.0], [s01, float(len(used)), s12, r1, 0.0], [s02, s12, s22, r2, 0.0]]
        if terms == 4:
            for j, last in enumerate((s03, s13, s23)):
                normal[j].insert(3, last)
            normal.append([s03, s13, s23, s33, r3, 0.0])
        if not _eliminate(normal, terms):
            return fit
        c = _back(normal, terms, 0)
        variance = _back(normal, terms, 1)[0]
        if variance <= 0.0:
            return fit
        fit.height, fit.level = c[0], c[1]
        if not quick:
            fit.misfit = self._misfit(used, at, c, terms)
            fit.noise = max(self.noise, fit.misfit)
        fit.unit = sqrt(variance)
        fit.se = fit.noise * fit.unit
        return fit

    def _misfit(self, used, at, c, terms):
        """Standard deviation of what a fit leaves in the pixels it used."""
        total = 0.0
        for i in used:
            u = (i - at) / self.half
            off = self.dark[i] - c[1] - c[2] * u
            if -1.0 < u < 1.0:
                off -= c[0] * (1.0 - u * u) * (1.0 - u * u)
            if terms == 4:
                off -= c[3] * u * u
            total += off * off
        return sqrt(total / max(len(used) - terms, 1))


def _nearer(others, i, at, half):
    """True for a pixel of another line, nearer to that than to `at`."""
    for place in others:
        away = abs(i - place)
        if away < half and away < abs(i - at):
            return True
    return False


def _pixel_noise(y):
    """Standard deviation of a pixel from second differences, which a baseline and a line hardly touch.

    A median sets the scale; what lies within three of it then gives the root mean square, which scatters half as much.
    The part of a normal distribution within three deviations has 0.9733 of its variance.
    """
    off = zeros(len(y) - 2)
    for i in range(len(off)):
        off[i] = abs(y[i] - 2.0 * y[i + 1] + y[i + 2])
    limit = 3.0 * 1.4826 * median(off)
    total, count = 0.0, 0
    for value in off:
        if value <= limit:
            total += value * value
            count += 1
    return max(sqrt(total / (count * 0.9733 * 6.0)), 1.0e-5)


def _chebyshev(i, n):
    """T1, T2 and T3 at pixel i of n, which are -1..1."""
    x = 2.0 * i / (n - 1) - 1.0
    return x, 2.0 * x * x - 1.0, x * (4.0 * x * x - 3.0)


def _basis(n):
    return lambda i: _chebyshev(i, n)


try:
    from functools import cache
except ImportError:  # MicroPython, which has no room for them
    pass
else:
    _basis = cache(lambda n: [_chebyshev(i, n) for i in range(n)].__getitem__)


def _eliminate(rows, size):
    """Make a small symmetric positive system triangular, right-hand sides last; False when it is singular."""
    for j in range(size):
        row = rows[j]
        pivot = row[j]
        if abs(pivot) < 1.0e-9:
            return False
        for k in range(j + 1, size):
            below = rows[k]
            factor = below[j] / pivot
            for m in range(j + 1, len(row)):
                below[m] -= factor * row[m]
    return True


def _back(rows, size, side):
    """The answer for one right-hand side of what `_eliminate` has made triangular."""
    answer = [0.0] * size
    for j in range(size - 1, -1, -1):
        row = rows[j]
        value = row[size + side]
        for k in range(j + 1, size):
            value -= row[k] * answer[k]
        answer[j] = value / row[j]
    return answer
