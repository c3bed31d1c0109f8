"""Signing in with a second factor: what it takes, what it refuses, and who can turn it off."""

from collections.abc import Iterator
from uuid import UUID

import httpx
import psycopg
import pytest

from server.accounts import service
from tests.server.accounts.people import browser_of, code, enrol, made, post, token
from tests.server.running import PASSWORD, Organisation, Running


@pytest.fixture
def enrolled(organisation: Organisation) -> Iterator[tuple[httpx.Client, bytes, list[str]]]:
    """The clinician's browser with the second factor set up, its secret and the recovery codes."""
    client = browser_of(organisation, organisation.email)
    yield client, *enrol(client)
    client.close()


def rows(running: Running, statement: str, *values: object) -> list[tuple[object, ...]]:
    with psycopg.connect(running.owner_url) as link:
        return link.execute(statement, values).fetchall()  # pyright: ignore[reportArgumentType]


def give(client: httpx.Client, typed: str) -> httpx.Response:
    return post(client, "/sign-in/code", code=typed)


Enrolled = tuple[httpx.Client, bytes, list[str]]


def test_the_password_alone_opens_nothing_and_the_code_opens_the_page_that_was_wanted(
    organisation: Organisation, enrolled: Enrolled
) -> None:
    client = browser_of(organisation, organisation.email)
    for address in ("/", "/account", "/account/second-factor/off"):
        assert client.get(address).headers["location"].startswith("/sign-in")
    before = client.cookies["doorstep-session"]
    page = client.get("/sign-in/code?next=/quarantine")
    answer = client.post("/sign-in/code", data={"csrf": token(page), "next": "/quarantine", "code": code(enrolled[1])})
    assert (answer.status_code, answer.headers["location"]) == (303, "/quarantine")
    assert client.cookies["doorstep-session"] != before
    assert client.get("/quarantine").status_code == 200
    assert client.get("/sign-in/code").headers["location"] == "/sign-in"


def test_a_code_works_once_though_it_is_still_shown(organisation: Organisation, enrolled: Enrolled) -> None:
    shown = code(enrolled[1])
    assert give(browser_of(organisation, organisation.email), shown).status_code == 303
    again = give(browser_of(organisation, organisation.email), shown)
    assert again.status_code == 401
    assert "The code is not right" in again.text


def test_a_recovery_code_works_once_and_the_account_says_how_many_are_left(
    organisation: Organisation, enrolled: Enrolled
) -> None:
    client, _, codes = enrolled
    assert len(codes) == 10
    other = browser_of(organisation, organisation.email)
    assert give(other, codes[3].lower()).status_code == 303
    assert "9 recovery codes left" in other.get("/account").text
    assert give(browser_of(organisation, organisation.email), codes[3]).status_code == 401
    assert client.get("/account").status_code == 200, "signing in elsewhere ends nothing"


def test_wrong_codes_are_slowed_from_wherever_they_come(
    running: Running, organisation: Organisation, enrolled: Enrolled
) -> None:
    here, elsewhere = (browser_of(organisation, organisation.email) for _ in range(2))
    assert [give(here, "not-a-code").status_code for _ in range(3)] == [401] * 3
    # As after six more failures: the wait is then long enough for a slow machine to see it.
    [(account_id,)] = rows(running, "SELECT id FROM account WHERE email = %s", organisation.email)
    assert isinstance(account_id, UUID)
    key = service.account_key(account_id, running.settings.session_secret_bytes())
    deeper = "UPDATE sign_in_throttle SET failures = failures + 6 WHERE key = %s RETURNING failures"
    assert rows(running, deeper, key) == [(9,)]
    for browser in (here, elsewhere):
        answer = give(browser, code(enrolled[1]))
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1


def test_neither_secret_nor_recovery_code_is_stored_in_the_clear(
    running: Running, organisation: Organisation, enrolled: Enrolled
) -> None:
    _, secret, codes = enrolled
    stored = rows(running, "SELECT secret FROM second_factor WHERE organisation_id = %s", organisation.id)
    hashes = rows(running, "SELECT code_hash FROM recovery_code WHERE organisation_id = %s", organisation.id)
    kept = [bytes(value) for (value,) in (*stored, *hashes)]  # pyright: ignore[reportArgumentType]
    assert len(kept) == 11
    assert not any(secret in value for value in kept)
    assert not any(one.replace("-", "").encode() in value for value in kept for one in codes)


def test_turning_it_off_needs_the_password_and_a_code(organisation: Organisation, enrolled: Enrolled) -> None:
    client, secret, codes = enrolled
    off = "/account/second-factor/off"
    assert "The password is not right" in post(client, off, password="wrong staple lantern", code=codes[0]).text
    assert "The code is not right" in post(client, off, password=PASSWORD, code="AAAA-AAAA-AAAA-AAAA").text
    assert "Enter the code" in post(client, off, password=PASSWORD).text
    assert post(client, off, password=PASSWORD, code=code(secret)).headers["location"] == "/account?said=factor-off"
    assert browser_of(organisation, organisation.email).get("/").status_code == 200


def test_setting_one_up_ends_other_sessions_and_a_wrong_code_turns_nothing_on(organisation: Organisation) -> None:
    other, client = (browser_of(organisation, organisation.email) for _ in range(2))
    post(client, "/account/second-factor/begin", form="/account/second-factor")
    wrong = post(client, "/account/second-factor/confirm", form="/account/second-factor", code="12345")
    assert wrong.status_code == 401
    assert browser_of(organisation, organisation.email).get("/").status_code == 200
    enrol(client)
    assert other.get("/").headers["location"] == "/sign-in"
    assert client.get("/").status_code == 200


def test_a_role_that_needs_one_sets_it_up_before_any_other_page(organisation: Organisation) -> None:
    administrator = browser_of(organisation, made(organisation, "administrator")[0])
    client = browser_of(organisation, organisation.email)
    assert client.get("/").status_code == 200
    post(administrator, "/staff/rule", form="/staff", **{"role-clinician": "yes"})
    assert administrator.get("/staff").status_code == 200, "not asked of administrators"
    assert client.get("/").headers["location"] == "/account/second-factor"
    assert "asks for a second factor" in client.get("/account/second-factor").text
    enrol(client)
    assert client.get("/").status_code == 200


def test_an_administrator_resets_it_for_somebody_which_ends_their_sessions_and_is_noted(
    running: Running, organisation: Organisation, enrolled: Enrolled
) -> None:
    administrator = browser_of(organisation, made(organisation, "administrator")[0])
    [(account_id,)] = rows(running, "SELECT id FROM account WHERE email = %s", organisation.email)
    assert post(administrator, f"/staff/{account_id}/reset").status_code == 303
    assert enrolled[0].get("/").headers["location"] == "/sign-in"
    assert browser_of(organisation, organisation.email).get("/").status_code == 200
    noted = "SELECT count(*) FROM audit_entry WHERE subject = %s AND action = 'second-factor.reset'"
    assert rows(running, noted, str(account_id)) == [(1,)]


def test_who_stole_the_password_does_not_keep_the_person_out_of_the_browser_they_use(
    running: Running, organisation: Organisation, enrolled: Enrolled
) -> None:
    own, secret, codes = enrolled
    thief = browser_of(organisation, organisation.email)
    assert [give(thief, "not-a-code").status_code for _ in range(3)] == [401] * 3
    assert rows(running, "UPDATE sign_in_throttle SET failures = failures + 6, failed_at = now() RETURNING 1")
    assert give(thief, codes[0]).status_code == 429
    own.post("/sign-out", data={"csrf": token(own.get("/account"))})
    form = token(own.get("/sign-in"))
    own.post("/sign-in", data={"csrf": form, "email": organisation.email, "password": PASSWORD})
    assert give(own, code(secret)).status_code == 303
