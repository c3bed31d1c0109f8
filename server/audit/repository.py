"""SQL of the audit log: it can be added to and read, never changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Text, and_, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.models import Account
from server.audit.models import AuditEntry
from server.database import direct
from server.database.direct import Connection


async def add(session: AsyncSession, entry: AuditEntry) -> None:
    """Write the entry now, so that what it speaks of cannot happen when it cannot be written."""
    session.add(entry)
    await session.flush()


_ADD = b"""
    INSERT INTO audit_entry
        (organisation_id, at, actor_kind, actor, action, purpose, subject_kind, subject, detail)
    VALUES (%(organisation_id)s, %(at)s, %(actor_kind)s, %(actor)s, %(action)s, %(purpose)s, %(subject_kind)s,
            %(subject)s, %(detail)s::jsonb)
"""


def add_directly(connection: Connection, values: Mapping[str, Any]) -> None:
    """The same on a connection of `server.database.direct`; `values` by column, `detail` as JSON text."""
    direct.tell(connection, _ADD, values)


PAGE_ROWS = 100


@dataclass(frozen=True, slots=True)
class Search:
    """What an auditor looks for; None or empty where it is the same to them. `since` is included, `until` is not."""

    actor: UUID | None = None
    action: str = ""
    subject: str = ""
    since: datetime | None = None
    until: datetime | None = None


async def page(
    session: AsyncSession, search: Search, before: int | None, most: int = PAGE_ROWS
) -> tuple[list[tuple[AuditEntry, str]], bool]:
    """At most so many entries that fit, newest first, each with the name of who acted, and whether there is more."""
    wanted: list[ColumnElement[bool]] = []
    if search.actor is not None:
        wanted.append(col(AuditEntry.actor) == str(search.actor))
    if search.action:
        wanted.append(col(AuditEntry.action) == search.action)
    if search.subject:
        wanted.append(col(AuditEntry.subject) == search.subject)
    if search.since is not None:
        wanted.append(col(AuditEntry.at) >= search.since)
    if search.until is not None:
        wanted.append(col(AuditEntry.at) < search.until)
    if before is not None:
        wanted.append(col(AuditEntry.id) < before)
    statement = (
        select(AuditEntry, func.coalesce(col(Account.name), col(AuditEntry.actor)))
        .outerjoin(
            Account, and_(col(AuditEntry.actor_kind) == "account", cast(col(Account.id), Text) == col(AuditEntry.actor))
        )
        .where(*wanted)
        .order_by(col(AuditEntry.id).desc())
        .limit(most + 1)
    )
    rows = [(row[0], row[1]) for row in (await PlainSession.execute(session, statement)).all()]
    return rows[:most], len(rows) > most


async def actors(session: AsyncSession) -> list[tuple[UUID, str]]:
    """Everybody who has or had an account, by name."""
    statement = select(col(Account.id), col(Account.name)).order_by(col(Account.name), col(Account.id)).limit(1_000)
    return [(row[0], row[1]) for row in (await PlainSession.execute(session, statement)).all()]


async def actions(session: AsyncSession) -> list[str]:
    """Every kind of act that was ever written, found by skipping along the index, however long the log is."""
    found: list[str] = []
    while len(found) < 200:
        statement = select(func.min(col(AuditEntry.action)))
        if found:
            statement = statement.where(col(AuditEntry.action) > found[-1])
        following = (await PlainSession.execute(session, statement)).scalar()
        if following is None:
            break
        found.append(following)
    return found
