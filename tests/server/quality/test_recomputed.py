"""Quality-control tests are recomputed from their traces as results are, and one that differs leaves doubt."""

import asyncio
from typing import Any

import pytest

from reader import wire
from server.assays import repository as assays
from server.database import tenancy
from server.quality import repository, service
from server.quality.repository import Wanting
from server.quality.service import Standing
from server.results import tasks
from server.results.recomputation import Recomputation
from tests.server import factory
from tests.server.conftest import Ward
from tests.server.quality.test_records import beside, control, person

POSITIVE, NEGATIVE = "02000000001029", "02000000001012"  # materials of sars2-ag
NO_LINE = factory.strip_trace(factory.strip_samples(test=0))
DAMAGED = {**factory.strip_trace(factory.strip_samples(test=6_000)), wire.TRACE_WHITE: b"\x80"}


async def recomputed(ward: Ward) -> list[str]:
    """What recomputation said of each quality-control test, by reader and number."""
    async with asyncio.timeout(60):
        while await ward.rows("SELECT 1 FROM quality_test WHERE recomputed_at IS NULL"):
            if not await tasks.recompute_controls(ward.sessions, ward.keyring, ward.id):
                await asyncio.sleep(0.02)  # the server has the rest in hand; the time-out above is what fails
    return [row.recomputation for row in await ward.rows("SELECT * FROM quality_test ORDER BY reader_id, number")]


async def standings(ward: Ward) -> list[Standing]:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return [one.standing for one in (await service.overview(session))[0]]


async def wanting(ward: Ward) -> list[Wanting]:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return await repository.wanting(session)


@pytest.mark.parametrize(
    ("trace", "verdict", "standing"),
    [
        (None, Recomputation.AGREES, Standing.PASSED),
        (NO_LINE, Recomputation.DIFFERS, Standing.IN_DOUBT),
        (DAMAGED, Recomputation.FAILED, Standing.IN_DOUBT),
    ],
)
async def test_a_pass_stands_only_if_its_trace_bears_it_out(
    ward: Ward, trace: dict[int, Any] | None, verdict: Recomputation, standing: Standing
) -> None:
    reader = await ward.reader("Kit")
    sealed = [reader.seal(one) for one in (control(reader, trace=trace), control(reader, level="negative"))]
    await ward.exchange([*sealed, reader.seal(person(reader))])
    assert await recomputed(ward) == [verdict, Recomputation.AGREES]
    assert await standings(ward) == [standing]
    assert await wanting(ward) == ([] if standing is Standing.PASSED else [Wanting("Kit", "sars2-ag", failed=False)])
    assert (await beside(ward, reader, 3)).lot.standing is standing


@pytest.mark.parametrize(
    ("material", "level", "passed", "verdict"),
    [
        (POSITIVE, "positive", True, Recomputation.AGREES),
        (POSITIVE, "positive", False, Recomputation.DIFFERS),
        (NEGATIVE, "negative", True, Recomputation.DIFFERS),
        (NEGATIVE, "negative", False, Recomputation.AGREES),
        (POSITIVE, "negative", True, Recomputation.DIFFERS),
    ],
)
async def test_a_verdict_is_held_against_what_the_assay_expects_of_its_material(
    ward: Ward, material: str, level: str, passed: bool, verdict: Recomputation
) -> None:
    reader = await ward.reader("Kit")
    said = wire.QC_PASSED if passed else wire.QC_FAILED
    # Of every one the strip is positive, and its trace shows it.
    plain = control(reader, level="positive", changes={})
    plain[wire.REC_BODY][wire.RES_QC] = [material, level, said, "M1"]
    await ward.exchange([reader.seal(plain)])
    assert await recomputed(ward) == [verdict]


async def test_a_failure_outweighs_a_doubt_and_a_later_pass_of_the_level_ends_either(ward: Ward) -> None:
    reader = await ward.reader("Kit")
    first = [control(reader, trace=NO_LINE), control(reader, passed=False, level="negative")]
    await ward.exchange([reader.seal(one) for one in first])
    await recomputed(ward)
    assert await standings(ward) == [Standing.FAILED]
    assert await wanting(ward) == [Wanting("Kit", "sars2-ag", failed=True)]
    # Of another lot: the reader judges a level by its last test, whichever lot that was of.
    later = [control(reader, lot="LOT2"), control(reader, level="negative", lot="LOT2")]
    await ward.exchange([reader.seal(one) for one in later])
    await recomputed(ward)
    assert await wanting(ward) == []


async def test_what_is_recomputed_of_one_organisation_is_nothing_to_another(ward: Ward, other_ward: Ward) -> None:
    reader = await ward.reader()
    await ward.exchange([reader.seal(control(reader, passed=False))])
    assert await tasks.recompute_controls(other_ward.sessions, other_ward.keyring, other_ward.id) == 0
    assert await wanting(other_ward) == []
    assert len(await wanting(ward)) == 1


async def test_a_control_of_an_assay_that_is_unknown_waits_again_once_its_pack_is_loaded(ward: Ward) -> None:
    reader = await ward.reader()
    await ward.exchange([reader.seal(control(reader, changes={wire.RES_ASSAY_VERSION: 99}))])
    assert await recomputed(ward) == [Recomputation.UNKNOWN_ASSAY]
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        assert await assays.recompute_again(session, "sars2-ag", 99) == 0, "it counts results"
    [row] = await ward.rows("SELECT recomputation, recomputed_at FROM quality_test")
    assert (row.recomputation, row.recomputed_at) == (None, None)


async def test_the_running_server_recomputes_controls_by_itself(ward: Ward) -> None:
    reader = await ward.reader()
    await ward.exchange([reader.seal(control(reader, serial=f"C{n}")) for n in range(3)])
    async with asyncio.timeout(60):
        while await ward.rows("SELECT 1 FROM quality_test WHERE recomputed_at IS NULL"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # between two looks; the time-out above is what fails
