"""What pages show of registrations, in words."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from server.patients import nhs_number
from server.patients.forms import BIRTH, FIELDS
from server.patients.views import born
from server.registrations import opening
from server.registrations.models import Registration, Standing
from server.registrations.opening import Content
from server.web import formatting


@dataclass(frozen=True, slots=True)
class Line:
    """One that waits for a person."""

    id: str
    href: str
    specimen: str
    received: str
    why: str
    remedy: str


def line(row: Registration, zone: ZoneInfo) -> Line:
    remedy = opening.remedy(row.code) if row.state == Standing.QUARANTINED else ""
    received = formatting.date_and_time(row.received_at, zone)
    return Line(str(row.id), f"/people/registrations/{row.id}", row.specimen, received, row.sentence, remedy)


def said(content: Content, zone: ZoneInfo) -> list[tuple[str, str]]:
    """(name, value) of what a registration says; what it does not say is left out."""
    entry = content.entry
    rows = [
        ("Name", f"{entry.given} {entry.family}".strip()),
        ("Date of birth", born(entry.birth_date) if entry.birth_date else ""),
        ("NHS number", nhs_number.shown(entry.nhs_number) if entry.nhs_number else ""),
        ("Telephone", entry.phone),
        ("Email", entry.email),
        ("Address", ", ".join(part for part in (entry.address, entry.postcode) if part)),
        ("Language", entry.language),
        ("Local identifiers", ", ".join(content.local)),
        *consent(content.consent_asked, formatting.date_and_time(content.consent_at, zone), content.consent_by),
    ]
    return [row for row in rows if row[1]]


def consent(asked: str, when: str, by: str) -> list[tuple[str, str]]:
    """(name, value) of what somebody agreed to in the field."""
    return [("Agreed to", asked), ("Asked", f"{when} by {by}, by the clock of the laptop")]


def of_person(rows: list[Registration], zone: ZoneInfo) -> list[list[tuple[str, str]]]:
    """What a person agreed to at each of their registrations, and what else only these say."""
    return [
        [
            ("Specimen", row.specimen),
            *consent(row.consent_asked, formatting.date_and_time(row.consent_at, zone), row.consent_by),
            *([("Local identifiers", ", ".join(row.local_identifiers))] if row.local_identifiers else []),
        ]
        for row in rows
    ]


def fields(content: Content) -> dict[str, str]:
    """As the form that finds a person has them."""
    entry = content.entry
    found = {name: str(getattr(entry, name)) for name in FIELDS}
    if entry.birth_date:
        parts = (entry.birth_date.day, entry.birth_date.month, entry.birth_date.year)
        found |= dict(zip(BIRTH, map(str, parts), strict=True))
    return {**found, "specimen": content.specimen}
