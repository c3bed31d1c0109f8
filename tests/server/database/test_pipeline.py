"""The exchange's transactions: what a statement, the database or the network does wrong harms only the one it is in."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from server.database import direct
from server.database.direct import Connection, Pool, make_pool
from server.database.pipeline import Row
from tests.server.conftest import Database


@pytest.fixture
def pool(database: Database) -> Iterator[Pool]:
    with make_pool(database.app, 1) as made:
        made.wait(20)
        yield made


def _number(connection: Connection, statement: bytes = b"SELECT %(number)s::int + 1", number: int = 1) -> int:
    return direct.ask(connection, statement, {"number": number}, lambda rows: rows[0][0]).result()


def test_a_statement_that_fails_ends_its_transaction_with_its_own_error_and_the_next_goes_on(pool: Pool) -> None:
    def work(connection: Connection) -> int:
        direct.tell(connection, b"SELECT 1 / %(number)s::int", {"number": 0})
        direct.tell(connection, b"SELECT 'not reached'", {})
        return _number(connection)

    for _ in range(3):
        with pytest.raises(psycopg.errors.DivisionByZero):
            direct.transaction(pool, work)
        assert direct.transaction(pool, _number) == 2


def test_an_error_found_by_nobody_before_the_commit_is_raised_by_it(pool: Pool) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        direct.transaction(pool, lambda connection: direct.tell(connection, b"SELECT 1 / 0", {}))


def test_a_statement_first_met_after_another_failed_can_be_used_later(pool: Pool) -> None:
    other = b"SELECT %(number)s::int + 2"

    def work(connection: Connection) -> None:
        direct.tell(connection, b"SELECT 1 / 0", {})
        direct.tell(connection, other, {"number": 1})

    with pytest.raises(psycopg.errors.DivisionByZero):
        direct.transaction(pool, work)
    assert direct.transaction(pool, lambda connection: _number(connection, other)) == 3


def test_what_is_raised_by_the_work_itself_rolls_back(pool: Pool) -> None:
    def work(connection: Connection) -> None:
        direct.enter(connection, direct.UUID(int=7))
        direct.tell(connection, b"CREATE TEMPORARY TABLE gone (number int)", {})
        raise KeyError("the work's own")

    with pytest.raises(KeyError):
        direct.transaction(pool, work)
    found = b"SELECT to_regclass('pg_temp.gone') IS NULL"
    assert direct.transaction(pool, lambda connection: direct.ask(connection, found, {}, list).result()) == [(True,)]


def test_rows_are_read_after_the_commit_too(pool: Pool) -> None:
    asked = direct.transaction(
        pool, lambda connection: direct.ask(connection, b"SELECT %(text)s::text", {"text": "kept"}, list)
    )
    assert asked.result() == [("kept",)]


def test_an_answer_is_made_while_it_is_committed_and_reads_what_was_asked_before(pool: Pool) -> None:
    def work(connection: Connection) -> Callable[[], list[Row]]:
        first, last = (direct.ask(connection, b"SELECT %(text)s::text", {"text": text}, list[Row]) for text in "ab")
        return lambda: [*last.result(), *first.result()]

    assert direct.answered(pool, work) == [("b",), ("a",)]


def test_no_answer_is_given_to_what_could_not_be_committed(pool: Pool) -> None:
    made: list[str] = []

    def work(connection: Connection) -> Callable[[], None]:
        direct.tell(connection, b"CREATE TEMPORARY TABLE kept (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)", {})
        direct.tell(connection, b"INSERT INTO kept VALUES (1), (1)", {})
        return lambda: made.append("an answer")

    with pytest.raises(psycopg.errors.UniqueViolation):
        direct.answered(pool, work)
    assert made == ["an answer"]
    assert direct.transaction(pool, _number) == 2


def test_an_answer_that_fails_leaves_what_was_committed_and_the_connection_whole(pool: Pool) -> None:
    def work(connection: Connection) -> Callable[[], None]:
        direct.tell(connection, b"CREATE TEMPORARY TABLE kept (n int)", {})
        direct.tell(connection, b"INSERT INTO kept VALUES (7)", {})

        def answer() -> None:
            raise KeyError("the answer's own")

        return answer

    with pytest.raises(KeyError):
        direct.answered(pool, work)
    assert direct.transaction(pool, lambda connection: _number(connection, b"SELECT n FROM kept")) == 7


def test_work_is_done_again_where_the_connection_was_lost_meanwhile(pool: Pool) -> None:
    tries: list[int] = []

    def work(connection: Connection) -> int:
        tries.append(_number(connection, b"SELECT pg_backend_pid() + 0 * %(number)s::int"))
        if len(tries) == 1:
            direct.tell(connection, b"SELECT pg_terminate_backend(pg_backend_pid())", {})
        return _number(connection)

    assert direct.transaction(pool, work) == 2
    assert len(set(tries)) == 2


def test_megabytes_both_ways_at_once_do_not_stand_in_each_others_way(pool: Pool) -> None:
    content = bytes(range(256)) * 16_384

    def work(connection: Connection) -> list[int]:
        asked = [
            direct.ask(connection, b"SELECT %(content)s::bytea", {"content": content}, lambda rows: len(rows[0][0]))
            for _ in range(6)
        ]
        return [one.result() for one in asked]

    assert direct.transaction(pool, work) == [len(content)] * 6


def test_a_percent_sign_that_names_no_parameter_is_refused(pool: Pool) -> None:
    with pytest.raises(ValueError, match="only as the name of a parameter"):
        direct.transaction(pool, lambda connection: direct.tell(connection, b"SELECT 'a' LIKE 'a%'", {}))


# What follows is done on the event loop, in a greenlet.


@contextmanager
def held(database: Database, key: int = 7) -> Iterator[Callable[[], None]]:
    """An advisory lock that somebody else has; what is given waits until another waits for it."""
    with psycopg.connect(database.owner, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (key,))

        def until_wanted() -> None:
            end = time.monotonic() + 20
            wanted = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
            while other.execute(wanted, (key,)).fetchone() is None:
                assert time.monotonic() < end, "nobody waits for the lock"

        yield until_wanted


def locking(connection: Connection) -> Callable[[], int]:
    direct.tell(connection, b"SELECT pg_advisory_xact_lock(7)", {})
    number = _number(connection)
    return lambda: number


async def test_on_the_loop_what_is_asked_is_answered_and_an_answer_made(pool: Pool) -> None:
    def work(connection: Connection) -> Callable[[], list[Row]]:
        first, last = (direct.ask(connection, b"SELECT %(text)s::text", {"text": text}, list[Row]) for text in "ab")
        assert first.result() == [("a",)]
        return lambda: [*last.result(), *first.result()]

    for _ in range(3):
        assert await direct.answered_on_the_loop(pool, work) == [("b",), ("a",)]


async def test_on_the_loop_others_go_on_while_the_database_waits(pool: Pool, database: Database) -> None:
    with held(database) as until_wanted:
        waiting = asyncio.create_task(direct.answered_on_the_loop(pool, locking))
        await asyncio.to_thread(until_wanted)  # the loop has begun it, and does not stand still
        assert not waiting.done()
    assert await waiting == 2


async def test_on_the_loop_who_finds_no_connection_free_waits_in_a_thread(pool: Pool, database: Database) -> None:
    with held(database) as until_wanted:
        first = asyncio.create_task(direct.answered_on_the_loop(pool, locking))
        await asyncio.to_thread(until_wanted)
        second = asyncio.create_task(direct.answered_on_the_loop(pool, locking))
        await asyncio.sleep(0)
        assert not first.done()
        assert not second.done()
    assert await asyncio.gather(first, second) == [2, 2]


@pytest.mark.parametrize("times", [1, 2])
async def test_on_the_loop_what_is_cancelled_is_rolled_back_and_the_next_goes_on(
    pool: Pool, database: Database, times: int
) -> None:
    def work(connection: Connection) -> Callable[[], int]:
        direct.tell(connection, b"CREATE TEMPORARY TABLE gone (number int)", {})
        return locking(connection)

    with held(database) as until_wanted:
        waiting = asyncio.create_task(direct.answered_on_the_loop(pool, work))
        await asyncio.to_thread(until_wanted)
        for _ in range(times):
            waiting.cancel()
            await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    found = b"SELECT to_regclass('pg_temp.gone') IS NULL"
    assert await asyncio.to_thread(
        direct.transaction, pool, lambda connection: direct.ask(connection, found, {}, list[Row]).result()
    ) == [(True,)]
    assert await direct.answered_on_the_loop(pool, locking) == 2


async def test_on_the_loop_an_error_rolls_back_and_the_next_goes_on(pool: Pool) -> None:
    def failing(connection: Connection) -> Callable[[], None]:
        direct.tell(connection, b"CREATE TEMPORARY TABLE gone (number int)", {})
        direct.tell(connection, b"SELECT 1 / %(number)s::int", {"number": 0})
        return lambda: None

    def raising(connection: Connection) -> Callable[[], None]:
        direct.tell(connection, b"CREATE TEMPORARY TABLE gone (number int)", {})
        raise KeyError("the work's own")

    found = b"SELECT to_regclass('pg_temp.gone') IS NULL"

    def looking(connection: Connection) -> Callable[[], list[Row]]:
        return direct.ask(connection, found, {}, list[Row]).result

    for work, error in ((failing, psycopg.errors.DivisionByZero), (raising, KeyError)):
        with pytest.raises(error):
            await direct.answered_on_the_loop(pool, work)
        assert await direct.answered_on_the_loop(pool, looking) == [(True,)]


async def test_on_the_loop_work_is_done_again_where_the_connection_was_lost_meanwhile(pool: Pool) -> None:
    tries: list[int] = []

    def work(connection: Connection) -> Callable[[], int]:
        tries.append(_number(connection, b"SELECT pg_backend_pid() + 0 * %(number)s::int"))
        if len(tries) == 1:
            direct.tell(connection, b"SELECT pg_terminate_backend(pg_backend_pid())", {})
        number = _number(connection)
        return lambda: number

    assert await direct.answered_on_the_loop(pool, work) == 2
    assert len(set(tries)) == 2


async def test_on_the_loop_a_connection_that_was_lost_before_is_replaced(pool: Pool, database: Database) -> None:
    def work(connection: Connection) -> Callable[[], int]:
        number = _number(connection, b"SELECT pg_backend_pid() + 0 * %(number)s::int")
        return lambda: number

    first = await direct.answered_on_the_loop(pool, work)
    with psycopg.connect(database.owner, autocommit=True) as owner:
        # It waits until that is done, 20 s at most.
        assert owner.execute("SELECT pg_terminate_backend(%s, 20000)", (first,)).fetchone() == (True,)
    assert await direct.answered_on_the_loop(pool, work) != first


async def test_on_the_loop_megabytes_both_ways_at_once_do_not_stand_in_each_others_way(pool: Pool) -> None:
    content = bytes(range(256)) * 16_384

    def work(connection: Connection) -> Callable[[], list[int]]:
        asked = [
            direct.ask(connection, b"SELECT %(content)s::bytea", {"content": content}, lambda rows: len(rows[0][0]))
            for _ in range(6)
        ]
        told = [one.result() for one in asked]
        return lambda: told

    assert await direct.answered_on_the_loop(pool, work) == [len(content)] * 6
