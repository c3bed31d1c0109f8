"""What this firmware is, where its files are, and the two small things that the instrument keeps for itself.

Identity, keys, name and language are kept by `reader.identity`; records by `reader.journal`.
"""

from reader import cbor, delta, durable

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value):
        return value


FIRMWARE = "0.1.0"
RELEASE = const(1)  # greater with each release (docs/protocol.md section 8.1)
MODEL = "Doorstep R1"

FOLDER = __file__[: __file__.rfind("reader/")]  # where this application lies, to its last slash; "" for here

ROOT = ""  # of the flash file system: every path of the firmware is ROOT + "/…"
JOURNAL = ROOT + "/journal"
_CLOCK_FILE = ROOT + "/clock"
_CALIBRATION_FILE = ROOT + "/calibration"

# Level of a white tile at the strip lamp's nominal pulse, 16-bit scale. The strip's analysis measures each line
# against the membrane beside it, so that a white that is some percent off changes no outcome.
NOMINAL_WHITE = 55400


def clock_note():
    """(unix ms, uncertainty ms) of the last time the clock was set, or None."""
    kept = _load(_CLOCK_FILE)
    if isinstance(kept, list) and len(kept) == 2 and isinstance(kept[0], int) and isinstance(kept[1], int):
        return kept[0], kept[1]
    return None


def keep_clock_note(unix_ms, uncertainty_ms):
    """Keep what `clock_note` gives at the next start. OSError: the old note stays."""
    durable.replace(_CLOCK_FILE, cbor.encode([unix_ms, uncertainty_ms]))


def calibration():
    """(white level or array of 128 levels, its label): the stored white reference, or the nominal one, with no label
    when the stored one is damaged.
    """
    kept = _load(_CALIBRATION_FILE)
    if isinstance(kept, list) and len(kept) == 2 and isinstance(kept[0], str) and isinstance(kept[1], bytes):
        try:
            return delta.decode(kept[1], 128), kept[0]
        except delta.DeltaError:
            return NOMINAL_WHITE, None
    return NOMINAL_WHITE, None if durable.exists(_CALIBRATION_FILE) else "nominal"


def _load(path):
    data = durable.content(path)
    try:
        return None if data is None else cbor.decode(data)
    except cbor.CborError:
        return None
