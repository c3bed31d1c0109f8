"""A quantitative strip on the real firmware: from the scan to a concentration on the screen and in the record."""

import pytest

from emulator.physics import Line, Strip
from reader import quantity, wire
from reader.packfile import strip_assay
from tests.reader.stubs.hands import SPECIMEN, Hands, cassette, reader_at_hand

CRP = strip_assay("crp")
GTIN = CRP.gtins[0]
LOT = "CRP001"


def strip_of(milligrams: float, lot: str = LOT) -> Strip:
    """A strip as a specimen of that many mg/L darkens it, by the lot's own curve."""
    calibration = CRP.calibration(lot)
    assert calibration is not None
    height = quantity.signal(round(milligrams * 1000), calibration) / 1e6
    width = CRP.line_um / 1000 / 2.3548  # full width at half maximum to sigma
    return Strip(lines=[Line(11.0, 0.30, width), Line(6.0, height, width)], noise=0.002, gradient=0.0, seed=4)


async def do(hands: Hands, specimen: str, milligrams: float, serial: str, ends: tuple[str, ...]) -> str:
    """A whole test from the idle screen; the screen that it ends with, and back to idle."""
    reader = hands.reader
    reader.remove_strip()
    await hands.see("Ready")
    await reader.press("A")
    await hands.see("Scan specimen")
    await hands.scan(specimen)
    assert "NEXT" in await hands.scan(cassette(GTIN, lot=LOT, serial=serial))
    await reader.press("A")
    await hands.see("Insert cassette.")
    reader.insert_strip(strip_of(milligrams))
    await hands.see("Press START.")
    await reader.press("A")
    await hands.see("CANCEL")
    reader.speed = 300
    await reader.wait_for(lambda: any(word in reader.screen_text() for word in ends), 60, f"one of {ends}")
    reader.speed = 1
    screen = await hands.settled()
    await reader.press("A")
    await hands.see("Ready")
    return screen


async def controlled(hands: Hands) -> None:
    """A new lot's controls, both levels, without which no patient is tested."""
    for n, (gtin, level, expected) in enumerate(CRP.controls):
        low, high = expected[0]
        screen = await do(hands, f"01{gtin}1727123110M1\x1d", (low + high) / 2000, f"C{n}", ("PASSED", "FAILED"))
        assert "PASSED" in screen, level


@pytest.mark.parametrize(
    ("milligrams", "word", "said", "beyond"),
    [(50.0, "POSITIVE", None, None), (2.0, "NEGATIVE", "<5.0 mg/L", 1), (400.0, "POSITIVE", ">150.0 mg/L", 2)],
)
async def test_a_concentration_is_shown_with_its_unit_and_recorded_with_its_error_or_the_limit_it_passed(
    milligrams: float, word: str, said: str | None, beyond: int | None
) -> None:
    async with reader_at_hand() as hands:
        await controlled(hands)
        screen = await do(hands, SPECIMEN, milligrams, "P1", ("POSITIVE", "NEGATIVE", "UNCLEAR", "INVALID", "ERROR"))
        assert word in screen
        records = await hands.records()
    (body,) = [record[4] for record in records if record[1] == wire.KIND_RESULT]
    ((name, code, reason, value, unit, error, *rest),) = body[wire.RES_ANALYTES]
    assert (name, code, reason, unit) == ("CRP", body[wire.RES_OUTCOME], 0, "mg/L")
    assert (body[wire.RES_ASSAY], body[wire.RES_LOT], body[wire.RES_SPECIMEN]) == ("crp", LOT, SPECIMEN)
    assert rest == ([] if beyond is None else [beyond])
    if beyond is None:
        assert abs(value - milligrams * 1000) < 0.12 * milligrams * 1000
        assert 0 < error < 5_000
        said = f"{value // 1000}.{value % 1000 // 100} mg/L"
    assert said is not None
    assert said in screen
    levels = [record[4][wire.RES_QC][1:3] for record in records if record[1] == wire.KIND_QC]
    assert levels == [[level, wire.QC_PASSED] for _, level, _ in CRP.controls]


async def test_a_quantitative_cassette_of_a_lot_without_a_calibration_is_refused_at_the_scan() -> None:
    async with reader_at_hand() as hands:
        await hands.reader.press("A")
        await hands.see("Scan specimen")
        await hands.scan(SPECIMEN)
        screen = await hands.scan(cassette(GTIN, lot="NEVER"))
        assert "Lot not known." in screen
        assert "Visit the hub." in screen
        await hands.reader.press("A")
        assert "NEXT" not in await hands.see("BACK")
        assert [record[1] for record in await hands.records() if record[1] != wire.KIND_EVENT] == []
