"""Pages of sign-in and sign-out."""

from datetime import timedelta

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.accounts import cookies, factors, landing, service
from server.accounts.models import SignIn
from server.accounts.service import PasswordsOff, SignInRefused, TooSoon
from server.accounts.viewing import OwnPosting
from server.database import tenancy
from server.openid import repository as providers
from server.problems import Problem
from server.settings import Settings
from server.state import CurrentSettings, state_of
from server.web import forms
from server.web.environment import page

router = APIRouter()


@router.get("/sign-in")
async def ask(request: Request, settings: CurrentSettings) -> Response:
    """The form; a person who is signed in goes on to the page they want."""
    wanted = forms.local_path(request.query_params.get("next"))
    secret = cookies.session_secret(request, settings)
    if secret and await service.viewer(state_of(request).sessions, secret, active=True):
        return RedirectResponse(wanted, 303)
    return await _form(request, wanted=wanted, signed_out="signed-out" in request.query_params)


@router.post("/sign-in")
async def take(request: Request, settings: CurrentSettings) -> Response:
    """Check the form and open a session, or show the form again with what was wrong."""
    fields = await forms.read(request)
    wanted = forms.local_path(fields.get("next"))
    email = fields.get("email", "")
    key = cookies.form_key(request, settings)
    if key is None:
        return await _form(
            request,
            status=403,
            wanted=wanted,
            email=email,
            summary="Your browser sent no cookie back. Allow cookies for this site, then sign in again.",
        )
    forms.check_token(fields.get("csrf"), cookies.form_token(key, settings))
    errors = _blank(email, fields.get("password", ""))
    if errors:
        return await _form(request, status=422, wanted=wanted, email=email, errors=errors)
    lifetime = timedelta(hours=settings.session_hours)
    address = request.client.host if request.client else None
    try:
        opened = await service.sign_in(
            state_of(request).sessions, email, fields["password"], address, settings.session_secret_bytes(), lifetime,
            cookies.known_device(request, settings, email.strip().lower()),
        )  # fmt: skip
    except (SignInRefused, TooSoon, PasswordsOff) as refused:
        return await _refused(request, refused, wanted, email)
    response = RedirectResponse(landing.code_page(wanted) if opened.pending else wanted, 303)
    cookies.set_session(response, settings, opened.secret, opened.lifetime)
    if not opened.pending:
        cookies.set_device(response, request, settings, email.strip().lower())
    return response


@router.get("/sign-in/code")
async def ask_code(request: Request, settings: CurrentSettings) -> Response:
    """The second step: the form for the code, for a browser whose password was right a moment ago."""
    waiting = await _waiting(request, settings)
    wanted = forms.local_path(request.query_params.get("next"))
    return _code_form(request, waiting, wanted) if waiting else RedirectResponse(landing.sign_in_page(wanted), 303)


@router.post("/sign-in/code")
async def take_code(request: Request, settings: CurrentSettings) -> Response:
    """Check the code and open the session, or show the form again with what was wrong."""
    fields = await forms.read(request)
    wanted = forms.local_path(fields.get("next"))
    waiting = await _waiting(request, settings)
    if waiting is None:
        return RedirectResponse(landing.sign_in_page(wanted), 303)
    forms.check_token(fields.get("csrf"), waiting.csrf)
    typed = fields.get("code", "")
    if not typed.strip():
        return _code_form(request, waiting, wanted, status=422, error="Enter the code that your app shows")
    lifetime, sessions = timedelta(hours=settings.session_hours), state_of(request).sessions
    email = await service.email_of(sessions, waiting)
    device = cookies.known_device(request, settings, email)
    try:
        opened = await factors.finish(sessions, waiting, settings, typed, lifetime, device)
    except (factors.CodeRefused, TooSoon) as refused:
        sentence = f"{refused.title}. {refused.detail}"
        return _code_form(request, waiting, wanted, status=refused.status, headers=refused.headers, error=sentence)
    response = RedirectResponse(wanted, 303)
    cookies.set_session(response, settings, opened.secret, opened.lifetime)
    cookies.set_device(response, request, settings, email)
    return response


async def _waiting(request: Request, settings: Settings) -> SignIn | None:
    secret = cookies.session_secret(request, settings)
    return await service.waiting(state_of(request).sessions, secret) if secret else None


def _code_form(
    request: Request,
    waiting: SignIn,
    wanted: str,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    error: str = "",
) -> Response:
    return page(
        request, "sign-in-code.jinja", status=status, headers=headers, viewer=None, title="Enter your code",
        csrf=waiting.csrf, wanted=wanted, error=error,
    )  # fmt: skip


@router.post("/sign-out")
async def leave(request: Request, viewer: OwnPosting, settings: CurrentSettings) -> Response:
    """End the session."""
    await service.sign_out(state_of(request).sessions, viewer)
    response = RedirectResponse("/sign-in?signed-out", 303)
    cookies.clear_session(response, settings)
    return response


def _blank(email: str, password: str) -> dict[str, str]:
    errors: dict[str, str] = {}
    if not email.strip():
        errors["email"] = "Enter your email address"
    if not password:
        errors["password"] = "Enter your password"  # noqa: S105 - a sentence
    return errors


async def _refused(request: Request, refused: Problem, wanted: str, email: str) -> Response:
    sentence = f"{refused.title}. {refused.detail}"
    return await _form(
        request,
        status=refused.status,
        headers=refused.headers,
        wanted=wanted,
        email=email,
        errors={"email": sentence},
        only=(refused.name, refused.label) if isinstance(refused, PasswordsOff) else None,
    )


async def _form(
    request: Request,
    *,
    wanted: str,
    status: int = 200,
    headers: dict[str, str] | None = None,
    email: str = "",
    errors: dict[str, str] | None = None,
    summary: str = "",
    signed_out: bool = False,
    only: tuple[str, str] | None = None,
) -> Response:
    """The page; `only` names the provider of somebody who cannot sign in otherwise, whether it is listed or not."""
    state = state_of(request)
    settings = state.settings
    async with tenancy.transaction(state.sessions) as session:
        listed = [only] if only else await providers.listed(session)
    key = cookies.form_key(request, settings)
    made = key or cookies.new_form_key()
    response = page(
        request,
        "sign-in.jinja",
        status=status,
        headers=headers,
        viewer=None,
        title="Sign in",
        csrf=cookies.form_token(made, settings),
        wanted=wanted,
        email=email,
        errors=errors or {},
        summary=summary,
        signed_out=signed_out,
        providers=[(label, landing.provider_page(name, wanted)) for name, label in listed],
        more_providers=len(listed) == providers.LISTED_MAX,
    )
    if key is None:
        cookies.set_form_key(response, settings, made)
    return response
