"""The pages of custody and quarantine say what is held, what is wrong and what to do, and let only some do it."""

import os
import re
from collections.abc import Iterator

import httpx
import pytest

import server.accounts.service
from server.database import tenancy
from server.readers import service as readers
from server.readers.keys import Keyring
from tests.server import factory
from tests.server.conftest import ACTOR, Database
from tests.server.running import PASSWORD, Organisation, Running, run


@pytest.fixture(scope="module")
def running(database: Database) -> Iterator[Running]:
    with run(database.owner, database.app) as started:
        yield started


@pytest.fixture
def organisation(running: Running) -> Organisation:
    return running.organisation()


def signed_in(organisation: Organisation, role: str) -> httpx.Client:
    """A browser with a person of that role behind it."""
    running = organisation.running
    email = f"{role}-{os.urandom(4).hex()}@example.org"

    async def create() -> None:
        async with tenancy.transaction(running.app.state.doorstep.sessions) as session:
            await server.accounts.service.create_user(session, email, "A Person", role, PASSWORD, organisation.id)

    running.call(create())
    browser = httpx.Client(base_url=running.url, headers={"Accept": "text/html"}, timeout=30)
    form = {"csrf": token(browser.get("/sign-in")), "email": email, "password": PASSWORD}
    assert browser.post("/sign-in", data=form).status_code == 303
    return browser


def token(page: httpx.Response) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def restore(organisation: Organisation, reader: factory.Reader) -> None:
    running = organisation.running

    async def put_back() -> None:
        from server.organisations.models import Organisation as Stored
        from server.organisations.models import Site

        async with tenancy.transaction(running.app.state.doorstep.sessions, organisation.id) as session:
            stored = await session.get(Stored, organisation.id)
            assert stored is not None
            site = Site(organisation_id=organisation.id, name="Back")
            session.add(site)
            await session.flush()
            ring = Keyring(running.settings.master_key_bytes())
            await readers.restore(session, ring, stored, site, "Back again", reader.reader_id, 0, reader.key, ACTOR)

    running.call(put_back())


def test_a_lead_sees_why_an_item_is_there_puts_it_right_and_processes_it_again(organisation: Organisation) -> None:
    late = factory.Reader(os.urandom(8), os.urandom(32))
    organisation.post(late.results(2))
    lead = signed_in(organisation, "lead")
    page = lead.get("/quarantine")
    assert "What to do:" in page.text
    assert "doorstep server reader restore" in page.text
    restore(organisation, late)
    answer = lead.post("/quarantine/process", data={"csrf": token(page)})
    assert answer.status_code == 303
    page = lead.get(answer.headers["location"])
    assert "2 items processed again: 2 left quarantine, 0 stay." in page.text
    assert "Nothing is in quarantine." in page.text
    custody = lead.get("/custody")
    assert "Back again" in custody.text


@pytest.mark.parametrize("role", ["clinician", "operator", "auditor"])
def test_who_may_look_at_quarantine_may_not_process_it(organisation: Organisation, role: str) -> None:
    organisation.post([b"junk"])
    browser = signed_in(organisation, role)
    page = browser.get("/quarantine")
    assert page.status_code == 200
    assert "Process everything again" not in page.text
    assert browser.post("/quarantine/process", data={"csrf": token(page)}).status_code == 403
    assert browser.post("/quarantine/process", data={"csrf": "wrong"}).status_code == 403


def test_the_custody_page_shows_a_gap_as_an_alert_and_proves_a_chain(organisation: Organisation) -> None:
    sealed = organisation.reader.results(4)
    organisation.post([sealed[0], *sealed[2:]])
    auditor = signed_in(organisation, "auditor")
    page = auditor.get("/custody")
    assert "A record is missing: Reader 1" in page.text
    [alert] = auditor.get("/custody/alerts").json()["alerts"]
    assert (alert["kind"], alert["number"], alert["cleared_at"]) == ("gap", 2, None)
    proof = {"csrf": token(page), "reader": organisation.reader.reader_id.hex()}
    assert "1 record read anew" in auditor.post("/custody/proof", data=proof).text
    organisation.post([sealed[1]])
    page = auditor.post("/custody/proof", data=proof)
    assert "The chain of Reader 1 is whole" in page.text
    assert "4 records read anew" in page.text
    assert auditor.get("/custody/alerts").json()["alerts"] == []
    [cleared] = auditor.get("/custody/alerts?cleared=1").json()["alerts"]
    assert cleared["cleared_at"] is not None


def test_nobody_reaches_the_custody_of_another_organisation(organisation: Organisation, running: Running) -> None:
    other = running.organisation()
    auditor = signed_in(organisation, "auditor")
    page = auditor.get("/custody")
    assert other.reader.reader_id.hex() not in page.text
    proof = {"csrf": token(page), "reader": other.reader.reader_id.hex()}
    assert auditor.post("/custody/proof", data=proof).status_code == 404
    assert httpx.get(f"{running.url}/custody/alerts").status_code == 401
