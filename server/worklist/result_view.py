"""What the page of one result shows, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from reader import quantity, wire
from server.assays import codes
from server.assays.service import Assay
from server.results.models import Result, TimeBasis
from server.web import formatting
from server.web.formatting import NOT_KNOWN
from server.web.plot import Drawing, draw
from server.worklist import holding, quality_view, wording
from server.worklist.holding import Chain, Receipt
from server.worklist.repository import Found
from server.worklist.service import Read
from server.worklist.traces import Table
from server.worklist.views import Alert, clock_doubtful, span
from server.worklist.wording import OutcomeWords

NO_CODE = "no code"  # never another outcome's, and never to be read as negative

# UCUM is ASCII; people write the micro sign.
_UNITS = {"ug/g": "µg/g", "ug/L": "µg/L", "ug/mL": "µg/mL"}


@dataclass(frozen=True, slots=True)
class Item:
    """A key and its value in a summary list, with a note in smaller type."""

    key: str
    value: str
    note: str = ""
    code: bool = False


@dataclass(frozen=True, slots=True)
class AnalyteView:
    name: str
    outcome: OutcomeWords
    value: str
    reason: str
    loinc: str
    snomed: str


@dataclass(frozen=True, slots=True)
class ResultView:
    id: str
    outcome: OutcomeWords
    reason: str
    specimen: str
    assay: str
    warnings: list[Alert]
    analytes: list[AnalyteView]
    test: list[Item]
    times: list[Item]
    people: list[Item]
    quality: list[Item]
    custody: list[Item]
    drawing: Drawing | None
    no_drawing: str
    tables: Sequence[Table]


def view(read: Read, zone: ZoneInfo) -> ResultView:
    """Everything on the page of one result."""
    found, assay, shown = read.found, read.assay, read.shown
    row = found.result
    check, _ = _check(row)
    return ResultView(
        id=str(row.id),
        outcome=wording.outcome(row.outcome),
        reason=wording.reason(row.reason),
        specimen=row.specimen,
        assay=_assay_name(row, assay),
        warnings=warnings(read),
        analytes=_analytes(row),
        test=_test(row, assay),
        times=_times(row, zone),
        people=_people(found),
        quality=[
            *(Item(*fact) for fact in quality_view.facts(read.beside, zone)),
            *_quality(row, check),
            *_lifted(read, zone),
        ],
        custody=_custody(found, zone),
        drawing=draw(shown.plot) if shown else None,
        no_drawing=read.no_drawing,
        tables=[table for table in (shown.measured, shown.samples) if table.rows] if shown else [],
    )


def warnings(read: Read) -> list[Alert]:
    """What must be seen before the outcome is relied on: of recalls, of quality control, and of the result itself."""
    check, differs = _check(read.found.result)
    own = _warnings(read.found, read.assay, check if differs else "")
    return _recalls(read) + quality_view.warnings(read.beside) + own


def _check(row: Result) -> tuple[str, bool]:
    said = (row.outcome, row.reason)
    return wording.recomputation(row.recomputation, row.recomputed_outcome, row.recomputed_reason, said)


def _assay_name(row: Result, assay: Assay | None) -> str:
    return assay.name if assay else wording.assay(row.assay, row.assay_version)


def _lifted(read: Read, zone: ZoneInfo) -> list[Item]:
    return [
        Item("Recall lifted", formatting.date_and_time(one.lifted_at, zone), f"{one.reason} Lifted: {one.why_lifted}")
        for one in read.recalls
        if one.lifted_at is not None
    ]


def _recalls(read: Read) -> list[Alert]:
    return [
        Alert(
            "Recalled: do not rely on this result",
            f"{one.reason} Test again, and tell whoever acted on it.",
            f"/recalls/{one.id}",
            "See the recall",
        )
        for one in read.recalls
        if one.lifted_at is None
    ]


def _warnings(found: Found, assay: Assay | None, check: str) -> list[Alert]:
    made: list[Alert] = []
    if assay is None:
        made.append(
            Alert(
                "The assay's definition is not known",
                f"This server has no {found.result.assay} version {found.result.assay_version}, so the outcome was not "
                "recomputed and nothing is known of its limits. Ask whoever runs Doorstep to load it.",
            )
        )
    elif assay.illustrative:
        made.append(
            Alert(
                "Illustrative values: not for clinical use",
                f"The limits of {assay.name}, version {assay.version}, are made up to show how Doorstep works: "
                "they are no manufacturer's. Do not treat anybody by this result.",
            )
        )
    if found.conflict:
        made.append(
            Alert(
                "Custody conflict",
                "Another record claims the same place in this reader's chain. Do not rely on this result until it has "
                "been looked into.",
                "/quarantine",
                "See what is quarantined",
            )
        )
    elif found.custody.forked_at is not None:
        made.append(
            Alert(
                "This reader's chain is forked",
                "Records of this reader do not follow one another. Look into it before you rely on them.",
            )
        )
    if check:
        made.append(Alert("The outcome was not confirmed", check))
    if clock_doubtful(found.result):
        made.append(
            Alert("The test time is not certain", "Do not judge by the date alone when this specimen was tested.")
        )
    if found.reader.revoked_at is not None:
        made.append(
            Alert(
                "This reader was revoked",
                "It is no longer trusted. Ask whoever runs Doorstep whether this result stands.",
            )
        )
    return made


def _analytes(row: Result) -> list[AnalyteView]:
    views: list[AnalyteView] = []
    for analyte in row.analytes:
        views.append(
            AnalyteView(
                name=analyte["name"],
                outcome=wording.outcome(analyte["outcome"]),
                value=in_words(analyte),
                reason=wording.reason(analyte["reason"]),
                loinc=codes.loinc(row.assay, analyte["name"]) or NO_CODE,
                snomed=codes.snomed(analyte["outcome"]) or NO_CODE,
            )
        )
    return views


def in_words(analyte: dict[str, Any]) -> str:
    """What was measured, in the words of its kind: how dark a line is, when a curve rose, or a concentration."""
    value, unit, error = analyte["value"], analyte["unit"], analyte["error"]
    if value is None:
        return ""
    if unit == "ppm":
        give = "" if error is None else f" (standard error {formatting.percent(error / 1000)})"
        return f"Line {formatting.percent(value / 1000)} darker than the membrane{give}"
    if unit == "min":
        give = "" if error is None else f" (standard error {formatting.duration(timedelta(milliseconds=error * 60))})"
        return f"Rose after {formatting.duration(timedelta(milliseconds=max(0, value) * 60))}{give}"
    unit = unit_in_words(unit)
    if analyte.get("beyond") == quantity.BELOW:
        return f"Below {formatting.measure(value, unit)} (the lowest reportable)"
    if analyte.get("beyond") == quantity.ABOVE:
        return f"Above {formatting.measure(value, unit)} (the highest reportable)"
    return formatting.measure(value, unit, error)


def unit_in_words(unit: str | None) -> str | None:
    """A unit as people write it."""
    return None if unit is None else _UNITS.get(unit, unit)


def _test(row: Result, assay: Assay | None) -> list[Item]:
    items = [
        Item("Specimen", row.specimen),
        Item("Assay", _assay_name(row, assay), f"{row.assay}, version {row.assay_version}"),
        Item("Lot", row.lot or NOT_KNOWN, _expiry(row.expiry)),
    ]
    if row.serial:
        items.append(Item("Serial number", row.serial))
    if row.gtin:
        items.append(Item("Trade item number", row.gtin))
    items.append(Item("Analysis", row.algorithm, f"Firmware {row.firmware}"))
    return items


def _expiry(text: str | None) -> str:
    """`Expires 6 August 2026` from YYMMDD (GS1 General Specifications, AI 17: day 00 is the end of the month)."""
    if text is None:
        return ""
    if len(text) != 6 or not text.isdigit():
        return f"Expiry {text}"
    try:
        if text[4:] == "00":
            return f"Expires at the end of {datetime.strptime(text[:4], '%y%m').replace(tzinfo=UTC):%B %Y}"
        return f"Expires {formatting.date(datetime.strptime(text, '%y%m%d').replace(tzinfo=UTC), ZoneInfo('UTC'))}"
    except ValueError:
        return f"Expiry {text}"


def _times(row: Result, zone: ZoneInfo) -> list[Item]:
    basis = wording.time_basis(row.time_basis)
    # A test that was never read, such as one that a power cut ended, has only the time of its record.
    name = "Tested" if row.read_ms is not None else "Recorded"
    if row.read_ms is None:
        basis = f"The test was not read; this is when the reader wrote its record. {basis}"
    if row.tested_at is None or row.time_basis == TimeBasis.RECEIVED:
        tested = Item(name, f"Before {formatting.date_and_time(row.received_at, zone)}", basis)
    else:
        certainty = formatting.uncertainty(span(row.tested_uncertainty_ms))
        tested = Item(name, f"{formatting.date_and_time(row.tested_at, zone)}, {certainty}", basis)
    source = wording.clock_source(row.clock_source)
    if row.wall_ms is None:
        said = Item("Reader's own clock", "Not set", "" if row.clock_source == wire.CLOCK_UNSET else source)
    else:
        certainty = formatting.uncertainty(span(row.wall_uncertainty_ms))
        said = Item("Reader's own clock", f"{_wall(row.wall_ms, zone)}, {certainty}", source)
    items = [tested, said]
    if row.started_ms is not None and row.read_ms is not None and row.read_ms >= row.started_ms:
        took = formatting.duration(timedelta(milliseconds=row.read_ms - row.started_ms))
        due = ""
        if row.due_ms is not None and row.due_ms >= row.started_ms:
            due = f"Due after {formatting.duration(timedelta(milliseconds=row.due_ms - row.started_ms))}"
        items.append(Item("From start to reading", took, due))
    items.append(Item("Received by the server", formatting.date_and_time(row.received_at, zone)))
    return items


def _wall(wall_ms: int, zone: ZoneInfo) -> str:
    """What the reader's clock said; a clock may say anything, even a year that no calendar here has."""
    try:
        return formatting.date_and_time(datetime.fromtimestamp(wall_ms / 1000, UTC), zone)
    except (ValueError, OverflowError, OSError):
        return "A date that cannot be right"


def _people(found: Found) -> list[Item]:
    row, reader = found.result, found.reader
    return [
        Item("Operator", row.operator or NOT_KNOWN),
        Item("Site", found.site),
        Item("Reader", reader.name, reader.reader_id.hex()),
        Item("Carried by hub", found.hub, row.hub_id.hex()),
    ]


def _quality(row: Result, check: str) -> list[Item]:
    failed = wording.checks(row.checks)
    if row.lowest_cc is None and row.highest_cc is None:
        range_ = "Not measured"
    else:
        range_ = f"{formatting.celsius(row.lowest_cc)} to {formatting.celsius(row.highest_cc)}"
    return [
        Item("Outcome recomputed", check),
        Item("Self-check", f"Failed: {', '.join(failed)}" if failed else "Every part passed"),
        Item("Room temperature", formatting.celsius(row.ambient_cc)),
        Item("Temperature during the test", range_),
        Item("Battery", formatting.volts(row.battery_mv)),
        Item("Calibration", row.calibration or NOT_KNOWN),
    ]


_CHAIN = {
    Chain.BROKEN_RECORD: "Broken: the stored record does not have the hash it was accepted under",
    Chain.BROKEN_LINK: "Broken: this record does not follow the one before it",
    Chain.IN_CONFLICT: "In conflict: another record claims number {number:,}",
    Chain.NOT_WHOLE: "Not whole yet: an earlier record is missing, the first is number {missing:,}",
    Chain.FIRST: "Whole: this is the first record of its reader",
    Chain.WHOLE: "Whole: records 1 to {held:,} are held, and this one follows the one before it",
}
_RECEIPT = {
    Receipt.NOT_YET: "Not yet. The reader keeps its copy.",
    Receipt.RELEASED: "The reader has it and may discard its copy",
    Receipt.ISSUED: "Issued. The reader keeps its copy until a hub brings the receipt.",
}


def _custody(found: Found, zone: ZoneInfo) -> list[Item]:
    record, held, number = found.record, found.custody.held_to, found.result.number
    chain = _CHAIN[holding.chain(found)].format(number=number, missing=held + 1, held=held)
    return [
        Item("Record number", f"{number:,}"),
        Item("Hash of the record before", formatting.hexadecimal(record.previous), code=True),
        Item("Hash of this record", formatting.hexadecimal(record.chain_hash), code=True),
        Item("Received", f"{formatting.date_and_time(record.received_at, zone)}, by way of {found.hub}"),
        Item("Receipt", _RECEIPT[holding.receipt(found)]),
        Item("Chain", chain),
    ]
