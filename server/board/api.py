"""The call about the cascade board. No person's data is in its answer."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request

from server.api import access
from server.api.shapes import Day, Shape
from server.board import service
from server.board.repository import Cascade, Times
from server.board.service import Period
from server.database import tenancy
from server.state import state_of
from server.web.environment import zone_of

router = APIRouter(tags=["Board"])


class PeriodAsked(Shape):
    """Days on which results arrived, both included; the last thirty where none is given, at most two years."""

    first: Day | None = Field(default=None, alias="from")
    last: Day | None = Field(default=None, alias="to")


class Step(Shape):
    """How many came so far, and the time from a result's arrival in seconds; null where none has come so far."""

    number: int
    median_s: float | None
    ninetieth_s: float | None


class Part(Shape):
    """The cascade of all positives, of one site's, or of one assay's."""

    site: str | None
    assay: str | None
    positive: int
    acknowledged: Step
    contacted: Step
    ended: Step
    overdue: int


class Board(Shape):
    """The whole first, then by assay, then by site."""

    first: date
    last: date
    parts: list[Part]


@router.get("/board")
async def board(request: Request, viewer: access.SeeingBoard, asked: Annotated[PeriodAsked, Query()]) -> Board:
    """Positives of a period: acknowledged, reached, brought to an outcome; how fast; overdue now."""
    state = state_of(request)
    zone = zone_of(state.settings)
    last = asked.last or service.usual(datetime.now(UTC).astimezone(zone).date()).last
    period = Period(asked.first or last - service.USUAL, last)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        found = await service.read(session, viewer, period, zone, datetime.now(UTC))
    return Board(first=period.first, last=period.last, parts=[_part(one) for one in found])


def _part(one: Cascade) -> Part:
    return Part(
        site=one.site,
        assay=one.assay,
        positive=one.positive,
        acknowledged=_step(one.acknowledged, one.to_acknowledged),
        contacted=_step(one.contacted, one.to_contacted),
        ended=_step(one.ended, one.to_ended),
        overdue=one.overdue,
    )


def _step(number: int, times: Times) -> Step:
    return Step(number=number, median_s=_seconds(times.median), ninetieth_s=_seconds(times.slow))


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()
