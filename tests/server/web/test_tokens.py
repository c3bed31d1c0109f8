"""The page of access tokens in a real browser: making one, seeing it once, revoking; by keyboard, on a phone."""

import httpx
import pytest
from playwright.sync_api import expect

from tests.server.running import Organisation
from tests.server.web.conftest import DESKTOP, PHONE, Pictures, SignIn
from tests.server.web.test_pages import axe


@pytest.mark.parametrize("script", [True, False])
def test_a_person_makes_a_token_that_works_until_they_revoke_it(
    organisation: Organisation, sign_in: SignIn, script: bool
) -> None:
    page = sign_in(organisation, java_script_enabled=script)
    page.goto("/account")
    page.get_by_role("link", name="See and make access tokens").click()
    # A clinician is offered what a clinician may do.
    expect(page.get_by_label("Recall results")).to_have_count(0)
    page.get_by_label("Which program is it for?").focus()
    page.keyboard.type("Weekly report")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Choose at least one thing")
    expect(page.get_by_label("Which program is it for?")).to_have_value("Weekly report")
    page.wait_for_load_state()  # the error summary takes the focus once it is
    page.get_by_label("See the board").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Your access token", level=1).wait_for()
    secret = page.locator("main code").first.inner_text()
    headers = {"Authorization": f"Bearer {secret}"}
    call = f"{organisation.running.url}/api/v1"
    assert httpx.get(f"{call}/board", headers=headers, timeout=30).status_code == 200
    assert httpx.get(f"{call}/results", headers=headers, timeout=30).status_code == 403
    page.get_by_role("link", name="I have kept it, go on").click()
    expect(page.locator("main")).to_contain_text("Weekly report")
    page.wait_for_load_state()
    assert secret not in page.content()
    page.get_by_role("button", name="Revoke Weekly report").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("The access token is revoked")
    assert httpx.get(f"{call}/board", headers=headers, timeout=30).status_code == 401


@pytest.mark.parametrize("view", ["desktop", "phone"])
def test_axe_finds_nothing_on_the_page_of_tokens(
    organisation: Organisation, sign_in: SignIn, view: str, pictures: Pictures
) -> None:
    page = sign_in(organisation, viewport=DESKTOP if view == "desktop" else PHONE)
    wrong: dict[str, list[str]] = {}

    def look(name: str) -> None:
        pictures(page, f"tokens-{name}-{view}.png")
        wrong[name] = axe(page)
        width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width == 0, f"{name} scrolls sideways by {width} pixels"

    page.goto("/account/tokens")
    look("none")
    page.get_by_role("button", name="Make the token").click()
    page.get_by_role("heading", name="There is a problem").wait_for()
    look("error")
    page.get_by_label("Which program is it for?").fill("Weekly report on the office computer")
    page.get_by_label("Read results").check()
    page.get_by_label("See the board").check()
    page.get_by_role("button", name="Make the token").click()
    page.get_by_role("heading", name="Your access token", level=1).wait_for()
    look("made")
    page.goto("/account/tokens")
    look("one")
    page.goto("/account")
    look("account")
    assert {name: found for name, found in wrong.items() if found} == {}


def test_a_name_is_shown_as_it_was_typed_and_never_becomes_markup(organisation: Organisation, sign_in: SignIn) -> None:
    page = sign_in(organisation)
    page.goto("/account/tokens")
    page.get_by_label("Which program is it for?").fill("<b>Report</b>")
    page.get_by_label("See the board").check()
    page.get_by_role("button", name="Make the token").click()
    page.get_by_role("link", name="I have kept it, go on").click()
    expect(page.get_by_role("button", name="Revoke <b>Report</b>")).to_be_visible()
    assert page.locator("main b").count() == 0
