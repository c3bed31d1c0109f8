"""Bad input over the radio to the real firmware: the protocol's error for each, and the link, the journal and the other
hubs unharmed."""

import os
from collections.abc import AsyncIterator

import cbor2
import pytest
import pytest_asyncio

from emulator.path import ORGANISATION, Enrolled
from hub.collector import LinkLost
from reader import wire
from tests.system.laptop import Central, Laptop
from tests.system.village import Village, whole

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIRST, LAST = wire.SEGMENT_FIRST, wire.SEGMENT_LAST


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def laptop(the_path: Village) -> Laptop:
    await the_path.restore()
    return await Laptop.enrolled(the_path.path, ORGANISATION, "Stranger's laptop")


@pytest_asyncio.fixture(loop_scope="session")
async def settled_reader(village: Village) -> AsyncIterator[Enrolled]:
    """A reader that the hub has no more work with.

    Afterwards the hub still serves it, and its chain is whole: what was written to it has harmed no record.
    """
    enrolled = await village.reader("Target")
    await whole(village)
    issued, _ = village.path.advertised(enrolled)
    boots = enrolled.reader.boots
    yield enrolled
    await village.restore()
    since = len(village.events)
    await enrolled.reader.cut_power()
    await enrolled.reader.power_on()
    await village.until(lambda events: any(event["event"] == "released" for event in events), since)
    after = (await whole(village))[enrolled.reader_id]
    assert after["issued"] - issued >= enrolled.reader.boots - boots >= 1


async def admitted(central: Central, laptop: Laptop, enrolled: Enrolled) -> dict[int, object]:
    return await central.admit(await laptop.ticket(bytes.fromhex(enrolled.reader_id)))


async def test_who_has_no_ticket_gets_an_error_for_everything_and_may_still_prove_one(
    settled_reader: Enrolled, laptop: Laptop
) -> None:
    reader_id = bytes.fromhex(settled_reader.reader_id)
    ticket = await laptop.ticket(reader_id)
    nonce = os.urandom(wire.AUTH_NONCE_BYTES)
    async with laptop.connected(reader_id) as central:
        refused = [wire.OP_ERROR, wire.ERR_NOT_ADMITTED]
        assert await central.request(wire.OP_STATUS) == [*refused, wire.OP_STATUS]
        assert await central.request(wire.OP_REPORT, 1, 100) == [*refused, wire.OP_REPORT]
        assert await central.hand_over(b"\xd0" + bytes(40)) == [*refused, wire.OP_DOWN]
        assert await central.hello(ticket, nonce, version=2) == [wire.OP_ERROR, wire.ERR_VERSION, wire.OP_HELLO]
        unheld = await central.hello(ticket, nonce, generation=99)
        assert unheld == [wire.OP_ERROR, wire.ERR_TICKET_REFUSED, wire.OP_HELLO]
        assert await central.hello(ticket, nonce, expiry=0) == [wire.OP_ERROR, wire.ERR_TICKET_EXPIRED, wire.OP_HELLO]
        assert (await central.hello(ticket, nonce))[0] == wire.OP_CHALLENGE
        invented = await central.request(wire.OP_PROVE, bytes(wire.PROOF_BYTES))
        assert invented == [wire.OP_ERROR, wire.ERR_TICKET_REFUSED, wire.OP_PROVE]
        state = await admitted(central, laptop, settled_reader)
        assert state[wire.STATE_READER_ID] == reader_id


async def test_a_ticket_for_another_reader_opens_nothing(
    village: Village, settled_reader: Enrolled, laptop: Laptop
) -> None:
    other = await village.reader("Bystander")
    wrong = await laptop.ticket(bytes.fromhex(other.reader_id))
    reader_id = bytes.fromhex(settled_reader.reader_id)
    async with laptop.connected(reader_id) as central:
        nonce = os.urandom(wire.AUTH_NONCE_BYTES)
        op, _, proof = await central.hello(wrong, nonce)
        assert op == wire.OP_CHALLENGE
        assert len(proof) == wire.PROOF_BYTES
        said = await central.request(wire.OP_PROVE, os.urandom(wire.PROOF_BYTES))
        assert said == [wire.OP_ERROR, wire.ERR_TICKET_REFUSED, wire.OP_PROVE]
        said = await central.request(wire.OP_REPORT, 1, 100)
        assert said == [wire.OP_ERROR, wire.ERR_NOT_ADMITTED, wire.OP_REPORT]
    await whole(village)


async def test_every_broken_segment_gets_its_error_and_the_eighth_ends_the_link(
    settled_reader: Enrolled, laptop: Laptop
) -> None:
    reader_id = bytes.fromhex(settled_reader.reader_id)
    async with laptop.connected(reader_id) as central:
        before = await admitted(central, laptop, settled_reader)

        assert await central.request(99) == [wire.OP_ERROR, wire.ERR_UNKNOWN_OP, 99]
        await central.raw(central.segment(b"\xff\xff"))
        assert await central.reply() == [wire.OP_ERROR, wire.ERR_MALFORMED, 0]

        cut_short = central.segment(cbor2.dumps([wire.OP_STATUS]))
        await central.raw(cut_short[:-1])
        assert await central.reply() == [wire.OP_ERROR, wire.ERR_MALFORMED, 0]
        await central.raw(cut_short)  # its counter was not spent
        assert (await central.reply())[0] == wire.OP_STATE

        await central.raw(central.segment(b"\x81\x05", skip=3))
        assert await central.reply() == [wire.OP_ERROR, wire.ERR_OUT_OF_ORDER, 0]
        await central.raw(central.segment(b"\x81\x05", flags=LAST))
        assert await central.reply() == [wire.OP_ERROR, wire.ERR_OUT_OF_ORDER, 0]

        await central.raw(central.segment(bytes(200), flags=FIRST))
        await central.raw(central.segment(bytes(200), flags=LAST))
        assert await central.reply() == [wire.OP_ERROR, wire.ERR_OVERSIZED, 0]

        said = await central.request(wire.OP_REPORT, 1_000_000, 10)
        assert said == [wire.OP_ERROR, wire.ERR_AHEAD, wire.OP_REPORT]
        op, state = await central.request(wire.OP_STATUS)
        assert op == wire.OP_STATE
        assert state[wire.STATE_NEXT] == before[wire.STATE_NEXT]
        assert state[wire.STATE_CHAIN] == before[wire.STATE_CHAIN]

        assert await central.request(99) == [wire.OP_ERROR, wire.ERR_TOO_MANY_ERRORS, 99]
        with pytest.raises(LinkLost):
            await central.reply()


async def test_nothing_but_the_servers_receipt_for_this_reader_releases_a_record(
    village: Village, settled_reader: Enrolled, laptop: Laptop
) -> None:
    other = await village.reader("Bystander")
    await whole(village)
    receipts = {
        reader_id.hex(): sealed for reader_id, sealed in village.hub_rows("SELECT reader_id, sealed FROM receipts")
    }
    own, of_another = receipts[settled_reader.reader_id], receipts[other.reader_id]
    altered = bytearray(own)
    altered[-1] ^= 1
    await village.path.hub.stop()
    await settled_reader.reader.cut_power()
    await settled_reader.reader.power_on()
    async with laptop.connected(bytes.fromhex(settled_reader.reader_id)) as central:
        before = await admitted(central, laptop, settled_reader)
        released = before[wire.STATE_RELEASED]
        assert released == before[wire.STATE_NEXT] - 2, "the record of the new start waits for its receipt"
        for forged in (of_another, bytes(altered), os.urandom(80)):
            op, code, _, now_released = await central.hand_over(forged)
            assert (op, code, now_released) == (wire.OP_TAKEN, wire.ERR_SEAL_REFUSED, released)
        replayed = await central.hand_over(own)
        assert replayed == [wire.OP_TAKEN, wire.ERR_NONE, released, released], "an old receipt releases nothing new"
        assert len(await central.collect(released + 1)) == 1, "the reader still holds it"
