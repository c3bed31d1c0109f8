"""A lead corrects and withdraws a result, and lifts a recall with what it opened: in a browser, also without script."""

import pytest
from playwright.sync_api import expect

from tests.server.running import Organisation
from tests.server.web.conftest import DESKTOP, PHONE, Pictures, SignIn
from tests.server.web.test_lead import led
from tests.server.web.test_pages import axe, fact, open_result

__all__ = ["led"]


@pytest.mark.parametrize("script", [True, False])
def test_a_result_is_corrected_after_a_warning_and_everybody_sees_it(
    led: Organisation, sign_in: SignIn, script: bool
) -> None:
    page = sign_in(led, java_script_enabled=script)
    open_result(page, "P-1")
    page.get_by_role("link", name="Correct or withdraw this result").click()
    add = page.get_by_role("button", name="Add this version")
    add.click()
    expect(page.get_by_role("alert")).to_contain_text("Choose what the result is")
    page.get_by_label("Correct it to negative").check()
    add.click()
    expect(page.get_by_role("alert")).to_contain_text("Write why")
    page.get_by_label("Why?").fill("Labels were swapped")
    add.click()
    expect(page.get_by_role("region", name="Corrected to negative")).to_contain_text("Labels were swapped")
    assert fact(page, "State") == "New"
    expect(page.locator("#follow-up")).to_contain_text("Corrected: Labels were swapped")
    expect(page.get_by_role("region", name="Versions of this result")).to_contain_text("1. The reader said: positive")
    page.goto("/")
    row = page.locator("tr", has=page.get_by_role("link", name="P-1", exact=True))
    expect(row).to_contain_text("Corrected to negative")
    open_result(page, "P-1")
    page.get_by_role("link", name="Correct or withdraw this result").click()
    page.get_by_label("Restore it").check()
    page.get_by_label("Why?").fill("They were not")
    add.click()
    expect(page.get_by_role("region", name="Versions of this result")).to_contain_text("3. Restored")
    assert page.get_by_role("region", name="Corrected to negative").count() == 0


def test_another_organisation_sees_nothing_of_it_and_a_clinician_corrects_nothing(
    led: Organisation, sign_in: SignIn
) -> None:
    page = sign_in(led)
    open_result(page, "P-1")
    page.get_by_role("link", name="Correct or withdraw this result").click()
    page.get_by_label("Withdraw it").check()
    page.get_by_label("Why?").fill("Reader was dropped")
    page.get_by_role("button", name="Add this version").click()
    address = page.url
    own = led.running.organisation()
    other = sign_in(own)
    answer = other.request.get(address)
    assert answer.status == 404
    assert other.request.get(f"{address}/correct").status == 403


@pytest.mark.parametrize("script", [True, False])
def test_lifting_a_recall_offers_to_close_what_only_it_opened(led: Organisation, sign_in: SignIn, script: bool) -> None:
    page = sign_in(led, java_script_enabled=script)
    page.goto("/recalls/confirm?lot=LOT1")
    page.get_by_label("Why must they not be relied on?").fill("Stored too warm")
    page.get_by_role("button", name="Recall", exact=True).click()
    page.get_by_role("button", name="Lift this recall").click()
    page.get_by_label("Why may they be relied on after all?").fill("The logger was wrong")
    page.get_by_label("Close 2 follow-ups that only this recall opened").check()
    page.get_by_role("button", name="Lift the recall").click()
    open_result(page, "N-1")
    assert fact(page, "State").startswith("Closed")
    expect(page.locator("#follow-up")).to_contain_text("The recall that opened it was lifted")
    open_result(page, "P-1")
    assert fact(page, "State") == "New"


@pytest.mark.parametrize(("viewport", "size"), [(DESKTOP, "desktop"), (PHONE, "phone")])
def test_the_pages_of_corrections_have_no_finding(
    led: Organisation, sign_in: SignIn, pictures: Pictures, viewport: dict[str, int], size: str
) -> None:
    page = sign_in(led, viewport=viewport)
    open_result(page, "P-1")
    page.get_by_role("link", name="Correct or withdraw this result").click()
    page.get_by_label("Withdraw it").check()
    page.get_by_role("button", name="Add this version").click()
    assert axe(page) == []
    pictures(page, f"correct-{size}.png")
    page.get_by_label("Why?").fill("Reader was dropped")
    page.get_by_role("button", name="Add this version").click()
    assert axe(page) == []
    pictures(page, f"corrected-{size}.png")
    page.goto("/recalls/confirm?lot=LOT1")
    page.get_by_label("Why must they not be relied on?").fill("Stored too warm")
    page.get_by_role("button", name="Recall", exact=True).click()
    page.get_by_role("button", name="Lift this recall").click()
    assert axe(page) == []
    pictures(page, f"lift-{size}.png")
