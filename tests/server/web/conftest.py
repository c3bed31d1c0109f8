"""A running server and a real Chromium for the tests of the pages."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.server.conftest import Database
from tests.server.running import Organisation, Running, run
from tests.server.web.specimens import one_of_each

CHROMIUM = Path("/usr/bin/chromium")
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}

PATIENCE_MS = 30_000  # of a machine with other work: no test measures how long a page takes
expect.set_options(timeout=PATIENCE_MS)

SignIn = Callable[..., Page]
Pictures = Callable[[Page, str], None]


@pytest.fixture(scope="session")
def running(database: Database) -> Iterator[Running]:
    with run(database.owner, database.app) as started:
        yield started


@pytest.fixture
def organisation(running: Running) -> Organisation:
    return running.organisation()


@pytest.fixture(scope="session")
def ward(running: Running) -> Organisation:
    """An organisation that holds one result of each kind; for tests that only look."""
    made = running.organisation()
    made.deliver(*one_of_each(made.reader).values())
    return made


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        reason = f"{CHROMIUM} is not there: install the system's chromium to run the tests of the pages."
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def sign_in(chromium: Browser, running: Running) -> Iterator[SignIn]:
    """`sign_in(organisation, **context)` opens a browser context of its own, signs its clinician in, gives the page.

    A page that asks for a script, style or picture it may not have, or whose script fails, fails the test.
    """
    complaints: list[str] = []
    contexts = []

    def note(message: ConsoleMessage) -> None:
        # A form that is answered with 401, 409 or 422 is a page too; the browser calls it a failure all the same.
        address = message.location["url"]
        forms = (
            "/sign-in",
            "/follow-up/",
            "/people/",
            "/account/",
            "/staff/",
            "/policy/",
            "/recalls",
            "/board",
            "/emergency",
            "/retention",
            "/webhook",
            "/correct",
            "/updates",
        )
        if message.type == "error" and not any(form in address for form in forms):
            complaints.append(message.text)

    def open_page(organisation: Organisation, heading: str | None = "Worklist", **options: object) -> Page:
        context = chromium.new_context(base_url=running.url, **{"viewport": DESKTOP, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto("/sign-in")
        page.get_by_label("Email address").fill(organisation.email)
        page.get_by_label("Password", exact=True).fill(organisation.password)
        page.get_by_role("button", name="Sign in").click()
        if heading:
            page.get_by_role("heading", name=heading, level=1).wait_for()
        else:
            page.get_by_role("button", name="Sign out").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="session")
def pictures() -> Pictures:
    """`pictures(page, name)` keeps the whole page in the folder that DOORSTEP_PICTURES names, to be looked at.

    Without one it does nothing: to paint a picture takes longer than most of what a test asks of a page.
    """
    folder = os.environ.get("DOORSTEP_PICTURES")

    def keep(page: Page, name: str) -> None:
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=Path(folder) / name, full_page=True)

    return keep
