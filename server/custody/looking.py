"""What people and their programs look at of custody and quarantine, each look in the audit log before it is done."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.permissions import May, require
from server.accounts.service import Viewer
from server.audit import service as audit
from server.audit.service import Actor
from server.custody import alerts, ledger, quarantine_repository
from server.custody.alerts import Alert
from server.custody.ledger import Line, Proof
from server.custody.quarantine_repository import Listed
from server.problems import NotFound


@dataclass(frozen=True, slots=True)
class Custody:
    """Every reader's line, the open alerts, and after how many hours without a new record a reader is alarmed."""

    lines: list[Line]
    raised: list[Alert]
    silent_hours: int


async def custody(session: AsyncSession, viewer: Viewer) -> Custody:
    """The whole ledger with what is wrong now."""
    await _audited(session, viewer, "custody.read", "ledger")
    await alerts.review(session, viewer.organisation_id)
    return Custody(await ledger.ledger(session), await alerts.listed(session), await alerts.silence(session))


async def readers(session: AsyncSession, viewer: Viewer, after: tuple[str, bytes] | None, most: int) -> list[Line]:
    """At most so many lines of the ledger by name, those `after` a reader (its name and id) where it is given."""
    await _audited(session, viewer, "custody.read", "ledger")
    return await ledger.ledger(session, after=after, most=most)


async def raised(
    session: AsyncSession,
    viewer: Viewer,
    *,
    cleared: bool,
    after: tuple[bool, datetime, int] | None = None,
    most: int = alerts.LISTED_MAX,
) -> list[Alert]:
    """The alerts that are open now, and those that are `cleared` where they are wanted; see `alerts.listed`."""
    await _audited(session, viewer, "custody.read", "alerts")
    await alerts.review(session, viewer.organisation_id)
    return await alerts.listed(session, cleared=cleared, after=after, most=most)


async def proof(session: AsyncSession, viewer: Viewer, reader_id: bytes) -> Proof:
    """Read every record of one reader anew and follow its chain. Raises `NotFound`."""
    require(viewer, May.SEE_CUSTODY)
    if not await ledger.ledger(session, reader_id):
        raise NotFound("There is no such reader in your organisation. Load the page again.")
    await _audited(session, viewer, "custody.prove", reader_id.hex())
    return await ledger.prove(session, reader_id)


async def quarantine(session: AsyncSession, viewer: Viewer, before: int | None, most: int) -> list[Listed]:
    """Open items, the newest first, at most so many, before an id where one is given."""
    await _audited(session, viewer, "quarantine.read", "open")
    return await quarantine_repository.listed(session, most, before)


def actor(viewer: Viewer) -> Actor:
    """Who acts, for the audit log."""
    return Actor("account", str(viewer.account_id))


async def _audited(session: AsyncSession, viewer: Viewer, action: str, subject: str) -> None:
    require(viewer, May.SEE_CUSTODY)
    await audit.record(
        session,
        organisation_id=viewer.organisation_id,
        actor=actor(viewer),
        action=action,
        subject_kind=action.partition(".")[0],
        subject=subject,
    )
