"""The auditor's page: what was done, by whom, when and why; looking at it is written to the log as well."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from server.accounts.permissions import May
from server.accounts.service import Viewer
from server.accounts.viewing import allowed
from server.audit import looking
from server.audit.models import AuditEntry
from server.audit.repository import Search
from server.database import tenancy
from server.problems import NotFound
from server.state import state_of
from server.web import formatting
from server.web.environment import page, zone_of

router = APIRouter()

Auditing = Annotated[Viewer, Depends(allowed(May.READ_AUDIT))]

_FIELDS = ("actor", "action", "subject", "since", "until")
_SUBJECT_MAX, _ACTION_MAX = 120, 60


@dataclass(frozen=True, slots=True)
class EntryView:
    when: str
    who: str
    what: str
    why: str
    subject: str
    detail: str


@router.get("/audit")
async def audit(request: Request, viewer: Auditing) -> Response:
    """Search the log."""
    state = state_of(request)
    zone = zone_of(state.settings)
    given = {name: request.query_params.get(name, "").strip() for name in _FIELDS}
    search, before = _search(given, zone), request.query_params.get("before", "")
    if before and not (before.isascii() and before.isdecimal() and len(before) <= 18):
        raise NotFound("This place in the log does not exist. Start again from the newest.")
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        found, more = await looking.search(session, viewer, search, int(before) if before else None)
        people, actions = await looking.choices(session)
    chosen = {name: value for name, value in given.items() if value}
    following = {**chosen, "before": str(found[-1][0].id)} if more else {}
    return page(
        request,
        "audit.jinja",
        title="Audit log",
        given=given,
        rows=[_view(entry, who, zone) for entry, who in found],
        people=_choices("Everybody", [(str(person), name) for person, name in people], given["actor"]),
        actions=_choices("Everything", [(action, action) for action in actions], given["action"]),
        further=bool(before),
        first_href=f"/audit?{urlencode(chosen)}",
        next_href=f"/audit?{urlencode(following)}" if following else "",
    )


@router.get("/audit/proof")
async def proof(request: Request, viewer: Auditing) -> Response:
    """Whether the log is whole, computed anew."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        verdict = await looking.prove(session, viewer)
    return page(request, "audit-proof.jinja", title="Is the audit log whole?", verdict=verdict)


def _search(given: dict[str, str], zone: ZoneInfo) -> Search:
    """Raises `NotFound` for what no form of ours holds."""
    try:
        actor = UUID(given["actor"]) if given["actor"] else None
        since = _day(given["since"], zone) if given["since"] else None
        until = _day(given["until"], zone) + timedelta(days=1) if given["until"] else None
    except ValueError:
        raise NotFound("Choose a person of the list, and days such as 2026-08-06.") from None
    subject, action = given["subject"], given["action"]
    if len(subject) > _SUBJECT_MAX or len(action) > _ACTION_MAX or "\x00" in subject + action:
        raise NotFound("That is too long to be found in the log.")
    return Search(actor, action, subject, since, until)


def _day(text: str, zone: ZoneInfo) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=zone)


def _choices(everything: str, items: list[tuple[str, str]], chosen: str) -> list[dict[str, Any]]:
    every = [("", everything), *items]
    return [{"value": value, "text": text, "selected": value == chosen} for value, text in every]


def _view(entry: AuditEntry, who: str, zone: ZoneInfo) -> EntryView:
    return EntryView(
        when=formatting.date_and_time(entry.at, zone),
        who=who if entry.actor_kind == "account" else f"{who} ({entry.actor_kind})",
        what=entry.action,
        why=entry.purpose or "",
        subject=f"{entry.subject_kind} {entry.subject}",
        detail=", ".join(f"{name}: {value}" for name, value in sorted(entry.detail.items()) if value is not None),
    )
