"""In a real browser two entries are said to be one person, and taken apart again; also without a script."""

from datetime import date
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from reader import outcome
from server.accounts.service import Viewer
from server.database import tenancy
from server.patients import service
from server.patients.service import Entry
from tests.server import factory
from tests.server.running import Organisation, Running
from tests.server.web.conftest import DESKTOP, PHONE, Pictures, SignIn
from tests.server.web.test_pages import axe, listed

ONE = Entry("Zoë", "O'Neill", date(1980, 3, 7), "9990000018", "07700 900123", postcode="LS1 4AP")
OTHER = Entry("Zoe", "Oneill", date(1980, 3, 7), phone="07700 900123", address="4 Mill Lane")


@pytest.fixture
def doubled(running: Running) -> tuple[Organisation, UUID, UUID]:
    """An organisation, and two entries of one person with a result each."""
    made = running.organisation()
    made.deliver(
        factory.result(specimen="A-1", outcome_code=outcome.NEGATIVE, moment=made.reader.moment()),
        factory.result(specimen="B-1", outcome_code=outcome.NEGATIVE, moment=made.reader.moment()),
    )

    async def register() -> tuple[UUID, UUID]:
        sessions = running.app.state.doorstep.sessions
        async with tenancy.transaction(sessions, made.id) as session:
            row = await (await session.connection()).exec_driver_sql("SELECT id FROM account")
            viewer = Viewer(row.scalar_one(), made.id, "", "", made.email, "clinician", "", b"")
            ids: list[UUID] = []
            for entry, specimen in ((ONE, "A-1"), (OTHER, "B-1")):
                patient = await service.register(session, viewer, entry)
                await service.link(session, viewer, specimen, patient.id, ("name", "birth-date"))
                ids.append(patient.id)
            return ids[0], ids[1]

    return (made, *running.call(register()))


def compare(page: Page, one: UUID) -> None:
    page.goto(f"/people/{one}")
    page.get_by_role("link", name="Merge with another entry of the same person").click()
    page.get_by_role("link", name="Compare side by side").click()
    page.get_by_role("heading", name="Are these one person?").wait_for()


def row(page: Page, name: str) -> list[str]:
    page.wait_for_load_state()
    cells = page.get_by_role("row", name=name).get_by_role("cell").locator(".worklist__value")
    return [text.strip() for text in cells.all_inner_texts()]


@pytest.mark.parametrize("script", [True, False])
def test_two_entries_are_compared_merged_and_taken_apart_again(
    doubled: tuple[Organisation, UUID, UUID], sign_in: SignIn, script: bool
) -> None:
    made, one, other = doubled
    page = sign_in(made, java_script_enabled=script)
    compare(page, one)
    assert row(page, "Date of birth") == ["7 March 1980", "7 March 1980", "Same"]
    assert row(page, "NHS number") == ["999 000 0018", "Not known", "Known of one only"]
    assert row(page, "Name") == ["Zoë O'Neill", "Zoe Oneill", "Different"]
    merge = page.get_by_role("button", name="They are one person: merge")
    merge.click()
    expect(page.get_by_role("alert")).to_contain_text("Choose the entry that stays")
    page.get_by_role("radio", name="Zoë O'Neill").check()
    page.get_by_label("Telephone").check()
    merge.click()
    expect(page.get_by_role("alert")).to_contain_text("Compare at least two things")
    page.get_by_label("Date of birth").check()
    merge.click()
    page.get_by_role("heading", name="Zoë O'Neill", level=1).wait_for()
    assert sorted(listed(page)) == ["A-1", "B-1"]
    expect(page.locator("main")).to_contain_text("Merged with another entry")
    # The other's address leads to the person that it is now.
    page.goto(f"/people/{other}")
    page.get_by_role("heading", name="Zoë O'Neill", level=1).wait_for()
    page.get_by_role("link", name="Take apart").click()
    expect(page.locator("main")).to_contain_text("These specimens go back to the merged entry: B-1.")
    page.get_by_role("button", name="They are two people: take apart").click()
    page.get_by_role("heading", name="Zoe Oneill", level=1).wait_for()
    assert listed(page) == ["B-1"]
    expect(page.locator("main")).to_contain_text("Taken apart again from another entry")


def test_a_merged_entry_is_found_by_what_only_it_knew(
    doubled: tuple[Organisation, UUID, UUID], sign_in: SignIn
) -> None:
    made, one, other = doubled
    page = sign_in(made)
    compare(page, one)
    page.get_by_role("radio", name="Zoe Oneill").check()
    page.get_by_label("Telephone").check()
    page.get_by_label("Date of birth").check()
    page.get_by_role("button", name="They are one person: merge").click()
    page.get_by_role("heading", name="Zoe Oneill", level=1).wait_for()
    assert page.url.endswith(str(other))
    page.goto("/people/find?specimen=C-1")
    page.get_by_label("Last name").fill("O'Neill")
    page.get_by_label("NHS number, if known").fill("999 000 0018")
    page.get_by_role("button", name="Look for this person").click()
    expect(page.locator("#found")).to_contain_text("Zoe Oneill")


@pytest.mark.parametrize(("viewport", "size"), [(DESKTOP, "desktop"), (PHONE, "phone")])
def test_the_pages_of_merging_have_no_finding(
    doubled: tuple[Organisation, UUID, UUID], sign_in: SignIn, pictures: Pictures, viewport: dict[str, int], size: str
) -> None:
    made, one, other = doubled
    page = sign_in(made, viewport=viewport)
    page.goto(f"/people/{one}/merge")
    assert axe(page) == []
    pictures(page, f"merge-find-{size}.png")
    compare(page, one)
    page.get_by_role("button", name="They are one person: merge").click()
    assert axe(page) == []
    pictures(page, f"merge-{size}.png")
    page.get_by_role("radio", name="Zoë O'Neill").check()
    page.get_by_label("Telephone").check()
    page.get_by_label("Date of birth").check()
    page.get_by_role("button", name="They are one person: merge").click()
    page.get_by_role("link", name="Take apart").wait_for()
    page.goto(f"/people/{other}/unmerge")
    assert axe(page) == []
    pictures(page, f"unmerge-{size}.png")
