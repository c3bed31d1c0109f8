"""Whose a registration is: beyond doubt it is done by itself, else a person decides, and nothing is overwritten."""

import asyncio
import os
from uuid import UUID

import pytest

from server.accounts.permissions import NotAllowed
from server.database import tenancy
from server.patients import service as patients
from server.patients.models import Patient
from server.patients.service import PersonRefused
from server.problems import NotFound
from server.registrations import repository, service, settling
from server.registrations.models import Registration, Standing
from server.retention import service as retention
from tests.server.conftest import Database, Ward
from tests.server.followup.test_follow_up import person
from tests.server.registrations.sealing import offer, registered
from tests.server.retention.test_erasure import Somebody, begin, dump, found_in

TWO = ("name", "birth-date")


async def settle(ward: Ward) -> None:
    while await settling.settle_portion(ward.sessions, ward.id):
        pass


async def arrive(ward: Ward, **said: object) -> Registration:
    """The registration as it stands once the server has looked at it."""
    before = {row.id for row in await ward.rows("SELECT id FROM registration")}
    await offer(ward, await registered(ward, **said))
    await settle(ward)
    [new] = [row.id for row in await ward.rows("SELECT id FROM registration") if row.id not in before]
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        row = await repository.find(session, new)
        assert row is not None
        session.expunge(row)
        return row


async def people(ward: Ward) -> list[Patient]:
    rows = await ward.rows("SELECT * FROM patient ORDER BY created_at")
    return [Patient(**row._mapping) for row in rows]


async def owner(ward: Ward, specimen: str) -> UUID | None:
    rows = await ward.rows(
        "SELECT patient_id FROM specimen_link WHERE specimen = :specimen AND ended_at IS NULL", specimen=specimen
    )
    return rows[0].patient_id if rows else None


async def deliver(ward: Ward, specimen: str) -> None:
    from tests.server import factory

    reader = await ward.reader(f"Reader {os.urandom(3).hex()}")
    await ward.exchange([reader.seal(factory.result(specimen=specimen, moment=reader.moment()))])


async def unmatched(ward: Ward) -> list[str]:
    viewer = await person(ward)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return [one.specimen for one in (await patients.unmatched(session, viewer, None))[0]]


@pytest.mark.parametrize("result_first", [True, False])
async def test_somebody_new_is_registered_with_the_specimen_before_or_after_its_result(
    ward: Ward, result_first: bool
) -> None:
    if result_first:
        await deliver(ward, "S-1")
        assert await unmatched(ward) == ["S-1"]
    row = await arrive(ward, local=["CLINIC-17"], safe_contact="Text only")
    if not result_first:
        await deliver(ward, "S-1")
    assert await unmatched(ward) == []
    [made] = await people(ward)
    assert (made.given, made.family, made.nhs_number, made.nhs_status) == ("Zoë", "O'Neill", "9990000018", "given")
    assert made.safe_contact == "Text only"
    assert (row.state, row.patient_id, row.content) == (Standing.SETTLED, made.id, b"")
    assert (row.consent_by, row.local_identifiers) == ("A Nurse", ["CLINIC-17"])
    [change] = await ward.rows("SELECT account_id, hub_id, what FROM patient_change")
    assert (change.account_id, bytes(change.hub_id).hex(), change.what) == (None, ward.hub_id, "registered")
    said = await ward.rows(
        "SELECT action FROM audit_entry WHERE subject_kind IN ('registration', 'patient') ORDER BY id"
    )
    assert [one.action for one in said][:3] == ["registration.settle", "patient.register", "specimen.link"]


async def test_the_same_person_again_gets_the_specimen_and_stays_one(ward: Ward) -> None:
    await arrive(ward, specimen="S-1")
    row = await arrive(ward, specimen="S-2")
    [made] = await people(ward)
    assert (row.state, await owner(ward, "S-1"), await owner(ward, "S-2")) == (Standing.SETTLED, made.id, made.id)
    again = await arrive(ward, specimen="S-2")
    assert (again.state, again.patient_id) == (Standing.SETTLED, made.id), "two laptops say the same"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"given": "Zoe Ann"}, "may-be-known"),
        ({"birth": "1980-07-03"}, "may-be-known"),
        ({"nhs_number": None}, "may-be-known"),
        ({"phone": "07700 900999"}, "may-be-known"),
        ({"safe_contact": "Never call"}, "may-be-known"),
        ({"address": "2 Other Road"}, "may-be-known"),
        # The number alone is the person's; nothing else is.
        (
            {"given": "Ann", "family": "Smith", "birth": "1950-01-01", "phone": "", "postcode": "AA1 1AA"},
            "nhs-number-taken",
        ),
        ({"given": "", "family": "Unlike", "birth": None, "nhs_number": None, "phone": "", "postcode": ""},
         "one-is-not-enough"),
        ({"given": "", "family": ""}, "person-refused"),
        ({"nhs_number": "9990000019"}, "nhs-number-refused"),
        ({"birth": "2999-01-01"}, "person-refused"),
        ({"specimen": " "}, "person-refused"),
    ],
)  # fmt: skip
async def test_what_is_not_beyond_doubt_waits_for_a_person_and_changes_nothing(
    ward: Ward, said: dict[str, object], code: str
) -> None:
    await arrive(ward)
    before = [one.model_dump() for one in await people(ward)]
    row = await arrive(ward, **{"specimen": "S-2", **said})
    assert (row.state, row.code) == (Standing.UNDECIDED, code)
    assert row.content
    assert [one.model_dump() for one in await people(ward)] == before
    assert await owner(ward, "S-2") is None
    assert not any(str(text) in row.sentence for text in said.values() if text and text != " ")


async def test_a_specimen_that_is_anothers_is_left_to_a_person(ward: Ward) -> None:
    await arrive(ward, specimen="S-1")
    [first] = await people(ward)
    other = {"given": "Ann", "family": "Smith", "birth": "1950-01-01", "nhs_number": None, "phone": "", "postcode": "A"}
    row = await arrive(ward, specimen="S-1", **other)
    assert (row.state, row.code, await owner(ward, "S-1")) == (Standing.UNDECIDED, "specimen-taken", first.id)
    assert len(await people(ward)) == 1


async def test_many_of_one_person_at_once_never_make_two(ward: Ward) -> None:
    sealed = [await registered(ward, specimen=f"S-{at}", nhs_number=None) for at in range(6)]
    await asyncio.gather(*(offer(ward, one) for one in sealed))
    await asyncio.gather(*(settle(ward) for _ in range(4)))
    assert len(await people(ward)) == 1
    states = [row.state for row in await ward.rows("SELECT state FROM registration")]
    assert sorted(states) == ["settled", *["undecided"] * 5]


async def test_the_running_server_settles_by_itself(ward: Ward) -> None:
    await offer(ward, await registered(ward))
    async with asyncio.timeout(30):
        while await owner(ward, "S-1") is None:  # noqa: ASYNC110  another task of the server writes it, and tells nobody
            await asyncio.sleep(0.05)


async def test_a_person_decides_and_what_was_agreed_to_stays_with_whom_it_is(ward: Ward) -> None:
    await arrive(ward)
    row = await arrive(ward, specimen="S-2", phone="07700 900999")
    viewer, auditor = await person(ward), await person(ward, "auditor")
    [known] = await people(ward)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        assert [one.id for one in await service.open_ones(session, viewer)] == [row.id]
        _, content = await service.read(session, viewer, row.id)
        assert content.entry.phone == "07700 900999"
        with pytest.raises(NotAllowed):
            await service.read(session, auditor, row.id)
        with pytest.raises(PersonRefused):
            await service.close(session, viewer, row.id, " ")
        await patients.link(session, viewer, "S-2", known.id, TWO)
        await service.close(session, viewer, row.id, "Asked her: a new number")
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        assert await service.open_ones(session, viewer) == []
        with pytest.raises(NotFound):
            await service.read(session, viewer, row.id)
        kept = await repository.of_person(session, [known.id])
        assert [(one.specimen, one.consent_by) for one in kept] == [("S-1", "A Nurse"), ("S-2", "A Nurse")]
        assert kept[1].settled_by == viewer.account_id
        assert not kept[1].content


async def test_one_that_is_put_aside_keeps_nothing_of_the_person(ward: Ward, database: Database) -> None:
    await arrive(ward)
    token = os.urandom(6).hex()
    row = await arrive(ward, specimen="S-2", safe_contact=f"Whistle {token}", local=[f"LOCAL {token}"])
    viewer = await person(ward)
    written = dump(database)
    assert f"whistle {token}".encode().hex() in written.lower() or f"Whistle {token}".encode().hex() in written
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await service.close(session, viewer, row.id, "A test of the form")
    written = dump(database)
    assert token not in written
    assert token.encode().hex() not in written


async def test_no_other_organisation_reads_or_closes_it(ward: Ward, other_ward: Ward) -> None:
    await arrive(ward)
    row = await arrive(ward, specimen="S-2", phone="1")
    stranger = await person(other_ward)
    async with tenancy.transaction(other_ward.sessions, other_ward.id) as session:
        assert await service.open_ones(session, stranger) == []
        with pytest.raises(NotFound):
            await service.read(session, stranger, row.id)
        with pytest.raises(NotFound):
            await service.close(session, stranger, row.id, "x")


async def test_an_erased_persons_registrations_go_with_them(ward: Ward, database: Database) -> None:
    who = Somebody()
    said = {
        "specimen": f"SPECIMEN-{who.token}", "given": who.entry.given, "family": who.entry.family,
        "birth": who.born.isoformat(), "nhs_number": who.number, "phone": who.phone, "local": [f"OTHER-{who.token}"],
    }  # fmt: skip
    settled_one = await arrive(ward, **said)
    undecided = await arrive(ward, **said, safe_contact=f"Whistle {who.token} twice")
    assert (settled_one.state, undecided.state) == (Standing.SETTLED, Standing.UNDECIDED)
    assert settled_one.patient_id is not None
    assert found_in(dump(database), who) != []
    erasure = await begin(ward, settled_one.patient_id)
    assert await retention.go_on(ward.sessions, ward.id, erasure.id)
    assert found_in(dump(database), who) == []
    assert await ward.rows("SELECT id FROM registration") == []


async def test_the_history_of_an_entry_says_that_it_came_from_the_field(ward: Ward) -> None:
    await arrive(ward)
    [made] = await people(ward)
    from server.patients import repository as entries

    async with tenancy.transaction(ward.sessions, ward.id) as session:
        [(change, by)] = await entries.changes(session, made.id)
    assert (change.what, by) == ("registered", "In the field, by hub Laptop")
