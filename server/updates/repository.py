"""SQL of rollouts and their readers, within the organisation that is entered."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from server.updates.models import Rollout
from server.updates.release_repository import Release, releases
from server.updates.waves import SILENT, Candidate, Standing

LISTED, READERS = 50, 1_000

# Those that it is known to run on, by what they sealed themselves, would refuse it: their last word of any event, or
# that they confirmed this release or a later one.
_CANDIDATES = text(
    """
    SELECT r.reader_id, coalesce(c.heard_at, r.enrolled_at) < CAST(:heard_after AS timestamptz)
    FROM reader r JOIN custody c ON c.reader_id = r.reader_id
    WHERE r.organisation_id = (SELECT doorstep_organisation()) AND r.revoked_at IS NULL
      AND :version IS DISTINCT FROM (
          SELECT e.firmware FROM reader_event e WHERE e.reader_id = r.reader_id ORDER BY e.number DESC LIMIT 1
      )
      AND NOT EXISTS (
          SELECT FROM reader_event e
          WHERE e.reader_id = r.reader_id AND e.code IN (2, 8) AND e.code = 8
            AND e.numbers -> 1 = '4' AND e.numbers -> 0 >= to_jsonb(CAST(:release AS bigint))
      )
    """
)


async def candidates(session: AsyncSession, found: Release, at: datetime) -> list[Candidate]:
    """The organisation's readers that are not revoked and not known to run that release or a later one."""
    parameters = {"version": found.version, "release": found.release, "heard_after": at - SILENT}
    return [Candidate(*row) for row in await (await session.connection()).execute(_CANDIDATES, parameters)]


_UNDER_WAY = text(
    """
    SELECT id FROM rollout
    WHERE organisation_id = (SELECT doorstep_organisation()) AND state IN ('running', 'paused')
    """
)


async def under_way(session: AsyncSession) -> UUID | None:
    """The rollout of the organisation that is running or paused."""
    return (await (await session.connection()).execute(_UNDER_WAY)).scalar_one_or_none()


_LATEST = text(
    """
    SELECT id FROM rollout WHERE organisation_id = (SELECT doorstep_organisation())
    ORDER BY started_at DESC, id DESC LIMIT 1
    """
)


async def latest(session: AsyncSession) -> UUID | None:
    """The rollout of the organisation that was started last."""
    return (await (await session.connection()).execute(_LATEST)).scalar_one_or_none()


# Stopped ones as well, while readers are left that must be told to forget it.
_TO_GO_ON_WITH = text(
    """
    SELECT o.id FROM rollout o
    WHERE o.organisation_id = (SELECT doorstep_organisation()) AND (
        o.state = 'running'
        OR o.state = 'stopped' AND EXISTS (SELECT FROM rollout_reader m WHERE m.rollout_id = o.id AND m.active)
    )
    """
)


async def to_go_on_with(session: AsyncSession) -> list[UUID]:
    """Rollouts that the jobs have something to do for."""
    return [row[0] for row in await (await session.connection()).execute(_TO_GO_ON_WITH)]


async def take(session: AsyncSession, rollout_id: UUID) -> Rollout | None:
    """The rollout, locked for this transaction: whoever changes it or sends for it goes after whoever did."""
    query = select(Rollout).where(col(Rollout.id) == rollout_id).with_for_update()
    return (await session.exec(query.execution_options(populate_existing=True))).first()


_WENT_BACK = text("SELECT EXISTS (SELECT FROM server_epoch WHERE began_at > :at)")


async def history_went_back(session: AsyncSession, at: datetime) -> bool:
    """Whether the server's history may have gone back since, to a backup in which later decisions are missing."""
    return bool((await (await session.connection()).execute(_WENT_BACK, {"at": at})).scalar_one())


_PUT_READERS = text(
    """
    INSERT INTO rollout_reader (rollout_id, reader_id, organisation_id, wave, stage, changed_at, detail, active)
    SELECT :rollout_id, reader_id, :organisation_id, wave, 'waiting', :at, '', true
    FROM unnest(CAST(:readers AS bytea[]), CAST(:waves AS smallint[])) AS new (reader_id, wave)
    ORDER BY reader_id
    """
)


async def put_readers(session: AsyncSession, rollout: Rollout, waves: Mapping[bytes, int]) -> None:
    """Put readers in their waves. Raises `IntegrityError` for a reader of another rollout that is under way."""
    await (await session.connection()).execute(
        _PUT_READERS,
        {
            "rollout_id": rollout.id,
            "organisation_id": rollout.organisation_id,
            "at": rollout.started_at,
            "readers": list(waves),
            "waves": list(waves.values()),
        },
    )


_UNSENT = text(
    """
    SELECT m.reader_id FROM rollout_reader m JOIN reader r ON r.reader_id = m.reader_id
    WHERE m.rollout_id = :rollout_id AND m.stage = 'waiting' AND m.wave <= :wave AND r.revoked_at IS NULL
    ORDER BY m.reader_id LIMIT :most
    """
)


async def unsent(session: AsyncSession, rollout: Rollout, most: int) -> list[bytes]:
    """Readers of the waves that are opened which were not sent the update."""
    parameters = {"rollout_id": rollout.id, "wave": rollout.wave, "most": most}
    return [bytes(row[0]) for row in await (await session.connection()).execute(_UNSENT, parameters)]


_SENT = text(
    """
    UPDATE rollout_reader m SET stage = 'sent', number = new.number, changed_at = :at,
        after_record = (SELECT issued_to FROM custody c WHERE c.reader_id = m.reader_id)
    FROM unnest(CAST(:readers AS bytea[]), CAST(:numbers AS bigint[])) AS new (reader_id, number)
    WHERE m.rollout_id = :rollout_id AND m.reader_id = new.reader_id
    """
)


async def sent(session: AsyncSession, rollout_id: UUID, numbers: Mapping[bytes, int], at: datetime) -> None:
    """Note the commands that were queued; the custody of those readers must be locked."""
    parameters = {"rollout_id": rollout_id, "readers": list(numbers), "numbers": list(numbers.values()), "at": at}
    await (await session.connection()).execute(_SENT, parameters)


_UNSTOPPED = text(
    """
    SELECT m.reader_id FROM rollout_reader m JOIN reader r ON r.reader_id = m.reader_id
    WHERE m.rollout_id = :rollout_id AND m.active AND m.stage IN ('sent', 'awaited', 'whole')
      AND r.revoked_at IS NULL
    ORDER BY m.reader_id LIMIT :most
    """
)


async def unstopped(session: AsyncSession, rollout_id: UUID, most: int) -> list[bytes]:
    """Readers of a stopped rollout that have not begun to run it and were not told to forget it."""
    parameters = {"rollout_id": rollout_id, "most": most}
    return [bytes(row[0]) for row in await (await session.connection()).execute(_UNSTOPPED, parameters)]


_STOPPED = text(
    """
    UPDATE rollout_reader m SET stop_number = new.number, active = false, changed_at = :at
    FROM unnest(CAST(:readers AS bytea[]), CAST(:numbers AS bigint[])) AS new (reader_id, number)
    WHERE m.rollout_id = :rollout_id AND m.reader_id = new.reader_id
    """
)


async def stopped(session: AsyncSession, rollout_id: UUID, numbers: Mapping[bytes, int], at: datetime) -> None:
    """Note the commands that tell readers to forget it: they may be in another rollout from now on."""
    parameters = {"rollout_id": rollout_id, "readers": list(numbers), "numbers": list(numbers.values()), "at": at}
    await (await session.connection()).execute(_STOPPED, parameters)


_LET_GO = text(
    """
    UPDATE rollout_reader m SET active = false FROM reader r
    WHERE m.rollout_id = :rollout_id AND m.active AND r.reader_id = m.reader_id
      AND (m.stage NOT IN ('sent', 'awaited', 'whole') OR r.revoked_at IS NOT NULL)
    """
)


async def let_go(session: AsyncSession, rollout_id: UUID) -> None:
    """Its readers may be in another rollout, but for those that would have to be told to forget it first.

    Told later, they would forget what the other rollout had sent them meanwhile.
    """
    await (await session.connection()).execute(_LET_GO, {"rollout_id": rollout_id})


# What a reader journalled since somebody looked at it: that it went back, else that it refused, else a fault since its
# trial began.
_BAD = """
    CASE WHEN m.stage IN ('went-back', 'refused') AND (m.excused_record IS NULL OR m.record > m.excused_record)
         THEN m.stage
         WHEN m.trial_record IS NOT NULL AND EXISTS (
             SELECT FROM reader_event e
             WHERE e.reader_id = m.reader_id AND e.code IN (2, 8) AND e.code = 2
               AND e.number > greatest(m.trial_record, m.excused_record)
         ) THEN 'faulty' END
"""
_LAST_FAULT = """
    (SELECT max(e.number) FROM reader_event e
     WHERE e.reader_id = m.reader_id AND e.code IN (2, 8) AND e.code = 2 AND e.number > m.trial_record)
"""
_STANDINGS = text(
    f"""
    SELECT wave, count(*) FILTER (WHERE counted) AS readers,
           count(*) FILTER (WHERE counted AND stage = 'waiting') AS unsent,
           count(*) FILTER (WHERE counted AND open) AS open,
           count(*) FILTER (WHERE counted AND open AND silent) AS silent,
           count(*) FILTER (WHERE stage = 'confirmed') AS confirmed,
           count(*) FILTER (WHERE bad = 'went-back') AS went_back,
           count(*) FILTER (WHERE bad = 'refused') AS refused,
           count(*) FILTER (WHERE bad = 'faulty') AS faulty,
           count(*) FILTER (WHERE bad IS NULL AND excused_record IS NOT NULL) AS excused
    FROM (
        SELECT m.wave, m.stage, m.excused_record, {_BAD} AS bad,
               m.stage IN ('sent', 'awaited', 'whole', 'started') AS open,
               r.revoked_at IS NULL OR m.stage NOT IN ('waiting', 'sent', 'awaited', 'whole', 'started') AS counted,
               coalesce(c.heard_at, r.enrolled_at) < CAST(:heard_after AS timestamptz) AS silent
        FROM rollout_reader m
        JOIN reader r ON r.reader_id = m.reader_id
        JOIN custody c ON c.reader_id = m.reader_id
        WHERE m.rollout_id = :rollout_id
    ) AS one
    GROUP BY wave
    """  # noqa: S608 - made of the constant above
)


async def standings(session: AsyncSession, rollout: Rollout, at: datetime) -> list[Standing]:
    """How the readers of every wave stand."""
    rows = await (await session.connection()).execute(
        _STANDINGS, {"rollout_id": rollout.id, "heard_after": at - SILENT}
    )
    found = {row[0]: Standing(*row[1:]) for row in rows}
    return [found.get(wave, Standing(0)) for wave in range(1 + len(rollout.shares))]


@dataclass(frozen=True, slots=True)
class Listed:
    """A rollout with the release that it is of."""

    rollout: Rollout
    release: Release


async def listed(
    session: AsyncSession,
    rollout_id: UUID | None = None,
    *,
    before: tuple[datetime, UUID] | None = None,
    most: int = LISTED,
) -> list[Listed]:
    """The organisation's rollouts, the newest first, at most so many; or that one. `before` is a place in the order."""
    query = select(Rollout).order_by(col(Rollout.started_at).desc(), col(Rollout.id).desc()).limit(most)
    if rollout_id is not None:
        query = query.where(col(Rollout.id) == rollout_id)
    if before is not None:
        query = query.where(tuple_(col(Rollout.started_at), col(Rollout.id)) < before)
    found = (await session.exec(query)).all()
    by_id = {one.image_id: one for one in await releases(session)} if found else {}
    return [Listed(one, by_id[one.image_id]) for one in found]


@dataclass(frozen=True, slots=True)
class Member:
    """A reader of a rollout. `faulty` when it journalled a fault after the update, `excused` when what it did was
    looked at; `heard_at` is when something new was heard of it last."""

    reader_id: bytes
    name: str
    site: str
    wave: int
    stage: str
    detail: str
    changed_at: datetime
    revoked: bool
    told_to_stop: bool
    excused: bool
    faulty: bool
    heard_at: datetime | None


_READERS = text(
    f"""
    SELECT r.reader_id, r.name, s.name, m.wave, m.stage, m.detail, m.changed_at, r.revoked_at IS NOT NULL,
           m.stop_number IS NOT NULL, m.excused_record IS NOT NULL AND ({_BAD}) IS NULL, {_LAST_FAULT} IS NOT NULL,
           c.heard_at
    FROM rollout_reader m
    JOIN reader r ON r.reader_id = m.reader_id
    JOIN site s ON s.id = r.site_id
    JOIN custody c ON c.reader_id = m.reader_id
    WHERE m.rollout_id = :rollout_id AND (
        CAST(:reader_id AS bytea) IS NULL
        OR (m.wave, m.reader_id) > (CAST(:wave AS smallint), CAST(:reader_id AS bytea))
    )
    ORDER BY m.wave, m.reader_id LIMIT :most
    """  # noqa: S608 - made of the constants above
)


async def readers(
    session: AsyncSession, rollout_id: UUID, after: tuple[int, bytes] | None = None, most: int = READERS
) -> list[Member]:
    """The readers of a rollout by wave, those `after` a place (wave, reader) where it is given, at most so many."""
    wave, reader_id = after or (None, None)
    parameters = {"rollout_id": rollout_id, "wave": wave, "reader_id": reader_id, "most": most}
    return [Member(*row) for row in await (await session.connection()).execute(_READERS, parameters)]


_EXCUSE = text(
    f"""
    UPDATE rollout_reader m SET excused_record = greatest(coalesce(m.record, 0), {_LAST_FAULT})
    WHERE m.rollout_id = :rollout_id AND ({_BAD}) IS NOT NULL
    """  # noqa: S608 - made of the constants above
)


async def excuse(session: AsyncSession, rollout_id: UUID) -> int:
    """What readers journalled so far counts against no limit any more; of how many something did."""
    return (await (await session.connection()).execute(_EXCUSE, {"rollout_id": rollout_id})).rowcount


_TELL_LEADS = text(
    """
    INSERT INTO rollout_notice (rollout_id, paused_at, account_id, organisation_id, tries, retry_at)
    SELECT :rollout_id, :at, id, organisation_id, 0, :at FROM account
    WHERE organisation_id = (SELECT doorstep_organisation()) AND role = 'lead' AND active
    ON CONFLICT DO NOTHING
    """
)


async def tell_leads(session: AsyncSession, rollout_id: UUID, at: datetime) -> None:
    """Everybody who is a lead now is to be told that it was paused."""
    await (await session.connection()).execute(_TELL_LEADS, {"rollout_id": rollout_id, "at": at})
