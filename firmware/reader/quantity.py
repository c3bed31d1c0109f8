"""From a line's signal to a concentration by the lot's 4-parameter logistic, and from that to an outcome. Pure.

At concentration x the signal is d + (a - d) / (1 + (x / c) ** b): a with no analyte, d with no end of it, c halfway, b
how steep. The other way round x = c * ((s - a) / (d - s)) ** (1 / b), which holds only between a and d; outside them
the concentration is below or above everything, never a guess (Findlay and Dillard 2007, AAPS J 9:E260). The standard
error follows from the signal's to first order: x / b * (1 / (s - a) + 1 / (d - s)) times it.

Concentrations leave as thousandths of the assay's unit, and the outcome is decided on those whole numbers, so that a
value on a screen and the outcome beside it cannot contradict each other.
"""

from math import exp, log

from reader import outcome as _o

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value: int) -> int:
        return value


WITHIN = const(0)
BELOW = const(1)  # the reportable range; the value is then its lower limit
ABOVE = const(2)  # the reportable range; the value is then its upper limit

RESOLVED = 3.0  # standard errors that must fit between a blank's signal and a line's, or the decision limit's
_CERTAIN = const(2)  # standard errors that a negative must keep from the decision limit
_LOG_MAX = 60.0  # exp of it is finite in 32 bits, and beyond any reportable range


def concentration(
    signal_ppm: int, se_ppm: int, calibration: "tuple[int, int, int, int]", low_milli: int, high_milli: int
) -> "tuple[int, int | None, int]":
    """(value, standard error or None, WITHIN, BELOW or ABOVE) of a signal, in thousandths of the unit.

    calibration: (a_ppm, b_milli, c_milli, d_ppm) of the lot, b and c positive, a and d apart. Beyond the reportable
    range the value is the limit that was passed, and has no standard error.
    """
    a, b_milli, c_milli, d = calibration
    over, under = (signal_ppm - a, d - signal_ppm) if d > a else (a - signal_ppm, signal_ppm - d)
    if over <= 0:
        return low_milli, None, BELOW
    if under <= 0:
        return high_milli, None, ABOVE
    b = b_milli / 1000.0
    power = log(over / under) / b
    if power > _LOG_MAX:
        return high_milli, None, ABOVE
    value = c_milli * exp(power) if power > -_LOG_MAX else 0.0
    if value > high_milli:
        return high_milli, None, ABOVE
    whole = int(value + 0.5)
    if whole < low_milli:
        return low_milli, None, BELOW
    return whole, int(value / b * (1.0 / over + 1.0 / under) * se_ppm + 0.5), WITHIN


def signal(milli: int, calibration: "tuple[int, int, int, int]") -> float:
    """The signal at a concentration of `milli` thousandths of the unit, parts per million."""
    a, b_milli, c_milli, d = calibration
    if milli <= 0:
        return float(a)
    power = log(milli / c_milli) * (b_milli / 1000.0)
    if power > _LOG_MAX:
        return float(d)
    return d + (a - d) / (1.0 + (exp(power) if power > -_LOG_MAX else 0.0))


def judge(
    signal_ppm: int,
    se_ppm: int,
    calibration: "tuple[int, int, int, int]",
    low_milli: int,
    high_milli: int,
    grey_milli: int,
    decision_milli: int,
) -> "tuple[int, int, int | None, int | None, int]":
    """(outcome, reason, value, standard error, WITHIN, BELOW or ABOVE) of a test line beside a sound control line.

    Positive from the decision limit on, when the line itself is there; invalid when a value at that limit could not be
    told from none; indeterminate from the grey zone on, or where the value's own error reaches the decision limit.
    """
    value, error, beyond = concentration(signal_ppm, se_ppm, calibration, low_milli, high_milli)
    if value >= decision_milli and abs(signal_ppm - calibration[0]) >= RESOLVED * se_ppm:
        return _o.POSITIVE, _o.NONE, value, error, beyond
    if RESOLVED * se_ppm > abs(signal(decision_milli, calibration) - calibration[0]):
        return _o.INVALID, _o.NOISY_STRIP, None, None, WITHIN
    if value >= grey_milli or (error is not None and value + _CERTAIN * error >= decision_milli):
        return _o.INDETERMINATE, _o.GREY_ZONE, value, error, beyond
    return _o.NEGATIVE, _o.NONE, value, error, beyond
