"""Pages of recalls: what is recalled, recalling (what it touches, then a warning, then done), the people, lifting."""

from collections.abc import AsyncIterator, Mapping
from datetime import date
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from server.accounts.permissions import May, may
from server.accounts.service import Viewer
from server.accounts.viewing import allowed, allowed_posting
from server.database import tenancy
from server.database.engine import Sessions
from server.problems import NotFound, Problem
from server.recalls import repository, service, views
from server.recalls.repository import Scope
from server.recalls.service import RecallRefused
from server.state import state_of
from server.web import csv_file, dates
from server.web.environment import page, zone_of

router = APIRouter()

Reading = Annotated[Viewer, Depends(allowed(May.READ_RESULTS))]
# Everybody at once, to be told: more than is read of one person, in an emergency say.
ReadingPeople = Annotated[Viewer, Depends(allowed(May.FOLLOW_UP))]
Preparing = Annotated[Viewer, Depends(allowed(May.RECALL))]
Recalling = Annotated[Viewer, Depends(allowed_posting(May.RECALL))]

_TEXTS = ("lot", "reader", "firmware", "algorithm")
_FIELDS = (*_TEXTS, *dates.names("from"), *dates.names("to"))


@router.get("/recalls")
async def every(request: Request, viewer: Reading) -> Response:
    """The organisation's recalls, the newest first."""
    state = state_of(request)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        found = await service.every(session, viewer)
    zone = zone_of(state.settings)
    return page(
        request,
        "recalls.jinja",
        title="Recalls",
        recalls=[views.line(one, zone) for one in found],
        may_recall=may(viewer, May.RECALL),
    )


@router.get("/recalls/new")
async def ask(request: Request, viewer: Preparing) -> Response:
    """The form that says what is to be recalled."""
    return await _form(request, viewer, _given(request.query_params))


@router.get("/recalls/preview")
async def preview(request: Request, viewer: Preparing) -> Response:
    """How many results and people a recall would touch."""
    return await _prepared(request, viewer, "recall-preview.jinja", "What this recall would touch")


@router.get("/recalls/confirm")
async def confirm(request: Request, viewer: Preparing) -> Response:
    """The page before the recall: what will happen, and why it is done."""
    return await _prepared(request, viewer, "recall-confirm.jinja", "Recall these results")


@router.post("/recalls")
async def make(request: Request, viewer: Recalling) -> Response:
    """Recall, mark what the first portions hold, and go to its page."""
    fields: dict[str, str] = request.state.form
    state = state_of(request)
    given = _given(fields)
    try:
        scope = _scope(given, zone_of(state.settings))
        async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
            recall = await service.make(session, viewer, scope, fields.get("reason", ""))
    except RecallRefused as problem:
        if problem.extra.get("field") != "reason":
            return await _form(request, viewer, given, problem)
        title = "Recall these results"
        return await _prepared(request, viewer, "recall-confirm.jinja", title, given, fields.get("reason", ""), problem)
    await service.go_on(state.sessions, viewer.organisation_id, recall.id, service.AT_ONCE)
    return RedirectResponse(f"/recalls/{recall.id}", 303)


@router.get("/recalls/{recall_id}")
async def one(request: Request, recall_id: str, viewer: Reading) -> Response:
    """A recall: what it is of, how far it has come, what it touched."""
    return await _one(request, viewer, _uuid(recall_id))


@router.get("/recalls/{recall_id}/people")
async def people(request: Request, recall_id: str, viewer: ReadingPeople) -> Response:
    """The people behind its results, by name, to be printed."""
    state, wanted = state_of(request), _uuid(recall_id)
    text = request.query_params.get("page", "1")
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 5 else 0
    if number < 1:
        raise NotFound("There is no such page. Start again from the recall.")
    zone = zone_of(state.settings)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        found, more = await service.people(session, viewer, wanted, number)
        standing = await service.one(session, viewer, wanted)
    return page(
        request,
        "recall-people.jinja",
        title="People whose results are recalled",
        recall_href=f"/recalls/{wanted}",
        line=views.line(standing.listed, zone),
        people=[views.person(person, zone) for person in found],
        number=number,
        next_href=f"/recalls/{wanted}/people?page={number + 1}" if more else "",
    )


@router.get("/recalls/{recall_id}/people.csv")
async def download(request: Request, recall_id: str, viewer: ReadingPeople) -> Response:
    """The same as a file, whole."""
    state, wanted = state_of(request), _uuid(recall_id)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        await service.may_download(session, viewer, wanted)
    return StreamingResponse(
        _file(state.sessions, viewer.organisation_id, wanted),
        media_type=csv_file.MEDIA_TYPE,
        headers=csv_file.headers(f"recall-{wanted}.csv"),
    )


@router.get("/recalls/{recall_id}/lift")
async def ask_lift(request: Request, recall_id: str, viewer: Preparing) -> Response:
    """The page before a recall is lifted."""
    return await _lift_form(request, viewer, _uuid(recall_id))


@router.post("/recalls/{recall_id}/lift")
async def lift(request: Request, recall_id: str, viewer: Recalling) -> Response:
    """Lift it and go back to its page."""
    fields: dict[str, str] = request.state.form
    wanted = _uuid(recall_id)
    try:
        async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
            close = fields.get("close") == "yes"
            await service.lift(session, viewer, wanted, fields.get("why", ""), close=close)
    except RecallRefused as problem:
        return await _lift_form(request, viewer, wanted, fields, problem)
    return RedirectResponse(f"/recalls/{wanted}", 303)


async def _file(sessions: Sessions, organisation_id: UUID, recall_id: UUID) -> AsyncIterator[str]:
    """The lines of the file, read a portion at a time, so that its length costs no memory."""
    yield csv_file.MARK + csv_file.lines([views.FILE_HEAD])
    after: UUID | None = None
    while True:
        async with tenancy.transaction(sessions, organisation_id) as session:
            found = await repository.affected_after(session, recall_id, after, service.FILE_ROWS)
        if found:
            yield csv_file.lines(views.file_row(one) for one in found)
            after = found[-1].result.id
        if len(found) < service.FILE_ROWS:
            return


async def _form(request: Request, viewer: Viewer, given: Mapping[str, str], problem: Problem | None = None) -> Response:
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        readers = await repository.choices(session)
    choices = [
        {
            "value": reader_id.hex(),
            "text": f"{name} ({reader_id.hex()})",
            "selected": given["reader"] == reader_id.hex(),
        }
        for reader_id, name in readers
    ]
    return page(
        request,
        "recall-new.jinja",
        status=problem.status if problem else 200,
        title="Recall results",
        fields=given,
        readers=[{"value": "", "text": "Any reader"}, *choices],
        error=_sentence(problem),
        field=str(problem.extra.get("field", "lot")) if problem else "",
    )


async def _prepared(
    request: Request,
    viewer: Viewer,
    template: str,
    title: str,
    given: dict[str, str] | None = None,
    reason: str = "",
    problem: Problem | None = None,
) -> Response:
    """What a recall would touch; the form again where what is asked for is none."""
    state = state_of(request)
    zone = zone_of(state.settings)
    given = given or _given(request.query_params)
    try:
        scope = _scope(given, zone)
        async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
            touched = await service.preview(session, viewer, scope)
            names = dict(await repository.choices(session))
    except RecallRefused as refused:
        return await _form(request, viewer, given, refused)
    query = urlencode({name: value for name, value in given.items() if value})
    return page(
        request,
        template,
        status=problem.status if problem else 200,
        title=title,
        what=views.what(scope, names.get(scope.reader_id or b""), zone),
        touched=views.touched(touched),
        results=touched.results,
        people=touched.people,
        given={name: value for name, value in given.items() if value},
        change_href=f"/recalls/new?{query}",
        confirm_href=f"/recalls/confirm?{query}",
        reason=reason,
        error=_sentence(problem),
    )


async def _one(request: Request, viewer: Viewer, recall_id: UUID) -> Response:
    state = state_of(request)
    zone = zone_of(state.settings)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        found = await service.one(session, viewer, recall_id)
    recall = found.listed.recall
    return page(
        request,
        "recall.jinja",
        title="Recall",
        recall=recall,
        line=views.line(found.listed, zone),
        what=views.what(Scope.of(recall), found.listed.reader, zone),
        touched=views.touched(found.touched),
        lifted_by=found.listed.lifted_by,
        may_list=may(viewer, May.FOLLOW_UP),
        may_lift=may(viewer, May.RECALL) and recall.lifted_at is None,
    )


async def _lift_form(
    request: Request,
    viewer: Viewer,
    recall_id: UUID,
    given: Mapping[str, str] | None = None,
    problem: Problem | None = None,
) -> Response:
    state = state_of(request)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        found = await service.one(session, viewer, recall_id)
        only = await service.opened_only(session, viewer, recall_id)
    if found.listed.recall.lifted_at is not None:
        raise service.AlreadyLifted("It was lifted before. Load its page again.")
    return page(
        request,
        "recall-lift.jinja",
        status=problem.status if problem else 200,
        title="Lift a recall",
        line=views.line(found.listed, zone_of(state.settings)),
        why=(given or {}).get("why", ""),
        only=only,
        close=(given or {}).get("close") == "yes",
        error=_sentence(problem),
    )


def _given(fields: Mapping[str, str]) -> dict[str, Any]:
    """What was typed, each at most as long as any of them can be."""
    return {name: fields.get(name, "").strip()[: service.VALUE_MAX + 1] for name in _FIELDS}


def _scope(given: Mapping[str, str], zone: ZoneInfo) -> Scope:
    """Raises `RecallRefused` for what is no day or no reader."""
    try:
        reader_id = bytes.fromhex(given["reader"]) if given["reader"] else None
    except ValueError:
        raise RecallRefused("Choose a reader of your organisation.", extra={"field": "reader"}) from None
    days: dict[str, date | None] = {}
    for prefix in ("from", "to"):
        try:
            days[prefix] = dates.day(given, prefix)
        except ValueError:
            sentence = "A day needs a day, a month and a year, such as 7 3 2026. Leave all empty for no bound."
            raise RecallRefused(sentence, extra={"field": f"{prefix}-day"}) from None
    first, last = days["from"], days["to"]
    return Scope(
        lot=given["lot"] or None,
        reader_id=reader_id,
        firmware=given["firmware"] or None,
        algorithm=given["algorithm"] or None,
        tested_from=dates.begins(first, zone) if first else None,
        tested_to=dates.ends(last, zone) if last else None,
    )


def _sentence(problem: Problem | None) -> str:
    return f"{problem.title}. {problem.detail}" if problem else ""


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is no such recall. Look for it in the list of recalls.") from None
