"""Clinicians decide on a registration from the field in a real browser: who it may be, then off the list."""

import os

import pytest
from playwright.sync_api import expect

from reader import outcome, wire
from server.registrations import settling
from tests.server import factory
from tests.server.registrations.sealing import plain, seal
from tests.server.running import Organisation, Running
from tests.server.web.conftest import DESKTOP, PHONE, Pictures, SignIn
from tests.server.web.test_pages import axe, listed


@pytest.fixture
def undecided(running: Running) -> Organisation:
    """One registration that was settled, and one of somebody who may be the same."""
    made = running.organisation()
    made.deliver(factory.result(specimen="F-2", outcome_code=outcome.POSITIVE, moment=made.reader.moment()))
    key = made.post([])[0][1][wire.HEAD_REGISTRATION_KEY]
    for specimen, phone in (("F-1", "07700 900123"), ("F-2", "07700 900999")):
        registration_id = os.urandom(16)
        content = plain(made.hub_id, registration_id, specimen=specimen, phone=phone, local=["CLINIC-17"])
        made.post([], registrations=[seal(content, key, made.hub_id, registration_id)])
        running.call(settle(running, made))
    made.post([], registrations=[b"not to be read"])
    return made


async def settle(running: Running, made: Organisation) -> None:
    while await settling.settle_portion(running.app.state.doorstep.sessions, made.id):
        pass


@pytest.mark.parametrize("view", ["desktop", "phone", "no script"])
def test_somebody_decides_who_it_is_and_takes_it_off_the_list(
    undecided: Organisation, sign_in: SignIn, pictures: Pictures, view: str
) -> None:
    page = sign_in(undecided, viewport=PHONE if view == "phone" else DESKTOP, java_script_enabled=view != "no script")
    page.goto("/people/unmatched")
    page.get_by_role("link", name="2 registrations from the field").click()
    expect(page.get_by_role("heading", name="Registrations to decide on")).to_be_visible()
    expect(page.locator("main")).to_contain_text("It is not a sealed registration of this protocol.")
    if view != "no script":
        assert axe(page) == []
        pictures(page, f"registrations-{view}.png")
    page.get_by_role("link", name="Specimen F-2").click()
    expect(page.locator("main")).to_contain_text("07700 900999")
    expect(page.locator("main")).to_contain_text("by A Nurse, by the clock of the laptop")
    address = page.url
    if view != "no script":
        assert axe(page) == []
        pictures(page, f"registration-{view}.png")
    page.get_by_role("button", name="Take it off this list").click()
    expect(page.get_by_role("alert")).to_contain_text("what was done")
    page.get_by_role("button", name="Look who it may be").click()
    card = page.locator("article", has_text="Zoë O'Neill")
    expect(card).to_contain_text("Differs: phone")
    card.get_by_label("Name", exact=True).check()
    card.get_by_label("NHS number", exact=True).check()
    card.get_by_role("button", name="It is this person").click()
    page.get_by_role("heading", name="Zoë O'Neill").wait_for()
    assert listed(page) == ["F-2"]
    page.goto(address)
    page.get_by_label("What was done").fill("Asked her: it is a new number")
    page.get_by_role("button", name="Take it off this list").click()
    expect(page.locator("main")).to_contain_text("No registration waits for a decision.")
    page.goto("/people/unmatched")
    expect(page.locator("main")).to_contain_text("1 registration from the field")
