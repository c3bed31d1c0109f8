"""People are registered once, specimens linked on two things at least, and nothing that is put right loses its past."""

from datetime import UTC, date, datetime, timedelta

import pytest

from reader import outcome
from server.accounts.permissions import NotAllowed
from server.accounts.service import Viewer
from server.database import tenancy
from server.patients import repository, service
from server.patients.matching import Likeness
from server.patients.models import Patient
from server.patients.service import Entry
from server.problems import NotFound, Problem
from tests.server.conftest import Ward
from tests.server.followup.test_follow_up import arrive, person

ENTRY = Entry("Zoë", "O'Neill", date(1980, 3, 7), "999 000 0018", "07700 900123", postcode="LS1 4AP")
TWO = ("name", "birth-date")


async def register(ward: Ward, viewer: Viewer, entry: Entry = ENTRY) -> Patient:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return await service.register(session, viewer, entry)


async def link(ward: Ward, viewer: Viewer, specimen: str, patient: Patient, compared: tuple[str, ...] = TWO) -> None:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await service.link(session, viewer, specimen, patient.id, compared)


async def unmatched(ward: Ward, viewer: Viewer) -> list[str]:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        found, _ = await service.unmatched(session, viewer, None)
    return [one.specimen for one in found]


async def results(ward: Ward, patient: Patient) -> list[str]:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return [result.specimen for result, _ in await repository.results_of(session, patient.id)]


async def test_a_result_is_linked_before_or_after_it_arrives(ward: Ward) -> None:
    viewer = await person(ward)
    patient = await register(ward, viewer)
    await link(ward, viewer, "BEFORE-1", patient)
    await arrive(ward, outcome.POSITIVE, specimen="BEFORE-1")
    await arrive(ward, outcome.NEGATIVE, specimen="AFTER-1")
    await arrive(ward, outcome.NEGATIVE, specimen="NOBODY-1")
    assert await unmatched(ward, viewer) == ["NOBODY-1", "AFTER-1"]
    await link(ward, viewer, "AFTER-1", patient)
    assert await unmatched(ward, viewer) == ["NOBODY-1"]
    assert await results(ward, patient) == ["AFTER-1", "BEFORE-1"]


@pytest.mark.parametrize("compared", [(), ("name",), ("nhs-number",), ("name", "name"), ("name", "made-up")])
async def test_a_specimen_is_never_somebodys_on_one_thing_alone(ward: Ward, compared: tuple[str, ...]) -> None:
    viewer = await person(ward)
    patient = await register(ward, viewer)
    with pytest.raises(service.OneIsNotEnough):
        await link(ward, viewer, "S-1", patient, compared)


async def test_a_specimen_has_one_person_until_somebody_says_why_not(ward: Ward) -> None:
    viewer = await person(ward)
    patient = await register(ward, viewer)
    other = await register(ward, viewer, Entry("Ann", "Jones", date(1951, 1, 1)))
    await link(ward, viewer, "S-1", patient)
    await link(ward, viewer, "S-1", patient)
    with pytest.raises(service.SpecimenTaken):
        await link(ward, viewer, "S-1", other)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        with pytest.raises(service.PersonRefused):
            await service.unlink(session, viewer, "S-1", "  ")
        await service.unlink(session, viewer, "S-1", "Labels were swapped")
    await link(ward, viewer, "S-1", other)
    rows = await ward.rows("SELECT patient_id, why_ended FROM specimen_link ORDER BY linked_at")
    assert [(row.patient_id, row.why_ended) for row in rows] == [(patient.id, "Labels were swapped"), (other.id, "")]


async def test_nobody_is_registered_twice_with_one_nhs_number_and_the_first_is_offered(ward: Ward) -> None:
    viewer = await person(ward)
    patient = await register(ward, viewer)
    again = Entry("Zoe", "ONeill", date(1980, 3, 7), "9990000018")
    with pytest.raises(service.NHSNumberTaken):
        await register(ward, viewer, again)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        [(candidate, found)] = await service.candidates(session, viewer, again)
    assert (found.id, candidate.likeness) == (patient.id, Likeness.SAME)


async def test_merging_moves_the_specimens_and_unmerging_moves_the_same_back(ward: Ward) -> None:
    viewer = await person(ward)
    one = await register(ward, viewer)
    into = await register(ward, viewer, Entry("Zoe", "Oneill", date(1980, 3, 7)))
    for specimen, whose in (("A-1", one), ("B-1", into)):
        await link(ward, viewer, specimen, whose)
        await arrive(ward, outcome.NEGATIVE, specimen=specimen)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await service.merge(session, viewer, one.id, into.id)
    assert sorted(await results(ward, into)) == ["A-1", "B-1"]
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        assert (await service.read(session, viewer, one.id)).id == into.id
        with pytest.raises(service.CannotMerge):
            await service.merge(session, viewer, into.id, one.id)
    await link(ward, viewer, "C-1", into)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await service.unmerge(session, viewer, one.id)
    assert await results(ward, one) == ["A-1"]
    assert await results(ward, into) == ["B-1"]
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        history = [change.what for change, _ in await repository.changes(session, one.id)]
    assert history == ["registered", "merged", "unmerged"]


async def test_a_change_keeps_what_it_replaced_and_does_not_overwrite_another(ward: Ward) -> None:
    viewer = await person(ward)
    patient = await register(ward, viewer)
    changed = Entry("Zoë", "Adams", date(1980, 3, 7), "9990000018", safe_contact="Letters only, no voicemail")
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await service.change(session, viewer, patient.id, 0, changed)
    with pytest.raises(service.ChangedMeanwhile):
        async with tenancy.transaction(ward.sessions, ward.id) as session:
            await service.change(session, viewer, patient.id, 0, ENTRY)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        [_, (change, name)] = await repository.changes(session, patient.id)
        now = await service.read(session, viewer, patient.id)
    assert (change.before["family"], name, now.family) == ("O'Neill", "A Person", "Adams")


@pytest.mark.parametrize(
    "entry",
    [
        Entry("", ""),
        Entry("A", "B", datetime.now(UTC).date() + timedelta(days=2)),  # the tests may run past midnight
        Entry("A", "B", date(1800, 1, 1)),
        Entry("A" * 101, "B"),
        Entry("A\x00", "B"),
        Entry("A", "B", nhs_number="999 000 0019"),
    ],
)
async def test_what_cannot_be_is_refused_with_a_sentence_and_nothing_is_kept(ward: Ward, entry: Entry) -> None:
    viewer = await person(ward)
    with pytest.raises(Problem) as refused:
        await register(ward, viewer, entry)
    assert refused.value.detail
    assert await ward.rows("SELECT id FROM patient") == []


@pytest.mark.parametrize("role", ["operator", "administrator", "auditor"])
async def test_only_those_who_care_for_people_see_them(ward: Ward, role: str) -> None:
    carer, other = await person(ward), await person(ward, role)
    patient = await register(ward, carer)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        for attempt in (
            service.read(session, other, patient.id),
            service.register(session, other, ENTRY),
            service.unmatched(session, other, None),
            service.link(session, other, "S-1", patient.id, TWO),
            service.candidates(session, other, ENTRY),
        ):
            with pytest.raises(NotAllowed):
                await attempt


async def test_another_organisations_people_are_not_there(ward: Ward, other_ward: Ward) -> None:
    viewer, stranger = await person(ward), await person(other_ward)
    patient = await register(ward, viewer)
    async with tenancy.transaction(ward.sessions, other_ward.id) as session:
        with pytest.raises(NotFound):
            await service.read(session, stranger, patient.id)
        assert await service.candidates(session, stranger, ENTRY) == []
        with pytest.raises(NotFound):
            await service.link(session, stranger, "S-1", patient.id, TWO)


async def test_every_look_at_a_person_is_in_the_audit_log(ward: Ward) -> None:
    viewer = await person(ward)
    patient = await register(ward, viewer)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await service.read(session, viewer, patient.id)
    rows = await ward.rows(
        "SELECT action FROM audit_entry WHERE subject = :id AND actor = :actor ORDER BY id",
        id=str(patient.id),
        actor=str(viewer.account_id),
    )
    assert [row.action for row in rows] == ["patient.register", "patient.read"]
