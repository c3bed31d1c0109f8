"""What bodies of the interface are made of: strict shapes, closed sets of names, texts that can be stored."""

from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from reader import outcome as outcomes

LIMIT_MAX = 100
LIMIT_USUAL = 50
_NO_NUL = r"^[^\x00]*$"

PERSON_WORDS = 400
WORDS = 2_000
Label = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=_NO_NUL)]
"""An id or name that something else gave: an assay, a lot, a specimen."""
Line = Annotated[str, StringConstraints(max_length=PERSON_WORDS, pattern=_NO_NUL)]
Words = Annotated[str, StringConstraints(max_length=WORDS, pattern=_NO_NUL)]
"""A person's own words, at most 2,000 characters."""
Version = Annotated[int, Field(ge=0, le=2**31 - 1, description="The version that was seen; 409 when it moved on.")]
Hexadecimal = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})+$")]
ReaderId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
Day = Annotated[date, Field(ge=date(1900, 1, 1), le=date(2200, 1, 1))]
Moment = Annotated[AwareDatetime, Field(ge=datetime(1900, 1, 1, tzinfo=UTC), le=datetime(2200, 1, 1, tzinfo=UTC))]


class Shape(BaseModel):
    """Base of every body and of every set of filters: what is not named is refused, not overlooked."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Paged(Shape):
    """How a page of a list is asked for."""

    limit: int = Field(default=LIMIT_USUAL, ge=1, le=LIMIT_MAX, description="Most rows of a page.")
    cursor: str | None = Field(
        default=None, min_length=1, max_length=500, pattern=r"^[\w-]+$", description="`next_cursor` of the page before."
    )


JustPaged = Annotated[Paged, Query()]


class OutcomeName(StrEnum):
    """Every outcome of a test; each but a plain one has a reason."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    INDETERMINATE = "indeterminate"
    INVALID = "invalid"
    ERROR = "error"

    @property
    def number(self) -> int:
        """As records and tables hold it."""
        return outcomes.OUTCOMES[_ORDER.index(self)]

    @classmethod
    def of(cls, code: int) -> "OutcomeName":
        """`KeyError` for what is no outcome, so that nothing unknown is ever named."""
        return cls(outcomes.outcome_name(code))


_ORDER = tuple(OutcomeName.of(code) for code in outcomes.OUTCOMES)


class PersonRef(Shape):
    """Somebody who works here, by name."""

    id: str | None
    name: str


def reason_of(code: int) -> str:
    """The stable name of a reason, or what it is numbered where this server does not know it."""
    try:
        return outcomes.reason_name(code)
    except KeyError:
        return f"unknown-{code}"


class Invalid(Shape):
    """One thing that is wrong with a request."""

    where: str
    why: str


class ProblemShape(BaseModel):
    """Every error (RFC 9457): `code` is stable, `detail` says what to do next. Some have further members."""

    model_config = ConfigDict(extra="allow", title="Problem")

    type: str
    title: str
    status: int
    code: str
    detail: str | None = None
    errors: list[Invalid] | None = None


PROBLEM_NAME = "Problem"
_WHY = {
    400: "The body cannot be read at all",
    401: "No access token, or one that is not taken",
    403: "The role or the token does not include it, or the account needs something first",
    404: "There is nothing of that name in the organisation",
    409: "Somebody else was quicker, or it cannot be done as things stand",
    412: "It was changed since it was looked at",
    413: "The body is too large",
    422: "Something in the request has to be put right",
    429: "Too many tries",
    503: "The server is busy or its database does not answer; try again after Retry-After",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a call, for its description."""
    schema = {"$ref": f"#/components/schemas/{PROBLEM_NAME}"}
    return {
        status: {"description": _WHY[status], "content": {"application/problem+json": {"schema": schema}}}
        for status in statuses
    }


MISSING = problems(404)
MOVED = problems(404, 409)
EVERYWHERE = problems(400, 401, 403, 413, 422, 503)
