"""A worker who has never seen the reader completes a test from its screen alone, and recovers from what goes wrong."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from emulator import words
from emulator.bench import Bench
from emulator.path import provision
from emulator.physics import Line, Strip, Tube
from reader import wire
from tests.reader.stubs.hands import KEY, READER_ID, SARS2_LAMP, SARS2_STRIP, TODAY, Hands, events, results
from tests.reader.stubs.small_hub import GENERATION
from tests.system.newcomer import OUTCOMES, VOCABULARY, Bag, Lost, Newcomer

SPECIMEN = "SPEC-0001"
EXPIRED, GOOD = "260131", "291231"


def code(gtin: str, expiry: str, serial: str) -> str:
    """A cassette's code as the scanner gives it."""
    return f"01{gtin}17{expiry}10LOT7\x1d21{serial}"


def strips() -> Bag:
    """A positive strip; the first cassette is out of date."""
    return Bag(
        SPECIMEN, "OP1234", [code(SARS2_STRIP, EXPIRED, "1"), code(SARS2_STRIP, GOOD, "2")],
        strip=Strip(lines=[Line(11.0, 0.40), Line(6.0, 0.20)], seed=1),
    )  # fmt: skip


def tubes() -> Bag:
    """A negative specimen in the tubes; the first pack is out of date."""
    return Bag(
        SPECIMEN, "OP1234", [code(SARS2_LAMP, EXPIRED, "1"), code(SARS2_LAMP, GOOD, "2")],
        tubes=(Tube(time_to_positive_min=None), Tube(time_to_positive_min=18.0)),
    )  # fmt: skip


@asynccontextmanager
async def handed(language: str) -> AsyncGenerator[Hands, None]:
    """A reader that speaks that language, as it is handed to somebody."""
    async with Bench() as bench:
        reader = await bench.add_reader(start=False, in_step=True)
        await provision(reader, READER_ID, KEY, GENERATION, "reader one", language)
        reader.circuit.rtc.set_time(TODAY)
        reader.close_lid()
        await reader.start()
        yield Hands(bench, reader)


@pytest.mark.parametrize("language", sorted(VOCABULARY))
async def test_a_newcomer_does_a_strip_test_though_a_cassette_is_expired_and_somebody_opens_the_lid(
    language: str,
) -> None:
    async with handed(language) as hands:
        worker = Newcomer(hands.reader, language, strips(), surprise=hands.reader.open_lid)
        outcome, text = await worker.test()
        records = await hands.records()
    assert outcome == words.table(language)["positive"]
    assert SPECIMEN in text
    assert results(records) == [(wire.OUTCOME_POSITIVE, 0)]
    assert worker.did.count("take_another") == 1
    assert worker.did.count("close_lid") == 2, "once before the start, once for the one who opened it"
    assert events(records, wire.EVENT_FAULT) == []


@pytest.mark.parametrize("language", sorted(VOCABULARY))
async def test_a_newcomer_does_an_amplification_though_the_first_tubes_are_expired(language: str) -> None:
    async with handed(language) as hands:
        worker = Newcomer(hands.reader, language, tubes())
        outcome, text = await worker.test()
        records = await hands.records()
    assert outcome == words.table(language)["negative"]
    assert SPECIMEN in text
    assert results(records) == [(wire.OUTCOME_NEGATIVE, 0)]
    assert worker.did.count("take_another") == 1
    assert events(records, wire.EVENT_FAULT) == []


async def test_a_cassette_left_in_the_tray_is_taken_out_before_the_next_test_because_the_screen_says_so() -> None:
    async with handed("en") as hands:
        await Newcomer(hands.reader, "en", strips()).test()
        left = Newcomer(hands.reader, "en", strips())
        left.bag.cassettes = [code(SARS2_STRIP, GOOD, "2"), code(SARS2_STRIP, GOOD, "3")]
        outcome, _ = await left.test()
        records = await hands.records()
    assert outcome == "POSITIVE"
    assert "take_another" in left.did, "the cassette of the first test is refused"
    assert left.did.count("take_out") == 1
    assert len(results(records)) == 2


async def test_a_newcomer_who_finds_no_instruction_says_so_and_does_nothing_by_guess() -> None:
    async with handed("fr") as hands:
        await hands.see("LANCER")
        worker = Newcomer(hands.reader, "en", strips())  # cannot read the language
        with pytest.raises(Lost, match="does not say what to do"):
            await worker.test()
        assert worker.did == []
        assert "Pressez LANCER" in hands.reader.screen_text()


def test_the_newcomer_knows_no_sentence_that_the_reader_does_not_say() -> None:
    for language, vocabulary in VOCABULARY.items():
        said = [" ".join(text.split()) for text in words.table(language).values()]
        assert {phrase for phrase in vocabulary if not any(phrase in text for text in said)} == set()
        assert OUTCOMES[language] <= set(said)
