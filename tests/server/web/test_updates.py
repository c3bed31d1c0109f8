"""A lead rolls a release out in a real browser: sees how far it is and what to do next, pauses, resumes, stops it."""

import json

import pytest
from playwright.sync_api import Page, expect

from reader import wire
from server.updates import advancing
from tests.server.api.test_updates import journal, release
from tests.server.running import Organisation, Running
from tests.server.updates import images
from tests.server.web.conftest import DESKTOP, PHONE, Pictures, SignIn
from tests.server.web.test_lead import led
from tests.server.web.test_pages import axe

__all__ = ["led"]  # the fixture

BILL = json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6"}).encode()


def begin(page: Page, image_id: str, soak_hours: str = "0") -> str:
    """Fill in the form and begin; the rollout's address."""
    page.goto("/updates")
    page.get_by_label("Release", exact=True).select_option(image_id)
    page.get_by_label("Hours between waves").fill(soak_hours)
    page.get_by_role("button", name="Begin with the canary wave").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Rollout: Release 2 (2.0.0)")
    return page.url


def advance(organisation: Organisation) -> None:
    state = organisation.running.app.state.doorstep
    organisation.running.call(advancing.go_on_with_all(state.sessions, state.keyring, organisation.id))


@pytest.mark.parametrize("script", [True, False])
def test_a_rollout_is_begun_watched_paused_resumed_and_stopped(
    led: Organisation, sign_in: SignIn, script: bool
) -> None:
    page = sign_in(led, java_script_enabled=script)
    address = begin(page, release(led))
    next_step = page.get_by_role("status")
    expect(next_step).to_contain_text("Bring a hub to 1 reader that is under way in the canary wave")
    expect(page.get_by_role("row", name="Reader 1")).to_contain_text("Waits for a hub to bring the command")
    page.get_by_role("button", name="Pause the rollout").click()
    page.get_by_role("button", name="Pause the rollout").click()
    expect(page.get_by_role("heading", name="There is a problem")).to_be_visible()
    page.get_by_label("Why is it paused?").fill("The engineer is away")
    page.get_by_role("button", name="Pause the rollout").click()
    expect(page.get_by_text("The engineer is away")).to_be_visible()
    expect(page.get_by_text("Paused", exact=True)).to_be_visible()
    page.get_by_role("button", name="Resume the rollout").click()
    expect(page.get_by_role("heading", name="Before you go on")).to_be_visible()
    page.get_by_role("button", name="Resume the rollout").click()
    expect(page.get_by_text("Running", exact=True)).to_be_visible()
    page.get_by_role("button", name="Stop the rollout").click()
    page.get_by_label("Why is it stopped?").fill("It gets warm")
    page.get_by_role("button", name="Stop the rollout").click()
    expect(page.get_by_text("Stopped", exact=True)).to_be_visible()
    expect(page.get_by_role("row", name="Reader 1")).to_contain_text("told to forget it")
    assert page.url == address
    page.goto("/updates")
    expect(page.get_by_role("listitem").filter(has_text="It gets warm")).to_contain_text("Stopped")


def test_numbers_and_words_say_how_it_is_and_a_limit_says_why_it_paused(led: Organisation, sign_in: SignIn) -> None:
    page = sign_in(led)
    address = begin(page, release(led))
    journal(led, led.reader, *images.ALL_WELL)
    page.reload()
    expect(page.get_by_label("Readers that run it for good: 1 of 1")).to_be_visible()
    expect(page.get_by_role("row", name="Canary (now)")).to_contain_text("1")
    expect(page.get_by_role("row", name="Reader 1")).to_contain_text("Runs it for good")
    led.post([images.fault(led.reader)])
    advance(led)
    page.goto(address)
    expect(page.get_by_text("1 reported a fault after it: more than 5 per cent.")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("Look at the readers below")
    expect(page.get_by_role("row", name="Reader 1")).to_contain_text("had a fault after it")


def test_a_bill_of_materials_is_kept_as_it_was_given(led: Organisation, sign_in: SignIn) -> None:
    page = sign_in(led)
    image_id = release(led, BILL)
    page.goto("/updates")
    link = page.locator(f'a[href="/updates/releases/{image_id}/sbom.json"]')
    expect(link).to_be_visible()
    got = page.request.get(f"/updates/releases/{image_id}/sbom.json")
    assert (got.body(), got.headers["content-type"]) == (BILL, "application/vnd.cyclonedx+json")
    assert "attachment" in got.headers["content-disposition"]
    assert page.request.get(f"/updates/releases/{release(led)}/sbom.json").status == 404


def test_what_is_typed_wrong_is_said_beside_its_field(led: Organisation, sign_in: SignIn) -> None:
    page = sign_in(led)
    release(led)
    page.goto("/updates")
    page.get_by_label("Waves after it").fill("50, 10, 100")
    page.get_by_role("button", name="Begin with the canary wave").click()
    expect(page.get_by_role("heading", name="There is a problem")).to_be_visible()
    expect(page.locator("#shares-error")).to_contain_text("each greater, the last 100")
    page.get_by_label("Waves after it").fill("100")
    page.get_by_label("Readers that are first").fill("many")
    page.get_by_role("button", name="Begin with the canary wave").click()
    expect(page.locator("#canary-error")).to_contain_text("Write it in digits")


def test_a_clinician_sees_how_readers_are_and_can_change_nothing(
    organisation: Organisation, led: Organisation, sign_in: SignIn
) -> None:
    begin(sign_in(led), release(led))
    page = sign_in(organisation)
    page.get_by_role("link", name="Updates").click()
    expect(page.get_by_text("Nothing has been rolled out.")).to_be_visible()
    assert page.get_by_role("button", name="Begin with the canary wave").count() == 0


@pytest.mark.parametrize("view", ["desktop", "phone"])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    led: Organisation, running: Running, sign_in: SignIn, view: str, pictures: Pictures
) -> None:
    page = sign_in(led, viewport=DESKTOP if view == "desktop" else PHONE)
    page.goto("/updates")
    wrong = {"begin": axe(page)}
    image_id = release(led, BILL)
    address = begin(page, image_id)
    journal(led, led.reader, wire.UPDATE_REFUSED)
    advance(led)
    for name, path in {
        "updates": "/updates", "rollout": address, "resume": f"{address}/resume", "stop": f"{address}/stop",
    }.items():  # fmt: skip
        page.goto(path)
        wrong[name] = axe(page)
        width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width <= 0, name
        pictures(page, f"{name}-{view}.png")
    assert {name: found for name, found in wrong.items() if found} == {}
    page.goto(address)
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="Stop the rollout")).to_be_hidden()
    expect(page.get_by_role("table", name="Readers")).to_be_visible()
