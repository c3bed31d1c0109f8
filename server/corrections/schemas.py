"""What calls say of a result that was corrected or withdrawn."""

from typing import Literal

from server.api.shapes import OutcomeName, Shape
from server.corrections.models import Correction, Kind


class Afterwards(Shape):
    """What was said of a result after the reader, and stands. `outcome` beside it is still what the reader said.

    Here it is what it was corrected to, or null where it was withdrawn: nothing may be concluded from it.
    """

    kind: Literal["corrected", "withdrawn"]
    outcome: OutcomeName | None


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
