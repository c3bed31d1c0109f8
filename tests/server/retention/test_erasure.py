"""What is erased is nowhere any more, what must stay still proves itself, and nobody who is waited for is erased."""

import json
import os
import random
import subprocess
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from reader import outcome, wire
from server import jobs
from server.accounts.service import Viewer
from server.audit import sealing
from server.custody import ledger
from server.database import tenancy
from server.database.engine import driver_url
from server.followup.states import Act, Ending, Step
from server.patients import service as patients
from server.patients.models import Patient
from server.patients.service import Entry
from server.readers.keys import Keyring
from server.results import service as results
from server.retention import service
from server.retention.models import Because, Erasure, Kind
from tests.server import factory
from tests.server.conftest import ACTOR, Database, Ward
from tests.server.followup.test_follow_up import do, person

TWO = ("name", "birth-date")


def nhs_number() -> str:
    """One that nobody has: 999 and six digits, with their check digit (modulus 11)."""
    while True:
        digits = [9, 9, 9, *(random.randrange(10) for _ in range(6))]
        check = 11 - sum(digit * weight for digit, weight in zip(digits, range(10, 1, -1), strict=True)) % 11
        if check != 10:
            return "".join(str(digit) for digit in [*digits, check % 11])


@dataclass
class Somebody:
    """Details that stand nowhere else in the database, whatever other tests have left there."""

    token: str = field(default_factory=lambda: os.urandom(6).hex())
    number: str = field(default_factory=nhs_number)
    phone: str = field(default_factory=lambda: f"07700{random.randrange(10**6):06}")
    born: date = field(default_factory=lambda: date(1900, 1, 1) + timedelta(days=random.randrange(18_000)))
    value: int = field(default_factory=lambda: random.randrange(10**9, 2 * 10**9))

    @property
    def entry(self) -> Entry:
        return Entry(
            f"Given{self.token}", f"Family{self.token}", self.born, self.number, self.phone,
            f"mail{self.token}@post.example", f"Flat {self.token} Court", "ZZ9 7QX", f"Tongue{self.token}",
            f"Whistle {self.token} twice",
        )  # fmt: skip

    @property
    def words(self) -> tuple[str, ...]:
        """Each in its own place."""
        made = ("Given", "Family", "mail", "Tongue", "SPECIMEN-", "OTHER-", "Smith")
        said = (f"Flat {self.token}", f"Whistle {self.token}", f"told {self.token}", f"smudged {self.token}")
        ended = (f"ended {self.token}",)
        plain = (self.number, self.phone[-9:], self.born.isoformat(), str(self.value))
        return (*(f"{one}{self.token}" for one in made), *said, *ended, *plain)


async def deliver(
    ward: Ward, reader: factory.Reader, specimen: str, code: int = outcome.NEGATIVE, value: int = 1_250
) -> UUID:
    found = [["SARS-CoV-2", code, outcome.NONE, value, "ppm", 310]]
    body = factory.result(specimen=specimen, outcome_code=code, moment=reader.moment(), analytes=found)
    await ward.exchange([reader.seal(body)])
    [row] = await ward.rows("SELECT id FROM result WHERE specimen = :specimen", specimen=specimen)
    return row.id


@dataclass
class Planted:
    who: Somebody
    viewer: Viewer
    patient: Patient
    positive: UUID
    negative: UUID


async def planted(ward: Ward, reader: factory.Reader) -> Planted:
    """Somebody with two entries made one, two results, an open follow-up with notes, and a history of mistakes."""
    who, viewer = Somebody(), await person(ward, "lead")
    one, other = f"SPECIMEN-{who.token}", f"OTHER-{who.token}"
    positive = await deliver(ward, reader, one, outcome.POSITIVE, who.value)
    negative = await deliver(ward, reader, other)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        patient = await patients.register(session, viewer, who.entry)
        double = await patients.register(session, viewer, Entry("A", f"Family{who.token}", who.born))
        await patients.link(session, viewer, one, patient.id, TWO)
        await patients.link(session, viewer, other, double.id, TWO)
        await patients.unlink(session, viewer, other, f"The label was smudged {who.token}")
        await patients.link(session, viewer, other, double.id, TWO)
        await patients.change(session, viewer, patient.id, 0, Entry("B", f"Smith{who.token}"))
        await patients.merge(session, viewer, double.id, patient.id)
    await do(ward, viewer, positive, Step(Act.ACKNOWLEDGE))
    await do(ward, viewer, positive, Step(Act.CONTACT, f"She told {who.token}"))
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await results.read_patient_data(session, ward.keyring, ACTOR, ward.id, "care", positive)
    return Planted(who, viewer, patient, positive, negative)


async def end(ward: Ward, there: Planted) -> None:
    step = Step(Act.RECORD, f"It ended {there.who.token}", Ending.TREATED)
    await do(ward, there.viewer, there.positive, step)


async def begin(ward: Ward, patient_id: UUID, because: Because = Because.ASKED) -> Erasure:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return await service.begin_person(session, ACTOR, ward.id, patient_id, because)


async def prove(ward: Ward, reader: factory.Reader) -> ledger.Proof:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return await ledger.prove(session, reader.reader_id)


def dump(database: Database) -> str:
    """The whole database as pg_dump writes it; the texts inside binary columns are there too, in hexadecimal."""
    owner = create_engine(driver_url(database.owner))
    with owner.connect() as connection:
        # That of the server's own version.
        server_at = connection.execute(text("SELECT setting FROM pg_config WHERE name = 'BINDIR'")).scalar_one()
    owner.dispose()
    program = Path(server_at) / "pg_dump"
    done = subprocess.run([program, "--data-only", database.owner], capture_output=True, check=True, timeout=120)
    return done.stdout.decode()


def found_in(written: str, who: Somebody) -> list[str]:
    low = written.lower()
    return [word for word in who.words if word.lower() in low or word.encode().hex() in low]


async def test_an_erased_person_is_nowhere_in_the_database_and_custody_and_audit_still_prove_themselves(
    ward: Ward, database: Database
) -> None:
    reader = await ward.reader()
    await ward.exchange(reader.results(2))
    there = await planted(ward, reader)
    await ward.exchange(reader.results(2))
    await end(ward, there)
    assert found_in(dump(database), there.who) == list(there.who.words)
    sealed = [bytes(row.sealed) for row in await ward.rows("SELECT sealed FROM sealed_record ORDER BY number")]

    erasure = await begin(ward, there.patient.id)
    await jobs.erase_for_everybody(ward.sessions)

    written = dump(database)
    assert found_in(written, there.who) == []
    # Whoever has the key of the reader has nothing left to open with it.
    assert [one.hex() in written for one in sealed] == [True, True, False, False, True, True]
    for one in (there.patient.id, there.positive, there.negative):
        statement = "SELECT 1 FROM patient WHERE id = :id UNION SELECT 1 FROM result WHERE id = :id"
        assert await ward.rows(statement, id=one) == []
    proof = await prove(ward, reader)
    assert (proof.whole, proof.held, proof.erased) == (True, 6, 2)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await sealing.seal(session, ward.id)
        assert (await sealing.verify(session)).whole
        made = await service.certificate(session, ACTOR, erasure.id)
    assert (made["whole"], made["results"], made["people_erased"], made["held_back"]) == (True, 2, 2, 0)
    assert [one["number"] for one in made["records"]] == [3, 4]
    assert found_in(json.dumps(made), there.who) == []


async def test_a_hub_that_brings_an_erased_record_again_is_told_that_it_is_held_and_nothing_comes_back(
    ward: Ward, database: Database
) -> None:
    reader = await ward.reader()
    there = await planted(ward, reader)
    await end(ward, there)
    erasure = await begin(ward, there.patient.id)
    assert await service.go_on(ward.sessions, ward.id, erasure.id)
    answered = await ward.exchange(reader.sealed)
    assert answered.answers == [(wire.DUPLICATE, None)] * 2
    await ward.exchange(reader.results(1))
    assert found_in(dump(database), there.who) == []
    assert (await prove(ward, reader)).whole


async def test_a_person_with_an_open_follow_up_is_not_erased_and_it_says_why(ward: Ward, keyring: Keyring) -> None:
    reader = await ward.reader()
    there = await planted(ward, reader)
    with pytest.raises(service.NotErased, match="One follow-up is open"):
        await begin(ward, there.patient.id)
    # It was closed when the erasure began, and is opened again before its turn comes.
    await end(ward, there)
    erasure = await begin(ward, there.patient.id)
    await do(ward, there.viewer, there.positive, Step(Act.REOPEN, "The lot was recalled"))
    assert await service.go_on(ward.sessions, ward.id, erasure.id)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        made = await service.certificate(session, ACTOR, erasure.id)
        opened = await results.read_patient_data(session, keyring, ACTOR, ward.id, "care", there.positive)
    assert (made["people_erased"], made["results"], made["held_back"]) == (0, 0, 1)
    assert opened.trace is not None


@pytest.mark.parametrize("which", ["none", "another's", "finished"])
async def test_the_servers_role_destroys_nothing_without_an_erasure_under_way(
    ward: Ward, other_ward: Ward, which: str
) -> None:
    reader = await ward.reader()
    await ward.exchange(reader.results(1))
    [row] = await ward.rows("SELECT id FROM result")
    erasure_id = UUID(int=0)
    if which != "none":
        its = other_ward if which == "another's" else ward
        async with tenancy.transaction(its.sessions, its.id) as session:
            await service.set_rules(session, ACTOR, its.id, {Kind.RESULTS: 1})
            erasure_id = (await service.begin_run(session, ACTOR, its.id)).id
        if which == "finished":
            assert await service.go_on(its.sessions, its.id, erasure_id)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        connection = await session.connection()
        for statement in (
            "SELECT * FROM doorstep_erase(:which, ARRAY[CAST(:id AS uuid)], '{}')",
            "SELECT doorstep_clear(:which, now(), 1), CAST(:id AS uuid)",
        ):
            with pytest.raises(DBAPIError, match="no such erasure is under way"):
                async with connection.begin_nested():
                    await connection.execute(text(statement), {"which": erasure_id, "id": row.id})
        for statement in (
            "UPDATE sealed_record SET sealed = ''",
            "INSERT INTO erased_record (number) VALUES (1)",
            "DELETE FROM result",
        ):
            with pytest.raises(DBAPIError, match="permission denied"):
                async with connection.begin_nested():
                    await connection.execute(text(statement))


async def test_what_was_certified_is_never_said_otherwise(ward: Ward, database: Database) -> None:
    reader = await ward.reader()
    there = await planted(ward, reader)
    await end(ward, there)
    erasure = await begin(ward, there.patient.id)
    await service.go_on(ward.sessions, ward.id, erasure.id)
    owner = create_engine(driver_url(database.owner))
    for statement in (
        "UPDATE erasure SET results = 0", "DELETE FROM erasure", "DELETE FROM erased_record",
        "UPDATE erased_record SET number = 77", "DELETE FROM erased_person",
        "UPDATE sealed_record SET sealed = 'x' WHERE sealed = ''",
    ):  # fmt: skip
        with pytest.raises(DBAPIError, match="stays where it is"), owner.begin() as connection:
            connection.execute(text(statement))
    with owner.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE erased_record SET chain_hash = '\\x00' WHERE number = 1"))
    owner.dispose()
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        assert not (await service.certificate(session, ACTOR, erasure.id))["whole"]
    proof = await prove(ward, reader)
    assert (proof.whole, proof.broken_why) == (False, "the hash of number 1 is not the one that was erased")


async def test_bytes_that_went_without_an_erasure_break_the_proof(ward: Ward, database: Database) -> None:
    reader = await ward.reader()
    await ward.exchange(reader.results(3))
    owner = create_engine(driver_url(database.owner))
    with owner.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        statement = text("UPDATE sealed_record SET sealed = '' WHERE reader_id = :id AND number = 2")
        assert connection.execute(statement, {"id": reader.reader_id}).rowcount == 1
    owner.dispose()
    assert (await prove(ward, reader)).broken_why == "the bytes of number 2 are gone, and no erasure says why"


async def test_what_a_restored_backup_brings_back_is_erased_again_by_its_certificate(
    ward: Ward, database: Database
) -> None:
    reader = await ward.reader()
    there = await planted(ward, reader)
    await end(ward, there)
    # The certificate of an erasure that, by this backup, has not happened yet.
    rows = await ward.rows("SELECT id FROM patient")
    sealed = await ward.rows("SELECT number, chain_hash FROM sealed_record ORDER BY number")
    listed = [{"reader": reader.reader_id.hex(), "number": row.number} for row in sealed]
    made: dict[str, object] = {"organisation": str(ward.id), "people": [str(row.id) for row in rows], "records": listed}
    made["digest"] = service.digest_of(made).hex()
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        with pytest.raises(service.CertificateRefused):
            await service.begin_again(session, ACTOR, ward.id, {**made, "people": []})
        erasure = await service.begin_again(session, ACTOR, ward.id, made)
    assert await service.go_on(ward.sessions, ward.id, erasure.id)
    assert found_in(dump(database), there.who) == []
    assert (await prove(ward, reader)).erased == 2


async def test_everything_that_hangs_on_a_result_or_a_person_is_known_to_the_erasure(database: Database) -> None:
    """A table that points at them and is not in this list would stop every erasure: add it to `doorstep_erase`."""
    owner = create_engine(driver_url(database.owner))
    with owner.begin() as connection:
        rows = connection.execute(
            text(
                "SELECT conrelid::regclass::text AS points, confrelid::regclass::text AS at FROM pg_constraint"
                " WHERE contype = 'f' AND confrelid IN ('result'::regclass, 'follow_up'::regclass, 'patient'::regclass)"
            )
        ).all()
        erases = connection.execute(text("SELECT prosrc FROM pg_proc WHERE proname = 'doorstep_erase'")).scalar_one()
    owner.dispose()
    assert {row.points for row in rows} >= {"follow_up", "notice", "specimen_link", "recalled_result"}
    assert [row.points for row in rows if f"DELETE FROM public.{row.points} " not in erases] == []
