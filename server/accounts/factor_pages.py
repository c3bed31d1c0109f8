"""Pages of a person's second factor: setting it up, its recovery codes, turning it off."""

from fastapi import APIRouter
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.accounts import factor_repository, factors, totp
from server.accounts.own_pages import sentence
from server.accounts.service import TooSoon, Viewer
from server.accounts.viewing import Own, OwnPosting
from server.database import tenancy
from server.state import state_of
from server.web.environment import page

router = APIRouter()


@router.get("/account/second-factor")
async def ask(request: Request, viewer: Own) -> Response:
    """Offer to set one up; once begun, show the secret and ask for a code that it makes."""
    return await _form(request, viewer)


@router.post("/account/second-factor/begin")
async def begin(request: Request, viewer: OwnPosting) -> Response:
    """Make a secret, in the place of one that was never confirmed."""
    state = state_of(request)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        await factors.begin(session, viewer, state.settings)
    return RedirectResponse("/account/second-factor", 303)


@router.post("/account/second-factor/confirm")
async def confirm(request: Request, viewer: OwnPosting) -> Response:
    """Turn it on and show the recovery codes, this once; or show the form again with what was wrong."""
    state = state_of(request)
    typed = request.state.form.get("code", "")
    if not typed.strip():
        return await _form(request, viewer, 422, "Enter the code that your app shows")
    try:
        codes = await factors.confirm(state.sessions, viewer, state.settings, typed)
    except (factors.CodeRefused, TooSoon) as refused:
        return await _form(request, viewer, refused.status, sentence(refused))
    return page(request, "second-factor-codes.jinja", title="Your recovery codes", codes=codes)


@router.get("/account/second-factor/off")
async def ask_off(request: Request, viewer: Own) -> Response:
    """The form that turns it off."""
    return _off_form(request)


@router.post("/account/second-factor/off")
async def turn_off(request: Request, viewer: OwnPosting) -> Response:
    """Turn it off, with the password and a code."""
    state = state_of(request)
    fields: dict[str, str] = request.state.form
    password, typed = fields.get("password", ""), fields.get("code", "")
    errors: dict[str, str] = {}
    if not password:
        errors["password"] = "Enter your password"  # noqa: S105 - a sentence
    if not typed.strip():
        errors["code"] = "Enter the code that your app shows, or a recovery code"
    if errors:
        return _off_form(request, 422, errors)
    try:
        await factors.turn_off(state.sessions, viewer, state.settings, password, typed)
    except factors.PasswordRefused as refused:
        return _off_form(request, refused.status, {"password": sentence(refused)})
    except (factors.CodeRefused, TooSoon) as refused:
        return _off_form(request, refused.status, {"code": sentence(refused)})
    return RedirectResponse("/account?said=factor-off", 303)


async def _form(request: Request, viewer: Viewer, status: int = 200, error: str = "") -> Response:
    state = state_of(request)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        in_use = await factor_repository.confirmed(session, viewer.account_id) is not None
        secret = await factors.unconfirmed(session, viewer, state.settings)
        needed = viewer.role in await factor_repository.rule(session)
    address = totp.address(secret, viewer.email) if secret else ""
    return page(
        request,
        "second-factor.jinja",
        status=status,
        title="Your second factor",
        in_use=in_use,
        needed=needed,
        secret=totp.grouped(secret) if secret else "",
        address=address,
        picture=Markup(totp.picture(address)) if address else "",  # noqa: S704 - drawn by us, of modules alone
        error=error if secret else "",
    )


def _off_form(request: Request, status: int = 200, errors: dict[str, str] | None = None) -> Response:
    return page(
        request, "second-factor-off.jinja", status=status, title="Turn off your second factor", errors=errors or {}
    )
