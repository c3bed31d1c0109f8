"""Administrators add people, change what they may do and close accounts; nothing loses its owner by it."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from reader import outcome
from tests.server import factory
from tests.server.accounts.people import browser_of, made, post
from tests.server.conftest import Database
from tests.server.running import PASSWORD, Organisation, Running, run

FIRST = "gravel pudding window"


@pytest.fixture(scope="module")
def running(database: Database) -> Iterator[Running]:
    with run(database.owner, database.app) as started:
        yield started


@pytest.fixture
def organisation(running: Running) -> Organisation:
    return running.organisation()


@pytest.fixture
def administrator(organisation: Organisation) -> httpx.Client:
    return browser_of(organisation, made(organisation, "administrator", "Alex Administrator")[0])


def rows(organisation: Organisation, statement: str, *values: object) -> list[tuple[object, ...]]:
    with psycopg.connect(organisation.running.owner_url) as link:
        return link.execute(statement, values).fetchall()  # pyright: ignore[reportArgumentType]


def positives(organisation: Organisation, many: int) -> UUID:
    """Deliver so many positives, which the organisation's clinician owns; the clinician's id."""
    bodies = [
        factory.result(specimen=f"P-{index}", outcome_code=outcome.POSITIVE, moment=organisation.reader.moment())
        for index in range(many)
    ]
    organisation.deliver(*bodies)
    [(owner, owned)] = rows(
        organisation,
        "SELECT owner_id, count(*) FROM follow_up WHERE organisation_id = %s GROUP BY owner_id",
        organisation.id,
    )
    assert owned == many
    assert isinstance(owner, UUID)
    return owner


def owners(organisation: Organisation) -> set[object]:
    found = rows(organisation, "SELECT owner_id FROM follow_up WHERE organisation_id = %s", organisation.id)
    return {owner for (owner,) in found}


def test_somebody_added_chooses_their_own_password_before_anything_else(
    organisation: Organisation, administrator: httpx.Client
) -> None:
    email = f"{uuid4().hex}@example.org"
    refused = post(administrator, "/staff/add", name="Robin Lead", email=email, role="lead", password="short")
    assert refused.status_code == 422
    assert "at least 12" in refused.text
    assert f'value="{email}"' in refused.text
    assert 'value="Robin Lead"' in refused.text
    assert "checked" in refused.text
    assert 'value="short"' not in refused.text
    added = post(administrator, "/staff/add", name="Robin Lead", email=email, role="lead", password=FIRST)
    assert added.headers["location"].endswith("?said=added")
    robin = browser_of(organisation, email, FIRST)
    assert robin.get("/").headers["location"] == "/account/password"
    page = robin.get("/account/password")
    assert "Choose your own password" in page.text
    assert 'aria-label="Pages"' not in page.text
    same = post(robin, "/account/password", old=FIRST, new=FIRST, again=FIRST)
    assert "Use another password" in same.text
    assert post(robin, "/account/password", old=FIRST, new=PASSWORD, again=PASSWORD).status_code == 303
    assert robin.get("/").status_code == 200
    twice = post(administrator, "/staff/add", name="Robin Again", email=email, role="lead", password=FIRST)
    assert twice.status_code == 409
    assert "There is an account with that email address" in twice.text


def test_changing_one_s_password_needs_the_old_one_and_ends_other_sessions(organisation: Organisation) -> None:
    here, elsewhere = (browser_of(organisation, organisation.email) for _ in range(2))
    wrong = post(here, "/account/password", old="wrong staple lantern", new=FIRST, again=FIRST)
    assert wrong.status_code == 401
    differ = post(here, "/account/password", old=PASSWORD, new=FIRST, again=FIRST + "s")
    assert "the same both times" in differ.text
    assert elsewhere.get("/").status_code == 200
    assert post(here, "/account/password", old=PASSWORD, new=FIRST, again=FIRST).status_code == 303
    assert here.get("/").status_code == 200
    assert elsewhere.get("/").headers["location"] == "/sign-in"
    assert browser_of(organisation, organisation.email, FIRST).get("/").status_code == 200


def test_a_person_sees_their_sessions_and_ends_one_or_all_others(organisation: Organisation) -> None:
    here, one, two, stranger = (browser_of(organisation, organisation.email) for _ in range(4))
    page = here.get("/account")
    assert (page.text.count("This session"), page.text.count("Another session")) == (1, 3)
    mine = rows(
        organisation,
        "SELECT encode(id_hash, 'hex') FROM sign_in WHERE organisation_id = %s ORDER BY created_at DESC",
        organisation.id,
    )
    post(here, "/account/sessions/end", form="/account", session=str(mine[0][0]))
    assert [browser.get("/").status_code for browser in (here, one, two, stranger)] == [200, 200, 200, 303]
    assert post(here, "/account/sessions/end", form="/account", session="nonsense").status_code == 303
    assert one.get("/").status_code == 200
    post(here, "/account/sessions/end", form="/account", session="others")
    assert [browser.get("/").status_code for browser in (here, one, two)] == [200, 303, 303]


def test_nobody_ends_the_session_of_another(organisation: Organisation) -> None:
    clinician = browser_of(organisation, organisation.email)
    other = browser_of(organisation, made(organisation, "lead")[0])
    [(theirs,)] = rows(
        organisation,
        "SELECT encode(id_hash, 'hex') FROM sign_in s JOIN account a ON a.id = s.account_id WHERE a.email = %s",
        organisation.email,
    )
    post(other, "/account/sessions/end", form="/account", session=str(theirs))
    assert clinician.get("/").status_code == 200


def test_closing_an_account_hands_over_what_it_owns_in_the_same_act(
    organisation: Organisation, administrator: httpx.Client
) -> None:
    leaving = positives(organisation, 3)
    _, lead = made(organisation, "lead", "Robin Lead")
    clinician = browser_of(organisation, organisation.email)
    close = f"/staff/{leaving}/close"
    assert "Who takes over 3 open follow-ups?" in administrator.get(close).text
    refused = post(administrator, close)
    assert refused.status_code == 422
    assert "Choose who takes the open follow-ups over" in refused.text
    assert clinician.get("/").status_code == 200, "nothing was done"
    assert owners(organisation) == {leaving}
    assert post(administrator, close, successor=str(leaving)).status_code == 422, "not to who leaves"
    assert post(administrator, close, successor=str(lead)).headers["location"].endswith("?said=closed")
    assert owners(organisation) == {lead}
    assert clinician.get("/").headers["location"] == "/sign-in"
    events = rows(organisation, "SELECT act, note FROM follow_up_event WHERE organisation_id = %s", organisation.id)
    assert events == [("hand-over", "The account of Sam Clinician was closed.")] * 3
    [(detail,)] = rows(
        organisation,
        "SELECT detail FROM audit_entry WHERE organisation_id = %s AND action = 'account.close'",
        organisation.id,
    )
    assert detail == {"handed_over": 3}
    assert post(administrator, f"/staff/{leaving}/reopen").status_code == 303
    assert browser_of(organisation, organisation.email).get("/").status_code == 200


def test_a_role_that_does_not_follow_up_leaves_nothing_behind_and_one_that_does_keeps_it(
    organisation: Organisation, administrator: httpx.Client
) -> None:
    person = positives(organisation, 2)
    _, lead = made(organisation, "lead", "Robin Lead")
    role = f"/staff/{person}/role"
    assert post(administrator, role, role="lead").status_code == 303
    assert owners(organisation) == {person}
    refused = post(administrator, role, role="auditor")
    assert refused.status_code == 422
    assert rows(organisation, "SELECT role FROM account WHERE id = %s", person) == [("lead",)]
    assert post(administrator, role, role="auditor", successor=str(lead)).status_code == 303
    assert owners(organisation) == {lead}
    assert browser_of(organisation, organisation.email).get("/").headers["location"] == "/custody"
    assert post(administrator, role, role="wizard").status_code == 422


def test_an_administrator_cannot_shut_themselves_out(organisation: Organisation, administrator: httpx.Client) -> None:
    [(own,)] = rows(
        organisation,
        "SELECT id FROM account WHERE organisation_id = %s AND role = 'administrator'",
        organisation.id,
    )
    assert "What you can do" not in administrator.get(f"/staff/{own}").text
    form = f"/staff/{made(organisation, 'lead')[1]}/close"
    for act in ("close", "role", "reset", "password"):
        answer = post(administrator, f"/staff/{own}/{act}", form=form, role="auditor", password=FIRST)
        assert answer.status_code == 409, act
    assert administrator.get("/staff").status_code == 200


def test_nobody_reaches_the_people_of_another_organisation(
    running: Running, organisation: Organisation, administrator: httpx.Client
) -> None:
    email, stranger = made(running.organisation(), "lead", "Somebody Else")
    assert "Somebody Else" not in administrator.get("/staff").text
    form = f"/staff/{made(organisation, 'lead')[1]}/close"
    assert administrator.get(f"/staff/{stranger}").status_code == 404
    for act in ("close", "role", "password"):
        fields = {"role": "auditor", "password": FIRST}
        assert post(administrator, f"/staff/{stranger}/{act}", form=form, **fields).status_code == 404
    assert rows(organisation, "SELECT active, role FROM account WHERE email = %s", email) == [(True, "lead")]


def test_a_new_password_from_an_administrator_must_be_changed(
    organisation: Organisation, administrator: httpx.Client
) -> None:
    clinician = browser_of(organisation, organisation.email)
    [(person,)] = rows(organisation, "SELECT id FROM account WHERE email = %s", organisation.email)
    assert post(administrator, f"/staff/{person}/password", password=FIRST).status_code == 303
    assert clinician.get("/").headers["location"] == "/sign-in"
    again = browser_of(organisation, organisation.email, FIRST)
    assert again.get("/").headers["location"] == "/account/password"
