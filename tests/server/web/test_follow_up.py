"""Clinicians follow results up in a real browser: by mouse, by keyboard alone, without JavaScript, on a phone."""

import re

import pytest
from playwright.sync_api import Page, expect

from reader import outcome
from tests.server import factory
from tests.server.running import Organisation, Running
from tests.server.web.conftest import DESKTOP, PHONE, Pictures, SignIn
from tests.server.web.test_pages import AXE, axe, fact, listed, open_result


@pytest.fixture
def waiting(running: Running) -> Organisation:
    """Two positives and a negative, nothing done yet."""
    made = running.organisation()
    made.deliver(
        factory.result(specimen="P-1", outcome_code=outcome.POSITIVE, moment=made.reader.moment()),
        factory.result(specimen="P-2", outcome_code=outcome.POSITIVE, moment=made.reader.moment()),
        factory.result(specimen="N-1", outcome_code=outcome.NEGATIVE, moment=made.reader.moment()),
    )
    return made


def act(page: Page, button: str, note: str = "", choose: str = "") -> None:
    """Press an act's button on the result's page, fill its form and send it."""
    page.get_by_role("button", name=button, exact=True).click()
    page.get_by_role("button", name=button, exact=True).wait_for()
    if choose:
        page.get_by_label(choose, exact=True).check()
    if note:
        page.get_by_label("In your words").fill(note)
    page.get_by_role("button", name=button, exact=True).click()
    page.get_by_role("heading", name="Follow-up", exact=True).wait_for()
    page.wait_for_load_state()


def state(page: Page) -> str:
    return fact(page, "State")


@pytest.mark.parametrize("script", [True, False])
def test_a_positive_is_followed_from_arrival_to_closed(waiting: Organisation, sign_in: SignIn, script: bool) -> None:
    page = sign_in(waiting, java_script_enabled=script)
    open_result(page, "P-1")
    assert (state(page), fact(page, "Owner")) == ("New", "Sam Clinician")
    assert re.match(r"By (today|tomorrow|yesterday|\d)", fact(page, "Due"))
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".history")).to_contain_text("Acknowledged")
    act(page, "Plan what to do", "Call this afternoon; treat at home if well")
    act(page, "Record a try", "No answer at 2pm")
    assert fact(page, "Tries to reach") == "1 of 3"
    act(page, "Record a contact", "Reached at 5pm")
    act(page, "Record the outcome", choose="Treated")
    assert state(page) == "Outcome recorded\nTreated"
    act(page, "Close")
    assert state(page).startswith("Closed")
    done = page.locator(".history__act strong").all_inner_texts()
    assert done == [
        "Acknowledged", "Planned what to do", "Tried to reach the person", "Reached the person",
        "Recorded the outcome", "Closed",
    ]  # fmt: skip
    expect(page.locator(".history")).to_contain_text("No answer at 2pm")
    expect(page.locator(".history")).to_contain_text("Sam Clinician")


def test_the_lists_hold_what_is_mine_and_lose_what_has_its_outcome(waiting: Organisation, sign_in: SignIn) -> None:
    page = sign_in(waiting)
    page.get_by_role("navigation", name="Lists").get_by_role("link", name=re.compile("^Mine")).click()
    page.wait_for_url("**/?view=mine")
    assert sorted(listed(page)) == ["P-1", "P-2"]
    expect(page.get_by_role("heading", name="Act now")).to_be_visible()
    page.get_by_role("link", name="P-1", exact=True).click()
    page.get_by_role("button", name="Acknowledge").click()
    page.get_by_text("What was done").wait_for()
    act(page, "Record the outcome", choose="Referred")
    page.goto("/?view=mine")
    assert listed(page) == ["P-2"]
    expect(page.get_by_role("link", name="Mine (1)")).to_have_attribute("aria-current", "page")
    page.goto("/?view=unowned")
    expect(page.locator("main")).to_contain_text("Nothing waits here.")
    page.goto("/")
    row = page.locator("tr", has=page.get_by_role("link", name="P-1", exact=True))
    expect(row).to_contain_text("Referred")
    expect(page.locator("tr", has=page.get_by_role("link", name="N-1", exact=True))).to_contain_text("None needed")


def test_a_person_is_not_given_up_after_one_try_and_what_was_written_is_not_lost(
    waiting: Organisation, sign_in: SignIn
) -> None:
    page = sign_in(waiting)
    open_result(page, "P-1")
    page.get_by_role("button", name="Acknowledge").click()
    page.get_by_text("What was done").wait_for()
    page.get_by_role("button", name="Record the outcome").click()
    page.get_by_label("Could not be reached").check()
    page.get_by_label("In your words").fill("Moved away, neighbours say")
    page.get_by_role("button", name="Record the outcome").click()
    expect(page.get_by_role("alert")).to_contain_text("0 of 3 tries are recorded")
    expect(page.get_by_label("In your words")).to_have_value("Moved away, neighbours say")
    expect(page.get_by_label("Could not be reached")).to_be_checked()


def test_a_page_that_is_out_of_date_changes_nothing_and_says_so(waiting: Organisation, sign_in: SignIn) -> None:
    one, other = sign_in(waiting), sign_in(waiting)
    for page in (one, other):
        open_result(page, "P-1")
    one.get_by_role("button", name="Acknowledge").click()
    one.get_by_text("What was done").wait_for()
    other.get_by_role("button", name="Acknowledge").click()
    expect(other.locator("main")).to_contain_text("Somebody else has just done something")
    one.reload()
    assert one.locator(".history__act").count() == 1


def test_by_keyboard_alone(waiting: Organisation, sign_in: SignIn) -> None:
    page = sign_in(waiting)
    open_result(page, "P-2")
    for name, note in (("Acknowledge", ""), ("Plan what to do", "Call tomorrow at 9am")):
        page.wait_for_load_state()  # a page that is still loading may take the focus away again
        page.get_by_role("button", name=name, exact=True).focus()
        page.keyboard.press("Space" if note else "Enter")
        if note:
            page.get_by_label("In your words").wait_for()
            page.keyboard.press("Tab")  # skip link
            while page.evaluate("document.activeElement.id") != "note":
                page.keyboard.press("Tab")
            page.keyboard.type(note)
            page.keyboard.press("Tab")
            page.keyboard.press("Enter")
        page.locator(".history").get_by_text(note or "Acknowledged").wait_for()
    assert state(page) == "Action planned"


@pytest.mark.parametrize("view", ["desktop", "phone"])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(
    waiting: Organisation, sign_in: SignIn, view: str, pictures: Pictures
) -> None:
    assert AXE.exists()
    page = sign_in(waiting, viewport=DESKTOP if view == "desktop" else PHONE)
    open_result(page, "P-1")
    page.get_by_role("button", name="Acknowledge").click()
    page.get_by_text("What was done").wait_for()
    result = page.url.partition("#")[0]
    addresses = {
        "result": result,
        "plan": f"{result}/follow-up/plan",
        "record": f"{result}/follow-up/record",
        "hand-over": f"{result}/follow-up/hand-over",
        "mine": "/?view=mine",
        "overdue": "/?view=overdue",
    }
    wrong: dict[str, list[str]] = {}
    for name, address in addresses.items():
        page.goto(address)
        pictures(page, f"follow-up-{name}-{view}.png")
        wrong[name] = axe(page)
        width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width == 0, f"{name} scrolls sideways by {width} pixels"
        if name in ("plan", "record", "hand-over"):
            page.locator("form button[type=submit]").last.click()
            page.get_by_role("heading", name="There is a problem").wait_for()
            wrong[f"{name}, error"] = axe(page)
    assert {name: found for name, found in wrong.items() if found} == {}
