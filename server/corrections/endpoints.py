"""The page on which a lead corrects, withdraws or restores a result: what it is, then a warning, then a new version."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.accounts.permissions import May
from server.accounts.service import Viewer
from server.accounts.viewing import allowed, allowed_posting
from server.corrections import service, views
from server.corrections.models import Kind
from server.corrections.service import CorrectionRefused
from server.database import tenancy
from server.problems import NotFound, Problem
from server.state import state_of
from server.web import formatting
from server.web.environment import page, zone_of
from server.worklist import service as worklist
from server.worklist import wording

router = APIRouter()

Preparing = Annotated[Viewer, Depends(allowed(May.CORRECT))]
Correcting = Annotated[Viewer, Depends(allowed_posting(May.CORRECT))]


@router.get("/results/{result_id}/correct")
async def ask(request: Request, result_id: str, viewer: Preparing) -> Response:
    """What the result is now, what it can be said to be, and what that does."""
    return await _form(request, viewer, _uuid(result_id), {})


@router.post("/results/{result_id}/correct")
async def correct(request: Request, result_id: str, viewer: Correcting) -> Response:
    """Add the version and go back to the result."""
    fields: dict[str, str] = request.state.form
    wanted, version = _uuid(result_id), fields.get("version", "")
    if not version.isdecimal() or len(version) > 6:
        raise NotFound("This form is not complete. Load the page again.")
    try:
        kind, outcome = _chosen(fields.get("kind", ""))
        async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
            await service.correct(session, viewer, wanted, int(version), kind, outcome, fields.get("why", ""))
    except CorrectionRefused as problem:
        return await _form(request, viewer, wanted, fields, problem)
    return RedirectResponse(f"/results/{wanted}", 303)


def _chosen(text: str) -> tuple[Kind, int | None]:
    name, _, outcome = text.partition(":")
    if name == Kind.CORRECTED and (code := wording.outcome_by_name(outcome)) is not None:
        return Kind.CORRECTED, code
    if text in (Kind.WITHDRAWN, Kind.RESTORED):
        return Kind(text), None
    raise CorrectionRefused("Choose what the result is.", extra={"field": "kind"})


async def _form(
    request: Request, viewer: Viewer, result_id: UUID, given: dict[str, str], problem: Problem | None = None
) -> Response:
    state = state_of(request)
    zone = zone_of(state.settings)
    read, _, _ = await worklist.result(state.sessions, state.keyring, viewer, result_id, person=False)
    row = read.found.result
    corrected = views.view(read.history, row.outcome, formatting.date_and_time(row.received_at, zone), zone)
    choices = [(Kind.WITHDRAWN.value, "Withdraw it: nothing may be concluded from it")]
    choices += [
        (f"{Kind.CORRECTED}:{wording.outcome(code).name}", f"Correct it to {wording.outcome(code).word.lower()}")
        for code in service.CHOICES
        if code != row.outcome
    ]
    if corrected.said:
        choices.append((Kind.RESTORED.value, "Restore it: it is what the reader said after all"))
    field = str(problem.extra.get("field", "why")) if problem else ""
    return page(
        request,
        "result-correct.jinja",
        status=problem.status if problem else 200,
        title="Correct or withdraw a result",
        specimen=row.specimen,
        href=f"/results/{row.id}",
        said=wording.outcome(row.outcome),
        corrected=corrected,
        version=given.get("version") or str(corrected.version),
        choices=[{"value": value, "text": text, "checked": given.get("kind") == value} for value, text in choices],
        why=given.get("why", ""),
        errors={field: problem.detail} if problem else {},
    )


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is no such result. Check the address, or look for it in the worklist.") from None
