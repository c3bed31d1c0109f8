"""A person is registered on a laptop without a network: later their result finds them, and nothing is left on it."""

import asyncio

import pytest

from emulator.path import EMAIL
from hub import registration
from hub.clock import Clock
from hub.writer import Writer
from tests.system.pages import Pages, axe, open_result
from tests.system.village import Village, come_home, run, strip, whole

pytestmark = pytest.mark.asyncio(loop_scope="session")

SPECIMEN = "DS-FIELD-61"
FORM = {
    "specimen": SPECIMEN, "given": "Fieldgiven", "family": "Fieldfamily", "birth[day]": "7", "birth[month]": "3",
    "birth[year]": "1980", "phone": "07700 900161", "safe_contact": "Text only, after dark", "consent": "yes",
    "consent_asked": "A test, and that its result is told", "consent_by": "A Walker",
}  # fmt: skip


async def test_who_was_registered_without_a_network_is_whose_the_result_is_later(
    village: Village, pages: Pages
) -> None:
    path = village.path
    walker = await village.reader("Field")
    await whole(village)  # the hub has heard from the server, and knows what to seal to
    await path.hub.stop()
    data = path.place.folder / "hub"
    writer = Writer()
    await writer.open(data)
    try:
        assert await registration.register(writer, Clock(), FORM) == []
    finally:
        await writer.close()
    assert village.hub_rows("SELECT count(*) FROM registrations WHERE state = 0") == [(1,)]
    since = len(village.events)
    await path.start_hub()
    await village.until(lambda events: any(event["event"] == "registered" for event in events), since)
    assert village.hub_rows("SELECT count(*) FROM registrations WHERE state <> 3") == [(0,)]
    await run(walker, strip(SPECIMEN, "positive", test=0.3))
    await come_home(walker)
    await whole(village)
    page = await pages.sign_in(EMAIL, path.password)
    await open_result(page, SPECIMEN)
    text = await page.locator("section.whose").inner_text()
    assert "Fieldgiven Fieldfamily" in text
    assert "Text only, after dark" in text
    assert await axe(page) == []
    files = [file for file in data.rglob("*") if file.is_file()]
    contents = await asyncio.to_thread(lambda: [file.read_bytes() for file in files])
    assert not any(b"Fieldfamily" in content or b"900161" in content for content in contents)
