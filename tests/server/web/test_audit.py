"""An auditor finds in a browser who did what, and whether the log is whole; nobody else sees it."""

import pytest
from playwright.sync_api import expect

from reader import outcome
from server.accounts import service as accounts
from server.audit import sealing
from server.database import tenancy
from tests.server import factory
from tests.server.running import Organisation, Running
from tests.server.web.conftest import DESKTOP, PHONE, Pictures, SignIn
from tests.server.web.test_pages import axe, open_result


@pytest.fixture
def audited(running: Running, sign_in: SignIn) -> Organisation:
    """An organisation whose clinician looked at a result; signing in as it signs its auditor in."""
    made = running.organisation()
    made.deliver(factory.result(specimen="P-1", outcome_code=outcome.POSITIVE, moment=made.reader.moment()))
    open_result(sign_in(made), "P-1")
    email = f"auditor-{made.email}"

    async def add() -> None:
        async with tenancy.transaction(running.app.state.doorstep.sessions) as session:
            await accounts.create_user(session, email, "An Auditor", "auditor", made.password, made.id)
        async with tenancy.transaction(running.app.state.doorstep.sessions, made.id) as session:
            await sealing.seal(session, made.id)

    running.call(add())
    made.email = email
    return made


def test_an_auditor_finds_who_looked_at_a_result(audited: Organisation, sign_in: SignIn) -> None:
    page = sign_in(audited, heading=None)
    page.goto("/audit")
    page.get_by_label("What", exact=True).select_option("result.read")
    page.get_by_role("button", name="Show").click()
    row = page.locator("tbody tr")
    expect(row).to_have_count(1)
    for words in ("Sam Clinician", "result.read for care"):
        expect(row).to_contain_text(words)
    expect(row).not_to_contain_text("P-1")
    page.goto("/audit?action=audit.read")
    expect(page.locator("tbody tr").first).to_contain_text("An Auditor")
    page.get_by_role("link", name="Is it whole?").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The audit log is whole")


def test_a_clinician_does_not_see_the_log(running: Running, sign_in: SignIn) -> None:
    page = sign_in(running.organisation())
    answer = page.request.get("/audit", headers={"Accept": "text/html"})
    assert answer.status == 403
    assert "Your role does not include this" in answer.text()


@pytest.mark.parametrize("view", ["desktop", "phone"])
def test_axe_finds_nothing_on_the_auditors_pages(
    audited: Organisation, sign_in: SignIn, view: str, pictures: Pictures
) -> None:
    page = sign_in(audited, heading=None, viewport=DESKTOP if view == "desktop" else PHONE)
    wrong: dict[str, list[str]] = {}
    for name in ("audit", "audit/proof"):
        page.goto(f"/{name}")
        pictures(page, f"{name.replace('/', '-')}-{view}.png")
        wrong[name] = axe(page)
        width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width == 0, f"{name} scrolls sideways by {width} pixels"
    assert {name: found for name, found in wrong.items() if found} == {}
