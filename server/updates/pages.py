"""Pages of updates: releases, starting a rollout, how far each is, and pausing, resuming or stopping one."""

import logging
from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.accounts.permissions import May, may
from server.accounts.service import Viewer
from server.accounts.viewing import allowed, allowed_posting
from server.audit.service import Actor
from server.custody.queueing import QueueBusy
from server.database import tenancy
from server.database.columns import now
from server.problems import NotFound, Problem
from server.state import State, state_of
from server.updates import advancing, release_repository, repository, service, views, waves
from server.updates import models as updates
from server.updates.service import Plan, RolloutRefused, RolloutUnderWay
from server.web.environment import page, zone_of

log = logging.getLogger("doorstep.updates")

router = APIRouter()

Looking = Annotated[Viewer, Depends(allowed(May.SEE_CUSTODY))]
Preparing = Annotated[Viewer, Depends(allowed(May.ROLL_OUT))]
Rolling = Annotated[Viewer, Depends(allowed_posting(May.ROLL_OUT))]

ROWS = 200
_FIELDS = ("release", "canary", "shares", "soak_hours", "limit_percent")
_USUAL = {
    "release": "",
    "canary": str(waves.CANARY),
    "shares": ", ".join(str(share) for share in waves.SHARES),
    "soak_hours": str(waves.SOAK_HOURS),
    "limit_percent": str(waves.LIMIT_PERCENT),
}


@router.get("/updates")
async def overview(request: Request, viewer: Looking) -> Response:
    """Which releases there are, the form that begins a rollout, and every rollout."""
    return await _overview(request, viewer, _USUAL)


@router.post("/updates")
async def start(request: Request, viewer: Rolling) -> Response:
    """Begin a rollout, send its canary wave, and go to its page."""
    fields: dict[str, str] = request.state.form
    given = {name: fields.get(name, "").strip()[:64] for name in _FIELDS}
    state = state_of(request)
    try:
        image_id, plan = _asked(given)
        async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
            rollout = await service.start(session, _actor(viewer), viewer.organisation_id, image_id, plan)
    except (RolloutRefused, RolloutUnderWay, service.ReleaseUnknown) as problem:
        return await _overview(request, viewer, given, problem)
    return await _go_on(state, viewer, rollout.id)


@router.get("/updates/{rollout_id}")
async def one(request: Request, rollout_id: str, viewer: Looking) -> Response:
    """A rollout: what to do next, its waves in numbers, and its readers."""
    state, wanted = state_of(request), _uuid(rollout_id)
    zone = zone_of(state.settings)
    after = _after(request.query_params.get("after", ""))
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        shown = await service.one(session, wanted, now())
        readers = await repository.readers(session, wanted, after, ROWS + 1)
    rollout = shown.rollout
    done, whole = views.totals(shown.standings)
    last = readers[ROWS - 1] if len(readers) > ROWS else None
    under_way = rollout.state in (updates.State.RUNNING, updates.State.PAUSED)
    return page(
        request,
        "rollout.jinja",
        title="Rollout",
        line=views.line(repository.Listed(rollout, shown.release), zone),
        next_step=views.next_step(shown, zone),
        plan=views.plan(rollout),
        heads=views.WAVE_HEADS,
        waves=views.wave_views(shown),
        confirmed=done,
        whole=whole,
        readers=[views.reader(member, zone) for member in readers[:ROWS]],
        next_href=f"/updates/{wanted}?after={last.wave}-{last.reader_id.hex()}" if last else "",
        acts=[act for act in _ACTS if rollout.state in _ACTS[act].of]
        if may(viewer, May.ROLL_OUT) and under_way
        else [],
        words=_ACTS,
    )


@router.get("/updates/{rollout_id}/{act}")
async def ask(request: Request, rollout_id: str, act: str, viewer: Preparing) -> Response:
    """The page before a rollout is paused, resumed or stopped."""
    return await _ask(request, viewer, _uuid(rollout_id), _act(act))


@router.post("/updates/{rollout_id}/{act}")
async def change(request: Request, rollout_id: str, act: str, viewer: Rolling) -> Response:
    """Do it and go back to the rollout's page."""
    state, wanted, named = state_of(request), _uuid(rollout_id), _act(act)
    why = str(request.state.form.get("why", ""))
    try:
        async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
            await service.change(session, _actor(viewer), viewer.organisation_id, wanted, named, why)
    except RolloutRefused as problem:
        return await _ask(request, viewer, wanted, named, why, problem)
    return await _go_on(state, viewer, wanted)


@router.get("/updates/releases/{image_id}/sbom.json")
async def bill(request: Request, image_id: str, viewer: Looking) -> Response:
    """The bill of materials of a release, to be kept."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        found = await release_repository.bill(session, _hexadecimal(image_id))
    if found is None:
        raise NotFound("There is no such release, or it has no bill of materials.")
    headers = {"Content-Disposition": f'attachment; filename="sbom-{image_id}.json"'}
    return Response(found, media_type="application/vnd.cyclonedx+json", headers=headers)


class _Words:
    """What the page before an act says, and of which states it is."""

    def __init__(self, heading: str, sentence: str, of: tuple[updates.State, ...], *, risky: bool, reason: str) -> None:
        self.heading, self.sentence, self.of, self.risky, self.reason = heading, sentence, of, risky, reason


_RUNNING, _PAUSED = updates.State.RUNNING, updates.State.PAUSED
_ACTS = {
    "pause": _Words(
        "Pause the rollout",
        "No further reader is sent the release, and hubs are given no image. Readers that have the whole image already"
        " go on with it.",
        (_RUNNING,),
        risky=False,
        reason="Why is it paused?",
    ),
    "resume": _Words(
        "Resume the rollout",
        "It goes on where it was. What readers did until now counts against its limit no more: resume it only when you"
        " have looked at each of them.",
        (_PAUSED,),
        risky=True,
        reason="",
    ),
    "stop": _Words(
        "Stop the rollout",
        "It ends for good. Readers that have not begun to run the release are told to forget it, when a hub next meets"
        " them; those that run it go on with it.",
        (_RUNNING, _PAUSED),
        risky=True,
        reason="Why is it stopped?",
    ),
}


async def _overview(
    request: Request, viewer: Viewer, given: Mapping[str, str], problem: Problem | None = None
) -> Response:
    state = state_of(request)
    zone = zone_of(state.settings)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        releases = await release_repository.releases(session)
        rollouts = await repository.listed(session)
        under_way = await repository.under_way(session)
    chosen = given["release"] or (releases[0].image_id.hex() if releases else "")
    choices = [
        {"value": one.image_id.hex(), "text": views.title(one), "selected": one.image_id.hex() == chosen}
        for one in releases
    ]
    return page(
        request,
        "updates.jinja",
        status=problem.status if problem else 200,
        title="Updates",
        releases=[views.release(found, zone) for found in releases],
        rollouts=[views.line(found, zone) for found in rollouts],
        may_start=may(viewer, May.ROLL_OUT) and bool(releases) and (under_way is None or problem is not None),
        choices=choices,
        fields=given,
        error=problem.detail if problem else "",
        field=str(problem.extra.get("field", "release")) if problem else "",
    )


async def _ask(
    request: Request, viewer: Viewer, rollout_id: UUID, act: str, why: str = "", problem: Problem | None = None
) -> Response:
    state = state_of(request)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        shown = await service.one(session, rollout_id, now())
    words = _ACTS[act]
    if shown.rollout.state not in words.of:
        raise service.RolloutMoved(f"It is {shown.rollout.state} by now. Load its page again.")
    return page(
        request,
        "rollout-act.jinja",
        status=problem.status if problem else 200,
        title=words.heading,
        line=views.line(repository.Listed(shown.rollout, shown.release), zone_of(state.settings)),
        words=words,
        why=why,
        error=problem.detail if problem else "",
    )


async def _go_on(state: State, viewer: Viewer, rollout_id: UUID) -> Response:
    """Do what follows at once, as far as it goes in a request, and show the rollout. The jobs go on with the rest."""
    try:
        await advancing.go_on(state.sessions, state.keyring, viewer.organisation_id, rollout_id, advancing.AT_ONCE)
    except QueueBusy as busy:
        # Nothing of that step was kept, and the next job does it.
        log.info("a rollout goes on with the next job: %s", busy)
    return RedirectResponse(f"/updates/{rollout_id}", 303)


def _asked(given: Mapping[str, str]) -> tuple[bytes, Plan]:
    """Raises `RolloutRefused` for what is no number."""
    numbers: dict[str, int] = {}
    for name in ("canary", "soak_hours", "limit_percent"):
        numbers[name] = _number(given[name], name)
    shares = tuple(_number(share.strip(" %"), "shares") for share in given["shares"].split(","))
    try:
        image_id = bytes.fromhex(given["release"])
    except ValueError:
        raise RolloutRefused("Choose a release.", extra={"field": "release"}) from None
    return image_id, Plan(numbers["canary"], shares, numbers["soak_hours"], numbers["limit_percent"])


def _number(text: str, field: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 6):
        raise RolloutRefused("Write it in digits.", extra={"field": field})
    return int(text)


def _actor(viewer: Viewer) -> Actor:
    return Actor("account", str(viewer.account_id))


def _act(text: str) -> str:
    if text not in _ACTS:
        raise NotFound("A rollout can be paused, resumed or stopped. Go on from its page.")
    return text


def _after(text: str) -> tuple[int, bytes] | None:
    wave, _, reader_id = text.partition("-")
    if not text:
        return None
    if not (wave.isascii() and wave.isdecimal() and len(wave) <= 2):
        raise NotFound("There is no such page. Start again from the rollout.")
    return int(wave), _hexadecimal(reader_id)


def _hexadecimal(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise NotFound("There is nothing of that name. Start again from the page of updates.") from None


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is no such rollout. Look for it on the page of updates.") from None
