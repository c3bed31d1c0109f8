"""What an administrator does with the people of an organisation; each act is in the audit log, and nobody is removed.

Nobody does it to themselves: so the last administrator can neither close their own account nor stop being one.
"""

from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts import factor_repository, passwords, repository, service
from server.accounts.models import Account, Role
from server.accounts.permissions import May, may, require
from server.accounts.service import RoleUnknown, Viewer
from server.accounts.tokens import SessionNeeded
from server.audit import service as audit
from server.emergency import repository as emergencies
from server.followup import leaving
from server.openid import repository as openid
from server.problems import NotFound, Problem
from server.staff import repository as staff


class IsPrivacyLead(Problem):
    """The privacy lead stays somebody who can be told, until another one is named."""

    status = 409
    code = "is-privacy-lead"
    title = "They are the privacy lead"

    def __init__(self) -> None:
        super().__init__("Name another privacy lead first, on the page Staff.")


class NotYourself(Problem):
    """An administrator does this to others only."""

    status = 409
    code = "not-yourself"
    title = "You cannot do this to your own account"

    def __init__(self) -> None:
        super().__init__("Ask another administrator, so that there is always one.")


async def add(session: AsyncSession, viewer: Viewer, email: str, name: str, role: str, password: str | None) -> Account:
    """A new account whose first password must be changed; without one only a sign-in provider opens it.

    Raises what `accounts.service.create_user` raises, and `SessionNeeded`.
    """
    require(viewer, May.MANAGE_PEOPLE)
    _by_a_person(viewer, role)
    made = await service.create_user(
        session, email, name, role, password, viewer.organisation_id, must_change_password=password is not None
    )
    await _note(session, viewer, "account.add", made.id, {"role": made.role})
    return made


async def change_role(
    session: AsyncSession, viewer: Viewer, account_id: UUID, role: str, successor_id: UUID | None
) -> int:
    """Give another role; what the person owned goes to `successor_id` where the new role may not follow up; how many.

    Their sessions end, so that no page stays open that the new role may not see. Raises `RoleUnknown`, `NotYourself`,
    `NotFound`, `OwnerUnknown`, `IsPrivacyLead`, `SessionNeeded`.
    """
    account = await _other(session, viewer, account_id)
    if role not in set(Role):
        raise RoleUnknown(f"Choose one of {', '.join(sorted(Role))}.")
    _by_a_person(viewer, account.role, role)
    before, account.role = account.role, role
    if may(account, May.USE_EMERGENCY):
        await _refuse_privacy_lead(session, account.id)
    await session.flush()
    handed = 0
    if not may(account, May.FOLLOW_UP):
        handed = await leaving.hand_over(session, viewer, account.id, successor_id, f"{account.name} has another role.")
    await repository.end_sessions(session, account.id)
    await _note(session, viewer, "account.role", account.id, {"before": before, "after": role, "handed_over": handed})
    return handed


async def close(session: AsyncSession, viewer: Viewer, account_id: UUID, successor_id: UUID | None) -> int:
    """Let somebody sign in no more; what they own goes to `successor_id` in the same transaction; how many.

    One that is closed stays so. Raises `NotYourself`, `NotFound`, `OwnerUnknown`, `IsPrivacyLead`, `SessionNeeded`.
    """
    account = await _other(session, viewer, account_id)
    _by_a_person(viewer, account.role)
    if not account.active:
        return 0
    await _refuse_privacy_lead(session, account.id)
    account.active = False
    await session.flush()
    note = f"The account of {account.name} was closed."
    handed = await leaving.hand_over(session, viewer, account.id, successor_id, note)
    await repository.end_sessions(session, account.id)
    await _note(session, viewer, "account.close", account.id, {"handed_over": handed})
    return handed


async def reopen(session: AsyncSession, viewer: Viewer, account_id: UUID) -> None:
    """Let somebody sign in again, with the password and the second factor they had. One that is open stays so."""
    account = await _other(session, viewer, account_id)
    _by_a_person(viewer, account.role)
    if account.active:
        return
    account.active = True
    await session.flush()
    await _note(session, viewer, "account.reopen", account.id, {})


async def new_password(session: AsyncSession, viewer: Viewer, account_id: UUID, password: str) -> None:
    """A password that must be changed at the next sign-in, for somebody who lost theirs; their sessions end."""
    account = await _other(session, viewer, account_id)
    passwords.check_strength(password, account.email)
    await repository.set_password(session, account.id, await passwords.hashed(password), must_change=True)
    await repository.end_sessions(session, account.id)
    await _note(session, viewer, "account.password", account.id, {})


async def reset_second_factor(session: AsyncSession, viewer: Viewer, account_id: UUID) -> None:
    """Remove somebody's second factor and recovery codes; their sessions end."""
    account = await _other(session, viewer, account_id)
    if not await factor_repository.remove(session, account.id):
        raise NotFound("They have no second factor. Load the page again.")
    await repository.end_sessions(session, account.id)
    await _note(session, viewer, "second-factor.reset", account.id, {})


async def unlink(session: AsyncSession, viewer: Viewer, account_id: UUID) -> None:
    """Forget whom the sign-in provider means by this person; their sessions end, and the next sign-in links anew."""
    account = await _other(session, viewer, account_id)
    if not await openid.unlink(session, account.id):
        raise NotFound("They have not signed in by your organisation yet. Load the page again.")
    await repository.end_sessions(session, account.id)
    await _note(session, viewer, "openid.unlink", account.id, {})


async def require_factor(session: AsyncSession, viewer: Viewer, roles: frozenset[str]) -> None:
    """Which roles need a second factor from now on; whoever lacks one sets it up before any other page opens."""
    require(viewer, May.MANAGE_PEOPLE)
    if not roles <= set(Role):
        raise RoleUnknown(f"Choose among {', '.join(sorted(Role))}.")
    before = await factor_repository.rule(session)
    await factor_repository.set_rule(session, viewer.organisation_id, sorted(roles))
    detail: dict[str, object] = {"before": sorted(before), "after": sorted(roles)}
    await _note(session, viewer, "second-factor.rule", viewer.organisation_id, detail, kind="organisation")


def _by_a_person(viewer: Viewer, *roles: str) -> None:
    """Raises `SessionNeeded` where a program would make an administrator, or touch one: a stolen token must neither
    raise an accomplice nor shut out those who could revoke it."""
    if not viewer.sign_in and Role.ADMINISTRATOR in roles:
        raise SessionNeeded("Sign in, and do what concerns an administrator on the page Staff.")


async def _refuse_privacy_lead(session: AsyncSession, account_id: UUID) -> None:
    lead = await emergencies.privacy_lead(session)
    if lead is not None and lead.id == account_id:
        raise IsPrivacyLead


async def _other(session: AsyncSession, viewer: Viewer, account_id: UUID) -> Account:
    require(viewer, May.MANAGE_PEOPLE)
    if account_id == viewer.account_id:
        raise NotYourself
    account = await staff.lock(session, account_id)
    if account is None:
        raise NotFound("There is no such person in your organisation. Start again from the list.")
    return account


async def _note(
    session: AsyncSession,
    viewer: Viewer,
    action: str,
    subject: UUID,
    detail: dict[str, object],
    kind: str = "account",
) -> None:
    await audit.record(
        session,
        organisation_id=viewer.organisation_id,
        actor=audit.Actor("account", str(viewer.account_id)),
        action=action,
        subject_kind=kind,
        subject=str(subject),
        detail=detail,
    )
