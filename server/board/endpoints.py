"""The cascade board and its file. No person's data is on either."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from reader import packfile
from server.accounts.permissions import May
from server.accounts.service import Viewer
from server.accounts.viewing import allowed
from server.board import service
from server.board.repository import Cascade, Times
from server.board.service import Period, PeriodRefused
from server.database import tenancy
from server.state import state_of
from server.web import csv_file, dates, formatting
from server.web.environment import page, zone_of

router = APIRouter()

_FIELDS = (*dates.names("from"), *dates.names("to"))
Looking = Annotated[Viewer, Depends(allowed(May.SEE_BOARD))]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the cascade: how many came so far, of how many, and how long it took."""

    name: str
    number: int
    percent: str
    width: float
    median: str
    slow: str


@dataclass(frozen=True, slots=True)
class Part:
    """The cascade of all, of one site or of one assay."""

    name: str
    positive: int
    overdue: int
    steps: list[Step]


@router.get("/board")
async def board(request: Request, viewer: Looking) -> Response:
    """Positives of a period: acknowledged, reached, brought to an outcome; how fast; overdue now."""
    zone = zone_of(state_of(request).settings)
    given = {name: request.query_params.get(name, "").strip()[:5] for name in _FIELDS}
    try:
        period = _period(given, zone)
        found = await _read(request, viewer, period)
    except PeriodRefused as refused:
        return _page(request, 422, given, refused)
    return _page(request, 200, _days(period), None, period, [_part(one) for one in found])


@router.get("/board.csv")
async def download(request: Request, viewer: Looking) -> Response:
    """The same as a file; times in whole seconds."""
    period = _period(request.query_params, zone_of(state_of(request).settings))
    found = await _read(request, viewer, period)
    rows = csv_file.lines([_HEAD, *(_row(one) for one in found)])
    name = f"cascade-{period.first.isoformat()}-{period.last.isoformat()}.csv"
    return Response(csv_file.MARK + rows, media_type=csv_file.MEDIA_TYPE, headers=csv_file.headers(name))


async def _read(request: Request, viewer: Viewer, period: Period) -> list[Cascade]:
    state = state_of(request)
    zone = zone_of(state.settings)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        return await service.read(session, viewer, period, zone, datetime.now(UTC))


def _page(
    request: Request,
    status: int,
    fields: Mapping[str, str],
    refused: PeriodRefused | None,
    period: Period | None = None,
    parts: list[Part] | None = None,
) -> Response:
    whole, rest = (parts[0], parts[1:]) if parts else (None, [])
    return page(
        request,
        "board.jinja",
        status=status,
        title="Cascade board",
        fields=fields,
        whole=whole,
        parts=rest,
        period=f"{_day(period.first)} to {_day(period.last)}" if period else "",
        file_href=f"/board.csv?{urlencode(fields)}",
        error=f"{refused.title}. {refused.detail}" if refused else "",
        field=str(refused.extra.get("field", "from-day")) if refused else "",
    )


def _period(fields: Mapping[str, str], zone: ZoneInfo) -> Period:
    """The days in an address; the last thirty days where one is not given. Raises `PeriodRefused`."""
    usual = service.usual(datetime.now(UTC).astimezone(zone).date())
    days: dict[str, date | None] = {}
    for prefix in ("from", "to"):
        try:
            days[prefix] = dates.day(fields, prefix)
        except ValueError:
            sentence = "A day needs a day, a month and a year, such as 7 3 2026."
            raise PeriodRefused(sentence, extra={"field": f"{prefix}-day"}) from None
    last = days["to"] or usual.last
    return Period(days["from"] or last - service.USUAL, last)


def _days(period: Period) -> dict[str, str]:
    """The period as the form's fields."""
    made: dict[str, str] = {}
    for prefix, on in (("from", period.first), ("to", period.last)):
        made |= zip(dates.names(prefix), (str(on.day), str(on.month), str(on.year)), strict=True)
    return made


def _day(on: date) -> str:
    return f"{on.day} {on:%B %Y}"


def _part(one: Cascade) -> Part:
    steps = [
        ("Acknowledged", one.acknowledged, one.to_acknowledged),
        ("Person contacted", one.contacted, one.to_contacted),
        ("Outcome recorded", one.ended, one.to_ended),
    ]
    return Part(_name(one), one.positive, one.overdue, [_step(*step, of=one.positive) for step in steps])


def _step(name: str, number: int, times: Times, *, of: int) -> Step:
    share = number / of if of else 0.0
    # Rounded down: the last person who waits is not rounded away.
    percent = f"{int(share * 100)}%" if of else "None"
    return Step(name, number, percent, round(share * 200, 1), _span(times.median), _span(times.slow))


def _span(span: timedelta | None) -> str:
    return "None yet" if span is None else formatting.duration(span)


def _name(one: Cascade) -> str:
    if one.site is not None:
        return one.site
    if one.assay is None:
        return "All positives"
    return next((assay.name for assay in packfile.every() if assay.id == one.assay), one.assay)


_HEAD = (
    "Of", "Name", "Positive", "Acknowledged", "Contacted", "Outcome recorded", "Overdue now",
    "Seconds to acknowledged, median", "Seconds to acknowledged, 90th percentile",
    "Seconds to contacted, median", "Seconds to contacted, 90th percentile",
    "Seconds to outcome, median", "Seconds to outcome, 90th percentile",
)  # fmt: skip


def _row(one: Cascade) -> list[str | int]:
    of = "site" if one.site is not None else "assay" if one.assay is not None else "all"
    times = (one.to_acknowledged, one.to_contacted, one.to_ended)
    return [
        of, one.site or one.assay or "", one.positive, one.acknowledged, one.contacted, one.ended, one.overdue,
        *(_seconds(span) for pair in times for span in (pair.median, pair.slow)),
    ]  # fmt: skip


def _seconds(span: timedelta | None) -> str | int:
    return "" if span is None else round(span.total_seconds())
