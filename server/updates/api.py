"""Calls about updates: releases, rollouts and their readers, starting, pausing, resuming, stopping."""

import logging
from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Response
from starlette.requests import Request

from server.accounts.service import Viewer
from server.api import access, cursors, repeating
from server.api.shapes import MISSING, MOVED, JustPaged, Shape
from server.audit.service import Actor
from server.custody.queueing import QueueBusy
from server.database import tenancy
from server.database.columns import now
from server.state import state_of
from server.updates import advancing, release_repository, repository, schemas, service
from server.updates.schemas import Releases, RolloutAsked, RolloutReaders, Rollouts, RolloutWhole, WhyAsked

log = logging.getLogger("doorstep.updates")

router = APIRouter(tags=["Updates"])


@router.get("/releases")
async def releases(request: Request, viewer: access.SeeingCustody, page: JustPaged) -> Releases:
    """The releases of the readers' application, by model, the newest of each first."""
    own = cursors.of(request, viewer)
    place = own.read(page.cursor)
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        found = await release_repository.releases(session)
    # A release is never removed, so the last one of the page before is there.
    begin = next((at + 1 for at, one in enumerate(found) if one.image_id.hex() == place), 0)
    shown = found[begin : begin + page.limit]
    following = own.write(shown[-1].image_id.hex()) if len(found) > begin + page.limit else None
    return Releases(items=[schemas.release(one) for one in shown], next_cursor=following)


@router.get("/rollouts")
async def every(request: Request, viewer: access.SeeingCustody, page: JustPaged) -> Rollouts:
    """The organisation's rollouts, the newest first."""
    own = cursors.of(request, viewer)
    place = own.read(page.cursor)
    before = (datetime.fromisoformat(place.partition(" ")[0]), UUID(place.partition(" ")[2])) if place else None
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        found = await repository.listed(session, before=before, most=page.limit + 1)
    shown = found[: page.limit]
    last = shown[-1].rollout if len(found) > page.limit else None
    following = own.write(f"{last.started_at.isoformat()} {last.id}") if last else None
    return Rollouts(items=[schemas.rollout(one) for one in shown], next_cursor=following)


@router.post("/rollouts", status_code=201, responses=MOVED)
async def start(
    request: Request, response: Response, asked: RolloutAsked, viewer: access.RollingOut, key: repeating.NeededKey
) -> RolloutWhole:
    """Begin to roll a release out, once under a key. The canary wave is sent at once, the others by the server."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:

        async def done() -> UUID:
            image_id = bytes.fromhex(asked.image_id)
            plan = schemas.plan(asked)
            return (await service.start(session, _actor(viewer), viewer.organisation_id, image_id, plan)).id

        made = await repeating.once(session, viewer, key, "rollout", asked, done)
    response.headers["Location"] = f"{request.url.path}/{made}"
    return await _go_on(request, viewer, made)


@router.get("/rollouts/{rollout_id}", responses=MISSING)
async def one(request: Request, rollout_id: UUID, viewer: access.SeeingCustody) -> RolloutWhole:
    """A rollout, and how the readers of each wave stand."""
    return await _whole(request, viewer, rollout_id)


@router.get("/rollouts/{rollout_id}/readers", responses=MISSING)
async def readers(request: Request, rollout_id: UUID, viewer: access.SeeingCustody, page: JustPaged) -> RolloutReaders:
    """The readers of a rollout, by wave, and how far each is."""
    own = cursors.of(request, viewer)
    place = own.read(page.cursor)
    after = (int(place.partition(" ")[0]), bytes.fromhex(place.partition(" ")[2])) if place else None
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        await service.one(session, rollout_id, now())
        found = await repository.readers(session, rollout_id, after, page.limit + 1)
    shown = found[: page.limit]
    last = shown[-1] if len(found) > page.limit else None
    following = own.write(f"{last.wave} {last.reader_id.hex()}") if last else None
    return RolloutReaders(items=[schemas.reader(one) for one in shown], next_cursor=following)


@router.post("/rollouts/{rollout_id}/pause", responses=MOVED)
async def pause(
    request: Request, rollout_id: UUID, asked: WhyAsked, viewer: access.RollingOut, key: repeating.Key = None
) -> RolloutWhole:
    """Send it to no further reader, and give hubs no image."""
    return await _change(request, viewer, rollout_id, "pause", asked.why, asked, key)


@router.post("/rollouts/{rollout_id}/resume", responses=MOVED)
async def resume(
    request: Request, rollout_id: UUID, viewer: access.RollingOut, key: repeating.Key = None
) -> RolloutWhole:
    """Go on with one that is paused. What readers did until now counts against its limit no more."""
    return await _change(request, viewer, rollout_id, "resume", "", None, key)


@router.post("/rollouts/{rollout_id}/stop", responses=MOVED)
async def stop(
    request: Request, rollout_id: UUID, asked: WhyAsked, viewer: access.RollingOut, key: repeating.Key = None
) -> RolloutWhole:
    """End it for good. Readers that have not begun to run the release are told to forget it."""
    return await _change(request, viewer, rollout_id, "stop", asked.why, asked, key)


async def _change(
    request: Request, viewer: Viewer, rollout_id: UUID, act: str, why: str, asked: Shape | None, key: str | None
) -> RolloutWhole:
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:

        async def done() -> UUID:
            await service.change(session, _actor(viewer), viewer.organisation_id, rollout_id, act, why)
            return rollout_id

        await repeating.once(session, viewer, key, f"{act} {rollout_id}", asked, done)
    return await _go_on(request, viewer, rollout_id)


async def _go_on(request: Request, viewer: Viewer, rollout_id: UUID) -> RolloutWhole:
    """Do what follows at once, as far as it goes in a request. The jobs go on with the rest."""
    state = state_of(request)
    try:
        await advancing.go_on(state.sessions, state.keyring, viewer.organisation_id, rollout_id, advancing.AT_ONCE)
    except QueueBusy as busy:
        log.info("a rollout goes on with the next job: %s", busy)
    return await _whole(request, viewer, rollout_id)


async def _whole(request: Request, viewer: Viewer, rollout_id: UUID) -> RolloutWhole:
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        return schemas.whole(await service.one(session, rollout_id, now()))


def _actor(viewer: Viewer) -> Actor:
    return Actor("account", str(viewer.account_id))
