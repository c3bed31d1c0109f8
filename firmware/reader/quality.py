"""Quality control: when it is due, what a test of control material shows, and how that is kept through power cuts.

An assay's state is one small file in two copies (`reader.copies`). A run of control material first makes it *open*,
which refuses patients' tests; only after the record of a run that passed is durable does the state say so. So whatever
write the power is cut at, the state never says "passed" of what was not recorded:

    pending note -> state open -> ... -> record -> state passed or failed
                 |             |              `- the run was recorded and is due again, if only for its last step
                 |             `- the next start makes the state *failed*, then records *error, power lost*
                 `- as after the state, which is written again
"""

from reader import cbor, copies
from reader.identity import is_uint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value: int) -> int:
        return value


CLEAR = const(0)
OPEN = const(1)  # a run of control material has begun and did not pass yet
FAILED = const(2)

_ROUND_MS = const(86400000)  # the levels of one round are passed within a day
_HOUR_MS = const(3600000)
_LOTS = const(4)
_EEXIST = const(17)
_POSITIVE = const(1)
_INDETERMINATE = const(3)


class State:
    """How one assay stands on this reader. tests: patients' tests begun since it last passed, `passed_ms` (Unix) ago;
    `faults`: how many of the reader's faults were known then; `lots`: lots that passed; `levels`: those of the present
    round that passed, which began at `round_ms` with `round_lot`."""

    def __init__(self, kept: "Any" = (CLEAR, 0, None, 0, (), (), None, None)):
        block, tests, passed_ms, faults, lots, levels, round_ms, round_lot = kept
        self.block: int = block
        self.tests: int = tests
        self.passed_ms: "int | None" = passed_ms
        self.faults: int = faults
        self.lots: "list[Any]" = list(lots)
        self.levels: "list[Any]" = list(levels)
        self.round_ms: "int | None" = round_ms
        self.round_lot: "str | None" = round_lot


class Quality:
    """The quality control of a reader whose files are in `root`. Every method may raise OSError: nothing may begin."""

    def __init__(self, root):
        self._root = root

    # The reader as a whole: since when it has a clock, and how many faults each kind of test has had

    def reader(self) -> "list[Any]":
        """[Unix ms of the first start with a clock or None, faults of strips, faults of amplifications]."""
        kept = _load(self._root, "quality")
        if isinstance(kept, list) and len(kept) == 3 and (kept[0] is None or is_uint(kept[0])):
            return kept
        # Damaged: every assay counts as one that had a fault since, and no time since the first start is known.
        return [None, 0, 0] if kept is None else [None, 0xFFFFFFFF, 0xFFFFFFFF]

    def clock_known(self, now_ms):
        """Note the first time that a clock was there."""
        kept = self.reader()
        if kept[0] is None:
            kept[0] = now_ms
            _keep(self._root, "quality", kept)

    def fault(self, kind):
        """Note a fault of what tests of that kind (reader.assays.STRIP or AMPLIFICATION) need."""
        kept = self.reader()
        kept[kind] += 1
        _keep(self._root, "quality", kept)

    # One assay

    def due(self, assay, lot, now_ms):
        """The key in the texts of why no patient's test of that lot may begin, or None. now_ms: Unix, None unknown."""
        state = self.state(assay.id)
        if state is None:
            return "control due"
        if state.block:
            return "control failed" if state.block == FAILED else "control due"
        since, *faults = self.reader()
        if assay.qc_after_fault and faults[assay.kind - 1] > state.faults:
            return "control due"
        if assay.qc_tests and state.tests >= assay.qc_tests:
            return "control due"
        if assay.qc_lot_change and lot not in state.lots:
            return "control due"
        if assay.qc_hours:
            base = since if state.passed_ms is None else state.passed_ms
            # A clock that is unknown, or went back, cannot say how long ago it was.
            if now_ms is None or base is None or not 0 <= now_ms - base < assay.qc_hours * _HOUR_MS:
                return "control due"
        return None

    def begin(self, test):
        """A test begins: one of control material closes the assay until it passed, a patient's is counted."""
        assay = test.assay
        state = self.state(assay.id)
        if test.control is None:
            if assay.qc_tests and state is not None:
                state.tests += 1
                self._save(assay.id, state)
            return
        state = state or State((FAILED, 0, None, 0, (), (), None, None))
        test.quality = (state.block, state.levels, state.round_ms, state.round_lot)
        self._block(assay.id, state, OPEN)

    def lost(self, test):
        """The test of a note that outlived it: as `begin` that may not have been done, and a control failed. To be done
        before its record."""
        state = self.state(test.assay_id)
        if test.control is not None:
            self._block(test.assay_id, state or State(), FAILED)
        elif state is not None:
            state.tests += 1
            self._save(test.assay_id, state)

    def conclude(self, test, now_ms):
        """Take the verdict of a control's test whose record is durable."""
        assay = test.assay
        state = self.state(assay.id) or State()
        if not test.passed:
            if test.lot in state.lots:
                state.lots.remove(test.lot)
            self._block(assay.id, state, FAILED)
            return
        block, levels, round_ms, round_lot = test.quality
        stale = round_ms is None or now_ms is None or not 0 <= now_ms - round_ms < _ROUND_MS
        if stale or (assay.qc_lot_change and round_lot != test.lot):
            levels, round_ms = [], now_ms
        state.levels = [level for level in levels if level != test.control[1]] + [test.control[1]]
        state.round_ms, state.round_lot, state.block = round_ms, test.lot, block
        if all(level in state.levels for level in assay.qc_levels):
            state.block, state.tests, state.passed_ms, state.levels = CLEAR, 0, now_ms, []
            state.faults = self.reader()[assay.kind]
            state.lots = ([lot for lot in state.lots if lot != test.lot] + [test.lot])[-_LOTS:]
        self._save(assay.id, state)

    def missing(self, assay):
        """Levels that the round that has begun still needs; none when there is no round."""
        state = self.state(assay.id)
        if state is None or not state.levels:
            return []
        return [level for level in assay.qc_levels if level not in state.levels]

    def state(self, assay_id):
        """The `State` of an assay, or None when both its copies are damaged."""
        kept = _load(self._root, "quality-" + assay_id)
        if kept is None:
            return State()
        if isinstance(kept, list) and len(kept) == 8 and kept[0] in (CLEAR, OPEN, FAILED) and is_uint(kept[1]):
            return State(kept)
        return None

    def _block(self, assay_id, state, block):
        state.block = block
        state.levels = []  # after a failure every level must pass
        state.round_ms = state.round_lot = None
        self._save(assay_id, state)

    def _save(self, assay_id, s):
        _keep(
            self._root,
            "quality-" + assay_id,
            [s.block, s.tests, s.passed_ms, s.faults, s.lots, s.levels, s.round_ms, s.round_lot],
        )


def verdict(test):
    """Whether a test of control material showed what it must, of every analyte."""
    expected = test.assay.control(test.control[0])[2]
    if not _POSITIVE <= test.outcome <= _INDETERMINATE or len(test.analytes) != len(expected):
        return False
    return all(_as_expected(analyte, expected[i]) for i, analyte in enumerate(test.analytes))


def _as_expected(analyte, expected):
    """`expected` is an outcome, or [lowest, highest] in thousandths of the analyte's unit."""
    if isinstance(expected, int):
        return analyte[1] == expected
    value = analyte[3]
    if value is None:
        return False
    beyond = analyte[6] if len(analyte) > 6 else 0
    if beyond:  # below the reportable range nothing more is known: that is as expected where nothing is
        return beyond == 1 and expected[0] == 0 and value <= expected[1]
    return expected[0] <= value <= expected[1]


def _load(root, name) -> "Any":
    """What `_keep` kept: the later copy that is whole; None when there never was any, False when both are damaged."""
    try:
        data = copies.kept(root, name)
        return None if data is None else cbor.decode(data)
    except (copies.BothDamaged, cbor.CborError):
        return False


def _keep(root, name, value):
    copies.keep(root, name, cbor.encode(value))
