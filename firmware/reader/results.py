"""Builds the plaintext of records (docs/protocol.cddl, `record`): results, events, and the note of a test under
way.
"""

from reader import cbor, delta, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LABEL_MAX = 64  # bytes of UTF-8


def label(text):
    """`text` cut to what a label of the protocol may hold; None stays None."""
    if text is None:
        return None
    if len(text.encode()) <= _LABEL_MAX:
        return text
    text = text[:_LABEL_MAX]
    while len(text.encode()) > _LABEL_MAX:
        text = text[:-1]
    return text


class Test:
    """What is known of one test from its first scanned code to its record. Times are uptime ms, temperatures
    hundredths of a degree Celsius; what is not known is None."""

    def __init__(self):
        self.specimen: "Any" = None
        self.operator: "Any" = None
        self.assay: "Any" = None  # reader.assays definition
        self.assay_id: "Any" = None
        self.assay_version = 0
        self.gtin: "Any" = None
        self.lot: "Any" = None
        self.serial: "Any" = None
        self.expiry: "Any" = None
        self.calibration: "Any" = None
        self.started: "Any" = None
        self.due: "Any" = None
        self.read: "Any" = None
        self.ambient: "Any" = None
        self.lowest: "Any" = None
        self.highest: "Any" = None
        self.battery_mv: "Any" = None
        self.checks = 0
        self.outcome: "Any" = None
        self.reason: "Any" = None
        self.algorithm = "none"
        self.analytes = []
        self.trace: "Any" = None
        self.control: "Any" = None  # of quality control: [material GTIN, level, material lot]
        self.control_of: "Any" = None  # the assay that the material is of
        self.quality: "Any" = None  # see reader.quality
        self.passed = False

    def take_control(self, assay, material, lot):
        """Test control material in the place of a specimen; `material` is [GTIN, level, …] of the assay's pack."""
        self.control = [material[0], material[1], lot]
        self.control_of = assay.id
        self.specimen = "QC " + material[1]

    def take_specimen(self, code):
        self.specimen = code
        self.control = self.control_of = None

    def take_assay(self, assay):
        self.assay = assay
        self.assay_id = assay.id
        self.assay_version = assay.version

    def fail(self, reason):
        """The outcome that `reason` stands beside, and nothing claimed for any analyte."""
        from reader import outcome

        self.outcome = outcome.outcome_of(reason)
        self.reason = reason
        self.analytes = []


def result(test, moment, firmware):
    """Plaintext of the record of a finished test, a person's or a quality control's; ValueError when its outcome and
    reason do not belong together.
    """
    from reader import outcome

    if not outcome.allowed(test.outcome, test.reason):
        raise ValueError("an outcome with a reason that is not its own")
    body = {
        wire.RES_SPECIMEN: label(test.specimen),
        wire.RES_ASSAY: label(test.assay_id),
        wire.RES_ASSAY_VERSION: test.assay_version,
        wire.RES_LOT: label(test.lot),
        wire.RES_SERIAL: label(test.serial),
        wire.RES_OPERATOR: label(test.operator),
        wire.RES_OUTCOME: test.outcome,
        wire.RES_REASON: test.reason,
        wire.RES_ALGORITHM: test.algorithm,
        wire.RES_ANALYTES: test.analytes,
        wire.RES_TRACE: test.trace,
        wire.RES_TIMES: [test.started, test.due, test.read],
        wire.RES_TEMPERATURES: [test.ambient, test.lowest, test.highest],
        wire.RES_BATTERY_MV: test.battery_mv,
        wire.RES_CHECKS: test.checks,
        wire.RES_GTIN: label(test.gtin),
        wire.RES_EXPIRY: test.expiry,
        wire.RES_CALIBRATION: label(test.calibration),
    }
    if test.control is None:
        return _record(wire.KIND_RESULT, moment, firmware, body)
    gtin, level, lot = test.control
    body[wire.RES_QC] = [gtin, label(level), wire.QC_PASSED if test.passed else wire.QC_FAILED, label(lot)]
    return _record(wire.KIND_QC, moment, firmware, body)


def event(code, moment, firmware, detail=None, numbers=()):
    """Plaintext of an event record; `numbers` are at most eight integers."""
    body = {wire.EVT_CODE: code, wire.EVT_DETAIL: label(detail), wire.EVT_NUMBERS: list(numbers)[:8]}
    return _record(wire.KIND_EVENT, moment, firmware, body)


def _record(kind, moment, firmware, body):
    return cbor.encode({wire.REC_KIND: kind, wire.REC_TIME: moment, wire.REC_FIRMWARE: firmware, wire.REC_BODY: body})


def strip_trace(pixels, step_um, white, dark):
    """Trace of a strip: `pixels` and `dark` one integer a pixel, `white` one level or one a pixel."""
    return {
        wire.TRACE_KIND: wire.TRACE_STRIP,
        wire.TRACE_STEP: step_um,
        wire.TRACE_COUNT: len(pixels),
        wire.TRACE_SAMPLES: delta.encode(pixels),
        wire.TRACE_WHITE: white if isinstance(white, int) else delta.encode(white),
        wire.TRACE_DARK: dark if isinstance(dark, int) else delta.encode(dark),
    }


def curve_trace(wells, count, step_ms, start_ms, temperatures):
    """Trace of an amplification: `wells` are arrays of which the first `count` samples count, as of
    `temperatures`.
    """
    return {
        wire.TRACE_KIND: wire.TRACE_CURVE,
        wire.TRACE_STEP: step_ms,
        wire.TRACE_COUNT: count,
        wire.TRACE_SAMPLES: [delta.encode(memoryview(well)[:count]) for well in wells],
        wire.TRACE_TEMPERATURES: delta.encode(memoryview(temperatures)[:count]),
        wire.TRACE_START: start_ms,
    }


def pending_note(test):
    """What is known of a test as it starts, for the record that the next start writes if the power is lost."""
    return cbor.encode(
        [
            test.specimen,
            test.assay_id,
            test.assay_version,
            test.lot,
            test.serial,
            test.operator,
            test.gtin,
            test.expiry,
            test.ambient,
            test.battery_mv,
            test.control,
        ]
    )


def lost_test(note, reason):
    """The Test of a note that outlived its test: an error with `reason`. Its times may belong to another start and stay
    None.
    """
    test = Test()
    kept: "Any" = cbor.decode(note)
    if len(kept) == 10:  # of firmware that knew no quality control
        kept.append(None)
    (
        test.specimen,
        test.assay_id,
        test.assay_version,
        test.lot,
        test.serial,
        test.operator,
        test.gtin,
        test.expiry,
        test.ambient,
        test.battery_mv,
        test.control,
    ) = kept
    test.fail(reason)
    return test
