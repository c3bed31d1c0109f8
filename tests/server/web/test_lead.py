"""A lead in a real browser: recalls, rules and hours, negatives together, the board; also without a script."""

import dataclasses
import re

import pytest
from playwright.sync_api import Page, expect

import server.accounts.service
from server.database import tenancy
from tests.server.running import PASSWORD, Organisation, Running
from tests.server.web import specimens
from tests.server.web.conftest import DESKTOP, PHONE, Pictures, SignIn
from tests.server.web.test_pages import axe, fact, listed, open_result


@pytest.fixture
def led(running: Running) -> Organisation:
    """An organisation with a positive and two plain negatives, which its lead signs in to."""
    made = running.organisation()
    email = f"lead-{made.email}"

    async def create() -> None:
        async with tenancy.transaction(running.app.state.doorstep.sessions, made.id) as session:
            await server.accounts.service.create_user(session, email, "Alex Lead", "lead", PASSWORD, made.id)

    running.call(create())
    reader = made.reader
    made.deliver(
        specimens.strip_body(reader, "P-1", test=6_000),
        specimens.strip_body(reader, "N-1", test=0),
        specimens.strip_body(reader, "N-2", test=0),
    )
    return dataclasses.replace(made, email=email)


def analysed(page: Page) -> None:
    """Wait until the server has analysed both negatives, which the page shows by their boxes."""
    page.goto("/?outcome=negative")
    for _ in range(60):
        if page.get_by_role("checkbox").count() == 2:
            return
        page.wait_for_timeout(250)
        page.reload()
    raise AssertionError("the negatives were not analysed in 15 s")


def test_ticks_stay_when_the_list_refreshes_itself_and_nothing_else_is_ticked(
    led: Organisation, sign_in: SignIn
) -> None:
    page = sign_in(led)
    analysed(page)
    page.get_by_role("checkbox", name="N-1").check()
    page.get_by_role("checkbox", name="N-1").focus()
    led.deliver(specimens.strip_body(led.reader, "N-3", test=0))
    page.get_by_role("link", name="N-3", exact=True).wait_for()
    expect(page.get_by_role("checkbox", name="N-1")).to_be_checked()
    expect(page.get_by_role("checkbox", name="N-1")).to_be_focused()
    assert page.get_by_role("checkbox", checked=True).count() == 1
    # A tick that was taken back stays away.
    page.get_by_role("checkbox", name="N-2").check()
    page.get_by_role("checkbox", name="N-2").uncheck()
    led.deliver(specimens.strip_body(led.reader, "N-4", test=0))
    page.get_by_role("link", name="N-4", exact=True).wait_for()
    assert page.get_by_role("checkbox", checked=True).count() == 1
    page.get_by_role("button", name="Acknowledge the ticked results").click()
    expect(page.locator("main")).to_contain_text("1 result")
    page.goto("/?outcome=negative")
    expect(page.locator("tr", has=page.get_by_role("link", name="N-1", exact=True))).to_contain_text(
        "Seen by Alex Lead"
    )
    expect(page.locator("tr", has=page.get_by_role("link", name="N-3", exact=True))).not_to_contain_text("Seen by")


@pytest.mark.parametrize("script", [True, False])
def test_a_recall_is_previewed_confirmed_seen_and_lifted(led: Organisation, sign_in: SignIn, script: bool) -> None:
    page = sign_in(led, java_script_enabled=script)
    page.goto("/recalls")
    page.get_by_role("button", name="Recall results").click()
    page.get_by_label("Lot of the cassette").fill("LOT1")
    page.get_by_role("button", name="See what it touches").click()
    assert fact(page, "Results") == "3"
    assert fact(page, "Negative") == "2"
    page.get_by_role("button", name="Go on to recall").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Recall 3 results of 0 known people")
    page.get_by_label("Why must they not be relied on?").fill("Stored too warm")
    page.get_by_role("button", name="Recall", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Recall: Lot LOT1")
    assert fact(page, "Results") == "3"
    address = page.url
    page.get_by_role("link", name="List of the people, to print").click()
    expect(page.get_by_role("rowheader").first).to_have_text(re.compile("Nobody that is known$"))
    got = page.request.get(f"{address}/people.csv")
    assert got.headers["content-type"].startswith("text/csv")
    assert len(got.text().strip().splitlines()) == 4
    page.goto("/")
    expect(page.locator("tr", has=page.get_by_role("link", name="N-1", exact=True))).to_contain_text("Recalled")
    open_result(page, "N-1")
    expect(page.locator("main")).to_contain_text("Stored too warm")
    assert fact(page, "State") == "New"
    page.goto(address)
    page.get_by_role("button", name="Lift this recall").click()
    page.get_by_label("Why may they be relied on after all?").fill("The logger was wrong")
    page.get_by_role("button", name="Lift the recall").click()
    expect(page.locator("main")).to_contain_text("The logger was wrong")
    open_result(page, "N-1")
    assert "Stored too warm" in fact(page, "Recall lifted")
    expect(page.locator(".alert", has_text="Recalled")).to_have_count(0)


@pytest.mark.parametrize("script", [True, False])
def test_plain_negatives_are_acknowledged_together(led: Organisation, sign_in: SignIn, script: bool) -> None:
    page = sign_in(led, java_script_enabled=script)
    analysed(page)
    for box in page.get_by_role("checkbox").all():
        box.check()
    page.get_by_role("button", name="Acknowledge the ticked results").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("2 results acknowledged")
    page.get_by_role("link", name="Go on with the negatives").click()
    assert sorted(listed(page)) == ["N-1", "N-2"]
    expect(page.get_by_text("Seen by Alex Lead")).to_have_count(2)
    assert page.get_by_role("checkbox").count() == 0
    page.goto("/?outcome=positive")
    assert page.get_by_role("checkbox").count() == 0


def test_a_rule_and_the_hours_are_changed_and_what_was_typed_is_not_lost(led: Organisation, sign_in: SignIn) -> None:
    page = sign_in(led, java_script_enabled=False)
    page.goto("/policy")
    page.get_by_role("link", name=re.compile("^HIV 1 and 2 antibody.*Positive")).click()
    page.get_by_label("Acknowledge within").fill("2.5")
    page.get_by_label("Act within").fill("2")
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.get_by_role("alert")).to_contain_text("longer than that to acknowledge")
    expect(page.get_by_label("Acknowledge within")).to_have_value("2.5")
    page.get_by_label("Act within").fill("24")
    page.get_by_label("Owner", exact=True).select_option("Sam Clinician, clinician")
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.get_by_role("heading", name="Version 1, in force")).to_be_visible()
    expect(page.locator("main")).to_contain_text("by Alex Lead")
    page.goto("/policy/hours")
    page.get_by_label("Saturday").check()
    page.get_by_label("Work ends at").fill("7")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("08:00")
    expect(page.get_by_label("Saturday")).to_be_checked()
    page.get_by_label("Work ends at").fill("17:30")
    page.get_by_role("button", name="Save").click()
    assert fact(page, "Days").endswith("Friday, Saturday")
    assert fact(page, "From") == "08:00 to 17:30"


def test_the_board_keeps_its_period_in_the_address(led: Organisation, sign_in: SignIn) -> None:
    page = sign_in(led, java_script_enabled=False)
    page.goto("/board")
    expect(page.locator("section", has_text="All positives").first).to_contain_text("1 positive")
    assert page.locator("svg.board__bar").count() == 9
    page.get_by_role("group", name="First day").get_by_label("Year").fill("20")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("alert")).to_contain_text("A day needs")
    for name in ("First day", "Last day"):
        for part, value in (("Day", "1"), ("Month", "2"), ("Year", "2026")):
            page.get_by_role("group", name=name).get_by_label(part).fill(value)
    page.get_by_role("button", name="Show").click()
    assert re.search(r"from%5Byear%5D=2026", page.url)
    expect(page.locator("main")).to_contain_text("1 February 2026 to 1 February 2026")
    expect(page.locator("main")).to_contain_text("0 positives")


@pytest.mark.parametrize("view", ["desktop", "phone"])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(
    led: Organisation, sign_in: SignIn, view: str, pictures: Pictures
) -> None:
    page = sign_in(led, viewport=DESKTOP if view == "desktop" else PHONE)
    page.goto("/recalls/confirm?lot=LOT1&firmware=1.0.0%2Btest")
    page.get_by_label("Why must they not be relied on?").fill("Stored too warm")
    page.get_by_role("button", name="Recall", exact=True).click()
    page.get_by_role("heading", name="What it touched").wait_for()
    recall = page.url
    addresses = {
        "recalls": "/recalls",
        "recall-new": "/recalls/new",
        "recall-preview": "/recalls/preview?lot=LOT1",
        "recall-confirm": "/recalls/confirm?lot=LOT1",
        "recall": recall,
        "recall-people": f"{recall}/people",
        "recall-lift": f"{recall}/lift",
        "policy": "/policy",
        "policy-rule": "/policy/rule?assay=hiv-ab&outcome=1",
        "policy-hours": "/policy/hours",
        "board": "/board",
        "negatives": "/?outcome=negative",
    }
    wrong: dict[str, list[str]] = {}
    for name, address in addresses.items():
        page.goto(address)
        pictures(page, f"lead-{name}-{view}.png")
        wrong[name] = axe(page)
        width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width == 0, f"{name} scrolls sideways by {width} pixels"
    assert {name: found for name, found in wrong.items() if found} == {}
