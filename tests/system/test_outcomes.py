"""Every outcome from the strip or the tube to the clinician's page: reader, server and page say the same."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from emulator.path import EMAIL, ORGANISATION, Enrolled
from emulator.scenario import TestPlan
from emulator.worker import Shown
from tests.system.pages import Pages, axe, fact, open_result
from tests.system.village import Village, all_of, cancel, come_home, run, strip, tube, whole

pytestmark = pytest.mark.asyncio(loop_scope="session")

STRIPS = (
    strip("DS-OUT-01", "negative"),
    strip("DS-OUT-02", "positive", test=0.03),
    strip("DS-OUT-03", "positive", test=0.30),
    strip("DS-OUT-04", "invalid", "no-control-line", control=0.0),
    strip("DS-OUT-05", "indeterminate", "grey-zone", test=0.017),
)
CANCELLED = strip("DS-OUT-06", "error", "cancelled", test=0.30)
TUBES = (
    tube("DS-OUT-11", "positive", sample=14.0),
    tube("DS-OUT-12", "negative"),
    tube("DS-OUT-13", "invalid", "no-internal-control", control=None),
)
EVERY = (*STRIPS, CANCELLED, *TUBES)
WORDS = {
    "positive": "Positive",
    "negative": "Negative",
    "indeterminate": "Indeterminate",
    "invalid": "Invalid",
    "error": "Error",
}


@dataclass
class Delivered:
    """What came of the round, by specimen: on the reader's screen, and in the server."""

    village: Village
    custody: dict[str, dict[str, int]]
    shown: dict[str, Shown]
    results: dict[str, dict[str, object]]
    readers: dict[str, Enrolled]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def delivered(the_path: Village) -> Delivered:
    """Three people go out with a reader each, do every test there is, and come back."""
    await the_path.restore()
    shown: dict[str, Shown] = {}
    readers: dict[str, Enrolled] = {}

    async def round_of(name: str, plans: tuple[TestPlan, ...], minutes: int) -> None:
        enrolled = await the_path.reader(name, behind=timedelta(minutes=minutes), away=True)
        for plan in plans:
            done = await (cancel if plan is CANCELLED else run)(enrolled, plan)
            shown[plan.specimen], readers[plan.specimen] = done, enrolled
        await come_home(enrolled)

    await all_of(
        round_of("Hall", STRIPS[:3], 80),
        round_of("Market", (*STRIPS[3:], CANCELLED), 80),
        round_of("Van", TUBES, 200),
    )
    custody = await whole(the_path)
    await released(the_path)
    results = await the_path.results()
    assert len(results) == len(EVERY)
    found = {str(result["specimen"]): result for result in results}
    await the_path.retire()
    return Delivered(the_path, custody, shown, found, readers)


async def released(village: Village) -> None:
    """Wait until the server has heard from the hub that every reader holds its receipts."""
    async with asyncio.timeout(30):
        while True:
            printed = await village.path.command("custody", "--organisation", ORGANISATION, "--json")
            mine = {enrolled.reader_id for enrolled in village.path.readers}
            if all(
                one["released"] == one["issued"] for one in json.loads(printed)["readers"] if one["reader_id"] in mine
            ):
                return


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page(chromium: Browser, delivered: Delivered) -> AsyncIterator[Page]:
    """The clinician, signed in."""
    opened = Pages(chromium, delivered.village.path.place.address)
    yield await opened.sign_in(EMAIL, delivered.village.path.password)
    await opened.close()
    assert opened.complaints == []


async def test_every_reader_holds_receipts_for_all_that_it_issued(delivered: Delivered) -> None:
    assert len(delivered.custody) == 3
    for counts in delivered.custody.values():
        assert counts["issued"] == counts["stored"] == counts["held"] == counts["released"] > 3


@pytest.mark.parametrize("plan", EVERY, ids=lambda plan: f"{plan.expect.outcome}-{plan.expect.reason}-{plan.specimen}")
async def test_screen_server_and_page_say_the_same_outcome(delivered: Delivered, page: Page, plan: TestPlan) -> None:
    shown, result = delivered.shown[plan.specimen], delivered.results[plan.specimen]
    assert shown.outcome == result["outcome"] == plan.expect.outcome
    assert result["reason"] == plan.expect.reason
    assert result["recomputation"] == ("not-comparable" if plan is CANCELLED else "agrees")
    await open_result(page, plan.specimen)
    await expect(page.locator("h1 .outcome")).to_have_text(WORDS[plan.expect.outcome])
    if plan.expect.outcome in ("invalid", "error"):
        await expect(page.locator(".verdict")).to_contain_text("must not be read as negative")
    if plan is not CANCELLED:
        await expect(page.locator(".plot .u-over")).to_be_visible()
    assert await fact(page, "Operator") == "OPKIT1"
    assert delivered.readers[plan.specimen].name in await fact(page, "Reader")
    assert await fact(page, "Receipt") == "The reader has it and may discard its copy"
    assert "within" in await fact(page, "Tested")
    assert await axe(page) == []


async def test_the_worklist_puts_what_needs_a_decision_first_and_axe_finds_nothing(
    delivered: Delivered, page: Page
) -> None:
    await page.goto("/")
    names = [name for name in await page.locator(".worklist__link").all_inner_texts() if name in delivered.results]
    outcomes = [delivered.results[name]["outcome"] for name in names]
    assert len(names) == len(EVERY)
    assert set(outcomes[:5]) == {"positive", "invalid"}
    assert set(outcomes[5:7]) == {"indeterminate", "error"}
    assert set(outcomes[7:]) == {"negative"}
    assert await axe(page) == []


async def test_a_result_appears_on_the_open_page_without_reload(village: Village, pages: Pages) -> None:
    page = await pages.sign_in(EMAIL, village.path.password)
    await page.evaluate("window.notReloaded = true")
    enrolled = await village.reader("Live", behind=timedelta(minutes=10), away=True)
    assert (await cancel(enrolled, strip("DS-LIVE-01", "error", "cancelled"))).outcome == "error"
    await expect(page.get_by_role("link", name="DS-LIVE-01", exact=True)).to_have_count(0)
    await come_home(enrolled)
    await expect(page.get_by_role("link", name="DS-LIVE-01", exact=True)).to_be_visible(timeout=30_000)
    await expect(page.get_by_role("status")).to_have_text(re.compile(r"^1 new result at "))
    assert await page.evaluate("window.notReloaded") is True
    await whole(village)
