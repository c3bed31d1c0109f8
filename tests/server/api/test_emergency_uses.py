"""Uses of emergency access by calls: listed, read and reviewed; begun by nobody's program, and reviewed by none."""

from typing import Any

import httpx
import psycopg
import pytest

from server.accounts.models import Role
from server.accounts.permissions import May
from tests.server.accounts.people import browser_of, made, post
from tests.server.api.programs import API, Program, code, program
from tests.server.api.test_calls import deliver, pages
from tests.server.api.test_tokens import rows
from tests.server.running import Organisation, Running
from tests.server.test_routes import ROUTES, signed_in

WHY = "Nobody else can be reached and somebody may come to harm"
FOUND = {"note": "It was needed, and no more was read."}


@pytest.fixture
def auditor(organisation: Organisation) -> Program:
    return program(organisation, Role.AUDITOR)


@pytest.fixture
def privacy_lead(organisation: Organisation) -> str:
    """The address of the lead who is named to watch."""
    administrator = browser_of(organisation, made(organisation, "administrator", "Alex Administrator")[0])
    address, lead_id = made(organisation, "lead", "Robin Privacy")
    assert post(administrator, "/staff/privacy-lead", lead=str(lead_id)).status_code == 303
    return address


def use(organisation: Organisation, name: str = "Olu Operator") -> httpx.Client:
    """An operator has emergency access from now on."""
    client = browser_of(organisation, made(organisation, "operator", name)[0])
    assert post(client, "/emergency", reason=WHY).status_code == 303
    return client


def end(client: httpx.Client) -> None:
    assert post(client, "/emergency/end", form="/account").status_code == 303


def review(client: tuple[httpx.Client, str], use_id: str, key: str, body: Any = FOUND) -> httpx.Response:
    browser, csrf = client
    headers = {"X-CSRF-Token": csrf, "Idempotency-Key": key}
    return browser.post(f"{API}/emergency-uses/{use_id}/review", json=body, headers=headers)


@pytest.mark.usefixtures("privacy_lead")
def test_a_use_is_listed_read_and_reviewed_once_by_a_person(organisation: Organisation, auditor: Program) -> None:
    deliver(organisation, 1)
    client = use(organisation)
    assert client.get("/worklist/list").status_code == 200
    [one] = auditor.get("/emergency-uses").json()["items"]
    assert (one["who"]["name"], one["role"], one["reason"], one["goes_on"]) == ("Olu Operator", "operator", WHY, True)
    assert (one["ended_at"], one["reviewed_at"], one["reviewed_by"], one["review_note"]) == (None, None, None, "")
    reads = auditor.get(f"/emergency-uses/{one['id']}/reads").json()["items"]
    assert "worklist.read" in {row["action"] for row in reads}
    session = signed_in(organisation, Role.AUDITOR)
    early = review(session, one["id"], "r1")
    assert (early.status_code, code(early)) == (409, "emergency-goes-on")
    end(client)
    by_token = auditor.post(f"/emergency-uses/{one['id']}/review", FOUND)
    assert (by_token.status_code, code(by_token)) == (403, "session-needed")
    empty = review(session, one["id"], "r2", {"note": " " * 20})
    assert (empty.status_code, code(empty)) == (422, "note-needed")
    assert [row["id"] for row in auditor.get("/emergency-uses", reviewed=False).json()["items"]] == [one["id"]]
    first, again = review(session, one["id"], "r3"), review(session, one["id"], "r3")
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()
    done = auditor.get(f"/emergency-uses/{one['id']}").json()
    assert done == first.json()
    assert (done["review_note"], done["reviewed_by"]["name"], done["goes_on"]) == (FOUND["note"], "A Person", False)
    assert done["reviewed_at"] is not None
    assert auditor.get("/emergency-uses", reviewed=False).json()["items"] == []
    twice = review(session, one["id"], "r4")
    assert (twice.status_code, code(twice)) == (409, "not-reviewable")


def test_no_program_begins_one_and_no_call_does(organisation: Organisation) -> None:
    begun = {(method, path) for (method, path), need in ROUTES.items() if need == May.USE_EMERGENCY}
    assert begun == {("GET", "/emergency"), ("POST", "/emergency"), ("POST", "/emergency/end")}
    operator = program(organisation, Role.OPERATOR)
    page = operator.client.post("/emergency", data={"reason": WHY})
    assert (page.status_code, code(page)) == (401, "sign-in-needed")
    browser, csrf = signed_in(organisation, Role.OPERATOR)
    asked = {"name": "A program", "may": [May.USE_EMERGENCY]}
    token = browser.post(f"{API}/tokens", json=asked, headers={"X-CSRF-Token": csrf})
    assert (token.status_code, code(token)) == (422, "token-refused")


def test_the_privacy_lead_s_program_sees_uses_while_they_are_the_privacy_lead(
    organisation: Organisation, privacy_lead: str
) -> None:
    end(use(organisation))
    browser = browser_of(organisation, privacy_lead)
    page = browser.get("/account/tokens").text
    assert "See the uses of emergency access" in page
    answer = post(browser, "/account/tokens", name="Watch", days="7", **{"act-review-emergency": "yes"})
    secret = answer.text.partition("doorstep_")[2][:43]
    watching = {"Authorization": f"Bearer doorstep_{secret}"}
    address = f"{organisation.running.url}{API}/emergency-uses"
    assert len(httpx.get(address, headers=watching, timeout=60).json()["items"]) == 1
    administrator = browser_of(organisation, made(organisation, "administrator")[0])
    _, other = made(organisation, "auditor", "Ode Auditor")
    assert post(administrator, "/staff/privacy-lead", lead=str(other)).status_code == 303
    refused = httpx.get(address, headers=watching, timeout=60)
    assert (refused.status_code, code(refused)) == (403, "not-allowed")


@pytest.mark.usefixtures("privacy_lead")
def test_uses_and_their_reads_go_on_page_by_page_and_are_nobody_else_s(
    running: Running, organisation: Organisation, auditor: Program
) -> None:
    for number in range(3):
        client = use(organisation, f"Operator {number}")
        for _ in range(number + 1):
            client.get("/worklist/list")
        end(client)
    listed = pages(auditor, "/emergency-uses", limit=2)
    assert [[row["who"]["name"] for row in page] for page in listed] == [["Operator 2", "Operator 1"], ["Operator 0"]]
    newest = listed[0][0]["id"]
    [whole] = pages(auditor, f"/emergency-uses/{newest}/reads", limit=100)
    assert len(whole) >= 3
    assert [row for page in pages(auditor, f"/emergency-uses/{newest}/reads", limit=1) for row in page] == whole
    other = auditor.get("/emergency-uses", limit=1).json()["next_cursor"]
    refused = auditor.get("/emergency-uses", limit=1, reviewed=True, cursor=other)
    assert (refused.status_code, code(refused)) == (422, "cursor-refused")
    stranger = program(running.organisation(), Role.AUDITOR)
    assert stranger.get("/emergency-uses").json()["items"] == []
    for path in ("", "/reads"):
        assert stranger.get(f"/emergency-uses/{newest}{path}").status_code == 404


@pytest.mark.usefixtures("privacy_lead")
def test_that_a_use_is_looked_at_is_in_the_audit_log_first(
    running: Running, organisation: Organisation, auditor: Program
) -> None:
    end(use(organisation))
    [one] = auditor.get("/emergency-uses").json()["items"]
    auditor.get(f"/emergency-uses/{one['id']}")
    auditor.get(f"/emergency-uses/{one['id']}/reads")
    found = rows(
        organisation, "SELECT action FROM audit_entry WHERE actor = :who ORDER BY id", who=str(auditor.account_id)
    )
    acts = [row.action for row in found if row.action.startswith("emergency.")]
    assert acts == ["emergency.list", "emergency.read", "emergency.read"]
    broken = "ALTER TABLE audit_entry ADD CONSTRAINT broken CHECK (action <> 'emergency.list') NOT VALID"
    with psycopg.connect(running.owner_url, autocommit=True) as link:
        link.execute(broken)
        try:
            unlogged = auditor.get("/emergency-uses")
        finally:
            link.execute("ALTER TABLE audit_entry DROP CONSTRAINT broken")
    assert unlogged.status_code == 500
    assert WHY not in unlogged.text
