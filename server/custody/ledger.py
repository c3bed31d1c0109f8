"""The custody ledger: for each reader how far its chain is held, what is missing, and a proof that it is whole.

The proof reads every sealed record of a reader, hashes it anew and follows the chain; it trusts no column that it can
compute. Of a record that was erased, the hash is all that is left: it counts where an erasure's own row says the same,
and the record after it, or how far custody is held, bears it out.
"""

import hashlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel.ext.asyncio.session import AsyncSession

from reader import wire
from server.custody import cose

_PORTION = 1_000


@dataclass(frozen=True, slots=True)
class Line:
    """One reader. Counts are of records.

    issued          the highest number of any authentic record
    claimed         the highest number that any hub says the reader has issued: a claim, and no custody
    held            1 … held are all here and chained
    released        how far hubs say that the reader has let go, never beyond `held`
    gaps            numbers not held below the highest that is
    undelivered     the oldest number issued, or claimed to be, and not held; None when there is none
    waiting_since   when that was first known here
    last_heard      when a new authentic record last came
    last_contact    when a hub last saw it, by that hub's word
    quality         how many of the records are quality-control tests, which are nobody's results
    failing         assays whose last quality-control test of some level failed
    """

    reader_id: str
    name: str
    issued: int
    claimed: int
    held: int
    released: int
    gaps: int
    conflicts: int
    quarantined: int
    forked: bool
    revoked: bool
    undelivered: int | None
    waiting_since: datetime | None
    last_heard: datetime | None
    last_contact: datetime | None
    quality: int = 0
    failing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proof:
    """What following one reader's chain found. `whole`: 1 to `held` follow each other, hash by hash.

    `erased` of them are there by their hashes alone, because what was in them was erased by rule or for a person.
    """

    reader_id: str
    held: int
    chain: str
    whole: bool
    broken_at: int | None
    broken_why: str | None
    erased: int = 0


_LEDGER = text(
    """
    SELECT r.reader_id, r.name, r.seen_at, r.revoked_at IS NOT NULL AS revoked, c.heard_at,
           c.issued_to, c.held_to, c.released_to, c.forked_at IS NOT NULL AS forked,
           coalesce(claim.next_number - 1, 0) AS claimed_to, least(above.since, waits.received_at) AS since,
           coalesce(above.highest - c.held_to - above.held, 0) AS gaps,
           coalesce(q.conflicts, 0) AS conflicts, coalesce(q.quarantined, 0) AS quarantined,
           (SELECT count(*) FROM quality_test t WHERE t.reader_id = r.reader_id) AS quality,
           ARRAY(
               SELECT DISTINCT t.assay FROM quality_test t
               WHERE t.reader_id = r.reader_id AND NOT t.passed AND NOT EXISTS (
                   SELECT FROM quality_test later
                   WHERE later.reader_id = t.reader_id AND later.assay = t.assay AND later.level = t.level
                     AND later.number > t.number
               )
               ORDER BY t.assay
           ) AS failing
    FROM reader r
    JOIN custody c USING (reader_id)
    LEFT JOIN LATERAL (
        SELECT max(number) AS highest, count(*) AS held, min(received_at) AS since FROM sealed_record s
        WHERE s.reader_id = r.reader_id AND s.number > c.held_to
    ) above ON true
    LEFT JOIN LATERAL (
        SELECT next_number FROM sighting s WHERE s.reader_id = r.reader_id ORDER BY next_number DESC LIMIT 1
    ) claim ON true
    LEFT JOIN LATERAL (
        SELECT received_at FROM sighting s WHERE s.reader_id = r.reader_id AND s.next_number > c.held_to + 1
        ORDER BY next_number LIMIT 1
    ) waits ON true
    LEFT JOIN LATERAL (
        SELECT count(*) FILTER (WHERE code = 'conflict') AS conflicts,
               count(*) FILTER (WHERE code <> 'conflict') AS quarantined
        FROM quarantine WHERE quarantine.reader_id = r.reader_id AND status = 'open'
    ) q ON true
    WHERE (CAST(:reader_id AS bytea) IS NULL OR r.reader_id = :reader_id)
      AND (CAST(:last_id AS bytea) IS NULL OR (r.name, r.reader_id) > (CAST(:last_name AS text), :last_id))
    ORDER BY r.name, r.reader_id LIMIT CAST(:most AS bigint)
    """
)


async def ledger(
    session: AsyncSession,
    reader_id: bytes | None = None,
    *,
    after: tuple[str, bytes] | None = None,
    most: int | None = None,
) -> list[Line]:
    """A line a reader of the organisation that is entered, or of one reader; by name, then id.

    `after` begins behind the reader of that name and id; `most` lines, or all.
    """
    last_name, last_id = after or (None, None)
    parameters = {"reader_id": reader_id, "last_name": last_name, "last_id": last_id, "most": most}
    rows = await (await session.connection()).execute(_LEDGER, parameters)
    return [_line(row) for row in rows]


def _line(row: Any) -> Line:
    waits = max(row.issued_to, row.claimed_to) > row.held_to
    return Line(
        reader_id=bytes(row.reader_id).hex(),
        name=row.name,
        issued=row.issued_to,
        claimed=row.claimed_to,
        held=row.held_to,
        released=row.released_to,
        gaps=row.gaps,
        conflicts=row.conflicts,
        quarantined=row.quarantined,
        forked=row.forked,
        revoked=row.revoked,
        undelivered=row.held_to + 1 if waits else None,
        waiting_since=row.since if waits else None,
        last_heard=row.heard_at,
        last_contact=row.seen_at,
        quality=row.quality,
        failing=tuple(row.failing),
    )


async def prove(session: AsyncSession, reader_id: bytes) -> Proof:
    """Follow the chain of one reader from its first record; see `Proof`."""
    chain = cose.first_previous(reader_id)
    held_to, held_hash = await _held_to(session, reader_id)
    held = erased = 0
    async for kept in _records(await session.connection(), reader_id, held_to):
        number = kept.number
        try:
            link = _link_of_erased(kept) if not kept.sealed else _link(reader_id, kept)
        except _Amiss as error:
            return _broken(reader_id, held, chain, number, str(error))
        missing = number - held - 1
        if missing and await _declared_damaged(session, reader_id, held + 1, number - 1) == missing:
            chain, held = link.previous, number - 1
        if number != held + 1:
            return _broken(reader_id, held, chain, held + 1, f"number {held + 1} is not there")
        if link.previous != chain:
            return _broken(reader_id, held, chain, number, f"number {number} does not follow number {held}")
        chain, held, erased = link.hash, number, erased + link.erased
    if held != held_to:
        return _broken(reader_id, held, chain, held + 1, f"{held_to} are said to be held, {held} are there")
    if chain != held_hash:
        return _broken(reader_id, held, chain, held, f"number {held} is not the one that was taken into custody")
    return Proof(reader_id.hex(), held, chain.hex(), True, None, None, erased)


@dataclass(frozen=True, slots=True)
class _Link:
    previous: bytes
    hash: bytes
    erased: bool


class _Amiss(Exception):
    """What is kept is not what it should be; the text says why."""


def _link(reader_id: bytes, kept: Any) -> _Link:
    """What the bytes themselves say of their place. Raises `_Amiss`."""
    sealed = bytes(kept.sealed)
    try:
        header = cose.parse(sealed)
    except cose.Unsealable as error:
        raise _Amiss(error.sentence) from None
    if header.reader_id != reader_id or header.number != kept.number:
        raise _Amiss(f"what is kept as number {kept.number} is another record")
    return _Link(header.previous, hashlib.sha256(sealed).digest()[: wire.HASH_BYTES], False)


def _link_of_erased(kept: Any) -> _Link:
    """What is left of a record that was erased. Raises `_Amiss` where no erasure says that it was."""
    if kept.erased is None:
        raise _Amiss(f"the bytes of number {kept.number} are gone, and no erasure says why")
    if bytes(kept.erased) != bytes(kept.chain_hash):
        raise _Amiss(f"the hash of number {kept.number} is not the one that was erased")
    return _Link(bytes(kept.previous), bytes(kept.chain_hash), True)


def _broken(reader_id: bytes, held: int, chain: bytes, at: int, why: str) -> Proof:
    return Proof(reader_id.hex(), held, chain.hex(), False, at, why)


async def _held_to(session: AsyncSession, reader_id: bytes) -> tuple[int, bytes]:
    """How far custody says that the chain is held, and its hash there."""
    statement = text("SELECT held_to, held_hash FROM custody WHERE reader_id = :reader_id")
    found = (await (await session.connection()).execute(statement, {"reader_id": reader_id})).one_or_none()
    return (0, cose.first_previous(reader_id)) if found is None else (int(found.held_to), bytes(found.held_hash))


_DAMAGED = text(
    """
    SELECT count(DISTINCT (numbers ->> 0)::bigint) FROM reader_event
    WHERE reader_id = :reader_id AND code = :code AND (numbers ->> 0)::bigint BETWEEN :first AND :last
    """
)


async def _declared_damaged(session: AsyncSession, reader_id: bytes, first: int, last: int) -> int:
    """How many of those numbers the reader itself has declared damaged."""
    named = {"reader_id": reader_id, "code": wire.EVENT_RECORD_DAMAGED, "first": first, "last": last}
    return int((await (await session.connection()).execute(_DAMAGED, named)).scalar_one())


# The previous hash is in the sealed bytes; the column beside them is only an index of it, and is read of erased ones.
_SEALED = text(
    """
    SELECT s.number, s.sealed, s.previous, s.chain_hash, e.chain_hash AS erased
    FROM sealed_record s LEFT JOIN erased_record e ON e.reader_id = s.reader_id AND e.number = s.number
    WHERE s.reader_id = :reader_id AND s.number > :above AND s.number <= :held_to ORDER BY s.number LIMIT :portion
    """
)


async def _records(connection: AsyncConnection, reader_id: bytes, held_to: int) -> AsyncGenerator[Any]:
    """Rows of `_SEALED`, in order."""
    above = 0
    while True:
        parameters = {"reader_id": reader_id, "above": above, "held_to": held_to, "portion": _PORTION}
        rows = (await connection.execute(_SEALED, parameters)).all()
        for row in rows:
            yield row
            above = row.number
        if len(rows) < _PORTION:
            return
