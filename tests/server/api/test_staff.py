"""Programs of an administrator add people, change roles and close accounts, but touch no administrator."""

from uuid import uuid4

import pytest

from reader import outcome
from server.accounts.models import Role
from tests.server.accounts.people import browser_of, made, post
from tests.server.api.programs import API, Program, code, program
from tests.server.api.test_calls import deliver
from tests.server.api.test_tokens import rows
from tests.server.running import Organisation, Running
from tests.server.test_routes import signed_in

FIRST = "gravel pudding window"


@pytest.fixture
def administrator(organisation: Organisation) -> Program:
    return program(organisation, Role.ADMINISTRATOR)


def person(role: str = "clinician") -> dict[str, str]:
    return {"email": f"{uuid4().hex}@example.org", "name": "Robin Person", "role": role}


def test_somebody_is_added_once_and_no_password_opens_the_account_until_one_is_given(
    organisation: Organisation, administrator: Program
) -> None:
    asked = person()
    first, again = (administrator.post("/staff", asked, key="s1") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    one = first.json()
    assert first.headers["Location"] == f"{API}/staff/{one['id']}"
    assert (one["email"], one["role"], one["active"], one["must_change_password"]) == (
        asked["email"], "clinician", True, False,
    )  # fmt: skip
    taken = administrator.post("/staff", asked, key="s2")
    assert (taken.status_code, code(taken)) == (409, "email-taken")
    without = administrator.post("/staff", person())
    assert (without.status_code, code(without)) == (422, "not-valid")
    boss = browser_of(organisation, made(organisation, "administrator", "Alex Administrator")[0])
    assert post(boss, f"/staff/{one['id']}/password", password=FIRST).status_code == 303
    robin = browser_of(organisation, asked["email"], FIRST)
    assert robin.get("/").headers["location"] == "/account/password"


@pytest.mark.parametrize(
    ("change", "said"),
    [({"email": "nobody"}, "email-refused"), ({"name": "  "}, "name-unusable"), ({"role": "owner"}, "not-valid")],
)
def test_who_cannot_be_added_is_refused(administrator: Program, change: dict[str, str], said: str) -> None:
    refused = administrator.post("/staff", {**person(), **change}, key="s3")
    assert (refused.status_code, code(refused)) == (422, said)


def test_a_role_changes_an_account_closes_and_opens_and_nothing_loses_its_owner(
    organisation: Organisation, administrator: Program
) -> None:
    deliver(organisation, 2, outcome.POSITIVE)
    [(owner,)] = {tuple(row) for row in rows(organisation, "SELECT owner_id FROM follow_up")}
    lead = program(organisation, Role.LEAD)
    alone = administrator.post(f"/staff/{owner}/close", {})
    assert (alone.status_code, code(alone)) == (422, "owner-unknown")
    assert administrator.get(f"/staff/{owner}").json()["active"] is True
    closing = {"successor": str(lead.account_id)}
    closed, again = (administrator.post(f"/staff/{owner}/close", closing, key="s4") for _ in range(2))
    assert (closed.status_code, closed.json()["active"], closed.json()["open_follow_ups"]) == (200, False, 0)
    assert again.json() == closed.json()
    assert administrator.post(f"/staff/{owner}/close", {}).json() == closed.json()
    assert administrator.get(f"/staff/{lead.account_id}").json()["open_follow_ups"] == 2
    opened = administrator.post(f"/staff/{owner}/reopen")
    assert (opened.status_code, opened.json()["active"]) == (200, True)
    changed = administrator.post(f"/staff/{owner}/role", {"role": "auditor"})
    assert (changed.status_code, changed.json()["role"]) == (200, "auditor")
    found = rows(organisation, "SELECT action FROM audit_entry WHERE subject = :id ORDER BY id", id=str(owner))
    acts = [row.action for row in found if row.action.startswith("account.")]
    assert acts == ["account.close", "account.reopen", "account.role"]


def test_who_lost_a_role_calls_no_more(organisation: Organisation, administrator: Program) -> None:
    lead = program(organisation, Role.LEAD)
    assert lead.get("/policies").status_code == 200
    assert administrator.post(f"/staff/{lead.account_id}/role", {"role": "operator"}).status_code == 200
    ended = lead.get("/policies")
    assert (ended.status_code, code(ended)) == (401, "token-unknown")


def test_a_program_makes_no_administrator_and_touches_none_but_a_session_does(
    organisation: Organisation, administrator: Program
) -> None:
    clinician, other = program(organisation, Role.CLINICIAN), program(organisation, Role.ADMINISTRATOR)
    for path, body in (
        ("/staff", person("administrator")),
        (f"/staff/{clinician.account_id}/role", {"role": "administrator"}),
        (f"/staff/{other.account_id}/role", {"role": "clinician"}),
        (f"/staff/{other.account_id}/close", {}),
        (f"/staff/{other.account_id}/reopen", None),
    ):
        refused = administrator.post(path, body, key="s5")
        assert (refused.status_code, code(refused)) == (403, "session-needed"), path
    assert {administrator.get(f"/staff/{one.account_id}").json()["role"] for one in (clinician, other)} == {
        "clinician",
        "administrator",
    }
    client, csrf = signed_in(organisation, Role.ADMINISTRATOR)
    path = f"{API}/staff/{clinician.account_id}/role"
    raised = client.post(path, json={"role": "administrator"}, headers={"X-CSRF-Token": csrf})
    assert (raised.status_code, raised.json()["role"]) == (200, "administrator")


def test_one_s_own_account_the_privacy_lead_s_and_a_stranger_s_stay_as_they_are(
    running: Running, organisation: Organisation, administrator: Program
) -> None:
    client, csrf = signed_in(organisation, Role.ADMINISTRATOR)
    mine = client.get(f"{API}/account").json()["id"]
    own = client.post(f"{API}/staff/{mine}/close", json={}, headers={"X-CSRF-Token": csrf})
    assert (own.status_code, code(own)) == (409, "not-yourself")
    auditor = program(organisation, Role.AUDITOR)
    named = client.post("/staff/privacy-lead", data={"csrf": csrf, "lead": str(auditor.account_id)})
    assert named.status_code == 303
    for path, body in (("close", {}), ("role", {"role": "operator"})):
        kept = administrator.post(f"/staff/{auditor.account_id}/{path}", body)
        assert (kept.status_code, code(kept)) == (409, "is-privacy-lead")
    stranger = program(running.organisation(), Role.CLINICIAN)
    for path, body in (("close", {}), ("role", {"role": "lead"}), ("reopen", None)):
        assert administrator.post(f"/staff/{stranger.account_id}/{path}", body).status_code == 404
