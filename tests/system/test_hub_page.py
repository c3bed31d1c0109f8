"""The operator's page through a day in a real browser: ten readers, a transfer that breaks, no network, a full disk, a
lid that is closed, and a hub that is killed."""

import asyncio
import os
import re
import resource
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Locator, Page, expect

from emulator.path import ORGANISATION, Enrolled
from tests.system.laptop import Laptop
from tests.system.pages import axe
from tests.system.slow import STORED_AT, Crawl, loaded
from tests.system.village import Village, come_home, run, strip, whole

pytestmark = pytest.mark.asyncio(loop_scope="session")

_WAIT_MS = 120_000
_TOO_SMALL = 64  # bytes: no file of the hub may grow beyond


@dataclass
class HubPage:
    """The page in a browser, let in by a link of `doorstep hub open`. `complaints` is what the browser wrote."""

    page: Page
    complaints: list[str]

    @property
    def headline(self) -> Locator:
        return self.page.get_by_role("heading", level=1)

    def card(self, enrolled: Enrolled) -> Locator:
        return self.page.locator(f'[data-reader="{enrolled.reader_id}"]')

    async def says(self, words: str) -> None:
        """Wait until the sentence at the top has these words."""
        await expect(self.headline).to_contain_text(words, timeout=_WAIT_MS)

    async def fact(self, enrolled: Enrolled, name: str) -> str:
        row = self.card(enrolled).locator(".card__fact").filter(has_text=name)
        return await row.locator("dd").inner_text()

    async def picture(self, name: str) -> None:
        folder = os.environ.get("DOORSTEP_PICTURES")
        if folder:
            await self.page.screenshot(path=Path(folder) / f"hub-{name}.png", full_page=True)


async def link(village: Village) -> str:
    said = await village.path.command("hub", "open", "--link")
    found = re.search(r"http://127\.0\.0\.1:\d+/open\?key=\S+", said)
    assert found is not None, said
    return found[0]


@pytest_asyncio.fixture(loop_scope="session")
async def operator(village: Village, chromium: Browser) -> AsyncIterator[HubPage]:
    """The page is opened once the hub runs: `await go()` of the test."""
    context = await chromium.new_context(viewport={"width": 1280, "height": 900})
    page = await context.new_page()
    page.set_default_timeout(_WAIT_MS)
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield HubPage(page, complaints)
    await context.close()
    assert complaints == []


async def test_the_page_through_a_day(village: Village, operator: HubPage) -> None:
    path, page = village.path, operator.page
    laptop = await Laptop.enrolled(path, ORGANISATION, "Laptop with a wild clock")
    await path.hub.stop()
    full = await loaded(village, laptop, 44)
    others = [await village.reader(f"Reader {number}", away=True) for number in range(2, 11)]

    # Ten readers come in; the first dies in the midst of its transfer.
    since = len(village.events)
    with Crawl(path.bench.air, STORED_AT + 20) as crawl:
        await path.start_hub()
        await village.until(lambda events: any(event["event"] == "page" for event in events), since)
        await page.goto(await link(village))
        await operator.says("Collecting from")
        async with asyncio.timeout(120):
            await crawl.reached.wait()
        await village.until(lambda events: any(event["event"] == "collected" for event in events), since)
        bar = operator.card(full).get_by_role("progressbar")
        await expect(bar).not_to_have_attribute("value", "0", timeout=_WAIT_MS)
        assert 0 < float(await bar.get_attribute("value") or 0) < float(await bar.get_attribute("max") or 0)
        await operator.picture("collecting")
        assert await axe(page) == []
        await full.reader.cut_power()
    await operator.card(full).get_by_text("Not collected").wait_for()
    await operator.says("still on Loaded.")
    assert await operator.fact(full, "Waiting on the reader") != "0 records"

    # It comes back, with nine others, and everything is delivered, by receipt.
    await full.reader.power_on()
    for enrolled in others:
        await come_home(enrolled)
    custody = await whole(village)
    await operator.says("Safe to close.")
    for enrolled in (full, *others):
        assert await operator.card(enrolled).get_by_role("heading").inner_text() == enrolled.name
        held = custody[enrolled.reader_id]["issued"]
        said = await operator.fact(enrolled, "Delivered, by the server’s receipt")
        assert re.match(rf"{held} records?, (just now|today|yesterday)", said)
        assert await operator.fact(enrolled, "Waiting here") == "0 records"
    await operator.picture("safe")
    assert await axe(page) == []
    await page.set_viewport_size({"width": 390, "height": 844})
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is cut on a phone"
    await operator.picture("phone")
    await page.emulate_media(media="print")
    await operator.picture("print")
    await page.emulate_media(media="screen")
    await page.set_viewport_size({"width": 1280, "height": 900})

    # The network is gone, and comes back.
    await path.server.stop()
    await others[0].reader.cut_power()
    await others[0].reader.power_on()
    await operator.says("wait")
    await operator.says("for a network.")
    await page.get_by_text("server-unreachable").wait_for()
    await operator.card(others[0]).get_by_text("Waits for a network").wait_for()
    await operator.picture("no-network")
    assert await axe(page) == []
    await village.start_server()
    await operator.says("Safe to close.")
    assert await page.get_by_text("server-unreachable").count() == 0

    # The disk is full: nothing is taken, it is said, and it goes on when there is room.
    pid = path.hub.pid
    assert pid is not None
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (_TOO_SMALL, hard))
    await others[1].reader.cut_power()
    await others[1].reader.power_on()
    await operator.says("The disk is full.")
    await operator.picture("disk-full")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
    await operator.says("Safe to close.")

    # The lid is closed while a reader goes on, and opened.
    os.kill(pid, signal.SIGSTOP)
    await others[2].reader.cut_power()
    await others[2].reader.power_on()
    os.kill(pid, signal.SIGCONT)
    custody = await whole(village)
    held = custody[others[2].reader_id]["issued"]
    await expect(operator.card(others[2])).to_contain_text(f"{held} records", timeout=_WAIT_MS)
    await operator.says("Safe to close.")

    # A hub that is killed: the page does not go on saying that it is safe. A browser writes of the stream that broke.
    assert operator.complaints == []
    await path.hub.kill()
    await page.get_by_role("alert").wait_for()
    await operator.picture("lost")
    assert await axe(page) == []
    operator.complaints.clear()


async def test_the_page_works_without_scripts_and_by_keyboard(village: Village, chromium: Browser) -> None:
    enrolled = await village.reader("Reader 1")
    await whole(village)
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(await link(village))
    await expect(page.get_by_role("heading", level=1)).to_have_text("Safe to close.")
    assert await page.locator(f'[data-reader="{enrolled.reader_id}"]').count() == 1
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to main content")).to_be_focused()
    await page.get_by_role("link", name="Show how things are now").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Safe to close.")
    await page.goto(page.url + "open?key=used")
    await expect(page.get_by_role("heading", level=1)).to_have_text("This page is closed")
    await context.close()


async def test_a_person_is_registered_by_keyboard_and_labels_are_printed(village: Village, operator: HubPage) -> None:
    page = operator.page
    await page.goto(await link(village))
    await page.get_by_role("link", name="Register a person").press("Enter")
    await page.get_by_role("heading", name="Register a person").wait_for()
    await page.wait_for_load_state()
    assert await axe(page) == []
    await operator.picture("register")
    await page.get_by_label("Specimen code").press("Enter")  # as a scanner does: nothing is sent yet
    await expect(page.get_by_label("First name")).to_be_focused()
    await page.get_by_role("button", name="Seal and keep").press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("There is a problem")
    await page.wait_for_load_state()
    assert await axe(page) == []
    await operator.picture("register-wrong")
    operator.complaints.clear()  # a browser calls an answer of 422 a failure
    for label, words in (
        ("Specimen code", "SPC-REG-01"), ("First name", "Zebedee"), ("Last name", "Quillfeather"), ("Day", "7"),
        ("Month", "3"), ("Year", "1980"), ("Your name", "A worker"),
    ):  # fmt: skip
        await page.get_by_label(label).fill(words)
    await page.get_by_label("Yes, they agreed").press("Space")
    await page.get_by_role("button", name="Seal and keep").press("Enter")
    await page.get_by_text("Kept, sealed.").wait_for()
    assert "Quillfeather" not in await page.content()
    await page.set_viewport_size({"width": 390, "height": 844})
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await operator.picture("register-phone")
    await page.set_viewport_size({"width": 1280, "height": 900})

    await page.get_by_role("link", name="Print labels").click()
    await page.get_by_label("How many?").fill("12")
    await page.get_by_role("button", name="Make labels").click()
    await page.get_by_text("12 labels are ready").wait_for()
    assert await axe(page) == []
    await operator.picture("labels")
    await page.emulate_media(media="print")
    await operator.picture("labels-print")
    await expect(page.get_by_role("banner")).to_be_hidden()
    await expect(page.get_by_role("button", name="Make labels")).to_be_hidden()
    assert await page.get_by_role("img", name=re.compile("Specimen S-")).count() == 12


async def test_nothing_of_a_patient_is_readable_in_the_folder_or_the_memory_of_the_hub(village: Village) -> None:
    """What a reader was told of a person, looked for where the hub keeps and works on its records."""
    planted = (b"DS-PRIVATE-77", b"OPKIT1", b"AG2601", b"02000000000015")  # specimen, operator, lot, product
    enrolled = await village.reader("Discreet", away=True)
    await run(enrolled, strip("DS-PRIVATE-77", "positive", test=0.3))
    await village.path.server.stop()
    since = len(village.events)
    await come_home(enrolled)
    await village.until(lambda events: any(event["event"] == "collected" for event in events), since)
    pid = village.path.hub.pid
    assert pid is not None
    memory = b"".join(await asyncio.to_thread(lambda: list(_writable(pid))))
    assert bytes.fromhex(enrolled.reader_id) in memory, "it is the memory that the records went through"
    for word in planted:
        assert word not in memory, word
        for file in (village.path.place.folder / "hub").rglob("*"):
            assert not file.is_file() or word not in file.read_bytes(), (word, file)
    await village.start_server()
    await whole(village)
    (result,) = await village.results()
    assert result["specimen"] == "DS-PRIVATE-77", "and it was in the record all the while"


def _writable(pid: int) -> Iterator[bytes]:
    """The writable memory of a process, region by region."""
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in maps:
            addresses, rights, *_ = line.split()
            if not rights.startswith("rw") or "[v" in line:
                continue
            first, last = (int(part, 16) for part in addresses.split("-"))
            memory.seek(first)
            yield memory.read(last - first)
