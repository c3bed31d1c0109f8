"""What pages show of recalls, in words."""

from dataclasses import dataclass
from uuid import UUID
from zoneinfo import ZoneInfo

from server.followup import states
from server.followup.states import Ending, State
from server.patients import views as people_views
from server.recalls.models import Recall
from server.recalls.repository import Affected, Listed, Scope, Touched
from server.web import formatting
from server.worklist import wording

DID = {
    "opened": "Follow-up opened",
    "reopened": "Follow-up opened again",
    "open": "Was being followed up",
    "marked": "Nothing to follow up: it gave no result",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A recall in the list of them."""

    id: UUID
    what: str
    standing: str
    in_force: bool
    results: str
    made: str


@dataclass(frozen=True, slots=True)
class Person:
    """A recalled result in the list of people."""

    href: str
    specimen: str
    name: str
    person_href: str
    facts: list[str]
    outcome: wording.OutcomeWords
    assay: str
    tested: str
    site: str
    follow_up: str


def what(scope: Scope, reader: str | None, zone: ZoneInfo) -> list[tuple[str, str]]:
    """What a recall is of: (key, value) for each thing that is given."""
    facts = [
        ("Lot", scope.lot or ""),
        ("Reader", f"{reader or ''} ({scope.reader_id.hex()})" if scope.reader_id else ""),
        ("Firmware version", scope.firmware or ""),
        ("Algorithm version", scope.algorithm or ""),
        ("Tested from", formatting.date(scope.tested_from, zone) if scope.tested_from else ""),
        ("Tested to", formatting.date(scope.tested_to, zone) if scope.tested_to else ""),
    ]
    return [fact for fact in facts if fact[1]]


def sentence(scope: Scope, reader: str | None, zone: ZoneInfo) -> str:
    """`Lot LOT1, tested from 3 August 2026`."""
    said = ", ".join(f"{key[0].lower()}{key[1:]} {value}" for key, value in what(scope, reader, zone))
    return said[0].upper() + said[1:]


def touched(found: Touched) -> list[tuple[str, str]]:
    """How many results and people, by outcome."""
    return [
        ("Results", f"{found.results:,}"),
        ("People", f"{found.people:,}"),
        ("Results of nobody that is known", f"{found.unknown:,}"),
        ("Positive", f"{found.positive:,}"),
        ("Negative", f"{found.negative:,}"),
        ("Indeterminate", f"{found.indeterminate:,}"),
        ("Invalid or error: marked, not followed up", f"{found.no_result:,}"),
    ]


def line(listed: Listed, zone: ZoneInfo) -> Line:
    recall = listed.recall
    return Line(
        recall.id,
        sentence(Scope.of(recall), listed.reader, zone),
        standing(recall, zone),
        recall.lifted_at is None,
        formatting.count(listed.results, "result"),
        f"{formatting.date_and_time(recall.made_at, zone)} by {listed.made_by}",
    )


def standing(recall: Recall, zone: ZoneInfo) -> str:
    """Whether it is in force, and how far it has come."""
    if recall.lifted_at is not None:
        return f"Lifted on {formatting.date_and_time(recall.lifted_at, zone)}"
    if recall.whole_at is not None:
        return "In force"
    if recall.looked_to is None:
        return "In force, about to look through the results"
    return f"In force, looked through what arrived until {formatting.date_and_time(recall.looked_to, zone)}"


def person(one: Affected, zone: ZoneInfo) -> Person:
    result, patient = one.result, one.patient
    facts: list[str] = []
    if patient is not None:
        shown = people_views.person(patient)
        facts = [f"{key}: {value}" for key, value in shown.rows if value != formatting.NOT_KNOWN]
        if shown.safe_contact:
            facts.append(f"Reach them safely: {shown.safe_contact}")
    return Person(
        href=f"/results/{result.id}",
        specimen=result.specimen,
        name=people_views.full_name(patient) if patient else "",
        person_href=f"/people/{patient.id}" if patient else "",
        facts=facts,
        outcome=wording.outcome(result.outcome),
        assay=wording.assay(result.assay, result.assay_version),
        tested=_tested(one, zone),
        site=one.site,
        follow_up=_follow_up(one),
    )


FILE_HEAD = (
    "Specimen", "Assay", "Outcome", "Tested", "Received", "Site", "Lot", "Last name", "First name", "Date of birth",
    "NHS number", "Telephone", "Email", "How to reach them safely", "What the recall did", "Follow-up", "Result",
)  # fmt: skip


def file_row(one: Affected) -> list[str]:
    """A line of the file; times are in UTC (RFC 3339)."""
    result, patient = one.result, one.patient
    whose = [""] * 7
    if patient is not None:
        born = patient.birth_date.isoformat() if patient.birth_date else ""
        whose = [
            patient.family, patient.given, born, patient.nhs_number or "", patient.phone, patient.email,
            patient.safe_contact,
        ]  # fmt: skip
    return [
        result.specimen,
        result.assay,
        wording.outcome(result.outcome).word,
        result.tested_at.isoformat() if result.tested_at else "",
        result.received_at.isoformat(),
        one.site,
        result.lot or "",
        *whose,
        DID[one.did],
        _follow_up(one),
        str(result.id),
    ]


def _tested(one: Affected, zone: ZoneInfo) -> str:
    if one.result.tested_at is None:
        return f"Before {formatting.date_and_time(one.result.received_at, zone)}"
    return formatting.date_and_time(one.result.tested_at, zone)


def _follow_up(one: Affected) -> str:
    if one.follow_up is None:
        return "None needed"
    if one.follow_up.ending:
        return states.ENDINGS[Ending(one.follow_up.ending)]
    return states.WORDS[State(one.follow_up.state)]
