"""All SQL of people and of which specimens are theirs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, exists, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.models import Account
from server.hubs.models import Hub
from server.organisations.models import Site
from server.patients.matching import Details, Known
from server.patients.models import Patient, PatientChange, SpecimenLink
from server.results.models import Result

COMPARED = 200
PAGE_ROWS = 50


async def find(session: AsyncSession, patient_id: UUID) -> Patient | None:
    """Somebody of this organisation."""
    return (await PlainSession.execute(session, select(Patient).where(col(Patient.id) == patient_id))).scalar()


async def whole(session: AsyncSession, patient_id: UUID) -> Patient | None:
    """Somebody, or the person whom they were merged into, however often."""
    patient = await find(session, patient_id)
    while patient is not None and patient.merged_into is not None:
        patient = await find(session, patient.merged_into)
    return patient


async def lock(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Patient]:
    """Those people, held for this transaction, always in the same order, so that two who merge never wait in a ring."""
    statement = select(Patient).where(col(Patient.id).in_(ids)).order_by(col(Patient.id)).with_for_update()
    return {one.id: one for one in (await PlainSession.execute(session, statement)).scalars()}


async def add(session: AsyncSession, *rows: Patient | PatientChange | SpecimenLink) -> None:
    """Write rows now."""
    for row in rows:
        session.add(row)
        await session.flush()


async def may_be(session: AsyncSession, nhs_number: str, birth: object, family: str, phone: str) -> list[Known]:
    """Whoever shares one of these with somebody, at most `COMPARED`: what `matching` ranks."""
    shared = [
        condition
        for given, condition in (
            (nhs_number, col(Patient.nhs_number) == nhs_number),
            (birth, col(Patient.birth_date) == birth),
            (family, col(Patient.family_plain) == family),
            (phone, col(Patient.phone_plain) == phone),
        )
        if given
    ]
    if not shared:
        return []
    # Each condition has its index. Entries that were merged are compared too: a number may stand in one of them only.
    statement = select(Patient).where(or_(*shared)).order_by(col(Patient.id)).limit(COMPARED)
    return [Known(one.id, details(one)) for one in (await PlainSession.execute(session, statement)).scalars()]


def details(patient: Patient) -> Details:
    """What is compared of a person."""
    return Details(
        patient.given, patient.family, patient.birth_date, patient.nhs_number or "", patient.phone, patient.postcode
    )


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Patient]:
    """Those people."""
    found = (await PlainSession.execute(session, select(Patient).where(col(Patient.id).in_(ids)))).scalars()
    return {one.id: one for one in found}


async def link(session: AsyncSession, specimen: str) -> SpecimenLink | None:
    """Whose the specimen is now, held for this transaction."""
    statement = (
        select(SpecimenLink)
        .where(col(SpecimenLink.specimen) == specimen, col(SpecimenLink.ended_at).is_(None))
        .with_for_update()
    )
    return (await PlainSession.execute(session, statement)).scalar_one_or_none()


async def link_of(session: AsyncSession, link_id: UUID) -> SpecimenLink:
    """The link of that id, which is known to be there."""
    return (
        await PlainSession.execute(session, select(SpecimenLink).where(col(SpecimenLink.id) == link_id))
    ).scalar_one()


async def person_of(session: AsyncSession, specimen: str) -> Patient | None:
    """The person that a specimen is of; None when nobody has said so."""
    statement = (
        select(Patient)
        .join(SpecimenLink, col(SpecimenLink.patient_id) == col(Patient.id))
        .where(col(SpecimenLink.specimen) == specimen, col(SpecimenLink.ended_at).is_(None))
    )
    return (await PlainSession.execute(session, statement)).scalar_one_or_none()


async def move_links(session: AsyncSession, ids: Sequence[UUID], patient_id: UUID) -> None:
    """Let those links name another person."""
    await PlainSession.execute(
        session, update(SpecimenLink).where(col(SpecimenLink.id).in_(ids)).values(patient_id=patient_id)
    )


async def links_of(session: AsyncSession, patient_id: UUID) -> list[UUID]:
    """Ids of every link of a person, ended ones too."""
    statement = select(col(SpecimenLink.id)).where(col(SpecimenLink.patient_id) == patient_id)
    return list((await PlainSession.execute(session, statement)).scalars())


async def specimens_of(session: AsyncSession, patient_id: UUID) -> list[str]:
    """The specimens that are a person's now."""
    statement = (
        select(col(SpecimenLink.specimen))
        .where(col(SpecimenLink.patient_id) == patient_id, col(SpecimenLink.ended_at).is_(None))
        .order_by(col(SpecimenLink.linked_at))
    )
    return list((await PlainSession.execute(session, statement)).scalars())


async def specimens_by(session: AsyncSession, ids: Sequence[UUID]) -> list[str]:
    """The specimens of those links that are in force."""
    statement = (
        select(col(SpecimenLink.specimen))
        .where(col(SpecimenLink.id).in_(ids), col(SpecimenLink.ended_at).is_(None))
        .order_by(col(SpecimenLink.linked_at))
    )
    return list((await PlainSession.execute(session, statement)).scalars())


async def merged_into(session: AsyncSession, patient_id: UUID) -> list[Patient]:
    """The entries that were merged into a person's, the oldest first."""
    statement = select(Patient).where(col(Patient.merged_into) == patient_id).order_by(col(Patient.created_at))
    return list((await PlainSession.execute(session, statement)).scalars())


async def last_merge(session: AsyncSession, patient_id: UUID) -> PatientChange | None:
    """The change by which that person was merged into another."""
    statement = (
        select(PatientChange)
        .where(col(PatientChange.patient_id) == patient_id, col(PatientChange.what) == "merged")
        .order_by(col(PatientChange.id).desc())
        .limit(1)
    )
    return (await PlainSession.execute(session, statement)).scalar_one_or_none()


async def changes(session: AsyncSession, patient_id: UUID) -> list[tuple[PatientChange, str]]:
    """What was done to a person's entry, oldest first, and by whom."""
    by = func.coalesce(col(Account.name), literal("In the field, by hub ").concat(col(Hub.name)))
    statement = (
        select(PatientChange, by)
        .outerjoin(Account, col(Account.id) == col(PatientChange.account_id))
        .outerjoin(Hub, col(Hub.hub_id) == col(PatientChange.hub_id))
        .where(or_(col(PatientChange.patient_id) == patient_id, col(PatientChange.other_id) == patient_id))
        .order_by(col(PatientChange.id))
    )
    return [(row[0], row[1]) for row in (await PlainSession.execute(session, statement)).all()]


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A result of nobody yet."""

    id: UUID
    specimen: str
    assay: str
    assay_version: int
    outcome: int
    received_at: datetime
    tested_at: datetime | None
    site: str


async def unmatched(
    session: AsyncSession,
    organisation_id: UUID,
    before: tuple[datetime, UUID] | None,
    most: int = PAGE_ROWS,
) -> tuple[list[Unmatched], bool]:
    """At most so many results whose specimen is nobody's, newest first, and whether there is more."""
    linked = exists().where(
        col(SpecimenLink.organisation_id) == organisation_id,
        col(SpecimenLink.specimen) == col(Result.specimen),
        col(SpecimenLink.ended_at).is_(None),
    )
    statement = (
        select(
            col(Result.id), col(Result.specimen), col(Result.assay), col(Result.assay_version), col(Result.outcome),
            col(Result.received_at), col(Result.tested_at), col(Site.name),
        )
        .join(Site, col(Site.id) == col(Result.site_id))
        .where(col(Result.organisation_id) == organisation_id, ~linked)
        .order_by(col(Result.received_at).desc(), col(Result.id).desc())
        .limit(most + 1)
    )  # fmt: skip
    if before is not None:
        at, result_id = before
        statement = statement.where(
            or_(
                col(Result.received_at) < at,
                and_(col(Result.received_at) == at, col(Result.id) < result_id),
            )
        )
    rows = [Unmatched(*row) for row in (await PlainSession.execute(session, statement)).all()]
    return rows[:most], len(rows) > most


async def results_of(session: AsyncSession, patient_id: UUID, limit: int = PAGE_ROWS) -> list[tuple[Result, str]]:
    """A person's results with the site of each, newest first."""
    statement = (
        select(Result, col(Site.name))
        .join(
            SpecimenLink,
            and_(
                col(SpecimenLink.organisation_id) == col(Result.organisation_id),
                col(SpecimenLink.specimen) == col(Result.specimen),
                col(SpecimenLink.ended_at).is_(None),
            ),
        )
        .join(Site, col(Site.id) == col(Result.site_id))
        .where(col(SpecimenLink.patient_id) == patient_id)
        .order_by(col(Result.received_at).desc(), col(Result.id).desc())
        .limit(limit)
    )
    return [(row[0], row[1]) for row in (await PlainSession.execute(session, statement)).all()]
