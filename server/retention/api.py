"""Calls about retention and erasure: rules, what is due, runs of the rules, certificates, erasing a person.

A program may begin a run of the rules, which erases what a person's rules say and nothing else. It sets no rule and
erases nobody by name: a stolen token would destroy whatever it chose. Rules are set on the pages only.
"""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Response
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request

from server.accounts.service import Viewer
from server.api import access, cursors, repeating
from server.api.shapes import MISSING, MOVED, JustPaged, problems
from server.audit.service import Actor
from server.database import tenancy
from server.problems import NotFound
from server.retention import monthly_repository, proposals, repository, schemas, service
from server.retention.models import Because
from server.retention.schemas import (
    Certificate,
    Erasures,
    ErasureShape,
    OfPersonShape,
    PersonErasureAsked,
    ProposalShape,
    Rules,
    RunAsked,
)
from server.state import API_PATH, state_of

router = APIRouter(tags=["Retention"])

# Portions done within the call, so that a small erasure is done when it is answered; the jobs go on with others.
_AT_ONCE = 5


@router.get("/retention/rules")
async def rules(request: Request, viewer: access.SeeingErasures) -> Rules:
    """How long what is kept, and what is due now."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        found = await service.dry_run(session, _actor(viewer), viewer.organisation_id)
        look = await monthly_repository.last(session)
        return schemas.rules(found, look, monthly=await monthly_repository.wanted(session))


@router.post("/erasures/preview", responses=problems(409))
async def preview(request: Request, viewer: access.Erasing) -> ProposalShape:
    """What a run of the rules would erase now. Nothing is erased, and nothing kept."""
    state = state_of(request)
    secret = state.settings.session_secret_bytes()
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        return schemas.proposal(await proposals.propose(session, _actor(viewer), viewer.organisation_id, secret))


@router.post("/erasures", status_code=201, responses=problems(409))
async def run(
    request: Request, response: Response, asked: RunAsked, viewer: access.Erasing, key: repeating.NeededKey
) -> ErasureShape:
    """Erase what a preview proposed, once under a key; it cannot be brought back.

    It is done in portions: `finished_at` says when it is. What somebody is waiting for meanwhile stays.
    """
    state = state_of(request)
    secret = state.settings.session_secret_bytes()
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:

        async def done() -> UUID:
            organisation_id = viewer.organisation_id
            return (await proposals.begin(session, _actor(viewer), organisation_id, secret, asked.proposal)).id

        made = await repeating.once(session, viewer, key, "erasure", asked, done)
    return await _begun(request, response, viewer, made)


@router.get("/erasures")
async def every(request: Request, viewer: access.SeeingErasures, page: JustPaged) -> Erasures:
    """The organisation's erasures, done and under way."""
    own = cursors.of(request, viewer)
    place = own.read(page.cursor)
    before = (datetime.fromisoformat(place.partition(" ")[0]), UUID(place.partition(" ")[2])) if place else None
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        found = await repository.listed(session, before=before, most=page.limit + 1)
    shown = found[: page.limit]
    last = shown[-1][0] if len(found) > page.limit else None
    following = own.write(f"{last.made_at.isoformat()} {last.id}") if last else None
    return Erasures(items=[schemas.erasure(row, by) for row, by in shown], next_cursor=following)


@router.get("/erasures/{erasure_id}", responses=MISSING)
async def one(request: Request, erasure_id: UUID, viewer: access.SeeingErasures) -> ErasureShape:
    """One erasure, and how far it has come."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        return await _found(session, erasure_id)


@router.get("/erasures/{erasure_id}/certificate", responses=MOVED)
async def certificate(request: Request, erasure_id: UUID, viewer: access.SeeingErasures) -> Certificate:
    """The certificate of an erasure that is done, with every record and entry by reference.

    It is not paged: its digest is over the whole of it.
    """
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        return schemas.certificate(await service.certificate(session, _actor(viewer), erasure_id))


@router.get("/patients/{patient_id}/erasure", responses=MISSING)
async def of_person(request: Request, patient_id: UUID, viewer: access.PreparingToErase) -> OfPersonShape:
    """What would go with a person, or why they cannot be erased now."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        patient, found = await service.of_person(session, viewer, patient_id)
        return schemas.of_person(patient.id, found)


@router.post("/patients/{patient_id}/erasure", status_code=201, responses=MOVED)
async def erase_person(
    request: Request,
    response: Response,
    patient_id: UUID,
    asked: PersonErasureAsked,
    viewer: access.ErasingPerson,
    key: repeating.NeededKey,
) -> ErasureShape:
    """Erase a person with all that is theirs, with a session and not with an access token; it cannot be brought back.

    Once under a key.
    """
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:

        async def done() -> UUID:
            because = Because(asked.because)
            return (await service.begin_person(session, _actor(viewer), viewer.organisation_id, patient_id, because)).id

        made = await repeating.once(session, viewer, key, f"erase {patient_id}", asked, done)
    return await _begun(request, response, viewer, made)


async def _begun(request: Request, response: Response, viewer: Viewer, erasure_id: UUID) -> ErasureShape:
    sessions = state_of(request).sessions
    await service.go_on(sessions, viewer.organisation_id, erasure_id, _AT_ONCE)
    response.headers["Location"] = f"{API_PATH}/erasures/{erasure_id}"
    async with tenancy.transaction(sessions, viewer.organisation_id) as session:
        return await _found(session, erasure_id)


async def _found(session: AsyncSession, erasure_id: UUID) -> ErasureShape:
    found = await repository.listed(session, erasure_id)
    if not found:
        raise NotFound("There is no such erasure in your organisation.")
    return schemas.erasure(*found[0])


def _actor(viewer: Viewer) -> Actor:
    return Actor("account", str(viewer.account_id))
