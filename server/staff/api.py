"""Calls of an administrator: who works here. What is done with accounts is done on the pages, by a person."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request

from server.accounts.models import Role
from server.api import access, cursors
from server.api.shapes import MISSING, JustPaged, Shape
from server.database import tenancy
from server.problems import NotFound
from server.staff import repository
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
