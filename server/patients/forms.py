"""What the forms about people hold, and what is said when something in one is wrong."""

import uuid as uuids
from collections.abc import Mapping
from datetime import date
from uuid import UUID

from server.patients.service import Entry, PersonRefused
from server.problems import NotFound, Problem

FIELDS = ("given", "family", "nhs_number", "phone", "email", "address", "postcode", "language", "safe_contact")
# As nhsuk-frontend names the three parts of a date.
BIRTH = ("birth[day]", "birth[month]", "birth[year]")


def entry(fields: Mapping[str, str]) -> Entry:
    """What a form says of a person. Raises `PersonRefused` for a date that is none."""
    return Entry(birth_date=_birth_date(fields), **{name: fields.get(name, "") for name in FIELDS})


def _birth_date(fields: Mapping[str, str]) -> date | None:
    parts = [fields.get(name, "").strip() for name in BIRTH]
    if not any(parts):
        return None
    try:
        if not all(part.isascii() and part.isdecimal() and len(part) <= 4 for part in parts):
            raise ValueError("a part is no number")
        day, month, year = (int(part) for part in parts)
        return date(year, month, day)
    except ValueError:
        sentence = "The date of birth needs a day, a month and a year, such as 7 3 1980. Leave all empty if not known."
        raise PersonRefused(sentence, extra={"field": "birth"}) from None


def sentence(problem: Problem | None) -> str:
    """What is wrong, in words; empty for nothing."""
    return f"{problem.title}. {problem.detail}" if problem else ""


def field(problem: Problem | None) -> str:
    """The id of the field that an error is about."""
    if problem is None:
        return ""
    if problem.code.startswith("nhs-number"):
        return "nhs_number"
    if problem.code == "one-is-not-enough":
        return "compared"
    named = str(problem.extra.get("field", "given"))
    return "birth-day" if named == "birth" else named


def uuid(text: str) -> UUID:
    """The id of a person in an address. Raises `NotFound`."""
    try:
        return uuids.UUID(text)
    except ValueError:
        raise NotFound("There is no such person in your organisation.") from None
