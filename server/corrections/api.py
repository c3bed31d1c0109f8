"""Calls about what people say of a result after the reader: its versions, and adding one."""

from uuid import UUID

from fastapi import APIRouter, Response
from starlette.requests import Request

from server.api import access, repeating
from server.api.shapes import MISSING, MOVED
from server.corrections import repository, schemas, service
from server.corrections.schemas import CorrectionAsked, Versions, VersionShape
from server.database import tenancy
from server.state import state_of
from server.worklist import service as worklist

router = APIRouter(tags=["Corrections"])


@router.get("/results/{result_id}/corrections", responses=MISSING)
async def every(request: Request, result_id: UUID, viewer: access.ReadingResults) -> Versions:
    """Every version of a result after the reader's own, the oldest first, each hashed anew. The result is read by it.

    It is not paged: each version is a person's decision, and whoever adds the next has to know them all.
    """
    state = state_of(request)
    read, _, _ = await worklist.result(state.sessions, state.keyring, viewer, result_id, person=False)
    return schemas.versions(read.history)


@router.post("/results/{result_id}/corrections", status_code=201, responses=MOVED)
async def correct(
    request: Request,
    response: Response,
    result_id: UUID,
    asked: CorrectionAsked,
    viewer: access.Correcting,
    key: repeating.Key = None,
) -> VersionShape:
    """Correct, withdraw or restore a result, and open its follow-up again, however far it had come.

    It is never done twice: `version` has moved on after it, and a key answers a retry as the first.
    """
    outcome = asked.outcome.number if asked.outcome else None
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:

        async def done() -> UUID:
            await service.correct(session, viewer, result_id, asked.version, asked.kind, outcome, asked.why)
            return result_id

        await repeating.once(session, viewer, key, f"correct {result_id}", asked, done)
        made, who = (await repository.versions(session, result_id))[asked.version]
    response.headers["Location"] = request.url.path
    return schemas.version(made, who)
