"""Calls about people and specimens. What is searched for is in the body, never in an address, which logs keep."""

from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter, Response
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request

from server.accounts.service import Viewer
from server.api import access, cursors, repeating
from server.api.shapes import MISSING, MOVED, JustPaged, problems
from server.corrections import repository as corrections
from server.database import tenancy
from server.patients import repository, schemas, service
from server.patients.schemas import (
    Candidates,
    ChangeAsked,
    EntryShape,
    LinkAsked,
    LinkShape,
    MergeAsked,
    PatientRef,
    PatientShape,
    PatientWhole,
    SpecimenAsked,
    UnlinkAsked,
    Unlinked,
    UnmatchedResults,
)
from server.state import state_of

router = APIRouter(tags=["Patients and specimens"])


@router.post("/patients/candidates")
async def candidates(request: Request, asked: EntryShape, viewer: access.ReadingPatients) -> Candidates:
    """Whom those details may be of. Nothing is kept of them."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        found = await service.candidates(session, viewer, schemas.entry(asked))
    return Candidates(items=[schemas.candidate(one, row) for one, row in found])


@router.post("/patients", status_code=201, responses=problems(409))
async def register(
    request: Request, response: Response, asked: EntryShape, viewer: access.WritingPatients, key: repeating.NeededKey
) -> PatientShape:
    """Register somebody, once under a key."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:

        async def done() -> UUID:
            return (await service.register(session, viewer, schemas.entry(asked))).id

        made = await repeating.once(session, viewer, key, "register", asked, done)
        response.headers["Location"] = f"{request.url.path}/{made}"
        return await _patient(session, made)


@router.get("/patients/{patient_id}", responses=MISSING)
async def one(request: Request, patient_id: UUID, viewer: access.ReadingPatients) -> PatientWhole:
    """Somebody with their results."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        return await _whole(session, viewer, patient_id)


@router.put("/patients/{patient_id}", responses=MOVED)
async def change(
    request: Request, patient_id: UUID, asked: ChangeAsked, viewer: access.WritingPatients
) -> PatientShape:
    """Put right what is known of somebody. It is never done twice: `version` has moved on after it."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        entry = schemas.entry(asked.entry)
        return schemas.patient(await service.change(session, viewer, patient_id, asked.version, entry))


@router.post("/patients/{patient_id}/merge", responses=MOVED)
async def merge(
    request: Request, patient_id: UUID, asked: MergeAsked, viewer: access.WritingPatients, key: repeating.Key = None
) -> PatientRef:
    """Two entries are one person: the entry they are now. It cannot be done twice: one of them is merged after it."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:

        async def done() -> UUID:
            return (await service.merge(session, viewer, patient_id, asked.into)).id

        into = await repeating.once(session, viewer, key, f"merge {patient_id}", asked, done)
        return await _ref(session, into)


@router.post("/patients/{patient_id}/unmerge", responses=MOVED)
async def unmerge(
    request: Request, patient_id: UUID, viewer: access.WritingPatients, key: repeating.Key = None
) -> PatientRef:
    """They are two after all: what was moved goes back. It cannot be done twice: they are not merged after it."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:

        async def done() -> UUID:
            return (await service.unmerge(session, viewer, patient_id)).id

        apart = await repeating.once(session, viewer, key, f"unmerge {patient_id}", None, done)
        return await _ref(session, apart)


@router.get("/specimens/unmatched")
async def unmatched(request: Request, viewer: access.ReadingPatients, page: JustPaged) -> UnmatchedResults:
    """Results whose specimen is nobody's yet, the newest first."""
    own = cursors.of(request, viewer)
    before = _place(own.read(page.cursor))
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        found, more = await service.unmatched(session, viewer, before, page.limit)
        corrected = await corrections.current(session, [row.id for row in found])
    following = own.write(f"{found[-1].received_at.isoformat()} {found[-1].id}") if more else None
    items = [schemas.result_ref(row, row.site, corrected.get(row.id)) for row in found]
    return UnmatchedResults(items=items, next_cursor=following)


@router.post("/specimens/find", responses=MISSING)
async def whose(request: Request, asked: SpecimenAsked, viewer: access.ReadingPatients) -> PatientWhole:
    """Whose a specimen is; 404 when it is nobody's."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        found = await service.owner_of(session, viewer, asked.specimen)
        return await _whole(session, viewer, found)


@router.post("/specimens/link", responses=MOVED)
async def link(
    request: Request, asked: LinkAsked, viewer: access.WritingPatients, key: repeating.Key = None
) -> LinkShape:
    """Say whose a specimen is, before or after its result came. Sent again it answers with the link that there is."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:

        async def done() -> UUID:
            return (await service.link(session, viewer, asked.specimen, asked.patient, asked.compared)).id

        made = await repeating.once(session, viewer, key, "link", asked, done)
        row = await repository.link_of(session, made)
    return LinkShape(id=row.id, specimen=row.specimen, patient=row.patient_id, linked_at=row.linked_at)


@router.post("/specimens/unlink", responses=MISSING)
async def unlink(
    request: Request, asked: UnlinkAsked, viewer: access.WritingPatients, key: repeating.Key = None
) -> Unlinked:
    """Say that a specimen is not whose it was said to be. It cannot be done twice: it is nobody's after it."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:

        async def done() -> UUID:
            return (await service.unlink(session, viewer, asked.specimen, asked.why)).id

        return Unlinked(id=await repeating.once(session, viewer, key, "unlink", asked, done))


async def _patient(session: AsyncSession, patient_id: UUID) -> PatientShape:
    """Somebody that the act before this has audited and found."""
    found = await repository.find(session, patient_id)
    assert found is not None, "people are not removed, and this one was there"
    return schemas.patient(found)


async def _ref(session: AsyncSession, patient_id: UUID) -> PatientRef:
    found = await _patient(session, patient_id)
    return PatientRef(id=found.id, version=found.version)


async def _whole(session: AsyncSession, viewer: Viewer, patient_id: UUID) -> PatientWhole:
    found = await service.read(session, viewer, patient_id)
    results = await repository.results_of(session, found.id)
    corrected = await corrections.current(session, [row.id for row, _ in results])
    changes = await repository.changes(session, found.id)
    return PatientWhole(
        patient=schemas.patient(found),
        results=[schemas.result_ref(row, site, corrected.get(row.id)) for row, site in results],
        changes=[schemas.change(row, who) for row, who in changes],
    )


def _place(text: str | None) -> tuple[datetime, UUID] | None:
    if text is None:
        return None
    at, _, result_id = text.partition(" ")
    return datetime.fromisoformat(at).astimezone(UTC), UUID(result_id)
