"""The page of a person's access tokens: making one, which is shown once, and revoking."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.accounts import tokens
from server.accounts.models import AccessToken
from server.accounts.own_pages import sentence
from server.accounts.permissions import May, may
from server.accounts.service import Viewer
from server.accounts.tokens import DAYS_MAX, DAYS_USUAL, TokenRefused, TooManyTokens
from server.accounts.viewing import Posting, SignedIn
from server.database import tenancy
from server.organisations.service import NameUnusable
from server.problems import NotFound, Problem
from server.state import API_PATH, state_of
from server.web import formatting
from server.web.environment import page, zone_of

router = APIRouter()

ACTS = {
    May.READ_RESULTS: "Read results",
    May.FOLLOW_UP: "Follow up results",
    May.SET_POLICY: "Set the rules of follow-up",
    May.READ_PATIENTS: "Read about people",
    May.WRITE_PATIENTS: "Register people and say whose a specimen is",
    May.SEE_CUSTODY: "See custody, quarantine and quality control",
    May.PROCESS_QUARANTINE: "Process quarantine again",
    May.RECALL: "Recall results",
    May.ROLL_OUT: "Roll out updates of readers",
    May.SEE_BOARD: "See the board",
    May.READ_AUDIT: "Read the audit log",
    May.MANAGE_PEOPLE: "See and change the staff, but no administrator",
    May.MANAGE_DEVICES: "Manage readers and hubs",
    May.CORRECT: "Correct results",
    May.SEE_ERASURES: "See what was erased",
    May.ERASE: "Erase by the rules of retention",
    May.ERASE_PERSON: "See what there is of a person to erase",
    May.REVIEW_EMERGENCY: "See the uses of emergency access",
}


@dataclass(frozen=True, slots=True)
class TokenView:
    id: str
    name: str
    may: str
    made: str
    ends: str
    used: str


@router.get("/account/tokens")
async def ask(request: Request, viewer: SignedIn) -> Response:
    """The tokens there are, and the form of a new one."""
    return await _page(request, viewer, {})


@router.post("/account/tokens")
async def make(request: Request, viewer: Posting) -> Response:
    """Make one and show it, this once; or show the form again with what is wrong."""
    fields: dict[str, str] = request.state.form
    chosen = [str(act) for act in May if fields.get(f"act-{act}")]
    days = fields.get("days", "")
    try:
        if not days.isascii() or not days.isdecimal() or len(days) > 3:
            raise TokenRefused("Give the days as a whole number.", extra={"field": "days"})
        async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
            made = await tokens.make(session, viewer, fields.get("name", ""), int(days), chosen)
    except (TokenRefused, TooManyTokens, NameUnusable) as refused:
        return await _page(request, viewer, fields, refused)
    zone = zone_of(state_of(request).settings)
    return page(
        request,
        "access-token-made.jinja",
        title="Your access token",
        token=_view(made.token, zone),
        secret=made.secret,
        address=f"{state_of(request).settings.origin}{API_PATH}/account",
    )


@router.post("/account/tokens/revoke")
async def revoke(request: Request, viewer: Posting) -> Response:
    """End one."""
    try:
        token_id = UUID(request.state.form.get("token", ""))
    except ValueError:
        raise NotFound("You have no such access token. Load the page again.") from None
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        await tokens.revoke(session, viewer, token_id)
    return RedirectResponse("/account/tokens?said=revoked", 303)


async def _page(
    request: Request, viewer: Viewer, fields: Mapping[str, str], refused: Problem | None = None
) -> Response:
    state = state_of(request)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        found = await tokens.every(session, viewer)
    zone = zone_of(state.settings)
    return page(
        request,
        "access-tokens.jinja",
        status=refused.status if refused else 200,
        title="Access tokens",
        tokens=[_view(one, zone) for one in found],
        fields={"name": fields.get("name", ""), "days": fields.get("days", str(DAYS_USUAL))},
        acts=[
            {"value": "yes", "name": f"act-{act}", "text": words, "checked": bool(fields.get(f"act-{act}"))}
            for act, words in ACTS.items()
            if may(viewer, act)
        ],
        days_max=DAYS_MAX,
        errors={_field(refused): sentence(refused)} if refused else {},
        said="The access token is revoked." if request.query_params.get("said") == "revoked" else "",
    )


def _field(refused: Problem) -> str:
    return str(refused.extra.get("field", "name"))


def _view(one: AccessToken, zone: ZoneInfo) -> TokenView:
    allowed = "All that your role includes" if one.acts is None else ", ".join(ACTS[May(act)] for act in one.acts)
    return TokenView(
        str(one.id),
        one.name,
        allowed,
        formatting.date_and_time(one.created_at, zone),
        formatting.date_and_time(one.expires_at, zone),
        formatting.date_and_time(one.used_at, zone) if one.used_at else "Never",
    )
