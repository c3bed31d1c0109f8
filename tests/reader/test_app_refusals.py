"""Every refusal to begin: told at once with what to do, nothing started, and the test goes on once it is put right."""

from collections.abc import Callable
from typing import Any

import pytest

from emulator.physics import Line, Strip
from reader import outcome, wire
from tests.reader.stubs.hands import (
    KEY,
    PATIENCE_S,
    READER_ID,
    SARS2_LAMP,
    SARS2_STRIP,
    SPECIMEN,
    Hands,
    cassette,
    reader_at_hand,
)
from tests.reader.stubs.small_hub import DOWN, connected, seal_down

NEGATIVE = Strip(lines=[Line(11.0, 0.40)], seed=2)
HIV, CRP = "02000000000046", "02000000000077"
TODAY = 20_778  # 21 November 2026
GOOD = cassette(SARS2_STRIP)
TUBES = cassette(SARS2_LAMP)


async def nothing_started(hands: Hands) -> None:
    """No record of a test, and none that a power cut brings to light."""
    await hands.reader.cut_power()
    await hands.reader.power_on()
    words = ("Ready", "OK")
    await hands.reader.wait_for(
        lambda: any(word in hands.reader.screen_text() for word in words), PATIENCE_S, "a start"
    )
    assert "Power was lost" not in hands.reader.screen_text()
    assert [record[1] for record in await hands.records() if record[1] != wire.KIND_EVENT] == []


async def refused(hands: Hands, code: str, wrong: str, cure: str) -> None:
    """Scan it, be told what is wrong and what to do, go back to the codes."""
    screen = await hands.scan(code)
    assert "Not possible" in screen
    assert wrong in screen
    assert cure in screen
    await hands.reader.press("A")
    await hands.see("BACK")


async def begin_strip(hands: Hands) -> None:
    """From the codes that are all there to a test that runs."""
    await hands.see("NEXT")
    await hands.reader.press("A")
    await hands.see("Insert cassette.")
    hands.reader.insert_strip(NEGATIVE)
    await hands.see("Press START.")
    await hands.reader.press("A")
    await hands.see("CANCEL")


async def send(hands: Hands, number: int, message: Any) -> int:
    """Bring the reader a command; the code that it answers."""
    async with connected(hands.bench, READER_ID, KEY) as hub:
        await hub.admit()
        await hub.send(DOWN, seal_down(KEY, READER_ID, number, message))
        op, code, *_ = await hub.reply()
    assert op == wire.OP_TAKEN
    await hands.reader.wait_for(lambda: hands.reader.advertising, PATIENCE_S, "the link's end on the reader's side")
    return code


# Codes

CODES = {
    "expired": (cassette(SARS2_STRIP, "261120"), "Test expired.", "Use another."),
    "unknown assay": (cassette("02000000000923"), "Unknown test.", "Use another."),
    "misread": ("0102000000000016", "Code not clear.", "Scan again."),
    "no expiry": ("01" + SARS2_STRIP, "No expiry date.", "Use another."),
    "fits nothing": ("abc", "No known code.", "Scan another."),
    "lot without calibration": (cassette(CRP, lot="NEVER"), "Lot not known.", "Visit the hub."),
    "control due": (cassette(HIV), "Control due.", "Scan control."),
}


async def test_each_wrong_code_is_refused_at_once_and_loses_none_of_the_right_ones() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await reader.press("A")
        await hands.see("Scan specimen")
        for known in ("nothing", "a badge", "a specimen too", "all"):
            if known == "a badge":
                assert "OP1234" in await hands.scan("OP1234")
            elif known == "a specimen too":
                assert SPECIMEN in await hands.scan(SPECIMEN)
            elif known == "all":
                assert "NEXT" in await hands.scan(GOOD)
            for code, wrong, cure in CODES.values():
                await refused(hands, code, wrong, cure)
            screen = reader.screen_text()
            assert ("OP1234" in screen) == (known != "nothing")
            assert (SPECIMEN in screen) == (known not in ("nothing", "a badge"))
            assert ("NEXT" in screen) == (known == "all")
        await begin_strip(hands)
        assert "NEGATIVE" in await hands.outcome(300)
        (body,) = await hands.results()
    assert (body[wire.RES_SPECIMEN], body[wire.RES_OPERATOR]) == (SPECIMEN, "OP1234")


async def test_codes_are_taken_in_any_order_and_after_all_the_refusals_nothing_has_started() -> None:
    async with reader_at_hand() as hands:
        await hands.reader.press("A")
        await hands.see("Scan specimen")
        for code, wrong, cure in CODES.values():
            await refused(hands, code, wrong, cure)
        for code in (GOOD, "OP1234"):
            assert "NEXT" not in await hands.scan(code)
        assert "NEXT" in await hands.scan(SPECIMEN)
        await nothing_started(hands)


async def test_without_a_clock_expiry_cannot_be_judged_until_a_hub_has_set_it() -> None:
    async with reader_at_hand(clock=False) as hands:
        await hands.reader.press("A")
        await hands.see("Scan specimen")
        await refused(hands, GOOD, "Clock not set.", "Visit the hub.")
        assert SPECIMEN in await hands.scan(SPECIMEN)
        async with connected(hands.bench, READER_ID, KEY) as hub:
            await hub.admit()
            await hub.set_clock(TODAY * 86_400_000)
        assert "NEXT" in await hands.scan(GOOD)
        await nothing_started(hands)


# Lists by downlink


async def test_a_list_of_operators_asks_for_a_badge_that_is_on_it_and_in_time() -> None:
    async with reader_at_hand() as hands:
        rows = [["OPKIT1", TODAY], ["OPKIT2", TODAY - 1]]
        assert await send(hands, 1, {1: wire.DOWN_OPERATORS, 2: rows}) == wire.ERR_NONE
        await hands.reader.press("A")
        await hands.see("Scan specimen")
        for code in (SPECIMEN, GOOD):
            screen = await hands.scan(code)
        assert "Scan badge" in screen
        assert "NEXT" not in screen
        for badge in ("OPKIT2", "OPKIT3"):
            await refused(hands, badge, "Not certified.", "Ask your lead.")
            assert "NEXT" not in hands.reader.screen_text()
        assert "NEXT" in await hands.scan("OPKIT1")
        await begin_strip(hands)


async def test_an_empty_list_of_operators_lifts_the_one_before_and_a_test_needs_no_badge() -> None:
    async with reader_at_hand() as hands:
        assert await send(hands, 1, {1: wire.DOWN_OPERATORS, 2: [["OPKIT1", TODAY]]}) == wire.ERR_NONE
        await hands.reader.press("A")
        await hands.see("Scan specimen")
        for code in (SPECIMEN, GOOD):
            screen = await hands.scan(code)
        assert "Scan badge" in screen
        assert "NEXT" not in screen
        await hands.reader.press("B")
        await hands.see("Ready")
        assert await send(hands, 2, {1: wire.DOWN_OPERATORS, 2: []}) == wire.ERR_NONE
        await hands.reader.press("A")
        await hands.see("Scan specimen")
        for code in (SPECIMEN, GOOD):
            screen = await hands.scan(code)
        assert "NEXT" in screen
        await begin_strip(hands)


async def test_a_recalled_lot_is_refused_until_the_recall_is_lifted() -> None:
    async with reader_at_hand() as hands:
        assert await send(hands, 1, {1: wire.DOWN_RECALLS, 2: [[SARS2_STRIP, "LOT7"]]}) == wire.ERR_NONE
        await hands.reader.press("A")
        await hands.see("Scan specimen")
        await hands.scan(SPECIMEN)
        await refused(hands, GOOD, "Lot recalled.", "Use another.")
        assert "NEXT" in await hands.scan(cassette(SARS2_STRIP, lot="LOT8"))
        # A recall that comes while the cassette is already at hand stops it all the same.
        recalls = [[SARS2_STRIP, "LOT7"], [SARS2_STRIP, "LOT8"]]
        assert await send(hands, 2, {1: wire.DOWN_RECALLS, 2: recalls}) == wire.ERR_NONE
        hands.reader.insert_strip(NEGATIVE)
        await hands.reader.press("A")
        await hands.see("Press START.")
        await hands.reader.press("A")
        assert "Lot recalled." in await hands.see("Not possible")
        assert await send(hands, 3, {1: wire.DOWN_RECALLS, 2: []}) == wire.ERR_NONE
        hands.reader.remove_strip()
        await hands.reader.press("A")
        await begin_strip(hands)


async def test_the_longest_lists_that_fit_a_message_are_kept_and_what_is_no_list_is_not() -> None:
    async with reader_at_hand() as hands:
        badges = [[f"OP{n:014d}", TODAY] for n in range(128)]
        assert await send(hands, 1, {1: wire.DOWN_OPERATORS, 2: badges}) == wire.ERR_NONE
        recalls = [[SARS2_STRIP, f"L{n:09d}"] for n in range(128)]
        assert await send(hands, 2, {1: wire.DOWN_RECALLS, 2: recalls}) == wire.ERR_NONE
        assert await send(hands, 3, {1: wire.DOWN_RECALLS, 2: [["x", None]]}) == wire.ERR_UNSUPPORTED
        await hands.reader.press("A")
        await hands.see("Scan specimen")
        assert "NEXT" not in await hands.scan("OP" + "127".zfill(14))
        await refused(hands, cassette(SARS2_STRIP, lot="L000000127"), "Lot recalled.", "Use another.")
        assert hands.reader.boots == 1


# Cassettes


async def test_a_cassette_is_used_once_whatever_became_of_its_test() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.start_strip(NEGATIVE)
        await reader.cut_power()
        await reader.power_on()
        await hands.acknowledge("Power was lost")
        await reader.press("A")
        await hands.see("Scan specimen")
        await refused(hands, GOOD, "Cassette used.", "Take a new one.")
        reader.remove_strip()
        assert SPECIMEN in await hands.scan(SPECIMEN)
        assert "NEXT" in await hands.scan(cassette(SARS2_STRIP, serial="SER10"))
        await begin_strip(hands)
        assert "NEGATIVE" in await hands.outcome(300)
        assert [body[wire.RES_REASON] for body in await hands.results()] == [outcome.POWER_LOST, outcome.NONE]


@pytest.mark.parametrize("writes", range(0, 10, 2))
async def test_power_lost_as_a_test_begins_leaves_a_record_and_a_used_cassette_or_neither(writes: int) -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.identify(GOOD)
        await hands.see("NEXT")
        await reader.press("A")
        await hands.see("Insert cassette.")
        reader.insert_strip(NEGATIVE)
        await hands.see("Press START.")
        reader.cut_power_after(writes)
        await reader.press("A")
        await reader.wait_for(lambda: not reader.powered or "CANCEL" in reader.screen_text(), PATIENCE_S, "an end")
        await reader.cut_power()
        await reader.power_on()
        words = ("Ready", "Power was lost")
        await reader.wait_for(lambda: any(word in reader.screen_text() for word in words), PATIENCE_S, "the next start")
        if "Power was lost" in reader.screen_text():
            await hands.acknowledge("Power was lost")
        started = len(await hands.results()) == 1
        await reader.press("A")
        await hands.see("Scan specimen")
        assert ("Cassette used." in await hands.scan(GOOD)) == started


# The reader itself: what is wrong, the code that meets it, how to bring it about and to put it right


def _world(name: str, bad: Any, good: Any, code: str, wrong: str, cure: str) -> Any:
    def put(value: Any) -> Callable[[Any], None]:
        def change(reader: Any) -> None:
            *parents, last = name.split(".")
            target = reader.circuit.world
            for parent in parents:
                target = getattr(target, parent)
            setattr(target, last, value)

        return change

    return put(bad), put(good), code, wrong, cure


def _block(celsius: float) -> Callable[[Any], None]:
    def change(reader: Any) -> None:
        heater = reader.circuit.world.heater
        heater.ambient_c = heater.film_c = heater.block_c = heater.sensor_c = celsius

    return change


INSTRUMENT = {
    "battery": _world("battery.percent", 5.6, 60.0, GOOD, "Battery low.", "Charge first."),
    "battery for heat": _world("battery.percent", 29.0, 60.0, TUBES, "Battery low.", "Charge first."),
    "light": _world("light_leak", 0.5, 0.0, GOOD, "Light gets in.", "Close the lid."),
    "cold": (_block(9.0), _block(22.0), GOOD, "Too cold here.", "Move to warmth."),
    "heat": (_block(41.0), _block(22.0), GOOD, "Too hot here.", "Move to shade."),
    "hot block": (_block(55.0), _block(22.0), TUBES, "Still too hot.", "Wait, try again."),
}


@pytest.mark.parametrize("name", INSTRUMENT)
async def test_what_the_reader_cannot_do_now_is_refused_at_the_scan_and_again_at_the_start(name: str) -> None:
    spoil, mend, code, wrong, cure = INSTRUMENT[name]
    async with reader_at_hand() as hands:
        reader = hands.reader
        await reader.press("A")
        await hands.see("Scan specimen")
        await hands.scan(SPECIMEN)
        await reader.wait_for(lambda: reader.uptime_s > 8, PATIENCE_S, "the self-check's look at the heater")
        spoil(reader)
        await refused(hands, code, wrong, cure)
        assert "NEXT" not in reader.screen_text()
        mend(reader)
        assert "NEXT" in await hands.scan(code)
        await reader.press("A")
        await hands.see("Insert")
        reader.insert_strip(NEGATIVE)
        await hands.see("Press START.")
        spoil(reader)
        await reader.press("A")
        screen = await hands.see("Not possible")
        assert wrong in screen
        mend(reader)
        await reader.press("A")
        await hands.see("NEXT")
        await reader.press("A")
        await hands.see("Press START.")
        assert [record[1] for record in await hands.records() if record[1] != wire.KIND_EVENT] == []
        await reader.press("A")
        await hands.see("CANCEL")
