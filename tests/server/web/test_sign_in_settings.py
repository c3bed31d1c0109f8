"""An administrator switches passwords off after a warning, and on again, in a browser, also without a script."""

import dataclasses
from datetime import UTC, datetime
from uuid import UUID

import pytest
from playwright.sync_api import expect

from server.database import tenancy
from server.openid import repository
from tests.server.accounts import openid
from tests.server.accounts.people import made
from tests.server.running import Organisation
from tests.server.web.conftest import DESKTOP, PHONE, Pictures, SignIn
from tests.server.web.test_pages import axe

ISSUER = "https://login.example.org"


def came_in(organisation: Organisation, account_id: UUID) -> None:
    """As if the account's person had signed in by the provider."""

    async def link() -> None:
        sessions = organisation.running.app.state.doorstep.sessions
        async with tenancy.transaction(sessions, organisation.id) as session:
            assert await repository.link(
                session, organisation.id, ISSUER, f"subject-{account_id}", account_id, datetime.now(UTC)
            )

    organisation.running.call(link())


@pytest.mark.parametrize(("script", "view"), [(True, "desktop"), (True, "phone"), (False, "desktop")])
def test_passwords_are_switched_off_and_on(
    organisation: Organisation, sign_in: SignIn, script: bool, view: str, pictures: Pictures
) -> None:
    email, account_id = made(organisation, "administrator", "Alex Administrator")
    boss = dataclasses.replace(organisation, email=email)
    page = sign_in(boss, "Staff", java_script_enabled=script, viewport=DESKTOP if view == "desktop" else PHONE)

    def look(name: str) -> None:
        pictures(page, f"passwords-{name}-{view}.png")
        if script:
            assert axe(page) == [], name
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name

    page.get_by_role("link", name="Whether people sign in with passwords").click()
    expect(page.get_by_text("no sign-in of its own here")).to_be_visible()
    look("none")
    openid.set_provider(organisation, ISSUER, f"house-{account_id.hex[:8]}", listed=False)
    page.reload()
    expect(page.get_by_text("No administrator has signed in with")).to_be_visible()
    look("unproved")
    came_in(organisation, account_id)
    page.reload()
    expect(page.get_by_text("every session that began with one ends, except yours")).to_be_visible()
    look("ready")
    page.get_by_role("button", name="Switch passwords off").click()
    expect(page.get_by_role("status")).to_have_text("Passwords are off. People sign in by your organisation only.")
    look("staff")
    page.goto("/staff/add")
    expect(page.get_by_text("No password is needed")).to_be_visible()
    expect(page.get_by_label("First password")).to_have_count(0)
    look("add")
    page.goto("/staff/passwords")
    expect(page.get_by_text("Passwords are off since")).to_be_visible()
    look("off")
    page.get_by_role("button", name="Switch passwords on").click()
    expect(page.get_by_role("status")).to_have_text("People can sign in with passwords again.")
    page.goto("/staff/add")
    expect(page.get_by_label("First password", exact=True)).to_have_count(1)
