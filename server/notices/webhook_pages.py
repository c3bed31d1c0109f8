"""Pages on which an administrator sees, sets, tests and removes the webhook; its secret is shown once."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.accounts.own_pages import sentence
from server.accounts.permissions import May
from server.accounts.service import Viewer
from server.accounts.viewing import allowed, allowed_posting
from server.audit.service import Actor
from server.database import tenancy
from server.notices import webhook, webhook_repository
from server.notices.models import Webhook
from server.notices.posting import URL_MAX, AddressRefused
from server.problems import NotFound, Problem
from server.state import state_of
from server.web import formatting
from server.web.environment import page, zone_of

router = APIRouter()

Looking = Annotated[Viewer, Depends(allowed(May.MANAGE_CONNECTIONS))]
Changing = Annotated[Viewer, Depends(allowed_posting(May.MANAGE_CONNECTIONS))]

_SAID = {
    "off": "The webhook is removed. Nobody is told any more; mail goes on.",
    "taken": "The test was taken.",
    "failed": "The test was not taken. Below is why.",
}
_NEVER = "Never since the address was set"


class SecretLost(Problem):
    """The stored secret opens under another master key."""

    status = 409
    code = "webhook-secret-unreadable"
    title = "The webhook's secret cannot be read"

    def __init__(self) -> None:
        super().__init__("The server has another master key than when it was set. Set the webhook anew.")


@dataclass(frozen=True, slots=True)
class Standing:
    """The webhook as the page tells of it; `url` is empty where nobody is told."""

    url: str
    facts: list[tuple[str, str]]


@router.get("/webhook")
async def overview(request: Request, viewer: Looking) -> Response:
    """Where deliveries go, and how the last of them went."""
    state = state_of(request)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        found = await webhook_repository.find(session)
        counts = await webhook_repository.standing(session)
    standing = _standing(found, counts, zone_of(state.settings))
    said = _SAID.get(request.query_params.get("said", ""), "")
    return page(request, "webhook.jinja", title="Webhook", standing=standing, said=said)


@router.get("/webhook/set")
async def ask_set(request: Request, viewer: Looking) -> Response:
    """The form of the address; where there is one already, what a new one ends."""
    return await _set_form(request, viewer)


@router.post("/webhook/set")
async def put(request: Request, viewer: Changing) -> Response:
    """Tell that address from now on, and show the secret this once."""
    state, url = state_of(request), request.state.form.get("url", "").strip()
    try:
        async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
            secret = await webhook.put(session, state.settings, _actor(viewer), viewer.organisation_id, url)
    except AddressRefused as refused:
        return await _set_form(request, viewer, url[:URL_MAX], refused)
    return page(request, "webhook-set-done.jinja", title="The webhook's secret", url=url, secret=secret)


@router.get("/webhook/off")
async def ask_off(request: Request, viewer: Looking) -> Response:
    """The page before the webhook is removed: what is given up with it."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        found = await webhook_repository.find(session)
        _, waiting, _, _ = await webhook_repository.standing(session)
    if found is None or not found.active:
        raise NotFound("Nobody is told by a webhook now. Go back to its page.")
    return page(request, "webhook-off.jinja", title="Remove the webhook", url=found.url, waiting=waiting)


@router.post("/webhook/off")
async def off(request: Request, viewer: Changing) -> Response:
    """Tell nobody any more."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        await webhook.switch_off(session, _actor(viewer), viewer.organisation_id)
    return RedirectResponse("/webhook?said=off", 303)


@router.post("/webhook/test")
async def send_test(request: Request, viewer: Changing) -> Response:
    """Post a signed test, and tell whether it was taken."""
    state = state_of(request)
    try:
        failure = await webhook.send_test(state.sessions, state.settings, _actor(viewer), viewer.organisation_id)
    except webhook.SecretUnreadable:
        raise SecretLost from None
    return RedirectResponse(f"/webhook?said={'failed' if failure else 'taken'}", 303)


async def _set_form(request: Request, viewer: Viewer, url: str = "", refused: Problem | None = None) -> Response:
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        found = await webhook_repository.find(session)
    replaced = found.url if found is not None and found.active else ""
    return page(
        request,
        "webhook-set.jinja",
        status=refused.status if refused else 200,
        title="Replace the webhook" if replaced else "Set a webhook",
        replaced=replaced,
        url=url,
        errors={"url": sentence(refused)} if refused else {},
    )


def _standing(found: Webhook | None, counts: tuple[int, int, int, str], zone: ZoneInfo) -> Standing:
    if found is None or not found.active:
        return Standing("", [])
    delivered, waiting, given_up, _ = counts
    failed = f"{_when(found.failed_at, zone)}: {found.failure}" if found.failed_at else _NEVER
    return Standing(
        found.url,
        [
            ("Address", found.url),
            ("Set", formatting.date_and_time(found.changed_at, zone)),
            ("Last delivered", _when(found.delivered_at, zone)),
            ("Last failed", failed),
            ("Deliveries", f"{delivered:,} taken, {waiting:,} waiting, {given_up:,} given up"),
        ],
    )


def _when(moment: datetime | None, zone: ZoneInfo) -> str:
    return formatting.date_and_time(moment, zone) if moment else _NEVER


def _actor(viewer: Viewer) -> Actor:
    return Actor("account", str(viewer.account_id))
