"""How a reader stood with quality control when it did a test, and how all readers stand now."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sqlmodel.ext.asyncio.session import AsyncSession

from server.quality import repository
from server.quality.repository import LevelTest, Place, SameCassette
from server.results.models import Result
from server.results.recomputation import Recomputation


class Standing(StrEnum):
    """What the last tests of every level come to."""

    PASSED = "passed"
    FAILED = "failed"
    IN_DOUBT = "in-doubt"
    """None failed, but recomputed from its trace one that passed says something else, or its trace cannot be read."""
    NONE = "none"
    """There is no quality-control test on record."""


@dataclass(frozen=True, slots=True)
class State:
    """How one reader stands, or stood, with one assay and lot: the last test of each level, in the order of names."""

    standing: Standing
    levels: tuple[LevelTest, ...]

    @property
    def last(self) -> LevelTest | None:
        """The newest of them."""
        return max(self.levels, key=lambda one: one.number, default=None)


@dataclass(frozen=True, slots=True)
class Beside:
    """What quality control says beside one result: of its own lot, of every lot of the assay, and of its cassette."""

    lot: State
    assay: State
    same_cassette: list[SameCassette]


def state(levels: Iterable[LevelTest]) -> State:
    """What the last tests come to: one that failed is a failure, whatever the others say."""
    kept = tuple(levels)
    if not kept:
        return State(Standing.NONE, ())
    if not all(one.passed for one in kept):
        return State(Standing.FAILED, kept)
    return State(Standing.IN_DOUBT if any(doubted(one) for one in kept) else Standing.PASSED, kept)


def doubted(one: LevelTest) -> bool:
    """Whether its trace does not bear out what the reader said of it."""
    return one.recomputation in (Recomputation.DIFFERS, Recomputation.FAILED)


async def beside(session: AsyncSession, result: Result) -> Beside:
    """How that reader stood when it did this test.

    Records of a reader are numbered in the order of its tests, so what was so at the test is what the records before
    it say: no clock is asked.
    """
    found = await repository.latest_before(session, result.reader_id, result.assay, result.number)
    newest: dict[str, LevelTest] = {}
    for one in found:
        if one.level not in newest or one.number > newest[one.level].number:
            newest[one.level] = one
    return Beside(
        state(one for one in found if one.lot == result.lot),
        state(newest[level] for level in sorted(newest)),
        await repository.same_cassette(session, result.id),
    )


OVERVIEW_MAX = 200


async def overview(session: AsyncSession) -> tuple[list[State], int]:
    """How readers stand now with each assay and lot: failures first, then what is in doubt; and how many more there are
    than the 200 that are shown."""
    groups, levels = await repository.overview(session, OVERVIEW_MAX)
    states = _grouped(levels)
    return states, groups - len(states)


async def standings(session: AsyncSession, after: Place | None, most: int) -> list[State]:
    """How readers stand now with each assay and lot, by the reader's name, behind a place; at most so many."""
    return _grouped(await repository.page(session, after, most))


def _grouped(tests: Iterable[LevelTest]) -> list[State]:
    """One state of each reader, assay and lot, in the order in which they come."""
    groups: dict[tuple[bytes, str, str | None], list[LevelTest]] = {}
    for one in tests:
        groups.setdefault((one.reader_id, one.assay, one.lot), []).append(one)
    return [state(levels) for levels in groups.values()]
