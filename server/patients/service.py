"""Registering people, saying whose a specimen is, and putting right what was wrong: each with who, when and why."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.permissions import May, require
from server.accounts.service import Viewer
from server.audit import service as audit
from server.audit.service import Actor
from server.database.columns import now
from server.patients import matching, nhs_number, repository
from server.patients.matching import Candidate, Details
from server.patients.models import Patient, PatientChange, SpecimenLink
from server.patients.repository import Unmatched
from server.problems import NotFound, Problem

SPECIMEN_MAX = 64
_OLDEST = date(1895, 1, 1)
# What somebody can have compared before they say whose a specimen is; two at least, because each alone can be wrong.
IDENTIFIERS = {
    "name": "Name",
    "birth-date": "Date of birth",
    "nhs-number": "NHS number",
    "address": "Address or postcode",
    "phone": "Telephone",
}
NEEDED = 2


class PersonRefused(Problem):
    """What was given of a person is not complete or cannot be."""

    status = 422
    code = "person-refused"
    title = "Something about the person has to be put right"


class NHSNumberTaken(Problem):
    """Somebody who is registered has that NHS number."""

    status = 409
    code = "nhs-number-taken"
    title = "Somebody is registered with that NHS number"


class SpecimenTaken(Problem):
    """The specimen is another person's."""

    status = 409
    code = "specimen-taken"
    title = "That specimen is another person's"


class OneIsNotEnough(Problem):
    """A specimen is never somebody's because of one thing that agrees."""

    status = 422
    code = "one-is-not-enough"
    title = "Compare two things at least"


class CannotMerge(Problem):
    """The two are one already, or one of them is merged into somebody else."""

    status = 409
    code = "cannot-merge"
    title = "These two cannot be merged"


class ChangedMeanwhile(Problem):
    """Somebody else has changed the entry."""

    status = 409
    code = "person-changed"
    title = "The entry has been changed meanwhile"


@dataclass(frozen=True, slots=True)
class Author:
    """Who says something of a person: somebody of the staff, or a hub by what was sealed on it in the field."""

    organisation_id: UUID
    actor: Actor
    purpose: str | None = None
    account_id: UUID | None = None
    hub_id: bytes | None = None

    @classmethod
    def of(cls, viewer: Viewer) -> "Author":
        """Whoever is signed in."""
        actor = Actor("account", str(viewer.account_id))
        return cls(viewer.organisation_id, actor, viewer.purpose, account_id=viewer.account_id)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a form or a call says of a person. `nhs_number` may hold spaces."""

    given: str
    family: str
    birth_date: date | None = None
    nhs_number: str = ""
    phone: str = ""
    email: str = ""
    address: str = ""
    postcode: str = ""
    language: str = ""
    safe_contact: str = ""


_LONGEST = {
    "given": 100, "family": 100, "phone": 40, "email": 254, "postcode": 12, "language": 60, "address": 400,
    "safe_contact": 400,
}  # fmt: skip
_NAMES = {
    "given": "the first name", "family": "the last name", "phone": "the telephone number", "email": "the email address",
    "postcode": "the postcode", "language": "the language", "address": "the address", "safe_contact": "the note",
}  # fmt: skip


def checked(entry: Entry, today: date) -> Entry:
    """The entry without needless space, its NHS number as ten digits. Raises `PersonRefused`, `NHSNumberRefused`."""
    fields = {name: " ".join(getattr(entry, name).split()) for name in _LONGEST}
    fields["address"], fields["safe_contact"] = entry.address.strip(), entry.safe_contact.strip()
    for name, longest in _LONGEST.items():
        if len(fields[name]) > longest:
            raise PersonRefused(f"Write at most {longest} characters for {_NAMES[name]}.", extra={"field": name})
        if not fields[name].replace("\n", " ").replace("\r", " ").isprintable():
            raise PersonRefused(f"Use letters, digits and marks only for {_NAMES[name]}.", extra={"field": name})
    if not fields["family"] and not fields["given"]:
        raise PersonRefused("Give a name, or what the person is known by.", extra={"field": "given"})
    if entry.birth_date is not None and not _OLDEST <= entry.birth_date <= today:
        raise PersonRefused("The date of birth cannot be right. Check day, month and year.", extra={"field": "birth"})
    number = nhs_number.normalised(entry.nhs_number) if entry.nhs_number.strip() else ""
    return Entry(birth_date=entry.birth_date, nhs_number=number, **fields)


def usable_specimen(code: str) -> str:
    """The code as readers write it. Raises `PersonRefused`."""
    code = code.strip()
    if not 0 < len(code) <= SPECIMEN_MAX or not code.isprintable():
        raise PersonRefused("Scan or type the specimen code from the label.", extra={"field": "specimen"})
    return code


async def candidates(session: AsyncSession, viewer: Viewer, entry: Entry) -> list[tuple[Candidate, Patient]]:
    """Whom those details may be of, the likeliest first. Raises what `checked` raises."""
    require(viewer, May.READ_PATIENTS)
    entry = checked(entry, now().date())
    await _note(session, viewer, "patient.search", "patient", "candidates")
    return await likenesses(session, entry)


async def likenesses(session: AsyncSession, entry: Entry) -> list[tuple[Candidate, Patient]]:
    """As `candidates`, for an entry that is checked, once the audit log says who asks."""
    known = await repository.may_be(
        session, entry.nhs_number, entry.birth_date, plain_family(entry.family), plain_phone(entry.phone)
    )
    found: dict[UUID, tuple[Candidate, Patient]] = {}
    for one in matching.ranked(details_of(entry), known):
        patient = await repository.whole(session, one.id)
        if patient is not None:
            # Whoever was merged is found as the person that they are now, once, by what agrees best.
            found.setdefault(patient.id, (one, patient))
    return list(found.values())


async def register(session: AsyncSession, viewer: Viewer, entry: Entry) -> Patient:
    """A new person. Raises what `checked` raises, and `NHSNumberTaken`."""
    require(viewer, May.WRITE_PATIENTS)
    return await register_by(session, Author.of(viewer), checked(entry, now().date()))


async def register_by(session: AsyncSession, author: Author, entry: Entry) -> Patient:
    """As `register`, of an entry that is checked."""
    patient = Patient(organisation_id=author.organisation_id, given=entry.given, family=entry.family, family_plain="")
    _apply(patient, entry)
    await _note_by(session, author, "patient.register", "patient", str(patient.id))
    await _write(session, patient)
    await repository.add(session, _change(author, patient, "registered"))
    return patient


async def change(session: AsyncSession, viewer: Viewer, patient_id: UUID, version: int, entry: Entry) -> Patient:
    """Put right what is known of a person. Raises what `register` raises, `NotFound` and `ChangedMeanwhile`."""
    require(viewer, May.WRITE_PATIENTS)
    entry = checked(entry, now().date())
    await _note(session, viewer, "patient.change", "patient", str(patient_id))
    patient = (await repository.lock(session, [patient_id])).get(patient_id)
    if patient is None or patient.merged_into is not None:
        raise NotFound("There is no such person in your organisation.")
    if patient.version != version:
        raise ChangedMeanwhile("Look at what is there now, then change it again.")
    before = _entry(patient)
    _apply(patient, entry)
    patient.version += 1
    await _write(session, patient)
    await repository.add(session, _change(Author.of(viewer), patient, "changed", before=before))
    return patient


async def link(
    session: AsyncSession, viewer: Viewer, specimen: str, patient_id: UUID, compared: Collection[str]
) -> SpecimenLink:
    """Say that a specimen is of a person, after `compared` (of `IDENTIFIERS`) agreed on label and person.

    Before or after the result arrived. Raises `OneIsNotEnough`, `SpecimenTaken`, `NotFound`.
    """
    require(viewer, May.WRITE_PATIENTS)
    specimen = usable_specimen(specimen)
    if len(set(compared) & IDENTIFIERS.keys()) < NEEDED:
        raise OneIsNotEnough("Compare at least two things with the label or the person, and say which.")
    return await link_by(session, Author.of(viewer), specimen, patient_id)


async def link_by(session: AsyncSession, author: Author, specimen: str, patient_id: UUID) -> SpecimenLink:
    """As `link`, where it is known already that at least two things agree."""
    await _note_by(session, author, "specimen.link", "patient", str(patient_id))
    patient = await repository.find(session, patient_id)
    if patient is None or patient.merged_into is not None:
        raise NotFound("There is no such person in your organisation.")
    made = SpecimenLink(
        organisation_id=author.organisation_id,
        specimen=specimen,
        patient_id=patient_id,
        linked_by=author.account_id,
        hub_id=author.hub_id,
    )
    try:
        async with session.begin_nested():
            await repository.add(session, made)
    except IntegrityError as error:
        if "fk_specimen_link_patient_id" in str(error.orig):
            raise NotFound("This person was erased just now.") from None
        if "ix_specimen_link_current" not in str(error.orig):
            raise
        held = await repository.link(session, specimen)
        if held is not None and held.patient_id == patient_id:
            return held
        raise SpecimenTaken("If that is wrong, end it there first and say why.") from None
    return made


async def unlink(session: AsyncSession, viewer: Viewer, specimen: str, why: str) -> SpecimenLink:
    """Say that a specimen is not of the person that it was said to be of; the link that ended.

    Raises `NotFound`, `PersonRefused`.
    """
    require(viewer, May.WRITE_PATIENTS)
    why = " ".join(why.split())
    if not 0 < len(why) <= 400:
        raise PersonRefused("Say in at most 400 characters why it is not this person's.", extra={"field": "why"})
    await _note(session, viewer, "specimen.unlink", "specimen", "one")
    held = await repository.link(session, usable_specimen(specimen))
    if held is None:
        raise NotFound("This specimen is nobody's.")
    held.ended_at, held.ended_by, held.why_ended = now(), viewer.account_id, why
    await repository.add(session, held)
    return held


async def merge(session: AsyncSession, viewer: Viewer, one_id: UUID, into_id: UUID) -> Patient:
    """Two entries are one person: `one_id` is kept as it is, its specimens become those of `into_id`.

    Raises `NotFound`, `CannotMerge`.
    """
    require(viewer, May.WRITE_PATIENTS)
    await _note(session, viewer, "patient.merge", "patient", str(into_id))
    people = await repository.lock(session, [one_id, into_id])
    one, into = people.get(one_id), people.get(into_id)
    if one is None or into is None:
        raise NotFound("There is no such person in your organisation.")
    if one_id == into_id or one.merged_into is not None or into.merged_into is not None:
        raise CannotMerge("Choose two people who are each registered on their own.")
    moved = await repository.links_of(session, one_id)
    one.merged_into = into_id
    one.version += 1
    await repository.add(session, one)
    await repository.move_links(session, moved, into_id)
    before = {"links": [str(link_id) for link_id in moved]}
    await repository.add(session, _change(Author.of(viewer), one, "merged", other_id=into_id, before=before))
    return into


async def unmerge(session: AsyncSession, viewer: Viewer, one_id: UUID) -> Patient:
    """They are two after all: what was moved by the merging goes back. Raises `NotFound`, `CannotMerge`."""
    require(viewer, May.WRITE_PATIENTS)
    await _note(session, viewer, "patient.unmerge", "patient", str(one_id))
    one = (await repository.lock(session, [one_id])).get(one_id)
    if one is None:
        raise NotFound("There is no such person in your organisation.")
    merging = await repository.last_merge(session, one_id)
    if one.merged_into is None or merging is None:
        raise CannotMerge("This person is not merged into another.")
    into_id = one.merged_into
    one.merged_into = None
    one.version += 1
    await _write(session, one)
    await repository.move_links(session, [UUID(link_id) for link_id in merging.before["links"]], one_id)
    await repository.add(session, _change(Author.of(viewer), one, "unmerged", other_id=into_id))
    return one


async def pair(session: AsyncSession, viewer: Viewer, one_id: UUID, other_id: UUID) -> tuple[Patient, Patient]:
    """Two entries to be compared, each read on its own in the audit log. Raises `NotFound`, `CannotMerge`."""
    one, other = await read(session, viewer, one_id), await read(session, viewer, other_id)
    if one.id == other.id:
        raise CannotMerge("They are one entry already.")
    return one, other


async def merged(session: AsyncSession, viewer: Viewer, one_id: UUID) -> tuple[Patient, Patient, list[str]]:
    """A merged entry, whom it was merged into, and the specimens that go back. Raises `NotFound`, `CannotMerge`."""
    into = await read(session, viewer, one_id)
    one = await repository.find(session, one_id)
    merging = await repository.last_merge(session, one_id)
    if one is None or one.merged_into is None or merging is None:
        raise CannotMerge("This person is not merged into another.")
    return one, into, await repository.specimens_by(session, [UUID(one) for one in merging.before["links"]])


async def read(session: AsyncSession, viewer: Viewer, patient_id: UUID) -> Patient:
    """Somebody, once the audit log says who looks. Of somebody merged, the person they are now. Raises `NotFound`."""
    require(viewer, May.READ_PATIENTS)
    await _note(session, viewer, "patient.read", "patient", str(patient_id))
    patient = await repository.whole(session, patient_id)
    if patient is None:
        raise NotFound("There is no such person in your organisation.")
    return patient


async def owner_of(session: AsyncSession, viewer: Viewer, specimen: str) -> UUID:
    """Whose a specimen is, once the audit log says who asks. Raises `NotFound`, `PersonRefused`."""
    require(viewer, May.READ_PATIENTS)
    await _note(session, viewer, "specimen.read", "specimen", "one")
    found = await repository.person_of(session, usable_specimen(specimen))
    if found is None:
        raise NotFound("This specimen is nobody's.")
    return found.id


async def unmatched(
    session: AsyncSession,
    viewer: Viewer,
    before: tuple[datetime, UUID] | None,
    most: int = repository.PAGE_ROWS,
) -> tuple[list[Unmatched], bool]:
    """At most so many results of nobody yet, newest first, and whether there is more."""
    require(viewer, May.READ_PATIENTS)
    await _note(session, viewer, "unmatched.read", "worklist", "unmatched")
    return await repository.unmatched(session, viewer.organisation_id, before, most)


def entry_of(patient: Patient) -> Entry:
    """What is known of a person, as it would be given."""
    fields = {name: getattr(patient, name) for name in _LONGEST}
    return Entry(birth_date=patient.birth_date, nhs_number=patient.nhs_number or "", **fields)


def details_of(entry: Entry) -> Details:
    """What is compared of an entry."""
    return Details(entry.given, entry.family, entry.birth_date, entry.nhs_number, entry.phone, entry.postcode)


def plain_family(family: str) -> str:
    """As `Patient.family_plain` holds it."""
    return matching.plain(family)[:100]


def plain_phone(phone: str) -> str:
    """As `Patient.phone_plain` holds it."""
    return matching.digits(phone)


def _apply(patient: Patient, entry: Entry) -> None:
    patient.given, patient.family, patient.birth_date = entry.given, entry.family, entry.birth_date
    patient.family_plain, patient.phone_plain = plain_family(entry.family), plain_phone(entry.phone)
    patient.nhs_number = entry.nhs_number or None
    patient.nhs_status = "given" if entry.nhs_number else "not-given"
    patient.phone, patient.email, patient.postcode = entry.phone, entry.email, entry.postcode
    patient.address, patient.language, patient.safe_contact = entry.address, entry.language, entry.safe_contact


def _entry(patient: Patient) -> dict[str, str | None]:
    return {
        **{name: getattr(patient, name) for name in _LONGEST},
        "birth_date": patient.birth_date.isoformat() if patient.birth_date else None,
        "nhs_number": patient.nhs_number,
    }


async def _write(session: AsyncSession, patient: Patient) -> None:
    try:
        async with session.begin_nested():
            await repository.add(session, patient)
    except IntegrityError as error:
        if "ix_patient_nhs_number" not in str(error.orig):
            raise
        raise NHSNumberTaken("Look at the people it may be: register nobody twice.") from None


def _change(
    author: Author,
    patient: Patient,
    what: str,
    *,
    other_id: UUID | None = None,
    before: dict[str, object] | dict[str, str | None] | dict[str, list[str]] | None = None,
) -> PatientChange:
    return PatientChange(
        organisation_id=author.organisation_id,
        patient_id=patient.id,
        account_id=author.account_id,
        hub_id=author.hub_id,
        what=what,
        other_id=other_id,
        before=dict(before or {}),
    )


async def _note(session: AsyncSession, viewer: Viewer, action: str, kind: str, subject: str) -> None:
    await _note_by(session, Author.of(viewer), action, kind, subject)


async def _note_by(session: AsyncSession, author: Author, action: str, kind: str, subject: str) -> None:
    await audit.record(
        session,
        organisation_id=author.organisation_id,
        actor=author.actor,
        action=action,
        purpose=author.purpose,
        subject_kind=kind,
        subject=subject,
    )
