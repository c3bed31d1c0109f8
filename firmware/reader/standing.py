"""How quality control stands with what this reader is used for, for who collects from it: no assay that was never used
here counts, for each of those is due before its first patient.
"""

import os

from reader import packs, settings, wire
from reader.quality import Quality

_PREFIX = "quality-"
_SUFFIX = ".a"  # of the first of the two copies (reader.copies)


def flag(now_ms):
    """FLAG_CONTROL_DUE, FLAG_CONTROL_CLEAR, or 0 where the flash does not say. now_ms: Unix, None unknown."""
    kept = Quality(settings.ROOT)
    try:
        for name in os.listdir(settings.ROOT or "/"):
            ours = name.startswith(_PREFIX) and name.endswith(_SUFFIX)
            if ours and _due(kept, name[len(_PREFIX) : -len(_SUFFIX)], now_ms):
                return wire.FLAG_CONTROL_DUE
    except OSError:
        return 0
    return wire.FLAG_CONTROL_CLEAR


def _due(kept, assay_id, now_ms):
    state = kept.state(assay_id)
    if state is None:
        return True
    try:
        assay = packs.newest(assay_id)
    except packs.PackDamaged:
        return True
    # By the lot that passed last: which lot the next cassette is of, nobody knows.
    return assay is not None and kept.due(assay, state.lots[-1] if state.lots else None, now_ms) is not None
