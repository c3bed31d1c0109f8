"""Searching the log and proving it whole; that somebody looks is written to the log as well, first."""

from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.permissions import May, require
from server.accounts.service import Viewer
from server.audit import repository, sealing, service
from server.audit.models import AuditEntry
from server.audit.repository import Search
from server.audit.sealing import Verdict


async def search(
    session: AsyncSession, viewer: Viewer, wanted: Search, before: int | None, most: int = repository.PAGE_ROWS
) -> tuple[list[tuple[AuditEntry, str]], bool]:
    """Entries that fit, the newest first, each with the name of who acted, and whether there is more."""
    await _note(session, viewer, "audit.read")
    return await repository.page(session, wanted, before, most)


async def choices(session: AsyncSession) -> tuple[list[tuple[UUID, str]], list[str]]:
    """Whom and what the log can be searched for: everybody by name, every kind of act. `search` has been noted."""
    return await repository.actors(session), await repository.actions(session)


async def prove(session: AsyncSession, viewer: Viewer) -> Verdict:
    """Whether the log is whole, computed anew."""
    await _note(session, viewer, "audit.verify")
    return await sealing.verify(session)


async def _note(session: AsyncSession, viewer: Viewer, action: str) -> None:
    require(viewer, May.READ_AUDIT)
    await service.record(
        session,
        organisation_id=viewer.organisation_id,
        actor=service.Actor("account", str(viewer.account_id)),
        action=action,
        purpose="audit",
        subject_kind="audit",
        subject="log",
    )
