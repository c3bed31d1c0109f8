"""What calls about results and the worklist take and answer."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from server.api.shapes import Hexadecimal, Label, OutcomeName, Paged, Shape, reason_of
from server.corrections import schemas as corrections
from server.corrections.schemas import Afterwards
from server.followup import schemas as follow_ups
from server.followup.schemas import FollowUpHistory, FollowUpShape
from server.patients.schemas import PatientShape, ResultRef
from server.quality import schemas as quality
from server.quality.schemas import SameCassetteShape, StandingShape
from server.results.models import Recomputation, Result, TimeBasis
from server.results.trace import CurveTrace, StripTrace
from server.worklist import holding, result_view, wording
from server.worklist.holding import Chain, Receipt
from server.worklist.repository import PAGE_ROWS, Found, Row
from server.worklist.service import Read


class WorklistName(StrEnum):
    """The lists of what waits for somebody: mine, everybody's, nobody's, and past its time."""

    MINE = "mine"
    TEAM = "team"
    UNOWNED = "unowned"
    OVERDUE = "overdue"


class ResultFilters(Paged):
    """What a list of results is narrowed to."""

    outcome: OutcomeName | None = None
    assay: Label | None = None


class FollowUpFilters(ResultFilters):
    """Which worklist, and what it is narrowed to."""

    view: WorklistName = WorklistName.MINE


class ReaderRef(Shape):
    id: Hexadecimal
    name: str


class ResultLine(Shape):
    """A result in a list. `reason` is "none" beside a plain answer; `recomputation` null until it was analysed here."""

    id: UUID
    specimen: str
    assay: str
    assay_version: int
    lot: str | None
    outcome: OutcomeName
    reason: str
    afterwards: Afterwards | None
    received_at: datetime
    tested_at: datetime | None
    tested_uncertainty_ms: int | None
    time_basis: TimeBasis
    site: str
    reader: ReaderRef
    conflict: bool
    recalled: bool
    recomputation: Recomputation | None
    acknowledged_by: str | None
    follow_up: FollowUpShape | None


class Results(Shape):
    """A page of results; `next_cursor` is null at the end."""

    items: list[ResultLine]
    next_cursor: str | None


class AcknowledgementAsked(Shape):
    """Negatives that were seen."""

    results: Annotated[list[UUID], Field(min_length=1, max_length=PAGE_ROWS)]


class NotAcknowledged(Shape):
    """A result that must be looked at on its own, and why."""

    result: UUID
    why: str


class AcknowledgementAnswer(Shape):
    acknowledged: list[UUID]
    refused: list[NotAcknowledged]


class AnalyteShape(Shape):
    """What was looked for. `value` and `error` are thousandths of `unit`; `in_words` says the same for people."""

    name: str
    outcome: OutcomeName
    reason: str
    value: int | None
    unit: str | None
    error: int | None
    in_words: str


class StripShape(Shape):
    """A strip's profile: raw counts, one a pixel of `step_um`; white and dark are one level or one a pixel."""

    kind: Literal["strip"] = "strip"
    step_um: int
    samples: list[int]
    white: int | list[int]
    dark: int | list[int]


class CurveShape(Shape):
    """An amplification: raw fluorescence counts, a list a well (specimen, then internal control where there is one).

    Sample i was taken `start_ms + i * step_ms` after heating began; temperatures are hundredths of a degree Celsius.
    """

    kind: Literal["curve"] = "curve"
    step_ms: int
    start_ms: int
    wells: list[list[int]]
    temperatures_cc: list[int]


TraceShape = Annotated[StripShape | CurveShape, Field(discriminator="kind")]


class Caution(Shape):
    """What must be seen before the outcome is relied on."""

    heading: str
    sentence: str


class CustodyShape(Shape):
    """The record of the result in its reader's chain, and how far its receipt has come."""

    number: int
    previous: Hexadecimal
    chain_hash: Hexadecimal
    received_at: datetime
    hub: ReaderRef
    held_to: int
    chain: Chain
    receipt: Receipt


class QualityShape(Shape):
    """Quality control of that reader when it did the test, and other tests that name the same cassette."""

    lot: StandingShape
    assay: StandingShape
    same_cassette: list[SameCassetteShape]


class RecallRef(Shape):
    """A recall that marked the result; lifted ones too."""

    id: UUID
    reason: str
    made_at: datetime
    lifted_at: datetime | None


class RecomputationShape(Shape):
    """The server's own analysis of the trace."""

    verdict: Recomputation
    at: datetime
    outcome: OutcomeName | None
    reason: str | None


class ResultShape(Shape):
    """One result with everything that says how far it can be trusted. Read `cautions` first.

    `patient` and `earlier` are there where the specimen is somebody's and the caller may read patients. Temperatures
    are hundredths of a degree Celsius; `*_ms` without a date are milliseconds since the reader started.
    """

    id: UUID
    specimen: str
    assay: str
    assay_version: int
    assay_name: str
    lot: str | None
    serial: str | None
    gtin: str | None
    expiry: str | None
    outcome: OutcomeName
    reason: str
    reason_in_words: str
    afterwards: Afterwards | None
    cautions: list[Caution]
    analytes: list[AnalyteShape]
    received_at: datetime
    tested_at: datetime | None
    tested_uncertainty_ms: int | None
    time_basis: TimeBasis
    started_ms: int | None
    due_ms: int | None
    read_ms: int | None
    operator: str | None
    site: str
    reader: ReaderRef
    firmware: str
    algorithm: str
    calibration: str | None
    ambient_cc: int | None
    lowest_cc: int | None
    highest_cc: int | None
    battery_mv: int | None
    failed_checks: list[str]
    recomputation: RecomputationShape | None
    trace: TraceShape | None
    no_trace: str
    custody: CustodyShape
    quality: QualityShape
    recalls: list[RecallRef]
    follow_up: FollowUpHistory | None
    patient: PatientShape | None
    earlier: list[ResultRef]


def line(row: Row) -> ResultLine:
    """A row of the worklist."""
    result = row.result
    return ResultLine(
        id=result.id,
        specimen=result.specimen,
        assay=result.assay,
        assay_version=result.assay_version,
        lot=result.lot,
        outcome=OutcomeName.of(result.outcome),
        reason=reason_of(result.reason),
        afterwards=corrections.of_standing(row.standing),
        received_at=result.received_at,
        tested_at=result.tested_at,
        tested_uncertainty_ms=result.tested_uncertainty_ms,
        time_basis=TimeBasis(result.time_basis),
        site=row.site,
        reader=ReaderRef(id=result.reader_id.hex(), name=row.reader),
        conflict=row.conflict,
        recalled=row.recalled,
        recomputation=Recomputation(result.recomputation) if result.recomputation else None,
        acknowledged_by=row.acknowledged_by,
        follow_up=follow_ups.follow_up(row.follow_up, row.owner) if row.follow_up else None,
    )


def result(
    read: Read, follow_up: FollowUpHistory | None, patient: PatientShape | None, earlier: list[ResultRef]
) -> ResultShape:
    """A result that was read."""
    found, row = read.found, read.found.result
    return ResultShape(
        id=row.id,
        specimen=row.specimen,
        assay=row.assay,
        assay_version=row.assay_version,
        assay_name=read.assay.name if read.assay else row.assay,
        lot=row.lot,
        serial=row.serial,
        gtin=row.gtin,
        expiry=row.expiry,
        outcome=OutcomeName.of(row.outcome),
        reason=reason_of(row.reason),
        reason_in_words=wording.reason(row.reason),
        afterwards=corrections.afterwards(read.history.current),
        cautions=[Caution(heading=one.heading, sentence=one.sentence) for one in result_view.warnings(read)],
        analytes=_analytes(row),
        received_at=row.received_at,
        tested_at=row.tested_at,
        tested_uncertainty_ms=row.tested_uncertainty_ms,
        time_basis=TimeBasis(row.time_basis),
        started_ms=row.started_ms,
        due_ms=row.due_ms,
        read_ms=row.read_ms,
        operator=row.operator,
        site=found.site,
        reader=ReaderRef(id=row.reader_id.hex(), name=found.reader.name),
        firmware=row.firmware,
        algorithm=row.algorithm,
        calibration=row.calibration,
        ambient_cc=row.ambient_cc,
        lowest_cc=row.lowest_cc,
        highest_cc=row.highest_cc,
        battery_mv=row.battery_mv,
        failed_checks=wording.checks(row.checks),
        recomputation=_recomputation(row),
        trace=_trace(read.trace),
        no_trace="" if read.trace else read.no_drawing,
        custody=_custody(found),
        quality=QualityShape(
            lot=quality.standing(read.beside.lot),
            assay=quality.standing(read.beside.assay),
            same_cassette=[quality.same_cassette(one) for one in read.beside.same_cassette],
        ),
        recalls=[
            RecallRef(id=one.id, reason=one.reason, made_at=one.made_at, lifted_at=one.lifted_at)
            for one in read.recalls
        ],
        follow_up=follow_up,
        patient=patient,
        earlier=earlier,
    )


def _analytes(row: Result) -> list[AnalyteShape]:
    return [
        AnalyteShape(
            name=one["name"],
            outcome=OutcomeName.of(one["outcome"]),
            reason=reason_of(one["reason"]),
            value=one["value"],
            unit=one["unit"],
            error=one["error"],
            in_words=result_view.in_words(one),
        )
        for one in row.analytes
    ]


def _recomputation(row: Result) -> RecomputationShape | None:
    if row.recomputation is None or row.recomputed_at is None:
        return None
    return RecomputationShape(
        verdict=Recomputation(row.recomputation),
        at=row.recomputed_at,
        outcome=OutcomeName.of(row.recomputed_outcome) if row.recomputed_outcome else None,
        reason=None if row.recomputed_reason is None else reason_of(row.recomputed_reason),
    )


def _trace(trace: StripTrace | CurveTrace | None) -> StripShape | CurveShape | None:
    match trace:
        case None:
            return None
        case StripTrace():
            return StripShape(step_um=trace.step_um, samples=trace.samples, white=trace.white, dark=trace.dark)
        case CurveTrace():
            return CurveShape(
                step_ms=trace.step_ms,
                start_ms=trace.start_ms,
                wells=trace.wells,
                temperatures_cc=trace.temperatures_cc,
            )


def _custody(found: Found) -> CustodyShape:
    record = found.record
    return CustodyShape(
        number=record.number,
        previous=record.previous.hex(),
        chain_hash=record.chain_hash.hex(),
        received_at=record.received_at,
        hub=ReaderRef(id=record.hub_id.hex(), name=found.hub),
        held_to=found.custody.held_to,
        chain=holding.chain(found),
        receipt=holding.receipt(found),
    )
