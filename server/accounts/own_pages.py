"""Pages of a person's own account: their password and their sessions."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.accounts import factor_repository, factors, own, repository, service
from server.accounts.models import Role, SignIn
from server.accounts.service import TooSoon, Viewer
from server.accounts.viewing import Own, OwnPosting
from server.database import tenancy
from server.database.columns import now
from server.problems import Problem
from server.state import state_of
from server.web import formatting
from server.web.environment import page, zone_of

router = APIRouter()

ROLES = {
    Role.CLINICIAN: "Clinician",
    Role.LEAD: "Clinical lead",
    Role.OPERATOR: "Operator",
    Role.ADMINISTRATOR: "Administrator",
    Role.AUDITOR: "Auditor",
}
_SAID = {
    "password": "Your password is changed, and every other session has ended.",
    "factor-off": "Your second factor is turned off.",
    "ended": "The session has ended.",
}


def role_words(role: str) -> str:
    """A role as people say it."""
    return ROLES[Role(role)] if role in set(Role) else role


@dataclass(frozen=True, slots=True)
class SessionView:
    id: str
    mine: bool
    began: str
    used: str


def session_view(one: SignIn, zone: ZoneInfo, mine: bytes = b"") -> SessionView:
    """A session in a list; its id is a hash, which opens nothing."""
    began, used = (formatting.date_and_time(at, zone) for at in (one.created_at, one.seen_at))
    return SessionView(one.id_hash.hex(), one.id_hash == mine, began, used)


@router.get("/account")
async def account(request: Request, viewer: Own) -> Response:
    """Who they are here, their second factor and their sessions."""
    state = state_of(request)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        factor = await factor_repository.confirmed(session, viewer.account_id)
        left = await factor_repository.recovery_left(session, viewer.account_id)
        open_now = await repository.open_sessions(session, viewer.account_id, now(), service.IDLE)
    zone = zone_of(state.settings)
    return page(
        request,
        "account.jinja",
        title="Your account",
        role=role_words(viewer.role),
        factor=factor is not None,
        codes_left=formatting.count(left, "recovery code"),
        sessions=[session_view(one, zone, viewer.sign_in) for one in open_now],
        said=_SAID.get(request.query_params.get("said", ""), ""),
    )


@router.post("/account/sessions/end")
async def end(request: Request, viewer: OwnPosting) -> Response:
    """End one other session of the person's own, or all but this one."""
    fields: dict[str, str] = request.state.form
    which = fields.get("session", "")
    try:
        wanted = None if which == "others" else bytes.fromhex(which)
    except ValueError:
        wanted = b""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        await own.end_sessions(session, viewer, wanted)
    return RedirectResponse("/account?said=ended", 303)


@router.get("/account/password")
async def ask_password(request: Request, viewer: Own) -> Response:
    """The form that changes the password."""
    return _password_form(request, viewer)


@router.post("/account/password")
async def take_password(request: Request, viewer: OwnPosting) -> Response:
    """Change the password, or say what is wrong with it."""
    fields: dict[str, str] = request.state.form
    old, new, again = (fields.get(name, "") for name in ("old", "new", "again"))
    if not old:
        return _password_form(request, viewer, 422, {"old": "Enter the password that you sign in with now"})
    if new != again:
        return _password_form(request, viewer, 422, {"again": "Type the new password the same both times"})
    state = state_of(request)
    try:
        await factors.change_password(state.sessions, viewer, state.settings, old, new)
    except (factors.PasswordRefused, TooSoon) as refused:
        return _password_form(request, viewer, refused.status, {"old": sentence(refused)})
    except Problem as refused:
        return _password_form(request, viewer, refused.status, {"new": sentence(refused)})
    return RedirectResponse("/account?said=password", 303)


def sentence(problem: Problem) -> str:
    """What is wrong and what to do, in one line."""
    return f"{problem.title}. {problem.detail}"


def _password_form(
    request: Request, viewer: Viewer, status: int = 200, errors: dict[str, str] | None = None
) -> Response:
    # What was typed into a password's field is never sent back.
    return page(
        request,
        "account-password.jinja",
        status=status,
        title="Change your password",
        errors=errors or {},
        must=viewer.first == "/account/password",
    )
