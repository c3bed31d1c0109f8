"""One transaction's statements in libpq's pipeline mode, on a connection of psycopg, without its cursors.

libpq's pipeline (https://www.postgresql.org/docs/current/libpq-pipeline-mode.html) sends statements before the answers
to those before are there. psycopg has it too, yet makes a cursor, a query and two waits for each statement, which was
half the processor time of an exchange of one record. Here a statement is one call of libpq and is prepared once a
connection; parameters and rows are converted by psycopg's own adapters.
"""

import re
import select
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import count
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from psycopg import pq
from psycopg.abc import Buffer
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, Format

from server.database import arrays
from server.database.arrays import Array

Row = tuple[Any, ...]
T = TypeVar("T")

# What is larger is on its way before the next statement is made, so that the database works meanwhile.
_SEND_BYTES = 16 * 1024
# Types of single values (src/include/catalog/pg_type.dat).
_BYTEA, _UUID, _TIMESTAMPTZ = 17, 2950, 1184
_PARAMETER = re.compile(rb"%(?:\((\w+)\)s|.?)")
_FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE, ExecStatus.NONFATAL_ERROR)


class Rows(list[Row]):
    """The rows of a statement."""

    def fetchall(self) -> list[Row]:
        """All of them."""
        return self

    def fetchone(self) -> Row | None:
        """The first, None where there is none."""
        return self[0] if self else None


class Connection(psycopg.Connection[Row]):
    """A connection that remembers what was prepared on it: the name of each statement, by its text and types."""

    def __init__(self, pgconn: pq.abc.PGconn, *arguments: Any, **named: Any) -> None:
        super().__init__(pgconn, *arguments, **named)
        self.statements: dict[tuple[bytes, tuple[int, ...]], bytes] = {}
        self.names = count()


class Sent:
    """A statement that was sent; its rows once its answer was read."""

    __slots__ = ("pipeline", "place", "rows")

    def __init__(self, pipeline: "Pipeline", place: int) -> None:
        self.pipeline = pipeline
        self.place = place
        self.rows: Rows | None = None

    def wait(self) -> Rows:
        """Its rows. Raises the error of it, or of the first statement before that failed."""
        if self.rows is None:
            self.pipeline.read_until(self)
        assert self.rows is not None
        return self.rows


class Pipeline:
    """`with Pipeline(connection) as sending:` is a transaction: `commit` ends it, and any other end rolls it back.

    The rollback itself is left to the connection's owner, as psycopg's pool does it. `wait` returns once one of those
    events of `select.poll` is there on the connection's socket, or may be; without it the thread waits.
    """

    def __init__(self, connection: Connection, wait: Callable[[int], None] | None = None) -> None:
        self._connection = connection
        self._libpq = connection.pgconn
        self._transformer = Transformer(connection)
        # What is answered next: a statement, or None for one that was only prepared or for a sync.
        self._awaited: deque[Sent | None] = deque()
        self._sent = self._answered_to = 0
        self._synced = False
        self._committed = False
        self._prepared: list[tuple[bytes, tuple[int, ...]]] = []
        self._wait = wait or self._stand_still

    def __enter__(self) -> "Pipeline":
        self._libpq.enter_pipeline_mode()
        self.send(b"BEGIN", {}, Format.TEXT)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if not self._committed:
            self._abandon()
        if self._libpq.status == pq.ConnStatus.OK:
            self._libpq.exit_pipeline_mode()

    def send(self, statement: bytes, parameters: Mapping[str, Any], result_format: Format) -> Sent:
        """Send a statement with `%(name)s` for its parameters."""
        text, names = _numbered(statement)
        coded, types, formats = self._coded([parameters[name] for name in names])
        name = self._prepare(text, types)
        self._libpq.send_query_prepared(name, coded, formats, result_format)
        self._sent += 1
        sent = Sent(self, self._sent)
        self._awaited.append(sent)
        if sum(map(len, filter(None, coded))) > _SEND_BYTES:
            self._flush()
        return sent

    def _coded(self, values: Sequence[Any]) -> tuple[Sequence[Buffer | None], tuple[int, ...], Sequence[Format] | None]:
        """The values as they are sent, their types and formats. What is nearly everything is coded without a dumper."""
        coded: list[Buffer | None] = []
        types: list[int] = []
        for value in values:
            if isinstance(value, Array):
                coded.append(value)
                types.append(value.array_oid)
            elif type(value) is bytes:
                coded.append(value)
                types.append(_BYTEA)
            elif type(value) is UUID:
                coded.append(value.bytes)
                types.append(_UUID)
            elif type(value) is datetime:
                coded.append(arrays.moment(value))
                types.append(_TIMESTAMPTZ)
            else:
                told = self._transformer.dump_sequence(values, [PyFormat.AUTO] * len(values))
                return told, tuple(self._transformer.types or ()), self._transformer.formats if told else None
        return coded, tuple(types), [Format.BINARY] * len(coded) if coded else None

    def commit(self, meanwhile: Callable[[], T]) -> T:
        """Commit, and read whatever is not read yet: one round trip. Raises the error of the first that failed.

        What `meanwhile` gives is made while the database commits; it may read what was sent before, and send nothing.
        """
        self.send(b"COMMIT", {}, Format.TEXT)
        self._sync()
        made = meanwhile()
        while self._awaited:
            self._read_one()
        result = self._result()
        assert result is not None
        assert result.status == ExecStatus.PIPELINE_SYNC
        self._committed = True
        return made

    def read_until(self, sent: Sent) -> None:
        """Read answers up to that of `sent`. Raises the error of the first that failed."""
        if sent.place > self._answered_to:
            self.want_answers()
        self._flush()
        while sent.rows is None:
            if not self._awaited:
                raise psycopg.ProgrammingError("the statement failed, or its transaction has ended")
            self._read_one()

    def want_answers(self) -> None:
        """Have the database answer what was sent by now as soon as it is done, whatever is sent after it."""
        self._libpq.send_flush_request()
        self._answered_to = self._sent

    def push(self) -> None:
        """Let the database begin with what was sent by now, rather than with all that is asked at once."""
        self._flush()

    def _prepare(self, text: bytes, types: tuple[int, ...]) -> bytes:
        key = (text, types)
        name = self._connection.statements.get(key)
        if name is None:
            name = b"doorstep_%d" % next(self._connection.names)
            self._libpq.send_prepare(name, text, types)
            self._awaited.append(None)
            self._connection.statements[key] = name
            self._prepared.append(key)
        return name

    def _read_one(self) -> None:
        result = self._result()
        assert result is not None
        if result.status in _FAILED:
            raise error_from_result(result, self._connection.info.encoding)
        if result.status == ExecStatus.PIPELINE_ABORTED:
            raise psycopg.errors.PipelineAborted("a statement before this one failed")
        sent = self._awaited.popleft()
        if sent is not None:
            sent.rows = self._rows(result)
        ended = self._result()
        assert ended is None  # libpq ends the results of each statement so

    def _rows(self, result: pq.abc.PGresult) -> Rows:
        if result.status != ExecStatus.TUPLES_OK:
            return Rows()
        self._transformer.set_pgresult(result)
        return Rows(self._transformer.load_rows(0, result.ntuples, tuple))

    def _sync(self) -> None:
        self._libpq.pipeline_sync()
        self._answered_to = self._sent
        self._synced = True
        self._flush()

    def _abandon(self) -> None:
        """Read what is under way and forget it. What was prepared meanwhile may be so or not: it is done anew."""
        for key in self._prepared:
            self._connection.statements.pop(key, None)
        self._awaited.clear()
        try:
            if not self._synced:
                self._sync()
            while self._libpq.status == pq.ConnStatus.OK:
                result = self._result()
                if result is not None and result.status == ExecStatus.PIPELINE_SYNC:
                    return
        except psycopg.Error:
            # The connection is gone, and whoever used it is told by the error that brought us here.
            self._libpq.finish()

    def _result(self) -> pq.abc.PGresult | None:
        while self._libpq.is_busy():
            self._wait(select.POLLIN)
            self._libpq.consume_input()
        return self._libpq.get_result()

    def _flush(self) -> None:
        """Send all. The database may have to be listened to meanwhile, or neither side would go on."""
        while self._libpq.flush():
            self._wait(select.POLLIN | select.POLLOUT)
            # There may be nothing to read: it does not wait then.
            self._libpq.consume_input()

    def _stand_still(self, events: int) -> None:
        poll = select.poll()
        poll.register(self._libpq.socket, events)
        poll.poll()


@lru_cache(maxsize=256)
def _numbered(statement: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The statement with $1, $2 … for its parameters, and their names in that order."""
    names: dict[str, int] = {}

    def number(found: re.Match[bytes]) -> bytes:
        name = found.group(1)
        if name is None:
            raise ValueError("a statement may hold % only as the name of a parameter")
        return b"$%d" % names.setdefault(name.decode(), len(names) + 1)

    text = _PARAMETER.sub(number, statement)
    return text, tuple(names)
