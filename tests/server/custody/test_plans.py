"""What an exchange costs does not grow with what an organisation has, though its plans were made before it had it."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from reader import wire
from server.database import embedded, migrate
from server.database.direct import Pool, make_pool
from tests.server import factory
from tests.server.conftest import Database, Ward

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
