"""Calls of an administrator: who works here, adding somebody, another role, closing an account and opening it again.

On the pages only is what shows or takes a secret, or changes how somebody proves who they are: a password, the second
factor and who needs one, the link to the organisation's sign-in, the privacy lead. So is whatever concerns an
administrator, unless a session asks for it (`staff.service`).
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import StringConstraints
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request

from server.accounts.models import Role
from server.accounts.service import EMAIL_MAX
from server.api import access, cursors, repeating
from server.api.shapes import MISSING, MOVED, JustPaged, Shape, problems
from server.database import tenancy
from server.organisations.service import NAME_MAX
from server.problems import NotFound
from server.staff import repository, service
from server.staff.repository import Member, Place
from server.state import state_of

router = APIRouter(tags=["Staff"])


class MemberShape(Shape):
    """One account; `open_follow_ups` are those that it owns."""

    id: UUID
    name: str
    email: str
    role: Role
    active: bool
    second_factor: bool
    must_change_password: bool
    open_follow_ups: int
    created_at: datetime


class Members(Shape):
    """A page of accounts: those that may sign in first, by name; `next_cursor` is null at the end."""

    items: list[MemberShape]
    next_cursor: str | None


class PersonAsked(Shape):
    """Somebody who is to work here. No password goes with it: they sign in by the organisation, or are given one."""

    email: Annotated[str, StringConstraints(min_length=3, max_length=EMAIL_MAX, pattern=r"^[^\x00]*$")]
    name: Annotated[str, StringConstraints(min_length=1, max_length=NAME_MAX, pattern=r"^[^\x00]*$")]
    role: Role


class RoleAsked(Shape):
    """Another role. `successor` takes over open follow-ups where the new role does not follow up."""

    role: Role
    successor: UUID | None = None


class ClosingAsked(Shape):
    """Closing an account. `successor` takes over its open follow-ups, and is needed where there are any."""

    successor: UUID | None = None


@router.get("/staff")
async def everybody(request: Request, viewer: access.ManagingPeople, page: JustPaged) -> Members:
    """Everybody of the organisation."""
    own = cursors.of(request, viewer)
    place = own.read(page.cursor)
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        found = await repository.members(session, after=Place.parse(place) if place else None, most=page.limit + 1)
    shown = found[: page.limit]
    following = own.write(Place.of(shown[-1].account).text()) if len(found) > page.limit else None
    return Members(items=[_member(one) for one in shown], next_cursor=following)


@router.get("/staff/{account_id}", responses=MISSING)
async def one(request: Request, account_id: UUID, viewer: access.ManagingPeople) -> MemberShape:
    """One account."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        return await _found(session, account_id)


@router.post("/staff", status_code=201, responses=problems(409))
async def add(
    request: Request, response: Response, asked: PersonAsked, viewer: access.ManagingPeople, key: repeating.NeededKey
) -> MemberShape:
    """Make an account, once under a key. It has no password: the organisation's sign-in opens it, or an administrator
    gives one on the page Staff."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:

        async def done() -> UUID:
            return (await service.add(session, viewer, asked.email, asked.name, asked.role, None)).id

        made = await repeating.once(session, viewer, key, "staff", asked, done)
        response.headers["Location"] = f"{request.url.path}/{made}"
        return await _found(session, made)


@router.post("/staff/{account_id}/role", responses=MOVED)
async def change_role(
    request: Request, account_id: UUID, asked: RoleAsked, viewer: access.ManagingPeople, key: repeating.Key = None
) -> MemberShape:
    """Give somebody another role; their sessions and access tokens end."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:

        async def done() -> UUID:
            await service.change_role(session, viewer, account_id, asked.role, asked.successor)
            return account_id

        await repeating.once(session, viewer, key, f"role {account_id}", asked, done)
        return await _found(session, account_id)


@router.post("/staff/{account_id}/close", responses=MOVED)
async def close(
    request: Request, account_id: UUID, asked: ClosingAsked, viewer: access.ManagingPeople, key: repeating.Key = None
) -> MemberShape:
    """Let somebody sign in no more; their sessions and access tokens end. One that is closed stays so."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:

        async def done() -> UUID:
            await service.close(session, viewer, account_id, asked.successor)
            return account_id

        await repeating.once(session, viewer, key, f"close {account_id}", asked, done)
        return await _found(session, account_id)


@router.post("/staff/{account_id}/reopen", responses=MOVED)
async def reopen(
    request: Request, account_id: UUID, viewer: access.ManagingPeople, key: repeating.Key = None
) -> MemberShape:
    """Let somebody sign in again, as they did before. One that is open stays so."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:

        async def done() -> UUID:
            await service.reopen(session, viewer, account_id)
            return account_id

        await repeating.once(session, viewer, key, f"reopen {account_id}", None, done)
        return await _found(session, account_id)


async def _found(session: AsyncSession, account_id: UUID) -> MemberShape:
    found = await repository.members(session, account_id)
    if not found:
        raise NotFound("There is no such person in your organisation. Start again from the list.")
    return _member(found[0])


def _member(one: Member) -> MemberShape:
    account = one.account
    return MemberShape(
        id=account.id,
        name=account.name,
        email=account.email,
        role=Role(account.role),
        active=account.active,
        second_factor=one.has_factor,
        must_change_password=account.must_change_password,
        open_follow_ups=one.owned,
        created_at=account.created_at,
    )
