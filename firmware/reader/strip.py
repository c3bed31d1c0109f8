"""From a strip's light profile to an outcome: baseline, line positions, line signals with their errors, decision.

The profile becomes reflectance, (pixel - dark) / (white - dark), and darkening against the baseline of the same place,
so that lamp level, illumination pattern and membrane gradient cancel. Everything decided leaves as whole numbers: parts
per million of the local baseline, and micrometres.

1. *Baseline.* A cubic through the membrane between the lines, robust against dust, from a fit that first finds the
   upper envelope (asymmetric least squares, Eilers 2004, Anal Chem 76:404).
2. *Lines.* Around each expected position a line shape is fitted together with a local level and slope, which a leak, a
   tilt or a smear then cannot imitate. The control line is found first; its offset seats the test lines.
3. *Signal.* The height of a line of nominal width that has the fitted area, with its standard error.
4. *Decision.* Control gate first, then each test line against the assay's cut-offs, with a grey zone between; on a
   quantitative strip, its concentration (`reader.quantity`) against the decision limit.
"""

from array import array

from reader import outcome as _o
from reader.floats import median, zeros
from reader.profile import HALF_AREA, SHAPE, Profile

try:
    from typing import TYPE_CHECKING
except ImportError:  # MicroPython
    TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Sequence
    from reader.assays import StripAssay

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value: int) -> int:
        return value


ALGORITHM = const(1)  # travels in every record; raised by any change that can alter an outcome

FULL_SCALE = const(65535)  # `ADC.read_u16`

SATURATED_PIXELS = const(3)
LEAK_LIMIT = 0.08  # dark level over the white's
LAMP_LIMIT = 0.02  # reflectance below it: no light came back at all
MEMBRANE_LIMIT = 0.3  # reflectance below it: an empty tray, not a membrane
UNEVEN_LIMIT = 0.4  # baseline at its darkest over its median
MISFIT_LIMIT = 0.2  # residual beside a line over its height: half the line's width or less, a hair and not a line
DETECTED = 3.0  # standard errors: a line is there; one blank window in a hundred reaches it (tests/reader)
RESOLVED = 3.0  # standard errors that must fit under the cut-off before "no line" means negative
TEST_SEARCH_UM = const(125)  # of a test line about its place relative to the control line
PPM = const(1000000)


class LineReading:
    """One line: its own outcome and reason, position, signal and standard error.

    signal_ppm, se_ppm   darkening at the top of a line of nominal width and the fitted area, of the local baseline
    area_ppm_um          the fitted area
    position_um          sub-pixel centre, from the window's first edge
    ratio_ppm            signal over the control line's; None on the control line and without one
    level_ppm            local background in parts per million of white, to draw the line on
    value_milli, value_se_milli  of a quantitative strip: thousandths of the assay's unit; None where there is no value
    beyond               0, or 1 below and 2 above the reportable range: the value is then the limit that was passed
    """

    __slots__ = (
        "beyond",
        "level_ppm",
        "name",
        "outcome",
        "position_um",
        "ratio_ppm",
        "reason",
        "se_ppm",
        "signal_ppm",
        "value_milli",
        "value_se_milli",
        "width_um",
    )

    def __init__(self, name: str, width_um: int):
        self.name = name
        self.width_um = width_um
        self.outcome, self.reason = _o.INVALID, _o.NONE
        self.position_um = self.signal_ppm = self.se_ppm = self.level_ppm = 0
        self.ratio_ppm: "int | None" = None
        self.value_milli: "int | None" = None
        self.value_se_milli: "int | None" = None
        self.beyond = 0

    @property
    def area_ppm_um(self) -> int:
        """Area under the line, ppm x micrometres."""
        return int(self.signal_ppm * HALF_AREA * (self.width_um / SHAPE))


class StripReading:
    """A strip: outcome and reason of the whole, its lines, and what to draw.

    control             `LineReading` of the control line, None when nothing could be read
    lines               `LineReading` of each test line, in the assay's order; [] when nothing could be read
    profile, baseline   arrays of reflectance, parts per million of white, one a pixel (empty when nothing was seen)
    noise_ppm           standard deviation of one pixel
    shift_um            how far the control line lay from its place
    """

    __slots__ = ("baseline", "control", "lines", "noise_ppm", "outcome", "profile", "reason", "shift_um")

    def __init__(self):
        self.outcome, self.reason = _o.INVALID, _o.NO_STRIP
        self.control: "LineReading | None" = None
        self.lines: "list[LineReading]" = []
        self.profile: "array[int]" = array("i")
        self.baseline: "array[int]" = array("i")
        self.noise_ppm = self.shift_um = 0


def analyse(
    pixels: "Sequence[int]",
    white: "int | Sequence[int]",
    dark: "int | Sequence[int]",
    assay: "StripAssay",
    pixel_um: int = 125,
    full_scale: int = FULL_SCALE,
    calibration: "tuple[int, int, int, int] | None" = None,
    profile_of: "type[Profile]" = Profile,
) -> StripReading:
    """Read a strip.

    pixels: raw counts with the lamp on. white: raw counts of the white reference under the same lamp. dark: raw counts
    with the lamp off, taken beside the reading, so that outside light shows in it. White and dark are one level or one
    a pixel. assay: a `reader.assays.StripAssay`. calibration: the lot's, as `reader.quantity` takes it; ValueError when
    a quantitative assay has none. profile_of: `Profile`, or one that is as it is and faster elsewhere than here.
    Returns a `StripReading`; bad sensing is an outcome, not an exception.
    """
    if assay.unit is not None and calibration is None:
        raise ValueError("a quantitative strip needs the calibration of its lot")
    reading = StripReading()
    n = len(pixels)
    reflectance, reason = _reflectance(pixels, white, dark, n, full_scale)
    if reason == _o.NONE:
        reading.profile = _ppm_array(reflectance)
        middle = median(reflectance)
        if middle < MEMBRANE_LIMIT:
            reason = _o.LAMP_FAULT if middle < LAMP_LIMIT else _o.NO_STRIP
    if reason != _o.NONE:
        return _end(reading, reason)
    profile = profile_of(reflectance, assay, pixel_um)
    _read_lines(profile, assay, reading, calibration)
    reading.baseline = _ppm_array(profile.baseline)
    reading.noise_ppm = _ppm(profile.noise)
    return _decide(reading, profile, assay)


def judge(signal_ppm: float, se_ppm: float, grey_ppm: int, positive_ppm: int) -> "tuple[int, int]":
    """(outcome, reason) of a test line beside a sound control line, from its signal, standard error and cut-offs."""
    if signal_ppm >= positive_ppm and signal_ppm >= DETECTED * se_ppm:
        return _o.POSITIVE, _o.NONE
    if RESOLVED * se_ppm > positive_ppm:
        return _o.INVALID, _o.NOISY_STRIP
    if signal_ppm < grey_ppm:
        return _o.NEGATIVE, _o.NONE
    return _o.INDETERMINATE, _o.GREY_ZONE


def combine(lines: "Sequence[LineReading]") -> "tuple[int, int]":
    """(outcome, reason) of a strip from its test lines: a positive stands, then what is unsure, then negative."""
    for wanted in (_o.POSITIVE, _o.INVALID, _o.INDETERMINATE):
        for line in lines:
            if line.outcome == wanted:
                return wanted, line.reason
    return _o.NEGATIVE, _o.NONE


def check_timing(elapsed_s: int, assay: "StripAssay") -> int:
    """READ_TOO_EARLY, READ_TOO_LATE or NONE for a strip read `elapsed_s` after the specimen was applied."""
    if elapsed_s < assay.earliest_s:
        return _o.READ_TOO_EARLY
    return _o.READ_TOO_LATE if elapsed_s > assay.latest_s else _o.NONE


def _end(reading, reason):
    """The strip as a whole says `reason`, and no line of it says more."""
    reading.outcome, reading.reason = _o.outcome_of(reason), reason
    for line in reading.lines:
        line.outcome, line.reason = reading.outcome, reason
        _forget_value(line)
    return reading


def _forget_value(line):
    line.value_milli = line.value_se_milli = None
    line.beyond = 0


def _decide(reading, profile, assay):
    control = reading.control
    strongest = 0
    for line in reading.lines:
        strongest = max(strongest, line.signal_ppm)
    if control.signal_ppm < assay.control_ppm or control.signal_ppm < DETECTED * control.se_ppm:
        return _end(reading, _o.STRIP_MOVED if _strays(profile, assay) else _o.NO_CONTROL_LINE)
    if strongest >= assay.hook_test_ppm and control.signal_ppm < assay.hook_ppm:
        return _end(reading, _o.HIGH_DOSE_HOOK)
    if control.signal_ppm < assay.control_faint_ppm:
        return _end(reading, _o.WEAK_CONTROL_LINE)
    if min(profile.baseline) < UNEVEN_LIMIT * median(profile.baseline):
        return _end(reading, _o.BACKGROUND_UNEVEN)
    control.outcome = _o.POSITIVE
    for line in reading.lines:
        line.ratio_ppm = int(line.signal_ppm / control.signal_ppm * PPM)
    reading.outcome, reading.reason = combine(reading.lines)
    return reading


def _strays(profile, assay):
    """True when a plain line lies off every expected place: the strip is not seated."""
    wide = 1.5 * profile.half
    places = [um / profile.pixel_um - 0.5 for um in assay.test_um]
    places.append(assay.control_um / profile.pixel_um - 0.5)
    for i in range(int(wide), profile.n - int(wide)):
        if min([abs(i - place) for place in places]) < wide:
            continue
        fit = profile.fit(float(i))
        plain = fit.height * PPM >= assay.control_faint_ppm and fit.height > 4.0 * fit.misfit
        if plain and fit.height >= 2.0 * DETECTED * fit.se:
            return True
    return False


def _read_lines(profile, assay, reading, calibration):
    """Fit the control line, seat the test lines by it, take the final baseline between them, and judge each."""
    control_at = assay.control_um / profile.pixel_um - 0.5
    profile.envelope()
    profile.fit_baseline((control_at,))
    at = profile.find(control_at, assay.search_um / profile.pixel_um)
    fit = profile.fit(at)
    found = fit.height > 0.0 and fit.height * PPM >= assay.control_ppm and fit.height >= DETECTED * fit.se
    shift = at - control_at if found else 0.0
    places = [um / profile.pixel_um - 0.5 + shift for um in assay.test_um]
    profile.fit_baseline(places + [control_at + shift])
    reading.shift_um = _whole(shift * profile.pixel_um)
    reading.control = _line_reading("C", profile, profile.fit(at), assay)
    for i in range(len(places)):
        fit = profile.fit(profile.find(places[i], TEST_SEARCH_UM / profile.pixel_um))
        line = _line_reading(assay.analytes[i], profile, fit, assay)
        _judge_line(line, i, assay, calibration)
        if line.reason == _o.NOISY_STRIP and fit.noise > 2.0 * profile.noise:
            line.reason = _o.BACKGROUND_UNEVEN
        elif line.outcome == _o.POSITIVE and fit.misfit > max(MISFIT_LIMIT * fit.height, 2.5 * profile.noise):
            line.outcome, line.reason = _o.INVALID, _o.BACKGROUND_UNEVEN
            _forget_value(line)
        reading.lines.append(line)


def _judge_line(line, i, assay, calibration):
    if assay.unit is None:
        line.outcome, line.reason = judge(line.signal_ppm, line.se_ppm, assay.grey_ppm[i], assay.positive_ppm[i])
        return
    from reader import quantity

    line.outcome, line.reason, line.value_milli, line.value_se_milli, line.beyond = quantity.judge(
        line.signal_ppm,
        line.se_ppm,
        calibration,
        assay.low_milli,
        assay.high_milli,
        assay.grey_milli,
        assay.decision_milli,
    )


def _line_reading(name, profile, fit, assay):
    line = LineReading(name, assay.line_um)
    line.position_um = _whole((fit.at + 0.5) * profile.pixel_um)
    line.signal_ppm = _ppm(fit.height)
    line.se_ppm = _ppm(fit.se)
    line.level_ppm = _ppm(profile.baseline_at(fit.at) * (1.0 - fit.level))
    return line


def _reflectance(pixels, white, dark, n, full_scale):
    """(array of reflectance, NONE), or (None, the reason that there is none)."""
    whites, darks = _levels(white, n), _levels(dark, n)
    if whites is None or darks is None or not 32 <= n < 256:
        return None, _o.BAD_WHITE_REFERENCE
    if median(whites) > full_scale // 64 and median(darks) > LEAK_LIMIT * median(whites):
        return None, _o.LIGHT_LEAK
    ceiling = full_scale - full_scale // 256
    clipped = 0
    y = zeros(n)
    for i in range(n):
        light = whites[i] - darks[i]
        if light <= full_scale // 64 or whites[i] >= ceiling:
            return None, _o.BAD_WHITE_REFERENCE
        if pixels[i] >= ceiling:
            clipped += 1
        y[i] = (pixels[i] - darks[i]) / light
    return (None, _o.SATURATED) if clipped >= SATURATED_PIXELS else (y, _o.NONE)


def _levels(level, n):
    if isinstance(level, int):
        return [level] * n
    return level if len(level) == n else None


def _whole(value):
    return int(value + 0.5) if value >= 0.0 else -int(0.5 - value)


def _ppm(value):
    return _whole(value * PPM)


def _ppm_array(values):
    found = array("i", bytes(4 * len(values)))
    for i, value in enumerate(values):
        if value > 2.0:
            value = 2.0
        elif value < -2.0:
            value = -2.0
        value *= PPM
        found[i] = int(value + 0.5) if value >= 0.0 else -int(0.5 - value)
    return found
