"""Emergency access: what it takes, what it opens and what not, that it ends, is told, and is reviewed by another."""

import re
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from aiosmtpd.smtp import SMTP

from reader import outcome
from server.accounts.permissions import May
from server.database.columns import now
from server.notices import privacy
from server.settings import Settings
from tests.server import factory
from tests.server.accounts.people import browser_of, made, post, token
from tests.server.conftest import Database
from tests.server.notices.test_reminders import Mailbox
from tests.server.running import Organisation, Running, run
from tests.server.test_routes import ROUTES, asked

REASON = "Nobody else can be reached and somebody may come to harm"


@pytest.fixture(scope="module")
def running(database: Database) -> Any:
    with run(database.owner, database.app) as started:
        yield started


@pytest.fixture
def organisation(running: Running) -> Organisation:
    """An organisation with a positive result and a privacy lead."""
    organisation = running.organisation()
    organisation.deliver(factory.result(outcome_code=outcome.POSITIVE, moment=organisation.reader.moment()))
    administrator = browser_of(organisation, made(organisation, "administrator", "Alex Administrator")[0])
    _, lead_id = made(organisation, "lead", "Robin Privacy")
    assert post(administrator, "/staff/privacy-lead", lead=str(lead_id)).headers["location"] == "/staff?said=lead"
    return organisation


def rows(running: Running, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(running.owner_url) as link:
        return link.execute(statement, values).fetchall()  # pyright: ignore[reportArgumentType]


def somebody(organisation: Organisation, role: str = "operator") -> httpx.Client:
    return browser_of(organisation, made(organisation, role, "Olu Operator")[0])


def break_glass(client: httpx.Client, reason: str = REASON) -> httpx.Response:
    return post(client, "/emergency", reason=reason)


def lead_of(organisation: Organisation) -> httpx.Client:
    statement = (
        "SELECT email FROM account JOIN privacy_lead ON account_id = account.id WHERE account.organisation_id = %s"
    )
    [(address,)] = rows(organisation.running, statement, organisation.id)
    return browser_of(organisation, address)


def result_of(organisation: Organisation) -> UUID:
    [(result_id,)] = rows(organisation.running, "SELECT id FROM result WHERE organisation_id = %s", organisation.id)
    return result_id


def use_of(organisation: Organisation) -> UUID:
    [(access_id,)] = rows(
        organisation.running, "SELECT id FROM emergency_access WHERE organisation_id = %s", organisation.id
    )
    return access_id


@pytest.mark.parametrize("role", ["operator", "administrator"])
def test_it_opens_results_and_people_to_read_and_says_so_on_every_page(organisation: Organisation, role: str) -> None:
    client, result_id = somebody(organisation, role), result_of(organisation)
    assert client.get(f"/results/{result_id}").status_code == 403
    assert break_glass(client).headers["location"] == "/"
    for address in ("/", f"/results/{result_id}", "/people/find", "/people/unmatched", "/custody", "/account"):
        page = client.get(address)
        assert page.status_code == 200, address
        assert "Emergency access until" in page.text, address
        assert 'action="/emergency/end"' in page.text, address
    post(client, "/emergency/end", form="/")
    assert client.get(f"/results/{result_id}").status_code == 403
    assert "Emergency access until" not in client.get("/custody").text


def test_it_opens_nothing_that_changes_anything_or_carries_everybody_away(organisation: Organisation) -> None:
    client = somebody(organisation)
    break_glass(client)
    client.headers["Accept"] = "application/json"
    csrf = token(client.get("/account/password"))
    opened = {May.READ_RESULTS, May.READ_PATIENTS, May.SEE_CUSTODY, May.USE_EMERGENCY}
    wrong: dict[tuple[str, str], tuple[int, str]] = {}
    for (method, path), need in ROUTES.items():
        if isinstance(need, May) and (method, path) != ("POST", "/emergency/end"):
            status, code = asked(client, method, path, csrf)
            if ((status, code) == (403, "not-allowed")) == (need in opened):
                wrong[method, path] = (status, code)
    assert wrong == {}


def test_a_person_is_found_and_read_and_every_read_is_in_the_log_for_that_use(
    running: Running, organisation: Organisation
) -> None:
    clinician = browser_of(organisation, organisation.email)
    details = {"given": "Ada", "family": "Example", "birth[day]": "7", "birth[month]": "3", "birth[year]": "1980"}
    registered = post(
        clinician, "/people/register", form="/people/find",
        specimen="S-1", **details, **{"compared-name": "1", "compared-birth_date": "1", "compared-address": "1"},
    )  # fmt: skip
    assert registered.status_code == 303, registered.text
    person = registered.headers["location"]
    client = somebody(organisation)
    break_glass(client)
    found = post(client, "/people/find", **details)
    assert f'href="{person}"' in found.text
    assert "It is this person" not in found.text
    page = client.get(person)
    assert "Ada Example" in page.text
    assert "Put this entry right" not in page.text
    assert "Take it away" not in page.text
    client.get(f"/results/{result_of(organisation)}")
    purpose = f"emergency access {use_of(organisation)}"
    noted = rows(running, "SELECT action FROM audit_entry WHERE purpose = %s ORDER BY id", purpose)
    assert [action for (action,) in noted] == ["patient.search", "patient.read", "result.read", "patient.read"]
    shown = lead_of(organisation).get(f"/emergency/uses/{use_of(organisation)}").text
    assert "Looked for a person" in shown
    assert f"result {result_of(organisation)}" in shown
    assert REASON in shown
    assert "Ada" not in shown


def test_it_takes_a_reason(organisation: Organisation) -> None:
    client = somebody(organisation)
    for reason in ("", "   ", "hurry", "x" * 1_001):
        answer = break_glass(client, reason)
        assert answer.status_code == 422
        assert "Say why you need it" in answer.text
        assert client.get("/worklist/list").status_code == 403


def test_it_is_of_the_session_that_asked_and_of_its_organisation(running: Running, organisation: Organisation) -> None:
    address, _ = made(organisation, "operator")
    asking, other = browser_of(organisation, address), browser_of(organisation, address)
    break_glass(asking)
    assert asking.get("/worklist/list").status_code == 200
    assert other.get("/worklist/list").status_code == 403
    elsewhere = running.organisation()
    elsewhere.deliver(factory.result(outcome_code=outcome.POSITIVE, moment=elsewhere.reader.moment()))
    assert asking.get(f"/results/{result_of(elsewhere)}").status_code == 404


def test_it_runs_out_by_itself_and_another_takes_another_reason(running: Running, organisation: Organisation) -> None:
    client = somebody(organisation)
    break_glass(client)
    again = break_glass_by(client, "/custody")
    assert again.status_code == 409
    assert "You have it already" in again.text
    [(lasts,)] = rows(
        running, "SELECT ends_at - began_at FROM emergency_access WHERE organisation_id = %s", organisation.id
    )
    assert lasts.total_seconds() == 3600
    run_out = "UPDATE emergency_access SET ends_at = now() - interval '1 second' WHERE organisation_id = %s RETURNING 1"
    assert rows(running, run_out, organisation.id) == [(1,)]
    assert client.get("/worklist/list").status_code == 403
    assert client.get("/", follow_redirects=True).url.path == "/custody"
    assert break_glass(client).status_code == 303
    assert client.get("/worklist/list").status_code == 200


def break_glass_by(client: httpx.Client, page: str) -> httpx.Response:
    """Post the form from a page that shows none, as a second click would."""
    return post(client, "/emergency", form=page, reason=REASON)


@pytest.mark.parametrize("how", ["sign-out", "role"])
def test_it_ends_with_the_session(running: Running, organisation: Organisation, how: str) -> None:
    address, account_id = made(organisation, "operator")
    client = browser_of(organisation, address)
    break_glass(client)
    if how == "sign-out":
        post(client, "/sign-out", form="/account")
    else:
        administrator = browser_of(organisation, made(organisation, "administrator")[0])
        assert post(administrator, f"/staff/{account_id}/role", role="auditor").status_code == 303
    statement = "SELECT ended_at <= now() FROM emergency_access WHERE organisation_id = %s"
    assert rows(running, statement, organisation.id) == [(True,)]
    assert browser_of(organisation, address).get("/worklist/list").status_code == 403


def test_nobody_gets_it_while_nobody_is_named_to_watch(running: Running) -> None:
    bare = running.organisation()
    client = somebody(bare)
    page = client.get("/emergency")
    assert "It is not set up" in page.text
    assert "<textarea" not in page.text
    assert break_glass_by(client, "/custody").status_code == 409
    assert client.get("/worklist/list").status_code == 403


def test_the_privacy_lead_is_somebody_who_cannot_use_it_and_stays_until_another_is_named(
    organisation: Organisation,
) -> None:
    administrator = browser_of(organisation, made(organisation, "administrator")[0])
    _, operator_id = made(organisation, "operator", "Olu Operator")
    form = administrator.get("/staff/privacy-lead").text
    assert "Robin Privacy, Clinical lead" in form
    assert "Olu Operator" not in form
    assert post(administrator, "/staff/privacy-lead", lead=str(operator_id)).status_code == 422
    assert post(administrator, "/staff/privacy-lead", lead="").status_code == 422
    found = re.search(r'value="([0-9a-f-]{36})" selected', form)
    assert found
    assert post(administrator, f"/staff/{found[1]}/close").status_code == 409
    assert post(administrator, f"/staff/{found[1]}/role", role="operator").status_code == 409
    assert "Robin Privacy" in administrator.get("/staff").text


def test_a_use_is_reviewed_once_when_it_is_over_with_a_note_by_the_privacy_lead_or_an_auditor(
    running: Running, organisation: Organisation
) -> None:
    client = somebody(organisation)
    break_glass(client)
    address = f"/emergency/uses/{use_of(organisation)}"
    auditor, lead = somebody(organisation, "auditor"), lead_of(organisation)
    assert "Goes on" in lead.get("/emergency/uses").text
    assert post(lead, f"{address}/review", form="/account", note="It was needed").status_code == 409
    post(client, "/emergency/end", form="/account")
    assert "Waits for a review" in auditor.get("/emergency/uses").text
    assert post(lead, f"{address}/review", form=address, note="ok").status_code == 422
    assert post(auditor, f"{address}/review", form=address, note="It was needed").status_code == 303
    assert post(lead, f"{address}/review", form="/account", note="It was not needed").status_code == 409
    page = lead.get(address).text
    assert "It was needed" in page
    assert "by Olu Operator" in page, "the auditor's name"
    clinician = browser_of(organisation, organisation.email)
    for reader in (client, clinician):
        assert reader.get("/emergency/uses").status_code == 403
        assert reader.get(address).status_code == 403
    other = running.organisation()
    assert somebody(other, "auditor").get(address).status_code == 404


def test_nobody_reviews_a_use_of_their_own_even_as_the_privacy_lead(
    running: Running, organisation: Organisation
) -> None:
    administrator = browser_of(organisation, made(organisation, "administrator")[0])
    address, account_id = made(organisation, "operator")
    break_glass(browser_of(organisation, address))
    post(administrator, f"/staff/{account_id}/role", role="auditor")
    client, use = browser_of(organisation, address), f"/emergency/uses/{use_of(organisation)}"
    assert "Somebody else reviews it" in client.get(use).text
    assert post(client, f"{use}/review", form="/account", note="It was needed").status_code == 409
    with psycopg.connect(running.owner_url) as link, pytest.raises(psycopg.errors.CheckViolation):
        link.execute("UPDATE emergency_access SET reviewed_at = now(), reviewed_by = account_id")


def test_without_its_entry_in_the_log_there_is_no_access(running: Running, organisation: Organisation) -> None:
    client = somebody(organisation)
    csrf = token(client.get("/emergency"))
    broken = "ALTER TABLE audit_entry ADD CONSTRAINT broken CHECK (action <> 'emergency.begin') NOT VALID"
    with psycopg.connect(running.owner_url, autocommit=True) as link:
        link.execute(broken)
        try:
            assert client.post("/emergency", data={"csrf": csrf, "reason": REASON}).status_code == 500
        finally:
            link.execute("ALTER TABLE audit_entry DROP CONSTRAINT broken")
    assert client.get("/worklist/list").status_code == 403


def test_the_privacy_lead_is_told_once_by_a_mail_that_names_no_patient_and_no_reason(
    running: Running, organisation: Organisation
) -> None:
    break_glass(somebody(organisation), "Ada Example has collapsed at home")
    box = Mailbox()
    loop = running.loop
    protocol = partial(SMTP, box, hostname="mail.example.org", loop=loop)
    listening = running.call(loop.create_server(protocol, "127.0.0.1", 0))
    try:
        port = listening.sockets[0].getsockname()[1]
        mailing = running.settings.model_copy(
            update={"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": "none", "mail_from": "d@example.org"}
        )
        box.refusing = True
        assert not tell(running, mailing, organisation)
        box.refusing = False
        assert not tell(running, mailing, organisation), "it waits a minute before it tries again"
        rows(running, "UPDATE emergency_access SET retry_at = now() WHERE tries = 1 RETURNING 1")
        assert tell(running, mailing, organisation)
        assert not tell(running, mailing, organisation)
    finally:
        loop.call_soon_threadsafe(listening.close)
    [message] = box.messages
    text = message.get_content()
    assert "Robin Privacy" in message["To"]
    assert message["Subject"] == "Emergency access was used"
    assert f"{running.url}/emergency/uses/{use_of(organisation)}" in text
    for secret in ("Ada", "Example has", "collapsed", "Olu", "S-1"):
        assert secret not in str(message), secret


def tell(running: Running, settings: Settings, organisation: Organisation) -> bool:
    sessions = running.app.state.doorstep.sessions
    return running.call(privacy.send_waiting(sessions, settings, organisation.id, now()))
