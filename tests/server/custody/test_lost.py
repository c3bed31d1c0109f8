"""Lost or stolen: a reader or a hub is revoked, also amid an exchange, and a reader's key is changed by downlink."""

import asyncio
from typing import Any

import cbor2
import cwt
import pytest

from reader import wire
from server.custody import body, ledger
from server.database import tenancy
from server.hubs import service as hubs
from server.readers import keys
from server.readers import service as readers
from server.readers.service import ReaderRevoked, RotationWaits
from tests.server import factory
from tests.server.conftest import ACTOR, Ward

HELD = (wire.HELD, None)


async def rotate(ward: Ward, reader: factory.Reader) -> readers.Rotation:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return await readers.rotate_key(session, ward.keyring, ward.organisation, reader.reader_id, ACTOR)


def opened(reader: factory.Reader, key: bytes, sealed: bytes) -> dict[int, Any]:
    """A downlink message opened by another implementation, under one of the reader's keys."""
    cose_key = cwt.COSEKey.from_symmetric_key(
        keys.downlink_key(reader.reader_id, key), alg="AES-CCM-16-128-256", kid=reader.reader_id
    )
    return dict(cbor2.loads(cwt.COSE.new().decode(sealed, cose_key)))


def key_command(reader: factory.Reader, key: bytes, items: list[list[Any]]) -> tuple[int, dict[int, Any]] | None:
    """(number, message) of the key that waits for a reader, opened under `key`."""
    for _, reader_id, number, sealed in items:
        message = opened(reader, key, sealed) if reader_id == reader.reader_id else {}
        if message.get(wire.DOWN_TYPE) == wire.DOWN_KEY:
            return number, message
    return None


async def test_a_new_key_goes_down_under_the_old_one_and_is_used_once_the_reader_seals_with_it(ward: Ward) -> None:
    reader = await ward.reader()
    old = reader.key
    await ward.exchange(reader.results(2))
    made = await rotate(ward, reader)
    assert made.generation == 1
    answer = await ward.exchange(sightings=[factory.sighting(reader)])
    found = key_command(reader, old, answer.of(wire.ITEM_DOWN))
    assert found is not None
    number, message = found
    assert (number, message[wire.DOWN_A], len(message[wire.DOWN_B])) == (made.command, 1, wire.KEY_BYTES)

    await ward.exchange(reader.results(1))
    [row] = await ward.rows("SELECT generation FROM reader WHERE reader_id = :id", id=reader.reader_id)
    assert row.generation == 0, "until the reader is known to have it, everything goes on under the old key"
    with pytest.raises(RotationWaits):
        await rotate(ward, reader)

    # The reader takes it: both events are sealed with the new key already.
    reader.generation, reader.key = 1, message[wire.DOWN_B]
    events = [
        factory.event(wire.EVENT_KEY_CHANGED, numbers=[1], moment=reader.moment()),
        factory.event(wire.EVENT_DOWN_APPLIED, numbers=[number, wire.DOWN_KEY], moment=reader.moment()),
    ]
    answer = await ward.exchange([reader.seal(one) for one in events], sightings=[factory.sighting(reader)])
    assert answer.answers == [HELD, HELD]
    [[_, _, _, generation, _]] = answer.of(wire.ITEM_TICKET)
    assert generation == 1, "the hub gets a ticket of the new key at once"
    [[_, _, held_to, receipt]] = answer.of(wire.ITEM_RECEIPT)
    assert (held_to, opened(reader, reader.key, receipt)[wire.DOWN_A]) == (5, 5)
    assert answer.of(wire.ITEM_DOWN) == []
    assert (await ward.exchange(reader.results(1))).answers == [HELD]
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        assert (await ledger.prove(session, reader.reader_id)).held == 6
    assert (await rotate(ward, reader)).generation == 2, "and another may follow"


async def test_what_the_old_key_sealed_still_opens_after_the_new_one_is_in_use(ward: Ward) -> None:
    reader = await ward.reader()
    early = reader.results(2)
    await rotate(ward, reader)
    reader.generation, reader.key = 1, ward.keyring.rotated(reader.reader_id, 1)
    late = reader.results(1)
    assert (await ward.exchange(late)).answers == [HELD]
    assert (await ward.exchange(early)).answers == [HELD, HELD]
    rows = await ward.rows("SELECT number FROM result WHERE reader_id = :id ORDER BY number", id=reader.reader_id)
    assert [row.number for row in rows] == [1, 2, 3]


async def test_a_command_that_the_reader_could_not_follow_is_taken_and_says_so(ward: Ward) -> None:
    reader = await ward.reader()
    made = await rotate(ward, reader)
    refused = factory.event(
        wire.EVENT_DOWN_APPLIED,
        numbers=[made.command, wire.DOWN_KEY, wire.ERR_UNSUPPORTED],
        moment=reader.moment(),
    )
    answer = await ward.exchange([reader.seal(refused)], sightings=[factory.sighting(reader)])
    assert [item for item in answer.of(wire.ITEM_DOWN) if item[2] == made.command] == []
    [row] = await ward.rows(
        "SELECT taken_at IS NOT NULL AS taken, refusal FROM command WHERE reader_id = :id AND number = :number",
        id=reader.reader_id,
        number=made.command,
    )
    assert tuple(row) == (True, wire.ERR_UNSUPPORTED)
    [row] = await ward.rows("SELECT generation FROM reader WHERE reader_id = :id", id=reader.reader_id)
    assert row.generation == 0
    assert (await rotate(ward, reader)).generation == 2, "a key that did not arrive is not given again"


async def test_after_an_older_backup_commands_are_numbered_after_what_the_reader_took(ward: Ward) -> None:
    reader = await ward.reader()
    # The server that gave it commands 1 to 7 is gone; the reader's own record of the last one comes again.
    taken = factory.event(wire.EVENT_DOWN_APPLIED, numbers=[7, wire.DOWN_SETTINGS], moment=reader.moment())
    await ward.exchange([reader.seal(taken)], sightings=[factory.sighting(reader, down=7)])
    assert (await rotate(ward, reader)).command >= 8
    waiting = await ward.exchange(sightings=[factory.sighting(reader, down=7)])
    assert min(item[2] for item in waiting.of(wire.ITEM_DOWN)) == 8


async def test_a_revoked_reader_gets_no_new_key(ward: Ward) -> None:
    reader = await ward.reader()
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await readers.revoke(session, ward.organisation, reader.reader_id, ACTOR)
    with pytest.raises(ReaderRevoked):
        await rotate(ward, reader)


async def test_a_hub_and_a_reader_revoked_while_a_body_is_on_its_way(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = await ward.reader()
    sealed = reader.results(2)
    arrived, go_on = asyncio.Event(), asyncio.Event()
    read = body.read

    async def held_up(request: Any) -> bytes:
        content = await read(request)
        arrived.set()
        await go_on.wait()
        return content

    monkeypatch.setattr(body, "read", held_up)
    posting = asyncio.create_task(ward.post(factory.exchange_body(sealed, [factory.sighting(reader)])))
    await arrived.wait()
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        assert await hubs.revoke(session, ward.organisation, bytes.fromhex(ward.hub_id), ACTOR)
        assert await readers.revoke(session, ward.organisation, reader.reader_id, ACTOR)
    go_on.set()
    refused = await posting
    monkeypatch.undo()
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthorised")
    rows = await ward.rows("SELECT count(*) AS many FROM sealed_record WHERE reader_id = :id", id=reader.reader_id)
    assert rows[0].many == 0, "nothing of a revoked hub's body is stored"
    # The records are in the reader still: another hub brings them, and they count, but the reader gets nothing more.
    await ward.enrol()
    answer = await ward.exchange(sealed, sightings=[factory.sighting(reader)])
    assert answer.answers == [HELD, HELD]
    assert [item for item in answer.items[1:] if item[0] != wire.ITEM_ANSWER] == []
