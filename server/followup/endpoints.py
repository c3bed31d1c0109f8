"""Pages on which a person does something with a follow-up, one act a page; no script is needed."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.accounts.permissions import May
from server.accounts.service import Viewer
from server.accounts.viewing import allowed, allowed_posting
from server.database import tenancy
from server.followup import repository, service, states, views
from server.followup.states import Act, Ending, NotComplete, State, Step, TooFewTries
from server.problems import NotFound, Problem
from server.state import state_of
from server.web.environment import page, zone_of

router = APIRouter()

Following = Annotated[Viewer, Depends(allowed(May.FOLLOW_UP))]
Acting = Annotated[Viewer, Depends(allowed_posting(May.FOLLOW_UP))]


@router.get("/results/{result_id}/follow-up/{act}")
async def ask(request: Request, result_id: str, act: str, viewer: Following) -> Response:
    """The form of one act."""
    return await _form(request, viewer, _uuid(result_id), _act(act))


@router.post("/results/{result_id}/follow-up/{act}")
async def take(request: Request, result_id: str, act: str, viewer: Acting) -> Response:
    """Do it and go back to the result, or show the form again with what is missing."""
    fields: dict[str, str] = request.state.form
    wanted, chosen = _uuid(result_id), _act(act)
    version = fields.get("version", "")
    if not version.isdecimal() or len(version) > 9:
        raise NotFound("This form is not complete. Load the page again.")
    try:
        ending = Ending(fields["ending"]) if fields.get("ending") else None
        owner = UUID(fields["owner"]) if fields.get("owner") else None
    except ValueError:
        raise NotFound("This form holds something that cannot be chosen. Load the page again.") from None
    step = Step(chosen, fields.get("note", ""), ending)
    try:
        async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
            await service.act(session, viewer, wanted, int(version), step, owner)
    except (NotComplete, TooFewTries, service.OwnerUnknown) as missing:
        return await _form(request, viewer, wanted, chosen, fields, missing)
    return RedirectResponse(f"/results/{wanted}#follow-up", 303)


async def _form(
    request: Request,
    viewer: Viewer,
    result_id: UUID,
    act: Act,
    fields: dict[str, str] | None = None,
    missing: Problem | None = None,
) -> Response:
    state = state_of(request)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        follow_up = await repository.find(session, result_id)
        if follow_up is None or act not in states.may(State(follow_up.state)):
            raise NotFound("This cannot be done now. Go back to the result and look at what has happened.")
        people = await repository.people(session) if act is Act.HAND_OVER else []
    words = views.ACTS[act]
    given = fields or {}
    return page(
        request,
        "follow-up-act.jinja",
        status=missing.status if missing else 200,
        title=words.heading,
        act=str(act),
        words=words,
        follow_up=follow_up,
        due=views.due(follow_up.due_at, zone_of(state.settings), datetime.now(UTC)),
        result_href=f"/results/{result_id}",
        endings=_endings(given) if act is Act.RECORD else [],
        people=_people(people, given),
        note=given.get("note", ""),
        field="ending" if act is Act.RECORD and "ending" not in given else "owner" if people else "note",
        error=f"{missing.title}. {missing.detail}" if missing else "",
    )


def _endings(given: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"value": str(ending), "text": states.ENDINGS[ending], "checked": given.get("ending") == ending}
        for ending in states.CHOICES
    ]


def _people(people: list[tuple[UUID, str, str]], given: dict[str, str]) -> list[dict[str, Any]]:
    choices = [
        {"value": str(person), "text": f"{name}, {role}", "selected": given.get("owner") == str(person)}
        for person, name, role in people
    ]
    return [{"value": "", "text": "Choose a person"}, *choices] if choices else []


def _act(text: str) -> Act:
    try:
        return Act(text)
    except ValueError:
        raise NotFound("There is no such act. Go back to the result.") from None


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is no such result. Check the address, or look for it in the worklist.") from None
