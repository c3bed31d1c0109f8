"""What points at a row finds it there, though no foreign key proves it row by row (migration 0002)."""

import asyncio
import os
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from psycopg.errors import DeadlockDetected
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from server.database import tenancy
from server.database.engine import Sessions, driver_url
from server.database.tables import metadata
from tests.server import factory
from tests.server.conftest import Database, Ward


@pytest.fixture
async def held(ward: Ward) -> factory.Reader:
    """A reader with a result and an event that are held."""
    reader = await ward.reader()
    await ward.exchange([*reader.results(1), reader.seal(factory.event(moment=reader.moment()))])
    return reader


@pytest.fixture
async def inside(ward: Ward, sessions: Sessions) -> AsyncIterator[AsyncConnection]:
    """A transaction of the ward's organisation that leaves nothing."""
    async with sessions() as session:
        await tenancy.enter(session, ward.id)
        yield await session.connection()
        await session.rollback()


def copied(table: str, **changes: str) -> str:
    """A row of the table again, some of its columns changed; values are SQL."""
    columns = [column.name for column in metadata.tables[table].columns if not column.identity]
    chosen = ", ".join(changes.get(name, name) for name in columns)
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {chosen} FROM {table} LIMIT 1"


@pytest.mark.parametrize("table", ["result", "reader_event"])
async def test_what_was_inside_a_record_needs_the_record(
    held: factory.Reader, inside: AsyncConnection, table: str
) -> None:
    fresh = {"id": "gen_random_uuid()"} if table == "result" else {}
    for lost in ({"number": "99"}, {"reader_id": "'\\x0102030405060708'::bytea"}):
        with pytest.raises(IntegrityError, match="points at no sealed_record"):
            async with inside.begin_nested():
                await inside.execute(text(copied(table, **fresh, **lost)))
    # The record that is the other's is one all the same: so it is the number alone that was refused.
    await inside.execute(text(copied(table, **fresh, number="3 - number")))


async def test_one_row_of_many_that_points_at_nothing_undoes_them_all(
    held: factory.Reader, inside: AsyncConnection
) -> None:
    columns = [column.name for column in metadata.tables["result"].columns]
    chosen = ", ".join({"id": "gen_random_uuid()", "number": "n"}.get(name, name) for name in columns)
    many = f"INSERT INTO result ({', '.join(columns)}) SELECT {chosen} FROM result, unnest(ARRAY[2, 3]) n"
    with pytest.raises(IntegrityError, match="points at no sealed_record"):
        async with inside.begin_nested():
            await inside.execute(text(many))
    assert (await inside.execute(text("SELECT count(*) FROM result"))).scalar_one() == 1


async def test_a_record_needs_a_reader_of_its_own_organisation(
    held: factory.Reader, other_ward: Ward, inside: AsyncConnection
) -> None:
    foreign = await other_ward.reader()
    for reader_id in (os.urandom(8), foreign.reader_id):
        with pytest.raises(IntegrityError, match="points at no reader"):
            async with inside.begin_nested():
                await inside.execute(text(copied("sealed_record", reader_id=f"'\\x{reader_id.hex()}'::bytea")))


async def test_what_is_pointed_at_can_neither_go_nor_move_even_by_the_tables_owner(
    held: factory.Reader, database: Database
) -> None:
    owner = create_engine(driver_url(database.owner))
    here = {"id": held.reader_id}
    for statement in (
        "DELETE FROM sealed_record WHERE reader_id = :id",
        "UPDATE sealed_record SET number = number + 100 WHERE reader_id = :id",
        "UPDATE sealed_record SET organisation_id = gen_random_uuid() WHERE reader_id = :id",
        "UPDATE result SET number = number + 100 WHERE reader_id = :id",
        "UPDATE reader_event SET reader_id = '\\x00' WHERE reader_id = :id",
        "DELETE FROM reader WHERE reader_id = :id",
        "UPDATE reader SET organisation_id = gen_random_uuid() WHERE reader_id = :id",
        "TRUNCATE sealed_record CASCADE",
        "TRUNCATE reader CASCADE",
    ):
        # In a thread: what the server does with the records meanwhile runs on this loop, and holds locks.
        assert "stays where it is" in await asyncio.to_thread(refusal, owner, statement, here)
    owner.dispose()


def refusal(owner: Engine, statement: str, parameters: dict[str, bytes]) -> str:
    """How the database refuses it. A TRUNCATE may first lose to a reader of another table that it needs."""
    while True:
        with pytest.raises(DBAPIError) as refused, owner.begin() as connection:
            connection.execute(text(statement), parameters)
        if not isinstance(refused.value.orig, DeadlockDetected):
            return str(refused.value)


async def test_an_organisation_that_is_not_entered_finds_no_reader_to_point_at(ward: Ward, sessions: Sessions) -> None:
    reader = await ward.reader()
    async with sessions() as session, session.begin():
        await tenancy.enter(session, uuid4())
        connection = await session.connection()
        row = {"reader": reader.reader_id, "organisation": ward.id, "hash": bytes(16), "hub": bytes(8)}
        with pytest.raises(DBAPIError, match="row-level security"):
            async with connection.begin_nested():
                await connection.execute(
                    text(
                        "INSERT INTO sealed_record VALUES"
                        " (:reader, 1, :organisation, 0, :hash, :hash, '\\x00', :hub, now())"
                    ),
                    row,
                )
