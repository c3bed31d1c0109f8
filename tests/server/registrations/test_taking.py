"""Registrations arrive once, whoever brings them and however often; what does not open keeps its bytes."""

import asyncio
import os
from datetime import timedelta

import cbor2
import pytest

from reader import wire
from server.custody.again import Tally
from server.database import tenancy
from server.database.columns import now
from server.registrations import again, keys, opening
from tests.server import factory
from tests.server.conftest import ACTOR, Ward
from tests.server.registrations.sealing import key_of, offer, plain, registered, seal

HELD, DUPLICATE = (wire.HELD, None), (wire.DUPLICATE, None)


async def states(ward: Ward) -> list[tuple[str, str]]:
    rows = await ward.rows("SELECT state, code FROM registration ORDER BY received_at, state")
    # Matched at once or a moment later: both have been held.
    return [("held" if row.state in ("waiting", "settled", "undecided") else row.state, row.code) for row in rows]


async def rotate(ward: Ward) -> int:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return (await keys.rotate(session, ward.keyring, ward.id, ACTOR))[1]


async def age_keys(ward: Ward, days: float) -> None:
    await ward.rows(
        "UPDATE registration_key SET retired_at = :at WHERE retired_at IS NOT NULL RETURNING key_id",
        at=now() - timedelta(days=days),
    )


async def process(ward: Ward) -> Tally:
    return await asyncio.to_thread(again.process, ward.pool, ward.keyring, ward.id, ACTOR)


async def test_each_organisation_has_one_key_and_its_hubs_are_told_it(ward: Ward, other_ward: Ward) -> None:
    key = await key_of(ward)
    assert await key_of(ward) == key != await key_of(other_ward)
    [row] = await ward.rows("SELECT public_key, encrypted, key_id FROM registration_key")
    assert bytes(row.public_key) == key
    assert len(row.encrypted) == 12 + 32 + 16
    assert bytes(row.key_id) == opening.key_id(key)


async def test_first_exchanges_at_once_make_one_key(ward: Ward) -> None:
    assert len(set(await asyncio.gather(*(key_of(ward) for _ in range(6))))) == 1
    assert len(await ward.rows("SELECT key_id FROM registration_key")) == 1


async def test_a_registration_is_held_once_and_a_duplicate_afterwards(ward: Ward) -> None:
    one = await registered(ward)
    assert await offer(ward, one) == [HELD]
    assert await offer(ward, one) == [DUPLICATE]
    assert await offer(ward, one, one) == [DUPLICATE, DUPLICATE]
    two = await registered(ward, specimen="S-2")
    assert await offer(ward, two, two) == [HELD, DUPLICATE]
    assert await states(ward) == [("held", ""), ("held", "")]


async def test_twenty_clients_with_one_registration_leave_it_once(ward: Ward) -> None:
    batch = [await registered(ward, specimen=f"S-{number}") for number in range(3)]
    answers = await asyncio.gather(*(offer(ward, *(batch if at % 2 else batch[::-1])) for at in range(20)))
    said = [one for answer in answers for one in answer]
    assert said.count(HELD) == 3
    assert said.count(DUPLICATE) == 57
    assert len(await states(ward)) == 3


async def test_records_and_registrations_travel_together(ward: Ward) -> None:
    reader = await ward.reader("Reader")
    body = factory.exchange_body(reader.results(2)) + factory.sequence([wire.ITEM_REGISTRATION, await registered(ward)])
    items = factory.items_of((await ward.post(body)).content)
    assert [item[0] for item in items[:4]] == [
        wire.ITEM_HEADER, wire.ITEM_ANSWER, wire.ITEM_ANSWER, wire.ITEM_REGISTRATION
    ]  # fmt: skip


async def test_other_bytes_with_a_taken_id_are_a_conflict_and_kept_aside(ward: Ward) -> None:
    hub_id, registration_id, key = bytes.fromhex(ward.hub_id), os.urandom(16), await key_of(ward)
    one, other = (
        seal(plain(hub_id, registration_id, given=name), key, hub_id, registration_id) for name in ("One", "Other")
    )
    assert await offer(ward, one) == [HELD]
    assert await offer(ward, other) == [(wire.CONFLICT, "conflict")]
    assert await offer(ward, other, one) == [(wire.CONFLICT, "conflict"), DUPLICATE]
    assert sorted(await states(ward)) == [("held", ""), ("quarantined", "conflict")]
    assert await process(ward) == Tally(1, 0)


async def test_one_of_another_organisation_does_not_open_here_and_its_hub_is_not_known(
    ward: Ward, other_ward: Ward
) -> None:
    foreign = await registered(other_ward)
    assert await offer(ward, foreign) == [(wire.QUARANTINED, "unknown-hub")]
    hub_id, registration_id = bytes.fromhex(ward.hub_id), os.urandom(16)
    to_others = seal(plain(hub_id, registration_id), await key_of(other_ward), hub_id, registration_id)
    assert await offer(ward, to_others) == [(wire.QUARANTINED, "unknown-key")]
    assert await states(other_ward) == []
    assert await offer(other_ward, foreign) == [HELD], "where it belongs it is taken"


async def test_what_does_not_open_is_kept_with_its_bytes_once(ward: Ward) -> None:
    one = await registered(ward)
    altered = one[:-1] + bytes([one[-1] ^ 1])
    moved = cbor2.loads(one)
    moved[2] = os.urandom(16)
    for sealed in (altered, cbor2.dumps(moved)):
        assert await offer(ward, sealed) == [(wire.QUARANTINED, "does-not-open")]
        assert await offer(ward, sealed) == [(wire.QUARANTINED, "does-not-open")]
    body = factory.exchange_body() + factory.sequence([wire.ITEM_REGISTRATION, b"noise"])
    items = factory.items_of((await ward.post(body)).content)
    assert items[1][:4] == [wire.ITEM_REGISTRATION, None, wire.QUARANTINED, "malformed"]
    rows = await ward.rows("SELECT sealed FROM registration WHERE state = 'quarantined'")
    assert {bytes(row.sealed) for row in rows} == {altered, cbor2.dumps(moved), b"noise"}
    assert await offer(ward, one) == [HELD], "what was altered has not taken the place of the true one"


async def test_what_is_not_understood_now_is_processed_again_once_it_is(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await registered(ward)
    read = opening.read

    def older(*_: object) -> None:
        raise opening.NotOpened("not-understood")

    monkeypatch.setattr(opening, "read", older)
    assert await offer(ward, one) == [(wire.QUARANTINED, "not-understood")]
    assert await process(ward) == Tally(1, 0)
    monkeypatch.setattr(opening, "read", read)
    assert await process(ward) == Tally(1, 1)
    assert await process(ward) == Tally(0, 0)
    assert await states(ward) == [("held", "")]
    assert await offer(ward, one) == [DUPLICATE]
    [row] = await ward.rows("SELECT attempts, sealed FROM registration")
    assert (row.attempts, bytes(row.sealed)) == (2, b"")


async def test_one_that_came_again_while_it_was_in_quarantine_is_there_once(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await registered(ward)
    with monkeypatch.context() as patch:

        def older(*_: object) -> None:
            raise opening.NotOpened("not-understood")

        patch.setattr(opening, "read", older)
        assert await offer(ward, one) == [(wire.QUARANTINED, "not-understood")]
    assert await offer(ward, one) == [HELD]
    assert await process(ward) == Tally(1, 1)
    assert await states(ward) == [("held", "")]


async def test_the_key_before_opens_for_ninety_days_and_is_then_destroyed(ward: Ward) -> None:
    before = await key_of(ward)
    hub_id = bytes.fromhex(ward.hub_id)
    ids = [os.urandom(16) for _ in range(3)]
    one, late, later = (seal(plain(hub_id, id, specimen=f"S-{at}"), before, hub_id, id) for at, id in enumerate(ids))
    assert await rotate(ward) == 0
    assert await key_of(ward) != before
    assert await offer(ward, one) == [HELD]
    await age_keys(ward, 89.9)
    assert await offer(ward, late) == [HELD]
    await age_keys(ward, 90.1)
    assert await offer(ward, later) == [(wire.QUARANTINED, "retired-key")]
    assert await rotate(ward) == 1
    assert await process(ward) == Tally(1, 0)
    [row] = await ward.rows("SELECT code FROM registration WHERE state = 'quarantined'")
    assert row.code == "unknown-key"


async def test_what_an_exchange_takes_is_in_the_audit_log_before(ward: Ward) -> None:
    await offer(ward, await registered(ward), await registered(ward, specimen="S-2"))
    rows = await ward.rows("SELECT actor, detail FROM audit_entry WHERE action = 'registration.take'")
    assert [(row.actor, row.detail) for row in rows] == [(ward.hub_id, {"registrations": 2})]


async def test_too_long_a_registration_refuses_the_request(ward: Ward) -> None:
    for wrong in (b"", bytes(wire.REGISTRATION_MAX + 1)):
        response = await ward.post(factory.exchange_body() + factory.sequence([wire.ITEM_REGISTRATION, wrong]))
        assert (response.status_code, response.json()["code"]) == (400, "bad-item")


async def test_no_other_organisation_sees_keys_or_registrations(ward: Ward, other_ward: Ward) -> None:
    await offer(ward, await registered(ward))
    assert await other_ward.rows("SELECT id FROM registration") == []
    assert await other_ward.rows("SELECT key_id FROM registration_key") == []
