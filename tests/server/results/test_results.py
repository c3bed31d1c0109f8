"""What was inside: results as the reader gave them, their times, the second opinion, and reading them."""

import asyncio
import json
import time
import uuid
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from reader import outcome, wire
from server.audit import repository as audit_repository
from server.database import tenancy
from server.problems import NotFound
from server.results import service, tasks
from server.results.models import Recomputation, TimeBasis
from server.results.repository import CHANNEL
from server.results.trace import StripTrace
from tests.server import factory
from tests.server.conftest import ACTOR, Database, Ward


async def only(ward: Ward, reader: factory.Reader) -> Any:
    [row] = await ward.rows("SELECT * FROM result WHERE reader_id = :id", id=reader.reader_id)
    return row


async def recomputed(ward: Ward) -> None:
    """Do the work behind the requests now, with what the running server does of it."""
    async with asyncio.timeout(60):
        while await ward.rows("SELECT 1 FROM result WHERE recomputed_at IS NULL"):
            if not await tasks.recompute_portion(ward.sessions, ward.keyring, ward.id):
                await asyncio.sleep(0.02)  # the server has the rest in hand; the time-out above is what fails


async def test_a_result_is_kept_as_the_reader_gave_it(ward: Ward) -> None:
    reader = await ward.reader()
    moment = reader.moment()
    analytes = [["SARS-CoV-2", outcome.INDETERMINATE, outcome.GREY_ZONE, -1_250, "ppm", None]]
    sealed = reader.seal(
        factory.result(
            specimen="Spécimen 7",
            outcome_code=outcome.INDETERMINATE,
            reason=outcome.GREY_ZONE,
            operator=None,
            analytes=analytes,
            moment=moment,
            temperatures=[-500, None, 6500],
        )
    )
    await ward.exchange([sealed])
    row = await only(ward, reader)
    assert (row.specimen, row.assay, row.assay_version, row.operator) == ("Spécimen 7", "sars2-ag", 1, None)
    assert (row.outcome, row.reason) == (outcome.INDETERMINATE, outcome.GREY_ZONE)
    assert row.analytes == [
        {"name": "SARS-CoV-2", "outcome": 3, "reason": 8, "value": -1250, "unit": "ppm", "error": None}
    ]
    assert (row.ambient_cc, row.lowest_cc, row.highest_cc) == (-500, None, 6500)
    assert (row.boot_id, row.uptime_ms) == (reader.boot_id, moment[1])
    assert (row.site_id, row.organisation_id) == (ward.site.id, ward.id)
    assert row.time_basis == TimeBasis.RECEIVED
    assert row.tested_at is None


async def test_a_sighting_in_the_same_offer_gives_the_test_its_time(ward: Ward) -> None:
    reader = await ward.reader()
    sealed = reader.results(1)
    seen = factory.sighting(reader, uptime_ms=reader.uptime_ms + 3_600_000)
    await ward.exchange(sealed, sightings=[seen])
    row = await only(ward, reader)
    assert row.time_basis == TimeBasis.ANCHOR
    # The strip was read two seconds before its record's own moment.
    assert abs(row.tested_at.timestamp() - (time.time() - 3_602)) < 10
    assert 5_000 < row.tested_uncertainty_ms < 7_000


async def test_a_sighting_that_comes_later_improves_the_time_and_another_boot_does_not(ward: Ward) -> None:
    reader = await ward.reader()
    await ward.exchange(reader.results(1))
    other_boot = {**factory.sighting(reader), wire.SIGHT_BOOT_ID: bytes(8)}
    await ward.exchange(sightings=[other_boot])
    assert (await only(ward, reader)).time_basis == TimeBasis.RECEIVED
    await ward.exchange(sightings=[factory.sighting(reader)])
    assert (await only(ward, reader)).time_basis == TimeBasis.ANCHOR


async def test_of_many_visits_in_one_boot_the_nearest_gives_the_time(ward: Ward) -> None:
    reader = await ward.reader()
    hour = 3_600_000
    at = 50 * hour
    first_ms = factory.now_ms() - 101 * hour
    # An hourly visit for a hundred hours; the hub's clock was a day off at all but one.
    day = 24 * hour
    seen = [
        factory.sighting(reader, uptime_ms=n * hour, hub_ms=first_ms + n * hour, uncertainty_ms=40 if n == 51 else day)
        for n in range(1, 101)
    ]
    await ward.exchange(sightings=seen)
    await ward.exchange([reader.seal(factory.result(moment=[reader.boot_id, at, None, wire.CLOCK_UNSET, None]))])
    row = await only(ward, reader)
    assert row.time_basis == TimeBasis.ANCHOR
    assert row.tested_uncertainty_ms < 60_000
    assert abs(row.tested_at.timestamp() * 1000 - (first_ms + at - 2_000)) < 60_000


async def test_the_numbers_at_the_edge_of_the_protocol_are_kept_or_quarantined_and_break_no_batch(ward: Ward) -> None:
    reader = await ward.reader()
    edge = 2**63 - 1
    sealed = [
        reader.seal(factory.result(moment=[factory.BOOT_ID, edge, edge, 1, edge], times=[edge, edge, edge])),
        reader.seal(factory.result(moment=[factory.BOOT_ID, edge + 1, None, 0, None])),
        reader.seal(factory.result(changes={wire.RES_CHECKS: 2**64 - 1})),
        reader.seal(factory.event(numbers=[edge, -edge, 0])),
        reader.seal(factory.event(numbers=[2**64 - 1])),
        reader.seal(factory.result(analytes=[["A", 2, 0, -(2**63), None, None]])),
    ]
    seen = {**factory.sighting(reader, hub_ms=edge), wire.SIGHT_UNCERTAINTY_MS: edge, wire.SIGHT_UPTIME_MS: edge}
    answer = await ward.exchange(sealed, sightings=[seen, {**seen, wire.SIGHT_HUB_MS: 0}])
    held, odd = (wire.HELD, None), (wire.HELD, "not-understood")
    assert answer.answers == [held, odd, odd, held, odd, odd]


async def test_the_outcome_is_computed_again_from_the_trace_and_a_difference_is_flagged(ward: Ward) -> None:
    reader = await ward.reader()
    plain, dark = factory.strip_samples(test=0), factory.strip_samples(test=6_000)
    cases: list[tuple[dict[str, Any], Recomputation, int | None]] = [
        ({"trace": factory.strip_trace(plain)}, Recomputation.AGREES, outcome.NEGATIVE),
        ({"trace": factory.strip_trace(dark)}, Recomputation.DIFFERS, outcome.POSITIVE),
        (
            {"trace": factory.strip_trace(dark), "outcome_code": outcome.POSITIVE},
            Recomputation.AGREES,
            outcome.POSITIVE,
        ),
        (
            {"outcome_code": outcome.ERROR, "reason": outcome.CANCELLED, "analytes": []},
            Recomputation.NOT_COMPARABLE,
            None,
        ),
        ({"changes": {wire.RES_TRACE: None}}, Recomputation.NOT_COMPARABLE, None),
        ({"assay": "no-such-assay"}, Recomputation.UNKNOWN_ASSAY, None),
        ({"assay_version": 99}, Recomputation.UNKNOWN_ASSAY, None),
        ({"trace": {**factory.strip_trace(), wire.TRACE_WHITE: b"\x80"}}, Recomputation.FAILED, None),
        ({"times": [None, None, 0]}, Recomputation.AGREES, outcome.NEGATIVE),
        ({"times": [0, 1, 1_000]}, Recomputation.DIFFERS, outcome.INVALID),
    ]
    await ward.exchange([reader.seal(factory.result(moment=reader.moment(), **fields)) for fields, _, _ in cases])
    await recomputed(ward)
    rows = await ward.rows(
        "SELECT recomputation, recomputed_outcome, recomputed_at FROM result WHERE reader_id = :id ORDER BY number",
        id=reader.reader_id,
    )
    found = [(row.recomputation, row.recomputed_outcome) for row in rows]
    assert found == [(str(verdict), said) for _, verdict, said in cases]
    assert all(row.recomputed_at is not None for row in rows)


async def test_the_running_server_recomputes_by_itself(ward: Ward) -> None:
    reader = await ward.reader()
    await ward.exchange(reader.results(12))
    async with asyncio.timeout(60):
        while await ward.rows("SELECT 1 FROM result WHERE recomputed_at IS NULL"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # between two looks; the time-out above is what fails


async def test_results_have_ids_that_begin_with_their_time_and_are_all_different(ward: Ward) -> None:
    reader = await ward.reader()
    before = factory.now_ms()
    await ward.exchange(reader.results(20))
    await ward.exchange(reader.results(20))
    rows = await ward.rows("SELECT id FROM result WHERE reader_id = :id ORDER BY number", id=reader.reader_id)
    ids = [row.id for row in rows]
    assert len(set(ids)) == 40
    assert {(one.version, one.variant) for one in ids} == {(7, uuid.RFC_4122)}
    assert all(before - 1 <= one.int >> 80 <= factory.now_ms() for one in ids)
    assert max(ids[:20]).int >> 80 <= min(ids[20:]).int >> 80


async def test_two_that_recompute_at_once_share_the_work(ward: Ward) -> None:
    reader = await ward.reader()
    await ward.exchange(reader.results(30))
    done = await asyncio.gather(*(tasks.recompute_portion(ward.sessions, ward.keyring, ward.id) for _ in range(6)))
    assert sum(done) <= 30
    await recomputed(ward)
    assert await ward.rows("SELECT 1 FROM result WHERE recomputed_at IS NULL") == []


async def test_new_results_are_announced_at_commit_without_patient_data(ward: Ward, database: Database) -> None:
    reader = await ward.reader()
    link = await psycopg.AsyncConnection.connect(database.app, autocommit=True)
    async with link:
        await link.execute(f"LISTEN {CHANNEL}")
        await ward.exchange(reader.results(3, specimen="SECRET"))
        heard: list[dict[str, Any]] = []
        async for notice in link.notifies(timeout=10):
            assert "SECRET" not in notice.payload
            said = json.loads(notice.payload)
            if said["organisation"] == str(ward.id):
                heard.append(said)
                break
    rows = await ward.rows("SELECT id FROM result WHERE reader_id = :id", id=reader.reader_id)
    assert {UUID(one) for one in heard[0]["results"]} == {row.id for row in rows}


async def read(ward: Ward, result_id: UUID) -> service.Opened:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return await service.read_patient_data(session, ward.keyring, ACTOR, ward.id, "care", result_id)


async def test_reading_a_result_is_written_to_the_audit_log_first(ward: Ward) -> None:
    reader = await ward.reader()
    await ward.exchange(reader.results(1))
    result_id = (await only(ward, reader)).id
    opened = await read(ward, result_id)
    assert opened.result.specimen == "S-1"
    assert isinstance(opened.trace, StripTrace)
    assert opened.trace.samples == factory.strip_samples()
    [entry] = await ward.rows("SELECT * FROM audit_entry WHERE action = 'result.read'")
    assert (entry.actor_kind, entry.actor, entry.purpose) == (ACTOR.kind, ACTOR.name, "care")
    assert (entry.subject_kind, entry.subject) == ("result", str(result_id))


async def test_nothing_is_read_when_the_audit_log_cannot_be_written(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = await ward.reader()
    await ward.exchange(reader.results(1))
    result_id = (await only(ward, reader)).id

    async def refuses(session: Any, entry: Any) -> None:
        await (await session.connection()).execute(text("INSERT INTO audit_entry DEFAULT VALUES"))

    async def reads(*_: Any) -> None:
        pytest.fail("the result was read all the same")

    monkeypatch.setattr(audit_repository, "add", refuses)
    monkeypatch.setattr("server.results.repository.find", reads)
    with pytest.raises(DBAPIError):
        await read(ward, result_id)


async def test_a_result_of_another_organisation_is_not_there(ward: Ward, other_ward: Ward) -> None:
    reader = await ward.reader()
    await ward.exchange(reader.results(1))
    result_id = (await only(ward, reader)).id
    for wanted in (result_id, uuid4()):
        with pytest.raises(NotFound):
            await read(other_ward, wanted)


async def test_a_batch_that_fails_at_its_end_leaves_nothing(
    ward: Ward, application: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = await ward.reader()
    sealed = reader.results(5)

    def broken(*_: Any) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr("server.custody.downlink.items", broken)
        response = await ward.post(factory.exchange_body(sealed))
        assert response.status_code == 500
    for table in ("sealed_record", "result"):
        assert await ward.rows(f"SELECT 1 FROM {table} WHERE reader_id = :id", id=reader.reader_id) == []
    assert (await ward.exchange(sealed)).receipts == {reader.reader_id: 5}
