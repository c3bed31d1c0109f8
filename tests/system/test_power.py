"""The power goes at every step of a test: afterwards there is exactly one record, and it says what happened."""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from emulator.flash import Tear
from emulator.path import EMAIL, Enrolled
from emulator.worker import OUTCOME_WORDS
from tests.system.pages import Pages, fact, open_result
from tests.system.village import Village, all_of, come_home, strip, whole, worker

pytestmark = pytest.mark.asyncio(loop_scope="session")

_LEFT = re.compile(r"\b(\d\d):(\d\d)\b")


async def until_reading(enrolled: Enrolled) -> None:
    """Let the countdown run until the strip is being read."""
    reader = enrolled.reader
    left = _LEFT.search(reader.screen_text())
    assert left is not None, reader.screen_text()
    await reader.let_pass(60 * int(left[1]) + int(left[2]) - 5)
    await reader.wait_for_text("Reading", 60)


async def while_incubating(enrolled: Enrolled) -> None:
    await enrolled.reader.wait_for(lambda: "10:0" in enrolled.reader.screen_text(), 60, "ten minutes left")
    await enrolled.reader.cut_power()


async def while_reading(enrolled: Enrolled) -> None:
    await until_reading(enrolled)
    await enrolled.reader.cut_power()


async def while_storing(enrolled: Enrolled) -> None:
    await until_reading(enrolled)
    enrolled.reader.cut_power_after(0, Tear.GARBAGE)
    await enrolled.reader.wait_for(lambda: not enrolled.reader.powered, 30, "the power going at the record's write")


async def once_shown(enrolled: Enrolled) -> None:
    assert (await worker(enrolled).outcome()).outcome == "positive"
    await enrolled.reader.cut_power()


CUTS: dict[str, tuple[Callable[[Enrolled], Awaitable[None]], tuple[str, str]]] = {
    "DS-CUT-01": (while_incubating, ("error", "power-lost")),
    "DS-CUT-02": (while_reading, ("error", "power-lost")),
    "DS-CUT-03": (while_storing, ("error", "power-lost")),
    "DS-CUT-04": (once_shown, ("positive", "none")),
}


async def test_a_test_that_loses_power_at_any_step_leaves_exactly_one_record_that_says_so(
    village: Village, pages: Pages
) -> None:
    async def one(specimen: str) -> None:
        cut, (outcome, reason) = CUTS[specimen]
        enrolled = await village.reader(specimen, behind=timedelta(minutes=25), away=True)
        await worker(enrolled).begin(strip(specimen, outcome, reason, test=0.3), 4)
        await cut(enrolled)
        if outcome == "error":
            assert not set(OUTCOME_WORDS) & set(enrolled.reader.screen_text().split())
        await enrolled.reader.power_on()
        await worker(enrolled).ready()
        await come_home(enrolled)

    await all_of(*(one(specimen) for specimen in CUTS))
    custody = await whole(village)
    results = await village.results()
    found = {result["specimen"]: (result["outcome"], result["reason"]) for result in results}
    assert found == {specimen: wanted for specimen, (_, wanted) in CUTS.items()}
    assert len(results) == len(CUTS)
    for counts in custody.values():
        # Two starts, one result, and at most the clock's setting and the floor of the first visit.
        assert 3 <= counts["issued"] <= 5
    page = await pages.sign_in(EMAIL, village.path.password)
    await open_result(page, "DS-CUT-02")
    assert "lost power before the test was read" in await page.locator(".verdict").inner_text()
    assert "within" in await fact(page, "Recorded")
