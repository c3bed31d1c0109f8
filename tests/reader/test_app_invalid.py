"""What spoils a test: each cause, brought about on the bench, is told by its own reason, and never reads negative."""

from dataclasses import replace
from typing import Any

import pytest

from emulator.physics import Line, Strip, Tube
from reader import outcome, wire
from reader.packfile import strip_assay
from tests.reader.stubs.board_python import run
from tests.reader.stubs.hands import Hands, events, reader_at_hand, results

CONTROL = Line(11.0, 0.40)
# Each would be called positive if nothing spoilt it, so that no fault hides behind a plain negative.
POSITIVE = Strip(lines=[CONTROL, Line(6.0, 0.15)], seed=1)
NEGATIVE = Strip(lines=[CONTROL], seed=2)
SARS2 = strip_assay("sars2-ag")


def room(hands: Hands, celsius: float) -> None:
    """Bring the reader, block and all, to that temperature."""
    heater = hands.reader.circuit.world.heater
    heater.ambient_c = heater.film_c = heater.block_c = heater.sensor_c = celsius


async def reading_due(hands: Hands) -> None:
    """Let the incubation pass with the lid open, so that the reader asks for it to be closed."""
    hands.reader.open_lid()
    await until_elapsed(hands, hands.reader.uptime_s, SARS2.incubation_s)
    await hands.see("Please check")


async def until_elapsed(hands: Hands, began_s: float, seconds: float) -> None:
    """Let time fly until `seconds` after the test's start at `began_s`."""
    await hands.reader.let_pass(began_s + seconds - hands.reader.uptime_s)


def words(screen: str) -> str:
    """What the screen says, wherever its lines break."""
    return " ".join(screen.split())


async def ended(hands: Hands, said: str, sentence: str, speed: float = 1) -> dict[int, Any]:
    """The body of the one result, which the screen told as `said` with `sentence`."""
    screen = await hands.outcome(speed)
    assert said in screen
    assert sentence in words(screen)
    (body,) = await hands.results()
    assert body[wire.RES_ANALYTES] == [] or all(
        analyte[1] == body[wire.RES_OUTCOME] for analyte in body[wire.RES_ANALYTES]
    )
    return body


# Strips


async def test_nothing_a_person_does_has_a_strip_read_before_its_incubation_is_over() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.start_strip(POSITIVE)
        began = reader.uptime_s
        for seconds in (60, 450, 890):
            await until_elapsed(hands, began, seconds)
            await reader.press("A")
            reader.open_lid()
            await hands.see("Close the lid.")
            reader.remove_strip()
            await hands.see("Please check")
            reader.insert_strip(POSITIVE)
            reader.close_lid()
            await hands.see("Keep lid closed.")
        body = await ended(hands, "POSITIVE", "", 20)
    started, due, read = body[wire.RES_TIMES]
    assert due - started == SARS2.incubation_s * 1000
    assert read >= due


@pytest.mark.parametrize(
    ("elapsed_s", "reason"),
    [
        (SARS2.earliest_s - 1, outcome.READ_TOO_EARLY),
        (SARS2.earliest_s, outcome.NONE),
        (SARS2.latest_s, outcome.NONE),
        (SARS2.latest_s + 1, outcome.READ_TOO_LATE),
    ],
)
def test_the_firmware_judges_nothing_that_was_read_outside_its_window(elapsed_s: int, reason: int) -> None:
    from server.accuracy.simulated_strips import Strip as Counted

    strip = Counted(seed=2, lines_ppm={11000: 200_000.0, 6000: 100_000.0}, noise_ppm=500.0)
    said, why, analytes = run(f"""
from array import array
from reader import results, striptest
class Clock:
    def uptime_ms(self): return {elapsed_s * 1000 + 5000}
class Parts: clock = Clock()
test = results.Test()
test.take_assay(assay("sars2-ag"))
test.started = 5000
lit, dark = array("H", {list(strip.pixels())}), array("H", [{strip.dark()}] * 128)
striptest.judge(Parts(), test, lit, dark, {strip.white_counts}, "nominal")
print(json.dumps([test.outcome, test.reason, test.analytes]))
""")
    assert why == reason
    assert said == (wire.OUTCOME_INVALID if reason else wire.OUTCOME_POSITIVE)
    assert bool(analytes) == (reason == outcome.NONE)


async def test_a_strip_whose_lid_is_closed_only_after_its_window_is_read_too_late() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.start_strip(POSITIVE)
        began = reader.uptime_s
        await reading_due(hands)
        await until_elapsed(hands, began, SARS2.latest_s - 12)
        # The question whether to cancel holds the reading up for as long as nobody answers it.
        await reader.press("B")
        await hands.see("Cancel test?")
        reader.close_lid()
        body = await ended(hands, "INVALID", "Read too late.")
    assert body[wire.RES_REASON] == outcome.READ_TOO_LATE
    assert body[wire.RES_TIMES][2] - body[wire.RES_TIMES][0] > SARS2.latest_s * 1000
    assert body[wire.RES_TRACE] is not None, "what was seen is kept for the clinician"


async def test_a_lid_that_stays_open_until_the_window_is_over_makes_the_test_invalid() -> None:
    async with reader_at_hand() as hands:
        await hands.start_strip(POSITIVE)
        await reading_due(hands)
        body = await ended(hands, "INVALID", "Lid was", 300)
    assert body[wire.RES_REASON] == outcome.LID_OPENED
    assert body[wire.RES_TRACE] is None


async def test_a_cassette_put_back_askew_is_invalid_for_having_moved() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.start_strip(POSITIVE)
        reader.remove_strip()
        reader.insert_strip(replace(POSITIVE, shift_mm=2.0))
        body = await ended(hands, "INVALID", "Strip moved.", 300)
    assert body[wire.RES_REASON] == outcome.STRIP_MOVED


async def test_light_that_comes_in_beside_a_closed_lid_makes_the_reading_invalid() -> None:
    async with reader_at_hand() as hands:
        await hands.start_strip(POSITIVE)
        hands.reader.circuit.world.light_leak = 0.5
        body = await ended(hands, "INVALID", "Light got in.", 300)
    assert body[wire.RES_REASON] == outcome.LIGHT_LEAK


async def test_a_cassette_that_is_gone_when_its_window_closes_is_invalid_and_an_empty_one_too() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.start_strip(POSITIVE)
        reader.remove_strip()
        reader.insert_strip(Strip(lines=[], membrane=0.10, seed=3))  # a housing without its strip
        body = await ended(hands, "INVALID", "No strip", 300)
    assert body[wire.RES_REASON] == outcome.NO_STRIP


# The room


@pytest.mark.parametrize("celsius", [9.0, 42.0])
async def test_a_room_that_leaves_the_assays_range_while_a_strip_incubates_makes_it_invalid(celsius: float) -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.start_strip(POSITIVE)
        began = reader.uptime_s
        await until_elapsed(hands, began, 200)
        room(hands, celsius)
        body = await ended(hands, "INVALID", "Room temperature", 30)
    assert (body[wire.RES_OUTCOME], body[wire.RES_REASON]) == (wire.OUTCOME_INVALID, outcome.AMBIENT_TEMPERATURE)
    started, due, ended_at = body[wire.RES_TIMES]
    assert 250_000 < ended_at - started < 320_000, "within a minute and a half, not only when it is read"
    assert ended_at < due
    _, lowest, highest = body[wire.RES_TEMPERATURES]
    assert abs((lowest if celsius < 20 else highest) - celsius * 100) < 100


async def test_a_hand_that_warms_the_reader_for_half_a_minute_spoils_nothing_and_is_on_record() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.start_strip(POSITIVE)
        began = reader.uptime_s
        await until_elapsed(hands, began, 200)
        room(hands, 42.0)
        await until_elapsed(hands, began, 230)
        room(hands, 22.0)
        body = await ended(hands, "POSITIVE", "", 300)
    assert body[wire.RES_TEMPERATURES][2] > 4000


async def test_a_thermistor_that_fails_while_a_strip_incubates_leaves_its_temperature_unknown_and_ends_it() -> None:
    async with reader_at_hand() as hands:
        await hands.start_strip(POSITIVE)
        hands.reader.circuit.world.thermistor.fault = "open"
        body = await ended(hands, "ERROR", "Sensor failed.", 30)
    assert body[wire.RES_REASON] == outcome.SENSOR_FAULT


# The battery


async def test_a_battery_that_runs_low_in_an_amplification_ends_it_as_an_error_with_the_heater_off() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.start_tubes(Tube(time_to_positive_min=14.0), Tube(time_to_positive_min=18.0))
        reader.speed = 100
        await hands.warm(60)
        reader.circuit.world.battery.percent = 4.5
        screen = await hands.outcome(100)
        assert "ERROR" in screen
        assert "Battery ran low." in words(screen)
        assert reader.circuit.duty(reader.board.HEATER) == 0
        await reader.press("A")
        await hands.see("Ready")
        await reader.press("A")
        assert "Battery low." in await hands.see("Not possible")
        records = await hands.records()
    assert results(records) == [(wire.OUTCOME_ERROR, outcome.BATTERY_LOW)]
    (body,) = [record[4] for record in records if record[1] == wire.KIND_RESULT]
    assert body[wire.RES_TRACE][wire.TRACE_COUNT] > 3, "the curve so far is kept"
    assert body[wire.RES_ANALYTES] == []
    assert [numbers[0] for _, numbers in events(records, wire.EVENT_LOW_BATTERY)] == [4]
    assert events(records, wire.EVENT_FAULT) == [], "an empty battery is no fault of the instrument"
