"""A lead says how long what is kept, sees what is due, erases it, and a person: in a browser, also without a script."""

import json
from datetime import date
from uuid import UUID

import psycopg
import pytest
from playwright.sync_api import Page, expect

from server import jobs
from server.accounts.service import Viewer
from server.database import tenancy
from server.patients import service
from server.patients.service import Entry
from tests.server.running import Organisation, Running
from tests.server.web.conftest import DESKTOP, PHONE, Pictures, SignIn
from tests.server.web.test_lead import led
from tests.server.web.test_pages import axe, fact, listed, open_result

__all__ = ["led"]


@pytest.fixture
def old(running: Running, led: Organisation) -> Organisation:
    """What the lead's organisation holds came three years ago."""
    with psycopg.connect(running.owner_url) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(
            "UPDATE result SET received_at = received_at - interval '3 years' WHERE organisation_id = %s", (led.id,)
        )
    return led


def registered(led: Organisation, specimen: str) -> UUID:
    running = led.running

    async def register() -> UUID:
        async with tenancy.transaction(running.app.state.doorstep.sessions, led.id) as session:
            statement = f"SELECT id FROM account WHERE email = '{led.email}'"
            row = await (await session.connection()).exec_driver_sql(statement)
            viewer = Viewer(row.scalar_one(), led.id, "", "", led.email, "lead", "", b"")
            patient = await service.register(session, viewer, Entry("Ann", "Jones", date(1951, 1, 1)))
            await service.link(session, viewer, specimen, patient.id, ("name", "birth-date"))
            return patient.id

    return running.call(register())


@pytest.mark.parametrize("script", [True, False])
def test_the_monthly_look_is_chosen_and_what_it_found_is_shown(
    old: Organisation, sign_in: SignIn, script: bool
) -> None:
    page = sign_in(old, java_script_enabled=script)
    page.goto("/retention")
    expect(page.get_by_text("Nobody is told each month what is due.")).to_be_visible()
    page.goto("/retention/rules")
    page.get_by_label("Count each month what is due").check()
    page.get_by_label("Results and their follow-up").fill("many")
    page.get_by_role("button", name="Keep the rules").click()
    expect(page.get_by_label("Count each month what is due")).to_be_checked()
    page.get_by_label("Results and their follow-up").fill("24")
    page.get_by_role("button", name="Keep the rules").click()
    expect(page.get_by_text("the administrators are told")).to_be_visible()
    running = old.running
    running.call(jobs.look_for_everybody(running.app.state.doorstep.sessions, running.settings))
    page.reload()
    found = page.locator("dl.facts").filter(has_text="due")
    expect(found).to_contain_text("2 due, 1 more held back: a follow-up is open")
    if script:
        assert axe(page) == []
    page.goto("/retention/rules")
    if script:
        assert axe(page) == []
    page.get_by_label("Count each month what is due").uncheck()
    page.get_by_role("button", name="Keep the rules").click()
    expect(page.get_by_text("Nobody is told each month what is due.")).to_be_visible()


def keep_results_for(page: Page, months: str) -> None:
    page.goto("/retention")
    page.get_by_role("button", name="Change the rules").click()
    page.get_by_label("Results and their follow-up").fill(months)
    page.get_by_role("button", name="Keep the rules").click()


@pytest.mark.parametrize("script", [True, False])
def test_a_rule_is_set_shown_with_what_is_due_and_run(old: Organisation, sign_in: SignIn, script: bool) -> None:
    page = sign_in(old, java_script_enabled=script)
    open_result(page, "N-1")
    gone = page.url
    keep_results_for(page, "2 years")
    expect(page.get_by_role("alert")).to_contain_text("Give a number of months")
    keep_results_for(page, "24")
    results = page.get_by_role("row", name="Results and their follow-up")
    expect(results).to_contain_text("2 years")
    expect(results).to_contain_text("1 more held back: a follow-up is open")
    page.get_by_role("button", name="Erase what is due").click()
    assert fact(page, "Results and their follow-up").startswith("2")
    page.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_role("alert")).to_contain_text("Say that you have seen")
    page.get_by_label("I have seen what would be erased").check()
    page.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Certificate of deletion")
    assert (fact(page, "Results erased"), fact(page, "Held back")) == ("2", "1")
    got = page.request.get(f"{page.url}/certificate.json")
    assert [one["number"] for one in json.loads(got.text())["records"]] == [2, 3]
    answer = page.request.get(gone, headers={"Accept": "text/html"})
    assert answer.status == 410
    assert "This result was erased" in answer.text()
    page.goto("/")
    assert listed(page) == ["P-1"]
    page.goto("/custody")
    page.get_by_role("button", name="Prove").first.click()
    expect(page.locator("main")).to_contain_text("2 of them erased, by the hash that is kept")


@pytest.mark.parametrize("script", [True, False])
def test_a_person_is_erased_after_a_warning_and_never_while_waited_for(
    led: Organisation, sign_in: SignIn, script: bool
) -> None:
    page = sign_in(led, java_script_enabled=script)
    waited_for = registered(led, "P-1")
    page.goto(f"/people/{waited_for}/erase")
    expect(page.locator("main")).to_contain_text("One follow-up is open: the person is waited for.")
    assert page.get_by_role("button", name="Erase for good").count() == 0
    person = registered(led, "N-1")
    page.goto(f"/people/{person}")
    page.get_by_role("link", name="Erase this person").click()
    page.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose why")
    page.get_by_label("The person asked for it").check()
    page.get_by_role("button", name="Erase for good").click()
    assert (fact(page, "Results erased"), fact(page, "Entries of people erased")) == ("1", "1")
    answer = page.goto(f"/people/{person}")
    assert answer
    assert answer.status == 404


@pytest.mark.parametrize(("viewport", "size"), [(DESKTOP, "desktop"), (PHONE, "phone")])
def test_the_pages_of_retention_have_no_finding(
    old: Organisation, sign_in: SignIn, pictures: Pictures, viewport: dict[str, int], size: str
) -> None:
    page = sign_in(old, viewport=viewport)
    person = registered(old, "N-1")

    def look(name: str) -> None:
        assert axe(page) == []
        pictures(page, f"retention-{name}-{size}.png")

    page.goto(f"/people/{person}")
    look("person")
    page.goto(f"/people/{person}/erase")
    look("person-erase")
    keep_results_for(page, "x")
    look("rules")
    keep_results_for(page, "24")
    page.goto("/retention/run")
    page.get_by_role("button", name="Erase for good").click()
    look("run")
    page.get_by_label("I have seen what would be erased").check()
    page.get_by_role("button", name="Erase for good").click()
    look("certificate")
    page.goto("/retention")
    look("overview")
