"""What the exchange does for updates: stages from what readers journalled, and how many await an image.

A stage is read anew from all that is held of its reader each time that something of it arrives: by the reader's own
numbers, not by when a record came, so that records late, out of order or processed again end in the same stage.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from reader import wire
from server.database import arrays, direct
from server.database.direct import Connection, Pending
from server.results.record import EventRecord


def concerned(events: Iterable[tuple[bytes, object]]) -> set[bytes]:
    """Which readers journalled something of an update, among the contents of (reader, content)s."""
    return {reader_id for reader_id, content in events if isinstance(content, EventRecord) and _of_update(content)}


def _of_update(event: EventRecord) -> bool:
    if event.code == wire.EVENT_UPDATE:
        return True
    return event.code == wire.EVENT_DOWN_APPLIED and event.numbers[1:2] == (wire.DOWN_UPDATE,)


# Stages by their number on the wire, from 1. A command that was taken and not refused is awaited, whether or not the
# event that says so is here yet.
_FOLLOW = b"""
    UPDATE rollout_reader m SET
        stage = new.stage, record = new.record, trial_record = new.trial_record, detail = new.detail,
        changed_at = %(at)s
    FROM (
        SELECT m.rollout_id, m.reader_id, last.record, trial.record AS trial_record,
               coalesce(last.stage, CASE WHEN c.refusal IS NOT NULL THEN 'refused'
                                         WHEN c.taken_at IS NOT NULL THEN 'awaited' ELSE 'sent' END) AS stage,
               coalesce(last.detail, CASE WHEN c.refusal IS NOT NULL THEN 'error ' || c.refusal END, '') AS detail
        FROM unnest(%(reader_ids)s) AS named (reader_id)
        JOIN rollout_reader m ON m.reader_id = named.reader_id AND m.number IS NOT NULL
        JOIN command c ON c.reader_id = m.reader_id AND c.number = m.number
        JOIN rollout o ON o.id = m.rollout_id
        JOIN firmware_release f ON f.image_id = o.image_id
        LEFT JOIN LATERAL (
            SELECT e.number AS record, e.detail, (
                CAST('{awaited,whole,started,confirmed,went-back,refused,dropped}' AS text[])
            )[CAST(e.numbers ->> 1 AS integer)] AS stage
            FROM reader_event e
            WHERE e.reader_id = m.reader_id AND e.code IN (2, 8) AND e.code = 8 AND e.number > m.after_record
              AND e.numbers -> 0 = to_jsonb(f.release)
              AND e.numbers -> 1 IN ('1', '2', '3', '4', '5', '6', '7')
            ORDER BY e.number DESC LIMIT 1
        ) AS last ON true
        LEFT JOIN LATERAL (
            SELECT min(e.number) AS record FROM reader_event e
            WHERE e.reader_id = m.reader_id AND e.code IN (2, 8) AND e.code = 8 AND e.number > m.after_record
              AND e.numbers -> 0 = to_jsonb(f.release) AND e.numbers -> 1 = '3'
        ) AS trial ON true
    ) AS new
    WHERE m.rollout_id = new.rollout_id AND m.reader_id = new.reader_id
      AND (m.stage, m.record, m.trial_record, m.detail)
          IS DISTINCT FROM (new.stage, new.record, new.trial_record, new.detail)
"""


def follow(connection: Connection, reader_ids: Collection[bytes], at: datetime) -> None:
    """Bring the stages of those readers to what their records say; the records' events must have been kept before.

    The custody of the readers must be locked.
    """
    direct.tell(connection, _FOLLOW, {"reader_ids": arrays.byteas(sorted(reader_ids)), "at": at})


AWAITING = "m.active AND m.stage IN ('sent', 'awaited')"
"""Of a `rollout_reader m` whose rollout is running: its reader awaits the image."""

_AWAITING = f"""
    SELECT count(*) FROM rollout o
    JOIN rollout_reader m ON m.rollout_id = o.id AND {AWAITING}
    JOIN reader r ON r.reader_id = m.reader_id AND r.revoked_at IS NULL
    WHERE o.organisation_id = %(organisation_id)s AND o.state IN ('running', 'paused') AND o.state = 'running'
""".encode()  # noqa: S608 - made of the constant above


def awaiting(connection: Connection, organisation_id: UUID) -> Pending[int]:
    """How many readers of the organisation that is entered await an image."""
    parameters = {"organisation_id": organisation_id}
    return direct.ask(connection, _AWAITING, parameters, lambda rows: rows.fetchall()[0][0])
