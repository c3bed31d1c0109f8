"""A part that fails, before a test or in the middle of it: shown, recorded, and nothing judged that it spoilt."""

import re
from types import SimpleNamespace
from typing import Any

import pytest

from emulator.physics import Line, Strip, Tube
from reader import outcome, wire
from tests.reader.conftest import FIRMWARE
from tests.reader.stubs.hands import PATIENCE_S, SARS2_LAMP, SARS2_STRIP, cassette, events, reader_at_hand, results

# The module itself runs under MicroPython only.
_BITS = re.findall(r"^([A-Z_]+) = const\((\d+)\)", (FIRMWARE / "reader" / "checks.py").read_text(), re.MULTILINE)
checks: Any = SimpleNamespace(**{name: int(bit) for name, bit in _BITS})
NEGATIVE = Strip(lines=[Line(11.0, 0.40)], seed=2)
FLAT, RISING = Tube(time_to_positive_min=None), Tube(time_to_positive_min=18.0)


# The self-check


def _absent(name: str) -> Any:
    return lambda reader: reader.circuit.bus.absent.add(getattr(reader.board, name))


def _well(name: str) -> Any:
    def break_it(reader: Any) -> None:
        reader.circuit.mux.channels[int(getattr(reader.board, name))].absent.add(reader.board.I2C_SPECTRAL)

    return break_it


def _set(path: str, value: Any) -> Any:
    def break_it(reader: Any) -> None:
        *parents, last = path.split(".")
        target = reader.circuit.world
        for parent in parents:
            target = getattr(target, parent)
        setattr(target, last, value)

    return break_it


CHECKS = {
    "multiplexer": (_absent("I2C_MUX"), checks.MUX, True),
    "sample sensor": (_well("MUX_SAMPLE"), checks.SPECTRAL_SAMPLE, True),
    "control sensor": (_well("MUX_CONTROL"), checks.SPECTRAL_CONTROL, True),
    "gauge": (_absent("I2C_GAUGE"), checks.GAUGE, False),
    "clock chip": (_absent("I2C_RTC"), checks.CLOCK_CHIP, None),
    "light": (_set("light_leak", 0.5), checks.ARRAY_DARK, False),
    "thermistor": (_set("thermistor.fault", "open"), checks.THERMISTOR, True),
    "cut-out": (_set("heater.cutout_c", 10.0), checks.CUTOUT, True),
}


@pytest.mark.parametrize("part", CHECKS)
async def test_a_part_that_fails_its_check_is_shown_recorded_and_refused_where_it_is_needed(part: str) -> None:
    break_it, bit, needed = CHECKS[part]
    async with reader_at_hand() as hands:
        reader = hands.reader
        await reader.cut_power()
        if part == "cut-out":
            reader.circuit.world.heater.cutout_reset_c = 5.0
        break_it(reader)
        await reader.power_on()
        screen = await hands.see("Checks failed.")
        assert "Needs service." in screen
        assert f"code {bit}" in screen
        await reader.press("A")
        if needed is not None:  # without a clock no cassette is taken at all
            await hands.identify(cassette(SARS2_LAMP))
            if needed:
                assert "Sensor failed." in await hands.settled()
            else:
                await hands.see("NEXT")
                await reader.press("A")
                await hands.see("Insert both")
        records = await hands.records()
    assert events(records, wire.EVENT_FAULT) == [("self-check", [bit])]


# Watched for some seconds after the start: what is wrong, its bit, and the kind of test that is refused for it.
WATCHED = {
    "heater open": (_set("heater.open_circuit", True), checks.HEATER, SARS2_LAMP),
    "heater stuck on": (_set("heater.stuck_on", True), checks.HEATER, SARS2_LAMP),
    "clock stands still": (lambda reader: setattr(reader.circuit.rtc, "drift_ppm", -1e6), checks.CLOCK_CHIP, None),
    "strip lamp": (_set("strip_lamp_dead", True), checks.ARRAY_LIT, SARS2_STRIP),
}


@pytest.mark.parametrize("part", WATCHED)
async def test_a_part_that_moves_or_shines_when_told_is_found_when_it_does_not_and_refuses_its_kind(part: str) -> None:
    break_it, bit, kind = WATCHED[part]
    async with reader_at_hand() as hands:
        reader = hands.reader
        await reader.cut_power()
        break_it(reader)
        await reader.power_on()
        # What is found after some seconds is told as what is found at once.
        assert f"code {bit}" in await hands.acknowledge("Checks failed.")
        heater = reader.circuit.world.heater
        if heater.stuck_on:  # that it is hot now must not be why it is refused
            heater.stuck_on = False
            heater.film_c = heater.block_c = 22.0
        await reader.press("A")
        await hands.see("Scan specimen")
        for gtin in (SARS2_STRIP, SARS2_LAMP):
            screen = await hands.scan(cassette(gtin))
            if kind is None:
                assert "Clock not set." in screen
            else:
                assert ("Sensor failed." in screen) == (gtin == kind), gtin
            if "Not possible" in screen:
                await reader.press("A")
                await hands.see("BACK")
        records = await hands.records()
    assert events(records, wire.EVENT_FAULT) == [("self-check", [bit])]


async def test_a_panel_that_does_not_answer_is_recorded_and_stops_nothing() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await reader.cut_power()
        reader.circuit.bus.absent.add(reader.board.I2C_OLED)
        await reader.power_on()
        await reader.wait_for(lambda: reader.advertising, PATIENCE_S, "the radio")
        assert events(await hands.records(), wire.EVENT_FAULT) == [("self-check", [checks.OLED])]


@pytest.mark.parametrize("stored", [b"rotten", b"\x8c\xa5\x1d\x2f\xff"])
async def test_a_damaged_white_reference_is_told_and_the_nominal_one_is_used(stored: bytes) -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await reader.cut_power()
        await reader.write_files({"/calibration": stored})
        await reader.power_on()
        assert f"code {checks.CALIBRATION}" in await hands.see("Checks failed.")
        await reader.press("A")
        await hands.start_strip(NEGATIVE)
        assert "NEGATIVE" in await hands.outcome(300)
        (body,) = await hands.results()
    assert body[wire.RES_CHECKS] == checks.CALIBRATION
    assert body[wire.RES_CALIBRATION] is None


async def test_a_sensor_that_fails_after_the_start_refuses_the_amplification_until_it_answers_again() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        well = reader.circuit.mux.channels[int(reader.board.MUX_SAMPLE)]
        well.absent.add(reader.board.I2C_SPECTRAL)
        await hands.identify(cassette(SARS2_LAMP))
        assert "Sensor failed." in await hands.settled()
        well.absent.clear()
        await reader.press("A")
        await hands.see("BACK")
        # After a fault its kind of test is controlled before the next patient; the other kind goes on.
        assert "Control due." in await hands.scan(cassette(SARS2_LAMP))
        await reader.press("A")
        await hands.see("BACK")
        assert "NEXT" in await hands.scan(cassette(SARS2_STRIP))
        records = await hands.records()
    assert events(records, wire.EVENT_FAULT) == [("self-check", [checks.SPECTRAL_SAMPLE])]


# In the middle of a test


@pytest.mark.parametrize("part", ["I2C_MUX", "I2C_SPECTRAL"])
async def test_a_sensor_that_falls_silent_in_the_run_ends_it_as_an_error_with_the_curve_so_far(part: str) -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.start_tubes(FLAT, RISING)
        reader.speed = 100
        await hands.warm(60)
        for bus in (reader.circuit.bus, *reader.circuit.mux.channels):
            bus.absent.add(getattr(reader.board, part))
        screen = await hands.outcome(100)
        assert "ERROR" in screen
        assert "Sensor" in screen
        assert reader.circuit.duty(reader.board.HEATER) == 0
        records = await hands.records()
    assert results(records) == [(wire.OUTCOME_ERROR, outcome.SENSOR_FAULT)]
    (body,) = [record[4] for record in records if record[1] == wire.KIND_RESULT]
    assert body[wire.RES_TRACE][wire.TRACE_COUNT] > 3
    ((detail, _),) = events(records, wire.EVENT_FAULT)
    assert detail is not None
    assert "ENODEV" in detail


@pytest.mark.parametrize(("how", "detail"), [("stuck on", "too hot"), ("cut-out", "cut-out opened")])
async def test_a_heater_out_of_hand_ends_the_run_and_the_next_one_is_refused(how: str, detail: str) -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.start_tubes(FLAT, RISING)
        if how == "stuck on":
            reader.circuit.world.heater.stuck_on = True
        else:
            reader.circuit.world.heater.cutout_c = 50.0
            reader.circuit.world.heater.cutout_reset_c = 5.0
        screen = await hands.outcome(100)
        assert "Heater" in screen
        assert reader.circuit.duty(reader.board.HEATER) == 0
        await reader.press("A")
        await hands.identify(cassette(SARS2_LAMP, serial="SER10"))
        screen = await hands.settled()
        assert "Not possible" in screen
        assert "Cassette used." not in screen
        records = await hands.records()
    assert results(records) == [(wire.OUTCOME_ERROR, outcome.HEATER_FAULT)]
    assert events(records, wire.EVENT_FAULT)[0][0] == detail


async def test_a_lid_open_while_a_strip_incubates_changes_nothing_once_it_is_closed() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.start_strip(NEGATIVE)
        reader.open_lid()
        assert "Wait" in await hands.see("Close the lid.")
        reader.close_lid()
        await hands.see("Keep lid closed.")
        assert "NEGATIVE" in await hands.outcome(300)


async def test_a_lid_open_at_a_sample_makes_the_run_invalid_and_one_open_between_samples_does_not() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.start_tubes(FLAT, RISING)
        reader.speed = 20
        await hands.warm(30)
        reader.speed = 1
        reader.open_lid()
        await hands.see("Close the lid.")
        reader.close_lid()
        await hands.see("Keep lid closed.")
        reader.open_lid()
        screen = await hands.outcome(20)
        assert "INVALID" in screen
        assert "Lid was" in screen
        assert reader.circuit.duty(reader.board.HEATER) == 0
        (body,) = await hands.results()
    assert (body[wire.RES_OUTCOME], body[wire.RES_REASON]) == (wire.OUTCOME_INVALID, outcome.LID_OPENED)
    assert body[wire.RES_ANALYTES] == []
    assert body[wire.RES_TRACE][wire.TRACE_COUNT] >= 1
