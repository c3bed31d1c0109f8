"""A visit as its operator sees it: what is stored, credited and delivered, against a model of the reader's end."""

import sqlite3
import time

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_reader import ModelLink, ModelReader, chain_of, sealed_record

from hub.clock import Clock, Comparison
from hub.collector import Collector
from hub.events import Events
from hub.exchange import Answer, Command, Offer, Receipt, Reply
from hub.store import Store
from hub.writer import Writer
from reader import wire

HUB = b"hub-id-8"


class Bench:
    """A collector over a real database, and a reader it holds a ticket for."""

    def __init__(self, folder, window=64):
        self.folder, self.window = folder, window
        self.reader = ModelReader()
        self.told = []

    async def __aenter__(self):
        self.writer, self.clock = Writer(), Clock()
        await self.writer.open(self.folder)
        self.events = Events(self.writer, self.clock)
        self.events.listeners.append(self.told.append)
        self.collector = Collector(self.writer, self.events, self.clock, HUB, watchdog_s=0.2, window=self.window)
        await self.give(tickets=(self.reader.ticket(HUB),))
        return self

    async def __aexit__(self, *_):
        await self.writer.close()

    async def give(self, epoch=b"epoch--1", **parts):
        """What a server's response would bring. The clocks agree."""
        now = self.clock.read()
        empty = dict.fromkeys(("answers", "receipts", "tickets", "commands"), ())
        reply = Reply(now.wall_ms, epoch, **{**empty, **parts})
        offers = [Offer("records", -1, self.reader.reader_id, 1, b"")] * len(reply.answers)
        return await self.writer(Store.apply, offers, [], reply, Comparison(now.wall_ms, now, 5))

    async def visit(self, **faults):
        link = ModelLink(self.reader, HUB, **faults)
        return await self.collector.visit(self.reader.reader_id, link), link

    def stored(self):
        with sqlite3.connect(self.folder / "hub.sqlite3") as db:
            return [
                tuple(row)
                for row in db.execute(
                    "SELECT number, sealed FROM records WHERE reader_id = ? ORDER BY number", (self.reader.reader_id,)
                )
            ]

    def rows(self, sql):
        with sqlite3.connect(self.folder / "hub.sqlite3") as db:
            return db.execute(sql).fetchall()

    def everything(self):
        return list(enumerate(self.reader.records, 1))


async def test_a_visit_stores_every_record_byte_for_byte(tmp_path):
    async with Bench(tmp_path) as bench:
        bench.reader.add(40)
        visit, _ = await bench.visit()
        assert visit.fault is None
        assert visit.collected == 40
        assert bench.stored() == bench.everything()


@pytest.mark.parametrize("mtu", [23, 50, 185, 247, 517])
async def test_every_mtu_from_the_smallest_up_carries_the_longest_record(tmp_path, mtu):
    async with Bench(tmp_path, window=512) as bench:
        bench.reader.add(3, size=4096 - 110)
        visit, _ = await bench.visit(mtu=mtu)
        assert visit.fault is None
        assert bench.stored() == bench.everything()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.lists(st.integers(0, 60), min_size=1, max_size=6),
    count=st.integers(1, 30),
    window=st.sampled_from([8, 16, 64]),
)
async def test_whatever_link_is_lost_nothing_is_lost_and_nothing_twice(tmp_path_factory, cuts, count, window):
    async with Bench(tmp_path_factory.mktemp("hub"), window) as bench:
        bench.reader.add(count, size=500)
        for cut in cuts:
            before = bench.stored()
            visit, _ = await bench.visit(cut_after=cut)
            assert bench.stored()[: len(before)] == before
            assert visit.fault in (None, "reader-unreachable")
        visit, _ = await bench.visit()
        assert visit.fault is None
        assert bench.stored() == bench.everything()


async def test_draining_a_thousand_records_costs_less_than_a_tenth_of_a_round_trip_each(tmp_path):
    async with Bench(tmp_path, window=512) as bench:
        bench.reader.add(1000, size=900)
        began = time.perf_counter()
        _, link = await bench.visit()
        seconds = time.perf_counter() - began
        assert len(bench.stored()) == 1000
        assert link.writes / 1000 < 0.1, f"{link.writes} writes"
        assert 1000 / seconds > 200, f"{1000 / seconds:.0f} records a second"


async def test_a_reader_that_goes_silent_is_left_and_resumed(tmp_path):
    async with Bench(tmp_path, window=8) as bench:
        bench.reader.add(10)
        visit, _ = await bench.visit(mute_after=9)
        assert visit.fault == "reader-stalled"
        visit, _ = await bench.visit()
        assert visit.fault is None
        assert bench.stored() == bench.everything()


async def test_a_damaged_record_blocks_nothing_behind_it_and_is_told(tmp_path):
    async with Bench(tmp_path) as bench:
        bench.reader.add(6)
        bench.reader.damaged = {3, 6}
        visit, _ = await bench.visit()
        assert visit.fault is None
        assert [number for number, sealed in bench.stored() if sealed] == [1, 2, 4, 5]
        assert [event["code"] for event in bench.told if event["event"] == "problem"] == ["record-damaged"]
        bench.reader.add(2)
        visit, _ = await bench.visit()
        assert visit.fault is None
        assert [n for n, sealed in bench.stored() if sealed] == [1, 2, 4, 5, 7, 8]


async def test_records_that_another_hub_delivered_are_not_waited_for(tmp_path):
    async with Bench(tmp_path) as bench:
        bench.reader.add(10)
        bench.reader.released, bench.reader.first = 7, 8
        visit, _ = await bench.visit()
        assert visit.fault is None
        assert [n for n, _ in bench.stored()] == [8, 9, 10]


async def test_an_impostor_gets_no_proof_and_nothing_is_taken_from_it(tmp_path):
    async with Bench(tmp_path) as bench:
        bench.reader.add(2)
        visit, link = await bench.visit(impostor=True)
        assert visit.fault == "reader-not-proved"
        assert not link.admitted
        assert bench.stored() == []


async def test_without_a_ticket_nothing_is_asked(tmp_path):
    async with Bench(tmp_path) as bench:
        bench.reader = ModelReader()
        visit, link = await bench.visit()
        assert visit.fault == "reader-not-enrolled"
        assert link.writes == 0


async def test_a_forked_reader_is_not_collected_over_and_its_bytes_are_kept_as_evidence(tmp_path):
    async with Bench(tmp_path) as bench:
        bench.reader.add(4)
        await bench.visit()
        held = bench.stored()
        bench.reader.records = chain_of(bench.reader.reader_id, 6)  # a clone with another history
        visit, _ = await bench.visit()
        assert visit.fault == "reader-forked"
        assert bench.stored() == held
        assert bench.rows("SELECT number, sealed FROM evidence") == [(5, bench.reader.records[4])]
        await bench.visit()
        assert len(bench.rows("SELECT * FROM evidence")) == 1
        offers = await bench.writer(Store.offers, 100, 10**6)
        assert [offer.kept for offer in offers] == ["evidence", *["records"] * 4]


async def test_a_fork_of_the_same_length_is_seen_without_a_new_record(tmp_path):
    async with Bench(tmp_path) as bench:
        bench.reader.add(4)
        await bench.visit()
        held = bench.stored()
        bench.reader.records = chain_of(bench.reader.reader_id, 1, sealed=bench.reader.records[:3])
        visit, _ = await bench.visit()
        assert visit.fault == "reader-forked"
        assert bench.stored() == held
        assert bench.rows("SELECT number, sealed FROM evidence") == [(4, bench.reader.records[3])]


async def test_a_reader_set_back_to_an_earlier_state_is_told(tmp_path):
    async with Bench(tmp_path) as bench:
        bench.reader.add(4)
        await bench.visit()
        bench.reader.records = bench.reader.records[:2]
        visit, _ = await bench.visit()
        assert visit.fault == "reader-behind"
        assert len(bench.stored()) == 4
        assert bench.rows("SELECT * FROM evidence") == []


@pytest.mark.parametrize("what", ["other number", "other reader", "noise", "early end", "late end"])
async def test_a_reader_that_sends_something_else_is_left_with_what_came_before_kept(tmp_path, what):
    async with Bench(tmp_path) as bench:
        reader = bench.reader
        reader.add(5)
        other = {
            "other number": sealed_record(reader.reader_id, 9, reader.hash_at(2)),
            "other reader": sealed_record(b"somebody", 3, reader.hash_at(2)),
            "noise": b"\xff" * 300,
            "early end": cbor2.dumps([wire.OP_END, 5]),
            "late end": cbor2.dumps([wire.OP_END, 7]),
        }[what]
        visit, _ = await bench.visit(alter={6 if what == "late end" else 3: other})
        assert visit.fault == "reader-misbehaved"
        assert bench.stored() == bench.everything()[: len(bench.stored())]
        visit, _ = await bench.visit()
        assert visit.fault is None
        assert bench.stored() == bench.everything()


async def test_receipts_and_commands_are_handed_over_and_the_event_they_make_is_collected(tmp_path):
    async with Bench(tmp_path) as bench:
        bench.reader.add(3)
        await bench.visit()
        receipt = Receipt(bench.reader.reader_id, 3, cbor2.dumps(["receipt", 3]))
        commands = tuple(Command(bench.reader.reader_id, n, cbor2.dumps(["command", n]) + b"") for n in (1, 2))
        await bench.give(receipts=(receipt,), commands=commands)
        visit, _ = await bench.visit()
        assert visit.fault is None
        assert (bench.reader.released, bench.reader.down) == (3, 2)
        assert bench.stored()[3:] == list(enumerate(bench.reader.records, 1))[3:]
        assert len(bench.stored()) == 5
        taken = len(bench.reader.taken)
        await bench.visit()
        assert len(bench.reader.taken) == taken, "nothing is handed over twice"


async def test_records_a_command_and_the_event_it_makes_are_taken_in_one_visit(tmp_path):
    async with Bench(tmp_path) as bench:
        bench.reader.add(7)
        await bench.give(commands=(Command(bench.reader.reader_id, 1, cbor2.dumps(["command", 1])),))
        visit, _ = await bench.visit()
        assert visit.fault is None
        assert bench.reader.down == 1
        assert bench.stored() == bench.everything()
        assert len(bench.stored()) == 8


async def test_a_command_that_is_not_understood_spends_its_number_and_the_next_is_taken(tmp_path):
    async with Bench(tmp_path) as bench:
        bench.reader.command_codes = {1: wire.ERR_UNSUPPORTED}
        await bench.give(commands=tuple(Command(bench.reader.reader_id, n, cbor2.dumps(["c", n])) for n in (1, 2)))
        visit, _ = await bench.visit()
        assert visit.fault is None
        assert bench.reader.down == 2
        assert "command-refused" in [event.get("code") for event in bench.told]


async def test_a_reader_that_refuses_the_time_is_collected_all_the_same(tmp_path):
    async with Bench(tmp_path) as bench:
        bench.reader.add(3)
        bench.reader.clock_limit_ms = 1
        visit, _ = await bench.visit()
        assert visit.fault is None
        assert bench.stored() == bench.everything()


async def test_a_receipt_that_the_reader_refuses_is_a_problem_and_is_not_offered_again(tmp_path):
    async with Bench(tmp_path) as bench:
        bench.reader.add(3)
        bench.reader.receipt_code = wire.ERR_CHAIN_MISMATCH
        await bench.give(receipts=(Receipt(bench.reader.reader_id, 3, cbor2.dumps(["receipt", 3])),))
        visit, _ = await bench.visit()
        assert visit.fault == "receipt-refused"
        assert bench.reader.released == 0
        visit, _ = await bench.visit()
        assert visit.fault is None


async def test_the_clock_is_given_once_when_unset_and_not_again(tmp_path):
    async with Bench(tmp_path) as bench:
        await bench.visit()
        assert len(bench.reader.clocks) == 1
        assert abs(bench.reader.clocks[0] - time.time() * 1000) < 2000
        await bench.visit()
        assert len(bench.reader.clocks) == 1


async def test_each_visit_leaves_a_sighting_with_the_uptime_anchored(tmp_path):
    async with Bench(tmp_path) as bench:
        bench.reader.wall_ms, bench.reader.clock_source = int(time.time() * 1000), wire.CLOCK_RTC
        before = time.time() * 1000
        await bench.visit()
        ((_, sighting, *_),) = await bench.writer(Store.sightings, 10)
        assert before - 5 <= sighting.hub_ms <= time.time() * 1000
        assert sighting.uptime_ms == 1000
        assert sighting.boot_id == bench.reader.boot_id


async def test_a_reader_makes_room_when_another_waits_and_goes_on_later(tmp_path):
    async with Bench(tmp_path, window=16) as bench:
        bench.reader.add(60)
        link = ModelLink(bench.reader, HUB)
        visit = await bench.collector.visit(bench.reader.reader_id, link, lambda: True)
        assert visit.yielded
        assert visit.fault is None
        assert 0 < len(bench.stored()) < 60
        await bench.visit()
        assert bench.stored() == bench.everything()


async def test_answers_do_not_count_as_delivered_but_a_receipt_does(tmp_path):
    async with Bench(tmp_path) as bench:
        bench.reader.add(3)
        await bench.visit()
        offers = await bench.writer(Store.offers, 10, 10**6)
        now = bench.clock.read()
        reply = Reply(now.wall_ms, b"epoch--1", tuple(Answer(wire.HELD, None) for _ in offers), (), (), ())
        await bench.writer(Store.apply, offers, [], reply, Comparison(now.wall_ms, now, 5))
        assert bench.rows("SELECT delivered, undelivered, waiting FROM readers") == [(0, 3, 0)]
        moved = await bench.give(receipts=(Receipt(bench.reader.reader_id, 2, b"r"),))
        assert moved == {bench.reader.reader_id: 2}
        assert bench.rows("SELECT delivered, undelivered, waiting FROM readers") == [(2, 1, 0)]
