"""What a hub gets for what it offers, and what the server then holds."""

import asyncio
import random
from dataclasses import replace

import cbor2
import cwt
import psycopg
import pytest
from fastapi import FastAPI
from joserfc.jwk import ECKey

from reader import outcome, wire
from server.custody import ledger
from server.database import tenancy
from server.readers import keys
from tests.server import factory
from tests.server.conftest import Database, Ward

HELD = (wire.HELD, None)


def opened_down(reader: factory.Reader, sealed: bytes) -> dict[int, object]:
    """Open a downlink message as the reader would, with `cwt`."""
    key = cwt.COSEKey.from_symmetric_key(
        keys.downlink_key(reader.reader_id, reader.key), alg="AES-CCM-16-128-256", kid=reader.reader_id
    )
    return cbor2.loads(cwt.COSE.new().decode(sealed, key))


async def held_to(ward: Ward, reader: factory.Reader) -> int:
    rows = await ward.rows("SELECT held_to FROM custody WHERE reader_id = :id", id=reader.reader_id)
    return rows[0].held_to


async def test_records_are_held_and_the_receipt_opens_for_the_reader_alone(ward: Ward) -> None:
    reader = await ward.reader()
    sealed = reader.results(3)
    answer = await ward.exchange(sealed)
    assert answer.answers == [HELD] * 3
    assert [item[2:4] for item in answer.of(wire.ITEM_ANSWER)] == [[reader.reader_id, n] for n in (1, 2, 3)]
    assert answer.receipts == {reader.reader_id: 3}
    receipt = opened_down(reader, answer.of(wire.ITEM_RECEIPT)[0][3])
    assert receipt == {
        wire.DOWN_TYPE: wire.DOWN_RECEIPT,
        wire.DOWN_A: 3,
        wire.DOWN_B: factory.chain_hash(sealed[2]),
        wire.DOWN_C: answer.header[wire.HEAD_EPOCH],
    }
    rows = await ward.rows(
        "SELECT sealed FROM sealed_record WHERE reader_id = :id ORDER BY number", id=reader.reader_id
    )
    assert [row.sealed for row in rows] == sealed


async def test_the_same_batch_again_changes_nothing(ward: Ward) -> None:
    reader = await ward.reader()
    sealed = reader.results(4)
    await ward.exchange(sealed)
    again = await ward.exchange(sealed)
    assert again.answers == [(wire.DUPLICATE, None)] * 4
    assert again.receipts == {reader.reader_id: 4}
    assert len(await ward.rows("SELECT 1 FROM result WHERE reader_id = :id", id=reader.reader_id)) == 4
    assert await ward.rows("SELECT 1 FROM quarantine") == []


async def test_a_record_twice_in_one_batch_is_held_once(ward: Ward) -> None:
    reader = await ward.reader()
    sealed = reader.results(1)
    answer = await ward.exchange([sealed[0], sealed[0]])
    assert answer.answers == [HELD, (wire.DUPLICATE, None)]


async def test_twenty_clients_with_one_batch_leave_each_record_once(ward: Ward) -> None:
    reader = await ward.reader()
    sealed = reader.results(30)
    answers = await asyncio.gather(*(ward.exchange(sealed) for _ in range(20)))
    for place in range(30):
        given = sorted(answer.answers[place][0] for answer in answers)
        assert given == [wire.HELD] + [wire.DUPLICATE] * 19
    assert all(answer.receipts == {reader.reader_id: 30} for answer in answers)
    assert len(await ward.rows("SELECT 1 FROM result WHERE reader_id = :id", id=reader.reader_id)) == 30


async def test_batches_of_the_same_readers_in_other_orders_do_not_deadlock(ward: Ward) -> None:
    readers = [await ward.reader() for _ in range(4)]
    batches = [[reader.results(1)[0] for reader in order] for order in (readers, readers[::-1]) * 5]
    answers = await asyncio.gather(*(ward.exchange(batch) for batch in batches))
    assert {given for answer in answers for given in answer.answers} == {HELD}
    assert [await held_to(ward, reader) for reader in readers] == [10] * 4


async def test_a_gap_is_held_without_a_receipt_beyond_it_and_closes_when_filled(ward: Ward) -> None:
    reader = await ward.reader()
    sealed = reader.results(8)
    first = await ward.exchange([sealed[0], *sealed[2:6]])
    assert first.answers == [HELD] * 5
    assert first.receipts == {reader.reader_id: 1}
    second = await ward.exchange([sealed[7]])
    assert second.receipts == {reader.reader_id: 1}
    third = await ward.exchange([sealed[1]])
    assert third.receipts == {reader.reader_id: 6}
    fourth = await ward.exchange([sealed[6]])
    assert fourth.receipts == {reader.reader_id: 8}


async def test_a_batch_in_any_order_is_answered_in_its_own_order(ward: Ward) -> None:
    reader = await ward.reader()
    sealed = reader.results(5)
    answer = await ward.exchange([sealed[3], sealed[0], sealed[4], sealed[2], sealed[1]])
    assert [item[3] for item in answer.of(wire.ITEM_ANSWER)] == [4, 1, 5, 3, 2]
    assert answer.receipts == {reader.reader_id: 5}


async def test_another_authentic_record_with_a_number_that_is_taken_is_a_conflict(ward: Ward) -> None:
    reader = await ward.reader()
    clone = factory.Reader(reader.reader_id, reader.key)
    mine, its = reader.results(2), clone.results(2, outcome_code=outcome.POSITIVE)
    await ward.exchange(mine)
    answer = await ward.exchange([its[0]])
    assert answer.answers == [(wire.CONFLICT, None)]
    rows = await ward.rows("SELECT code, content, status FROM quarantine")
    assert [(row.code, row.content, row.status) for row in rows] == [("conflict", its[0], "open")]
    held = await ward.rows("SELECT sealed FROM sealed_record WHERE number = 1 AND reader_id = :id", id=reader.reader_id)
    assert [row.sealed for row in held] == [mine[0]]
    forked = await ward.rows("SELECT forked_at FROM custody WHERE reader_id = :id", id=reader.reader_id)
    assert forked[0].forked_at is not None


async def test_two_claims_to_one_place_in_one_batch_are_told_apart_by_the_chain(ward: Ward) -> None:
    reader = await ward.reader()
    clone = factory.Reader(reader.reader_id, reader.key)
    mine, its = reader.results(2), clone.results(2)
    # The clone's second record comes first, yet it does not follow the first that is held.
    answer = await ward.exchange([its[1], mine[0], mine[1]])
    assert answer.answers == [(wire.QUARANTINED, "fork"), HELD, HELD]
    assert answer.receipts == {reader.reader_id: 2}


async def test_a_record_that_does_not_follow_the_held_one_is_a_fork_and_takes_no_place(ward: Ward) -> None:
    reader = await ward.reader()
    clone = factory.Reader(reader.reader_id, reader.key)
    mine, its = reader.results(3), clone.results(2)
    await ward.exchange(mine[:1])
    answer = await ward.exchange([its[1]])
    assert answer.answers == [(wire.QUARANTINED, "fork")]
    later = await ward.exchange(mine[1:])
    assert later.answers == [HELD, HELD]
    assert later.receipts == {reader.reader_id: 3}


async def test_a_record_held_out_of_turn_that_does_not_follow_stops_the_receipt_and_is_shown(ward: Ward) -> None:
    reader = await ward.reader()
    clone = factory.Reader(reader.reader_id, reader.key)
    mine, its = reader.results(3), clone.results(3)
    assert (await ward.exchange([its[2]])).answers == [HELD]
    answer = await ward.exchange(mine[:2])
    assert answer.answers == [HELD, HELD]
    assert answer.receipts == {reader.reader_id: 2}
    rows = await ward.rows("SELECT code, content, number FROM quarantine")
    assert [(row.code, row.content, row.number) for row in rows] == [("fork", its[2], 3)]


async def test_one_bad_record_of_each_kind_leaves_the_others_held(ward: Ward, other_ward: Ward) -> None:
    reader, neighbour, foreign = await ward.reader(), await ward.reader(), await other_ward.reader()
    good = reader.results(2)
    bad = neighbour.results(1)[0]
    stranger = factory.Reader(bytes(8), bytes(32))
    content = cbor2.dumps(factory.result())
    cases = [
        (bad[:-1] + bytes([bad[-1] ^ 1]), "does-not-open"),
        (b"not cose at all", "malformed"),
        (bytes(5000), "malformed"),
        (stranger.results(1)[0], "unknown-reader"),
        (foreign.results(1)[0], "foreign-reader"),
        (neighbour.seal_at(9, bytes(16), content, generation=7), "unknown-generation"),
        (neighbour.seal_at(9, bytes(16), content, nonce=bytes(13)), "nonce-mismatch"),
        (neighbour.seal_at(9, bytes(16), content, key=bytes(32)), "does-not-open"),
    ]
    answer = await ward.exchange([good[0], *(sealed for sealed, _ in cases), good[1]])
    assert answer.answers == [HELD, *((wire.QUARANTINED, code) for _, code in cases), HELD]
    rows = await ward.rows("SELECT content, code FROM quarantine ORDER BY id")
    assert [(bytes(row.content), row.code) for row in rows] == cases
    assert answer.receipts == {reader.reader_id: 2}


async def test_a_record_of_one_reader_in_the_name_of_another_does_not_open(ward: Ward) -> None:
    mine, other = await ward.reader(), await ward.reader()
    crossed = mine.seal_at(1, factory.chain_hash(b""), cbor2.dumps(factory.result()), reader_id=other.reader_id)
    answer = await ward.exchange([crossed])
    assert answer.answers == [(wire.QUARANTINED, "does-not-open")]
    assert await held_to(ward, other) == 0


async def test_invented_bytes_cannot_block_a_number(ward: Ward) -> None:
    reader = await ward.reader()
    sealed = reader.results(1)
    forged = reader.seal_at(1, bytes(16), b"x" * 100, key=bytes(32))
    assert (await ward.exchange([forged])).answers == [(wire.QUARANTINED, "does-not-open")]
    assert (await ward.exchange(sealed)).answers == [HELD]


async def test_the_same_bad_bytes_again_are_one_row_of_quarantine(ward: Ward) -> None:
    for _ in range(3):
        assert (await ward.exchange([b"junk"])).answers == [(wire.QUARANTINED, "malformed")]
    assert len(await ward.rows("SELECT 1 FROM quarantine")) == 1


async def test_an_authentic_record_that_is_not_understood_is_held_receipted_and_quarantined(ward: Ward) -> None:
    reader = await ward.reader()
    sealed = [
        reader.seal(factory.result(changes={wire.RES_OUTCOME: 9})),
        reader.seal(factory.result(outcome_code=outcome.NEGATIVE, reason=outcome.GREY_ZONE)),
        reader.seal({1: 7}),
        reader.seal(factory.result(specimen="nul\0")),
    ]
    answer = await ward.exchange(sealed)
    assert answer.answers == [(wire.HELD, "not-understood")] * 4
    assert answer.receipts == {reader.reader_id: 4}
    rows = await ward.rows("SELECT code, number FROM quarantine ORDER BY number")
    assert [(row.code, row.number) for row in rows] == [("not-understood", n) for n in (1, 2, 3, 4)]
    assert await ward.rows("SELECT 1 FROM result WHERE reader_id = :id", id=reader.reader_id) == []


async def test_a_record_that_came_before_its_key_leaves_quarantine_when_it_is_offered_again(ward: Ward) -> None:
    reader = await ward.reader()
    reader.generation, reader.key = 2, bytes(range(32))
    sealed = reader.results(1)
    assert (await ward.exchange(sealed)).answers == [(wire.QUARANTINED, "unknown-generation")]
    await ward.rows(
        "INSERT INTO reader_key (reader_id, generation, organisation_id, encrypted, created_at)"
        " VALUES (:id, 2, :organisation, :encrypted, now()) RETURNING 1",
        id=reader.reader_id,
        organisation=ward.id,
        encrypted=ward.keyring.encrypt(reader.reader_id, 2, reader.key),
    )
    assert (await ward.exchange(sealed)).answers == [HELD]
    assert [row.status for row in await ward.rows("SELECT status FROM quarantine")] == ["processed"]


async def test_events_are_kept_with_their_numbers(ward: Ward) -> None:
    reader = await ward.reader()
    boot = reader.seal(factory.event(wire.EVENT_BOOT, "power-on", [1, -2], moment=reader.moment()))
    assert (await ward.exchange([boot])).answers == [HELD]
    rows = await ward.rows("SELECT code, detail, numbers FROM reader_event WHERE reader_id = :id", id=reader.reader_id)
    assert [tuple(row) for row in rows] == [(wire.EVENT_BOOT, "power-on", [1, -2])]


async def test_a_receipt_reaches_a_hub_that_carried_none_of_the_records(ward: Ward) -> None:
    reader = await ward.reader()
    await ward.exchange(reader.results(2))
    empty = await ward.exchange()
    assert empty.receipts == {reader.reader_id: 2}
    # Once a hub saw the reader let go of them, only a visit brings the receipt again.
    await ward.exchange(sightings=[factory.sighting(reader, released=2)])
    assert (await ward.exchange()).receipts == {}


async def test_a_hub_never_hears_of_another_organisations_readers(ward: Ward, other_ward: Ward) -> None:
    foreign = await other_ward.reader()
    await other_ward.exchange(foreign.results(1))
    answer = await ward.exchange(sightings=[factory.sighting(foreign)])
    assert [item for item in answer.items[1:] if foreign.reader_id in item] == []
    assert await ward.rows("SELECT 1 FROM sighting") == []
    assert await other_ward.rows("SELECT 1 FROM sighting") == []


async def test_a_compressed_body_is_taken_and_a_chunked_one_too(ward: Ward) -> None:
    reader = await ward.reader()
    sealed = reader.results(2)
    body = factory.exchange_body(sealed[:1], compress=True)
    response = await ward.post(body, Content_Encoding="gzip")
    assert response.status_code == 200
    assert factory.items_of(response.content)[1][4] == wire.HELD

    async def chunks():
        whole = factory.exchange_body(sealed[1:])
        for at in range(0, len(whole), 7):
            yield whole[at : at + 7]

    response = await ward.http.post(
        wire.EXCHANGE_PATH,
        content=chunks(),
        headers={"Authorization": f"Bearer {ward.token}", "Content-Type": wire.EXCHANGE_MEDIA_TYPE},
    )
    assert factory.items_of(response.content)[1][4] == wire.HELD


def damaged(reader: factory.Reader, number: int) -> bytes:
    """The reader's event that its storage finds a record damaged."""
    return reader.seal(factory.event(wire.EVENT_RECORD_DAMAGED, None, [number], moment=reader.moment()))


async def test_a_record_that_its_reader_declares_damaged_does_not_stop_custody_behind_it(ward: Ward) -> None:
    reader = await ward.reader()
    sealed = [*reader.results(6), damaged(reader, 3), *reader.results(1)]
    first = await ward.exchange([*sealed[:2], *sealed[3:6]])
    assert first.receipts == {reader.reader_id: 2}
    second = await ward.exchange([sealed[6]])
    assert second.answers == [HELD]
    assert second.receipts == {reader.reader_id: 7}
    receipt = opened_down(reader, second.of(wire.ITEM_RECEIPT)[0][3])
    assert receipt[wire.DOWN_B] == factory.chain_hash(sealed[6])
    assert (await ward.exchange([sealed[7]])).receipts == {reader.reader_id: 8}
    rows = await ward.rows("SELECT number, numbers FROM reader_event WHERE reader_id = :id", id=reader.reader_id)
    assert [tuple(row) for row in rows] == [(7, [3])]


async def test_damaged_records_are_passed_whichever_comes_first_the_event_or_the_records(ward: Ward) -> None:
    reader = await ward.reader()
    sealed = [*reader.results(5), damaged(reader, 1), damaged(reader, 3), damaged(reader, 4)]
    # 1, 3 and 4 are lost: the events come first, then 5, then 2, each in an exchange of its own.
    assert (await ward.exchange(sealed[5:])).receipts == {}
    assert (await ward.exchange([sealed[4]])).receipts == {}
    assert (await ward.exchange([sealed[1]])).receipts == {reader.reader_id: 8}
    assert await ward.rows("SELECT 1 FROM quarantine") == []


async def test_only_what_the_reader_itself_declares_damaged_is_passed(ward: Ward) -> None:
    reader, other = await ward.reader(), await ward.reader()
    sealed = reader.results(4)
    await ward.exchange([sealed[0], *sealed[2:]])
    forged = reader.seal_at(
        5, reader.previous, cbor2.dumps(factory.event(wire.EVENT_RECORD_DAMAGED, None, [2])), key=bytes(32)
    )
    assert (await ward.exchange([forged])).answers == [(wire.QUARANTINED, "does-not-open")]
    assert (await ward.exchange([*other.results(2), damaged(other, 2)])).receipts[other.reader_id] == 3
    # One that names a number which is not lost but still to come passes nothing.
    assert (await ward.exchange([damaged(reader, 9)])).receipts[reader.reader_id] == 1
    assert (await ward.exchange([damaged(reader, 2)])).receipts[reader.reader_id] == 6


async def test_a_damaged_record_that_turns_up_after_all_is_held(ward: Ward) -> None:
    reader = await ward.reader()
    sealed = [*reader.results(3), damaged(reader, 2)]
    assert (await ward.exchange([sealed[0], *sealed[2:]])).receipts == {reader.reader_id: 4}
    again = await ward.exchange([sealed[1]])
    assert again.answers == [HELD]
    assert again.receipts == {reader.reader_id: 4}
    forked = await ward.rows("SELECT forked_at FROM custody WHERE reader_id = :id", id=reader.reader_id)
    assert forked[0].forked_at is None


async def test_records_far_behind_a_gap_cost_nothing_until_it_closes(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = await ward.reader()
    sealed = reader.results(12)
    monkeypatch.setattr("server.custody.repository.WALK", 3)
    assert (await ward.exchange([sealed[0], *sealed[2:8], *sealed[9:]])).receipts == {reader.reader_id: 1}
    assert (await ward.exchange([sealed[1]])).receipts == {reader.reader_id: 8}
    assert (await ward.exchange([sealed[8]])).receipts == {reader.reader_id: 12}


async def test_a_lost_database_connection_is_replaced_and_the_offer_taken_once(
    ward: Ward, application: FastAPI, database: Database
) -> None:
    reader = await ward.reader()
    sealed = reader.results(2)
    await ward.exchange(sealed[:1])
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'doorstep_app' AND query LIKE '%COMMIT%'"
        )
    assert (await ward.exchange(sealed)).answers == [(wire.DUPLICATE, None), HELD]


async def test_several_hubs_with_the_same_records_in_other_orders_leave_each_once_and_the_chain_whole(
    ward: Ward,
) -> None:
    chosen = random.Random(7)
    readers = [await ward.reader(f"Reader {at}") for at in range(3)]
    sealed = [one for reader in readers for one in reader.results(12)]
    hubs = [replace(ward, key=ECKey.generate_key("P-384")) for _ in range(3)]
    for hub in hubs:
        await hub.enrol()

    async def carry(hub: Ward) -> None:
        mine = chosen.sample(sealed, len(sealed))
        for at in range(0, len(mine), 7):
            answer = await hub.exchange(mine[at : at + 7])
            assert {given for given, _ in answer.answers} <= {wire.HELD, wire.DUPLICATE}

    await asyncio.gather(*(carry(hub) for hub in hubs))
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        for reader in readers:
            proof = await ledger.prove(session, reader.reader_id)
            assert (proof.whole, proof.held) == (True, 12)
    [row] = await ward.rows("SELECT count(*) AS many, count(DISTINCT (reader_id, number)) AS places FROM result")
    assert tuple(row) == (36, 36)
    assert await ward.rows("SELECT 1 FROM quarantine") == []
