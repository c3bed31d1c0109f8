"""Quality control on the real firmware: run by scanning control material, shown, recorded apart, and a lock until it
passes."""

from typing import Any

import pytest

from emulator.physics import Line, Strip
from reader import outcome, wire
from tests.reader.stubs.hands import KEY, PATIENCE_S, READER_ID, SARS2_STRIP, SPECIMEN, Hands, cassette, reader_at_hand
from tests.reader.stubs.small_hub import connected

CONTROL = Line(11.0, 0.40)
SHOWS = {"negative": Strip(lines=[CONTROL], seed=2), "positive": Strip(lines=[CONTROL, Line(6.0, 0.15)], seed=1)}
HIV = "02000000000046"


def material(hands: Hands, gtin: str, level: str) -> str:
    """The code of the control material of that level, from the pack that the release ships."""
    from reader import packfile

    assay = next(one for one in map(packfile_assay, packfile.built_in().values()) if gtin in one.gtins)
    found = next(one for one in assay.controls if one[1] == level)
    return f"01{found[0]}1727123110M1\x1d"


def packfile_assay(pack: bytes) -> Any:
    from reader import assays

    return assays.decode(pack)


async def run(hands: Hands, level: str, shows: str, serial: str, gtin: str = SARS2_STRIP) -> str:
    """One run of control material from the idle screen; its verdict's screen."""
    reader = hands.reader
    reader.remove_strip()
    await hands.see("Ready")
    await reader.press("A")
    await hands.see("Scan specimen")
    assert f"QC {level}" in await hands.scan(material(hands, gtin, level))
    assert "NEXT" in await hands.scan(cassette(gtin, serial=serial))
    await reader.press("A")
    await hands.see("Insert cassette.")
    reader.insert_strip(SHOWS[shows])
    await hands.see("Press START.")
    await reader.press("A")
    await hands.see("CANCEL")
    reader.speed = 300
    await reader.wait_for(
        lambda: any(word in reader.screen_text() for word in ("PASSED", "FAILED")), PATIENCE_S, "a verdict"
    )
    reader.speed = 1
    screen = await hands.settled()
    await reader.press("A")
    await hands.see("Ready")
    return screen


async def persons_cassette(hands: Hands, serial: str, gtin: str = SARS2_STRIP) -> str:
    """Scan a person's specimen and a cassette; the screen that answers, and back to idle."""
    await hands.reader.press("A")
    await hands.see("Scan specimen")
    await hands.scan(SPECIMEN)
    screen = await hands.scan(cassette(gtin, serial=serial))
    if "Not possible" in screen:
        await hands.reader.press("A")
        await hands.see("BACK")
    await hands.reader.press("B")
    await hands.see("Ready")
    return screen


async def controls(hands: Hands) -> list[tuple[str, int]]:
    """(level, verdict) of the quality-control records."""
    bodies = [record[4] for record in await hands.records() if record[1] == wire.KIND_QC]
    return [(body[wire.RES_QC][1], body[wire.RES_QC][2]) for body in bodies]


async def told(hands: Hands) -> int:
    """What a hub is told of quality control, once the reader has had time to look."""
    since = hands.reader.uptime_s
    await hands.reader.wait_for(lambda: hands.reader.uptime_s >= since + 11, PATIENCE_S, "two rounds of its supervisor")
    async with connected(hands.bench, READER_ID, KEY) as hub:
        flags = (await hub.admit())[wire.STATE_FLAGS]
    return flags & (wire.FLAG_CONTROL_CLEAR | wire.FLAG_CONTROL_DUE)


async def test_a_failed_control_locks_its_assay_until_every_level_passes() -> None:
    async with reader_at_hand() as hands:
        assert await told(hands) == wire.FLAG_CONTROL_CLEAR, "nothing that it was used for wants a control"
        assert "NEXT" in await persons_cassette(hands, "P1")
        screen = await run(hands, "positive", "negative", "C1")
        assert "FAILED" in screen
        assert "Run all" in screen
        assert await told(hands) == wire.FLAG_CONTROL_DUE
        screen = await persons_cassette(hands, "P1")
        assert "Control failed." in screen
        assert "Run controls." in screen
        screen = await run(hands, "positive", "positive", "C2")
        assert "PASSED" in screen
        assert "Test the next" in screen
        assert "Control failed." in await persons_cassette(hands, "P1")
        screen = await run(hands, "negative", "negative", "C3")
        assert "PASSED" in screen
        assert "Tests may" in screen
        assert await told(hands) == wire.FLAG_CONTROL_CLEAR
        assert "NEXT" in await persons_cassette(hands, "P1")
        assert await controls(hands) == [
            ("positive", wire.QC_FAILED),
            ("positive", wire.QC_PASSED),
            ("negative", wire.QC_PASSED),
        ]
        assert await hands.results() == [], "nothing of it is a person's result"


async def test_a_new_lot_is_due_before_its_first_patient_and_its_own_controls_open_it() -> None:
    async with reader_at_hand() as hands:
        assert "Control due." in await persons_cassette(hands, "P1", HIV)
        reader = hands.reader
        await reader.press("A")
        await hands.see("Scan specimen")
        assert "QC positive" in await hands.scan(material(hands, SARS2_STRIP, "positive"))
        screen = await hands.scan(cassette(HIV, serial="C1"))
        assert "Wrong control." in screen
        assert "Use its own." in screen
        await reader.press("A")
        await hands.see("BACK")
        assert "NEXT" in await hands.scan(cassette(SARS2_STRIP, serial="C1"))
        # A person's specimen in the place of the control takes it back to where it was.
        assert "NEXT" in await hands.scan(SPECIMEN)


@pytest.mark.parametrize("when", ["incubating", "cancelled"])
async def test_a_control_that_came_to_no_end_is_recorded_as_failed_and_locks(when: str) -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await reader.press("A")
        await hands.see("Scan specimen")
        await hands.scan(material(hands, SARS2_STRIP, "positive"))
        await hands.scan(cassette(SARS2_STRIP, serial="C1"))
        await reader.press("A")
        await hands.see("Insert cassette.")
        reader.insert_strip(SHOWS["positive"])
        await hands.see("Press START.")
        await reader.press("A")
        await hands.see("CANCEL")
        if when == "cancelled":
            await reader.press("B")
            await hands.see("Cancel test?")
            await reader.press("A")
            assert "FAILED" in await hands.see("OK")
            await reader.press("A")
        else:
            await reader.cut_power()
            await reader.power_on()
            assert "QC positive" in await hands.acknowledge("Power was lost")
        await hands.see("Ready")
        assert "Control failed." in await persons_cassette(hands, "P1")
        (body,) = [record[4] for record in await hands.records() if record[1] == wire.KIND_QC]
    why = outcome.CANCELLED if when == "cancelled" else outcome.POWER_LOST
    assert (body[wire.RES_OUTCOME], body[wire.RES_REASON]) == (wire.OUTCOME_ERROR, why)
    assert body[wire.RES_QC][1:3] == ["positive", wire.QC_FAILED]


@pytest.mark.parametrize("writes", [0, 4, 8, 12])
async def test_power_lost_as_a_verdict_is_stored_never_opens_an_assay_that_has_no_record_of_a_pass(writes: int) -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        assert "FAILED" in await run(hands, "positive", "negative", "C1")
        assert "PASSED" in await run(hands, "positive", "positive", "C2")
        reader.remove_strip()
        await reader.press("A")
        await hands.see("Scan specimen")
        await hands.scan(material(hands, SARS2_STRIP, "negative"))
        await hands.scan(cassette(SARS2_STRIP, serial="C3"))
        await reader.press("A")
        await hands.see("Insert cassette.")
        reader.insert_strip(SHOWS["negative"])
        await hands.see("Press START.")
        await reader.press("A")
        await hands.see("CANCEL")
        reader.cut_power_after(writes)
        reader.speed = 300
        await reader.wait_for(lambda: not reader.powered or "PASSED" in reader.screen_text(), PATIENCE_S, "an end")
        reader.speed = 1
        await reader.cut_power()
        await reader.power_on()
        words = ("Ready", "Power was lost")
        await reader.wait_for(lambda: any(word in reader.screen_text() for word in words), PATIENCE_S, "the next start")
        if "Power was lost" in reader.screen_text():
            await hands.acknowledge("Power was lost")
        opened = "NEXT" in await persons_cassette(hands, "P1")
        said = await controls(hands)
    assert len(said) == 3, "whatever the power did, each run has its one record"
    if opened:
        assert said[-1] == ("negative", wire.QC_PASSED)
