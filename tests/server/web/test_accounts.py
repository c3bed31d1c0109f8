"""A second factor, one's own account and the administrator's pages in a real browser: by mouse, keyboard, phone."""

import base64
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from reader import outcome
from tests.server import factory
from tests.server.accounts import qr
from tests.server.accounts.people import code, made
from tests.server.running import PASSWORD, Organisation
from tests.server.web.conftest import DESKTOP, PHONE, Pictures, SignIn
from tests.server.web.test_pages import AXE, axe


def as_role(organisation: Organisation, role: str, name: str = "Alex Administrator") -> Organisation:
    """The same organisation, signed in to by somebody of that role."""
    return replace(organisation, email=made(organisation, role, name)[0])


def set_up(page: Page) -> bytes:
    """Turn the second factor on as a person does; its secret."""
    page.goto("/account/second-factor")
    page.get_by_role("button", name="Set it up").click()
    return confirm(page)


def confirm(page: Page) -> bytes:
    """As `set_up`, from the page that shows the key on."""
    secret = base64.b32decode(page.locator(".setup-key").inner_text().replace(" ", ""))
    page.get_by_label("Code", exact=True).fill(code(secret, 0))
    page.get_by_role("button", name="Turn it on").click()
    page.get_by_role("heading", name="Your recovery codes").wait_for()
    page.wait_for_load_state()
    return secret


@pytest.mark.parametrize("script", [True, False])
def test_a_person_sets_up_a_second_factor_and_signs_in_with_it(
    organisation: Organisation, sign_in: SignIn, script: bool
) -> None:
    page = sign_in(organisation, java_script_enabled=script)
    secret = set_up(page)
    assert page.locator(".recovery-codes li").count() == 10
    page.get_by_role("link", name="I have kept them, go on").click()
    page.get_by_role("heading", name="Worklist", level=1).wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Email address").fill(organisation.email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("alert")).to_contain_text("Enter the code that your app shows")
    page.wait_for_load_state()  # the error summary takes the focus once it is
    page.get_by_label("Code", exact=True).fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("The code is not right")
    page.wait_for_load_state()  # the error summary takes the focus once it is
    page.get_by_label("Code", exact=True).fill(code(secret))
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Worklist", level=1).wait_for()


def test_the_picture_of_the_key_reads_as_the_address_of_the_link_beside_it(
    organisation: Organisation, sign_in: SignIn
) -> None:
    page = sign_in(organisation, java_script_enabled=False)
    page.goto("/account/second-factor")
    page.get_by_role("button", name="Set it up").click()
    picture = page.get_by_role("img", name="QR code of the key that stands below")
    modules = int(str(picture.locator("svg").get_attribute("viewBox")).split()[-1]) - 8
    address = page.get_by_role("link", name="Open it in your authenticator app").get_attribute("href")
    assert qr.read(picture.locator("svg").screenshot(), modules) == address
    # As text beside it, for who cannot scan.
    assert page.locator(".setup-key").inner_text().replace(" ", "") in str(address)


def test_an_administrator_adds_somebody_by_keyboard_and_what_was_typed_stays(
    organisation: Organisation, sign_in: SignIn
) -> None:
    page = sign_in(as_role(organisation, "administrator"), heading="Staff")
    page.get_by_role("button", name="Add somebody").press("Enter")
    page.get_by_label("Name", exact=True).focus()
    page.keyboard.type("Robin Lead")
    page.keyboard.press("Tab")
    page.keyboard.type("not an address")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.get_by_label("First password", exact=True).focus()
    page.keyboard.type("gravel pudding window")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("That is not an email address")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Robin Lead")
    expect(page.get_by_label("Email address", exact=True)).to_have_value("not an address")
    expect(page.get_by_label("Clinical lead")).to_be_checked()
    expect(page.get_by_label("First password", exact=True)).to_have_value("")
    page.wait_for_load_state()  # the error summary takes the focus once it is
    page.get_by_label("Email address", exact=True).fill(f"robin-{organisation.id.hex}@example.org")
    page.get_by_label("First password", exact=True).fill("gravel pudding window")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Robin Lead", level=1).wait_for()
    expect(page.locator("main")).to_contain_text("a first password waits to be changed")


def test_closing_an_account_says_what_it_owns_and_asks_who_takes_it(
    organisation: Organisation, sign_in: SignIn
) -> None:
    positive = factory.result(outcome_code=outcome.POSITIVE, moment=organisation.reader.moment())
    organisation.deliver(positive)
    made(organisation, "lead", "Robin Lead")
    page = sign_in(as_role(organisation, "administrator"), heading="Staff")
    page.get_by_role("link", name="Sam Clinician").click()
    page.get_by_role("link", name="Close the account").click()
    page.get_by_role("button", name="Close it").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose who takes the open follow-ups over")
    page.get_by_label("Who takes over 1 open follow-up?").select_option(label="Robin Lead, Clinical lead")
    page.get_by_role("button", name="Close it").click()
    expect(page.get_by_role("status")).to_contain_text("The account is closed")
    page.goto("/staff")
    expect(page.locator("li", has_text="Robin Lead")).to_contain_text("1 open follow-up")
    expect(page.locator("li", has_text="Sam Clinician")).to_contain_text("Closed")


@pytest.mark.parametrize("view", ["desktop", "phone"])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(
    organisation: Organisation, sign_in: SignIn, view: str, pictures: Pictures
) -> None:
    assert AXE.exists()
    positive = factory.result(outcome_code=outcome.POSITIVE, moment=organisation.reader.moment())
    organisation.deliver(positive)
    page = sign_in(
        as_role(organisation, "administrator"), heading="Staff", viewport=DESKTOP if view == "desktop" else PHONE
    )
    wrong: dict[str, list[str]] = {}

    def look(name: str) -> None:
        pictures(page, f"accounts-{name}-{view}.png")
        wrong[name] = axe(page)
        width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width == 0, f"{name} scrolls sideways by {width} pixels"

    person = page.get_by_role("link", name="Sam Clinician").get_attribute("href")
    forms = {"add": "/staff/add", "password": "/account/password", "close": f"{person}/close"}
    others = {"staff": "/staff", "person": f"{person}", "role": f"{person}/role", "account": "/account"}
    for name, address in {**others, **forms}.items():
        page.goto(address)
        look(name)
        if name in forms:
            page.locator("main form button[type=submit]").last.click()
            page.get_by_role("heading", name="There is a problem").wait_for()
            look(f"{name}-error")
    page.goto("/account/second-factor")
    look("factor-offer")
    page.get_by_role("button", name="Set it up").click()
    page.locator(".setup-key").wait_for()
    look("factor-key")
    confirm(page)
    look("factor-codes")
    page.goto("/account/second-factor/off")
    look("factor-off")
    assert {name: found for name, found in wrong.items() if found} == {}
