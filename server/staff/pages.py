"""Pages on which an administrator adds people, changes what they may do, and closes accounts; one act a page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.accounts import factor_repository
from server.accounts.models import Role
from server.accounts.own_pages import ROLES, role_words, sentence
from server.accounts.passwords import WeakPassword
from server.accounts.permissions import May, may
from server.accounts.service import EmailRefused, EmailTaken, RoleUnknown, Viewer
from server.accounts.viewing import allowed, allowed_posting
from server.database import tenancy
from server.emergency import repository as emergencies
from server.emergency import service as emergency
from server.followup import repository as follow_ups
from server.followup.service import OwnerUnknown
from server.openid import repository as openid
from server.openid.models import OpenidProvider
from server.organisations.service import NameUnusable
from server.problems import NotFound, Problem
from server.staff import repository, service
from server.staff.repository import Member
from server.state import state_of
from server.web import formatting
from server.web.environment import page, zone_of

router = APIRouter()

Managing = Annotated[Viewer, Depends(allowed(May.MANAGE_PEOPLE))]
Changing = Annotated[Viewer, Depends(allowed_posting(May.MANAGE_PEOPLE))]

_SAID = {
    "added": "The account is made. Tell them the first password yourself; they choose their own when they sign in.",
    "role": "The role is changed, and their sessions have ended.",
    "closed": "The account is closed, and their sessions have ended.",
    "reopened": "The account is open again.",
    "reset": "The second factor is removed, and their sessions have ended.",
    "unlinked": "The sign-in is forgotten, and their sessions have ended.",
    "password": "The password is changed. Tell it to them yourself; they choose their own when they sign in.",
    "rule": "The rule is kept.",
    "lead": "The privacy lead is named.",
    "expected": "The account is made. They come in by your organisation’s sign-in with this email address.",
    "passwords-off": "Passwords are off. People sign in by your organisation only.",
    "passwords-on": "People can sign in with passwords again.",
}
_FIELD_OF: dict[type[Problem], str] = {
    EmailRefused: "email",
    EmailTaken: "email",
    NameUnusable: "name",
    RoleUnknown: "role",
    WeakPassword: "password",
    OwnerUnknown: "successor",
}


@dataclass(frozen=True, slots=True)
class MemberView:
    href: str
    name: str
    email: str
    role: str
    active: bool
    factor: bool
    linked: bool
    owned: int
    mine: bool
    facts: list[tuple[str, str]]


def _view(member: Member, viewer: Viewer, zone: ZoneInfo) -> MemberView:
    account = member.account
    waits = "; a first password waits to be changed" if account.must_change_password else ""
    return MemberView(
        href=f"/staff/{account.id}",
        name=account.name,
        email=account.email,
        role=role_words(account.role),
        active=account.active,
        factor=member.has_factor,
        linked=member.linked,
        owned=member.owned,
        mine=account.id == viewer.account_id,
        facts=[
            ("Email address", account.email),
            ("Role", role_words(account.role)),
            ("Account", ("Open" if account.active else "Closed") + waits),
            ("Second factor", "On" if member.has_factor else "Off"),
            *([("Signs in by your organisation", "Yes")] if member.linked else []),
            ("Open follow-ups", f"{member.owned:,}"),
            ("Since", formatting.date_and_time(account.created_at, zone)),
        ],
    )


@router.get("/staff")
async def everybody(request: Request, viewer: Managing) -> Response:
    """Everybody of the organisation, and which roles need a second factor."""
    state = state_of(request)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        found = await repository.members(session)
        rule = await factor_repository.rule(session)
        lead = await emergencies.privacy_lead(session)
        provider = await openid.provider_of(session)
    zone = zone_of(state.settings)
    return page(
        request,
        "staff.jinja",
        title="Staff",
        members=[_view(one, viewer, zone) for one in found],
        privacy_lead=f"{lead.name}, {role_words(lead.role).lower()}." if lead else "",
        rule=[
            {"name": f"role-{role}", "id": f"role-{role}", "value": "yes", "text": words, "checked": role in rule}
            for role, words in ROLES.items()
        ],
        passwords=_passwords(provider),
        said=_said(request),
    )


def _passwords(provider: OpenidProvider | None) -> str:
    if provider is None:
        return "People sign in with their email address and password."
    if provider.passwords_off_at is not None:
        return f"Off. People sign in with {provider.label} only."
    return f"On. People sign in with their email address and password, or with {provider.label}."


@router.post("/staff/rule")
async def take_rule(request: Request, viewer: Changing) -> Response:
    """Which roles need a second factor."""
    fields: dict[str, str] = request.state.form
    roles = frozenset(str(role) for role in Role if fields.get(f"role-{role}") == "yes")
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        await service.require_factor(session, viewer, roles)
    return RedirectResponse("/staff?said=rule", 303)


@router.get("/staff/privacy-lead")
async def ask_privacy_lead(request: Request, viewer: Managing) -> Response:
    """The form that names who is told of each use of emergency access."""
    return await _privacy_lead_form(request, viewer)


@router.post("/staff/privacy-lead")
async def take_privacy_lead(request: Request, viewer: Changing) -> Response:
    """Name them, or show the form again with what is wrong."""
    fields: dict[str, str] = request.state.form
    try:
        wanted = UUID(fields.get("lead", ""))
        async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
            await emergency.name_privacy_lead(session, viewer, wanted)
    except ValueError:
        return await _privacy_lead_form(request, viewer, 422, "Choose a person")
    except emergency.LeadRefused as refused:
        return await _privacy_lead_form(request, viewer, refused.status, sentence(refused))
    return RedirectResponse("/staff?said=lead", 303)


async def _privacy_lead_form(request: Request, viewer: Viewer, status: int = 200, error: str = "") -> Response:
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        found = [one.account for one in await repository.members(session)]
        lead = await emergencies.privacy_lead(session)
    known = lead.id if lead else None
    choices = [
        {"value": str(one.id), "text": f"{one.name}, {role_words(one.role)}", "selected": one.id == known}
        for one in found
        if one.active and not may(one, May.USE_EMERGENCY)
    ]
    return page(
        request,
        "staff-privacy-lead.jinja",
        status=status,
        title="Privacy lead",
        people=[{"value": "", "text": "Choose a person"}, *choices],
        error=error,
    )


@router.get("/staff/add")
async def ask_add(request: Request, viewer: Managing) -> Response:
    """The form of a new account."""
    return await _add_form(request, viewer, {})


@router.post("/staff/add")
async def take_add(request: Request, viewer: Changing) -> Response:
    """Make it, or show the form again with what is wrong; a password that was typed is never sent back."""
    fields: dict[str, str] = request.state.form
    email, name, role, password = (fields.get(name, "") for name in ("email", "name", "role", "password"))
    try:
        async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
            expected = await openid.instead_of_passwords(session) is not None
            made = await service.add(session, viewer, email, name, role, None if expected else password)
    except (EmailRefused, EmailTaken, NameUnusable, RoleUnknown, WeakPassword) as refused:
        return await _add_form(request, viewer, fields, refused)
    return RedirectResponse(f"/staff/{made.id}?said={'expected' if expected else 'added'}", 303)


async def _add_form(
    request: Request, viewer: Viewer, fields: Mapping[str, str], refused: Problem | None = None
) -> Response:
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        instead = await openid.instead_of_passwords(session)
    return page(
        request,
        "staff-add.jinja",
        status=refused.status if refused else 200,
        title="Add somebody",
        fields={name: fields.get(name, "") for name in ("email", "name")},
        roles=_roles(fields.get("role", "")),
        instead=instead[1] if instead else "",
        errors=_errors(refused),
    )


@router.get("/staff/{account_id}")
async def one(request: Request, account_id: str, viewer: Managing) -> Response:
    """One person and what can be done with their account."""
    state = state_of(request)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        member = await _member(session, account_id)
    view = _view(member, viewer, zone_of(state.settings))
    return page(request, "staff-member.jinja", title=view.name, member=view, said=_said(request))


@router.get("/staff/{account_id}/{act}")
async def ask(request: Request, account_id: str, act: str, viewer: Managing) -> Response:
    """The form of one act: role, close, reopen, reset, unlink or password."""
    return await _form(request, viewer, account_id, act)


@router.post("/staff/{account_id}/{act}")
async def take(request: Request, account_id: str, act: str, viewer: Changing) -> Response:
    """Do it, or show the form again with what is wrong."""
    fields: dict[str, str] = request.state.form
    wanted = _uuid(account_id)
    try:
        successor = UUID(fields["successor"]) if fields.get("successor") else None
    except ValueError:
        raise NotFound("This form holds somebody who cannot be chosen. Load the page again.") from None
    try:
        async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
            said = await _do(session, viewer, wanted, act, fields, successor)
    except (RoleUnknown, WeakPassword, OwnerUnknown) as refused:
        return await _form(request, viewer, account_id, act, fields, refused)
    return RedirectResponse(f"/staff/{wanted}?said={said}", 303)


async def _do(
    session: AsyncSession, viewer: Viewer, wanted: UUID, act: str, fields: Mapping[str, str], successor: UUID | None
) -> str:
    match act:
        case "role":
            await service.change_role(session, viewer, wanted, fields.get("role", ""), successor)
            return "role"
        case "close":
            await service.close(session, viewer, wanted, successor)
            return "closed"
        case "reopen":
            await service.reopen(session, viewer, wanted)
            return "reopened"
        case "reset":
            await service.reset_second_factor(session, viewer, wanted)
            return "reset"
        case "unlink":
            await service.unlink(session, viewer, wanted)
            return "unlinked"
        case "password":
            await service.new_password(session, viewer, wanted, fields.get("password", ""))
            return "password"
        case _:
            raise NotFound("There is no such act. Go back to the person.")


@dataclass(frozen=True, slots=True)
class ActWords:
    """How an act is spoken of."""

    heading: str
    sentence: str
    button: str
    risky: bool = False


_ACTS = {
    "role": ActWords("Change the role", "Their sessions end; at the next sign-in they have the new role.", "Change it"),
    "close": ActWords("Close the account", "They are signed out at once and cannot sign in again.", "Close it", True),
    "reopen": ActWords(
        "Open the account again", "They can sign in again with the password and second factor they had.", "Open it"
    ),
    "reset": ActWords(
        "Remove the second factor",
        "Make sure that it is really they who ask. Their sessions end, and their password alone signs them in.",
        "Remove it",
        True,
    ),
    "unlink": ActWords(
        "Forget the organisation’s sign-in",
        "For an address that was given to somebody else, or an account that was made anew there. Their sessions end;"
        " whoever next signs in there with this verified email address is taken for this person.",
        "Forget it",
        True,
    ),
    "password": ActWords(
        "Give a new password",
        "Make sure that it is really they who ask. Their sessions end, and they choose their own at the next sign-in.",
        "Change it",
        True,
    ),
}


async def _form(
    request: Request,
    viewer: Viewer,
    account_id: str,
    act: str,
    fields: Mapping[str, str] | None = None,
    refused: Problem | None = None,
) -> Response:
    state, given = state_of(request), fields or {}
    words = _ACTS.get(act)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        member = await _member(session, account_id)
        possible = {"role": True, "close": member.account.active, "reopen": not member.account.active}
        if (
            words is None
            or not (possible | {"reset": member.has_factor, "unlink": member.linked, "password": True})[act]
        ):
            raise NotFound("This cannot be done now. Go back to the person and look at how the account stands.")
        if member.account.id == viewer.account_id:
            raise service.NotYourself
        people = await follow_ups.people(session) if act in ("role", "close") and member.owned else []
    return page(
        request,
        "staff-act.jinja",
        status=refused.status if refused else 200,
        title=words.heading,
        words=words,
        act=act,
        member=_view(member, viewer, zone_of(state.settings)),
        roles=_roles(given.get("role", member.account.role)) if act == "role" else [],
        successors=_successors(people, member.account.id, given.get("successor", "")),
        errors=_errors(refused),
    )


def _successors(people: list[tuple[UUID, str, str]], leaving: UUID, chosen: str) -> list[dict[str, Any]]:
    choices = [
        {"value": str(person), "text": f"{name}, {role_words(role)}", "selected": str(person) == chosen}
        for person, name, role in people
        if person != leaving
    ]
    return [{"value": "", "text": "Choose a person"}, *choices] if people else []


def _roles(chosen: str) -> list[dict[str, Any]]:
    return [{"value": str(role), "text": words, "checked": role == chosen} for role, words in ROLES.items()]


def _errors(refused: Problem | None) -> dict[str, str]:
    return {_FIELD_OF[type(refused)]: sentence(refused)} if refused else {}


def _said(request: Request) -> str:
    return _SAID.get(request.query_params.get("said", ""), "")


async def _member(session: AsyncSession, account_id: str) -> Member:
    found = await repository.members(session, _uuid(account_id))
    if not found:
        raise NotFound("There is no such person in your organisation. Start again from the list.")
    return found[0]


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is no such person. Start again from the list.") from None
