"""What calls about quality control answer."""

from datetime import datetime
from uuid import UUID

from server.api.shapes import Hexadecimal, OutcomeName, Shape, reason_of
from server.quality.repository import LevelTest, SameCassette
from server.quality.service import Standing, State
from server.results.recomputation import Recomputation


class LevelShape(Shape):
    """The last quality-control test of one level."""

    level: str
    passed: bool
    number: int
    outcome: OutcomeName
    reason: str
    material: str
    material_lot: str | None
    tested_at: datetime | None
    received_at: datetime
    recomputation: Recomputation | None


class StandingShape(Shape):
    """What the last tests of every level come to; "none" when there was none."""

    standing: Standing
    levels: list[LevelShape]


class ReaderStanding(Shape):
    """How one reader stands with one assay and lot."""

    reader_id: Hexadecimal
    reader: str
    site: str
    assay: str
    lot: str | None
    standing: Standing
    levels: list[LevelShape]


class QualityControl(Shape):
    """A page of readers with each assay and lot, by the reader's name; `next_cursor` is null at the end."""

    items: list[ReaderStanding]
    next_cursor: str | None


class SameCassetteShape(Shape):
    """Another test that names the same cassette; `result` is null for quality control."""

    reader_id: Hexadecimal
    reader: str
    number: int
    result: UUID | None


def standing(state: State) -> StandingShape:
    return StandingShape(standing=state.standing, levels=[_level(one) for one in state.levels])


def reader_standing(state: State) -> ReaderStanding:
    """How a reader stands; there is a level at least."""
    first = state.levels[0]
    return ReaderStanding(
        reader_id=first.reader_id.hex(),
        reader=first.reader,
        site=first.site,
        assay=first.assay,
        lot=first.lot,
        standing=state.standing,
        levels=[_level(one) for one in state.levels],
    )


def same_cassette(one: SameCassette) -> SameCassetteShape:
    return SameCassetteShape(reader_id=one.reader_id.hex(), reader=one.reader, number=one.number, result=one.result_id)


def _level(one: LevelTest) -> LevelShape:
    return LevelShape(
        level=one.level,
        passed=one.passed,
        number=one.number,
        outcome=OutcomeName.of(one.outcome),
        reason=reason_of(one.reason),
        material=one.material,
        material_lot=one.material_lot,
        tested_at=one.tested_at,
        received_at=one.received_at,
        recomputation=Recomputation(one.recomputation) if one.recomputation else None,
    )
