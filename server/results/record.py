"""The plaintext of a record, read strictly: what is not exactly of the protocol is not understood, never guessed.

Shapes are those of docs/protocol.cddl. Only what this module has passed reaches a table that a person reads.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from reader import outcome as outcomes
from reader import wire
from server.custody import cbor
from server.results import usual

LABEL_BYTES_MAX = 64
COUNT_MAX = 1_024
_BIGINT_MAX = 2**63 - 1
_INT_MAX = 2**31 - 1
# Asked twice a record, of a few dozen pairs.
_allowed = lru_cache(maxsize=1_024)(outcomes.allowed)
_CLOCKS = (wire.CLOCK_UNSET, wire.CLOCK_RTC, wire.CLOCK_HUB, wire.CLOCK_SERVER)


class NotUnderstood(Exception):
    """An authentic record that is not of this protocol, or of a newer one. The text names what, never a value."""


@dataclass(slots=True)  # made by the thousand, and a frozen one takes five times as long to make
class Moment:
    """When, by the reader: milliseconds since the start that `boot_id` names, and its wall clock where it had one."""

    boot_id: bytes
    uptime_ms: int
    wall_ms: int | None
    source: int
    uncertainty_ms: int | None


@dataclass(slots=True)  # made by the thousand, and a frozen one takes five times as long to make
class Analyte:
    """One analyte. `value` and `error` are times 1000, in `unit`; `beyond` is 1 below the reportable range, 2 above."""

    name: str
    outcome: int
    reason: int
    value: int | None
    unit: str | None
    error: int | None
    beyond: int = 0


@dataclass(slots=True)  # made by the thousand, and a frozen one takes five times as long to make
class ResultRecord:
    """A test result as the reader journalled it. `trace` is the trace map as it came, its shape checked."""

    moment: Moment
    firmware: str
    specimen: str
    assay: str
    assay_version: int
    lot: str | None
    serial: str | None
    operator: str | None
    outcome: int
    reason: int
    algorithm: str
    analytes: tuple[Analyte, ...]
    trace: dict[int, Any] | None
    started_ms: int | None
    due_ms: int | None
    read_ms: int | None
    ambient_cc: int | None
    lowest_cc: int | None
    highest_cc: int | None
    battery_mv: int | None
    checks: int
    gtin: str | None
    expiry: str | None
    calibration: str | None


@dataclass(frozen=True, slots=True)
class QcRecord:
    """A quality-control test: nobody's result. `test` is what was measured of the control material, of `level`;
    `passed` is the reader's own verdict."""

    test: ResultRecord
    material: str
    material_lot: str | None
    level: str
    passed: bool


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event as the reader journalled it."""

    moment: Moment
    firmware: str
    code: int
    detail: str | None
    numbers: tuple[int, ...]


def understand(plaintext: bytes) -> ResultRecord | EventRecord | QcRecord:
    """Read a record's plaintext. Raises `NotUnderstood`."""
    try:
        content = cbor.loads(plaintext) if usual.is_usual(plaintext) else cbor.decode(plaintext)
    except (cbor.NotCbor, cbor.TooDeep, cbor.TooMany) as error:
        raise NotUnderstood(f"The record's content is not the protocol's CBOR: {error}") from None
    kind, moment, firmware, body = _fields(
        content, "record", (wire.REC_KIND, wire.REC_TIME, wire.REC_FIRMWARE, wire.REC_BODY)
    )
    when, software = _moment(moment), _label(firmware, "firmware")
    if kind == wire.KIND_RESULT and type(kind) is int:
        return _result(when, software, body)
    if kind == wire.KIND_EVENT and type(kind) is int:
        return _event(when, software, body)
    if kind == wire.KIND_QC and type(kind) is int:
        return _quality_control(when, software, body)
    raise NotUnderstood("The record is neither a result nor an event nor a quality-control test.")


_RESULT = tuple(range(wire.RES_SPECIMEN, wire.RES_CALIBRATION + 1))
_VERDICTS = {wire.QC_PASSED: True, wire.QC_FAILED: False}


def _quality_control(moment: Moment, firmware: str, body: Any) -> QcRecord:
    if not isinstance(body, dict) or wire.RES_QC not in body:
        raise NotUnderstood("The quality-control test does not say what was tested.")
    fields = cast("dict[Any, Any]", body)
    material, level, verdict, material_lot = _array(fields[wire.RES_QC], 4, "quality control")
    test = _result(moment, firmware, {name: value for name, value in fields.items() if name != wire.RES_QC})
    if type(verdict) is not int or verdict not in _VERDICTS:
        raise NotUnderstood("The verdict of the quality control is neither passed nor failed.")
    passed = _VERDICTS[verdict]
    if passed and test.outcome not in (outcomes.POSITIVE, outcomes.NEGATIVE, outcomes.INDETERMINATE):
        raise NotUnderstood("A quality control that gave no answer cannot have passed.")
    return QcRecord(
        test,
        _label(material, "material"),
        _label_or_none(material_lot, "material's lot"),
        _label(level, "level"),
        passed,
    )


def _result(moment: Moment, firmware: str, body: Any) -> ResultRecord:
    (
        specimen, assay, assay_version, lot, serial, operator, outcome, reason, algorithm, analytes, trace, times,
        temperatures, battery_mv, checks, gtin, expiry, calibration,
    ) = _fields(body, "result", _RESULT)  # fmt: skip
    _check_outcome(outcome, reason, "result")
    started_ms, due_ms, read_ms = (_uint_or_none(value, "time") for value in _array(times, 3, "times"))
    ambient, lowest, highest = (_int_or_none(value, "temperature") for value in _array(temperatures, 3, "temperatures"))
    if not isinstance(analytes, list) or len(cast("list[Any]", analytes)) > 8:
        raise NotUnderstood("The analytes are not a list of at most 8.")
    # By position: by name it would take as long again as all the checks.
    return ResultRecord(
        moment,
        firmware,
        _label(specimen, "specimen"),
        _label(assay, "assay"),
        _uint(assay_version, "assay version"),
        _label_or_none(lot, "lot"),
        _label_or_none(serial, "serial"),
        _label_or_none(operator, "operator"),
        outcome,
        reason,
        _label(algorithm, "algorithm"),
        tuple(_analyte(analyte) for analyte in cast("list[Any]", analytes)),
        None if trace is None else _trace(trace),
        started_ms,
        due_ms,
        read_ms,
        ambient,
        lowest,
        highest,
        None if battery_mv is None else _uint(battery_mv, "battery", _INT_MAX),
        _uint(checks, "self-check"),
        _label_or_none(gtin, "GTIN"),
        _label_or_none(expiry, "expiry"),
        _label_or_none(calibration, "calibration"),
    )


def _event(moment: Moment, firmware: str, body: Any) -> EventRecord:
    code, detail, numbers = _fields(body, "event", (wire.EVT_CODE, wire.EVT_DETAIL, wire.EVT_NUMBERS))
    if not isinstance(numbers, list) or len(cast("list[Any]", numbers)) > 8:
        raise NotUnderstood("The event's numbers are not a list of at most 8.")
    whole = tuple(cast("list[Any]", numbers))
    if not all(type(number) is int and -_BIGINT_MAX <= number <= _BIGINT_MAX for number in whole):
        raise NotUnderstood("A number of the event is not an integer that can be kept.")
    # Codes beyond those known today are kept: an event decides nothing.
    event_code = _uint(code, "event code", 255)
    if event_code == 0:
        raise NotUnderstood("The event's code is 0.")
    return EventRecord(moment, firmware, event_code, _label_or_none(detail, "detail"), whole)


def _analyte(value: Any) -> Analyte:
    beyond = 0
    if isinstance(value, list) and len(cast("list[Any]", value)) == 7:
        *value, beyond = cast("list[Any]", value)
        if type(beyond) is not int or beyond not in (1, 2) or value[3] is None:
            raise NotUnderstood("An analyte is neither below nor above its reportable range.")
    name, outcome, reason, measured, unit, error = _array(value, 6, "analyte")
    _check_outcome(outcome, reason, "analyte")
    if measured is not None and (type(measured) is not int or not -_BIGINT_MAX <= measured <= _BIGINT_MAX):
        raise NotUnderstood("An analyte's value is not an integer that can be kept.")
    return Analyte(
        _label(name, "analyte"),
        outcome,
        reason,
        measured,
        _label_or_none(unit, "unit"),
        _uint_or_none(error, "standard error"),
        beyond,
    )


def _check_outcome(outcome: Any, reason: Any, what: str) -> None:
    """Outcome and reason are of the closed set and may stand together: nothing unknown becomes an answer."""
    if type(outcome) is not int or type(reason) is not int or not _allowed(outcome, reason):
        raise NotUnderstood(f"The {what}'s outcome and reason are not ones that may stand together.")


def _moment(value: Any) -> Moment:
    boot_id, uptime_ms, wall_ms, source, uncertainty_ms = _array(value, 5, "time")
    if not isinstance(boot_id, bytes) or len(boot_id) != wire.BOOT_ID_BYTES:
        raise NotUnderstood("The boot id is not 8 bytes.")
    if type(source) is not int or source not in _CLOCKS:
        raise NotUnderstood("The source of the clock is not known.")
    return Moment(
        boot_id,
        _uint(uptime_ms, "uptime"),
        _uint_or_none(wall_ms, "wall clock"),
        source,
        _uint_or_none(uncertainty_ms, "clock's uncertainty"),
    )


_STRIP_TRACE = {
    wire.TRACE_KIND, wire.TRACE_STEP, wire.TRACE_COUNT, wire.TRACE_SAMPLES, wire.TRACE_WHITE, wire.TRACE_DARK,
}  # fmt: skip
_CURVE_TRACE = {
    wire.TRACE_KIND, wire.TRACE_STEP, wire.TRACE_COUNT, wire.TRACE_SAMPLES, wire.TRACE_TEMPERATURES, wire.TRACE_START,
}  # fmt: skip


def _trace(value: Any) -> dict[int, Any]:
    if not isinstance(value, dict):
        raise NotUnderstood("The trace is not a map.")
    trace = cast("dict[int, Any]", value)
    count = _uint(trace.get(wire.TRACE_COUNT), "trace's count", COUNT_MAX)
    _uint(trace.get(wire.TRACE_STEP), "trace's step")
    if trace.keys() == _STRIP_TRACE and trace[wire.TRACE_KIND] == wire.TRACE_STRIP:
        samples: list[Any] = [trace[wire.TRACE_SAMPLES]]
        for name in (wire.TRACE_WHITE, wire.TRACE_DARK):
            if not isinstance(trace[name], bytes):
                _uint(trace[name], "trace's reference")
    elif trace.keys() == _CURVE_TRACE and trace[wire.TRACE_KIND] == wire.TRACE_CURVE:
        samples = trace[wire.TRACE_SAMPLES] if isinstance(trace[wire.TRACE_SAMPLES], list) else []
        _uint(trace[wire.TRACE_START], "trace's start")
        if not isinstance(trace[wire.TRACE_TEMPERATURES], bytes) or not 1 <= len(samples) <= 2:
            raise NotUnderstood("The curve's wells or temperatures are not of the protocol.")
    else:
        raise NotUnderstood("The trace is neither a strip's nor a curve's.")
    if count == 0 or not all(isinstance(one, bytes) and samples_in(one) == count for one in samples):
        raise NotUnderstood("The trace does not hold as many samples as it says.")
    return trace


_CONTINUED = bytes(range(128, 256))


def samples_in(coded: bytes) -> int:
    """How many samples delta-coded bytes hold: one for each byte without the top bit. -1 when the last is cut short."""
    if coded and coded[-1] > 127:
        return -1
    return len(coded.translate(None, _CONTINUED))


def _fields(value: Any, what: str, names: tuple[int, ...]) -> list[Any]:
    """The values of a map that has just those keys, in that order."""
    if not isinstance(value, dict):
        raise NotUnderstood(f"The {what} is not a map.")
    found = cast("dict[Any, Any]", value)
    if len(found) != len(names):
        raise NotUnderstood(f"The {what} does not hold just what the protocol names.")
    try:
        return [found[name] for name in names]
    except KeyError:
        raise NotUnderstood(f"The {what} does not hold just what the protocol names.") from None


def _array(value: Any, length: int, what: str) -> list[Any]:
    if not isinstance(value, list) or len(cast("list[Any]", value)) != length:
        raise NotUnderstood(f"The {what} is not an array of {length}.")
    return cast("list[Any]", value)


def _label(value: Any, what: str) -> str:
    # The database cannot hold U+0000.
    if not isinstance(value, str) or len(value.encode()) > LABEL_BYTES_MAX or "\0" in value:
        raise NotUnderstood(f"The {what} is not a text of at most {LABEL_BYTES_MAX} bytes.")
    return value


def _label_or_none(value: Any, what: str) -> str | None:
    return None if value is None else _label(value, what)


def _uint(value: Any, what: str, largest: int = _BIGINT_MAX) -> int:
    if type(value) is not int or not 0 <= value <= largest:
        raise NotUnderstood(f"The {what} is not a number that can be kept.")
    return value


def _uint_or_none(value: Any, what: str) -> int | None:
    return None if value is None else _uint(value, what)


def _int_or_none(value: Any, what: str) -> int | None:
    if value is not None and (type(value) is not int or not -_INT_MAX <= value <= _INT_MAX):
        raise NotUnderstood(f"The {what} is not a number that can be kept.")
    return value
