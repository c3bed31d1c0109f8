"""Calls about one's own account: who one is here, the sessions, and the access tokens.

A password and a second factor are changed on the pages, by a person.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field, StringConstraints
from starlette.requests import Request

from server.accounts import factor_repository, own, repository, service, tokens
from server.accounts.models import AccessToken, Role, SignIn
from server.accounts.permissions import May, may
from server.accounts.service import Viewer
from server.accounts.tokens import DAYS_MAX, DAYS_USUAL, NAME_MAX
from server.api import access
from server.api.shapes import MISSING, Hexadecimal, Shape, problems
from server.database import tenancy
from server.database.columns import now
from server.state import state_of

router = APIRouter(tags=["Your account"])

SessionId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class OwnAccount(Shape):
    """Who calls, and what they may do in this call. `first` is a page that asks for something before all else."""

    id: UUID
    name: str
    email: str
    role: Role
    organisation: str
    may: list[May]
    second_factor: bool
    recovery_codes_left: int
    first: str


class SessionShape(Shape):
    """A session that is open; its id opens nothing. `current` is the one that this call came with."""

    id: Hexadecimal
    began_at: datetime
    used_at: datetime
    ends_at: datetime
    current: bool


class Sessions(Shape):
    """Every open session, the latest used first."""

    items: list[SessionShape]


class TokenAsked(Shape):
    """A token by the name of what will use it; `may` narrows what it does, without it is all that the role may do."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=NAME_MAX, pattern=r"^[^\x00]*$")]
    days: int = Field(default=DAYS_USUAL, ge=1, le=DAYS_MAX)
    may: Annotated[list[May], Field(min_length=1, max_length=len(May))] | None = None


class TokenShape(Shape):
    """A token, without its secret. `may` is null where it does all that the role may do."""

    id: UUID
    name: str
    may: list[May] | None
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None


class TokenMade(Shape):
    """A token just made. `secret` is shown this once and kept nowhere: put it where only its program reads it."""

    token: TokenShape
    secret: str


class Tokens(Shape):
    """Every token that still opens something, the newest first."""

    items: list[TokenShape]


@router.get("/account")
async def account(request: Request, viewer: access.Own) -> OwnAccount:
    """Who calls, and what they may do."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        factor = await factor_repository.confirmed(session, viewer.account_id)
        left = await factor_repository.recovery_left(session, viewer.account_id)
    return OwnAccount(
        id=viewer.account_id,
        name=viewer.name,
        email=viewer.email,
        role=Role(viewer.role),
        organisation=viewer.organisation,
        may=[act for act in May if may(viewer, act)],
        second_factor=factor is not None,
        recovery_codes_left=left,
        first=viewer.first,
    )


@router.get("/account/sessions")
async def sessions(request: Request, viewer: access.Own) -> Sessions:
    """Where one is signed in."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        found = await repository.open_sessions(session, viewer.account_id, now(), service.IDLE)
    return Sessions(items=[_session(one, viewer) for one in found])


@router.delete("/account/sessions/{session_id}", status_code=204)
async def end(request: Request, session_id: SessionId, viewer: access.Own) -> None:
    """End a session of one's own, but not the one that this call came with. One that has ended stays so."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        await own.end_sessions(session, viewer, bytes.fromhex(session_id))


@router.get("/tokens")
async def every(request: Request, viewer: access.Own) -> Tokens:
    """One's own access tokens."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        return Tokens(items=[_token(one) for one in await tokens.every(session, viewer)])


@router.post("/tokens", status_code=201, responses=problems(409))
async def make(request: Request, asked: TokenAsked, viewer: access.Signed) -> TokenMade:
    """Make an access token, with a session and not with another token.

    There is no Idempotency-Key: the secret is kept nowhere and cannot be answered twice. Revoke the one that was lost.
    """
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        made = await tokens.make(session, viewer, asked.name, asked.days, asked.may)
    return TokenMade(token=_token(made.token), secret=made.secret)


@router.delete("/tokens/{token_id}", status_code=204, responses=MISSING)
async def revoke(request: Request, token_id: UUID, viewer: access.Own) -> None:
    """End an access token of one's own, also the one that this call came with."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        await tokens.revoke(session, viewer, token_id)


def _session(one: SignIn, viewer: Viewer) -> SessionShape:
    return SessionShape(
        id=one.id_hash.hex(),
        began_at=one.created_at,
        used_at=one.seen_at,
        ends_at=one.expires_at,
        current=one.id_hash == viewer.sign_in,
    )


def _token(one: AccessToken) -> TokenShape:
    return TokenShape(
        id=one.id,
        name=one.name,
        may=None if one.acts is None else [May(act) for act in one.acts],
        created_at=one.created_at,
        expires_at=one.expires_at,
        used_at=one.used_at,
    )
