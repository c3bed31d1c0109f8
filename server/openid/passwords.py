"""Whether the people of an organisation sign in with passwords too, or by its provider only.

Passwords can be switched off once an administrator has come in by the provider, which shows that it lets somebody in
who can switch them on again. When the provider is away for long, `doorstep server openid passwords-on` is the way back.
"""

from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts import repository as accounts
from server.audit import service as audit
from server.audit.service import Actor
from server.database.columns import now
from server.openid import repository
from server.openid.models import OpenidProvider
from server.problems import Problem


class PasswordsStay(Problem):
    """Somebody could be locked out."""

    status = 409
    code = "passwords-stay"
    title = "Passwords stay on"


def why_not(provider: OpenidProvider | None, *, proved: bool) -> str:
    """Why passwords cannot be switched off now, in words; empty where they can. `proved`: see `repository.proved`."""
    if provider is None:
        return "Your organisation has no sign-in of its own here. Whoever runs the server sets it up first."
    if not proved:
        return f"No administrator has signed in with {provider.label} yet. Sign out, sign in with it, then come back."
    return ""


async def switch_off(session: AsyncSession, actor: Actor, organisation_id: UUID, keep: bytes = b"") -> int:
    """From now on nobody signs in with a password; sessions that began with one end, all but `keep`; how many.

    Access tokens go on. Off already, they stay so. Raises `PasswordsStay`.
    """
    provider = await repository.take_provider(session)
    proved = provider is not None and await repository.proved(session, provider.issuer)
    if provider is None or not proved:
        raise PasswordsStay(why_not(provider, proved=proved))
    if provider.passwords_off_at is None:
        await _note(session, actor, organisation_id, "passwords.off")
        await repository.set_passwords_off(session, now())
    return await accounts.end_password_sessions(session, keep)


async def switch_on(session: AsyncSession, actor: Actor, organisation_id: UUID) -> bool:
    """Let people sign in with passwords again; whether they were off."""
    provider = await repository.take_provider(session)
    if provider is None or provider.passwords_off_at is None:
        return False
    await _note(session, actor, organisation_id, "passwords.on")
    await repository.set_passwords_off(session, None)
    return True


async def _note(session: AsyncSession, actor: Actor, organisation_id: UUID, action: str) -> None:
    await audit.record(
        session,
        organisation_id=organisation_id,
        actor=actor,
        action=action,
        subject_kind="organisation",
        subject=str(organisation_id),
    )
