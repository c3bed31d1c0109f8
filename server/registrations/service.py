"""What people do with registrations: look at those that wait for them, and put one aside once it is dealt with."""

from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.permissions import May, require
from server.accounts.service import Viewer
from server.audit import service as audit
from server.audit.service import Actor
from server.database.columns import now
from server.patients import repository as patients
from server.patients.service import PersonRefused
from server.problems import NotFound
from server.registrations import opening, repository, settling
from server.registrations.models import Registration, Standing
from server.registrations.opening import Content

_OPEN = (Standing.UNDECIDED, Standing.QUARANTINED)
_WHY_MAX = 400


async def open_ones(session: AsyncSession, viewer: Viewer) -> list[Registration]:
    """Those that wait for a person, the oldest first, once the audit log says who looks."""
    require(viewer, May.READ_PATIENTS)
    await _note(session, viewer, "registration.list", "open")
    return await repository.listed(session, viewer.organisation_id, _OPEN)


async def read(session: AsyncSession, viewer: Viewer, wanted: UUID) -> tuple[Registration, Content]:
    """One that a person must decide on, and what it says. Raises `NotFound`."""
    require(viewer, May.READ_PATIENTS)
    await _note(session, viewer, "registration.read", str(wanted))
    row = await repository.find(session, wanted)
    if row is None or row.state != Standing.UNDECIDED:
        raise NotFound("There is no such registration that waits for a decision.")
    return row, opening.read(row.content)


async def close(session: AsyncSession, viewer: Viewer, wanted: UUID, why: str) -> Registration:
    """It is dealt with: where its specimen is somebody's by now it is theirs, else it is put aside. `why` says how.

    What it says of the person, or its sealed bytes, are gone from then on. Raises `NotFound`, `PersonRefused`.
    """
    require(viewer, May.WRITE_PATIENTS)
    why = " ".join(why.split())
    if not 0 < len(why) <= _WHY_MAX:
        raise PersonRefused(f"Say in at most {_WHY_MAX} characters what was done.", extra={"field": "why"})
    await _note(session, viewer, "registration.close", str(wanted))
    row = await repository.find(session, wanted)
    if row is None or row.state not in _OPEN:
        raise NotFound("There is no such registration that waits for a decision.")
    owner = await patients.person_of(session, row.specimen) if row.specimen else None
    if owner is not None:
        settling.settled(row, owner.id, viewer.account_id)
    else:
        # A quarantined one may share its id with one that is held; put aside, it has none.
        if row.state == Standing.QUARANTINED:
            row.registration_id = None
        row.state, row.content, row.sealed = Standing.CLOSED, b"", b""
        row.settled_at, row.settled_by = now(), viewer.account_id
        row.consent_asked, row.consent_by, row.local_identifiers = "", "", []
    row.why = why
    await repository.save(session, row)
    return row


async def _note(session: AsyncSession, viewer: Viewer, action: str, subject: str) -> None:
    await audit.record(
        session,
        organisation_id=viewer.organisation_id,
        actor=Actor("account", str(viewer.account_id)),
        action=action,
        purpose=viewer.purpose,
        subject_kind="registration",
        subject=subject,
    )
