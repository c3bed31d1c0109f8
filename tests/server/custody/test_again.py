"""What is in quarantine is processed again once its cause was put right, and never before; its history stays."""

import asyncio
import os

import pytest

from reader import wire
from server.custody import again, ledger, opening
from server.custody.again import Tally
from server.database import tenancy
from server.readers import service as readers
from server.readers.service import KeyDiffers
from server.results import record
from server.results.record import NotUnderstood
from tests.server import factory
from tests.server.conftest import ACTOR, Ward

HELD = (wire.HELD, None)


async def process(ward: Ward) -> Tally:
    return await asyncio.to_thread(again.process, ward.pool, ward.keyring, ward.id, ACTOR)


async def restore(ward: Ward, reader: factory.Reader, generation: int = 0, key: bytes | None = None) -> bool:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return await readers.restore(
            session, ward.keyring, ward.organisation, ward.site, "Late", reader.reader_id, generation, key, ACTOR
        )


async def specimens(ward: Ward, reader: factory.Reader) -> list[str]:
    rows = await ward.rows("SELECT specimen FROM result WHERE reader_id = :id ORDER BY number", id=reader.reader_id)
    return [row.specimen for row in rows]


async def test_records_of_a_reader_enrolled_late_take_their_places_with_their_custody(ward: Ward) -> None:
    reader = factory.Reader(os.urandom(8), os.urandom(32))
    sealed = reader.results(3)
    answer = await ward.exchange(sealed)
    assert answer.answers == [(wire.QUARANTINED, "unknown-reader")] * 3
    assert await process(ward) == Tally(3, 0)
    assert await restore(ward, reader, key=reader.key)
    assert await process(ward) == Tally(3, 3)
    assert await specimens(ward, reader) == ["S-1", "S-2", "S-3"]
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        proof = await ledger.prove(session, reader.reader_id)
        [line] = await ledger.ledger(session, reader.reader_id)
    assert (proof.whole, proof.held, line.quarantined) == (True, 3, 0)
    answer = await ward.exchange(sightings=[factory.sighting(reader)])
    assert answer.receipts == {reader.reader_id: 3}, "the reader may let go of them now"
    assert await process(ward) == Tally(0, 0)


async def test_every_attempt_is_kept_with_who_made_it_and_what_came_of_it(ward: Ward) -> None:
    reader = factory.Reader(os.urandom(8), os.urandom(32))
    await ward.exchange(reader.results(1))
    await process(ward)
    assert await restore(ward, reader, key=os.urandom(32)), "somebody types another reader's key"
    await process(ward)
    rows = await ward.rows("SELECT q.status, q.code AS first, a.code, a.actor FROM quarantine q"
                           " JOIN quarantine_attempt a ON a.quarantine_id = q.id ORDER BY a.id")  # fmt: skip
    assert [tuple(row) for row in rows] == [
        ("open", "unknown-reader", "unknown-reader", "test"),
        ("open", "unknown-reader", "does-not-open", "test"),
    ]
    assert await specimens(ward, reader) == []
    [audited] = await ward.rows("SELECT count(*) AS many FROM audit_entry WHERE action = 'quarantine.process'")
    assert audited.many == 2


async def test_a_lost_key_of_a_later_generation_is_derived_anew(ward: Ward) -> None:
    reader = await ward.reader()
    first = reader.key
    await ward.exchange(reader.results(1))
    reader.generation, reader.key = 1, ward.keyring.rotated(reader.reader_id, 1)
    assert (await ward.exchange(reader.results(2))).answers == [(wire.QUARANTINED, "unknown-generation")] * 2
    assert await restore(ward, reader, generation=1)
    assert not await restore(ward, reader, generation=1), "twice is once"
    assert await process(ward) == Tally(2, 2)
    assert await specimens(ward, reader) == ["S-1", "S-2", "S-3"]
    with pytest.raises(KeyDiffers):
        await restore(ward, reader, generation=0, key=os.urandom(32))
    assert not await restore(ward, reader, generation=0, key=first)


async def test_what_a_newer_server_understands_becomes_a_result_though_it_was_held_before(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = await ward.reader()
    sealed = reader.results(2)

    def too_old(plaintext: bytes) -> object:
        raise NotUnderstood("This server knows no such record.")

    with monkeypatch.context() as older:
        older.setattr(record, "understand", too_old)
        assert (await ward.exchange(sealed)).answers == [(wire.HELD, opening.NOT_UNDERSTOOD)] * 2
        assert await process(ward) == Tally(2, 0)
    assert await specimens(ward, reader) == []
    assert await process(ward) == Tally(2, 2)
    assert await specimens(ward, reader) == ["S-1", "S-2"]
    assert await process(ward) == Tally(0, 0)


async def test_two_who_process_at_once_make_one_result_of_each_record(ward: Ward) -> None:
    reader = factory.Reader(os.urandom(8), os.urandom(32))
    await ward.exchange(reader.results(5))
    await restore(ward, reader, key=reader.key)
    tallies = await asyncio.gather(*(process(ward) for _ in range(4)))
    assert sum(one.processed for one in tallies) == 5
    assert len(await specimens(ward, reader)) == 5


async def test_altered_bytes_stay_in_quarantine_however_often_they_are_processed(ward: Ward) -> None:
    reader = await ward.reader()
    altered = bytearray(reader.results(1)[0])
    altered[-1] ^= 1
    await ward.exchange([bytes(altered), b"\x00"])
    for _ in range(2):
        assert await process(ward) == Tally(2, 0)
    assert await specimens(ward, reader) == []


async def test_processing_touches_no_other_organisation(ward: Ward, other_ward: Ward) -> None:
    await other_ward.exchange([b"junk"])
    assert await process(ward) == Tally(0, 0)
    rows = await other_ward.rows("SELECT count(*) AS many FROM quarantine_attempt")
    assert rows[0].many == 0


@pytest.mark.parametrize("code", sorted(again.REMEDIES))
def test_every_code_says_what_to_do(code: str) -> None:
    assert len(again.remedy(code).split()) > 5
