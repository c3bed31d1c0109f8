"""What was received and what was sealed stays as it came: the server's own role can neither change nor remove it."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from server.database import tenancy
from server.database.engine import driver_url
from tests.server import factory
from tests.server.conftest import Database, Ward

EVIDENCE = ("sealed_record", "reader_event", "sighting", "ticket_issue", "reader_key", "quarantine_attempt")


async def filled(ward: Ward) -> factory.Reader:
    """A reader with a result, an event, a sighting, and something in quarantine that was tried again."""
    reader = await ward.reader()
    event = reader.seal(factory.event(moment=reader.moment()))
    await ward.exchange([event, *reader.results(1), b"junk"], sightings=[factory.sighting(reader)])
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await (await session.connection()).execute(
            text(
                "INSERT INTO quarantine_attempt (organisation_id, quarantine_id, at, actor_kind, actor, code, sentence)"
                " SELECT organisation_id, id, now(), 'command', 'test', code, sentence FROM quarantine"
            )
        )
    return reader


async def refused(connection: AsyncConnection, statement: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        async with connection.begin_nested():
            await connection.execute(text(statement))


async def test_the_servers_role_can_add_evidence_but_neither_change_nor_remove_it(ward: Ward) -> None:
    await filled(ward)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        connection = await session.connection()
        for table in EVIDENCE:
            assert (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() >= 1, table
            await refused(connection, f"UPDATE {table} SET organisation_id = organisation_id")
            await refused(connection, f"DELETE FROM {table}")
            await refused(connection, f"TRUNCATE {table}")
        for table in ("result", "quarantine", "custody", "custody_alert"):
            await refused(connection, f"DELETE FROM {table}")


@pytest.mark.parametrize("change", ["content = '\\x00'", "digest = '\\x00'", "code = 'conflict'", "sentence = 'none'"])
async def test_of_what_is_in_quarantine_only_where_it_stands_can_change(ward: Ward, change: str) -> None:
    await filled(ward)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        connection = await session.connection()
        await refused(connection, f"UPDATE quarantine SET {change}")
        changed = await connection.execute(text("UPDATE quarantine SET status = 'processed', processed_at = now()"))
        assert changed.rowcount == 1


@pytest.mark.parametrize("change", ["outcome = 2", "specimen = 'S-other'", "analytes = '[]'", "boot_id = '\\x00'"])
async def test_what_the_reader_said_of_a_test_is_never_overwritten(ward: Ward, change: str) -> None:
    await filled(ward)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        connection = await session.connection()
        with pytest.raises(DBAPIError, match="stays where it is"):
            async with connection.begin_nested():
                await connection.execute(text(f"UPDATE result SET {change}"))


async def test_not_even_the_tables_owner_changes_a_sealed_record_by_mistake(ward: Ward, database: Database) -> None:
    reader = await filled(ward)
    owner = create_engine(driver_url(database.owner))
    with pytest.raises(DBAPIError, match="stays where it is"), owner.begin() as connection:
        connection.execute(
            text("UPDATE sealed_record SET sealed = '\\x00' WHERE reader_id = :id"), {"id": reader.reader_id}
        )
    owner.dispose()
