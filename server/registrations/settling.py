"""Says whose a registration is, where that is beyond doubt; where it is not, a person decides.

Somebody nobody here is like is registered. Somebody who is the same by NHS number, birth date and a third thing, with
nothing that differs or is new, gets the specimen. Everything else is left to a person: nothing is ever overwritten.
"""

import asyncio
import logging
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel.ext.asyncio.session import AsyncSession

from server.audit import service as audit
from server.audit.service import Actor
from server.database import tenancy
from server.database.columns import now
from server.database.engine import Sessions
from server.organisations import repository as organisations
from server.patients import matching, service
from server.patients import repository as patients
from server.patients.matching import Known, Likeness
from server.patients.models import Patient
from server.patients.service import NEEDED, Author, Entry
from server.problems import Problem
from server.registrations import opening, repository
from server.registrations.models import Registration, Standing
from server.results.tasks import Wake

log = logging.getLogger("doorstep.registrations")

PORTION = 20
LOOK_EVERY_SECONDS = 30
RETRY_SECONDS = 5


class NotDecided(Exception):
    """A person must look: a code and a sentence, without anything of the person in it."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


async def settle_portion(sessions: Sessions, organisation_id: UUID) -> int:
    """Settle the oldest that wait in an organisation, or leave them to a person; how many there were."""
    async with tenancy.transaction(sessions, organisation_id) as session:
        await repository.one_at_a_time(session, organisation_id)
        rows = await repository.waiting(session, organisation_id, PORTION)
        for row in rows:
            await _settle(session, row)
        return len(rows)


async def _settle(session: AsyncSession, row: Registration) -> None:
    content = opening.read(row.content)  # what did not read was never held
    author = Author(row.organisation_id, Actor("hub", content.maker.hex()), hub_id=content.maker)
    await audit.record(
        session,
        organisation_id=row.organisation_id,
        actor=author.actor,
        action="registration.settle",
        subject_kind="registration",
        subject=str(row.id),
    )
    try:
        async with session.begin_nested():
            patient = await _whose(session, author, content.entry, content.specimen)
    except NotDecided as left:
        row.state, row.code, row.sentence = Standing.UNDECIDED, left.code, str(left)
    except Problem as problem:
        row.state, row.code, row.sentence = Standing.UNDECIDED, problem.code, f"{problem.title}."
    else:
        settled(row, patient.id)
    await repository.save(session, row)


def settled(row: Registration, patient_id: UUID, account_id: UUID | None = None) -> None:
    """It is that person's: what was said of them stands in their entry now, and nowhere else."""
    row.state, row.code, row.sentence, row.content = Standing.SETTLED, "", "", b""
    row.patient_id, row.settled_at, row.settled_by = patient_id, now(), account_id


async def _whose(session: AsyncSession, author: Author, given: Entry, code: str) -> Patient:
    """Raises `NotDecided`, and what the services of people refuse."""
    entry, specimen = service.checked(given, now().date()), service.usable_specimen(code)
    if _identifiers(entry) < NEEDED:
        raise NotDecided("one-is-not-enough", "It gives one thing only to know the person by.")
    held = await patients.link(session, specimen)
    if held is not None:
        owner = await patients.whole(session, held.patient_id)
        if owner is None or not _is(entry, owner):
            raise NotDecided("specimen-taken", "The specimen is a person's already, and these details are not theirs.")
        return owner
    found = await service.likenesses(session, entry)
    if not found:
        patient = await service.register_by(session, author, entry)
    elif len(found) == 1 and _is(entry, found[0][1]):
        patient = found[0][1]
    else:
        raise NotDecided("may-be-known", "Somebody who is registered may be this person, or may not.")
    await service.link_by(session, author, specimen, patient.id)
    return patient


def _is(entry: Entry, patient: Patient) -> bool:
    """True where that entry is the person's beyond doubt, and says nothing that is not known of them."""
    candidate = matching.compare(service.details_of(entry), Known(patient.id, patients.details(patient)))
    known = service.entry_of(patient)
    new = [name for name in _COMPARED if getattr(entry, name) and getattr(entry, name) != getattr(known, name)]
    return candidate.likeness is Likeness.SAME and not new


# What the comparison of people does not weigh, but a clinician goes by.
_COMPARED = ("phone", "email", "address", "postcode", "language", "safe_contact")


def _identifiers(entry: Entry) -> int:
    given = (entry.given or entry.family, entry.birth_date, entry.nhs_number, entry.phone)
    return sum(map(bool, (*given, entry.address or entry.postcode)))


async def work(sessions: Sessions, wake: Wake) -> None:
    """Settle until cancelled: what is told of at once, and whatever waits anywhere every `LOOK_EVERY_SECONDS`."""
    told = await _every(sessions)
    while True:
        try:
            for organisation_id in told:
                while await settle_portion(sessions, organisation_id) == PORTION:
                    pass
        except (SQLAlchemyError, OSError) as error:
            # What waits stands in the table.
            log.warning("registrations were interrupted (%s); they go on later", type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)
        told = await wake.wait(LOOK_EVERY_SECONDS) or await _every(sessions)


async def _every(sessions: Sessions) -> set[UUID]:
    try:
        async with tenancy.transaction(sessions) as session:
            return {one.id for one in await organisations.organisations(session)}
    except (SQLAlchemyError, OSError) as error:
        log.warning("registrations cannot be looked for (%s); they are later", type(error).__name__)
        return set()
