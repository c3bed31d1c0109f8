"""The ledger says where every record is, and the proof finds any change to what is held."""

import hashlib

from sqlalchemy import create_engine, text

from reader import outcome
from server.audit.service import Actor
from server.custody import ledger
from server.database import tenancy
from server.database.engine import driver_url
from server.results import export
from tests.server import factory
from tests.server.conftest import Database, Ward

AUDITOR = Actor("command", "test")


async def line_of(ward: Ward, reader: factory.Reader) -> ledger.Line:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        lines = await ledger.ledger(session, reader.reader_id)
    assert len(lines) == 1
    return lines[0]


async def proof_of(ward: Ward, reader: factory.Reader) -> ledger.Proof:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return await ledger.prove(session, reader.reader_id)


def change(database: Database, statement: str, **parameters: object) -> None:
    """As somebody could who owns the database and means harm: with its triggers off."""
    engine = create_engine(driver_url(database.owner))
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        assert connection.execute(text(statement), parameters).rowcount == 1
    engine.dispose()


async def test_a_whole_chain_is_proved_to_its_last_hash(ward: Ward) -> None:
    reader = await ward.reader()
    sealed = reader.results(5)
    await ward.exchange(sealed)
    line = await line_of(ward, reader)
    assert (line.issued, line.held, line.gaps, line.conflicts, line.quarantined) == (5, 5, 0, 0, 0)
    proof = await proof_of(ward, reader)
    assert (proof.whole, proof.held, proof.broken_at) == (True, 5, None)
    assert proof.chain == hashlib.sha256(sealed[4]).hexdigest()[:32]


async def test_a_reader_that_sent_nothing_is_whole_at_nothing(ward: Ward) -> None:
    reader = await ward.reader()
    line = await line_of(ward, reader)
    assert (line.name, line.issued, line.claimed, line.held, line.released, line.gaps) == ("Reader", 0, 0, 0, 0, 0)
    assert (line.undelivered, line.waiting_since, line.last_heard, line.last_contact) == (None, None, None, None)
    assert (await proof_of(ward, reader)).whole


async def test_a_withheld_record_is_a_gap_and_what_is_held_before_it_is_whole(ward: Ward) -> None:
    reader = await ward.reader()
    sealed = reader.results(6)
    await ward.exchange([*sealed[:2], *sealed[3:5]])
    line = await line_of(ward, reader)
    assert (line.issued, line.held, line.gaps) == (5, 2, 1)
    assert line.undelivered == 3
    assert line.waiting_since is not None
    assert (await proof_of(ward, reader)).held == 2


async def test_a_conflict_and_an_altered_record_are_counted(ward: Ward) -> None:
    reader = await ward.reader()
    sealed = reader.results(2)
    await ward.exchange(sealed)
    altered = bytearray(reader.results(1)[0])
    altered[-1] ^= 1
    await ward.exchange([bytes(altered)])
    assert (await line_of(ward, reader)).quarantined == 1


async def test_any_change_to_what_is_kept_breaks_the_proof_at_its_number(ward: Ward, database: Database) -> None:
    reader = await ward.reader()
    await ward.exchange(reader.results(4))
    change(
        database,
        "UPDATE sealed_record SET sealed = set_byte(sealed, 100, get_byte(sealed, 100) # 1)"
        " WHERE reader_id = :id AND number = 2",
        id=reader.reader_id,
    )
    proof = await proof_of(ward, reader)
    assert (proof.whole, proof.held, proof.broken_at) == (False, 2, 3)
    assert proof.broken_why == "number 3 does not follow number 2"


async def test_a_record_in_another_ones_place_breaks_the_proof(ward: Ward, database: Database) -> None:
    reader = await ward.reader()
    await ward.exchange(reader.results(3))
    change(
        database,
        "UPDATE sealed_record SET sealed = (SELECT sealed FROM sealed_record WHERE reader_id = :id AND number = 1)"
        " WHERE reader_id = :id AND number = 2",
        id=reader.reader_id,
    )
    assert (await proof_of(ward, reader)).broken_why == "what is kept as number 2 is another record"


async def test_another_organisation_sees_nothing_of_it(ward: Ward, other_ward: Ward) -> None:
    reader = await ward.reader()
    await ward.exchange(reader.results(1))
    async with tenancy.transaction(other_ward.sessions, other_ward.id) as session:
        assert await ledger.ledger(session, reader.reader_id) == []
        assert await export.export(session, AUDITOR, other_ward.id) == []


async def test_results_are_listed_in_words_and_the_reading_is_audited(ward: Ward) -> None:
    reader = await ward.reader()
    await ward.exchange(reader.results(2))
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        found = await export.export(session, AUDITOR, ward.id)
    assert [one.number for one in found] == [1, 2]
    assert {one.outcome for one in found} <= {outcome.outcome_name(one) for one in outcome.OUTCOMES}
    entries = await ward.rows("SELECT action, actor FROM audit_entry WHERE action = 'result.export'")
    assert [(entry.action, entry.actor) for entry in entries] == [("result.export", "test")]
