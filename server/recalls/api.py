"""Calls about recalls: what is recalled, what a recall would touch, recalling, the people, lifting."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Response
from starlette.requests import Request

from server.accounts.service import Viewer
from server.api import access, cursors, repeating
from server.api.shapes import MISSING, MOVED, JustPaged
from server.corrections import repository as corrections
from server.database import tenancy
from server.recalls import schemas, service
from server.recalls.schemas import LiftAsked, People, RecallAsked, Recalls, RecallWhole, ScopeShape, TouchedShape
from server.state import state_of

router = APIRouter(tags=["Recalls"])


@router.get("/recalls")
async def every(request: Request, viewer: access.ReadingResults, page: JustPaged) -> Recalls:
    """The organisation's recalls, the newest first."""
    own = cursors.of(request, viewer)
    place = own.read(page.cursor)
    before = (datetime.fromisoformat(place.partition(" ")[0]), UUID(place.partition(" ")[2])) if place else None
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        found = await service.every(session, viewer, before, page.limit + 1)
    shown = found[: page.limit]
    last = shown[-1].recall if len(found) > page.limit else None
    following = own.write(f"{last.made_at.isoformat()} {last.id}") if last else None
    return Recalls(items=[schemas.recall(one) for one in shown], next_cursor=following)


@router.post("/recalls/preview")
async def preview(request: Request, asked: ScopeShape, viewer: access.Recalling) -> TouchedShape:
    """How many results and people a recall would touch now. Nothing is kept."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        return schemas.touched(await service.preview(session, viewer, schemas.scope(asked)))


@router.post("/recalls", status_code=201)
async def make(
    request: Request, response: Response, asked: RecallAsked, viewer: access.Recalling, key: repeating.NeededKey
) -> RecallWhole:
    """Put a recall in force, once under a key. What it holds is marked in portions: `whole_at` says when it is done."""
    state = state_of(request)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:

        async def done() -> UUID:
            return (await service.make(session, viewer, schemas.scope(asked.scope), asked.reason)).id

        made = await repeating.once(session, viewer, key, "recall", asked, done)
    await service.go_on(state.sessions, viewer.organisation_id, made, service.AT_ONCE)
    response.headers["Location"] = f"{request.url.path}/{made}"
    return await _whole(request, viewer, made)


@router.get("/recalls/{recall_id}", responses=MISSING)
async def one(request: Request, recall_id: UUID, viewer: access.ReadingResults) -> RecallWhole:
    """A recall with what it has marked so far."""
    return await _whole(request, viewer, recall_id)


@router.get("/recalls/{recall_id}/people", responses=MISSING)
async def people(request: Request, recall_id: UUID, viewer: access.FollowingUp, page: JustPaged) -> People:
    """The people behind a recall's results."""
    own = cursors.of(request, viewer)
    place = own.read(page.cursor)
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        after = UUID(place) if place else None
        found = await service.people_after(session, viewer, recall_id, after, page.limit + 1)
        corrected = await corrections.current(session, [one.result.id for one in found])
    shown = found[: page.limit]
    following = own.write(str(shown[-1].result.id)) if len(found) > page.limit else None
    return People(items=[schemas.affected(one, corrected.get(one.result.id)) for one in shown], next_cursor=following)


@router.post("/recalls/{recall_id}/lift", responses=MOVED)
async def lift(
    request: Request, recall_id: UUID, asked: LiftAsked, viewer: access.Recalling, key: repeating.Key = None
) -> RecallWhole:
    """End a recall. It cannot be done twice: it is lifted after it."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:

        async def done() -> UUID:
            await service.lift(session, viewer, recall_id, asked.why, close=asked.close)
            return recall_id

        await repeating.once(session, viewer, key, f"lift {recall_id}", asked, done)
    return await _whole(request, viewer, recall_id)


async def _whole(request: Request, viewer: Viewer, recall_id: UUID) -> RecallWhole:
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        return schemas.whole(await service.standing(session, viewer, recall_id))
