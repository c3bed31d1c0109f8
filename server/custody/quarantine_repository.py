"""SQL of quarantine: what is in it, what came of each attempt to process it, and what is held but was never read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from server.audit.service import Actor
from server.database import arrays, direct
from server.database.direct import Connection


@dataclass(frozen=True, slots=True)
class Item:
    """A quarantined item with its bytes."""

    id: int
    hub_id: bytes
    code: str
    sentence: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one item: its id, the code "processed" or the problem that stays, and a sentence."""

    id: int
    code: str
    sentence: str


_TAKE_OPEN = b"""
    SELECT id, hub_id, code, sentence, content FROM quarantine
    WHERE status = 'open' AND id > %(above)s ORDER BY id LIMIT %(limit)s FOR UPDATE
"""


def take_open(connection: Connection, above: int, limit: int) -> list[Item]:
    """Open items beyond an id, in the order they came, locked for this transaction."""
    parameters = {"above": above, "limit": limit}
    return direct.ask(connection, _TAKE_OPEN, parameters, lambda cursor: [Item(*row) for row in cursor]).result()


_NOTE = b"""
    WITH attempt AS (
        SELECT * FROM unnest(%(ids)s, %(codes)s, %(sentences)s) AS made (id, code, sentence)
    ),
    left_it AS (
        UPDATE quarantine SET status = 'processed', processed_at = %(at)s
        FROM attempt WHERE quarantine.id = attempt.id AND attempt.code = %(processed)s
    )
    INSERT INTO quarantine_attempt (organisation_id, quarantine_id, at, actor_kind, actor, code, sentence)
    SELECT %(organisation_id)s, id, %(at)s, %(actor_kind)s, %(actor)s, code, sentence FROM attempt ORDER BY id
"""


def note(
    connection: Connection,
    organisation_id: UUID,
    at: datetime,
    actor: Actor,
    attempts: Sequence[Attempt],
    processed: str,
) -> None:
    """Write down every attempt; items whose code is `processed` leave quarantine."""
    parameters = {
        "organisation_id": organisation_id,
        "at": at,
        "actor_kind": actor.kind,
        "actor": actor.name,
        "processed": processed,
        "ids": arrays.bigints([one.id for one in attempts]),
        "codes": arrays.texts([one.code for one in attempts]),
        "sentences": arrays.texts([one.sentence for one in attempts]),
    }
    direct.tell(connection, _NOTE, parameters)


_UNINTERPRETED = b"""
    SELECT reader_id, number FROM unnest(%(reader_ids)s, %(numbers)s) AS held (reader_id, number)
    WHERE NOT EXISTS (SELECT FROM result r WHERE r.reader_id = held.reader_id AND r.number = held.number)
      AND NOT EXISTS (SELECT FROM reader_event e WHERE e.reader_id = held.reader_id AND e.number = held.number)
      AND NOT EXISTS (SELECT FROM quality_test t WHERE t.reader_id = held.reader_id AND t.number = held.number)
      AND NOT EXISTS (SELECT FROM erased_record x WHERE x.reader_id = held.reader_id AND x.number = held.number)
"""


def uninterpreted(connection: Connection, places: Sequence[tuple[bytes, int]]) -> set[tuple[bytes, int]]:
    """Which of those (reader, number)s have no row of what is in them, and were not erased."""
    if not places:
        return set()
    parameters = {
        "reader_ids": arrays.byteas([reader_id for reader_id, _ in places]),
        "numbers": arrays.bigints([number for _, number in places]),
    }
    asked = direct.ask(connection, _UNINTERPRETED, parameters, lambda cursor: {(row[0], row[1]) for row in cursor})
    return asked.result()


@dataclass(frozen=True, slots=True)
class Listed:
    """A quarantined item as people see it; its bytes stay where they are. The last attempt, where there was one."""

    id: int
    code: str
    sentence: str
    reader_id: bytes | None
    reader: str | None
    number: int | None
    hub: str
    received_at: datetime
    size: int
    digest: bytes
    attempts: int
    tried_at: datetime | None
    tried_code: str | None
    tried_sentence: str | None


_LISTED = text(
    """
    SELECT q.id, q.code, q.sentence, q.reader_id, r.name AS reader, q.number, h.name AS hub, q.received_at,
           length(q.content) AS size, q.digest, coalesce(tries.many, 0) AS attempts, tried.at AS tried_at,
           tried.code AS tried_code, tried.sentence AS tried_sentence
    FROM quarantine q
    JOIN hub h ON h.hub_id = q.hub_id
    LEFT JOIN reader r ON r.reader_id = q.reader_id
    LEFT JOIN LATERAL (SELECT count(*) AS many FROM quarantine_attempt a WHERE a.quarantine_id = q.id) AS tries ON true
    LEFT JOIN LATERAL (
        SELECT at, code, sentence FROM quarantine_attempt a WHERE a.quarantine_id = q.id ORDER BY id DESC LIMIT 1
    ) AS tried ON true
    WHERE q.status = 'open' AND (CAST(:before AS bigint) IS NULL OR q.id < :before)
    ORDER BY q.id DESC LIMIT :most
    """
)


async def listed(session: AsyncSession, most: int, before: int | None = None) -> list[Listed]:
    """Open items, newest first, at most so many, before an id if one is given."""
    rows: Any = await (await session.connection()).execute(_LISTED, {"before": before, "most": most})
    return [Listed(*row) for row in rows]
