"""Ranks who somebody may be, on several identifiers together: a pure comparison that never decides by one alone.

Names are compared without case, accents and the marks between their parts, and a name and surname that changed places
still agree; a birth date agrees, disagrees, or may be a slip (day and month changed places, one digit differs).
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Details:
    """What is known of a person; empty where it is not."""

    given: str = ""
    family: str = ""
    birth_date: date | None = None
    nhs_number: str = ""
    phone: str = ""
    postcode: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody who is registered."""

    id: UUID
    details: Details


class Likeness(IntEnum):
    """How likely two are one, best last."""

    UNLIKELY = 0
    POSSIBLE = 1
    LIKELY = 2
    SAME = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody it may be, and what agrees and what does not, in words."""

    id: UUID
    likeness: Likeness
    score: int
    agrees: tuple[str, ...]
    differs: tuple[str, ...]


# Points when a thing agrees and when it does not; what is not known on either side counts nothing.
_WEIGHTS = {
    "NHS number": (8, -8),
    "birth date": (4, -6),
    "family name": (3, -2),
    "given name": (2, -1),
    "phone": (3, 0),
    "postcode": (2, 0),
}
_SLIP = 1
LIMIT = 10


def ranked(wanted: Details, known: Iterable[Known]) -> list[Candidate]:
    """Those it may be, the likeliest first, at most `LIMIT`."""
    found = [candidate for one in known if (candidate := compare(wanted, one)).likeness > Likeness.UNLIKELY]
    found.sort(key=lambda one: (-one.likeness, -one.score, str(one.id)))
    return found[:LIMIT]


def compare(wanted: Details, known: Known) -> Candidate:
    """How likely `known` is the person with those details."""
    score, agrees, differs = 0, list[str](), list[str]()
    for name, same in _compared(wanted, known.details).items():
        if same is None:
            continue
        for_it, against = _WEIGHTS[name]
        if same == "slip":
            score += _SLIP
            differs.append(f"{name}, by a slip")
        elif same:
            score += for_it
            agrees.append(name)
        else:
            score += against
            differs.append(name)
    return Candidate(known.id, _likeness(score, agrees, differs), score, tuple(agrees), tuple(differs))


def _likeness(score: int, agrees: list[str], differs: list[str]) -> Likeness:
    # One identifier alone never makes more than a possibility, however strong it is: it may be another person's.
    if len(agrees) >= 3 and "NHS number" in agrees and "birth date" in agrees and not differs:
        return Likeness.SAME
    if len(agrees) >= 2 and score >= 8:
        return Likeness.LIKELY
    return Likeness.POSSIBLE if agrees and score >= 2 else Likeness.UNLIKELY


def _compared(one: Details, other: Details) -> dict[str, bool | str | None]:
    names = {plain(one.given), plain(one.family)}
    changed_places = bool(one.given and one.family) and names == {plain(other.given), plain(other.family)}
    return {
        "NHS number": _same(one.nhs_number, other.nhs_number),
        "birth date": _same_date(one.birth_date, other.birth_date),
        "family name": True if changed_places else _same(plain(one.family), plain(other.family)),
        "given name": True if changed_places else _same(plain(one.given), plain(other.given)),
        "phone": _same(digits(one.phone), digits(other.phone)),
        "postcode": _same(plain(one.postcode), plain(other.postcode)),
    }


def _same(one: str, other: str) -> bool | None:
    return one == other if one and other else None


def _same_date(one: date | None, other: date | None) -> bool | str | None:
    if one is None or other is None:
        return None
    if one == other:
        return True
    if (one.year, one.month, one.day) == (other.year, other.day, other.month):
        return "slip"
    off = sum(a != b for a, b in zip(f"{one:%Y%m%d}", f"{other:%Y%m%d}", strict=True))
    return "slip" if off == 1 else False


def plain(text: str) -> str:
    """Letters and digits only, without case and accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(one for one in decomposed if one.isalnum())


def digits(text: str) -> str:
    """The last nine: with or without the country's code and the leading zero it is the same telephone."""
    return "".join(one for one in text if one.isdecimal())[-9:]
