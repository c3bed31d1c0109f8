"""Access tokens: what lets a program of somebody's own call the interface in their name.

A token is `doorstep_` and 32 random bytes in base64url, shown once; the database holds its SHA-256, which is enough
because there is nothing to guess it from. It may do what its account's role allows at that moment, or less where it was
narrowed; it ends at its time, when it is revoked, and with everything else when the person is signed out everywhere.
Only a session makes one: a token that was stolen can neither prolong itself nor make another.
"""

import hashlib
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts import repository, token_repository
from server.accounts.models import AccessToken
from server.accounts.permissions import May, may
from server.accounts.service import NOTED_EVERY, Viewer, first_page
from server.audit import service as audit
from server.database import tenancy
from server.database.columns import now
from server.database.engine import Sessions
from server.organisations.service import usable_name
from server.problems import NotFound, Problem

PREFIX = "doorstep_"
NAME_MAX = 60
DAYS_MAX = 90
DAYS_USUAL = 30
MOST = 20
_SECRET_BYTES = 32
_LENGTH_MAX = 100


class TokenRefused(Problem):
    """The token cannot be made as it was asked for; `extra["field"]` names what is wrong."""

    status = 422
    code = "token-refused"
    title = "The access token cannot be made"


class TooManyTokens(Problem):
    """The person has as many tokens as anybody may have."""

    status = 409
    code = "too-many-tokens"
    title = "You have too many access tokens"


class SessionNeeded(Problem):
    """A token does not manage tokens."""

    status = 403
    code = "session-needed"
    title = "An access token cannot do this"


@dataclass(frozen=True, slots=True)
class Made:
    """A token just made: `secret` goes to the person and is kept nowhere else."""

    token: AccessToken
    secret: str


# An emergency is a person's, in their own session. Nor does a program say whom this server tells what, and is shown the
# secret of it.
_FOR_PEOPLE = frozenset({May.USE_EMERGENCY, May.MANAGE_CONNECTIONS})


async def make(session: AsyncSession, viewer: Viewer, name: str, days: int, acts: Collection[str] | None) -> Made:
    """A new token of the viewer's own, for `days`; `acts` of `May` narrow it, None leaves all that the role may do.

    Raises `TokenRefused`, `TooManyTokens`, `SessionNeeded`, `NameUnusable`.
    """
    if not viewer.sign_in:
        raise SessionNeeded("Sign in and make it on the page of your account, or with your session's cookie.")
    name = usable_name(name, NAME_MAX)
    if not 1 <= days <= DAYS_MAX:
        raise TokenRefused(f"Let it end after 1 to {DAYS_MAX} days.", extra={"field": "days"})
    offered = set(May) - _FOR_PEOPLE
    if acts is not None and (not acts or not all(one in offered and may(viewer, May(one)) for one in acts)):
        sentence = "Choose at least one thing, and only such as your role includes."
        raise TokenRefused(sentence, extra={"field": "acts"})
    at = now()
    # Held, so that two made at once are counted one after the other.
    await repository.lock(session, viewer.account_id)
    if await token_repository.usable(session, viewer.account_id, at) >= MOST:
        raise TooManyTokens(f"Nobody has more than {MOST} at once. Revoke those that are not used any more.")
    secret = PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    made = AccessToken(
        organisation_id=viewer.organisation_id,
        account_id=viewer.account_id,
        secret_hash=_hash(secret),
        name=name,
        acts=sorted(acts) if acts is not None else None,
        created_at=at,
        expires_at=at + timedelta(days=days),
    )
    await _note(session, viewer, "token.make", made.id, {"days": days, "acts": made.acts})
    await token_repository.add(session, made)
    return Made(made, secret)


async def revoke(session: AsyncSession, viewer: Viewer, token_id: UUID) -> None:
    """End a token of the viewer's own, also the one that they come with. Raises `NotFound`."""
    await _note(session, viewer, "token.revoke", token_id, {})
    if not await token_repository.revoke(session, viewer.account_id, token_id):
        raise NotFound("You have no such access token, or it has ended.")


async def every(session: AsyncSession, viewer: Viewer) -> Sequence[AccessToken]:
    """The viewer's own tokens that still open something, the newest first."""
    return await token_repository.listed(session, viewer.account_id, now())


async def viewer(sessions: Sessions, secret: str) -> Viewer | None:
    """The person whose token that is; None when it is unknown or has ended, or its account was closed.

    That it is used is noted once a minute, in the audit log too.
    """
    if not secret.startswith(PREFIX) or len(secret) > _LENGTH_MAX or not secret.isascii():
        return None
    at = now()
    async with tenancy.transaction(sessions) as session:
        token = await token_repository.by_hash(session, _hash(secret))
        if token is None or token.revoked_at is not None or token.expires_at <= at:
            return None
        await tenancy.enter(session, token.organisation_id)
        person = await repository.person(session, token.account_id)
        if person is None:
            return None
        if token.used_at is None or token.used_at + NOTED_EVERY <= at:
            await token_repository.touch(session, token.id, at)
            await _note_use(session, token)
    account = person.account
    return Viewer(
        account_id=account.id,
        organisation_id=account.organisation_id,
        organisation=person.organisation,
        name=account.name,
        email=account.email,
        role=account.role,
        csrf="",
        sign_in=b"",
        first=first_page(person),
        privacy_lead=person.privacy_lead,
        acts=None if token.acts is None else frozenset(token.acts),
    )


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


async def _note_use(session: AsyncSession, token: AccessToken) -> None:
    """What a program does is written as its person's own act; that it was a program's, and which, is told by this."""
    await audit.record(
        session,
        organisation_id=token.organisation_id,
        actor=audit.Actor("account", str(token.account_id)),
        action="token.use",
        subject_kind="access-token",
        subject=str(token.id),
    )


async def _note(session: AsyncSession, viewer: Viewer, action: str, token_id: UUID, detail: dict[str, object]) -> None:
    await audit.record(
        session,
        organisation_id=viewer.organisation_id,
        actor=audit.Actor("account", str(viewer.account_id)),
        action=action,
        subject_kind="access-token",
        subject=str(token_id),
        detail=detail,
    )
