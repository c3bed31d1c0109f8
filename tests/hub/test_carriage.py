"""An image on its way to a reader: in turns, resumed, never before a record, and never at the cost of one."""

import hashlib
import random

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_reader import ModelLink, ModelReader
from model_server import image_id
from test_collector import HUB, Bench
from test_visits import Hall

from hub import messages
from hub.advert import Advert
from hub.carriage import TURN_BYTES, Asking, Carriage, Ended, Piece
from hub.clock import Reading
from hub.errors import Malformed
from hub.exchange import Command, Image
from hub.messages import ErrorReply, Wanted
from hub.store import Store, Work
from hub.turns import Turns
from reader import wire

CONTENT = random.Random(20261129).randbytes(150_001)
IMAGE = Image(image_id(CONTENT), len(CONTENT), hashlib.sha256(CONTENT).digest())


async def here(bench, *readers, image=IMAGE, content=CONTENT):
    """The whole image is on the laptop, and these readers await it."""

    async def given_out(asked):
        return content if asked == image else None

    object.__setattr__(bench.collector, "image", given_out)
    await bench.writer(Store.await_images, {reader.reader_id: image for reader in readers})
    await bench.writer(Store.hold_image, image.image_id, image.size)
    for reader in readers:
        reader.image_id, reader.image_size = image.image_id, image.size


def progress(bench):
    return bench.rows("SELECT offset, code FROM awaited")[0]


def later(bench, ms):
    """The laptop's clock, so much on."""
    read = bench.clock.read

    def moved():
        now = read()
        return Reading(now.wall_ms + ms, now.steady_ms + ms, now.boot)

    bench.clock.read = moved


async def test_a_reader_gets_the_image_byte_for_byte_after_all_its_records(tmp_path):
    async with Bench(tmp_path) as bench:
        bench.reader.add(20)
        await here(bench, bench.reader)
        visit, _ = await bench.visit()
        assert (visit.fault, visit.collected) == (None, 20)
        assert bytes(bench.reader.image) == CONTENT
        assert progress(bench) == (len(CONTENT), 0)
        order = [event["event"] for event in bench.told]
        assert order.index("collected") < order.index("updating")
        assert (await bench.writer(Store.work, bench.reader.reader_id)).image is None, "it is not connected to for it"


async def test_a_link_lost_at_any_piece_costs_the_image_a_pause_and_the_reader_nothing(tmp_path):
    async with Bench(tmp_path) as bench:
        await here(bench, bench.reader)
        for piece in (1, 40, 70):
            before = len(bench.reader.image)
            visit, _ = await bench.visit(cut_at_piece=piece)
            assert visit.fault is None
            assert len(bench.reader.image) == before + (piece - 1) * wire.PIECE_MAX
            assert not bench.collector.may_ask(bench.reader.reader_id, IMAGE.image_id)
            bench.reader.add(1)
            visit, link = await bench.visit()
            assert (visit.collected, link.pieces) == (1, 0), "records are collected, and it is left alone meanwhile"
            later(bench, 900_000)
        await bench.visit()
        assert bytes(bench.reader.image) == CONTENT


async def test_a_file_that_does_not_stand_its_hash_is_sent_again_from_where_the_reader_says(tmp_path):
    async with Bench(tmp_path) as bench:
        await here(bench, bench.reader)
        bench.reader.again = {50 * 1024: 3 * 1024, 60 * 1024: 0, len(CONTENT): 100 * 1024}
        await bench.visit()
        assert bytes(bench.reader.image) == CONTENT


@pytest.mark.parametrize(
    ("code", "pause_ms"), [(wire.ERR_STORAGE, 300_000), (wire.ERR_IMAGE, 1_800_000), (wire.ERR_BATTERY, 900_000)]
)
async def test_a_reader_that_wants_nothing_now_is_asked_at_a_later_visit_and_not_at_once(tmp_path, code, pause_ms):
    async with Bench(tmp_path) as bench:
        await here(bench, bench.reader)
        bench.reader.image_codes = [code, 0]
        for after_ms, pieces in ((0, 0), (0, 0), (pause_ms - 60_000, 0), (60_000, 147)):
            later(bench, after_ms)
            visit, link = await bench.visit()
            assert (visit.fault, link.pieces) == (None, pieces)
        assert progress(bench) == (len(CONTENT), 0)


async def test_what_a_reader_said_is_kept_for_the_operator(tmp_path):
    async with Bench(tmp_path) as bench:
        await here(bench, bench.reader)
        await bench.visit(cut_at_piece=11)
        later(bench, 900_000)
        bench.reader.image_codes = [wire.ERR_BATTERY]
        await bench.visit()
        assert progress(bench) == (10 * wire.PIECE_MAX, wire.ERR_BATTERY)


async def test_an_older_firmware_is_left_alone_and_is_no_fault(tmp_path):
    async with Bench(tmp_path) as bench:
        await here(bench, bench.reader)
        bench.reader.updates = False
        for _ in range(2):
            visit, link = await bench.visit()
            assert (visit.fault, link.pieces) == (None, 0)
        assert progress(bench) == (0, wire.ERR_UNKNOWN_OP)
        assert not bench.collector.may_ask(bench.reader.reader_id, IMAGE.image_id)


async def test_a_command_that_was_taken_makes_the_reader_be_asked_at_once(tmp_path):
    async with Bench(tmp_path) as bench:
        await here(bench, bench.reader)
        bench.reader.image_codes = [wire.ERR_IMAGE]
        await bench.visit()
        await bench.give(commands=(Command(bench.reader.reader_id, 1, cbor2.dumps(["update", 1])),))
        await bench.visit()
        assert bytes(bench.reader.image) == CONTENT


async def test_a_record_made_meanwhile_is_collected_before_the_next_turn(tmp_path):
    async with Bench(tmp_path) as bench:
        await here(bench, bench.reader)
        looked = []

        def others_wait():
            looked.append(len(bench.reader.image))
            if len(looked) == 1:
                bench.reader.add(3)
            return False

        visit = await bench.collector.visit(
            bench.reader.reader_id, ModelLink(bench.reader, HUB), others_wait=others_wait
        )
        assert looked[0] == TURN_BYTES
        assert visit.collected == 3
        told = [(event["event"], event.get("done")) for event in bench.told]
        assert told.index(("collected", None)) < told.index(("updating", 2 * TURN_BYTES))


async def test_a_visit_makes_room_after_one_turn_when_others_wait(tmp_path):
    async with Bench(tmp_path) as bench:
        await here(bench, bench.reader)
        link = ModelLink(bench.reader, HUB)
        visit = await bench.collector.visit(bench.reader.reader_id, link, others_wait=lambda: True)
        assert (visit.yielded, visit.fault) == (True, None)
        assert len(bench.reader.image) == TURN_BYTES
        assert bench.collector.may_ask(bench.reader.reader_id, IMAGE.image_id), "its turn comes again without a pause"


async def test_a_reader_that_never_gets_on_is_given_up_and_told_after_three_times(tmp_path):
    async with Bench(tmp_path) as bench:
        await here(bench, bench.reader)
        bench.reader.stuck = True
        for _ in range(3):
            visit, link = await bench.visit()
            assert visit.fault is None, "its records are collected as before"
            assert link.pieces < 4 * len(CONTENT) / wire.PIECE_MAX
            later(bench, 900_000)
        assert [event["code"] for event in bench.told if event["event"] == "problem"] == ["update-stalled"]
        bench.reader.stuck = False
        await bench.visit()
        assert bytes(bench.reader.image) == CONTENT
        assert bench.rows("SELECT count(*) FROM problems") == [(0,)]


async def test_an_image_of_another_size_than_the_reader_awaits_is_not_sent(tmp_path):
    async with Bench(tmp_path) as bench:
        await here(bench, bench.reader)
        bench.reader.image_size += 1
        visit, link = await bench.visit()
        assert (visit.fault, link.pieces) == (None, 0)


async def test_readers_take_turns_and_one_with_records_goes_before_those_with_an_image(tmp_path):
    async with Hall(tmp_path, 4, slots=1, revisit_s=3600) as hall:
        bench = hall
        bench.collector = hall.visits._collector
        *updated, busy = hall.readers
        await here(bench, *updated)
        await hall.give()
        turns = []

        def listen(event):
            if event["event"] == "updating":
                turns.append(event["reader"])
                if len(turns) == 4:
                    busy.add(5)
            if event["event"] == "collected":
                turns.append("records")

        hall.visits._events.listeners.append(listen)

        async def all_there():
            return all(bytes(reader.image) == CONTENT for reader in updated) and len(busy.records) == 5

        await hall.until(all_there, 120)

        async def collected():
            return "records" in turns

        await hall.until(collected, 60)
        assert {turns[n] for n in range(3)} == {reader.reader_id.hex() for reader in updated}, "a turn each"
        assert turns.index("records") <= 7, "the records did not wait for the images to end"


def test_only_an_image_is_the_last_reason_to_visit():
    turns = Turns(chance=random.Random(1))
    work = Work(stored=8, receipt=0, command=0, down=0, tickets=1, expiry=1, image=b"i" * 16)
    for n in range(3):
        turns.heard(Advert(bytes([n]) * 8, 9, 8, 0), 0.0)
        turns.begin(bytes([n]) * 8)
        turns.end(bytes([n]) * 8, float(n), True, 9, 8)
    works = {bytes([n]) * 8: work for n in range(3)}
    assert turns.why(bytes(8), work, 5.0) == "image"
    assert turns.choose(works, 5.0) == bytes(8)
    turns.heard(Advert(b"\x02" * 8, 10, 8, 0), 5.0)
    assert turns.choose(works, 5.0) == b"\x02" * 8


replies = st.one_of(
    st.builds(Wanted, st.integers(0, 255), st.integers(0, 5000), st.integers(0, 5000)),
    st.builds(ErrorReply, st.integers(0, 255), st.integers(0, 255)),
)


@given(st.lists(replies, max_size=200))
def test_no_answers_make_a_piece_that_is_not_of_the_image(said):
    image = random.Random(3).randbytes(5000)
    carriage = Carriage(image)
    for reply in said:
        try:
            step = carriage.answer(reply)
        except Malformed:
            return
        if isinstance(step, Ended):
            return
        assert isinstance(step, Piece)
        op, offset, content = cbor2.loads(step.message)
        assert op == wire.OP_PIECE
        assert content == image[offset : offset + wire.PIECE_MAX] != b""


@given(st.binary(max_size=40))
def test_no_bytes_of_wanted_raise_anything_but_malformed(body):
    for sent in (body, b"\x84\x11" + body):
        try:
            read = messages.read_control(sent)
        except Malformed:
            continue
        if isinstance(read, Wanted):
            assert 0 <= read.offset <= read.size <= wire.IMAGE_MAX


def test_each_failure_in_a_row_makes_the_pause_longer_up_to_a_bound():
    asking, reader = Asking(), ModelReader().reader_id
    pauses, now = [], 0
    for _ in range(12):
        asking.failed(reader, IMAGE.image_id, now)
        start = now
        while not asking.may(reader, IMAGE.image_id, now):
            now += 5_000
        pauses.append(now - start)
    assert pauses[:3] == [15_000, 30_000, 60_000]
    assert pauses[-1] == 900_000
    assert asking.may(reader, b"o" * 16, 0), "another image is not made to wait"
