"""Turns and visits: ten readers and three slots, fairness, back-off, a full disk, a radio that comes and goes."""

import asyncio
import contextlib
import os
import random
import struct

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_reader import ModelLink, ModelReader

from hub.advert import Advert, read_advert
from hub.clock import Clock, Comparison
from hub.collector import Collector, LinkLost
from hub.errors import DiskFull
from hub.events import Events
from hub.exchange import Receipt, Reply
from hub.radio import RadioFailed
from hub.store import Store, Work
from hub.turns import Turns
from hub.visits import Visits
from hub.writer import Writer

HUB = b"hub-id-8"
NOTHING = Work(stored=8, receipt=0, command=0, down=0, tickets=1, expiry=1)


class ModelRadio:
    """Readers that advertise what they are; connecting gives a ModelLink, or fails for those in `deaf`."""

    def __init__(self, readers):
        self.readers = {reader.reader_id: reader for reader in readers}
        self.deaf, self.failures, self.connected, self.most, self.order = set(), [], 0, 0, []
        self.faults = {}

    async def scan(self, heard):
        if self.failures:
            raise self.failures.pop()
        while True:
            for reader in self.readers.values():
                payload = struct.pack(">B8sIIB", 1, reader.reader_id, reader.next, reader.released, 0)
                heard(read_advert(payload), "Test", -50)
            await asyncio.sleep(0.02)

    @contextlib.asynccontextmanager
    async def connect(self, reader_id):
        self.order.append(reader_id)
        if reader_id in self.deaf:
            raise LinkLost("deaf")
        self.connected += 1
        self.most = max(self.most, self.connected)
        await asyncio.sleep(0.01)
        try:
            yield ModelLink(self.readers[reader_id], HUB, **self.faults)
        finally:
            self.connected -= 1


class Hall:
    def __init__(self, folder, count, **options):
        self.folder, self.options = folder, options
        self.readers = [ModelReader() for _ in range(count)]
        self.radio, self.told, self.woken = ModelRadio(self.readers), [], 0

    async def __aenter__(self):
        self.writer, self.clock = Writer(), Clock()
        await self.writer.open(self.folder)
        events = Events(self.writer, self.clock)
        events.listeners.append(self.told.append)
        collector = Collector(self.writer, events, self.clock, HUB, watchdog_s=0.2)
        self.visits = Visits(self.radio, collector, self.writer, events, self.clock, visited=self._wake, **self.options)
        self.tasks = [asyncio.create_task(self.visits.scan()), asyncio.create_task(self.visits.run())]
        return self

    async def __aexit__(self, *_):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.writer.close()

    def _wake(self):
        self.woken += 1

    async def give(self, tickets=True, receipts=False):
        now = self.clock.read()
        made = tuple(reader.ticket(HUB) for reader in self.readers) if tickets else ()
        sealed = [cbor2.dumps(["receipt", reader.next - 1]) for reader in self.readers]
        taken = tuple(Receipt(r.reader_id, r.next - 1, s) for r, s in zip(self.readers, sealed, strict=True))
        reply = Reply(now.wall_ms, b"epoch--1", (), taken if receipts else (), made, ())
        await self.writer(Store.apply, [], [], reply, Comparison(now.wall_ms, now, 5))
        self.visits.poke()

    async def until(self, true, seconds=15):
        async with asyncio.timeout(seconds):
            while not await true():  # noqa: ASYNC110  the database is what is watched
                await asyncio.sleep(0.01)

    async def stored(self):
        return [(await self.writer(Store.known, reader.reader_id)).stored for reader in self.readers]

    def problems(self):
        return [event["code"] for event in self.told if event["event"] == "problem"]


async def test_ten_readers_are_collected_three_at_a_time_and_take_their_receipts(tmp_path):
    async with Hall(tmp_path, 10, slots=3) as hall:
        for reader in hall.readers:
            reader.add(20)
        await hall.give()

        async def collected():
            return await hall.stored() == [reader.next - 1 for reader in hall.readers]

        await hall.until(collected)
        assert hall.radio.most == 3
        assert not await hall.visits.settled(10), "collected is not delivered"
        await hall.give(receipts=True)

        async def taken():
            return all(reader.released == reader.next - 1 for reader in hall.readers)

        await hall.until(taken)
        assert hall.woken >= 10


async def test_a_reader_that_does_not_connect_does_not_hold_up_the_others(tmp_path):
    async with Hall(tmp_path, 4, slots=1) as hall:
        for reader in hall.readers:
            reader.add(3)
        hall.radio.deaf = {hall.readers[0].reader_id}
        await hall.give()

        async def others():
            return (await hall.stored())[1:] == [reader.next - 1 for reader in hall.readers[1:]]

        await hall.until(others)
        assert hall.radio.order.count(hall.readers[0].reader_id) <= 2


async def test_a_full_disk_stops_collecting_is_told_and_the_reader_keeps_its_records(tmp_path, monkeypatch):
    async with Hall(tmp_path, 1) as hall:
        hall.readers[0].add(5)
        whole = Store.keep_records

        def full(*_):
            raise DiskFull("The disk is full.")

        monkeypatch.setattr(Store, "keep_records", full)
        monkeypatch.setattr("hub.visits.DISK_PAUSE_S", 0.1)
        monkeypatch.setattr("hub.turns.BACKOFF_FIRST_S", 0.05)
        await hall.give()

        async def told():
            return "disk-full" in hall.problems()

        await hall.until(told)
        assert await hall.stored() == [0]
        monkeypatch.setattr(Store, "keep_records", whole)

        async def collected():
            return await hall.stored() == [hall.readers[0].next - 1]

        await hall.until(collected)

        async def solved():
            return any(event["event"] == "solved" and event["code"] == "disk-full" for event in hall.told)

        await hall.until(solved)


async def test_an_adapter_that_is_gone_is_named_and_comes_back_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr("hub.visits.RADIO_PAUSE_S", 0.05)
    hall = Hall(tmp_path, 1)
    hall.radio.failures = [RadioFailed("off", "adapter-off"), RadioFailed("none", "no-adapter")]
    async with hall:
        hall.readers[0].add(1)
        await hall.give()

        async def collected():
            return await hall.stored() == [hall.readers[0].next - 1]

        await hall.until(collected)
        assert hall.problems() == ["no-adapter", "adapter-off"]
        assert {event["code"] for event in hall.told if event["event"] == "solved"} == {"no-adapter", "adapter-off"}


async def test_a_reader_without_a_ticket_makes_the_hub_ask_and_then_say_so(tmp_path, monkeypatch):
    monkeypatch.setattr("hub.visits.TICKET_S", 0.1)
    monkeypatch.setattr("hub.visits.TICK_S", 0.05)
    async with Hall(tmp_path, 1) as hall:

        async def told():
            return hall.problems() == ["reader-not-enrolled"]

        await hall.until(told)
        assert hall.woken >= 1
        assert hall.radio.order == []


async def test_a_mistake_in_the_hub_costs_one_visit_and_is_told(tmp_path, monkeypatch):
    async with Hall(tmp_path, 1) as hall:
        whole, calls = Collector.visit, []

        async def broken(*arguments):
            calls.append(1)
            if len(calls) == 1:
                raise ZeroDivisionError
            return await whole(*arguments)

        monkeypatch.setattr(Collector, "visit", broken)
        monkeypatch.setattr("hub.turns.BACKOFF_FIRST_S", 0.05)
        hall.readers[0].add(2)
        await hall.give()

        async def collected():
            return await hall.stored() == [hall.readers[0].next - 1]

        await hall.until(collected)
        assert hall.problems() == ["hub-failed"]


async def test_readers_that_keep_breaking_off_are_told_only_when_it_repeats(tmp_path, monkeypatch):
    monkeypatch.setattr("hub.turns.BACKOFF_FIRST_S", 0.02)
    monkeypatch.setattr("hub.turns.BACKOFF_CAP_S", 0.05)
    monkeypatch.setattr("hub.visits.TICK_S", 0.02)
    async with Hall(tmp_path, 1) as hall:
        hall.readers[0].add(2)
        hall.radio.deaf = {hall.readers[0].reader_id}
        await hall.give()

        async def told():
            return "reader-unreachable" in hall.problems()

        await hall.until(told)
        assert len([event for event in hall.told if event["event"] == "left"]) >= 3
        hall.radio.deaf = set()

        async def solved():
            return any(event["event"] == "solved" and event["code"] == "reader-unreachable" for event in hall.told)

        await hall.until(solved)


@pytest.mark.parametrize(
    ("advert", "work", "why"),
    [
        (Advert(b"reader-8", 9, 8, 0), NOTHING, None),
        (Advert(b"reader-8", 10, 8, 0), NOTHING, "records"),
        (Advert(b"reader-8", 9, 7, 0), Work(8, 8, 0, 0, 1, 1), "receipt"),
        (Advert(b"reader-8", 9, 8, 0), Work(8, 8, 0, 0, 1, 1), None),
        (Advert(b"reader-8", 9, 8, 0), Work(8, 0, 3, 2, 1, 1), "command"),
    ],
)
def test_a_reader_is_visited_exactly_when_there_is_work(advert, work, why):
    turns = Turns()
    turns.heard(advert, 0)
    assert turns.why(advert.reader_id, work, 0) == (why or "anchor")
    turns.begin(advert.reader_id)
    turns.end(advert.reader_id, 1, True, advert.next, advert.released)
    assert turns.why(advert.reader_id, work, 2) == why
    assert turns.why(advert.reader_id, NOTHING, 700) in ("anchor", "records", "receipt")


@given(st.lists(st.integers(0, 4), max_size=30), st.integers(0, 2**32))
def test_nobody_waits_while_others_have_two_turns(failing, seed):
    turns, chance = Turns(chance=random.Random(seed)), random.Random(seed)
    ids = [os.urandom(8) for _ in range(5)]
    work = {reader_id: Work(0, 0, 0, 0, 1, 1) for reader_id in ids}
    now_s, visits = 0.0, []
    for step in range(60):
        now_s += chance.uniform(0.1, 1)
        for reader_id in ids:
            turns.heard(Advert(reader_id, 99, 0, 0), now_s)
        chosen = turns.choose(work, now_s)
        if chosen is None:
            continue
        turns.begin(chosen)
        ok = step >= len(failing) or ids.index(chosen) != failing[step]
        turns.end(chosen, now_s, ok)
        visits.append((chosen, ok))
    lasting = visits[len(failing) + 40 :]
    assert len({reader_id for reader_id, _ in visits}) == 5
    assert all(lasting[k][0] != lasting[k + 1][0] for k in range(len(lasting) - 1))


def test_a_failing_reader_is_left_alone_longer_each_time_up_to_a_cap():
    turns = Turns(chance=random.Random(1))
    work = {b"reader-8": Work(0, 0, 0, 0, 1, 1)}
    now_s, waits = 0.0, []
    for _ in range(12):
        start = now_s
        turns.heard(Advert(b"reader-8", 9, 0, 0), now_s)
        while turns.choose(work, now_s) is None:
            now_s += 0.5
            turns.heard(Advert(b"reader-8", 9, 0, 0), now_s)
        waits.append(now_s - start)
        turns.begin(b"reader-8")
        turns.end(b"reader-8", now_s, False)
    assert waits[0] == 0
    assert 1 <= waits[1] <= 2.5
    assert 150 <= waits[-1] <= 300.5
