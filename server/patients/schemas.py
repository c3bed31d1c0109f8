"""What calls about people and specimens take and answer."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from server.api.shapes import Day, Label, Line, OutcomeName, Shape, Version
from server.corrections.models import Correction
from server.corrections.schemas import Afterwards, afterwards
from server.patients.matching import Candidate, Likeness
from server.patients.models import Patient, PatientChange
from server.patients.repository import Unmatched
from server.patients.service import NEEDED, Entry
from server.results.models import Result


class LikenessName(StrEnum):
    """How likely two are one; one identifier alone never makes more than *possible*."""

    POSSIBLE = "possible"
    LIKELY = "likely"
    SAME = "same"


class ChangeName(StrEnum):
    """What was done to a person's entry."""

    REGISTERED = "registered"
    CHANGED = "changed"
    MERGED = "merged"
    UNMERGED = "unmerged"


class NhsNumberStatus(StrEnum):
    """*given*: told by the person, and not traced."""

    NOT_GIVEN = "not-given"
    GIVEN = "given"


class Identifier(StrEnum):
    """What can be compared before a specimen is said to be somebody's."""

    NAME = "name"
    BIRTH_DATE = "birth-date"
    NHS_NUMBER = "nhs-number"
    ADDRESS = "address"
    PHONE = "phone"


class EntryShape(Shape):
    """What is said of a person; empty where it is not known. A name is needed. Numbers may hold spaces."""

    given: Line = ""
    family: Line = ""
    birth_date: Day | None = None
    nhs_number: Line = ""
    phone: Line = ""
    email: Line = ""
    address: Line = ""
    postcode: Line = ""
    language: Line = ""
    safe_contact: Line = Field(default="", description="How they can be reached without harm to them.")


class ChangeAsked(Shape):
    """A person's whole entry as it is to be."""

    version: Version
    entry: EntryShape


class PatientShape(Shape):
    """One person as the organisation knows them."""

    id: UUID
    version: int
    given: str
    family: str
    birth_date: date | None
    nhs_number: str | None
    nhs_status: NhsNumberStatus
    phone: str
    email: str
    address: str
    postcode: str
    language: str
    safe_contact: str
    created_at: datetime
    merged_into: UUID | None


class CandidateShape(Shape):
    """Somebody it may be, what agrees and what does not."""

    patient: PatientShape
    likeness: LikenessName
    score: int
    agrees: list[str]
    differs: list[str]


class Candidates(Shape):
    """Whom the details may be of, the likeliest first, at most ten."""

    items: list[CandidateShape]


class ChangeShape(Shape):
    """What was done to a person's entry; `patient` says to whose, where two were merged."""

    at: datetime
    what: ChangeName
    by: str
    patient: UUID
    other: UUID | None


class ResultRef(Shape):
    """One of a person's results."""

    id: UUID
    specimen: str
    assay: str
    assay_version: int
    outcome: OutcomeName
    afterwards: Afterwards | None
    received_at: datetime
    tested_at: datetime | None
    site: str


class PatientWhole(Shape):
    """A person with their newest fifty results, and what was done to their entry, oldest first.

    Of somebody who was merged into another, it is the person that they are now.
    """

    patient: PatientShape
    results: list[ResultRef]
    changes: list[ChangeShape]


class UnmatchedResults(Shape):
    """A page of results whose specimen is nobody's yet; `next_cursor` is null at the end."""

    items: list[ResultRef]
    next_cursor: str | None


class PatientRef(Shape):
    """An entry that was acted on, and its version now: who may only write reads nothing by writing."""

    id: UUID
    version: int


class MergeAsked(Shape):
    """Into whom the person is merged."""

    into: UUID


class SpecimenAsked(Shape):
    specimen: Label


class LinkAsked(Shape):
    """Whose a specimen is, and what was compared: two things at least."""

    specimen: Label
    patient: UUID
    compared: Annotated[list[Identifier], Field(min_length=NEEDED, max_length=len(Identifier))]


class LinkShape(Shape):
    """A specimen that is somebody's."""

    id: UUID
    specimen: str
    patient: UUID
    linked_at: datetime


class UnlinkAsked(Shape):
    """Why a specimen is not the person's that it was said to be."""

    specimen: Label
    why: Annotated[Line, Field(min_length=1)]


class Unlinked(Shape):
    """The link that was ended; it stays on record."""

    id: UUID


def entry(asked: EntryShape) -> Entry:
    """As the service takes it."""
    return Entry(**asked.model_dump())


def patient(row: Patient) -> PatientShape:
    return PatientShape(
        id=row.id,
        version=row.version,
        given=row.given,
        family=row.family,
        birth_date=row.birth_date,
        nhs_number=row.nhs_number,
        nhs_status=NhsNumberStatus(row.nhs_status),
        phone=row.phone,
        email=row.email,
        address=row.address,
        postcode=row.postcode,
        language=row.language,
        safe_contact=row.safe_contact,
        created_at=row.created_at,
        merged_into=row.merged_into,
    )


def candidate(found: Candidate, row: Patient) -> CandidateShape:
    return CandidateShape(
        patient=patient(row),
        likeness=LikenessName(Likeness(found.likeness).name.lower()),
        score=found.score,
        agrees=list(found.agrees),
        differs=list(found.differs),
    )


def change(row: PatientChange, who: str) -> ChangeShape:
    return ChangeShape(at=row.at, what=ChangeName(row.what), by=who, patient=row.patient_id, other=row.other_id)


def result_ref(row: Result | Unmatched, site: str, corrected: Correction | None) -> ResultRef:
    return ResultRef(
        id=row.id,
        specimen=row.specimen,
        assay=row.assay,
        assay_version=row.assay_version,
        outcome=OutcomeName.of(row.outcome),
        afterwards=afterwards(corrected),
        received_at=row.received_at,
        tested_at=row.tested_at,
        site=site,
    )
