"""Calls about follow-ups: looking at one, doing the acts of the state machine, and whom it can be handed over to."""

from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request

from server.api import access, repeating
from server.api.shapes import MISSING, MOVED
from server.database import tenancy
from server.followup import repository, schemas, service
from server.followup.schemas import ActAsked, FollowUpHistory, FollowUpShape, Owner, Owners
from server.followup.states import Step
from server.state import state_of

router = APIRouter(tags=["Follow-up"])


@router.get("/follow-ups/owners")
async def owners(request: Request, viewer: access.FollowingUp) -> Owners:
    """Everybody to whom a follow-up can be handed over."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        people = await repository.people(session)
    return Owners(items=[Owner(id=person, name=name, role=role) for person, name, role in people])


@router.get("/follow-ups/{result_id}", responses=MISSING)
async def one(request: Request, result_id: UUID, viewer: access.ReadingResults) -> FollowUpHistory:
    """A follow-up with all that was done, by the id of its result."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        return schemas.history(await service.look(session, viewer, result_id))


@router.post("/follow-ups/{result_id}/acts", responses=MOVED)
async def act(
    request: Request, result_id: UUID, asked: ActAsked, viewer: access.FollowingUp, key: repeating.Key = None
) -> FollowUpShape:
    """Do one act; how the follow-up stands now.

    It is never done twice: `version` has moved on after it, and a key answers a retry as the first.
    """
    step = Step(asked.act, asked.note, asked.ending)
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:

        async def done() -> UUID:
            await service.act(session, viewer, result_id, asked.version, step, asked.owner)
            return result_id

        await repeating.once(session, viewer, key, f"follow-up {result_id}", asked, done)
        found = await repository.with_owner(session, result_id)
    assert found is not None, "it was acted on in this transaction or, under this key, before"
    return schemas.follow_up(*found)
