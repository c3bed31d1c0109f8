"""The firmware's radio, by plain bleak: admission, collection, receipts, clock, and a central that misbehaves."""

import asyncio
import datetime
import hashlib
import struct
from itertools import pairwise

import cbor2
import pytest
from bleak import BleakScanner

from reader import wire
from tests.reader.stubs.hands import KEY, READER_ID, reader_at_hand
from tests.reader.stubs.small_hub import CONTROL, DOWN, STATUS, connected, open_record, seal_down


async def test_a_hub_collects_a_chain_of_records_and_its_receipt_releases_them() -> None:
    async with reader_at_hand() as hands, connected(hands.bench, READER_ID, KEY) as hub:
        state = await hub.admit()
        assert (state[wire.STATE_FIRST], state[wire.STATE_NEXT], state[wire.STATE_RELEASED]) == (1, 2, 0)
        (boot,) = await hub.collect(1)
        record = open_record(boot, KEY, READER_ID)
        assert record[wire.REC_BODY][wire.EVT_CODE] == wire.EVENT_BOOT
        assert record[wire.REC_TIME][0] == state[wire.STATE_BOOT_ID]
        header = cbor2.loads(cbor2.loads(boot).value[0])
        assert header[-70002] == hashlib.sha256(READER_ID).digest()[:16]
        assert state[wire.STATE_CHAIN] == hashlib.sha256(boot).digest()[:16]
        assert await hub.receipt(1, b"other bytes") == [wire.OP_TAKEN, wire.ERR_CHAIN_MISMATCH, 1, 0]
        assert await hub.receipt(1, boot) == [wire.OP_TAKEN, wire.ERR_NONE, 1, 1]
        status = cbor2.loads(await hub.client.read_gatt_char(STATUS))
        assert status[3] == 1


async def test_the_advert_says_what_the_reader_holds() -> None:
    async with reader_at_hand() as hands:
        found = await BleakScanner.discover(timeout=1.5, return_adv=True, backend=hands.bench.scanner)
        ((_, advert),) = found.values()
        data = struct.unpack(wire.ADVERT_FORMAT, advert.manufacturer_data[wire.ADVERT_COMPANY])
        assert data[:4] == (wire.VERSION, READER_ID, 2, 0)
        assert data[4] & ~wire.FLAG_CONTROL_CLEAR == 0, "whether it has looked at its quality control yet"
        assert wire.SERVICE_UUID in advert.service_uuids


async def test_a_hub_sets_the_clock_and_the_chip_keeps_it() -> None:
    async with reader_at_hand(clock=False) as hands, connected(hands.bench, READER_ID, KEY) as hub:
        state = await hub.admit()
        assert state[wire.STATE_WALL_MS] is None
        assert state[wire.STATE_FLAGS] & wire.FLAG_CLOCK_UNSET
        now = 1_795_262_400_000
        assert await hub.set_clock(now) == [wire.OP_DONE, wire.OP_CLOCK]
        _, state = await hub.ask(wire.OP_STATUS)
        assert 0 <= state[wire.STATE_WALL_MS] - now < 5_000
        assert state[wire.STATE_CLOCK_SOURCE] == wire.CLOCK_HUB
        assert not state[wire.STATE_FLAGS] & wire.FLAG_CLOCK_UNSET
        set_to = datetime.datetime.fromtimestamp(now // 1000, datetime.UTC).replace(tzinfo=None)
        assert 0 <= (hands.reader.circuit.rtc.now - set_to).total_seconds() < 5
        records = [open_record(sealed, KEY, READER_ID)[4] for sealed in await hub.collect(1)]
        assert [record[wire.EVT_CODE] for record in records] == [wire.EVENT_BOOT, wire.EVENT_CLOCK_SET]


async def test_settings_from_the_server_name_the_reader_and_leave_an_event() -> None:
    async with reader_at_hand() as hands:
        async with connected(hands.bench, READER_ID, KEY) as hub:
            await hub.admit()
            message = {1: wire.DOWN_SETTINGS, 2: {wire.SETTING_NAME: "Clinic 7"}}
            await hub.send(DOWN, seal_down(KEY, READER_ID, 1, message))
            assert await hub.reply() == [wire.OP_TAKEN, wire.ERR_NONE, 1, 0]
            await hub.send(DOWN, seal_down(KEY, READER_ID, 1, message))
            assert (await hub.reply())[:2] == [wire.OP_TAKEN, wire.ERR_REPLAYED]
            codes = [open_record(sealed, KEY, READER_ID)[4][1] for sealed in await hub.collect(1)]
        assert codes == [wire.EVENT_BOOT, wire.EVENT_DOWN_APPLIED]
        await hands.see("Clinic 7")


async def test_the_servers_floor_moves_an_unset_clock_and_outlives_a_power_cut_without_a_cell() -> None:
    floor = 1_795_262_400_000
    async with reader_at_hand(clock=False) as hands:
        async with connected(hands.bench, READER_ID, KEY) as hub:
            await hub.admit()
            await hub.send(DOWN, seal_down(KEY, READER_ID, 1, {1: wire.DOWN_CLOCK_FLOOR, 2: floor}))
            assert (await hub.reply())[:2] == [wire.OP_TAKEN, wire.ERR_NONE]
            await hub.collect(1)
        await hands.reader.wait_for(lambda: hands.reader.advertising, 10, "the link's end on the reader's side")
        await hands.reader.cut_power()
        hands.reader.circuit.rtc.lose_cell()
        await hands.reader.power_on()
        await hands.see("Ready")
        async with connected(hands.bench, READER_ID, KEY) as hub:
            state = await hub.admit()
            assert state[wire.STATE_CLOCK_SOURCE] == wire.CLOCK_SERVER
            assert 0 <= state[wire.STATE_WALL_MS] - floor < 10_000
            last = open_record((await hub.collect(1))[-1], KEY, READER_ID)
            assert last[wire.REC_BODY][wire.EVT_CODE] == wire.EVENT_CLOCK_SET
            assert last[wire.REC_TIME][4] is None, "nobody said how sure the floor is"


async def test_a_link_that_dies_in_the_middle_is_resumed_at_the_first_record_not_held() -> None:
    async with reader_at_hand() as hands:
        for _ in range(3):  # each start is a record
            await hands.reader.cut_power()
            await hands.reader.power_on()
            await hands.see("Ready")
        async with connected(hands.bench, READER_ID, KEY) as hub:
            await hub.admit()
            await hub.send(CONTROL, cbor2.dumps([wire.OP_REPORT, 1, 2]))  # credit for two segments only
            first = await asyncio.wait_for(hub.up.messages.get(), 5)
            await asyncio.sleep(0.3)
            assert hub.up.segments == 2, "nothing goes without credit"
        async with connected(hands.bench, READER_ID, KEY) as hub:
            await hub.admit()
            records = [first, *await hub.collect(2)]
        assert len(records) == 4
        for before, after in pairwise(records):
            assert cbor2.loads(cbor2.loads(after).value[0])[-70002] == hashlib.sha256(before).digest()[:16]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"\xc0\x05\x81\x01", wire.ERR_MALFORMED),  # shorter than it says
        (b"\xc5\x02\x81\x05", wire.ERR_OUT_OF_ORDER),
        (b"\xc0\x02\x81\x05", wire.ERR_NOT_ADMITTED),
        (b"\xc0\x02\x81\x18", wire.ERR_MALFORMED),
    ],
)
async def test_bad_input_before_admission_gets_its_code_and_the_next_hub_is_served(value: bytes, code: int) -> None:
    async with reader_at_hand() as hands:
        async with connected(hands.bench, READER_ID, KEY) as hub:
            await hub.client.write_gatt_char(CONTROL, value, response=True)
            assert (await hub.reply())[:2] == [wire.OP_ERROR, code]
        async with connected(hands.bench, READER_ID, KEY) as hub:
            await hub.admit()
            assert len(await hub.collect(1)) == 1


async def test_a_central_that_goes_on_misbehaving_is_dropped_after_eight_errors() -> None:
    async with reader_at_hand() as hands:
        async with connected(hands.bench, READER_ID, KEY) as hub:
            for _ in range(wire.ERRORS_BEFORE_DROP):
                await hub.send(CONTROL, cbor2.dumps([wire.OP_STATUS]))
                last = await hub.reply()
            assert last[1] == wire.ERR_TOO_MANY_ERRORS
            await asyncio.wait_for(hub.gone.wait(), 5)
        async with connected(hands.bench, READER_ID, KEY) as hub:
            await hub.admit()


async def test_a_central_that_does_not_prove_itself_is_dropped_in_time() -> None:
    async with reader_at_hand() as hands, connected(hands.bench, READER_ID, KEY) as hub:
        await asyncio.wait_for(hub.gone.wait(), wire.ADMISSION_MS / 1000 + 5)
