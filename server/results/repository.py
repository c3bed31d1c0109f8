"""SQL of results and events. Inserts are set-based; reads of patient data go through `server.results.service` only."""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from server.database import arrays, direct
from server.database.arrays import Array
from server.database.direct import Connection, Pending, Rows
from server.results.models import Result
from server.results.recomputation import Recomputed
from server.results.timing import Anchor, DerivedTime

CHANNEL = "doorstep_results"
# One notification names so many results at most: PostgreSQL takes 8,000 bytes.
NOTIFIED_AT_ONCE = 100

# Columns of `result` and `reader_event` that differ from row to row, and how each is sent: one array each.
RESULT_COLUMNS: dict[str, Callable[[Sequence[Any]], Array]] = {
    "id": arrays.uuids, "reader_id": arrays.byteas, "number": arrays.bigints, "site_id": arrays.uuids,
    "specimen": arrays.texts, "assay": arrays.texts, "assay_version": arrays.bigints, "lot": arrays.texts,
    "serial": arrays.texts, "operator": arrays.texts, "gtin": arrays.texts, "expiry": arrays.texts,
    "calibration": arrays.texts, "outcome": arrays.smallints, "reason": arrays.smallints, "algorithm": arrays.texts,
    "firmware": arrays.texts, "analytes": arrays.documents, "boot_id": arrays.byteas, "uptime_ms": arrays.bigints,
    "wall_ms": arrays.bigints, "clock_source": arrays.smallints, "wall_uncertainty_ms": arrays.bigints,
    "started_ms": arrays.bigints, "due_ms": arrays.bigints, "read_ms": arrays.bigints, "tested_at": arrays.moments,
    "tested_uncertainty_ms": arrays.bigints, "time_basis": arrays.texts, "ambient_cc": arrays.integers,
    "lowest_cc": arrays.integers, "highest_cc": arrays.integers, "battery_mv": arrays.integers,
    "checks": arrays.bigints,
}  # fmt: skip
EVENT_COLUMNS: dict[str, Callable[[Sequence[Any]], Array]] = {
    "reader_id": arrays.byteas, "number": arrays.bigints, "code": arrays.smallints, "detail": arrays.texts,
    "numbers": arrays.documents, "firmware": arrays.texts, "boot_id": arrays.byteas, "uptime_ms": arrays.bigints,
    "wall_ms": arrays.bigints, "clock_source": arrays.smallints, "wall_uncertainty_ms": arrays.bigints,
}  # fmt: skip


def _insert(table: str, common: Sequence[str], columns: Iterable[str]) -> str:
    names = ", ".join(columns)
    sent = ", ".join(f"%({name})s" for name in columns)
    fixed = ", ".join(common)
    values = ", ".join(f"%({name})s" for name in common)
    # Only the constants above take part in the statement's text; every value is a parameter.
    return f"INSERT INTO {table} ({fixed}, {names}) SELECT {values}, new.* FROM unnest({sent}) AS new ({names})"  # noqa: S608


# What tells listeners is part of the statement: one less to send.
_INSERT_RESULTS = f"""
    WITH kept AS ({_insert("result", ("organisation_id", "hub_id", "received_at"), RESULT_COLUMNS)})
    SELECT pg_notify(%(channel)s, payload) FROM unnest(%(payloads)s) AS payload
""".encode()  # noqa: S608 - as above
_INSERT_EVENTS = _insert("reader_event", ("organisation_id", "received_at"), EVENT_COLUMNS).encode()


def insert_results(
    connection: Connection,
    organisation_id: UUID,
    hub_id: bytes,
    received_at: datetime,
    rows: Sequence[tuple[Any, ...]],
    payloads: Sequence[str],
) -> None:
    """Insert results; each row has its values in the order of `RESULT_COLUMNS`, `analytes` as JSON text.

    Listeners are told `payloads` at commit.
    """
    common = {
        "organisation_id": organisation_id,
        "hub_id": hub_id,
        "received_at": received_at,
        "channel": CHANNEL,
        "payloads": arrays.texts(payloads),
    }
    direct.tell(connection, _INSERT_RESULTS, {**common, **_columns(RESULT_COLUMNS, rows)})


def insert_events(
    connection: Connection, organisation_id: UUID, received_at: datetime, rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert events; each row has its values in the order of `EVENT_COLUMNS`, `numbers` as JSON text."""
    common = {"organisation_id": organisation_id, "received_at": received_at}
    direct.tell(connection, _INSERT_EVENTS, {**common, **_columns(EVENT_COLUMNS, rows)})


def _columns(columns: dict[str, Callable[[Sequence[Any]], Array]], rows: Sequence[tuple[Any, ...]]) -> dict[str, Array]:
    return {name: array(column) for (name, array), column in zip(columns.items(), zip(*rows, strict=True), strict=True)}


# Where a time is asked for: a reader, one of its boots, and an uptime in milliseconds.
Point = tuple[bytes, bytes, int]

# The visits nearest in uptime are the best anchors, but for a hub whose clock was off. However long a boot lasts and
# however often it is visited, few are looked at.
_NEAREST = 3
_ANCHORS = f"""
    SELECT point.reader_id, point.boot_id, point.at_ms, near.uptime_ms, near.hub_ms, near.uncertainty_ms,
           near.hub_posted_ms, (extract(epoch FROM near.received_at) * 1000)::bigint AS received_ms
    FROM unnest(%(reader_ids)s, %(boot_ids)s, %(at_ms)s) AS point (reader_id, boot_id, at_ms)
    CROSS JOIN LATERAL (
        (
            SELECT uptime_ms, hub_ms, uncertainty_ms, hub_posted_ms, received_at FROM sighting s
            WHERE s.reader_id = point.reader_id AND s.boot_id = point.boot_id AND s.uptime_ms >= point.at_ms
            ORDER BY s.uptime_ms LIMIT {_NEAREST}
        )
        UNION ALL
        (
            SELECT uptime_ms, hub_ms, uncertainty_ms, hub_posted_ms, received_at FROM sighting s
            WHERE s.reader_id = point.reader_id AND s.boot_id = point.boot_id AND s.uptime_ms < point.at_ms
            ORDER BY s.uptime_ms DESC LIMIT {_NEAREST}
        )
    ) AS near
""".encode()  # noqa: S608 - made of the constant above


def anchors(connection: Connection, points: Collection[Point]) -> Pending[dict[Point, list[Anchor]]]:
    """The hubs' visits nearest to each point, in that boot of that reader; a point without any is not in it."""
    parameters = {
        "reader_ids": arrays.byteas([reader_id for reader_id, _, _ in points]),
        "boot_ids": arrays.byteas([boot_id for _, boot_id, _ in points]),
        "at_ms": arrays.bigints([at_ms for _, _, at_ms in points]),
    }
    return direct.ask(connection, _ANCHORS, parameters, _read_anchors)


def _read_anchors(rows: Rows) -> dict[Point, list[Anchor]]:
    found: dict[Point, list[Anchor]] = {}
    for reader_id, boot_id, at_ms, *anchor in rows:
        found.setdefault((reader_id, boot_id, at_ms), []).append(Anchor(*anchor))
    return found


@dataclass(frozen=True, slots=True)
class Untimed:
    """A result whose time does not rest on an anchor yet."""

    id: UUID
    reader_id: bytes
    boot_id: bytes
    uptime_ms: int
    read_ms: int | None
    wall_ms: int | None
    clock_source: int
    wall_uncertainty_ms: int | None
    received_ms: int


# By boot, however few results there were when the plan was made: one by organisation would look at all that it has.
_UNTIMED = b"""
    SELECT id, boot.reader_id, boot.boot_id, uptime_ms, read_ms, wall_ms, clock_source, wall_uncertainty_ms, received_ms
    FROM unnest(%(reader_ids)s, %(boot_ids)s) AS boot (reader_id, boot_id)
    CROSS JOIN LATERAL (
        SELECT id, uptime_ms, read_ms, wall_ms, clock_source, wall_uncertainty_ms,
               (extract(epoch FROM received_at) * 1000)::bigint AS received_ms
        FROM result r
        WHERE r.reader_id = boot.reader_id AND r.boot_id = boot.boot_id AND r.time_basis <> 'anchor' LIMIT 10000
    ) AS waiting LIMIT 10000
"""


def untimed(connection: Connection, boots: Collection[tuple[bytes, bytes]]) -> Pending[list[Untimed]]:
    """Results of those (reader, boot)s whose time a new anchor may improve."""
    ordered = sorted(boots)
    parameters = {
        "reader_ids": arrays.byteas([reader for reader, _ in ordered]),
        "boot_ids": arrays.byteas([boot for _, boot in ordered]),
    }
    return direct.ask(connection, _UNTIMED, parameters, lambda cursor: [Untimed(*row) for row in cursor])


_SET_TIMES = b"""
    WITH better AS (
        UPDATE result SET tested_at = new.at, tested_uncertainty_ms = new.uncertainty_ms, time_basis = new.basis
        FROM unnest(%(ids)s, %(at)s, %(uncertainty_ms)s, %(basis)s) AS new (id, at, uncertainty_ms, basis)
        WHERE result.id = new.id
    )
    SELECT pg_notify(%(channel)s, payload) FROM unnest(%(payloads)s) AS payload
"""


def set_times(connection: Connection, times: Sequence[tuple[UUID, DerivedTime]], payloads: Sequence[str]) -> None:
    """Store better test times. Listeners are told `payloads` at commit."""
    parameters = {
        "ids": arrays.uuids([result_id for result_id, _ in times]),
        "at": arrays.moments([time.at for _, time in times]),
        "uncertainty_ms": arrays.bigints([time.uncertainty_ms for _, time in times]),
        "basis": arrays.texts([str(time.basis) for _, time in times]),
        "channel": CHANNEL,
        "payloads": arrays.texts(payloads),
    }
    direct.tell(connection, _SET_TIMES, parameters)


def notifications(organisation_id: UUID, ids: Sequence[UUID]) -> list[str]:
    """The payloads that tell of results: JSON {"organisation": id, "results": [id …]}, no patient data."""
    portions = (ids[at : at + NOTIFIED_AT_ONCE] for at in range(0, len(ids), NOTIFIED_AT_ONCE))
    return [
        json.dumps({"organisation": str(organisation_id), "results": [str(one) for one in portion]})
        for portion in portions
    ]


_NOTIFY = text("SELECT pg_notify(:channel, payload) FROM unnest(CAST(:payloads AS text[])) AS payload")


async def notify(connection: AsyncConnection, payloads: Sequence[str]) -> None:
    """Tell listeners at commit."""
    await connection.execute(_NOTIFY, {"channel": CHANNEL, "payloads": list(payloads)})


_UNRECOMPUTED = text(
    """
    SELECT r.id, r.reader_id, r.number, s.sealed, k.encrypted, p.pack
    FROM result r
    JOIN sealed_record s ON s.reader_id = r.reader_id AND s.number = r.number
    JOIN reader_key k ON k.reader_id = s.reader_id AND k.generation = s.generation
    LEFT JOIN assay_pack p
        ON p.organisation_id = r.organisation_id AND p.assay = r.assay AND p.version = r.assay_version
    WHERE r.organisation_id = (SELECT doorstep_organisation()) AND r.recomputed_at IS NULL
    LIMIT :portion FOR NO KEY UPDATE OF r SKIP LOCKED
    """
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A result that waits for recomputation, with its sealed record and the encrypted key that opens it.

    `pack` is the assay's of that very version where the organisation loaded it; None for one of the release or unknown.
    """

    id: UUID
    reader_id: bytes
    number: int
    sealed: bytes
    encrypted: bytes
    pack: bytes | None


async def take_unrecomputed(connection: AsyncConnection, portion: int) -> list[Waiting]:
    """Up to `portion` results that wait for recomputation and nobody else works on."""
    rows = await connection.execute(_UNRECOMPUTED, {"portion": portion})
    return [Waiting(*row) for row in rows]


_SET_RECOMPUTED = text(
    """
    UPDATE result SET recomputed_at = :at, recomputation = new.verdict,
        recomputed_outcome = new.outcome, recomputed_reason = new.reason
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:verdicts AS text[]), CAST(:outcomes AS smallint[]), CAST(:reasons AS smallint[])
    ) AS new (id, verdict, outcome, reason)
    WHERE result.id = new.id
    """
)


async def set_recomputed(
    connection: AsyncConnection, verdicts: Sequence[tuple[UUID, Recomputed]], at: datetime
) -> None:
    """Store what recomputation said."""
    await connection.execute(
        _SET_RECOMPUTED,
        {
            "at": at,
            "ids": [result_id for result_id, _ in verdicts],
            "verdicts": [str(one.verdict) for _, one in verdicts],
            "outcomes": [one.outcome for _, one in verdicts],
            "reasons": [one.reason for _, one in verdicts],
        },
    )


async def find(session: AsyncSession, result_id: UUID) -> Result | None:
    """The result of that id in the organisation that is entered."""
    return (await session.exec(select(Result).where(Result.id == result_id))).first()
