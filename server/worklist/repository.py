"""All SQL of the worklist, the result page and the quarantine page; every statement runs inside one organisation."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Executable, Select, and_, func, literal, or_, select, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlalchemy.orm import aliased
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from reader import outcome as outcomes
from server.accounts.models import Account
from server.corrections.repository import standing
from server.custody.models import Custody, Quarantine, QuarantineStatus, SealedRecord
from server.followup.models import Acknowledgement, FollowUp
from server.hubs.models import Hub
from server.organisations.models import Site
from server.quality import repository as quality
from server.quality.repository import Wanting
from server.readers.models import Reader
from server.recalls.repository import recalled
from server.results.models import Result

PAGE_ROWS = 50
ARRIVED_MAX = 10_000

# What needs a decision comes first, then what has to be done again, then what needs no one.
RANKS = {
    outcomes.POSITIVE: 1,
    outcomes.INVALID: 1,
    outcomes.INDETERMINATE: 2,
    outcomes.ERROR: 2,
    outcomes.NEGATIVE: 3,
}
CONFLICT_CODES = ("conflict", "fork")


class CursorError(ValueError):
    """The address does not name a place in the list."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the list: after the row of that rank, arrival and id."""

    rank: int
    received_at: datetime
    id: UUID

    def text(self) -> str:
        micros = round(self.received_at.timestamp() * 1_000_000)
        return f"{self.rank}-{micros}-{self.id.hex}"

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Raises `CursorError` for anything that `text` did not write."""
        parts = text.split("-")
        try:
            rank, micros = int(parts[0]), int(parts[1])
            received_at = datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)
            cursor = cls(rank, received_at, UUID(parts[2]))
        except (ValueError, IndexError, OverflowError, OSError):
            raise CursorError(text) from None
        if len(parts) != 3 or rank not in RANKS.values():
            raise CursorError(text)
        return cursor


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the worklist."""

    result: Result
    rank: int
    reader: str
    site: str
    conflict: bool
    follow_up: FollowUp | None = None
    owner: str | None = None
    recalled: bool = False
    acknowledged_by: str | None = None
    standing: str | None = None

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.rank, self.result.received_at, self.result.id)


@dataclass(frozen=True, slots=True)
class Found:
    """A result with what is around it."""

    result: Result
    reader: Reader
    site: str
    hub: str
    record: SealedRecord
    custody: Custody
    previous_hash: bytes | None
    conflict: bool
    corrected: bool
    """Whether something was said of it after the reader."""


@dataclass(frozen=True, slots=True)
class Troubles:
    """What keeps a chain of custody from being whole: open quarantine by code, and readers with a fork or a gap; and
    what quality control speaks against now."""

    quarantined: dict[str, int]
    forked: list[str]
    gaps: list[tuple[str, int]]
    wanting: list[Wanting]


async def page(
    session: AsyncSession,
    organisation_id: UUID,
    outcome: int | None,
    assay: str | None,
    after: Cursor | None,
    most: int = PAGE_ROWS,
) -> tuple[list[Row], bool]:
    """One page of `most` rows and whether there is more.

    Each outcome is read along its index: a page costs the same at any depth.
    """
    parts = [
        _slice(organisation_id, code, rank, assay, after, most)
        for code, rank in RANKS.items()
        if outcome in (None, code) and (after is None or rank >= after.rank)
    ]
    if not parts:
        return [], False
    ordered = union_all(*parts).subquery()
    top = (
        select(ordered.c.id, ordered.c.rank)
        .order_by(ordered.c.rank, ordered.c.received_at.desc(), ordered.c.id.desc())
        .limit(most + 1)
        .subquery()
    )
    seer = aliased(Account)
    statement = (
        select(
            Result,
            top.c.rank,
            col(Reader.name),
            col(Site.name),
            in_conflict(),
            FollowUp,
            col(Account.name),
            recalled(),
            col(seer.name),
            standing(),
        )
        .join(top, top.c.id == col(Result.id))
        .join(Reader, col(Reader.reader_id) == col(Result.reader_id))
        .join(Site, col(Site.id) == col(Result.site_id))
        .outerjoin(FollowUp, col(FollowUp.result_id) == col(Result.id))
        .outerjoin(Account, col(Account.id) == col(FollowUp.owner_id))
        .outerjoin(Acknowledgement, col(Acknowledgement.result_id) == col(Result.id))
        .outerjoin(seer, col(seer.id) == col(Acknowledgement.account_id))
        .order_by(top.c.rank, col(Result.received_at).desc(), col(Result.id).desc())
    )
    rows = [Row(*found) for found in await _rows(session, statement)]
    return rows[:most], len(rows) > most


def _slice(
    organisation_id: UUID, outcome: int, rank: int, assay: str | None, after: Cursor | None, most: int
) -> Select[UUID, int, datetime]:
    statement = select(col(Result.id), literal(rank).label("rank"), col(Result.received_at)).where(
        col(Result.organisation_id) == organisation_id, col(Result.outcome) == outcome
    )
    if assay is not None:
        statement = statement.where(col(Result.assay) == assay)
    if after is not None and after.rank == rank:
        statement = statement.where(
            tuple_(col(Result.received_at), col(Result.id)) < tuple_(literal(after.received_at), literal(after.id))
        )
    return statement.order_by(col(Result.received_at).desc(), col(Result.id).desc()).limit(most + 1)


async def of_ids(session: AsyncSession, ids: Sequence[UUID]) -> list[Row]:
    """Those of the results that are the organisation's own, held for this transaction, in the order of their ids."""
    seer = aliased(Account)
    statement = (
        select(
            Result,
            literal(RANKS[outcomes.NEGATIVE]),
            col(Reader.name),
            col(Site.name),
            in_conflict(),
            FollowUp,
            literal(None),
            recalled(),
            col(seer.name),
            standing(),
        )
        .join(Reader, col(Reader.reader_id) == col(Result.reader_id))
        .join(Site, col(Site.id) == col(Result.site_id))
        .outerjoin(FollowUp, col(FollowUp.result_id) == col(Result.id))
        .outerjoin(Acknowledgement, col(Acknowledgement.result_id) == col(Result.id))
        .outerjoin(seer, col(seer.id) == col(Acknowledgement.account_id))
        .where(col(Result.id).in_(ids))
        .order_by(col(Result.id))
        .with_for_update(key_share=True, of=Result)
    )
    return [Row(*found) for found in await _rows(session, statement)]


async def find(session: AsyncSession, result_id: UUID) -> Found | None:
    """A result of the session's organisation with its reader, site, hub, record, custody and the record before it."""
    earlier = aliased(SealedRecord)
    before = (
        select(col(earlier.chain_hash))
        .where(col(earlier.reader_id) == col(Result.reader_id), col(earlier.number) == col(Result.number) - 1)
        .scalar_subquery()
    )
    statement = (
        select(
            Result,
            Reader,
            col(Site.name),
            col(Hub.name),
            SealedRecord,
            Custody,
            before,
            in_conflict(),
            standing().is_not(None),
        )
        .join(Reader, col(Reader.reader_id) == col(Result.reader_id))
        .join(Site, col(Site.id) == col(Result.site_id))
        .join(Hub, col(Hub.hub_id) == col(Result.hub_id))
        .join(
            SealedRecord,
            and_(col(SealedRecord.reader_id) == col(Result.reader_id), col(SealedRecord.number) == col(Result.number)),
        )
        .join(Custody, col(Custody.reader_id) == col(Result.reader_id))
        .where(col(Result.id) == result_id)
    )
    found = await _rows(session, statement)
    return Found(*found[0]) if found else None


async def troubles(session: AsyncSession) -> Troubles:
    """What is wrong with custody and quality control now, in three statements."""
    counted = await _rows(
        session,
        select(col(Quarantine.code), func.count())
        .where(col(Quarantine.status) == QuarantineStatus.OPEN)
        .group_by(col(Quarantine.code)),
    )
    beyond = (
        select(func.min(col(SealedRecord.number)))
        .where(col(SealedRecord.reader_id) == col(Custody.reader_id), col(SealedRecord.number) > col(Custody.held_to))
        .scalar_subquery()
    )
    broken = await _rows(
        session,
        select(col(Reader.name), col(Custody.forked_at), col(Custody.held_to) + 1, beyond)
        .join(Reader, col(Reader.reader_id) == col(Custody.reader_id))
        .where(or_(col(Custody.forked_at).is_not(None), beyond.is_not(None)))
        .order_by(col(Reader.name))
        .limit(PAGE_ROWS),
    )
    return Troubles(
        quarantined={code: number for code, number in counted},
        forked=[name for name, forked_at, _, _ in broken if forked_at is not None],
        gaps=[(name, missing) for name, _, missing, later in broken if later is not None],
        wanting=await quality.wanting(session),
    )


async def arrived_since(session: AsyncSession, organisation_id: UUID, since: datetime) -> int:
    """How many results arrived after `since`, at most `ARRIVED_MAX`."""
    some = (
        select(literal(1))
        .where(
            col(Result.organisation_id) == organisation_id,
            col(Result.outcome).in_(list(RANKS)),
            col(Result.received_at) > since,
        )
        .limit(ARRIVED_MAX)
        .subquery()
    )
    return (await _rows(session, select(func.count()).select_from(some)))[0][0]


def in_conflict() -> ColumnElement[bool]:
    """Whether other bytes were offered at the result's place, or the reader's chain is forked there."""
    return (
        select(literal(1))
        .where(
            col(Quarantine.reader_id) == col(Result.reader_id),
            col(Quarantine.number) == col(Result.number),
            col(Quarantine.code).in_(CONFLICT_CODES),
        )
        .exists()
        .label("conflict")
    )


async def _rows(session: AsyncSession, statement: Executable) -> Sequence[Any]:
    """The rows of a statement of several entities, for which SQLModel's own `exec` has no type."""
    return (await PlainSession.execute(session, statement)).all()
