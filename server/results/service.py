"""Results: keeping what was understood, improving its time, and reading it - with the audit entry written first."""

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from server.audit import service as audit
from server.audit.service import Actor
from server.custody import opening
from server.database.direct import Connection, Pending
from server.followup import opening as follow_ups
from server.problems import NotFound
from server.quality import repository as quality
from server.readers.keys import Keyring
from server.results import repository, timing, trace
from server.results.models import Result
from server.results.record import Analyte, EventRecord, QcRecord, ResultRecord
from server.results.repository import Point, Untimed
from server.results.trace import CurveTrace, StripTrace

# A full offer is four statements: each costs little, and the database need not wait until all rows are made.
_INSERTED_AT_ONCE = 125

_text = json.encoder.encode_basestring_ascii


@dataclass(slots=True)  # made by the thousand, and a frozen one takes five times as long to make
class Understood:
    """A record that took its place and was understood."""

    reader_id: bytes
    number: int
    site_id: UUID
    content: ResultRecord | EventRecord | QcRecord


@dataclass(frozen=True, slots=True)
class Opened:
    """A result with what its sealed record holds besides: `trace` is None without one, or when it is damaged."""

    result: Result
    trace: StripTrace | CurveTrace | None


@dataclass(frozen=True, slots=True)
class Asked:
    """What `keep` must know, asked before it is known which results are new, so that nothing waits for it alone."""

    anchors: Pending[dict[Point, list[timing.Anchor]]]
    follow_up: follow_ups.Asked | None


def ask(connection: Connection, offered: Sequence[tuple[bytes, ResultRecord]]) -> Asked | None:
    """Ask what ties the times of those (reader, result)s to the hubs' clocks, and who follows up; None without any."""
    if not offered:
        return None
    anchors = repository.anchors(connection, {_point(reader_id, content) for reader_id, content in offered})
    return Asked(anchors, follow_ups.ask(connection, (content.outcome for _, content in offered)))


def keep(
    connection: Connection,
    organisation_id: UUID,
    hub_id: bytes,
    received_at: datetime,
    understood: Sequence[Understood],
    asked: Asked | None,
) -> None:
    """Insert results and events of one batch; `asked` is what `ask` gave for all the tests among them."""
    anchors: Mapping[Point, list[timing.Anchor]] = asked.anchors.result() if asked else {}
    results: list[tuple[Any, ...]] = []
    opened: list[follow_ups.New] = []
    events: list[tuple[Any, ...]] = []
    controls: list[tuple[Any, ...]] = []
    received_ms = int(received_at.timestamp() * 1000)

    def insert() -> None:
        payloads = repository.notifications(organisation_id, [row[0] for row in results])
        repository.insert_results(connection, organisation_id, hub_id, received_at, results, payloads)
        # The database writes them while the next are made here.
        connection.push()
        results.clear()

    for one in understood:
        content = one.content
        if isinstance(content, EventRecord):
            events.append(_event_row(one, content))
            continue
        if isinstance(content, QcRecord):
            anchored = anchors.get(_point(one.reader_id, content.test), ())
            controls.append(_control_row(one, content, _time(content.test, anchored, received_ms)))
            continue
        time = _time(content, anchors.get(_point(one.reader_id, content), ()), received_ms)
        result_id = _new_id(received_ms)
        results.append(_result_row(result_id, one, content, time))
        opened.append(follow_ups.New(result_id, one.site_id, content.assay, content.outcome))
        if len(results) == _INSERTED_AT_ONCE:
            insert()
    if results:
        insert()
    if opened:
        follow_ups.open_for(connection, organisation_id, received_at, opened, asked.follow_up if asked else None)
    if events:
        repository.insert_events(connection, organisation_id, received_at, events)
    if controls:
        quality.insert(connection, organisation_id, hub_id, received_at, controls)


def ask_untimed(connection: Connection, boots: Collection[tuple[bytes, bytes]]) -> Pending[list[Untimed]]:
    """Ask for results of those (reader, boot)s whose time may be improved by an anchor that is stored by now."""
    return repository.untimed(connection, boots)


def improve_times(connection: Connection, organisation_id: UUID, waiting: Sequence[Untimed]) -> None:
    """Derive the test times of those results anew."""
    if not waiting:
        return
    points = [(one.reader_id, one.boot_id, _near(_read_at(one.uptime_ms, one.read_ms))) for one in waiting]
    anchors = repository.anchors(connection, set(points)).result()
    better: list[tuple[UUID, timing.DerivedTime]] = []
    for one, point in zip(waiting, points, strict=True):
        time = timing.derive(
            uptime_ms=_read_at(one.uptime_ms, one.read_ms),
            recorded_ms=one.uptime_ms,
            wall_ms=one.wall_ms,
            clock_source=one.clock_source,
            wall_uncertainty_ms=one.wall_uncertainty_ms,
            received_ms=one.received_ms,
            anchors=anchors.get(point, ()),
        )
        if time.basis is timing.TimeBasis.ANCHOR:
            better.append((one.id, time))
    if better:
        payloads = repository.notifications(organisation_id, [result_id for result_id, _ in better])
        repository.set_times(connection, better, payloads)


async def read_patient_data(
    session: AsyncSession, keyring: Keyring, actor: Actor, organisation_id: UUID, purpose: str, result_id: UUID
) -> Opened:
    """A result and its trace, once the audit log says who reads it and why.

    The session must be bound to the organisation. Raises `NotFound` when the organisation has no such result, and the
    database's error when the entry cannot be written: nothing is read then.
    """
    await audit.record(
        session,
        organisation_id=organisation_id,
        actor=actor,
        action="result.read",
        purpose=purpose,
        subject_kind="result",
        subject=str(result_id),
    )
    result = await repository.find(session, result_id)
    if result is None:
        raise NotFound
    content = await opening.reopen(await session.connection(), keyring, result.reader_id, result.number)
    decoded: StripTrace | CurveTrace | None = None
    if isinstance(content, ResultRecord) and content.trace is not None:
        try:
            decoded = trace.decode(content.trace)
        except trace.TraceDamaged:
            # The result still stands as the reader gave it; `recomputation` says "failed" beside it.
            decoded = None
    return Opened(result, decoded)


def _new_id(at_ms: int) -> UUID:
    """An id that begins with its time (UUID version 7, RFC 9562 section 5.7) and is random in 74 bits.

    So new rows stand together in the index of ids; in random order each would touch a page of its own, and cost more
    the more there are.
    """
    bits = int.from_bytes(os.urandom(10), "big")
    return UUID(int=at_ms << 80 | 7 << 76 | (bits >> 62 & 0xFFF) << 64 | 2 << 62 | bits & (1 << 62) - 1)


def _point(reader_id: bytes, content: ResultRecord) -> Point:
    moment = content.moment
    return reader_id, moment.boot_id, _near(_read_at(moment.uptime_ms, content.read_ms))


def _read_at(uptime_ms: int, read_ms: int | None) -> int:
    """The uptime at which a test was read; that of its record where it was not."""
    return uptime_ms if read_ms is None else read_ms


# Tests of one hour look at the same anchors: over an hour two clocks part by 0.4 s, beside 5 s that a post may take.
_NEAR_MS = 3_600_000


def _near(uptime_ms: int) -> int:
    return uptime_ms // _NEAR_MS * _NEAR_MS


def _time(content: ResultRecord, anchors: Iterable[timing.Anchor], received_ms: int) -> timing.DerivedTime:
    moment = content.moment
    return timing.derive(
        uptime_ms=_read_at(moment.uptime_ms, content.read_ms),
        recorded_ms=moment.uptime_ms,
        wall_ms=moment.wall_ms,
        clock_source=moment.source,
        wall_uncertainty_ms=moment.uncertainty_ms,
        received_ms=received_ms,
        anchors=anchors,
    )


def _result_row(result_id: UUID, one: Understood, r: ResultRecord, time: timing.DerivedTime) -> tuple[Any, ...]:
    """The values of `repository.RESULT_COLUMNS`, in that order."""
    m = r.moment
    return (
        result_id, one.reader_id, one.number, one.site_id,
        r.specimen, r.assay, r.assay_version, r.lot, r.serial, r.operator, r.gtin, r.expiry, r.calibration,
        r.outcome, r.reason, r.algorithm, r.firmware, _analytes(r.analytes),
        m.boot_id, m.uptime_ms, m.wall_ms, m.source, m.uncertainty_ms, r.started_ms, r.due_ms, r.read_ms,
        time.at, time.uncertainty_ms, str(time.basis),
        r.ambient_cc, r.lowest_cc, r.highest_cc, r.battery_mv, r.checks,
    )  # fmt: skip


def _control_row(one: Understood, c: QcRecord, time: timing.DerivedTime) -> tuple[Any, ...]:
    """The values of `server.quality.repository.COLUMNS`, in that order."""
    r = c.test
    return (
        one.reader_id, one.number, one.site_id, c.material, c.material_lot, c.level, c.passed,
        r.assay, r.assay_version, r.lot, r.serial, r.operator, r.gtin, r.outcome, r.reason, r.algorithm, r.firmware,
        _analytes(r.analytes), time.at, time.uncertainty_ms, str(time.basis), r.checks,
    )  # fmt: skip


def _analytes(analytes: Sequence[Analyte]) -> str:
    """The analytes as JSON text. Written out, because one encoder a result would take longer than all the rest."""
    return f"[{','.join(map(_analyte, analytes))}]"


def _analyte(a: Analyte) -> str:
    value, error = ("null" if number is None else str(number) for number in (a.value, a.error))
    unit = "null" if a.unit is None else _text(a.unit)
    beyond = f',"beyond":{a.beyond}' if a.beyond else ""
    return (
        f'{{"name":{_text(a.name)},"outcome":{a.outcome},"reason":{a.reason},'
        f'"value":{value},"unit":{unit},"error":{error}{beyond}}}'
    )


def _event_row(one: Understood, e: EventRecord) -> tuple[Any, ...]:
    """The values of `repository.EVENT_COLUMNS`, in that order."""
    m = e.moment
    return (
        one.reader_id, one.number, e.code, e.detail, json.dumps(e.numbers), e.firmware,
        m.boot_id, m.uptime_ms, m.wall_ms, m.source, m.uncertainty_ms,
    )  # fmt: skip
