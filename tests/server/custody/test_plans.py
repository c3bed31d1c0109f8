"""What an exchange costs does not grow with what an organisation has, though its plans were made before it had it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.pq import Format
from sqlalchemy import make_url

from reader import wire
from server.custody import downlink
from server.database import direct, embedded, migrate
from server.database.columns import now
from server.database.direct import Pool, make_pool
from server.database.pipeline import Sent
from tests.server import factory
from tests.server.conftest import Database, Ward

FLEET = 120
GROWING = {"result", "sealed_record", "sighting", "reader_event"}
PLANNED = (b"SELECT", b"WITH", b"UPDATE")


@pytest.fixture
def empty(database: Database) -> Iterator[Pool]:
    """Connections of the exchange to a database in which there is nothing yet."""
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute("CREATE DATABASE planning")
        url = make_url(database.owner).set(database="planning").render_as_string(hide_password=False)
        migrate.upgrade(url)
        with make_pool(embedded.as_app(url), 1) as pool:
            yield pool
        owner.execute("DROP DATABASE planning WITH (FORCE)")


def _scans(node: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(table, index, what it is looked up by) of each scan of a plan."""
    table = node.get("Relation Name")
    if table is not None and node["Node Type"] != "ModifyTable":
        by = node["Plans"][0] if node["Node Type"] == "Bitmap Heap Scan" else node
        yield table, by.get("Index Name", ""), by.get("Index Cond", "")
    for part in node.get("Plans", ()):
        yield from _scans(part)


async def test_rows_are_looked_up_by_what_names_them_though_planned_while_there_were_none(
    ward: Ward, empty: Pool
) -> None:
    reader = await ward.reader()
    offered = [*reader.results(12), reader.seal(factory.event(wire.EVENT_DOWN_APPLIED, numbers=[1, 2]))]
    await ward.exchange(offered, sightings=[factory.sighting(reader)])
    with ward.pool.connection() as connection:
        statements = [one for one in connection.statements if one[0].lstrip().startswith(PLANNED)]
    scans: list[tuple[bytes, str, str, str]] = []
    with empty.connection() as connection:
        for at, (text, types) in enumerate(statements):
            name = b"planned_%d" % at
            connection.pgconn.prepare(name, text, types)
            values = b"(" + b", ".join([b"NULL"] * len(types)) + b")" if types else b""
            ((told,),) = connection.execute(b"EXPLAIN (FORMAT json) EXECUTE " + name + values).fetchall()
            scans += [(text, *scan) for scan in _scans(told[0]["Plan"])]
    looked = [scan for scan in scans if scan[1] in GROWING]
    assert {table for _, table, _, _ in looked} == GROWING
    for text, table, index, by in looked:
        # That index holds nothing but the damages that readers declared.
        if index != "ix_reader_event_damaged":
            assert by, (text, table, index)
            assert not by.startswith("(organisation_id"), (text, table, index)


def _compared(node: dict[str, Any]) -> int:
    """Rows that a plan which was run has made or thrown away, in all."""
    thrown = sum(value for name, value in node.items() if name.startswith("Rows Removed"))
    below = sum(map(_compared, node.get("Plans", ())))
    return int(node["Actual Loops"] * (node["Actual Rows"] + thrown)) + below


async def test_what_is_due_is_found_by_looking_at_each_reader_once(ward: Ward, database: Database) -> None:
    named = [(await ward.reader(name=f"Reader {at}")).reader_id for at in range(FLEET)]
    given = await ward.exchange()
    tickets = {item[1]: item[2] for item in given.items if item[0] == wire.ITEM_TICKET}
    assert tickets.keys() == set(named)
    # As the database does by itself within minutes of so many.
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute("ANALYZE reader, reader_key, custody, command, ticket_issue")

    def looked_at(count: int) -> int:
        """Rows that are looked at where so many readers are named and their tickets told."""

        def work(connection: direct.Connection) -> int:
            direct.enter(connection, ward.id)
            explaining = _Explaining(connection)
            policy = downlink.Policy(timedelta(days=14), timedelta(hours=24))
            told = dict(list(tickets.items())[:count])
            carrier = downlink.Carrier(bytes.fromhex(ward.hub_id), ward.id, told, set(named[:count]), {})
            downlink.ask(explaining, policy, carrier, now())  # type: ignore[arg-type]
            assert explaining.sent is not None
            ((plan,),) = explaining.sent.wait()
            return _compared(plan[0]["Plan"])

        return direct.transaction(ward.pool, work)

    assert looked_at(FLEET) < looked_at(1) + 10 * FLEET, "each reader is compared with each that is named"


class _Explaining:
    """Has the database run what is sent, and tell how."""

    def __init__(self, connection: direct.Connection) -> None:
        self._connection = connection
        self.sent: Sent | None = None

    def send(self, statement: bytes, parameters: dict[str, Any], result_format: Format) -> Sent:
        told = b"EXPLAIN (ANALYZE, FORMAT json)" + statement
        self.sent = self._connection.send(told, parameters, result_format)
        return self.sent
