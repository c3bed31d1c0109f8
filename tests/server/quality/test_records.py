"""Quality-control records are kept apart from results, and say how a reader stood at each of its tests."""

from typing import Any
from uuid import UUID

import pytest

from reader import outcome, wire
from server.database import tenancy
from server.quality import service
from server.quality.service import Beside, Standing
from server.results.models import Result
from tests.server import factory
from tests.server.conftest import Ward

MATERIAL = "02000000000916"


def control(
    reader: factory.Reader,
    passed: bool = True,
    level: str = "positive",
    lot: str = "LOT1",
    serial: str = "C001",
    changes: dict[int, Any] | None = None,
    *,
    trace: dict[int, Any] | None = None,
) -> dict[int, Any]:
    """The plaintext map of a quality-control test, with a trace that shows what the reader said, or `trace`."""
    said = outcome.POSITIVE if passed == (level == "positive") else outcome.NEGATIVE
    shown = factory.strip_trace(factory.strip_samples(test=6_000 if said == outcome.POSITIVE else 0))
    plain = factory.result(
        specimen=f"QC {level}", outcome_code=said, lot=lot, serial=serial, moment=reader.moment(), changes=changes,
        trace=shown if trace is None else trace,
    )  # fmt: skip
    verdict = wire.QC_PASSED if passed else wire.QC_FAILED
    return plain | {
        wire.REC_KIND: wire.KIND_QC,
        wire.REC_BODY: plain[wire.REC_BODY] | {wire.RES_QC: [MATERIAL, level, verdict, "M1"]},
    }


def person(reader: factory.Reader, serial: str = "P001", lot: str = "LOT1") -> dict[int, Any]:
    return factory.result(specimen=f"S-{serial}", serial=serial, lot=lot, moment=reader.moment())


async def beside(ward: Ward, reader: factory.Reader, number: int) -> Beside:
    where = "SELECT id FROM result WHERE reader_id = :reader AND number = :number"
    [row] = await ward.rows(where, reader=reader.reader_id, number=number)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        result = await session.get(Result, row.id)
        assert result is not None
        return await service.beside(session, result)


async def test_a_quality_control_test_is_kept_apart_and_is_no_result(ward: Ward) -> None:
    reader = await ward.reader()
    answered = await ward.exchange([reader.seal(control(reader)), reader.seal(person(reader))])
    assert answered.answers == [(wire.HELD, None), (wire.HELD, None)]
    assert [row.specimen for row in await ward.rows("SELECT specimen FROM result")] == ["S-P001"]
    [row] = await ward.rows("SELECT level, passed, material, material_lot, assay, lot, number FROM quality_test")
    assert tuple(row) == ("positive", True, MATERIAL, "M1", "sars2-ag", "LOT1", 1)


@pytest.mark.parametrize(
    "changes",
    [
        {wire.RES_QC: [MATERIAL, "positive", 3, "M1"]},
        {wire.RES_QC: [MATERIAL, "positive", True, "M1"]},
        {wire.RES_QC: [MATERIAL, "positive", 1]},
        {wire.RES_QC: [MATERIAL, None, 1, "M1"]},
        {wire.RES_QC: None},
        {wire.RES_OUTCOME: outcome.ERROR, wire.RES_REASON: outcome.POWER_LOST, wire.RES_ANALYTES: []},
        {20: 1},
    ],
)
async def test_what_is_not_exactly_a_quality_control_test_is_quarantined(ward: Ward, changes: dict[int, Any]) -> None:
    reader = await ward.reader()
    plain = control(reader)
    sealed = reader.seal(plain | {wire.REC_BODY: plain[wire.REC_BODY] | changes})
    assert (await ward.exchange([sealed])).answers == [(wire.HELD, "not-understood")]
    assert await ward.rows("SELECT number FROM quality_test") == []


async def test_a_result_that_carries_a_verdict_is_not_understood(ward: Ward) -> None:
    reader = await ward.reader()
    sealed = reader.seal(control(reader) | {wire.REC_KIND: wire.KIND_RESULT})
    assert (await ward.exchange([sealed])).answers == [(wire.HELD, "not-understood")]
    assert await ward.rows("SELECT id FROM result") == []


async def test_a_result_shows_how_its_reader_stood_when_it_was_tested_not_how_it_stands_now(ward: Ward) -> None:
    reader, other = await ward.reader(), await ward.reader()
    records = [
        person(reader, "P1"),
        control(reader, level="positive"),
        control(reader, level="negative"),
        person(reader, "P2"),
        control(reader, passed=False, level="negative"),
        person(reader, "P3"),
        person(reader, "P4", lot="LOT2"),
    ]
    await ward.exchange([reader.seal(one) for one in records] + [other.seal(control(other, passed=False))])
    assert (await beside(ward, reader, 1)).lot.standing is Standing.NONE
    second = await beside(ward, reader, 4)
    assert second.lot.standing is Standing.PASSED
    assert [one.level for one in second.lot.levels] == ["negative", "positive"]
    assert (await beside(ward, reader, 6)).lot.standing is Standing.FAILED
    of_another_lot = await beside(ward, reader, 7)
    assert (of_another_lot.lot.standing, of_another_lot.assay.standing) == (Standing.NONE, Standing.FAILED)


async def test_every_other_test_of_a_cassette_is_found_whichever_reader_did_it(ward: Ward, other_ward: Ward) -> None:
    one, two, foreign = await ward.reader("One"), await ward.reader("Two"), await other_ward.reader()
    await ward.exchange([one.seal(person(one, "A")), one.seal(person(one, "B")), one.seal(control(one, serial="A"))])
    await ward.exchange([two.seal(person(two, "A")), two.seal(person(two, "A", lot="LOT2"))])
    await other_ward.exchange([foreign.seal(person(foreign, "A"))])
    found = (await beside(ward, one, 1)).same_cassette
    assert {(same.reader, same.number, same.result_id is None) for same in found} == {
        ("One", 3, True),
        ("Two", 1, False),
    }
    assert (await beside(ward, one, 2)).same_cassette == []
    assert {(same.reader, same.number) for same in (await beside(ward, two, 1)).same_cassette} == {
        ("One", 1),
        ("One", 3),
    }
    assert all(isinstance(same.result_id, UUID | None) for same in found)


async def test_cassettes_without_a_serial_number_are_not_taken_for_one_another(ward: Ward) -> None:
    reader = await ward.reader()
    plain = [factory.result(specimen=f"S-{n}", serial=None, moment=reader.moment()) for n in range(2)]
    await ward.exchange([reader.seal(one) for one in plain])
    assert (await beside(ward, reader, 1)).same_cassette == []


async def test_the_overview_puts_failures_first_and_leaves_only_what_passed_out(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, other, bad = await ward.reader("A good one"), await ward.reader("B good too"), await ward.reader("Bad")
    await ward.exchange(
        [
            good.seal(control(good)),
            other.seal(control(other)),
            other.seal(control(other, lot="LOT2", serial="C002")),
            bad.seal(control(bad, passed=False)),
            bad.seal(control(bad, level="negative", serial="C003")),
        ]
    )
    failed, passed = ("Bad", "LOT1", Standing.FAILED, ["negative", "positive"]), Standing.PASSED
    rest = [("A good one", "LOT1", passed, ["positive"]), ("B good too", "LOT1", passed, ["positive"])]

    async def seen() -> tuple[list[tuple[str, str | None, Standing, list[str]]], int]:
        async with tenancy.transaction(ward.sessions, ward.id) as session:
            states, more = await service.overview(session)
        return [
            (one.levels[0].reader, one.levels[0].lot, one.standing, [level.level for level in one.levels])
            for one in states
        ], more

    assert await seen() == ([failed, *rest, ("B good too", "LOT2", passed, ["positive"])], 0)
    monkeypatch.setattr(service, "OVERVIEW_MAX", 1)
    assert await seen() == ([failed], 3)
