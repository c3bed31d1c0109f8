"""Packs of the downlink on the real firmware: a test keeps the one it began with, a damaged one is refused and told."""

from typing import Any

from emulator.physics import Line, Strip
from reader import wire
from tests.reader.stubs.hands import KEY, PATIENCE_S, READER_ID, SARS2_STRIP, Hands, cassette, events, reader_at_hand
from tests.reader.stubs.packs import pack
from tests.reader.stubs.small_hub import DOWN, connected, seal_down

WEAK = Strip(lines=[Line(11.0, 0.40), Line(6.0, 0.15)], seed=1)
# A line of 15 % is positive by version 1 and none by version 2.
SECOND = pack("sars2-ag", version=2, grey_ppm=[250_000], positive_ppm=[300_000])
FLU_STRIP = "02000000000022"


async def brought(hands: Hands, number: int, content: bytes) -> int:
    """A hub brings a pack as that command; the code of TAKEN."""
    hands.reader.speed = 1
    async with connected(hands.bench, READER_ID, KEY) as hub:
        await hub.admit()
        message = {wire.DOWN_TYPE: wire.DOWN_ASSAY, wire.DOWN_A: content}
        await hub.send(DOWN, seal_down(KEY, READER_ID, number, message))
        op, code, *_ = await hub.reply()
        assert op == wire.OP_TAKEN
    # Time does not fly for a reader while a hub is connected.
    await hands.reader.wait_for(lambda: not hands.reader.connected, PATIENCE_S, "the hub's leaving")
    return code


def named(body: dict[int, Any]) -> tuple[str, int]:
    return body[wire.RES_ASSAY], body[wire.RES_ASSAY_VERSION]


async def test_a_test_keeps_the_pack_that_it_began_with_and_the_next_one_has_the_new() -> None:
    async with reader_at_hand() as hands:
        await hands.start_strip(WEAK)
        assert await brought(hands, 1, SECOND) == wire.ERR_STORAGE
        assert "POSITIVE" in await hands.outcome(300)
        await hands.reader.press("A")
        await hands.see("Ready")
        hands.reader.open_lid()
        hands.reader.remove_strip()
        hands.reader.close_lid()
        assert await brought(hands, 1, SECOND) == wire.ERR_NONE
        assert await brought(hands, 2, pack("sars2-ag")) == wire.ERR_UNSUPPORTED
        await hands.start_strip(WEAK, cassette(SARS2_STRIP, serial="SER10"))
        assert "NEGATIVE" in await hands.outcome(300)
        records = await hands.records()
    bodies = [record[wire.REC_BODY] for record in records if record[wire.REC_KIND] == wire.KIND_RESULT]
    assert [named(body) for body in bodies] == [("sars2-ag", 1), ("sars2-ag", 2)]
    assert events(records, wire.EVENT_DOWN_APPLIED) == [
        (None, [1, wire.DOWN_ASSAY]),
        ("version: not above the one kept", [2, wire.DOWN_ASSAY, wire.ERR_UNSUPPORTED]),
    ]


async def test_a_pack_damaged_in_both_copies_is_told_and_its_test_refused_until_it_comes_again() -> None:
    async with reader_at_hand() as hands:
        assert await brought(hands, 1, SECOND) == wire.ERR_NONE
        reader = hands.reader
        await reader.cut_power()
        rotten = dict.fromkeys(("/packs/sars2-ag.2.pack", "/spare/sars2-ag.2.pack"), b"rot")
        await reader.write_files(rotten)
        await reader.power_on()
        await hands.see("Ready")
        await reader.press("A")
        await hands.see("Scan")
        reader.scan(cassette(SARS2_STRIP))
        assert "Test data" in await hands.see("Not possible")
        await reader.press("A")
        await hands.see("Scan")
        reader.scan(cassette(FLU_STRIP))
        await hands.see("Flu")
        await reader.press("B")
        await hands.see("Ready")
        assert await brought(hands, 2, SECOND) == wire.ERR_NONE
        await reader.press("A")
        await hands.see("Scan")
        reader.scan(cassette(SARS2_STRIP))
        await hands.see("SARS")
        records = await hands.records()
    faults = events(records, wire.EVENT_FAULT)
    assert ("assay pack sars2-ag", [2]) in faults
