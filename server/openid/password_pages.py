"""The page on which an administrator switches passwords off, after a warning, and on again."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.accounts.permissions import May
from server.accounts.service import Viewer
from server.accounts.viewing import allowed, allowed_posting
from server.audit.service import Actor
from server.database import tenancy
from server.openid import passwords, repository
from server.problems import NotFound
from server.state import state_of
from server.web import formatting
from server.web.environment import page, zone_of

router = APIRouter()

Managing = Annotated[Viewer, Depends(allowed(May.MANAGE_PEOPLE))]
Changing = Annotated[Viewer, Depends(allowed_posting(May.MANAGE_PEOPLE))]


@router.get("/staff/passwords")
async def ask(request: Request, viewer: Managing) -> Response:
    """Whether people sign in with passwords, and what switching them off or on does."""
    return await _form(request, viewer)


@router.post("/staff/passwords")
async def take(request: Request, viewer: Changing) -> Response:
    """Switch them, or say why it cannot be done."""
    wanted = request.state.form.get("passwords", "")
    actor = Actor("account", str(viewer.account_id))
    try:
        async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
            if wanted == "off":
                await passwords.switch_off(session, actor, viewer.organisation_id, keep=viewer.sign_in)
            elif wanted == "on":
                await passwords.switch_on(session, actor, viewer.organisation_id)
            else:
                raise NotFound("This form is not complete. Load the page again.")
    except passwords.PasswordsStay as refused:
        return await _form(request, viewer, refused.status)
    return RedirectResponse(f"/staff?said=passwords-{wanted}", 303)


async def _form(request: Request, viewer: Viewer, status: int = 200) -> Response:
    state = state_of(request)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        provider = await repository.provider_of(session)
        proved = provider is not None and await repository.proved(session, provider.issuer)
    off_at = provider.passwords_off_at if provider else None
    return page(
        request,
        "staff-passwords.jinja",
        status=status,
        title="Passwords",
        label=provider.label if provider else "",
        off_since=formatting.date_and_time(off_at, zone_of(state.settings)) if off_at else "",
        why_not=passwords.why_not(provider, proved=proved),
    )
