"""A person's second factor: setting it up, asking for it at sign-in, turning it off, and who needs one."""

from datetime import timedelta
from math import ceil
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts import factor_repository, passwords, repository, service, totp
from server.accounts.models import SecondFactor, SignIn
from server.accounts.service import Opened, TooSoon, Viewer
from server.audit import service as audit
from server.database import tenancy
from server.database.columns import now
from server.database.engine import Sessions
from server.openid import repository as openid
from server.problems import Problem
from server.settings import Settings


class CodeRefused(Problem):
    """The code is wrong, too old or was taken before."""

    status = 401
    code = "code-refused"
    title = "The code is not right"


class PasswordRefused(Problem):
    """The password of somebody who is signed in is not theirs."""

    status = 401
    code = "password-refused"
    title = "The password is not right"


class FactorMoved(Problem):
    """The second factor is not as the page showed it."""

    status = 409
    code = "second-factor-moved"
    title = "Your second factor has changed"


_WRONG = "Type the six digits that your app shows now. One that was used is not taken again: wait for the next."


async def begin(session: AsyncSession, viewer: Viewer, settings: Settings) -> None:
    """Make a new secret that waits for its confirmation. Raises `FactorMoved` when one is in use."""
    secret = totp.encrypted(settings.master_key_bytes(), viewer.account_id, totp.new_secret())
    waiting = SecondFactor(account_id=viewer.account_id, organisation_id=viewer.organisation_id, secret=secret)
    if not await factor_repository.begin(session, waiting):
        raise FactorMoved("A second factor is in use already. Turn it off before you set up another.")


async def unconfirmed(session: AsyncSession, viewer: Viewer, settings: Settings) -> bytes | None:
    """The secret that waits for its confirmation, 20 bytes, in the clear."""
    found = await factor_repository.find(session, viewer.account_id)
    if found is None or found.confirmed_at:
        return None
    return totp.decrypted(settings.master_key_bytes(), viewer.account_id, found.secret)


async def confirm(sessions: Sessions, viewer: Viewer, settings: Settings, typed: str) -> list[str]:
    """Ask for it from now on, other sessions ended; the recovery codes, to be shown once.

    Raises `CodeRefused`, `FactorMoved`, `TooSoon`.
    """
    key = await _counted(sessions, viewer.account_id, settings)
    codes = totp.new_recovery_codes()
    async with tenancy.transaction(sessions, viewer.organisation_id) as session:
        found = await factor_repository.find(session, viewer.account_id)
        if found is None or found.confirmed_at:
            raise FactorMoved("Load the page again and look at how it stands.")
        secret = totp.decrypted(settings.master_key_bytes(), viewer.account_id, found.secret)
        step = totp.matching_step(secret, totp.plain(typed), now().timestamp(), found.last_step)
        if step is None:
            raise CodeRefused(_WRONG)
        if not await factor_repository.confirm(session, viewer.account_id, found.secret, step, now()):
            raise FactorMoved("Load the page again and look at how it stands.")
        hashes = [totp.recovery_hash(viewer.account_id, code) for code in codes]
        await factor_repository.keep_recovery(session, viewer.organisation_id, viewer.account_id, hashes)
        await repository.end_sessions(session, viewer.account_id, but=viewer.sign_in)
        await repository.forget_attempts(session, key, now())
        await _note(session, viewer.organisation_id, viewer.account_id, "second-factor.on")
    return codes


async def finish(
    sessions: Sessions,
    waiting: SignIn,
    settings: Settings,
    typed: str,
    lifetime: timedelta,
    device: str | None = None,
) -> Opened:
    """Open the session of somebody whose password was right and whose code is.

    Raises `CodeRefused`, `TooSoon`, and `PasswordsOff` where passwords were switched off meanwhile.

    `device` names a browser in which this very person has signed in before.
    """
    key = await _counted(sessions, waiting.account_id, settings, device)
    async with tenancy.transaction(sessions, waiting.organisation_id) as session:
        instead = None if waiting.by_provider else await openid.instead_of_passwords(session)
        if instead is not None:
            raise service.PasswordsOff(*instead)
        kind = await _taken(session, waiting.account_id, settings, typed)
        if await repository.person(session, waiting.account_id) is None:
            raise CodeRefused("Start again from your email address and password.")
        if not await repository.take_pending(session, waiting.id_hash, now()):
            raise CodeRefused("Start again from your email address and password.")
        await repository.forget_attempts(session, key, now())
        await _note(session, waiting.organisation_id, waiting.account_id, "sign-in", {"second_factor": kind})
        return service.open_session(
            session, waiting.account_id, waiting.organisation_id, lifetime, by_provider=waiting.by_provider
        )


async def turn_off(sessions: Sessions, viewer: Viewer, settings: Settings, password: str, typed: str) -> None:
    """Remove it, with the password and a code. Raises `PasswordRefused`, `CodeRefused`, `TooSoon`."""
    key = await _counted(sessions, viewer.account_id, settings)
    await check_password(sessions, viewer, password)
    async with tenancy.transaction(sessions, viewer.organisation_id) as session:
        await _taken(session, viewer.account_id, settings, typed)
        await factor_repository.remove(session, viewer.account_id)
        await repository.forget_attempts(session, key, now())
        await _note(session, viewer.organisation_id, viewer.account_id, "second-factor.off")


async def change_password(sessions: Sessions, viewer: Viewer, settings: Settings, old: str, new: str) -> None:
    """Replace the person's own password, other sessions ended.

    Raises `PasswordRefused`, `TooSoon`, `passwords.WeakPassword`.
    """
    passwords.check_strength(new, viewer.email)
    key = await _counted(sessions, viewer.account_id, settings)
    await check_password(sessions, viewer, old)
    if new == old:
        raise passwords.WeakPassword("Use another password than the one you had.")
    stored = await passwords.hashed(new)
    async with tenancy.transaction(sessions, viewer.organisation_id) as session:
        await repository.set_password(session, viewer.account_id, stored, must_change=False)
        await repository.end_sessions(session, viewer.account_id, but=viewer.sign_in)
        await repository.forget_attempts(session, key, now())
        await _note(session, viewer.organisation_id, viewer.account_id, "password.change")


async def check_password(sessions: Sessions, viewer: Viewer, password: str) -> None:
    """Raises `PasswordRefused` unless it is the person's own; the caller has counted the attempt."""
    async with tenancy.transaction(sessions, viewer.organisation_id) as session:
        person = await repository.person(session, viewer.account_id)
    right, _ = await passwords.verified(password, person.account.password_hash if person else None)
    if not right:
        raise PasswordRefused("Type the password that you sign in with now.")


async def _counted(sessions: Sessions, account_id: UUID, settings: Settings, device: str | None = None) -> bytes:
    """Count an attempt before it is looked at, as for passwords; the throttle's key. Raises `TooSoon`."""
    key = service.account_key(account_id, settings.session_secret_bytes(), device)
    async with tenancy.transaction(sessions) as session:
        wait_s = await repository.count_attempt(session, key, now())
    if wait_s is not None:
        raise TooSoon(ceil(wait_s))
    return key


async def _taken(session: AsyncSession, account_id: UUID, settings: Settings, typed: str) -> str:
    """Take a code so that it works once; "code" or "recovery". Raises `CodeRefused`."""
    code = totp.plain(typed)
    if not totp.is_time_based(code):
        code_hash = totp.recovery_hash(account_id, code)
        if await factor_repository.take_recovery(session, account_id, code_hash, now()):
            return "recovery"
        raise CodeRefused("Type the six digits that your app shows now, or a recovery code that was not used yet.")
    found = await factor_repository.confirmed(session, account_id)
    if found is None:
        raise CodeRefused("Start again from your email address and password.")
    secret = totp.decrypted(settings.master_key_bytes(), account_id, found.secret)
    step = totp.matching_step(secret, code, now().timestamp(), found.last_step)
    if step is None or not await factor_repository.take_step(session, account_id, step):
        raise CodeRefused(_WRONG)
    return "code"


async def _note(
    session: AsyncSession, organisation_id: UUID, account_id: UUID, action: str, detail: dict[str, str] | None = None
) -> None:
    await audit.record(
        session,
        organisation_id=organisation_id,
        actor=audit.Actor("account", str(account_id)),
        action=action,
        subject_kind="account",
        subject=str(account_id),
        detail=detail,
    )
