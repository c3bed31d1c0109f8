"""The exchange's own way to PostgreSQL: without an ORM, in pipeline mode, in a thread or in a greenlet on the loop.

An exchange is some twenty statements. Sent one by one through SQLAlchemy, nearly all of a small batch's time was spent
between them. Here a transaction is a plain function; what it asks goes out at once and is answered together.
"""

import asyncio
import logging
import select
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar
from uuid import UUID

import psycopg
from psycopg.pq import Format
from psycopg_pool import ConnectionPool, PoolTimeout
from sqlalchemy.util.concurrency import await_, greenlet_spawn

from server.database import arrays, pipeline
from server.database.engine import options
from server.database.pipeline import Pipeline, Rows, Sent

log = logging.getLogger("doorstep.database")

Connection = Pipeline
"""A transaction that is under way."""
Pool = ConnectionPool[pipeline.Connection]

T = TypeVar("T")
U = TypeVar("U")

WAIT_SECONDS = 15
_AT_ONCE_SECONDS = 0.001
# A pool asks for a lost database at ever longer intervals, and meanwhile lets everybody wait. After so long it gives
# up, by which the next who wants a connection asks anew, at once: nobody waits for a database that is back.
ASK_AGAIN_SECONDS = 5
# Plans are made once a connection and kept until the tables are analysed anew. One made while they were small must do
# until then, so only plans by index with nested loops are considered: every statement of an exchange looks up rows that
# it names.
_PLANS = (
    " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
    " -c enable_material=off -c jit=off"
)


def make_pool(url: str, size: int) -> Pool:
    """A pool of connections that act as `doorstep_app`, not opened yet; at most `size`."""
    return ConnectionPool(
        url,
        connection_class=pipeline.Connection,
        kwargs={"options": options() + _PLANS, "connect_timeout": 10},
        min_size=1,
        max_size=size,
        timeout=WAIT_SECONDS,
        reconnect_timeout=ASK_AGAIN_SECONDS,
        configure=_configure,
        name="exchange",
        open=False,
    )


def _configure(connection: pipeline.Connection) -> None:
    arrays.register(connection)


def transaction(pool: Pool, work: Callable[[Connection], T]) -> T:
    """What `work` returns, committed; rolled back on any exception. As `answered` otherwise."""

    def done(connection: Connection) -> Callable[[], T]:
        told = work(connection)
        return lambda: told

    return answered(pool, done)


def answered(pool: Pool, work: Callable[[Connection], Callable[[], T]]) -> T:
    """What the answer gives that `work` returns, once that is committed; rolled back on any exception of `work`.

    The answer is made while the database commits, and may send nothing to it: where it raises, all is stored all the
    same, as if the answer had been lost.

    A connection that was lost meanwhile (the database was restarted) is replaced and `work` done again, once: it must
    do no harm twice. Connections are not tried out before each use, which would cost a round trip each time.
    """
    try:
        return _once(pool, work)
    except _Lost:
        return _again(pool, work)


async def answered_on_the_loop(pool: Pool, work: Callable[[Connection], Callable[[], T]]) -> T:
    """As `answered`, for work that computes little: it is done on the event loop and not in a thread, to which the way
    and back take longer than such work. While it waits for the database, the loop does other things.
    """
    try:
        connection = pool.getconn(_AT_ONCE_SECONDS)
    except PoolTimeout:
        return await asyncio.to_thread(answered, pool, work)
    try:
        with _LoopWait(connection) as wait:
            told = await greenlet_spawn(_in, connection, work, wait)
    except BaseException as error:
        lost = isinstance(error, psycopg.Error) and (connection.closed or connection.broken)
        # To roll back takes a round trip, which is not for the loop.
        await asyncio.shield(asyncio.to_thread(_give_back, pool, connection))
        if not lost:
            raise
    else:
        pool.putconn(connection)
        return told
    return await asyncio.to_thread(_again, pool, work)


class _LoopWait:
    """Waits for a connection's socket on the event loop, for what runs in a greenlet. OperationalError once lost."""

    def __init__(self, connection: pipeline.Connection) -> None:
        self._loop = asyncio.get_running_loop()
        self._libpq = connection.pgconn
        self._there: asyncio.Future[None] | None = None

    def __enter__(self) -> "_LoopWait":
        self._socket = self._libpq.socket
        self._loop.add_reader(self._socket, self._tell)
        return self

    def __exit__(self, *exc: object) -> None:
        # Nothing else ran since the connection was lost, if it was: nobody has this number by now who waits here.
        self._loop.remove_reader(self._socket)

    def __call__(self, events: int) -> None:
        if self._libpq.socket != self._socket:
            raise psycopg.OperationalError("the connection has another socket by now")
        self._there = self._loop.create_future()
        if not events & select.POLLOUT:
            await_(self._there)
            return
        self._loop.add_writer(self._socket, self._tell)
        try:
            await_(self._there)
        finally:
            self._loop.remove_writer(self._socket)

    def _tell(self) -> None:
        if self._there is not None and not self._there.done():
            self._there.set_result(None)


class _Lost(psycopg.OperationalError):
    """The connection is gone."""


def _once(pool: Pool, work: Callable[[Connection], Callable[[], T]]) -> T:
    with pool.connection() as connection:
        return _in(connection, work)


def _again(pool: Pool, work: Callable[[Connection], Callable[[], T]]) -> T:
    log.warning("a database connection was lost; the work is done again on another")
    pool.check()
    return _once(pool, work)


def _in(
    connection: pipeline.Connection,
    work: Callable[[Connection], Callable[[], T]],
    wait: Callable[[int], None] | None = None,
) -> T:
    try:
        with Pipeline(connection, wait) as sending:
            # In the pipeline still, so that the last statements and the commit are one round trip.
            return sending.commit(work(sending))
    except psycopg.Error as error:
        if connection.closed or connection.broken:
            raise _Lost(*error.args) from error
        raise


def _give_back(pool: Pool, connection: pipeline.Connection) -> None:
    """Roll back what failed, and let the pool have the connection, or another for it where it is lost."""
    try:
        connection.rollback()
    except psycopg.Error as error:
        log.info("a failed transaction could not be rolled back: %s", type(error).__name__)
    pool.putconn(connection)


class Pending(Generic[T]):
    """A statement that was sent; `result` waits for its rows and reads them, and raises its error."""

    __slots__ = ("_read", "_sent")

    def __init__(self, sent: Sent, read: Callable[[Rows], T]) -> None:
        self._sent = sent
        self._read = read

    def result(self) -> T:
        """What the statement gave."""
        return self._read(self._sent.wait())

    def then(self, read: Callable[[T], U]) -> "Pending[U]":
        """The same statement, its result read further."""
        first = self._read
        return Pending(self._sent, lambda rows: read(first(rows)))


def ask(
    connection: Connection, statement: bytes, parameters: Mapping[str, Any], read: Callable[[Rows], T]
) -> Pending[T]:
    """Send a statement; `read` turns its rows into what is wanted once `Pending.result` is called."""
    return Pending(connection.send(statement, parameters, Format.BINARY), read)


def tell(connection: Connection, statement: bytes, parameters: Mapping[str, Any]) -> None:
    """Send a statement whose rows nobody reads; an error of it ends the transaction."""
    connection.send(statement, parameters, Format.BINARY)


_ENTER = (
    b"SELECT set_config('doorstep.organisation', %(organisation)s, true), set_config('doorstep.lookup', %(key)s, true)"
)


def enter(connection: Connection, organisation_id: UUID) -> None:
    """Bind the present transaction to an organisation, as `tenancy.enter` does. Gone at commit or rollback."""
    tell(connection, _ENTER, {"organisation": str(organisation_id), "key": ""})


_LOOK_UP = b"SELECT set_config('doorstep.lookup', %(key)s, true)"


def look_up(connection: Connection, kind: str, key: str) -> None:
    """Let the present transaction read rows of any organisation by naming their key, as `tenancy.look_up` does."""
    tell(connection, _LOOK_UP, {"key": f"{kind}:{key}"})
