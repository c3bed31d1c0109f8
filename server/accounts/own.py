"""What somebody does with their own sessions, on the page and by a call."""

from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts import repository
from server.accounts.service import Viewer
from server.audit import service as audit


async def end_sessions(session: AsyncSession, viewer: Viewer, only: bytes | None) -> int:
    """End one other session of the viewer's own, or all but the one they come with and every access token; how many.

    The session they come with is ended by signing out.
    """
    ended = await repository.end_sessions(session, viewer.account_id, only=only, but=viewer.sign_in)
    await audit.record(
        session,
        organisation_id=viewer.organisation_id,
        actor=audit.Actor("account", str(viewer.account_id)),
        action="session.end",
        subject_kind="account",
        subject=str(viewer.account_id),
        detail={"ended": ended},
    )
    return ended
