"""The worklist of what waits for somebody: mine, my team's, nobody's and what is overdue, by urgency, then due time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import literal, select
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.models import Account
from server.corrections.repository import standing
from server.followup import repository as follow_ups
from server.followup.models import FollowUp
from server.organisations.models import Site
from server.readers.models import Reader
from server.recalls.repository import recalled
from server.results.models import Result
from server.worklist.repository import PAGE_ROWS, CursorError, Row, in_conflict

VIEWS = {"mine": "Mine", "team": "My team's", "unowned": "Nobody's", "overdue": "Overdue"}


@dataclass(frozen=True, slots=True)
class Place:
    """A place in such a list: after the follow-up of that urgency, due time and result."""

    urgency: int
    due_at: datetime
    result_id: UUID

    def text(self) -> str:
        return f"{self.urgency}-{round(self.due_at.timestamp() * 1_000_000)}-{self.result_id.hex}"

    @classmethod
    def parse(cls, text: str) -> "Place":
        """Raises `CursorError` for anything that `text` did not write."""
        parts = text.split("-")
        try:
            urgency, micros = int(parts[0]), int(parts[1])
            due_at = datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)
            place = cls(urgency, due_at, UUID(parts[2]))
        except (ValueError, IndexError, OverflowError, OSError):
            raise CursorError(text) from None
        if len(parts) != 3 or not 0 < urgency < 10:
            raise CursorError(text)
        return place


async def page(
    session: AsyncSession,
    organisation_id: UUID,
    view: str,
    account_id: UUID,
    at: datetime,
    outcome: int | None = None,
    assay: str | None = None,
    after: Place | None = None,
    most: int = PAGE_ROWS,
) -> tuple[list[Row], bool]:
    """One page of `most` rows of the list `view` of `VIEWS`, and whether there is more."""
    chosen = [
        col(FollowUp.organisation_id) == organisation_id,
        follow_ups.worklist_filter(view, account_id, at),
    ]
    if outcome is not None:
        chosen.append(col(FollowUp.outcome) == outcome)
    if assay is not None:
        chosen.append(col(FollowUp.assay) == assay)
    if after is not None:
        chosen.append(follow_ups.after(after.urgency, after.due_at, after.result_id))
    statement = (
        select(
            Result,
            col(FollowUp.urgency),
            col(Reader.name),
            col(Site.name),
            in_conflict(),
            FollowUp,
            col(Account.name),
            recalled(),
            literal(None),
            standing(),
        )
        .join(Result, col(Result.id) == col(FollowUp.result_id))
        .join(Reader, col(Reader.reader_id) == col(Result.reader_id))
        .join(Site, col(Site.id) == col(Result.site_id))
        .outerjoin(Account, col(Account.id) == col(FollowUp.owner_id))
        .where(*chosen)
        .order_by(*follow_ups.ORDER)
        .limit(most + 1)
    )
    found: Sequence[Any] = (await PlainSession.execute(session, statement)).all()
    rows = [Row(*row) for row in found]
    return rows[:most], len(rows) > most


def place_of(row: Row) -> Place:
    """Where the list goes on after `row`."""
    assert row.follow_up is not None
    assert row.follow_up.due_at is not None
    return Place(row.follow_up.urgency, row.follow_up.due_at, row.result.id)
