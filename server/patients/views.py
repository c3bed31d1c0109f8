"""What pages show of people, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from server.patients import nhs_number
from server.patients.matching import Candidate, Likeness
from server.patients.models import Patient, PatientChange
from server.patients.repository import Unmatched
from server.results.models import Result
from server.web import formatting
from server.web.formatting import NOT_KNOWN
from server.worklist import wording
from server.worklist.wording import OutcomeWords

LIKENESS = {
    Likeness.SAME: "Very likely the same person",
    Likeness.LIKELY: "Likely the same person",
    Likeness.POSSIBLE: "Possibly the same person",
}
_CHANGES = {
    "registered": "Registered",
    "changed": "Changed",
    "merged": "Merged with another entry",
    "unmerged": "Taken apart again from another entry",
}


@dataclass(frozen=True, slots=True)
class PersonView:
    """`rows` are (name, value) of what is known."""

    id: str
    name: str
    rows: list[tuple[str, str]]
    safe_contact: str


@dataclass(frozen=True, slots=True)
class CandidateView:
    person: PersonView
    likeness: str
    agrees: str
    differs: str


@dataclass(frozen=True, slots=True)
class ResultLine:
    href: str
    specimen: str
    outcome: OutcomeWords
    assay: str
    when: str
    site: str
    flag: str = ""


def person(patient: Patient) -> PersonView:
    """Somebody, with what is not known left out but for what identifies them."""
    number = nhs_number.shown(patient.nhs_number) if patient.nhs_number else ""
    rows = [
        ("Date of birth", born(patient.birth_date)),
        ("NHS number", f"{number} (told by the person, not traced)" if number else NOT_KNOWN),
        ("Telephone", patient.phone),
        ("Email", patient.email),
        ("Address", ", ".join(part for part in (patient.address, patient.postcode) if part)),
        ("Language", patient.language),
    ]
    return PersonView(str(patient.id), full_name(patient), [row for row in rows if row[1]], patient.safe_contact)


def full_name(patient: Patient) -> str:
    """First and last name."""
    return f"{patient.given} {patient.family}".strip()


def born(birth_date: date | None) -> str:
    """`7 March 1980`, or `Not known`."""
    return f"{birth_date.day} {birth_date:%B %Y}" if birth_date else NOT_KNOWN


def candidate(found: Candidate, patient: Patient) -> CandidateView:
    """Whom it may be, and why."""
    return CandidateView(person(patient), LIKENESS[found.likeness], ", ".join(found.agrees), ", ".join(found.differs))


@dataclass(frozen=True, slots=True)
class Side:
    """One thing of two entries, and whether they agree, in words."""

    name: str
    one: str
    other: str
    standing: str


def side_by_side(one: Patient, other: Patient) -> list[Side]:
    """What is known of two entries, thing by thing; what is known of neither is left out."""
    shown = [
        (
            ("Name", full_name(entry)),
            ("Date of birth", born(entry.birth_date) if entry.birth_date else ""),
            ("NHS number", nhs_number.shown(entry.nhs_number) if entry.nhs_number else ""),
            ("Telephone", entry.phone),
            ("Email", entry.email),
            ("Address", ", ".join(part for part in (entry.address, entry.postcode) if part)),
            ("Language", entry.language),
            ("Reach them safely", entry.safe_contact),
        )
        for entry in (one, other)
    ]
    return [
        Side(name, left or NOT_KNOWN, right or NOT_KNOWN, _standing(left, right))
        for (name, left), (_, right) in zip(*shown, strict=True)
        if left or right
    ]


def _standing(left: str, right: str) -> str:
    if not left or not right:
        return "Known of one only"
    return "Same" if left.casefold() == right.casefold() else "Different"


def told_apart(patient: Patient, zone: ZoneInfo) -> str:
    """`Zoë O'Neill, registered 6 August 2026 at 5:30pm`: also where two have one name."""
    return f"{full_name(patient)}, registered {formatting.date_and_time(patient.created_at, zone)}"


def result_line(result: Result, site: str, zone: ZoneInfo, flag: str = "") -> ResultLine:
    """One of a person's results; `flag` is what was said of it after the reader."""
    return ResultLine(
        href=f"/results/{result.id}",
        specimen=result.specimen,
        outcome=wording.outcome(result.outcome),
        assay=wording.assay(result.assay, result.assay_version),
        when=formatting.date_and_time(result.tested_at or result.received_at, zone),
        site=site,
        flag=flag,
    )


def unmatched_line(one: Unmatched, zone: ZoneInfo, now: datetime) -> ResultLine:
    """A result of nobody yet."""
    return ResultLine(
        href=f"/results/{one.id}",
        specimen=one.specimen,
        outcome=wording.outcome(one.outcome),
        assay=wording.assay(one.assay, one.assay_version),
        when=formatting.day_and_time(one.tested_at or one.received_at, zone, now),
        site=one.site,
    )


def history(changes: Sequence[tuple[PatientChange, str]], zone: ZoneInfo) -> list[tuple[str, str, str]]:
    """(what, who, when), oldest first."""
    return [(_CHANGES[one.what], name, formatting.date_and_time(one.at, zone)) for one, name in changes]
