"""A person does amplification tests on the real firmware: heat, two wells, 45 minutes, in a flat heap."""

import pytest

from emulator.physics import Tube
from reader import outcome, wire
from reader.delta import decode
from tests.reader.stubs.hands import PATIENCE_S, SARS2_STRIP, cassette, reader_at_hand

FLAT = None
RUNS = {
    "POSITIVE": (Tube(time_to_positive_min=14.0), Tube(time_to_positive_min=18.0)),
    "NEGATIVE": (Tube(time_to_positive_min=FLAT), Tube(time_to_positive_min=18.0)),
    "INVALID": (Tube(time_to_positive_min=FLAT), Tube(time_to_positive_min=FLAT)),
}
CODES = {"POSITIVE": wire.OUTCOME_POSITIVE, "NEGATIVE": wire.OUTCOME_NEGATIVE, "INVALID": wire.OUTCOME_INVALID}


@pytest.mark.parametrize("word", RUNS)
async def test_two_wells_are_heated_for_45_minutes_and_judged(word: str) -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        idle = await reader.measure_heap()
        await hands.start_tubes(*RUNS[word])
        reader.speed = 300
        running = []
        while "OK" not in reader.screen_text():
            before = reader.screen_text()
            await reader.wait_for(lambda text=before: reader.screen_text() != text, PATIENCE_S, "the run going on")
            if "Running" in reader.screen_text() and len(running) < 12:
                running.append((await reader.measure_heap()).used)
        screen = await hands.outcome(1)
        assert word in screen
        await reader.press("A")
        await hands.see("Ready")
        after = await reader.measure_heap()
        (body,) = await hands.results()
    assert body[wire.RES_OUTCOME] == CODES[word]
    if word == "INVALID":
        assert body[wire.RES_REASON] == outcome.NO_INTERNAL_CONTROL
    trace = body[wire.RES_TRACE]
    assert trace[wire.TRACE_COUNT] == 270
    assert len(trace[wire.TRACE_SAMPLES]) == 2
    sample = decode(trace[wire.TRACE_SAMPLES][0], 270)
    assert (max(sample) > 2 * min(sample)) == (word == "POSITIVE")
    temperatures = decode(trace[wire.TRACE_TEMPERATURES], 270)
    assert all(6450 <= cc <= 6550 for cc in temperatures[30:]), "within half a degree from five minutes on"
    assert max(temperatures) < 6600
    name, code, _, value, unit, error = body[wire.RES_ANALYTES][0]
    assert (name, code, unit) == ("SARS-CoV-2", CODES[word], "min")
    if word == "POSITIVE":
        assert 9_000 < value < 20_000  # minutes x 1000: the bend comes before the midpoint, the warm-up adds
        assert error < 2_000
    else:
        assert value is None
    assert max(running) - min(running) < 4096, "memory stays flat while the run goes on"
    assert after.used - idle.used < 8192


async def test_a_strip_after_an_amplification_waits_until_the_block_is_cool_and_nobody_is_sent_into_the_shade() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.start_tubes(*RUNS["NEGATIVE"])
        await hands.outcome(300)
        await reader.press("A")
        reader.remove_tube("sample")
        reader.remove_tube("control")
        await hands.see("Ready")
        await reader.press("A")
        await hands.see("Scan specimen")
        await hands.scan("SPEC-0002")
        screen = await hands.scan(cassette(SARS2_STRIP))
        assert "Still too hot." in screen
        assert "Wait, try again." in screen
        await reader.press("A")
        await reader.let_pass(900)
        assert reader.resting
        await reader.press("A")
        await hands.see("Ready")
        await reader.press("A")
        await hands.see("Scan specimen")
        await hands.scan("SPEC-0002")
        assert "NEXT" in await hands.scan(cassette(SARS2_STRIP))


async def test_a_heater_that_does_not_warm_ends_the_run_as_an_error_with_the_heater_off() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.start_tubes(*RUNS["NEGATIVE"])
        # Not before: the self-check's own look at the heater would find it, and refuse the tubes.
        reader.circuit.world.heater.open_circuit = True
        screen = await hands.outcome(100)
        assert "ERROR" in screen
        assert "Heater" in screen
        assert reader.circuit.duty(reader.board.HEATER) == 0
        records = await hands.records()
    (result,) = [record[4] for record in records if record[1] == wire.KIND_RESULT]
    assert result[wire.RES_REASON] == outcome.HEATER_FAULT
    faults = [record[4] for record in records if record[1] == wire.KIND_EVENT and record[4][1] == wire.EVENT_FAULT]
    assert [fault[wire.EVT_DETAIL] for fault in faults] == ["does not warm"]


@pytest.mark.parametrize("fault", ["open", "short"])
async def test_a_thermistor_that_fails_in_the_run_stops_the_heat_at_once(fault: str) -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.start_tubes(*RUNS["NEGATIVE"])
        reader.circuit.world.thermistor.fault = fault
        screen = await hands.outcome(10)
        assert "Heater" in screen
        assert reader.circuit.duty(reader.board.HEATER) == 0


async def test_cancelling_a_run_stops_the_heat_and_keeps_the_curve_so_far() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.start_tubes(*RUNS["NEGATIVE"])
        reader.speed = 100
        await hands.warm(60)
        reader.speed = 1
        await reader.press("B")
        await hands.see("Cancel test?")
        assert reader.circuit.duty(reader.board.HEATER) > 0, "the run goes on until the person is sure"
        await reader.press("A")
        assert "ERROR" in await hands.see("OK")
        assert reader.circuit.duty(reader.board.HEATER) == 0
        (body,) = await hands.results()
    assert body[wire.RES_REASON] == outcome.CANCELLED
    assert body[wire.RES_TRACE][wire.TRACE_COUNT] > 3
