"""A call and the page that does the same decide alike, for every role; a narrowed token reaches less, never more."""

import re

import httpx
import pytest

from server.accounts.models import Role
from server.accounts.permissions import May
from tests.server.api.programs import API, code, program
from tests.server.running import Organisation, Running
from tests.server.test_routes import ROUTES, asked, signed_in

_NOTHING = "00000000-0000-0000-0000-0000000000aa"

# What can be done on the pages, and the calls that do the same.
SAME: dict[tuple[str, str], list[tuple[str, str]]] = {
    ("GET", "/worklist/list"): [("GET", "/results"), ("GET", "/follow-ups")],
    ("GET", "/results/{result_id}"): [
        ("GET", "/results/{result_id}"),
        ("GET", "/results/{result_id}/corrections"),
        ("GET", "/follow-ups/{result_id}"),
    ],
    ("POST", "/results/{result_id}/correct"): [("POST", "/results/{result_id}/corrections")],
    ("POST", "/worklist/acknowledge"): [("POST", "/results/acknowledge")],
    ("GET", "/results/{result_id}/follow-up/{act}"): [("GET", "/follow-ups/owners")],
    ("POST", "/results/{result_id}/follow-up/{act}"): [("POST", "/follow-ups/{result_id}/acts")],
    ("POST", "/people/find"): [("POST", "/patients/candidates")],
    ("POST", "/people/register"): [("POST", "/patients")],
    ("GET", "/people/{patient_id}"): [("GET", "/patients/{patient_id}"), ("POST", "/specimens/find")],
    ("POST", "/people/{patient_id}/change"): [
        ("PUT", "/patients/{patient_id}"),
        ("POST", "/patients/{patient_id}/merge"),
        ("POST", "/patients/{patient_id}/unmerge"),
    ],
    ("POST", "/people/{patient_id}/link"): [("POST", "/specimens/link")],
    ("POST", "/people/specimens/unlink"): [("POST", "/specimens/unlink")],
    ("GET", "/people/unmatched"): [("GET", "/specimens/unmatched")],
    ("GET", "/policy"): [("GET", "/policies"), ("GET", "/working-hours")],
    ("GET", "/policy/rule"): [
        ("GET", "/policies/{assay}/{outcome}"),
        ("GET", "/policies/{assay}/{outcome}/versions"),
    ],
    ("POST", "/policy/rule"): [("PUT", "/policies/{assay}/{outcome}")],
    ("POST", "/policy/hours"): [("PUT", "/working-hours")],
    ("GET", "/recalls"): [("GET", "/recalls")],
    ("GET", "/recalls/preview"): [("POST", "/recalls/preview")],
    ("POST", "/recalls"): [("POST", "/recalls")],
    ("GET", "/recalls/{recall_id}"): [("GET", "/recalls/{recall_id}")],
    ("GET", "/recalls/{recall_id}/people"): [("GET", "/recalls/{recall_id}/people")],
    ("POST", "/recalls/{recall_id}/lift"): [("POST", "/recalls/{recall_id}/lift")],
    ("GET", "/board"): [("GET", "/board")],
    ("GET", "/custody"): [("GET", "/custody/readers")],
    ("GET", "/custody/alerts"): [("GET", "/custody/alerts")],
    ("POST", "/custody/proof"): [("POST", "/custody/readers/{reader_id}/proof")],
    ("GET", "/quarantine"): [("GET", "/quarantine")],
    ("POST", "/quarantine/process"): [("POST", "/quarantine/process")],
    ("GET", "/quality"): [("GET", "/quality-control")],
    ("GET", "/audit"): [("GET", "/audit")],
    ("GET", "/audit/proof"): [("GET", "/audit/proof")],
    ("GET", "/retention"): [("GET", "/retention/rules"), ("GET", "/erasures")],
    ("GET", "/retention/run"): [("POST", "/erasures/preview")],
    ("POST", "/retention/run"): [("POST", "/erasures")],
    ("GET", "/retention/{erasure_id}"): [("GET", "/erasures/{erasure_id}")],
    ("GET", "/retention/{erasure_id}/certificate.json"): [("GET", "/erasures/{erasure_id}/certificate")],
    ("GET", "/people/{patient_id}/erase"): [("GET", "/patients/{patient_id}/erasure")],
    ("POST", "/people/{patient_id}/erase"): [("POST", "/patients/{patient_id}/erasure")],
    ("GET", "/emergency/uses"): [("GET", "/emergency-uses")],
    ("GET", "/emergency/uses/{access_id}"): [
        ("GET", "/emergency-uses/{use_id}"),
        ("GET", "/emergency-uses/{use_id}/reads"),
    ],
    ("POST", "/emergency/uses/{access_id}/review"): [("POST", "/emergency-uses/{use_id}/review")],
    ("GET", "/updates"): [("GET", "/releases"), ("GET", "/rollouts")],
    ("POST", "/updates"): [("POST", "/rollouts")],
    ("GET", "/updates/{rollout_id}"): [
        ("GET", "/rollouts/{rollout_id}"),
        ("GET", "/rollouts/{rollout_id}/readers"),
    ],
    ("POST", "/updates/{rollout_id}/{act}"): [
        ("POST", "/rollouts/{rollout_id}/pause"),
        ("POST", "/rollouts/{rollout_id}/resume"),
        ("POST", "/rollouts/{rollout_id}/stop"),
    ],
    ("GET", "/staff"): [("GET", "/staff")],
    ("GET", "/staff/{account_id}"): [("GET", "/staff/{account_id}")],
    ("POST", "/staff/add"): [("POST", "/staff")],
    ("POST", "/staff/{account_id}/{act}"): [
        ("POST", "/staff/{account_id}/role"),
        ("POST", "/staff/{account_id}/close"),
        ("POST", "/staff/{account_id}/reopen"),
    ],
    ("GET", "/account"): [("GET", "/account"), ("GET", "/account/sessions")],
    ("GET", "/account/tokens"): [("GET", "/tokens")],
    ("POST", "/account/tokens/revoke"): [("DELETE", "/tokens/{token_id}")],
    ("POST", "/account/sessions/end"): [("DELETE", "/account/sessions/{session_id}")],
}
# Only a session makes a token, which another test shows; and what describes the calls is nobody's.
BY_SESSION = {("POST", "/tokens"), ("GET", "/openapi.json")}
CALLS = [call for calls in SAME.values() for call in calls]


def answer(client: httpx.Client, method: str, path: str) -> tuple[int, str]:
    """Status and problem code of a call about nothing that exists."""
    address = re.sub(r"\{\w+_id\}", _NOTHING, path).replace("{assay}/{outcome}", "sars2-ag/positive")
    said = client.request(method, API + address, json={} if method != "GET" else None)
    return said.status_code, said.json()["code"] if said.status_code >= 400 else ""


def test_every_call_is_held_against_a_page() -> None:
    calls = {(method, path.removeprefix(API)) for method, path in ROUTES if path.startswith(API)}
    assert calls == {*CALLS, *BY_SESSION}


@pytest.mark.parametrize("role", list(Role))
def test_a_call_decides_as_its_page_does(running: Running, organisation: Organisation, role: Role) -> None:
    client, csrf = signed_in(organisation, role)
    caller = program(organisation, role)
    decided: dict[str, tuple[bool, bool]] = {}
    for page, calls in SAME.items():
        status, said = asked(client, *page, csrf)
        assert status < 500, page
        for call in calls:
            call_status, call_said = answer(caller.client, *call)
            assert call_status < 500, call
            decided[f"{page} as {call}"] = (said == "not-allowed", call_said == "not-allowed")
    assert {what: both for what, both in decided.items() if both[0] != both[1]} == {}
    assert any(page for page, _ in decided.values()), "every role is refused something"


@pytest.mark.parametrize("act", [May.READ_RESULTS, May.SEE_BOARD, May.WRITE_PATIENTS])
def test_a_narrowed_token_does_what_it_names_and_nothing_more(organisation: Organisation, act: May) -> None:
    whole, narrow = program(organisation, Role.LEAD), program(organisation, Role.LEAD, [act])
    for method, path in CALLS:
        need = ROUTES[method, API + path]
        status, said = answer(narrow.client, method, path)
        if need in set(May):
            assert (said == "not-allowed") == (need != act or answer(whole.client, method, path)[0] == 403), path
        else:
            assert status != 403, path


def test_a_token_never_adds_to_a_role(organisation: Organisation) -> None:
    # As a clinician's token would be after they became an operator.
    operator = program(organisation, Role.OPERATOR)
    before = operator.get("/results")
    assert (before.status_code, code(before)) == (403, "not-allowed")
    assert operator.get("/custody/readers").status_code == 200


def test_who_has_to_change_a_first_password_calls_nothing_but_their_own_account(organisation: Organisation) -> None:
    new = program(organisation, Role.LEAD, must_change_password=True)
    refused = new.get("/results")
    assert (refused.status_code, code(refused)) == (403, "account-not-ready")
    assert new.get("/account").json()["first"] == "/account/password"
