"""The one statement of the cascade board: counts and times of positives, by site, by assay and in all."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from reader import outcome as outcomes


@dataclass(frozen=True, slots=True)
class Times:
    """Median and 90th percentile of the time from a result's arrival; None where none has come so far."""

    median: timedelta | None
    slow: timedelta | None


@dataclass(frozen=True, slots=True)
class Cascade:
    """How many of the positives of a site (or of an assay, or of all) have come how far, and how long it took."""

    site: str | None
    assay: str | None
    positive: int
    acknowledged: int
    contacted: int
    ended: int
    overdue: int
    to_acknowledged: Times
    to_contacted: Times
    to_ended: Times


# Along ix_result_worklist: positives of an organisation by the time of their arrival.
_CASCADE = text(
    """
    WITH positive AS (
        SELECT r.site_id, r.assay, f.due_at,
            extract(epoch FROM f.acknowledged_at - r.received_at) AS acknowledged,
            extract(epoch FROM f.contacted_at - r.received_at) AS contacted,
            extract(epoch FROM f.ended_at - r.received_at) AS ended
        FROM result AS r LEFT JOIN follow_up AS f ON f.result_id = r.id
        WHERE r.organisation_id = :organisation AND r.outcome = :positive
            AND r.received_at >= :start AND r.received_at < :finish
    ), cascade AS (
        SELECT grouping(site_id) AS no_site, grouping(assay) AS no_assay, site_id, assay,
            count(*) AS positive, count(acknowledged) AS acknowledged, count(contacted) AS contacted,
            count(ended) AS ended, count(*) FILTER (WHERE due_at < :now) AS overdue,
            percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY acknowledged) AS to_acknowledged,
            percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY contacted) AS to_contacted,
            percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY ended) AS to_ended
        FROM positive GROUP BY GROUPING SETS ((), (site_id), (assay))
    )
    SELECT site.name, c.assay, c.positive, c.acknowledged, c.contacted, c.ended, c.overdue,
        c.to_acknowledged, c.to_contacted, c.to_ended
    FROM cascade AS c LEFT JOIN site ON site.id = c.site_id
    ORDER BY c.no_site DESC, c.no_assay DESC, site.name, c.assay
    """
)


async def cascade(
    session: AsyncSession, organisation_id: UUID, start: datetime, finish: datetime, now: datetime
) -> list[Cascade]:
    """The cascade of what arrived from `start` and before `finish`: of all first, then by assay, then by site.

    Of all is there even when nothing arrived.
    """
    values = {
        "organisation": organisation_id,
        "positive": outcomes.POSITIVE,
        "start": start,
        "finish": finish,
        "now": now,
    }
    rows = (await (await session.connection()).execute(_CASCADE, values)).all()
    return [Cascade(*row[:7], *(_times(row[at]) for at in (7, 8, 9))) for row in rows]


def _times(pair: list[float | None] | None) -> Times:
    """Seconds as durations; a reader's clock has no part in these, so none is negative but by a moment."""
    median, slow = (None if one is None else timedelta(seconds=max(0.0, float(one))) for one in pair or (None, None))
    return Times(median, slow)
