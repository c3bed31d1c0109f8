"""An organisation's results in the words of their tables, for the command line; the reading is audited first."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from reader import outcome
from server.assays import codes
from server.assays import service as assays
from server.audit import service as audit
from server.audit.service import Actor
from server.corrections import repository as corrections
from server.corrections.models import Correction, Kind
from server.results.models import Result

# Named rather than guessed, so that a code this server does not know is never taken for another.
UNKNOWN = "unknown"
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Exported:
    """One result. `value` is the first analyte's in `unit`, the record's thousandths divided out.

    It is None where there is none and where the test is not valid. `loinc` is the code of the analyte where there is
    just one, `snomed` that of the outcome; both are None where there is none, and that says nothing of the outcome.
    `illustrative` is None where the assay's version is not known. `corrected` is None where the reader's word stands,
    else "withdrawn" or the outcome that it was corrected to.
    """

    id: str
    reader_id: str
    number: int
    specimen: str
    assay: str
    outcome: str
    reason: str
    value: float | None
    unit: str | None
    tested_at: str | None
    tested_uncertainty_ms: int | None
    received_at: str
    recomputation: str | None
    assay_version: int
    firmware: str
    illustrative: bool | None
    loinc: str | None
    snomed: str | None
    analytes: list["ExportedAnalyte"]
    corrected: str | None = None


@dataclass(frozen=True, slots=True)
class ExportedAnalyte:
    """One analyte in its own words, with its codes where it has any."""

    name: str
    outcome: str
    value: float | None
    unit: str | None
    loinc: str | None
    snomed: str | None


async def export(session: AsyncSession, actor: Actor, organisation_id: UUID) -> list[Exported]:
    """At most 10,000 results, oldest first, of the organisation that the session is bound to."""
    await audit.record(
        session,
        organisation_id=organisation_id,
        actor=actor,
        action="result.export",
        purpose="command line",
        subject_kind="organisation",
        subject=str(organisation_id),
    )
    query = select(Result).order_by(col(Result.received_at), col(Result.reader_id), col(Result.number)).limit(_MOST)
    known = {(one.assay.id, one.assay.version): one.assay.illustrative for one in await assays.catalogue(session)}
    found = (await session.exec(query)).all()
    corrected = await corrections.current(session, [result.id for result in found])
    return [
        _exported(result, known.get((result.assay, result.assay_version)), corrected.get(result.id)) for result in found
    ]


def _exported(result: Result, illustrative: bool | None, last: Correction | None) -> Exported:
    value, unit = _value(result)
    analytes = [_analyte(result.assay, one) for one in result.analytes]
    return Exported(
        str(result.id),
        result.reader_id.hex(),
        result.number,
        result.specimen,
        result.assay,
        _outcome(result.outcome),
        _reason(result.reason),
        value,
        unit,
        result.tested_at.isoformat() if result.tested_at else None,
        result.tested_uncertainty_ms,
        result.received_at.isoformat(),
        result.recomputation,
        result.assay_version,
        result.firmware,
        illustrative,
        analytes[0].loinc if len(analytes) == 1 else None,
        codes.snomed(result.outcome),
        analytes,
        _corrected(last),
    )


def _corrected(last: Correction | None) -> str | None:
    if last is None or last.kind == Kind.RESTORED:
        return None
    return str(Kind.WITHDRAWN) if last.outcome is None else _outcome(last.outcome)


def _analyte(assay: str, one: dict[str, Any]) -> ExportedAnalyte:
    return ExportedAnalyte(
        name=one["name"],
        outcome=_outcome(one["outcome"]),
        value=None if one["value"] is None else one["value"] / 1000,
        unit=one["unit"],
        loinc=codes.loinc(assay, one["name"]),
        snomed=codes.snomed(one["outcome"]),
    )


def _outcome(code: int) -> str:
    return outcome.outcome_name(code) if code in outcome.OUTCOMES else UNKNOWN


def _reason(code: int) -> str:
    try:
        return outcome.reason_name(code)
    except KeyError:
        return UNKNOWN


def _value(result: Result) -> tuple[float | None, str | None]:
    # What an invalid or failed test measured is evidence on its page, not a value.
    if result.outcome in (outcome.INVALID, outcome.ERROR) or not result.analytes:
        return None, None
    first = result.analytes[0]
    return (None, None) if first["value"] is None else (first["value"] / 1000, first["unit"])
