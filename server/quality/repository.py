"""SQL of quality control: keeping its tests, and how each reader stood with each assay and lot."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel.ext.asyncio.session import AsyncSession

from server.database import arrays, direct
from server.database.arrays import Array
from server.database.direct import Connection
from server.results.recomputation import Recomputed

# Columns that differ from row to row, and how each is sent: one array each.
COLUMNS: dict[str, Callable[[Sequence[Any]], Array]] = {
    "reader_id": arrays.byteas, "number": arrays.bigints, "site_id": arrays.uuids, "material": arrays.texts,
    "material_lot": arrays.texts, "level": arrays.texts, "passed": arrays.booleans, "assay": arrays.texts,
    "assay_version": arrays.bigints, "lot": arrays.texts, "serial": arrays.texts, "operator": arrays.texts,
    "gtin": arrays.texts, "outcome": arrays.smallints, "reason": arrays.smallints, "algorithm": arrays.texts,
    "firmware": arrays.texts, "analytes": arrays.documents, "tested_at": arrays.moments,
    "tested_uncertainty_ms": arrays.bigints, "time_basis": arrays.texts, "checks": arrays.bigints,
}  # fmt: skip
_NAMES = ", ".join(COLUMNS)
_INSERT = (
    f"INSERT INTO quality_test (organisation_id, hub_id, received_at, {_NAMES})"  # noqa: S608 - constants only
    f" SELECT %(organisation_id)s, %(hub_id)s, %(received_at)s, new.*"
    f" FROM unnest({', '.join(f'%({name})s' for name in COLUMNS)}) AS new ({_NAMES})"
).encode()


def insert(
    connection: Connection,
    organisation_id: UUID,
    hub_id: bytes,
    received_at: datetime,
    rows: Sequence[tuple[Any, ...]],
) -> None:
    """Insert quality-control tests; each row has its values in the order of `COLUMNS`, `analytes` as JSON text."""
    columns = zip(COLUMNS.items(), zip(*rows, strict=True), strict=True)
    parameters = {name: array(column) for (name, array), column in columns}
    common = {"organisation_id": organisation_id, "hub_id": hub_id, "received_at": received_at}
    direct.tell(connection, _INSERT, {**common, **parameters})


@dataclass(frozen=True, slots=True)
class LevelTest:
    """The last quality-control test of one level, of a reader, an assay and a lot of it."""

    reader_id: bytes
    reader: str
    site: str
    assay: str
    assay_version: int
    lot: str | None
    level: str
    passed: bool
    number: int
    outcome: int
    reason: int
    material: str
    material_lot: str | None
    tested_at: datetime | None
    received_at: datetime
    recomputation: str | None


_LEVEL = """q.reader_id, r.name AS reader, s.name AS site, q.assay, q.assay_version, q.lot, q.level, q.passed, q.number,
           q.outcome, q.reason, q.material, q.material_lot, q.tested_at, q.received_at, q.recomputation"""

# The last of each level, by the reader's own order; a level is judged by its last test only.
_BEFORE = text(
    f"""
    SELECT DISTINCT ON (q.reader_id, q.assay, q.lot, q.level) {_LEVEL}
    FROM quality_test q
    JOIN reader r ON r.reader_id = q.reader_id
    JOIN site s ON s.id = q.site_id
    WHERE q.organisation_id = (SELECT doorstep_organisation())
      AND q.reader_id = :reader_id AND q.assay = :assay AND q.number < :before
    ORDER BY q.reader_id, q.assay, q.lot, q.level, q.number DESC
    LIMIT 500
    """  # noqa: S608 - constants only
)


async def latest_before(session: AsyncSession, reader_id: bytes, assay: str, before: int) -> list[LevelTest]:
    """The last test of each level of that assay on that reader, of records before number `before`; at most 500."""
    parameters = {"reader_id": reader_id, "assay": assay, "before": before}
    return [LevelTest(*row) for row in await (await session.connection()).execute(_BEFORE, parameters)]


# Whole groups of reader, assay and lot, so that no level of one is missing. What needs somebody is never cut off by
# what does not.
_OVERVIEW = text(
    f"""
    WITH last AS (
        SELECT DISTINCT ON (q.reader_id, q.assay, q.lot, q.level) {_LEVEL}
        FROM quality_test q
        JOIN reader r ON r.reader_id = q.reader_id
        JOIN site s ON s.id = q.site_id
        WHERE q.organisation_id = (SELECT doorstep_organisation())
        ORDER BY q.reader_id, q.assay, q.lot, q.level, q.number DESC
    ), grouped AS (
        SELECT reader_id, assay, lot, reader, bool_or(NOT passed) AS failed,
               bool_or(passed AND coalesce(recomputation IN ('differs', 'failed'), false)) AS doubted
        FROM last GROUP BY reader_id, assay, lot, reader
    ), chosen AS (
        SELECT *, row_number() OVER (
            ORDER BY failed DESC, doubted DESC, reader, reader_id, assay, lot NULLS FIRST
        ) AS place, count(*) OVER () AS groups
        FROM grouped
    )
    SELECT c.groups, l.* FROM chosen c JOIN last l ON l.reader_id = c.reader_id AND l.assay = c.assay
        AND l.lot IS NOT DISTINCT FROM c.lot
    WHERE c.place <= :most ORDER BY c.place, l.level
    """  # noqa: S608 - constants only
)


async def overview(session: AsyncSession, most: int) -> tuple[int, list[LevelTest]]:
    """How many groups of reader, assay and lot there are, and the last test of each level of at most `most` of them:
    those with a failure first, then those in doubt, then by name."""
    rows = list(await (await session.connection()).execute(_OVERVIEW, {"most": most}))
    return (rows[0][0] if rows else 0), [LevelTest(*row[1:]) for row in rows]


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the list of readers with each assay and lot: behind those of that test, which is never removed."""

    reader_id: bytes
    number: int

    def text(self) -> str:
        return f"{self.reader_id.hex()} {self.number}"

    @classmethod
    def parse(cls, text: str) -> "Place":
        """What `text` wrote."""
        reader_id, _, number = text.partition(" ")
        return cls(bytes.fromhex(reader_id), int(number))

    @classmethod
    def of(cls, one: LevelTest) -> "Place":
        return cls(one.reader_id, one.number)


# A reader's name as it is now is where the list goes on. A lot that is not known comes before every other.
_PAGE = text(
    """
    WITH held AS (
        SELECT q.*, r.name AS reader, coalesce('=' || q.lot, '') AS lot_text
        FROM quality_test q JOIN reader r ON r.reader_id = q.reader_id
        WHERE q.organisation_id = (SELECT doorstep_organisation())
    ), chosen AS (
        SELECT DISTINCT reader, reader_id, assay, lot_text FROM held
        WHERE CAST(:number AS bigint) IS NULL OR (reader, reader_id, assay, lot_text) > (
            SELECT reader, reader_id, assay, lot_text FROM held WHERE reader_id = :reader_id AND number = :number
        )
        ORDER BY reader, reader_id, assay, lot_text LIMIT :limit
    )
    SELECT DISTINCT ON (h.reader, h.reader_id, h.assay, h.lot_text, h.level)
           h.reader_id, h.reader, s.name AS site, h.assay, h.assay_version, h.lot, h.level, h.passed, h.number,
           h.outcome, h.reason, h.material, h.material_lot, h.tested_at, h.received_at, h.recomputation
    FROM held h JOIN chosen USING (reader, reader_id, assay, lot_text) JOIN site s ON s.id = h.site_id
    ORDER BY h.reader, h.reader_id, h.assay, h.lot_text, h.level, h.number DESC
    """
)


async def page(session: AsyncSession, after: Place | None, most: int) -> list[LevelTest]:
    """The last test of each level, of at most so many readers with an assay and a lot, by the reader's name."""
    parameters = {
        "reader_id": after.reader_id if after else None,
        "number": after.number if after else None,
        "limit": most,
    }
    return [LevelTest(*row) for row in await (await session.connection()).execute(_PAGE, parameters)]


@dataclass(frozen=True, slots=True)
class Wanting:
    """An assay on a reader that a level of quality control speaks against now: it failed, or it is in doubt."""

    reader: str
    assay: str
    failed: bool


# As the reader itself: a level is judged by its last test, whichever lot that was of.
_WANTING = text(
    """
    SELECT r.name AS reader, q.assay, bool_or(NOT q.passed) AS failed
    FROM quality_test q
    JOIN reader r ON r.reader_id = q.reader_id
    WHERE q.organisation_id = (SELECT doorstep_organisation()) AND r.revoked_at IS NULL
      AND (NOT q.passed OR q.recomputation IN ('differs', 'failed'))
      AND NOT EXISTS (
          SELECT FROM quality_test later
          WHERE later.organisation_id = q.organisation_id AND later.reader_id = q.reader_id
            AND later.assay = q.assay AND later.level = q.level AND later.number > q.number
      )
    GROUP BY r.reader_id, r.name, q.assay ORDER BY r.name, r.reader_id, q.assay LIMIT 100
    """
)


async def wanting(session: AsyncSession) -> list[Wanting]:
    """What quality control speaks against now, by reader and assay; readers that are revoked are left out."""
    return [Wanting(*row) for row in await (await session.connection()).execute(_WANTING)]


@dataclass(frozen=True, slots=True)
class SameCassette:
    """Another test, on whichever reader, that names the same cassette. `result_id` is None for quality control."""

    reader_id: bytes
    reader: str
    number: int
    result_id: UUID | None


# No index serves IS NOT DISTINCT FROM: by it every cassette of the product was looked at. So a lot that is not known is
# asked for apart.
_SAME = text(
    """
    WITH asked AS (
        SELECT reader_id, number, gtin, lot, serial FROM result WHERE id = :result_id AND serial IS NOT NULL
    ), found AS (
        SELECT r.reader_id, r.number, r.id AS result_id FROM asked a JOIN result r
          ON r.organisation_id = (SELECT doorstep_organisation())
         AND r.gtin = a.gtin AND r.lot = a.lot AND r.serial = a.serial
        UNION ALL
        SELECT r.reader_id, r.number, r.id FROM asked a JOIN result r
          ON r.organisation_id = (SELECT doorstep_organisation())
         AND r.gtin = a.gtin AND r.lot IS NULL AND a.lot IS NULL AND r.serial = a.serial
        UNION ALL
        SELECT q.reader_id, q.number, NULL FROM asked a JOIN quality_test q
          ON q.organisation_id = (SELECT doorstep_organisation())
         AND q.gtin = a.gtin AND q.lot = a.lot AND q.serial = a.serial
        UNION ALL
        SELECT q.reader_id, q.number, NULL FROM asked a JOIN quality_test q
          ON q.organisation_id = (SELECT doorstep_organisation())
         AND q.gtin = a.gtin AND q.lot IS NULL AND a.lot IS NULL AND q.serial = a.serial
    )
    SELECT f.reader_id, reader.name AS reader, f.number, f.result_id
    FROM found f JOIN reader USING (reader_id)
    WHERE NOT EXISTS (SELECT FROM asked a WHERE a.reader_id = f.reader_id AND a.number = f.number)
    ORDER BY f.reader_id, f.number LIMIT 20
    """
)


async def same_cassette(session: AsyncSession, result_id: UUID) -> list[SameCassette]:
    """Every other test that used the cassette of this result: its GTIN, lot and serial. At most 20."""
    rows = await (await session.connection()).execute(_SAME, {"result_id": result_id})
    return [SameCassette(*row) for row in rows]


_UNRECOMPUTED = text(
    """
    SELECT q.reader_id, q.number, s.sealed, k.encrypted, p.pack
    FROM quality_test q
    JOIN sealed_record s ON s.reader_id = q.reader_id AND s.number = q.number
    JOIN reader_key k ON k.reader_id = s.reader_id AND k.generation = s.generation
    LEFT JOIN assay_pack p
        ON p.organisation_id = q.organisation_id AND p.assay = q.assay AND p.version = q.assay_version
    WHERE q.organisation_id = (SELECT doorstep_organisation()) AND q.recomputed_at IS NULL
    LIMIT :portion FOR NO KEY UPDATE OF q SKIP LOCKED
    """
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A quality-control test that waits for recomputation; as `server.results.repository.Waiting`."""

    reader_id: bytes
    number: int
    sealed: bytes
    encrypted: bytes
    pack: bytes | None


async def take_unrecomputed(connection: AsyncConnection, portion: int) -> list[Waiting]:
    """Up to `portion` tests that wait for recomputation and nobody else works on."""
    return [Waiting(*row) for row in await connection.execute(_UNRECOMPUTED, {"portion": portion})]


_SET_RECOMPUTED = text(
    """
    UPDATE quality_test SET recomputed_at = :at, recomputation = new.verdict,
        recomputed_outcome = new.outcome, recomputed_reason = new.reason
    FROM unnest(
        CAST(:readers AS bytea[]), CAST(:numbers AS bigint[]),
        CAST(:verdicts AS text[]), CAST(:outcomes AS smallint[]), CAST(:reasons AS smallint[])
    ) AS new (reader_id, number, verdict, outcome, reason)
    WHERE quality_test.reader_id = new.reader_id AND quality_test.number = new.number
    """
)


async def set_recomputed(
    connection: AsyncConnection, verdicts: Sequence[tuple[Waiting, Recomputed]], at: datetime
) -> None:
    """Store what recomputation said."""
    await connection.execute(
        _SET_RECOMPUTED,
        {
            "at": at,
            "readers": [one.reader_id for one, _ in verdicts],
            "numbers": [one.number for one, _ in verdicts],
            "verdicts": [str(said.verdict) for _, said in verdicts],
            "outcomes": [said.outcome for _, said in verdicts],
            "reasons": [said.reason for _, said in verdicts],
        },
    )


_READERS = text(
    """
    SELECT reader_id FROM reader
    WHERE organisation_id = (SELECT doorstep_organisation()) AND revoked_at IS NULL ORDER BY reader_id
    """
)


async def readers(session: AsyncSession) -> list[bytes]:
    """Every reader of the organisation that is entered and is not revoked."""
    return [bytes(row.reader_id) for row in await (await session.connection()).execute(_READERS)]
