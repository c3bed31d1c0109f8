"""What calls say of a result that was corrected or withdrawn, and what they take to correct it."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from server.api.shapes import Hexadecimal, OutcomeName, PersonRef, Shape, Version, Words
from server.corrections.models import Correction, Kind
from server.corrections.service import History


class Afterwards(Shape):
    """What was said of a result after the reader, and stands. `outcome` beside it is still what the reader said.

    Here it is what it was corrected to, or null where it was withdrawn: nothing may be concluded from it.
    """

    kind: Literal["corrected", "withdrawn"]
    outcome: OutcomeName | None


class CorrectTo(StrEnum):
    """What a result can be corrected to; an error is a reader's word only."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    INDETERMINATE = "indeterminate"
    INVALID = "invalid"

    @property
    def number(self) -> int:
        """As tables hold it."""
        return OutcomeName(self.value).number


class CorrectionAsked(Shape):
    """The next version of a result, after `version`, which is 0 for the reader's own. `why` is needed.

    `outcome` goes with "corrected" and with nothing else.
    """

    version: Version
    kind: Kind
    outcome: CorrectTo | None = None
    why: Words


class VersionShape(Shape):
    """A version of a result: 1 is the first after the reader's own.

    `hash` is over `previous` and what the version says; `previous` is the hash of the version before, for the first
    the chain hash of the reader's sealed record.
    """

    version: int
    kind: Kind
    outcome: OutcomeName | None
    why: str
    at: datetime
    by: PersonRef
    previous: Hexadecimal
    hash: Hexadecimal


class Versions(Shape):
    """The versions after the reader's own, the oldest first; `whole` where each is what it was when it was written."""

    items: list[VersionShape]
    whole: bool


def version(one: Correction, who: str) -> VersionShape:
    """Of a version and the name of whoever made it."""
    return VersionShape(
        version=one.version,
        kind=Kind(one.kind),
        outcome=None if one.outcome is None else OutcomeName.of(one.outcome),
        why=one.why,
        at=one.at,
        by=PersonRef(id=str(one.account_id), name=who),
        previous=one.previous.hex(),
        hash=one.hash.hex(),
    )


def versions(history: History) -> Versions:
    """Of a result's history."""
    return Versions(items=[version(one, who) for one, who in history.versions], whole=history.whole)


def afterwards(one: Correction | None) -> Afterwards | None:
    """Of the last version of a result; None where the reader's outcome stands."""
    return None if one is None else _said(one.kind, one.outcome)


def of_standing(standing: str | None) -> Afterwards | None:
    """The same of what `repository.standing` gave."""
    kind, _, outcome = (standing or "").partition(":")
    return _said(kind, int(outcome) if outcome else None)


def _said(kind: str, outcome: int | None) -> Afterwards | None:
    if kind == Kind.WITHDRAWN:
        return Afterwards(kind="withdrawn", outcome=None)
    if outcome is None:
        return None
    return Afterwards(kind="corrected", outcome=OutcomeName.of(outcome))
