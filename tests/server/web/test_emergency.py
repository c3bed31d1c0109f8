"""Emergency access in a real browser: asked for, used, ended and reviewed; and sign-in by a provider."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from reader import outcome
from tests.server import factory
from tests.server.accounts import openid
from tests.server.accounts.openid import RealProvider
from tests.server.accounts.people import browser_of, code, enrol, made, post
from tests.server.running import Organisation, Running
from tests.server.web.conftest import DESKTOP, PHONE, Pictures, SignIn
from tests.server.web.test_accounts import as_role
from tests.server.web.test_pages import AXE, axe


@pytest.fixture
def watched(organisation: Organisation) -> Organisation:
    """An organisation with a positive result and a privacy lead, who is its lead."""
    organisation.deliver(factory.result(outcome_code=outcome.POSITIVE, moment=organisation.reader.moment()))
    administrator = browser_of(organisation, made(organisation, "administrator")[0])
    post(administrator, "/staff/privacy-lead", lead=str(made(organisation, "lead", "Robin Privacy")[1]))
    return organisation


@pytest.fixture(scope="module")
def real(running: Running) -> Iterator[RealProvider]:
    with openid.real_provider(running) as started:
        yield started


def begin(page: Page) -> None:
    page.goto("/emergency")
    page.get_by_label("Why do you need it?").fill("No clinician can be reached")
    page.get_by_role("button", name="Read patients’ data for 60 minutes").click()
    page.get_by_role("heading", name="Worklist", level=1).wait_for()


@pytest.mark.parametrize("script", [True, False])
def test_an_operator_breaks_the_glass_by_keyboard_reads_and_ends_it(
    watched: Organisation, sign_in: SignIn, script: bool
) -> None:
    page = sign_in(as_role(watched, "operator", "Olu Operator"), heading="Custody", java_script_enabled=script)
    page.get_by_role("link", name="Emergency access").press("Enter")
    expect(page.get_by_role("heading", name="Before you go on")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="Robin Privacy, the privacy lead, is told")).to_be_visible()
    page.get_by_role("button", name="Read patients’ data for 60 minutes").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Say why you need it")
    page.wait_for_load_state()  # the error summary takes the focus once it is
    page.get_by_label("Why do you need it?").focus()
    page.keyboard.type("No clinician can be reached")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Worklist", level=1).wait_for()
    page.get_by_role("link", name="S-1").first.press("Enter")
    page.get_by_role("heading", name=re.compile("Positive"), level=1).wait_for()
    banner = page.get_by_role("region", name="Emergency access")
    expect(banner).to_contain_text(re.compile(r"until \d{1,2}(:\d\d)?[ap]m"))
    banner.get_by_role("button", name="End it now").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Emergency access has ended")
    expect(page.get_by_role("link", name="Worklist")).to_have_count(0)


@pytest.mark.parametrize("view", ["desktop", "phone"])
def test_axe_finds_nothing_on_the_pages_of_an_emergency_and_nothing_scrolls_sideways(
    watched: Organisation, sign_in: SignIn, view: str, pictures: Pictures
) -> None:
    assert AXE.exists()
    size = DESKTOP if view == "desktop" else PHONE
    wrong: dict[str, list[str]] = {}

    def look(page: Page, name: str) -> None:
        pictures(page, f"emergency-{name}-{view}.png")
        wrong[name] = axe(page)
        width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width == 0, f"{name} scrolls sideways by {width} pixels"

    page = sign_in(as_role(watched, "administrator"), heading="Staff", viewport=size)
    page.goto("/staff/privacy-lead")
    look(page, "privacy-lead")
    page.goto("/emergency")
    look(page, "ask")
    begin(page)
    look(page, "worklist")
    page.goto("/people/find")
    look(page, "find")
    page.get_by_role("link", name="Worklist").click()
    page.get_by_role("link", name="S-1").first.click()
    page.get_by_role("heading", name=re.compile("Positive"), level=1).wait_for()
    look(page, "result")
    page.get_by_role("button", name="End it now").click()
    auditor = sign_in(as_role(watched, "auditor", "Ode Auditor"), heading="Custody", viewport=size)
    auditor.get_by_role("link", name="Emergency uses").click()
    look(auditor, "uses")
    auditor.get_by_role("link", name="Alex Administrator").click()
    expect(auditor.get_by_role("table", name="What was read")).to_contain_text("Read a result")
    look(auditor, "use")
    auditor.get_by_role("button", name="Mark as reviewed").click()
    auditor.get_by_role("heading", name="There is a problem").wait_for()
    look(auditor, "use-error")
    auditor.get_by_label("What did you find?").fill("It was needed, and no more was read.")
    auditor.get_by_role("button", name="Mark as reviewed").click()
    expect(auditor.get_by_role("status")).to_contain_text("Your review is kept")
    look(auditor, "reviewed")
    assert {name: found for name, found in wrong.items() if found} == {}


@pytest.mark.parametrize("script", [True, False])
def test_a_person_signs_in_at_the_provider_and_gives_the_local_code(
    running: Running,
    organisation: Organisation,
    chromium: Browser,
    real: RealProvider,
    pictures: Pictures,
    script: bool,
) -> None:
    secret, _ = enrol(browser_of(organisation, organisation.email))
    name = real.name()
    openid.set_provider(organisation, real.issuer, name, listed=True)
    context = chromium.new_context(base_url=running.url, viewport=DESKTOP, java_script_enabled=script)
    try:
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.goto("/quarantine")
        if script:
            assert axe(page) == []
        pictures(page, "openid-sign-in-desktop.png")
        page.get_by_role("link", name=f"Sign in with Provider of {name}").click()
        # Another site altogether: what comes back counts as coming from there.
        expect(page).to_have_url(re.compile(rf"{re.escape(real.issuer)}/interaction/"))
        page.get_by_label("Who are you").fill(f"robin-{name} {organisation.email}")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Enter your code", level=1).wait_for()
        page.get_by_label("Code", exact=True).fill(code(secret))
        page.get_by_role("button", name="Go on").click()
        expect(page).to_have_url(f"{running.url}/quarantine")
        page.goto(f"/sign-in/with/{name}/return?state=made-up&code=made-up")
        page.get_by_role("heading", name="This sign-in did not begin in this browser", exact=False).wait_for()
        pictures(page, "openid-refused-desktop.png")
    finally:
        context.close()
