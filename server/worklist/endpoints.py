"""Pages of the worklist and of a result, and the stream that keeps the list fresh."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from reader import outcome as outcomes
from reader import packfile
from server.accounts import cookies
from server.accounts import service as accounts
from server.accounts.permissions import May, may
from server.accounts.service import Viewer
from server.accounts.viewing import SignedIn, allowed, allowed_posting
from server.corrections import views as correction_views
from server.database import tenancy
from server.followup import views as follow_up_views
from server.patients import views as people_views
from server.problems import NotFound
from server.results.models import Result
from server.state import State, state_of
from server.web import formatting
from server.web.environment import page, zone_of
from server.worklist import acknowledging, result_view, service, trend, views, wording
from server.worklist.arrivals import Arrivals
from server.worklist.repository import Cursor, CursorError, Row
from server.worklist.service import Mark
from server.worklist.views import Filters
from server.worklist.waiting import VIEWS, Place, place_of

router = APIRouter()

Reading = Annotated[Viewer, Depends(allowed(May.READ_RESULTS))]
Acknowledging = Annotated[Viewer, Depends(allowed_posting(May.FOLLOW_UP))]
ReadingOn = Annotated[Viewer, Depends(allowed(May.READ_RESULTS, active=False))]
"""A page that refreshes itself."""

_STILL_HERE_S = 20
_LABEL_MAX = 64


@router.get("/")
async def worklist(request: Request, viewer: SignedIn) -> Response:
    """What waits for a decision, newest first; somebody who may not read results goes on to where they begin."""
    if not may(viewer, May.READ_RESULTS):
        return RedirectResponse(viewer.start.href, 303)
    return page(request, "worklist.jinja", title="Worklist", **await _list(request, viewer))


@router.get("/worklist/list")
async def worklist_list(request: Request, viewer: ReadingOn) -> Response:
    """The list alone, for a page that refreshes itself."""
    return page(request, "worklist-list.jinja", **await _list(request, viewer))


@router.get("/worklist/events")
async def worklist_events(request: Request, viewer: ReadingOn) -> Response:
    """Server-sent events: `arrived` with a sentence, `changed` when a row was improved, `ended` with the session."""
    mark = Mark.parse(request.headers.get("last-event-id")) or Mark.parse(request.query_params.get("mark"))
    return StreamingResponse(
        _events(request, viewer, mark),
        media_type="text/event-stream",
        # A proxy that gathers an answer before it passes it on would hold every event back.
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.post("/worklist/acknowledge")
async def acknowledge(request: Request, viewer: Acknowledging) -> Response:
    """Acknowledge the negatives that were ticked, and say which were not and why."""
    state = state_of(request)
    fields: dict[str, str] = request.state.form
    ids = [_uuid(name.removeprefix("result-")) for name in fields if name.startswith("result-")]
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        found = await acknowledging.acknowledge(session, viewer, ids)
    return page(
        request,
        "acknowledged.jinja",
        title="Acknowledged",
        number=len(found.done),
        refused=[(f"/results/{row.result.id}", row.result.specimen, why) for row, why in found.refused],
        back_href=Filters("negative").address("/"),
    )


@router.get("/results/{result_id}")
async def result(request: Request, result_id: str, viewer: Reading) -> Response:
    """One result with everything that says how far it can be trusted."""
    state = state_of(request)
    read, standing, whose = await service.result(state.sessions, state.keyring, viewer, _uuid(result_id), person=True)
    zone = zone_of(state.settings)
    view = result_view.view(read, zone)
    return page(
        request,
        "result.jinja",
        person=people_views.person(whose.patient) if whose else None,
        may_link=may(viewer, May.WRITE_PATIENTS),
        earlier=_others(whose, read.found.result.id, zone) if whose else [],
        title=f"{view.outcome.word}, specimen {view.specimen}",
        result=view,
        trends=_trends(whose, read.found.result, zone) if whose else [],
        corrected=correction_views.view(
            read.history,
            read.found.result.outcome,
            formatting.date_and_time(read.found.result.received_at, zone),
            zone,
        ),
        correct_href=f"/results/{read.found.result.id}/correct" if may(viewer, May.CORRECT) else "",
        following=follow_up_views.view(standing, zone, datetime.now(UTC), may_act=may(viewer, May.FOLLOW_UP))
        if standing
        else None,
    )


def _others(whose: service.Whose, this: UUID, zone: ZoneInfo) -> list[people_views.ResultLine]:
    """The person's other results, each with what was said of it after the reader."""
    return [
        people_views.result_line(one, site, zone, correction_views.flag_of(whose.corrected.get(one.id)))
        for one, site in whose.results
        if one.id != this
    ]


def _trends(whose: service.Whose, this: Result, zone: ZoneInfo) -> list[trend.Trend]:
    """What the readers measured; a result that was corrected or withdrawn is no measure of anything."""
    doubted = {one.result_id for one in whose.corrected.values() if correction_views.flag_of(one)}
    if this.id in doubted:
        return []
    return trend.trends(this, [one for one, _ in whose.results if one.id not in doubted], zone)


@dataclass(frozen=True, slots=True)
class _Choice:
    """What an address asks of the list."""

    filters: Filters
    outcome: int | None
    after: Cursor | Place | None


def _chosen(request: Request) -> _Choice:
    """Raises `NotFound` for an address that no page of ours made."""
    name, assay = request.query_params.get("outcome", ""), request.query_params.get("assay", "")
    view = request.query_params.get("view", "")
    outcome = wording.outcome_by_name(name)
    text = request.query_params.get("after")
    try:
        after = (Place if view else Cursor).parse(text) if text else None
    except CursorError:
        raise NotFound("This place in the list does not exist. Start again from the worklist.") from None
    if (view and view not in VIEWS) or (name and outcome is None) or len(assay) > _LABEL_MAX or "\x00" in assay:
        raise NotFound("The list cannot be narrowed in that way. Start again from the worklist.")
    return _Choice(Filters(name, assay, view), outcome, after)


async def _list(request: Request, viewer: Viewer) -> dict[str, Any]:
    state, chosen = state_of(request), _chosen(request)
    filters = chosen.filters
    found = await service.read(
        state.sessions, viewer, chosen.outcome, filters.assay or None, chosen.after, filters.view
    )
    place = {"after": chosen.after.text()} if chosen.after else {}
    # Only a list of nothing but negatives is acknowledged together.
    ticked = not filters.view and chosen.outcome == outcomes.NEGATIVE and may(viewer, May.FOLLOW_UP)
    return {
        "filters": filters,
        "tabs": views.tabs(filters, found.counts),
        "groups": views.groups(
            found.rows, zone_of(state.settings), datetime.now(UTC), by_urgency=bool(filters.view), ticked=ticked
        ),
        "ticked": ticked,
        "alerts": views.alerts(found.troubles),
        "further": chosen.after is not None,
        "first_href": filters.address("/"),
        "next_href": filters.address("/", after=_place(found.rows[-1], filters).text()) if found.more else "",
        "list_href": filters.address("/worklist/list", **place),
        "events_href": f"/worklist/events?mark={found.mark.text()}",
        "outcome_choices": _outcome_choices(filters),
        "assay_choices": _assay_choices(filters),
    }


def _place(row: Row, filters: Filters) -> Cursor | Place:
    return place_of(row) if filters.view else row.cursor


def _outcome_choices(filters: Filters) -> list[dict[str, Any]]:
    choices = [{"value": "", "text": "All outcomes"}]
    choices.extend({"value": words.name, "text": words.word} for words in wording.every_outcome())
    return [{**choice, "selected": choice["value"] == filters.outcome} for choice in choices]


def _assay_choices(filters: Filters) -> list[dict[str, Any]]:
    """The assays that this server knows, and the one asked for even if it does not."""
    known = {assay.id: assay.name for assay in packfile.every()}
    if filters.assay:
        known.setdefault(filters.assay, filters.assay)
    choices = [{"value": "", "text": "All assays"}]
    choices.extend({"value": assay_id, "text": name} for assay_id, name in known.items())
    return [{**choice, "selected": choice["value"] == filters.assay} for choice in choices]


async def _events(request: Request, viewer: Viewer, mark: Mark | None) -> AsyncIterator[str]:
    state = state_of(request)
    yield "retry: 3000\n\n"
    async with _arrivals(request, state).listen(viewer.organisation_id) as woken:
        # From here on nothing is missed; what came between the page and now is found by looking once.
        mark = mark or Mark(datetime.now(UTC), 0)
        woken.set()
        looked = False
        while True:
            try:
                await asyncio.wait_for(woken.wait(), _STILL_HERE_S)
            except TimeoutError:
                if not await _still_signed_in(request, state):
                    yield "event: ended\ndata: Your session has ended\n\n"
                    return
                yield ": still here\n\n"
                continue
            woken.clear()
            new, mark = await service.arrived(state.sessions, viewer.organisation_id, mark)
            if new:
                time = formatting.time(datetime.now(UTC), zone_of(state.settings))
                yield f"event: arrived\nid: {mark.text()}\ndata: {formatting.count(new, 'new result')} at {time}\n\n"
            elif looked:
                yield f"event: changed\nid: {mark.text()}\ndata: The list has changed\n\n"
            looked = True


async def _still_signed_in(request: Request, state: State) -> bool:
    secret = cookies.session_secret(request, state.settings)
    person = await accounts.viewer(state.sessions, secret, active=False) if secret else None
    return person is not None and may(person, May.READ_RESULTS)


def _arrivals(request: Request, state: State) -> Arrivals:
    """The process's one listener, made when it is first needed."""
    made: Arrivals | None = getattr(request.app.state, "arrivals", None)
    if made is None:
        made = Arrivals(state.database_url)
        request.app.state.arrivals = made
    return made


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is no such result. Check the address, or look for it in the worklist.") from None
