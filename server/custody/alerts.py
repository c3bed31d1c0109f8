"""Custody alerts: a gap, a fork, a reader silent too long. Found from what is held, cleared only by what resolves them.

What a hub says of a reader takes no part: a hub that means harm can neither raise an alert nor hide one. A reader is
silent when no new authentic record of it has come; one that is visited journals the clock that it is given each day, so
that even without a test something is heard of it.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from server.audit import service as audit
from server.audit.service import Actor
from server.custody.models import AlertKind
from server.database.columns import now
from server.problems import Problem

SILENT_HOURS = 168
"""The default policy: a week."""
SILENT_HOURS_MAX = 8_784


class SilenceUnusable(Problem):
    """The policy is out of range."""

    status = 422
    code = "silence-unusable"
    title = "That is not a number of hours that can be used"


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert; open while `cleared_at` is None. `number` is the first record in question, None for a silent reader."""

    id: int
    reader_id: str
    reader: str
    kind: str
    number: int | None
    since: datetime
    raised_at: datetime
    cleared_at: datetime | None
    sentence: str

    def as_json(self) -> dict[str, Any]:
        """For a program: times as ISO 8601 with their zone."""
        return {
            name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(self).items()
        }


# A gap is resolved once the record is held or its reader declares it damaged; a fork once nothing of it is open in
# quarantine, or the reader is revoked; a silence once something new is heard, or the reader is revoked.
_WRONG = """
    WITH wrong AS MATERIALIZED (
        SELECT c.reader_id, 'gap' AS kind, c.held_to + 1 AS number, later.received_at AS since
        FROM custody c
        CROSS JOIN LATERAL (
            SELECT s.number, s.received_at FROM sealed_record s
            WHERE s.reader_id = c.reader_id AND s.number > c.held_to ORDER BY s.number LIMIT 1
        ) AS later
        WHERE c.issued_to > c.held_to AND later.number > c.held_to + 1
        UNION ALL
        SELECT r.reader_id, 'fork', min(q.number), min(q.received_at)
        FROM quarantine q JOIN reader r ON r.reader_id = q.reader_id
        WHERE q.status = 'open' AND q.code IN ('conflict', 'fork') AND r.revoked_at IS NULL
        GROUP BY r.reader_id
        UNION ALL
        SELECT r.reader_id, 'silent', NULL, coalesce(c.heard_at, r.enrolled_at)
        FROM reader r JOIN custody c ON c.reader_id = r.reader_id
        WHERE r.revoked_at IS NULL
          AND coalesce(c.heard_at, r.enrolled_at) < CAST(:at AS timestamptz) - make_interval(hours => :silent_hours)
    )
"""
_SAME = "a.reader_id = w.reader_id AND a.kind = w.kind AND (a.kind <> 'gap' OR a.number = w.number)"
_CLEAR = text(
    f"""
    {_WRONG}
    UPDATE custody_alert a SET cleared_at = :at
    WHERE a.cleared_at IS NULL AND NOT EXISTS (SELECT FROM wrong w WHERE {_SAME})
    """  # noqa: S608 - made of the constants above
)
_RAISE = text(
    f"""
    {_WRONG}
    INSERT INTO custody_alert (organisation_id, reader_id, kind, number, since, raised_at)
    SELECT CAST(:organisation_id AS uuid), reader_id, kind, number, since, :at FROM wrong w
    WHERE NOT EXISTS (SELECT FROM custody_alert a WHERE a.cleared_at IS NULL AND {_SAME})
    ON CONFLICT (organisation_id, reader_id, kind) WHERE cleared_at IS NULL DO NOTHING
    """  # noqa: S608 - made of the constants above
)


async def review(session: AsyncSession, organisation_id: UUID) -> None:
    """Clear what is resolved and raise what is new, in the organisation that the session has entered."""
    connection = await session.connection()
    at = now()
    parameters = {"at": at, "silent_hours": await silence(session)}
    # Two statements: a gap that is filled may have another behind it, and a reader has one open alert of a kind.
    await connection.execute(_CLEAR, parameters)
    await connection.execute(_RAISE, {**parameters, "organisation_id": organisation_id})


_OPEN = text(
    """
    SELECT a.id, a.reader_id, r.name, a.kind, a.number, a.since, a.raised_at, a.cleared_at
    FROM custody_alert a JOIN reader r ON r.reader_id = a.reader_id
    WHERE (a.cleared_at IS NULL OR :cleared) AND (CAST(:reader_id AS bytea) IS NULL OR a.reader_id = :reader_id)
        AND (CAST(:last_id AS bigint) IS NULL
            OR (a.cleared_at IS NULL, a.raised_at, a.id)
                < (CAST(:last_open AS boolean), CAST(:last_at AS timestamptz), CAST(:last_id AS bigint)))
    ORDER BY a.cleared_at IS NULL DESC, a.raised_at DESC, a.id DESC LIMIT :most
    """
)
LISTED_MAX = 1_000


async def listed(
    session: AsyncSession,
    reader_id: bytes | None = None,
    *,
    cleared: bool = False,
    after: tuple[bool, datetime, int] | None = None,
    most: int = LISTED_MAX,
) -> list[Alert]:
    """Open alerts, newest first, at most so many; behind them those that are `cleared`, where they are wanted.

    `after` is a place in that order: whether the alert there was open, when it was raised, its id.
    """
    last_open, last_at, last_id = after or (None, None, None)
    place = {"last_open": last_open, "last_at": last_at, "last_id": last_id}
    parameters = {"reader_id": reader_id, "cleared": cleared, "most": most, **place}
    rows = await (await session.connection()).execute(_OPEN, parameters)
    return [
        Alert(
            row.id,
            bytes(row.reader_id).hex(),
            row.name,
            row.kind,
            row.number,
            row.since,
            row.raised_at,
            row.cleared_at,
            _sentence(row.kind, row.number),
        )
        for row in rows
    ]


def _sentence(kind: str, number: int | None) -> str:
    match kind:
        case AlertKind.GAP:
            return (
                f"Record {number:,} is missing: later records came. Bring a hub to the reader; it still has the record"
                " until it gets a receipt for it."
            )
        case AlertKind.FORK:
            return (
                f"Two records claim place {number:,}: two readers may share one key. Take the reader out of use, and"
                " see the quarantine."
            )
        case _:
            return (
                "Nothing new has come from this reader. Find out where it is, and bring a hub to it; revoke it if lost."
            )


_SILENCE = text("SELECT silent_hours FROM custody_policy")


async def silence(session: AsyncSession) -> int:
    """Hours without a new record after which a reader of the organisation that is entered is alarmed."""
    found = (await (await session.connection()).execute(_SILENCE)).scalar_one_or_none()
    return SILENT_HOURS if found is None else int(found)


_SET_SILENCE = text(
    """
    INSERT INTO custody_policy (organisation_id, silent_hours, changed_at) VALUES (:organisation_id, :hours, :at)
    ON CONFLICT (organisation_id) DO UPDATE SET silent_hours = excluded.silent_hours, changed_at = excluded.changed_at
    """
)


async def set_silence(session: AsyncSession, organisation_id: UUID, hours: int, actor: Actor) -> None:
    """Change the policy. Raises `SilenceUnusable`."""
    if not 1 <= hours <= SILENT_HOURS_MAX:
        raise SilenceUnusable(f"Give 1 to {SILENT_HOURS_MAX:,} hours.")
    await audit.record(
        session,
        organisation_id=organisation_id,
        actor=actor,
        action="custody.set-policy",
        subject_kind="custody-policy",
        subject="silence",
        detail={"silent_hours": hours},
    )
    await (await session.connection()).execute(
        _SET_SILENCE, {"organisation_id": organisation_id, "hours": hours, "at": now()}
    )
