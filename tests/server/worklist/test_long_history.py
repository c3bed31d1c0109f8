"""What a page costs does not grow with the history: counted in pages of the database that it looks at."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import event

from reader import outcome
from server.database import tenancy
from server.quality import repository as quality
from server.worklist import service
from tests.server.conftest import Database, Ward
from tests.server.followup.test_follow_up import arrive, person

SHORT, LONG = 400, 40_000
# 51 rows of a list may be looked up by indexes that are a level deeper, in half a dozen tables, where a short table was
# read whole; reading a long one whole would be thousands.
ALLOWED = 600

_COPIES = """
    INSERT INTO {table} ({columns}) SELECT {values} FROM {table} AS source, generate_series({first}, {last}) AS i
    WHERE source.number = 1 AND source.reader_id = (SELECT reader_id FROM result WHERE id = '{kept}')
"""

_LOOKING = "SELECT 1 FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()"


def lengthen(database: Database, kept: UUID, first: int, last: int) -> None:
    """Copy a result under other numbers and serials, so that it is one of many with cassettes of one product."""
    fresh = {
        "result": {
            "id": "md5('long' || source.id || i)::uuid", "number": "1000 + i", "serial": "'serial-' || i",
            "gtin": "'02000000000015'",
            "received_at": "source.received_at - make_interval(mins => i)",
        },
        "sealed_record": {"number": "1000 + i"},
    }  # fmt: skip
    with psycopg.connect(database.owner, autocommit=True) as link:
        link.execute("SET session_replication_role = replica")
        link.execute("UPDATE result SET gtin = '02000000000015' WHERE id = %s", (kept,))
        for table, told in fresh.items():
            rows = link.execute("SELECT column_name FROM information_schema.columns WHERE table_name = %s", (table,))
            names = [str(row[0]) for row in rows]
            link.execute(
                _COPIES.format(  # pyright: ignore[reportArgumentType]
                    table=table, columns=", ".join(names), kept=kept, first=first, last=last,
                    values=", ".join(told.get(name, f"source.{name}") for name in names),
                ).encode()
            )  # fmt: skip
        # As the server's own vacuum leaves it: what is counted must not hang on whether that has come by, nor on who
        # still looked at the rows as they were.
        deadline = time.monotonic() + 30
        while link.execute(_LOOKING).fetchone():
            assert time.monotonic() < deadline, "somebody keeps a transaction open"
            time.sleep(0.05)
        link.execute("VACUUM (ANALYZE)")


async def looked_at(ward: Ward, work: Callable[[Any], Awaitable[object]]) -> int:
    """How many pages of tables and indexes the queries of `work` look at."""
    sent: list[tuple[str, Any]] = []
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        engine = (await session.connection()).engine.sync_engine
        event.listen(
            engine, "before_cursor_execute", note := lambda _c, _u, text, given, *_rest: sent.append((text, given))
        )
        try:
            await work(session)
        finally:
            event.remove(engine, "before_cursor_execute", note)
        total = 0
        for text, given in [one for one in sent if re.match(r"\s*(SELECT (?!set_config)|WITH)", one[0])]:
            plan = await (await session.connection()).exec_driver_sql(
                f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {text}", given
            )
            top = plan.scalar_one()[0]["Plan"]
            total += top["Shared Hit Blocks"] + top["Shared Read Blocks"]
    assert total
    return total


async def test_lists_and_the_search_for_a_cassette_look_at_as_much_of_a_long_history_as_of_a_short_one(
    database: Database, ward: Ward
) -> None:
    viewer = await person(ward)
    kept = await arrive(ward, outcome.NEGATIVE)
    for _ in range(30):
        await arrive(ward, outcome.POSITIVE)

    def listed(*narrowed: Any, view: str = "") -> Callable[[Any], Awaitable[object]]:
        return lambda _session: service.read(ward.sessions, viewer, *narrowed, view)

    pages = {
        "everything": listed(None, None, None),
        "one outcome": listed(outcome.NEGATIVE, None, None),
        "an assay in use": listed(None, "sars2-ag", None),
        "an assay that nobody used": listed(None, "crp", None),
        "the team's": listed(None, None, None, view="team"),
        "the same cassette": lambda session: quality.same_cassette(session, kept),
    }
    await asyncio.to_thread(lengthen, database, kept, 1, SHORT)
    short = {name: await looked_at(ward, page) for name, page in pages.items()}
    await asyncio.to_thread(lengthen, database, kept, SHORT + 1, LONG)
    long = {name: await looked_at(ward, page) for name, page in pages.items()}
    grown = {name: (short[name], long[name]) for name in pages if long[name] > short[name] + ALLOWED}
    assert grown == {}
