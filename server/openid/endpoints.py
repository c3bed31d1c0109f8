"""The way to an organisation's provider and back. Links, no forms: a form may lead to no other site (form-action)."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.accounts import cookies, landing
from server.openid import service
from server.openid.service import Answer
from server.state import CurrentSettings, state_of
from server.web import forms

router = APIRouter()


@router.get("/sign-in/with/{name}")
async def leave(request: Request, name: str, settings: CurrentSettings) -> Response:
    """To the provider; this browser's cookie holds what its answer is bound to, and the page that was wanted."""
    state = state_of(request)
    kept = cookies.provider_attempt(request, settings)
    browser = kept[0] if kept else cookies.new_form_key()
    address = await service.begin(state.sessions, state.providers, settings, name, browser)
    response = RedirectResponse(address, 303)
    wanted = forms.local_path(request.query_params.get("next"))
    cookies.set_provider_attempt(response, settings, browser, wanted)
    return response


@router.get("/sign-in/with/{name}/return")
async def come_back(request: Request, name: str, settings: CurrentSettings) -> Response:
    """Back from the provider: open the session and go on to the code of the second factor, or to the page wanted."""
    state = state_of(request)
    kept = cookies.provider_attempt(request, settings)
    query = request.query_params
    answer = Answer(*(query.get(name, "") for name in ("state", "code", "error", "iss")))
    opened = await service.take(
        state.sessions,
        state.providers,
        settings,
        name,
        kept[0] if kept else None,
        answer,
        request.client.host if request.client else None,
    )
    wanted = forms.local_path(kept[1]) if kept else "/"
    response = RedirectResponse(landing.code_page(wanted) if opened.pending else wanted, 303)
    cookies.set_session(response, settings, opened.secret, opened.lifetime)
    cookies.clear_provider_attempt(response, settings)
    return response
