"""An organisation signs in by its provider only: nobody is locked out by it, no password opens anything, and back."""

import os
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from tests.server.accounts import openid
from tests.server.accounts.openid import RealProvider, a_browser, through_provider
from tests.server.accounts.people import browser_of, code, enrol, made, post
from tests.server.accounts.people import token as form_token
from tests.server.conftest import Database, secret
from tests.server.running import PASSWORD, Organisation, Running
from tests.server.test_command import doorstep, said


@pytest.fixture(scope="module")
def real(running: Running) -> Iterator[RealProvider]:
    with openid.real_provider(running) as started:
        yield started


@pytest.fixture
def named(organisation: Organisation, real: RealProvider) -> str:
    name = real.name()
    openid.set_provider(organisation, real.issuer, name, listed=False)
    return name


@pytest.fixture
def boss(organisation: Organisation) -> str:
    """The address of an administrator."""
    return made(organisation, "administrator", "Alex Administrator")[0]


def rows(running: Running, statement: str, *values: object) -> list[tuple[object, ...]]:
    with psycopg.connect(running.owner_url) as link:
        return link.execute(statement, values).fetchall()  # pyright: ignore[reportArgumentType]


def signed_in(client: httpx.Client) -> bool:
    return client.get("/account").status_code == 200


def by_provider(running: Running, name: str, email: str) -> httpx.Client:
    client = httpx.Client(base_url=running.url, headers={"Accept": "text/html"}, timeout=60)
    assert through_provider(client, name, f"{name}-{email} {email}").status_code == 303
    return client


def typed(client: httpx.Client, email: str) -> httpx.Response:
    fields = {"csrf": form_token(client.get("/sign-in")), "email": email, "password": PASSWORD}
    return client.post("/sign-in", data=fields)


def switch(client: httpx.Client, to: str) -> httpx.Response:
    return post(client, "/staff/passwords", form="/staff/add", passwords=to)


def test_passwords_stay_on_until_an_administrator_has_come_in_by_the_provider(
    running: Running, organisation: Organisation, real: RealProvider, boss: str
) -> None:
    browser = browser_of(organisation, boss)
    assert "no sign-in of its own here" in browser.get("/staff/passwords").text
    assert switch(browser, "off").status_code == 409
    name = real.name()
    openid.set_provider(organisation, real.issuer, name)
    by_provider(running, name, organisation.email)
    refused = switch(browser, "off")
    assert refused.status_code == 409
    assert "No administrator has signed in" in refused.text
    # One whose account is closed could not switch them on again.
    gone, gone_id = made(organisation, "administrator", "Gone Administrator")
    by_provider(running, name, gone)
    assert post(browser, f"/staff/{gone_id}/close").status_code == 303
    assert switch(browser, "off").status_code == 409
    by_provider(running, name, boss)
    assert switch(browser, "off").headers["location"] == "/staff?said=passwords-off"


def test_with_passwords_off_only_the_provider_lets_anybody_in(
    running: Running, organisation: Organisation, named: str, boss: str
) -> None:
    clinician = browser_of(organisation, organisation.email)
    provided = by_provider(running, named, organisation.email)
    admin = browser_of(organisation, boss)
    by_provider(running, named, boss)
    assert switch(admin, "off").status_code == 303
    assert not signed_in(clinician)
    assert signed_in(provided)
    assert signed_in(admin), "whoever did it goes on"
    with a_browser(running) as client:
        refused = typed(client, organisation.email)
        assert refused.status_code == 403
        assert "does not sign in with passwords" in refused.text
        assert f'href="/sign-in/with/{named}"' in refused.text
        assert not signed_in(client)
        wrong = {"csrf": form_token(client.get("/sign-in")), "email": organisation.email, "password": "wrong"}
        assert "does not sign in with passwords" not in client.post("/sign-in", data=wrong).text
    assert signed_in(by_provider(running, named, organisation.email))
    # Another organisation's passwords are its own.
    other = running.organisation()
    assert signed_in(browser_of(other, other.email))
    statement = "SELECT action FROM audit_entry WHERE organisation_id = %s AND action LIKE '%%passwords%%' ORDER BY id"
    noted = rows(running, statement, organisation.id)
    assert noted == [("passwords.off",), ("sign-in.passwords-off",)]
    assert "Off." in admin.get("/staff").text
    assert switch(admin, "on").status_code == 303
    assert signed_in(browser_of(organisation, organisation.email))


def test_a_password_that_waits_for_its_code_opens_nothing_any_more(
    running: Running, organisation: Organisation, named: str, boss: str
) -> None:
    first = browser_of(organisation, organisation.email)
    factor, _ = enrol(first)
    waiting = browser_of(organisation, organisation.email)
    page = waiting.get("/sign-in/code")
    assert page.status_code == 200
    by_provider(running, named, boss)
    assert switch(browser_of(organisation, boss), "off").status_code == 303
    answer = waiting.post("/sign-in/code", data={"csrf": form_token(page), "code": code(factor)})
    assert answer.headers["location"].startswith("/sign-in")
    assert not signed_in(waiting)


def test_another_issuer_has_to_prove_itself_anew_and_none_leaves_passwords_on(
    running: Running, organisation: Organisation, named: str, real: RealProvider, boss: str
) -> None:
    by_provider(running, named, boss)
    admin = browser_of(organisation, boss)
    assert switch(admin, "off").status_code == 303
    openid.set_provider(organisation, real.issuer, named, listed=False)
    with a_browser(running) as client:
        assert typed(client, organisation.email).status_code == 403, "the same issuer, set once more"
    with openid.lying_provider() as other:
        openid.set_provider(organisation, other.issuer, named)
        assert signed_in(browser_of(organisation, organisation.email))
        assert switch(admin, "off").status_code == 409


def test_somebody_who_is_added_needs_no_password(
    running: Running, organisation: Organisation, named: str, boss: str
) -> None:
    admin = by_provider(running, named, boss)
    assert "First password" in admin.get("/staff/add").text
    assert switch(admin, "off").status_code == 303
    assert "First password" not in admin.get("/staff/add").text
    email = f"robin-{os.urandom(4).hex()}@example.org"
    added = post(admin, "/staff/add", name="Robin Person", email=email, role="clinician")
    assert added.headers["location"].endswith("?said=expected")
    robin = by_provider(running, named, email)
    assert robin.get("/").status_code == 200
    # Nor do their programs wait for a password that nobody knows.
    headers = {"X-CSRF-Token": form_token(robin.get("/account"))}
    made_ = robin.post("/api/v1/tokens", json={"name": "A program"}, headers=headers)
    bearer = {"Authorization": f"Bearer {made_.json()['secret']}"}
    assert httpx.get(f"{running.url}/api/v1/results", headers=bearer, timeout=60).status_code == 200


def test_the_command_switches_off_when_it_may_and_is_the_way_back(
    running: Running, database: Database, organisation: Organisation, named: str, boss: str
) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("DOORSTEP_")},
        **{f"DOORSTEP_{name}": secret() for name in ("MASTER_KEY", "TOKEN_SECRET", "SESSION_SECRET")},
        "DOORSTEP_DATABASE_URL": database.app,
        "DOORSTEP_DATABASE_OWNER_URL": database.owner,
        "DOORSTEP_BASE_URL": "https://results.example.org",
    }
    [(house,)] = rows(running, "SELECT name FROM organisation WHERE id = %s", organisation.id)
    here = ("--organisation", str(house), "--json")
    early = doorstep(environment, "openid", "passwords-off", *here)
    assert (early.returncode != 0, "No administrator has signed in" in early.stderr) == (True, True)
    by_provider(running, named, boss)
    session = browser_of(organisation, boss)
    assert said(doorstep(environment, "openid", "passwords-off", *here)) == {"ended": 1}
    assert not signed_in(session)
    with a_browser(running) as client:
        assert typed(client, boss).status_code == 403
    assert said(doorstep(environment, "openid", "passwords-on", *here)) == {"changed": True}
    assert said(doorstep(environment, "openid", "passwords-on", *here)) == {"changed": False}
    assert signed_in(browser_of(organisation, boss))
