"""Chains the audit log: every minute what was written is sealed by a digest over it and over the seal before.

To chain each entry as it is written would make the readers of one organisation wait for each other. So entries carry
the transaction that wrote them, and a seal covers every transaction that had surely ended: none can come in behind it
later, be changed or be taken away without the digests telling. A digest noted elsewhere (an auditor's notebook, a
second machine) tells even of a log whose end was cut off or that was written anew.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from server.audit.models import AuditEntry, AuditSeal

_PORTION = 5_000
# One at a time may seal an organisation's log. Any number that nothing else in this database locks.
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('audit ' || :organisation, 0))")
_NOW = text("SELECT doorstep_epoch(), (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` found. `broken` is the id of the first seal that its entries do not bear, None when all hold.

    `head` is the digest of the last seal, hexadecimal; `expected` whether the digest asked for is one of them.
    """

    seals: int
    entries: int
    unsealed: int
    broken: int | None
    head: str
    expected: bool | None

    @property
    def whole(self) -> bool:
        return self.broken is None and self.expected is not False


async def seal(session: AsyncSession, organisation_id: UUID) -> int:
    """Seal what has surely been written since the last seal; how many entries. The session is bound to it."""
    connection = await session.connection()
    await connection.execute(_LOCK, {"organisation": str(organisation_id)})
    epoch, horizon = (await connection.execute(_NOW)).one()
    last = await _last(session)
    begins = last.to_xact if last is not None and last.epoch == epoch else 0
    if begins >= horizon:
        return 0
    count, digest = await _digest(session, epoch, begins, horizon, last.digest if last else b"")
    if not count:
        return 0
    session.add(
        AuditSeal(
            organisation_id=organisation_id,
            epoch=epoch,
            from_xact=begins,
            to_xact=horizon,
            entries=count,
            digest=digest,
        )
    )
    await session.flush()
    return count


async def verify(session: AsyncSession, expected: bytes | None = None) -> Verdict:
    """Compute every seal of the organisation anew, in order."""
    before, broken, entries, seals, seen = b"", None, 0, 0, expected is None
    reached: dict[int, int] = {}
    async for one in _seals(session):
        count, digest = await _digest(session, one.epoch, one.from_xact, one.to_xact, before)
        follows = one.from_xact == reached.get(one.epoch, 0)
        if broken is None and (count != one.entries or digest != one.digest or not follows):
            broken = one.id
        before, entries, seals = one.digest, entries + one.entries, seals + 1
        reached[one.epoch] = one.to_xact
        seen = seen or one.digest == expected
    total = (await PlainSession.execute(session, select(func.count()).select_from(AuditEntry))).scalar_one()
    return Verdict(seals, entries, total - entries, broken, before.hex(), None if expected is None else seen)


async def _digest(session: AsyncSession, epoch: int, begins: int, ends: int, before: bytes) -> tuple[int, bytes]:
    """(how many entries, digest over them) of those transactions."""
    running, count, after = hashlib.sha256(before), 0, 0
    while True:
        statement = (
            select(AuditEntry)
            .where(
                col(AuditEntry.epoch) == epoch,
                col(AuditEntry.xact) >= begins,
                col(AuditEntry.xact) < ends,
                col(AuditEntry.id) > after,
            )
            .order_by(col(AuditEntry.id))
            .limit(_PORTION)
        )
        found = list((await PlainSession.execute(session, statement)).scalars())
        for line in _lines(found):
            running.update(len(line).to_bytes(4, "big") + line)
        count += len(found)
        if len(found) < _PORTION:
            return count, running.digest()
        after = found[-1].id or 0
        session.expunge_all()


def _lines(entries: Iterable[AuditEntry]) -> Iterable[bytes]:
    for one in entries:
        yield json.dumps(
            [
                one.id, one.at.isoformat(timespec="microseconds"), one.actor_kind, one.actor, one.action, one.purpose,
                one.subject_kind, one.subject, one.detail, one.epoch, one.xact,
            ],
            sort_keys=True,
            separators=(",", ":"),
        ).encode()  # fmt: skip


async def _last(session: AsyncSession) -> AuditSeal | None:
    statement = select(AuditSeal).order_by(col(AuditSeal.id).desc()).limit(1)
    return (await PlainSession.execute(session, statement)).scalar_one_or_none()


async def _seals(session: AsyncSession) -> AsyncIterator[AuditSeal]:
    after = 0
    while True:
        statement = select(AuditSeal).where(col(AuditSeal.id) > after).order_by(col(AuditSeal.id)).limit(500)
        found = list((await PlainSession.execute(session, statement)).scalars())
        for one in found:
            yield one
        if len(found) < 500:
            return
        after = found[-1].id or 0
