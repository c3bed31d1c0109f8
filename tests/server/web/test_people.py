"""Clinicians say whose a specimen is, in a real browser: by mouse, without JavaScript, on a phone."""

import pytest
from playwright.sync_api import Page, expect

from reader import outcome
from tests.server import factory
from tests.server.running import Organisation, Running
from tests.server.web.conftest import DESKTOP, PHONE, Pictures, SignIn
from tests.server.web.test_pages import axe, listed, open_result


@pytest.fixture
def waiting(running: Running) -> Organisation:
    made = running.organisation()
    made.deliver(
        factory.result(specimen="P-1", outcome_code=outcome.POSITIVE, moment=made.reader.moment()),
        factory.result(specimen="P-2", outcome_code=outcome.NEGATIVE, moment=made.reader.moment()),
    )
    return made


def look_for(page: Page, specimen: str, given: str, family: str, born: tuple[str, str, str], number: str = "") -> None:
    page.goto(f"/people/find?specimen={specimen}")
    page.get_by_label("First name").fill(given)
    page.get_by_label("Last name").fill(family)
    for name, text in zip(("Day", "Month", "Year"), born, strict=True):
        page.get_by_label(name, exact=True).fill(text)
    page.get_by_label("NHS number, if known").fill(number)
    page.get_by_role("button", name="Look for this person").click()
    page.locator("#found").wait_for()


def register(page: Page) -> None:
    look_for(page, "P-1", "Zoë", "O'Neill", ("7", "3", "1980"), "999 000 0018")
    expect(page.locator("#found")).to_contain_text("Nobody like that is registered")
    form = page.locator("form[action='/people/register']")
    form.get_by_label("How to reach them safely").fill("Text only")
    form.get_by_label("Name", exact=True).check()
    form.get_by_label("Date of birth", exact=True).check()
    form.get_by_role("button", name="Register and link").click()
    page.get_by_role("heading", name="Zoë O'Neill").wait_for()


@pytest.mark.parametrize("script", [True, False])
def test_a_person_is_registered_for_one_specimen_and_found_again_for_the_next(
    waiting: Organisation, sign_in: SignIn, script: bool
) -> None:
    page = sign_in(waiting, java_script_enabled=script)
    page.get_by_role("navigation", name="Lists").get_by_role("link", name="Of nobody yet").click()
    assert sorted(listed(page)) == ["P-1", "P-2"]
    register(page)
    expect(page.locator("main")).to_contain_text("999 000 0018")
    assert listed(page) == ["P-1"]
    look_for(page, "P-2", "Zoe", "Oneill", ("7", "3", "1980"), "9990000018")
    expect(page.locator("#found")).to_contain_text("Very likely the same person")
    page.get_by_role("button", name="It is this person").click()
    expect(page.get_by_role("alert")).to_contain_text("Compare at least two things")
    card = page.locator("article", has_text="Zoë O'Neill")
    card.get_by_label("Name", exact=True).check()
    card.get_by_label("NHS number", exact=True).check()
    card.get_by_role("button", name="It is this person").click()
    page.get_by_role("heading", name="Zoë O'Neill").wait_for()
    assert sorted(listed(page)) == ["P-1", "P-2"]
    open_result(page, "P-1")
    person = page.locator(".whose")
    expect(person).to_contain_text("Zoë O'Neill")
    expect(person).to_contain_text("Text only")
    expect(person.get_by_role("link", name="P-2")).to_be_visible()


@pytest.mark.parametrize("view", ["desktop", "phone"])
def test_a_persons_values_are_drawn_over_time_with_their_table_only_once_they_are_linked(
    waiting: Organisation, sign_in: SignIn, pictures: Pictures, view: str
) -> None:
    page = sign_in(waiting, viewport=DESKTOP if view == "desktop" else PHONE)
    open_result(page, "P-1")
    heading = page.get_by_role("heading", name="SARS-CoV-2: this person's values")
    assert heading.count() == 0
    register(page)
    look_for(page, "P-2", "Zoe", "Oneill", ("7", "3", "1980"), "9990000018")
    card = page.locator("article", has_text="Zoë O'Neill")
    card.get_by_label("Name", exact=True).check()
    card.get_by_label("NHS number", exact=True).check()
    card.get_by_role("button", name="It is this person").click()
    page.get_by_role("heading", name="Zoë O'Neill").wait_for()
    open_result(page, "P-1")
    expect(heading).to_be_visible()
    plot = page.locator("#trend-0")
    expect(plot).to_have_class("plot plot--explored")
    expect(plot.locator("canvas")).to_be_visible()
    expect(plot).to_contain_text("2 values of SARS-CoV-2.")
    page.locator("summary", has_text="SARS-CoV-2: this person's values: the numbers").click()
    table = page.get_by_role("table", name="SARS-CoV-2: this person's values, the newest first")
    assert [row.split("\t")[1] for row in table.inner_text().splitlines()[-2:]] == ["Negative", "Positive"]
    expect(table).to_contain_text("(this result)")
    assert axe(page) == []
    pictures(page, f"trend-{view}.png")


def test_a_specimen_said_to_be_the_wrong_persons_is_taken_away_with_a_reason(
    waiting: Organisation, sign_in: SignIn
) -> None:
    page = sign_in(waiting)
    register(page)
    page.get_by_role("link", name="Take it away").click()
    page.get_by_role("button", name="Take it away").click()
    expect(page.get_by_role("alert")).to_contain_text("why it is not this person's")
    page.get_by_label("Why is it not this person's?").fill("Labels were swapped")
    page.get_by_role("button", name="Take it away").click()
    page.get_by_role("heading", name="Results of nobody yet").wait_for()
    assert sorted(listed(page)) == ["P-1", "P-2"]


def test_a_wrong_number_or_date_is_told_and_nothing_typed_is_lost(waiting: Organisation, sign_in: SignIn) -> None:
    page = sign_in(waiting)
    page.goto("/people/find?specimen=P-1")
    page.get_by_label("First name").fill("Zoë")
    page.get_by_label("NHS number, if known").fill("999 000 0019")
    page.get_by_role("button", name="Look for this person").click()
    expect(page.get_by_role("alert")).to_contain_text("digits of this NHS number are wrong")
    page.get_by_label("NHS number, if known").fill("")
    page.get_by_label("Day", exact=True).fill("31")
    page.get_by_label("Month", exact=True).fill("2")
    page.get_by_label("Year", exact=True).fill("1980")
    page.get_by_role("button", name="Look for this person").click()
    expect(page.get_by_role("alert")).to_contain_text("needs a day, a month and a year")
    expect(page.get_by_label("First name")).to_have_value("Zoë")
    expect(page.get_by_label("Specimen code")).to_have_value("P-1")
    assert "Zo" not in page.url


@pytest.mark.parametrize("view", ["desktop", "phone"])
def test_axe_finds_nothing_on_the_pages_of_people(
    waiting: Organisation, sign_in: SignIn, view: str, pictures: Pictures
) -> None:
    page = sign_in(waiting, viewport=DESKTOP if view == "desktop" else PHONE)
    wrong: dict[str, list[str]] = {}

    def look(name: str) -> None:
        pictures(page, f"people-{name}-{view}.png")
        wrong[name] = axe(page)
        width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width == 0, f"{name} scrolls sideways by {width} pixels"

    page.goto("/people/unmatched")
    look("unmatched")
    page.goto("/people/find?specimen=P-1")
    look("find")
    page.get_by_role("button", name="Look for this person").click()
    page.get_by_role("alert").wait_for()
    look("find, error")
    register(page)
    look("person")
    person = page.url
    look_for(page, "P-2", "Zoe", "Oneill", ("7", "3", "1980"))
    look("candidates")
    page.get_by_role("button", name="It is this person").click()
    page.get_by_role("alert").wait_for()
    look("candidates, error")
    page.goto(f"{person}/change")
    look("change")
    page.goto("/people/specimens/unlink?specimen=P-1")
    look("unlink")
    open_result(page, "P-1")
    look("result")
    assert {name: found for name, found in wrong.items() if found} == {}
