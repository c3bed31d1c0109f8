"""Tickets, clock floors and commands: what goes down, to whom, and when it stops."""

import threading
import time
from typing import Any

import pytest

from reader import wire
from server.custody import endpoints
from server.database import direct, tenancy
from server.readers import keys, service
from tests.server import factory
from tests.server.conftest import ACTOR, Exchanged, Ward
from tests.server.custody.test_exchange import opened_down


def tickets(answer: Exchanged) -> dict[bytes, tuple[int, int, bytes]]:
    """Expiry, generation and secret by reader."""
    return {item[1]: (item[2], item[3], item[4]) for item in answer.of(wire.ITEM_TICKET)}


def commands(answer: Exchanged) -> list[tuple[bytes, int, bytes]]:
    return [(item[1], item[2], item[3]) for item in answer.of(wire.ITEM_DOWN)]


async def test_a_hub_gets_a_ticket_for_each_reader_of_its_organisation_and_only_those(
    ward: Ward, other_ward: Ward
) -> None:
    readers = [await ward.reader(), await ward.reader()]
    await other_ward.reader()
    given = tickets(await ward.exchange())
    assert given.keys() == {reader.reader_id for reader in readers}
    for reader in readers:
        expiry, generation, secret = given[reader.reader_id]
        assert abs(expiry - time.time() - 30 * 86_400) < 60
        assert generation == 0
        expected = keys.ticket_secret(reader.reader_id, reader.key, bytes.fromhex(ward.hub_id), expiry)
        assert secret == expected
    rows = await ward.rows("SELECT reader_id, extract(epoch FROM expires_at)::bigint AS expiry FROM ticket_issue")
    assert {(row.reader_id, row.expiry) for row in rows} == {(r, given[r][0]) for r in given}


async def test_many_new_tickets_and_clock_floors_are_made_in_a_thread_and_once(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = direct.answered
    in_threads: list[threading.Thread] = []

    def seen(*arguments: Any) -> Any:
        in_threads.append(threading.current_thread())
        return answered(*arguments)

    monkeypatch.setattr(direct, "answered", seen)
    readers = [await ward.reader() for _ in range(endpoints._FEW_NEW)]
    assert tickets(await ward.exchange()).keys() == {reader.reader_id for reader in readers}
    assert in_threads == []
    sealed = readers[0].results(1)
    readers += [await ward.reader() for _ in range(endpoints._FEW_NEW + 1)]
    given = await ward.exchange(sealed)
    assert given.answers == [(wire.HELD, None)]
    assert tickets(given).keys() == {reader.reader_id for reader in readers}
    assert sorted(command[:2] for command in commands(given)) == sorted((reader.reader_id, 1) for reader in readers)
    assert len(in_threads) == 1
    assert threading.main_thread() not in in_threads
    noted = await ward.rows("SELECT count(*) FROM ticket_issue GROUP BY reader_id, hub_id ORDER BY 1")
    assert len(noted) == len(readers)
    assert max(count for (count,) in noted) == 2, "given anew to those that it did not name, and to nobody thrice"


async def test_a_ticket_is_renewed_when_less_than_half_its_life_is_left_and_not_before(ward: Ward) -> None:
    reader = await ward.reader()
    expiry = tickets(await ward.exchange())[reader.reader_id][0]

    async def offered(expiry_s: int) -> dict[bytes, Any]:
        return tickets(await ward.exchange(head=factory.header(tickets=[[reader.reader_id, expiry_s]])))

    assert await offered(expiry) == {}
    # One this server did not issue, however late it says it ends, is no ticket.
    assert reader.reader_id in await offered(expiry + 1)
    assert reader.reader_id in await offered(int(time.time()) + 14 * 86_400)
    assert reader.reader_id in await offered(0)


async def test_a_new_key_generation_brings_a_new_ticket(ward: Ward) -> None:
    reader = await ward.reader()
    first = tickets(await ward.exchange())[reader.reader_id]
    key = bytes(range(32))
    await ward.rows(
        "INSERT INTO reader_key (reader_id, generation, organisation_id, encrypted, created_at)"
        " VALUES (:id, 2, :organisation, :encrypted, now()) RETURNING 1",
        id=reader.reader_id,
        organisation=ward.id,
        encrypted=ward.keyring.encrypt(reader.reader_id, 2, key),
    )
    await ward.rows("UPDATE reader SET generation = 2 WHERE reader_id = :id RETURNING 1", id=reader.reader_id)
    second = tickets(await ward.exchange(head=factory.header(tickets=[[reader.reader_id, first[0]]])))
    expiry, generation, secret = second[reader.reader_id]
    assert generation == 2
    assert secret == keys.ticket_secret(reader.reader_id, key, bytes.fromhex(ward.hub_id), expiry)


async def test_a_revoked_reader_gets_nothing_more_and_its_records_are_still_held(ward: Ward) -> None:
    reader = await ward.reader()
    await ward.exchange()
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        assert await service.revoke(session, ward.organisation, reader.reader_id, ACTOR)
    answer = await ward.exchange(reader.results(1))
    assert answer.answers == [(wire.HELD, None)]
    assert [item for item in answer.items[1:] if item[0] in (wire.ITEM_TICKET, wire.ITEM_DOWN)] == []


async def test_a_clock_floor_is_given_once_a_day_under_the_next_command_number(ward: Ward) -> None:
    reader = await ward.reader()
    before_ms = int(time.time() * 1000)
    [(reader_id, number, sealed)] = commands(await ward.exchange())
    assert (reader_id, number) == (reader.reader_id, 1)
    message = opened_down(reader, sealed)
    assert message[wire.DOWN_TYPE] == wire.DOWN_CLOCK_FLOOR
    assert before_ms <= int(str(message[wire.DOWN_A])) <= time.time() * 1000
    # The same bytes until it is taken or a day is over.
    assert commands(await ward.exchange()) == [(reader_id, 1, sealed)]


async def test_a_command_stops_when_the_reader_journals_that_it_took_it(ward: Ward) -> None:
    reader = await ward.reader()
    assert len(commands(await ward.exchange())) == 1
    # What a hub merely says it saw keeps this hub's answer short, and decides nothing for others.
    assert commands(await ward.exchange(sightings=[factory.sighting(reader, down=1)])) == []
    assert len(commands(await ward.exchange())) == 1
    taken = reader.seal(
        factory.event(wire.EVENT_DOWN_APPLIED, None, [1, wire.DOWN_CLOCK_FLOOR], moment=reader.moment())
    )
    assert commands(await ward.exchange([taken])) == []
    assert commands(await ward.exchange()) == []


async def test_a_floor_that_waits_for_days_is_brought_up_to_date_under_its_number(ward: Ward) -> None:
    reader = await ward.reader()
    [(_, _, first)] = commands(await ward.exchange())
    await ward.rows("UPDATE command SET created_at = created_at - interval '2 days' RETURNING 1")
    [(_, number, second)] = commands(await ward.exchange())
    assert number == 1
    assert second != first
    old, new = opened_down(reader, first), opened_down(reader, second)
    assert int(str(new[wire.DOWN_A])) >= int(str(old[wire.DOWN_A]))


async def test_the_next_floor_after_one_was_taken_has_the_next_number(ward: Ward) -> None:
    reader = await ward.reader()
    await ward.exchange()
    taken = reader.seal(
        factory.event(wire.EVENT_DOWN_APPLIED, None, [1, wire.DOWN_CLOCK_FLOOR], moment=reader.moment())
    )
    await ward.exchange([taken])
    await ward.rows("UPDATE command SET created_at = created_at - interval '2 days' RETURNING 1")
    assert [number for _, number, _ in commands(await ward.exchange())] == [2]
