"""From fluorescence to an outcome and a time to positive, sample by sample or a whole curve at once.

A curve is judged by its shape alone: scale, offset, length, sampling and the unit of time do not matter, and one set
of gates serves every curve.

1. *Take-off.* Of all climbs of the local slope from a valley to a later peak, the greatest is the candidate. A start
   transient has no valley before it and a steady drift has no climb, so neither becomes one.
2. *Baseline.* A straight line through the quiet stretch that ends at the take-off; what came before it is left out.
3. *Gates*, each with a limit under which there is no amplification and one from which there is: the rise over the
   noise, the rise against how far the baseline wandered, the steepest slope over the baseline's, how short the rise is,
   and whether it stays. Between the limits the well is indeterminate.

The time to positive is where the tangent at the steepest point meets the baseline. It needs no plateau, so it is known
while the run goes on. Memory is flat: when the bins are full, neighbours are joined.
"""

from array import array
from math import sqrt

from reader import outcome as _o
from reader.floats import median, zeros

try:
    from typing import TYPE_CHECKING
except ImportError:  # MicroPython
    TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Sequence

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value: int) -> int:
        return value


ALGORITHM = const(2)  # travels in every record; raised by any change that can alter an outcome

BINS = const(160)
MIN_SAMPLES = const(10)

NOISE_NONE, NOISE_SURE = 5.0, 8.0  # rise over the noise of one sample
SHARE_NONE, SHARE_SURE = 0.75, 0.82  # rise over rise and wander of the baseline
STEP_NOISE = 0.289  # of a sensor's step: the standard deviation of rounding to it, 1 / sqrt(12)
WANDER_OF_NOISE = 2.0  # times the noise, which even a steady lead seems to wander
STEEP_NONE, STEEP_SURE = 6.0, 8.0  # steepest slope over the baseline's
LONG_SURE, LONG_NONE = 0.32, 0.42  # time from a fifth to four fifths of the rise, over the time of the run
STAY_NONE, STAY_SURE = 0.25, 0.4  # of the rise still there at the end
QUIET = 0.1  # of the climb: a slope within it is still baseline
TAIL_DRIFT = 0.5  # of the slope after the rise counts as drift of the baseline
MIN_RISE_BINS = const(3)
SHORTEST_BINS = 1.0  # from a fifth to four fifths of the rise: what jumps within one sample is a bubble or a knock
# A rise that still bends up at the end is the exponential phase alone, which is short whatever the chemistry. So is one
# with hardly a lead: what takes longer from the first samples on is a settling.
OPEN_SURE, OPEN_NONE = 0.2, 0.32
BENT = 0.5  # of the steepest slope: a curve whose last sixth is steeper still bends up
LEADLESS, LEADLESS_SURE = 0.1, 0.15
UNREST = 0.5  # of the rise: what swings as far after the rise was swinging before it, too
UNREST_BINS = const(10)
UNSEEN = 0.5  # of the control's rise: a well too noisy to show so much has not shown that there is none
# A positive is called while the run goes on only well clear of the gates, and once the rise has nearly ended.
EARLY_CLEAR = 2.0  # times NOISE_SURE and STEEP_SURE
EARLY_LONG = 0.2  # in the place of LONG_SURE
EARLY_BINS = const(15)  # in all, and
SETTLED_BINS = const(4)  # after the steepest point

_MILLI_MAX = const(1000000000)


class CurveReading:
    """What one well's curve says, in whole numbers, so that a record holds exactly what was decided.

    outcome, reason    of this well alone: POSITIVE, NEGATIVE, INDETERMINATE or INVALID, and why
    final              True when this is POSITIVE and the rest of the run need not be awaited
    ttp_ms, ttp_se_ms  time to positive since the first sample's clock zero and its standard error; None without a rise
    level, rise        baseline at the take-off and rise above it, in the unit of the values (floats, for drawing)
    noise              standard deviation of a sample, in the unit of the values
    snr_milli, share_milli, steep_milli, long_milli, stay_milli   the gates' quantities, in thousandths
    samples, missing   readings used, and readings that were not finite or not later than the one before
    """

    __slots__ = (
        "final",
        "level",
        "long_milli",
        "missing",
        "noise",
        "outcome",
        "reason",
        "rise",
        "samples",
        "share_milli",
        "snr_milli",
        "stay_milli",
        "steep_milli",
        "ttp_ms",
        "ttp_se_ms",
    )

    def __init__(self, outcome: int, reason: int, samples: int, missing: int):
        self.outcome = outcome
        self.reason = reason
        self.samples = samples
        self.missing = missing
        self.final = False
        self.ttp_ms: "int | None" = None
        self.ttp_se_ms: "int | None" = None
        self.level = self.rise = self.noise = 0.0
        self.snr_milli = self.share_milli = self.steep_milli = self.long_milli = self.stay_milli = 0


class Curve:
    """One well as it is measured. `add` every sample, ask `result` at any time; memory does not grow."""

    def __init__(self):
        self._t = array("i", bytes(4 * BINS))  # ms since the first sample
        self._v = zeros(BINS)  # above the first sample, so that float32 keeps small rises on large offsets
        self._n = 0
        self._width = 1  # samples in a full bin
        self._held = 0  # samples in the open bin, with their sums
        self._t_sum = 0
        self._v_sum = 0.0
        self._t0 = None
        self._v0 = 0.0
        self._last = 0
        self.samples = 0
        self.missing = 0

    def add(self, t_ms: int, value: float) -> None:
        """Take a sample: whole milliseconds (any zero, rising) and a value in any unit.

        A value that is not finite, or a time not later than the last, is counted as missing and otherwise ignored.
        """
        value = float(value)
        if not -3.0e38 < value < 3.0e38 or (self._t0 is not None and t_ms <= self._last):
            self.missing += 1
            return
        if self._t0 is None:
            self._t0 = t_ms
            self._v0 = value
        self._last = t_ms
        self.samples += 1
        self._t_sum += t_ms - self._t0
        self._v_sum += value - self._v0
        self._held += 1
        if self._held == self._width:
            if self._n == BINS:
                self._join()
            if self._held == self._width:
                self._close()

    def _close(self):
        self._t[self._n] = self._t_sum // self._held
        self._v[self._n] = self._v_sum / self._held
        self._n += 1
        self._held = self._t_sum = 0
        self._v_sum = 0.0

    def _join(self):
        for i in range(BINS // 2):
            self._t[i] = (self._t[2 * i] + self._t[2 * i + 1]) // 2
            self._v[i] = (self._v[2 * i] + self._v[2 * i + 1]) * 0.5
        self._n = BINS // 2
        self._width *= 2

    def result(self) -> CurveReading:
        """The `CurveReading` of what has been added so far."""
        if self.samples < MIN_SAMPLES:
            return CurveReading(_o.INVALID, _o.TOO_FEW_SAMPLES, self.samples, self.missing)
        n = self._n
        x = zeros(n)  # time as a part of the run, so that no square of it is large
        span = self._t[n - 1]
        for i in range(n):
            x[i] = self._t[i] / span
        rise = _Rise(x, self._v, n)
        reading = rise.judge(self.samples, self.missing)
        reading.level += self._v0
        if reading.ttp_ms is not None:
            reading.ttp_ms = self._t0 + int(rise.takeoff * span + 0.5)
            reading.ttp_se_ms = int(rise.takeoff_se * span + 0.5)
        return reading


def analyse(times_ms: "Sequence[int]", values: "Sequence[float]") -> CurveReading:
    """The `CurveReading` of a whole curve: two sequences of equal length, milliseconds and values."""
    curve = Curve()
    for i in range(len(values)):
        curve.add(times_ms[i], values[i])
    return curve.result()


def _median3(a, b, c):
    if a > b:
        a, b = b, a
    return b if b < c else (c if c > a else a)


def _without_spikes(v, n):
    """Running median of three with Tukey's end rule: one wrong sample leaves no trace, a slope is kept as it is."""
    m = zeros(n)
    for i in range(1, n - 1):
        m[i] = _median3(v[i - 1], v[i], v[i + 1])
    m[0] = _median3(v[0], m[1], 3.0 * m[1] - 2.0 * m[2])
    m[n - 1] = _median3(v[n - 1], m[n - 2], 3.0 * m[n - 2] - 2.0 * m[n - 3])
    return m


def _line(x, y, first, last):
    """Least-squares line over first..last as (mean x, mean y, slope); centred, so that float32 suffices."""
    count = last - first + 1
    x_mean = y_mean = 0.0
    for i in range(first, last + 1):
        x_mean += x[i]
        y_mean += y[i]
    x_mean /= count
    y_mean /= count
    sxx = sxy = 0.0
    for i in range(first, last + 1):
        dx = x[i] - x_mean
        sxx += dx * dx
        sxy += dx * (y[i] - y_mean)
    return x_mean, y_mean, (sxy / sxx if sxx > 0.0 else 0.0)


def _noise(x, v, n):
    """Standard deviation of a sample, from how far each lies off the chord of its neighbours (median, normal)."""
    off = zeros(n - 2)
    for i in range(1, n - 1):
        gap = x[i + 1] - x[i - 1]
        w = (x[i] - x[i - 1]) / gap if gap > 0.0 else 0.5
        chord = v[i - 1] + w * (v[i + 1] - v[i - 1])
        off[i - 1] = abs(v[i] - chord) / sqrt(1.0 + w * w + (1.0 - w) * (1.0 - w))
    return max(1.4826 * median(off), _step(v, n) * STEP_NOISE)


def _step(v, n):
    """The least difference between neighbours that differ: the sensor's own step, where its counts are few."""
    least = 0.0
    for i in range(1, n):
        off = abs(v[i] - v[i - 1])
        if off > 0.0 and (least == 0.0 or off < least):
            least = off
    return least


def _milli(ratio):
    return _MILLI_MAX if ratio * 1000.0 >= _MILLI_MAX else int(ratio * 1000.0 + 0.5)


class _Rise:
    """The greatest climb of the slope in n points (x rising from 0 to 1) and what the gates make of it."""

    def __init__(self, x, v, n):
        self.x, self.n = x, n
        self.noise = _noise(x, v, n)
        self.y = _without_spikes(v, n)
        self._find_slopes()
        self._find_peak()
        if self.climb > 0.0:
            self._find_baseline()
            self._measure()

    def _find_slopes(self):
        half = 1 if self.n < 48 else (2 if self.n < 96 else 3)
        self.slope = slope = zeros(self.n)
        for i in range(self.n):
            first = max(0, min(i - half, self.n - 3))
            last = min(self.n - 1, max(i + half, 2))
            slope[i] = _line(self.x, self.y, first, last)[2]

    def _find_peak(self):
        """The steepest point whose slope climbed furthest from a valley before it; falling counts as flat."""
        slope = self.slope
        valley = 0
        self.climb, self.peak, self.valley = 0.0, 0, 0
        for i in range(self.n):
            if max(slope[i], 0.0) <= max(slope[valley], 0.0):
                valley = i
            climb = slope[i] - max(slope[valley], 0.0)
            if climb > self.climb:
                self.climb, self.peak, self.valley = climb, i, valley

    def _find_baseline(self):
        """The quiet stretch start..foot before the rise, its typical slope, and its wander.

        The first tenth of the run, or half of a shorter lead, is not asked how far it wandered: it holds the transient.
        """
        x, y, slope = self.x, self.y, self.slope
        low = max(slope[self.valley], 0.0)
        quiet = QUIET * self.climb
        foot = self.peak
        while foot > self.valley and slope[foot] - low > quiet:
            foot -= 1
        self.foot = foot
        settled = min(self.n // 10, foot // 2)
        lead = zeros(foot - settled + 1)
        for i in range(len(lead)):
            lead[i] = max(slope[settled + i], 0.0)
        self.drift = median(lead)
        # How far the lead moved: upward as such, or either way about its own line.
        mean_x, mean_y, tilt = _line(x, y, settled, foot)
        least = y[foot]
        off_low = off_high = 0.0
        for i in range(settled, foot + 1):
            least = min(least, y[i])
            off = y[i] - (mean_y + tilt * (x[i] - mean_x))
            off_low = min(off_low, off)
            off_high = max(off_high, off)
        self.wander = max(0.0, max(y[foot] - least, off_high - off_low) - WANDER_OF_NOISE * self.noise)
        start = foot
        while start > 0 and abs(slope[start - 1] - low) <= quiet:
            start -= 1
        # A line through fewer than five points is not carried forward: its slope is mostly noise.
        if foot - start >= 4:
            self.base_x, self.base_y, self.base_slope = _line(x, y, start, foot)
        else:
            self.base_x, self.base_y, _ = _line(x, y, start, foot)
            self.base_slope = 0.0

    def _base(self, x):
        return self.base_y + self.base_slope * (x - self.base_x)

    def _measure(self):
        x, y, n, peak = self.x, self.y, self.n, self.peak
        steepest = self.slope[peak]
        end = peak
        while end < n - 1 and self.slope[end + 1] > QUIET * steepest:
            end += 1
        self.end = end
        # Amplification levels off; what climbs on afterwards was a drift before, too, whatever its first samples did.
        if n - 1 - end >= 5:
            tail = zeros(n - 1 - end)
            for i in range(len(tail)):
                tail[i] = max(self.slope[end + 1 + i], 0.0)
            self.drift = max(self.drift, TAIL_DRIFT * median(tail))
        self.unrest = self._unrest(end)
        top = y[peak]
        for i in range(peak, end + 1):
            top = max(top, y[i])
        level = self._base(x[self.foot])
        self.level = level
        self.rise = top - level - max(self.drift, self.base_slope) * (x[end] - x[self.foot])
        excess = steepest - self.base_slope
        self.takeoff = max(0.0, x[peak] - (y[peak] - self._base(x[peak])) / excess) if excess > 0.0 else x[peak]
        sampling = (x[min(peak + 1, n - 1)] - x[max(peak - 1, 0)]) * 0.5
        fuzz = self.noise / excess if excess > 0.0 else 0.0
        self.takeoff_se = sqrt(fuzz * fuzz + sampling * sampling / 12.0)
        self.duration = self._crossing(level + 0.8 * (top - level)) - self._crossing(level + 0.2 * (top - level))
        tail = max(end, n - 1 - (n - 1 - end) // 2)
        self.stay = (median(y[tail:n]) - level) / (top - level) if top > level else 0.0

    def _unrest(self, first):
        """How far the curve swings about its own line from `first` to its end, beyond what noise does."""
        x, y, n = self.x, self.y, self.n
        if n - first < UNREST_BINS:
            return 0.0
        mean_x, mean_y, tilt = _line(x, y, first, n - 1)
        low = high = 0.0
        for i in range(first, n):
            off = y[i] - (mean_y + tilt * (x[i] - mean_x))
            low = min(low, off)
            high = max(high, off)
        return max(0.0, high - low - WANDER_OF_NOISE * self.noise)

    def _crossing(self, value):
        """Where the rise last passes upward through `value` before its end, by interpolation."""
        x, y = self.x, self.y
        i = self.end
        while i > self.foot and y[i - 1] > value:
            i -= 1
        if i == self.foot or y[i] <= y[i - 1]:
            return x[i]
        return x[i - 1] + (x[i] - x[i - 1]) * min(1.0, max(0.0, (value - y[i - 1]) / (y[i] - y[i - 1])))

    def judge(self, samples, missing):
        reading = CurveReading(_o.NEGATIVE, _o.NONE, samples, missing)
        reading.noise = self.noise
        if self.climb <= 0.0 or self.rise <= 0.0:
            return reading
        tiny = 1.0e-6 * self.rise  # keeps the ratios of a noiseless curve finite
        snr = self.rise / max(self.noise, tiny)
        share = self.rise / (self.rise + self.wander)
        steep = self.slope[self.peak] / max(self.drift, tiny)
        reading.level, reading.rise = self.level, self.rise
        reading.snr_milli, reading.share_milli, reading.steep_milli = _milli(snr), _milli(share), _milli(steep)
        reading.long_milli, reading.stay_milli = _milli(self.duration), _milli(max(self.stay, 0.0))
        end_slope = self.slope[self.n - 1]
        last = self.n - max(4, self.n // 6)
        open_end = _line(self.x, self.y, last, self.n - 1)[2] > BENT * self.slope[self.peak]
        longest = OPEN_NONE if open_end else LONG_NONE
        if snr < NOISE_NONE or steep < STEEP_NONE or self.duration > longest:
            return reading
        if share < SHARE_NONE:
            # A take-off clear of the noise and of the slope before it is no plain negative, however the lead moved.
            if snr >= EARLY_CLEAR * NOISE_SURE and steep >= STEEP_SURE and self.duration <= LONG_SURE:
                self._doubt(reading, _o.DOUBTFUL_CURVE)
                reading.ttp_ms = reading.ttp_se_ms = 0
            return reading
        reading.ttp_ms = reading.ttp_se_ms = 0  # the caller knows the clock
        weak = snr < NOISE_SURE or share < SHARE_SURE or steep < STEEP_SURE
        turned = self.peak < self.n - 2 and end_slope < self.slope[self.peak]
        if self.end - self.foot < MIN_RISE_BINS or (weak and not turned):
            self._doubt(reading, _o.LATE_RISE if self.end >= self.n - 2 else _o.DOUBTFUL_CURVE)
        elif self._misshapen(open_end):
            self._doubt(reading, _o.DOUBTFUL_CURVE)
        elif weak:
            self._doubt(reading, _o.WEAK_RISE)
        else:
            reading.outcome = _o.POSITIVE
            clear = snr >= EARLY_CLEAR * NOISE_SURE and steep >= EARLY_CLEAR * STEEP_SURE
            clear = clear and self.duration <= EARLY_LONG
            settled = self.n >= EARLY_BINS and self.n - 1 - self.peak >= SETTLED_BINS
            reading.final = clear and settled and end_slope < 0.33 * self.slope[self.peak]
        return reading

    def _misshapen(self, open_end):
        """True for a rise that is too long, too sudden, too fleeting or too restless to be plain amplification."""
        longest = OPEN_SURE if open_end else LEADLESS_SURE if self.takeoff < LEADLESS else LONG_SURE
        sudden = self.duration * (self.n - 1) < SHORTEST_BINS
        return self.duration > longest or sudden or self.stay < STAY_SURE or self.unrest > UNREST * self.rise

    def _doubt(self, reading, reason):
        reading.outcome, reading.reason = _o.INDETERMINATE, reason


class TemperatureWatch:
    """Whether a reaction held its temperature; memory does not grow.

    target_cc and tolerance_cc are hundredths of a degree Celsius; after warm_up_ms the temperature must hold, and may
    be outside for excursion_ms in all.
    """

    def __init__(self, target_cc: int, tolerance_cc: int, warm_up_ms: int, excursion_ms: int):
        self._low, self._high = target_cc - tolerance_cc, target_cc + tolerance_cc
        self._warm_up_ms, self._allowed_ms = warm_up_ms, excursion_ms
        self._last: "int | None" = None
        self.outside_ms = 0
        self.lowest_cc: "int | None" = None  # once warm
        self.highest_cc: "int | None" = None

    def add(self, t_ms: int, temperature_cc: int) -> None:
        """Take a temperature at t_ms since heating began; one outside counts for the time since the one before."""
        if t_ms >= self._warm_up_ms:
            if self.lowest_cc is None or temperature_cc < self.lowest_cc:
                self.lowest_cc = temperature_cc
            if self.highest_cc is None or temperature_cc > self.highest_cc:
                self.highest_cc = temperature_cc
            if self._last is not None and not self._low <= temperature_cc <= self._high:
                self.outside_ms += t_ms - max(self._last, self._warm_up_ms)
        self._last = t_ms

    @property
    def excursion(self) -> bool:
        """True when the run can no longer be judged: too long outside, or never measured once warm."""
        return self.outside_ms > self._allowed_ms or self.lowest_cc is None


class WellsReading:
    """A two-well run: outcome and reason, time to positive (ms, or None), and the readings of both wells."""

    __slots__ = ("control", "outcome", "reason", "sample", "ttp_ms", "ttp_se_ms")

    def __init__(self, outcome: int, reason: int, sample: CurveReading, control: CurveReading):
        self.outcome, self.reason, self.sample, self.control = outcome, reason, sample, control
        self.ttp_ms, self.ttp_se_ms = sample.ttp_ms, sample.ttp_se_ms


def assess(
    sample: CurveReading, control: CurveReading, latest_positive_ms: "int | None" = None, excursion: bool = False
) -> WellsReading:
    """Decide a run from its two `CurveReading`s.

    A temperature excursion makes the run invalid. A positive sample needs no control, which a strong positive may
    suppress; a negative one does, and must be quiet enough that a rise of half the control's would have shown. A rise
    that begins after latest_positive_ms is not told from a non-specific product.
    """
    outcome, reason = sample.outcome, sample.reason
    if excursion:
        outcome, reason = _o.INVALID, _o.TEMPERATURE_EXCURSION
    elif outcome == _o.POSITIVE:
        if latest_positive_ms is not None and sample.ttp_ms > latest_positive_ms:
            outcome, reason = _o.INDETERMINATE, _o.LATE_RISE
    elif outcome == _o.NEGATIVE and control.outcome != _o.POSITIVE:
        outcome, reason = _o.INVALID, _o.NO_INTERNAL_CONTROL
    elif outcome == _o.NEGATIVE and NOISE_SURE * sample.noise > UNSEEN * control.rise:
        outcome, reason = _o.INVALID, _o.NOISY_CURVE
    return WellsReading(outcome, reason, sample, control)
