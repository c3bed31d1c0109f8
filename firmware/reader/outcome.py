"""The closed set of outcomes and the reasons that go with them.

Values travel in records and are never renumbered; 0 is never an outcome, so that a zeroed or missing byte cannot read
as an answer. What is not in these tables is not an answer: `outcome_name` and `reason_name` raise `KeyError`, they
never fall back. What the operator reads on the screen stands under a reason's name in the tables of `reader.texts`; the
clinician's sentences live in `reader.explanation`, which the firmware does not load.
"""

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value: int) -> int:
        return value


POSITIVE = const(1)
NEGATIVE = const(2)
INDETERMINATE = const(3)
INVALID = const(4)
ERROR = const(5)

OUTCOMES = (POSITIVE, NEGATIVE, INDETERMINATE, INVALID, ERROR)
_OUTCOME_NAMES = ("positive", "negative", "indeterminate", "invalid", "error")

NONE = const(0)
# Strip
NO_CONTROL_LINE = const(1)
WEAK_CONTROL_LINE = const(2)
SATURATED = const(3)
NO_STRIP = const(4)
STRIP_MOVED = const(5)
LIGHT_LEAK = const(6)
BACKGROUND_UNEVEN = const(7)
GREY_ZONE = const(8)
HIGH_DOSE_HOOK = const(9)
READ_TOO_EARLY = const(10)
READ_TOO_LATE = const(11)
NOISY_STRIP = const(12)
LAMP_FAULT = const(13)
LID_OPENED = const(14)
BAD_WHITE_REFERENCE = const(15)
# Amplification
NO_INTERNAL_CONTROL = const(20)
TEMPERATURE_EXCURSION = const(21)
NOISY_CURVE = const(22)
LATE_RISE = const(23)
TOO_FEW_SAMPLES = const(24)
DOUBTFUL_CURVE = const(25)
WEAK_RISE = const(26)
# Instrument and workflow
POWER_LOST = const(40)
SENSOR_FAULT = const(41)
HEATER_FAULT = const(42)
CANCELLED = const(43)
# 44 is free: an assay that is not known is refused at the scan, and what is refused leaves no result.
ANALYSIS_FAULT = const(45)
STORAGE_FAULT = const(46)
BATTERY_LOW = const(47)
AMBIENT_TEMPERATURE = const(48)


# Code, short name and the outcome it stands beside (- for the plain answers). One text, searched by line, because a
# dict of tuples is four times its size on the heap.
_REASONS = """
0 none -
1 no-control-line 4
2 weak-control-line 4
3 saturated 4
4 no-strip 4
5 strip-moved 4
6 light-leak 4
7 background-uneven 4
8 grey-zone 3
9 high-dose-hook 3
10 read-too-early 4
11 read-too-late 4
12 noisy-strip 4
13 lamp-fault 5
14 lid-opened 4
15 bad-white-reference 5
20 no-internal-control 4
21 temperature-excursion 4
22 noisy-curve 4
23 late-rise 3
24 too-few-samples 4
25 doubtful-curve 3
26 weak-rise 3
40 power-lost 5
41 sensor-fault 5
42 heater-fault 5
43 cancelled 5
45 analysis-fault 5
46 storage-fault 5
47 battery-low 5
48 ambient-temperature 4
"""


def _row(code):
    """(short name, outcome or 0) of a reason; `KeyError` for an unknown code."""
    at = _REASONS.find("\n%d " % code) if isinstance(code, int) else -1
    if at < 0:
        raise KeyError(code)
    parts = _REASONS[at + 1 : _REASONS.find("\n", at + 1)].split(" ")
    return parts[1], 0 if parts[2] == "-" else int(parts[2])


def outcome_name(outcome: int) -> str:
    """The outcome's stable name; `KeyError` for a value outside the closed set."""
    if outcome not in OUTCOMES:
        raise KeyError(outcome)
    return _OUTCOME_NAMES[outcome - 1]


words = outcome_name


def reasons() -> "list[int]":
    """Every reason code, in order."""
    return [int(line[: line.find(" ")]) for line in _REASONS.strip().split("\n")]


def reason_name(reason: int) -> str:
    """The reason's stable short name, such as "no-control-line"; `KeyError` for an unknown code."""
    return _row(reason)[0]


def reason_by_name(name: str) -> int:
    """The reason code of a short name; `KeyError` for an unknown name."""
    for code in reasons():
        if _row(code)[0] == name:
            return code
    raise KeyError(name)


def allowed(outcome: int, reason: int) -> bool:
    """True when `reason` may stand beside `outcome`: a plain answer has no reason, every other outcome has its own."""
    if outcome not in OUTCOMES:
        return False
    try:
        only = _row(reason)[1]
    except KeyError:
        return False
    return outcome == only if only else outcome in (POSITIVE, NEGATIVE)


def outcome_of(reason: int) -> int:
    """The one outcome that `reason` stands beside; `KeyError` for NONE and for an unknown code."""
    only = _row(reason)[1]
    if not only:
        raise KeyError(reason)
    return only


def clinician_sentence(reason: int) -> str:
    """What the clinician reads: one sentence of what happened and what it means; "" for NONE."""
    from reader import explanation

    return explanation.SENTENCES[reason]
