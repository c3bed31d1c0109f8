"""A person does strip tests on the real firmware; what is shown and what is recorded are the same."""

import pytest

from emulator.physics import Line, Strip
from reader import outcome, strip, wire
from reader.delta import decode
from reader.packfile import strip_assay as assay_of
from tests.reader.stubs.hands import PATIENCE_S, SARS2_STRIP, cassette, reader_at_hand

CONTROL = Line(11.0, 0.40)
STRIPS = {
    "POSITIVE": Strip(lines=[CONTROL, Line(6.0, 0.15)], seed=1),
    "NEGATIVE": Strip(lines=[CONTROL], seed=2),
    "INVALID": Strip(lines=[Line(6.0, 0.15)], seed=3),
}
CODES = {"POSITIVE": wire.OUTCOME_POSITIVE, "NEGATIVE": wire.OUTCOME_NEGATIVE, "INVALID": wire.OUTCOME_INVALID}


@pytest.mark.parametrize("word", STRIPS)
async def test_a_strip_is_read_after_its_incubation_and_the_record_says_what_the_screen_said(word: str) -> None:
    async with reader_at_hand() as hands:
        await hands.start_strip(STRIPS[word])
        screen = await hands.outcome(300)
        assert word in screen
        assert "SPEC-0001" in screen
        (body,) = await hands.results()
    assert body[wire.RES_OUTCOME] == CODES[word]
    assert outcome.allowed(body[wire.RES_OUTCOME], body[wire.RES_REASON])
    if word == "INVALID":
        assert body[wire.RES_REASON] == outcome.NO_CONTROL_LINE
        assert "No control" in screen
    assert (body[wire.RES_SPECIMEN], body[wire.RES_OPERATOR]) == ("SPEC-0001", "OP1234")
    assert (body[wire.RES_LOT], body[wire.RES_SERIAL], body[wire.RES_EXPIRY]) == ("LOT7", "SER9", "271231")
    assert (body[wire.RES_ASSAY], body[wire.RES_ASSAY_VERSION], body[wire.RES_GTIN]) == ("sars2-ag", 1, SARS2_STRIP)
    started, due, read = body[wire.RES_TIMES]
    assert due - started == 900_000
    assert 0 <= read - due < 60_000
    assert 2000 < body[wire.RES_TEMPERATURES][0] < 2400
    # The trace in the record gives the outcome of the record, as the server will find it.
    trace = body[wire.RES_TRACE]
    count = trace[wire.TRACE_COUNT]
    pixels = decode(trace[wire.TRACE_SAMPLES], count)
    white = trace[wire.TRACE_WHITE]
    dark = decode(trace[wire.TRACE_DARK], count)
    again = strip.analyse(pixels, white, dark, assay_of("sars2-ag"), trace[wire.TRACE_STEP])
    assert (again.outcome, again.reason) == (body[wire.RES_OUTCOME], body[wire.RES_REASON])
    assert max(pixels) < 65000
    assert min(pixels) > max(dark)


async def test_a_cancelled_test_asks_first_and_leaves_an_error_record() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.start_strip(STRIPS["NEGATIVE"])
        await reader.press("B")
        await hands.see("Cancel test?")
        await reader.press("B")  # no: the incubation goes on
        await hands.see("Keep lid closed.")
        await reader.press("B")
        await hands.see("Cancel test?")
        await reader.press("A")
        assert "ERROR" in await hands.see("OK")
        (body,) = await hands.results()
    assert (body[wire.RES_OUTCOME], body[wire.RES_REASON]) == (wire.OUTCOME_ERROR, outcome.CANCELLED)
    assert body[wire.RES_ANALYTES] == []


async def test_power_lost_while_incubating_is_a_record_at_the_next_start() -> None:
    async with reader_at_hand() as hands:
        await hands.start_strip(STRIPS["POSITIVE"])
        await hands.reader.cut_power()
        await hands.reader.power_on()
        told = await hands.acknowledge("Power was lost")
        assert "Saved as error." in told
        assert "Use new test." in told
        assert "SPEC-0001" in told
        (body,) = await hands.results()
    assert (body[wire.RES_OUTCOME], body[wire.RES_REASON]) == (wire.OUTCOME_ERROR, outcome.POWER_LOST)
    assert (body[wire.RES_SPECIMEN], body[wire.RES_LOT]) == ("SPEC-0001", "LOT7")


@pytest.mark.parametrize("writes", [0, 3, 6])
async def test_power_lost_while_the_result_is_stored_leaves_exactly_one_record(writes: int) -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.start_strip(STRIPS["POSITIVE"])
        reader.cut_power_after(writes)
        reader.speed = 300
        words = ("POSITIVE", "Ready")
        await reader.wait_for(
            lambda: not reader.powered or any(word in reader.screen_text() for word in words), PATIENCE_S, "an end"
        )
        shown = reader.powered and "POSITIVE" in reader.screen_text()
        reader.speed = 1
        await reader.cut_power()
        await reader.power_on()
        words = ("Ready", "Power was lost")
        await reader.wait_for(lambda: any(word in reader.screen_text() for word in words), PATIENCE_S, "the next start")
        (body,) = await hands.results()
    expected = {(wire.OUTCOME_POSITIVE, outcome.NONE)}
    if not shown:  # what a person saw survives; what nobody saw may also have been lost
        expected.add((wire.OUTCOME_ERROR, outcome.POWER_LOST))
    assert (body[wire.RES_OUTCOME], body[wire.RES_REASON]) in expected


async def test_a_lid_open_when_the_read_is_due_is_asked_to_be_closed_and_the_strip_is_read_then() -> None:
    async with reader_at_hand() as hands:
        reader = hands.reader
        await hands.start_strip(STRIPS["NEGATIVE"])
        reader.open_lid()
        reader.speed = 300
        assert "Close the lid." in await hands.see("Please check")
        reader.speed = 1
        reader.close_lid()
        assert "NEGATIVE" in await hands.see("OK")


async def test_a_cassette_that_never_comes_back_is_invalid_when_its_window_closes() -> None:
    async with reader_at_hand() as hands:
        await hands.start_strip(STRIPS["NEGATIVE"])
        hands.reader.remove_strip()
        assert "INVALID" in await hands.outcome(300)
        (body,) = await hands.results()
    assert body[wire.RES_REASON] == outcome.NO_STRIP
    assert body[wire.RES_TRACE] is None


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (cassette(SARS2_STRIP, "261120"), "Test expired."),
        (cassette("02000000000923"), "Unknown"),
        ("0102000000000016", "Code not clear."),
        ("01" + SARS2_STRIP, "No expiry date."),
        ("abc", "No known code."),
    ],
)
async def test_a_code_that_may_not_be_used_is_refused_with_what_to_do(code: str, sentence: str) -> None:
    async with reader_at_hand() as hands:
        await hands.identify(code)
        assert sentence in await hands.see("Not possible")
        await hands.reader.press("A")
        screen = await hands.see("Scan cassette")
        assert "SPEC-0001" in screen  # what was scanned before is kept
        assert "NEXT" not in screen


async def test_without_a_clock_expiry_cannot_be_judged_so_the_cassette_is_refused() -> None:
    async with reader_at_hand(clock=False) as hands:
        await hands.identify(cassette(SARS2_STRIP))
        assert "Clock not set." in await hands.see("Not possible")
