"""Reads the cascade of a period of whole days."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.permissions import May, require
from server.accounts.service import Viewer
from server.audit import service as audit
from server.board import repository
from server.board.repository import Cascade
from server.problems import Problem
from server.web import dates

USUAL = timedelta(days=29)
LONGEST = timedelta(days=2 * 366)


class PeriodRefused(Problem):
    """The days given are no period; `extra["field"]` is that of the day that is wrong."""

    status = 422
    code = "period-refused"
    title = "Choose another period"


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days, both included."""

    first: date
    last: date

    def check(self) -> None:
        """Raises `PeriodRefused` for one that ends before it begins or is longer than two years."""
        if self.last < self.first:
            raise PeriodRefused("The last day is before the first.", extra={"field": "to-day"})
        if self.last - self.first > LONGEST:
            raise PeriodRefused("Choose at most two years.", extra={"field": "from-day"})


def usual(today: date) -> Period:
    """The last thirty days."""
    return Period(today - USUAL, today)


async def read(session: AsyncSession, viewer: Viewer, period: Period, zone: ZoneInfo, now: datetime) -> list[Cascade]:
    """What arrived in the period: of all first, then by assay, then by site. Raises `PeriodRefused`, `NotAllowed`."""
    require(viewer, May.SEE_BOARD)
    period.check()
    await audit.record(
        session,
        organisation_id=viewer.organisation_id,
        actor=audit.Actor("account", str(viewer.account_id)),
        action="board.read",
        purpose=viewer.purpose,
        subject_kind="board",
        subject="cascade",
        detail={"from": period.first.isoformat(), "to": period.last.isoformat()},
    )
    start, finish = dates.begins(period.first, zone), dates.begins(period.last + timedelta(days=1), zone)
    return await repository.cascade(session, viewer.organisation_id, start, finish, now)
