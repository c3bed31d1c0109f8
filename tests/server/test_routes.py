"""Every route as every role and as nobody, against one table: a new route without an entry fails.

The table says what a route demands; who may do what is `server.accounts.permissions`, which is tested here through the
running server and not by reading it.
"""

import os
import re
from collections.abc import Iterator

import httpx
import pytest
from fastapi.routing import iter_route_contexts

import server.accounts.service
from reader import wire
from server.accounts.models import Role
from server.accounts.permissions import May
from server.database import tenancy
from server.hubs.endpoints import ENROL_PATH, TOKEN_PATH
from tests.server.conftest import Database
from tests.server.running import PASSWORD, Organisation, Running, run

PUBLIC = "public"
"""Anybody: there is nothing of anybody's behind it."""
HUB = "hub"
"""A hub with its own token; no person's session opens it."""
PERSON = "person"
"""Anybody who is signed in, whatever their role."""
OWN = "own"
"""As PERSON, and even while the account asks for something first."""

ROUTES: dict[tuple[str, str], str] = {
    ("GET", "/sign-in"): PUBLIC,
    ("POST", "/sign-in"): PUBLIC,
    ("GET", "/sign-in/code"): PUBLIC,
    ("POST", "/sign-in/code"): PUBLIC,
    ("GET", "/sign-in/with/{name}"): PUBLIC,
    ("GET", "/sign-in/with/{name}/return"): PUBLIC,
    ("GET", "/static"): PUBLIC,
    ("POST", ENROL_PATH): HUB,
    ("POST", TOKEN_PATH): HUB,
    ("POST", wire.EXCHANGE_PATH): HUB,
    ("GET", wire.IMAGES_PATH): HUB,
    ("GET", wire.IMAGES_PATH + "/{image_id}"): HUB,
    ("GET", "/"): PERSON,
    ("GET", "/account"): OWN,
    ("GET", "/account/password"): OWN,
    ("POST", "/account/password"): OWN,
    ("POST", "/account/sessions/end"): OWN,
    ("GET", "/account/second-factor"): OWN,
    ("POST", "/account/second-factor/begin"): OWN,
    ("POST", "/account/second-factor/confirm"): OWN,
    ("GET", "/account/second-factor/off"): OWN,
    ("POST", "/account/second-factor/off"): OWN,
    ("GET", "/worklist/list"): May.READ_RESULTS,
    ("GET", "/worklist/events"): May.READ_RESULTS,
    ("GET", "/results/{result_id}"): May.READ_RESULTS,
    ("GET", "/results/{result_id}/follow-up/{act}"): May.FOLLOW_UP,
    ("POST", "/results/{result_id}/follow-up/{act}"): May.FOLLOW_UP,
    ("GET", "/results/{result_id}/correct"): May.CORRECT,
    ("POST", "/results/{result_id}/correct"): May.CORRECT,
    ("GET", "/people/unmatched"): May.READ_PATIENTS,
    ("GET", "/people/find"): May.READ_PATIENTS,
    ("POST", "/people/find"): May.READ_PATIENTS,
    ("POST", "/people/register"): May.WRITE_PATIENTS,
    ("GET", "/people/registrations"): May.READ_PATIENTS,
    ("GET", "/people/registrations/{registration_id}"): May.READ_PATIENTS,
    ("POST", "/people/registrations/{registration_id}/close"): May.WRITE_PATIENTS,
    ("GET", "/people/{patient_id}"): May.READ_PATIENTS,
    ("POST", "/people/{patient_id}/link"): May.WRITE_PATIENTS,
    ("GET", "/people/{patient_id}/change"): May.WRITE_PATIENTS,
    ("POST", "/people/{patient_id}/change"): May.WRITE_PATIENTS,
    ("GET", "/people/specimens/unlink"): May.WRITE_PATIENTS,
    ("POST", "/people/specimens/unlink"): May.WRITE_PATIENTS,
    ("GET", "/people/{patient_id}/merge"): May.READ_PATIENTS,
    ("POST", "/people/{patient_id}/merge"): May.READ_PATIENTS,
    ("GET", "/people/{patient_id}/merge/{other_id}"): May.READ_PATIENTS,
    ("POST", "/people/{patient_id}/merge/{other_id}"): May.WRITE_PATIENTS,
    ("GET", "/people/{patient_id}/unmerge"): May.READ_PATIENTS,
    ("POST", "/people/{patient_id}/unmerge"): May.WRITE_PATIENTS,
    ("GET", "/custody"): May.SEE_CUSTODY,
    ("GET", "/custody/alerts"): May.SEE_CUSTODY,
    ("POST", "/custody/proof"): May.SEE_CUSTODY,
    ("GET", "/quarantine"): May.SEE_CUSTODY,
    ("POST", "/quarantine/process"): May.PROCESS_QUARANTINE,
    ("GET", "/quality"): May.SEE_CUSTODY,
    ("POST", "/worklist/acknowledge"): May.FOLLOW_UP,
    ("GET", "/policy"): May.SET_POLICY,
    ("GET", "/policy/rule"): May.SET_POLICY,
    ("POST", "/policy/rule"): May.SET_POLICY,
    ("GET", "/policy/hours"): May.SET_POLICY,
    ("POST", "/policy/hours"): May.SET_POLICY,
    ("GET", "/board"): May.SEE_BOARD,
    ("GET", "/board.csv"): May.SEE_BOARD,
    ("GET", "/updates"): May.SEE_CUSTODY,
    ("POST", "/updates"): May.ROLL_OUT,
    ("GET", "/updates/{rollout_id}"): May.SEE_CUSTODY,
    ("GET", "/updates/{rollout_id}/{act}"): May.ROLL_OUT,
    ("POST", "/updates/{rollout_id}/{act}"): May.ROLL_OUT,
    ("GET", "/updates/releases/{image_id}/sbom.json"): May.SEE_CUSTODY,
    ("GET", "/recalls"): May.READ_RESULTS,
    ("GET", "/recalls/new"): May.RECALL,
    ("GET", "/recalls/preview"): May.RECALL,
    ("GET", "/recalls/confirm"): May.RECALL,
    ("POST", "/recalls"): May.RECALL,
    ("GET", "/recalls/{recall_id}"): May.READ_RESULTS,
    ("GET", "/recalls/{recall_id}/people"): May.FOLLOW_UP,
    ("GET", "/recalls/{recall_id}/people.csv"): May.FOLLOW_UP,
    ("GET", "/recalls/{recall_id}/lift"): May.RECALL,
    ("POST", "/recalls/{recall_id}/lift"): May.RECALL,
    ("GET", "/audit"): May.READ_AUDIT,
    ("GET", "/audit/proof"): May.READ_AUDIT,
    ("GET", "/retention"): May.SEE_ERASURES,
    ("GET", "/retention/rules"): May.ERASE,
    ("POST", "/retention/rules"): May.ERASE,
    ("GET", "/retention/run"): May.ERASE,
    ("POST", "/retention/run"): May.ERASE,
    ("GET", "/retention/{erasure_id}"): May.SEE_ERASURES,
    ("GET", "/retention/{erasure_id}/certificate.json"): May.SEE_ERASURES,
    ("GET", "/people/{patient_id}/erase"): May.ERASE_PERSON,
    ("POST", "/people/{patient_id}/erase"): May.ERASE_PERSON,
    ("GET", "/staff"): May.MANAGE_PEOPLE,
    ("POST", "/staff/rule"): May.MANAGE_PEOPLE,
    ("GET", "/staff/privacy-lead"): May.MANAGE_PEOPLE,
    ("POST", "/staff/privacy-lead"): May.MANAGE_PEOPLE,
    ("GET", "/staff/add"): May.MANAGE_PEOPLE,
    ("POST", "/staff/add"): May.MANAGE_PEOPLE,
    ("GET", "/staff/{account_id}"): May.MANAGE_PEOPLE,
    ("GET", "/staff/{account_id}/{act}"): May.MANAGE_PEOPLE,
    ("POST", "/staff/{account_id}/{act}"): May.MANAGE_PEOPLE,
    ("GET", "/webhook"): May.MANAGE_CONNECTIONS,
    ("GET", "/webhook/set"): May.MANAGE_CONNECTIONS,
    ("POST", "/webhook/set"): May.MANAGE_CONNECTIONS,
    ("GET", "/webhook/off"): May.MANAGE_CONNECTIONS,
    ("POST", "/webhook/off"): May.MANAGE_CONNECTIONS,
    ("POST", "/webhook/test"): May.MANAGE_CONNECTIONS,
    ("GET", "/staff/passwords"): May.MANAGE_PEOPLE,
    ("POST", "/staff/passwords"): May.MANAGE_PEOPLE,
    ("GET", "/emergency"): May.USE_EMERGENCY,
    ("POST", "/emergency"): May.USE_EMERGENCY,
    ("POST", "/emergency/end"): May.USE_EMERGENCY,
    ("GET", "/emergency/uses"): May.REVIEW_EMERGENCY,
    ("GET", "/emergency/uses/{access_id}"): May.REVIEW_EMERGENCY,
    ("POST", "/emergency/uses/{access_id}/review"): May.REVIEW_EMERGENCY,
    ("GET", "/account/tokens"): PERSON,
    ("POST", "/account/tokens"): PERSON,
    ("POST", "/account/tokens/revoke"): PERSON,
    ("GET", "/api/v1/openapi.json"): PUBLIC,
    ("GET", "/api/v1/account"): OWN,
    ("GET", "/api/v1/account/sessions"): OWN,
    ("DELETE", "/api/v1/account/sessions/{session_id}"): OWN,
    ("GET", "/api/v1/tokens"): OWN,
    ("POST", "/api/v1/tokens"): PERSON,
    ("DELETE", "/api/v1/tokens/{token_id}"): OWN,
    ("GET", "/api/v1/results"): May.READ_RESULTS,
    ("POST", "/api/v1/results/acknowledge"): May.FOLLOW_UP,
    ("GET", "/api/v1/results/{result_id}"): May.READ_RESULTS,
    ("GET", "/api/v1/results/{result_id}/corrections"): May.READ_RESULTS,
    ("POST", "/api/v1/results/{result_id}/corrections"): May.CORRECT,
    ("GET", "/api/v1/follow-ups"): May.READ_RESULTS,
    ("GET", "/api/v1/follow-ups/owners"): May.FOLLOW_UP,
    ("GET", "/api/v1/follow-ups/{result_id}"): May.READ_RESULTS,
    ("POST", "/api/v1/follow-ups/{result_id}/acts"): May.FOLLOW_UP,
    ("POST", "/api/v1/patients/candidates"): May.READ_PATIENTS,
    ("POST", "/api/v1/patients"): May.WRITE_PATIENTS,
    ("GET", "/api/v1/patients/{patient_id}"): May.READ_PATIENTS,
    ("PUT", "/api/v1/patients/{patient_id}"): May.WRITE_PATIENTS,
    ("POST", "/api/v1/patients/{patient_id}/merge"): May.WRITE_PATIENTS,
    ("POST", "/api/v1/patients/{patient_id}/unmerge"): May.WRITE_PATIENTS,
    ("GET", "/api/v1/specimens/unmatched"): May.READ_PATIENTS,
    ("POST", "/api/v1/specimens/find"): May.READ_PATIENTS,
    ("POST", "/api/v1/specimens/link"): May.WRITE_PATIENTS,
    ("POST", "/api/v1/specimens/unlink"): May.WRITE_PATIENTS,
    ("GET", "/api/v1/policies"): May.SET_POLICY,
    ("GET", "/api/v1/policies/{assay}/{outcome}"): May.SET_POLICY,
    ("PUT", "/api/v1/policies/{assay}/{outcome}"): May.SET_POLICY,
    ("GET", "/api/v1/policies/{assay}/{outcome}/versions"): May.SET_POLICY,
    ("GET", "/api/v1/working-hours"): May.SET_POLICY,
    ("PUT", "/api/v1/working-hours"): May.SET_POLICY,
    ("GET", "/api/v1/recalls"): May.READ_RESULTS,
    ("POST", "/api/v1/recalls/preview"): May.RECALL,
    ("POST", "/api/v1/recalls"): May.RECALL,
    ("GET", "/api/v1/recalls/{recall_id}"): May.READ_RESULTS,
    ("GET", "/api/v1/recalls/{recall_id}/people"): May.FOLLOW_UP,
    ("POST", "/api/v1/recalls/{recall_id}/lift"): May.RECALL,
    ("GET", "/api/v1/board"): May.SEE_BOARD,
    ("GET", "/api/v1/custody/readers"): May.SEE_CUSTODY,
    ("POST", "/api/v1/custody/readers/{reader_id}/proof"): May.SEE_CUSTODY,
    ("GET", "/api/v1/custody/alerts"): May.SEE_CUSTODY,
    ("GET", "/api/v1/quarantine"): May.SEE_CUSTODY,
    ("POST", "/api/v1/quarantine/process"): May.PROCESS_QUARANTINE,
    ("GET", "/api/v1/quality-control"): May.SEE_CUSTODY,
    ("GET", "/api/v1/releases"): May.SEE_CUSTODY,
    ("GET", "/api/v1/rollouts"): May.SEE_CUSTODY,
    ("POST", "/api/v1/rollouts"): May.ROLL_OUT,
    ("GET", "/api/v1/rollouts/{rollout_id}"): May.SEE_CUSTODY,
    ("GET", "/api/v1/rollouts/{rollout_id}/readers"): May.SEE_CUSTODY,
    ("POST", "/api/v1/rollouts/{rollout_id}/pause"): May.ROLL_OUT,
    ("POST", "/api/v1/rollouts/{rollout_id}/resume"): May.ROLL_OUT,
    ("POST", "/api/v1/rollouts/{rollout_id}/stop"): May.ROLL_OUT,
    ("GET", "/api/v1/audit"): May.READ_AUDIT,
    ("GET", "/api/v1/audit/proof"): May.READ_AUDIT,
    ("GET", "/api/v1/retention/rules"): May.SEE_ERASURES,
    ("POST", "/api/v1/erasures/preview"): May.ERASE,
    ("POST", "/api/v1/erasures"): May.ERASE,
    ("GET", "/api/v1/erasures"): May.SEE_ERASURES,
    ("GET", "/api/v1/erasures/{erasure_id}"): May.SEE_ERASURES,
    ("GET", "/api/v1/erasures/{erasure_id}/certificate"): May.SEE_ERASURES,
    ("GET", "/api/v1/patients/{patient_id}/erasure"): May.ERASE_PERSON,
    ("POST", "/api/v1/patients/{patient_id}/erasure"): May.ERASE_PERSON,
    ("GET", "/api/v1/emergency-uses"): May.REVIEW_EMERGENCY,
    ("GET", "/api/v1/emergency-uses/{use_id}"): May.REVIEW_EMERGENCY,
    ("GET", "/api/v1/emergency-uses/{use_id}/reads"): May.REVIEW_EMERGENCY,
    ("POST", "/api/v1/emergency-uses/{use_id}/review"): May.REVIEW_EMERGENCY,
    ("GET", "/api/v1/staff"): May.MANAGE_PEOPLE,
    ("POST", "/api/v1/staff"): May.MANAGE_PEOPLE,
    ("GET", "/api/v1/staff/{account_id}"): May.MANAGE_PEOPLE,
    ("POST", "/api/v1/staff/{account_id}/role"): May.MANAGE_PEOPLE,
    ("POST", "/api/v1/staff/{account_id}/close"): May.MANAGE_PEOPLE,
    ("POST", "/api/v1/staff/{account_id}/reopen"): May.MANAGE_PEOPLE,
    # Last: it ends the session that walks.
    ("POST", "/sign-out"): OWN,
}

# What each role may do, written out a second time: a slip in the server's own table must not pass unseen.
CARE = {May.READ_RESULTS, May.FOLLOW_UP, May.READ_PATIENTS, May.WRITE_PATIENTS, May.SEE_CUSTODY}
ROLES: dict[Role, set[May]] = {
    Role.CLINICIAN: CARE,
    Role.LEAD: CARE
    | {May.PROCESS_QUARANTINE, May.SET_POLICY, May.RECALL, May.ROLL_OUT, May.CORRECT}
    | {May.SEE_ERASURES, May.ERASE, May.ERASE_PERSON},
    Role.OPERATOR: {May.SEE_CUSTODY, May.USE_EMERGENCY},
    Role.ADMINISTRATOR: {
        May.SEE_CUSTODY,
        May.PROCESS_QUARANTINE,
        May.MANAGE_PEOPLE,
        May.MANAGE_DEVICES,
        May.MANAGE_CONNECTIONS,
        May.USE_EMERGENCY,
        May.SEE_ERASURES,
        May.ERASE,
    },
    Role.AUDITOR: {May.SEE_CUSTODY, May.READ_AUDIT, May.REVIEW_EMERGENCY, May.SEE_ERASURES},
}
BOARD = {Role.CLINICIAN, Role.LEAD, Role.ADMINISTRATOR, Role.AUDITOR}


@pytest.fixture(scope="module")
def running(database: Database) -> Iterator[Running]:
    with run(database.owner, database.app) as started:
        yield started


@pytest.fixture(scope="module")
def organisation(running: Running) -> Organisation:
    return running.organisation()


def signed_in(organisation: Organisation, role: str, *, must_change_password: bool = False) -> tuple[httpx.Client, str]:
    """A client with a person of that role behind it, and the token of their forms."""
    running = organisation.running
    email = f"{role}-{os.urandom(4).hex()}@example.org"

    async def create() -> None:
        async with tenancy.transaction(running.app.state.doorstep.sessions) as session:
            await server.accounts.service.create_user(
                session, email, "A Person", role, PASSWORD, organisation.id, must_change_password=must_change_password
            )

    running.call(create())
    client = httpx.Client(base_url=running.url, timeout=60)
    form = {"csrf": token(client.get("/sign-in")), "email": email, "password": PASSWORD}
    assert client.post("/sign-in", data=form).status_code == 303
    return client, token(client.get("/account/password"))


def token(page: httpx.Response) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def asked(client: httpx.Client, method: str, path: str, csrf: str = "") -> tuple[int, str]:
    """Status and problem code of one request; a path's parameters name nothing that exists.

    A call of the interface is made with the session too, which takes its form's token in a header.
    """
    address = re.sub(r"\{\w+_id\}", "00000000-0000-0000-0000-0000000000aa", path).replace("{act}", "role")
    address = address.replace("{assay}/{outcome}", "sars2-ag/positive")
    call = path.startswith("/api/")
    headers = {"X-CSRF-Token": csrf} if call and csrf else {}
    form = {"csrf": csrf} if method == "POST" and not call else None
    body = {} if call and method != "GET" else None
    # A stream is left as soon as it has begun.
    with client.stream(method, address, data=form, json=body, headers=headers) as answer:
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            return answer.status_code, ""
        answer.read()
    problem = answer.headers.get("content-type", "").startswith("application/problem+json")
    return answer.status_code, answer.json()["code"] if problem else ""


def every_route(running: Running) -> set[tuple[str, str]]:
    """(method, path) of every route that the application serves, mounts as GET."""
    found: set[tuple[str, str]] = set()
    for route in iter_route_contexts(running.app.routes):
        assert route.path, route
        found |= {(method, route.path) for method in (route.methods or {"GET"}) - {"HEAD"}}
    return found


def test_every_route_is_in_the_table_and_nothing_else_is(running: Running) -> None:
    assert every_route(running) == set(ROUTES)


def test_nobody_gets_past_the_sign_in(running: Running) -> None:
    with httpx.Client(base_url=running.url, timeout=60) as nobody:
        wrong: dict[tuple[str, str], tuple[int, str]] = {}
        for (method, path), need in ROUTES.items():
            status, code = asked(nobody, method, path)
            if need == PUBLIC:
                right = code != "sign-in-needed" and status < 500
            elif need == HUB:
                right = 400 <= status < 500
            else:
                right = (status, code) == (401, "sign-in-needed")
            if not right:
                wrong[method, path] = (status, code)
    assert wrong == {}


@pytest.mark.parametrize("role", list(Role))
def test_a_role_reaches_what_the_table_says_and_nothing_more(organisation: Organisation, role: Role) -> None:
    client, csrf = signed_in(organisation, role)
    wrong: dict[tuple[str, str], tuple[int, str]] = {}
    for (method, path), need in ROUTES.items():
        status, code = asked(client, method, path, csrf)
        if need == HUB:
            right = 400 <= status < 500
        elif need in (PUBLIC, PERSON, OWN) or need in ROLES[role] or (need == May.SEE_BOARD and role in BOARD):
            right = status < 500 and code not in ("sign-in-needed", "not-allowed", "account-not-ready")
        else:
            right = (status, code) == (403, "not-allowed")
        if not right:
            wrong[method, path] = (status, code)
    assert wrong == {}


@pytest.mark.parametrize("role", [Role.LEAD, Role.ADMINISTRATOR])
def test_no_form_is_taken_without_its_token(organisation: Organisation, role: Role) -> None:
    client, _ = signed_in(organisation, role)
    acts = [route for route, need in ROUTES.items() if route[0] != "GET" and need not in (PUBLIC, HUB)]
    refused = {(method, path): asked(client, method, path, "0" * 43) for method, path in acts}
    assert {route: answer for route, answer in refused.items() if answer != (403, "form-not-ours")} == {}
    # A call with the session's cookie and nothing else is what any site can make a browser send.
    bare = {route: asked(client, *route) for route in acts if route[1].startswith("/api/")}
    assert {route: answer for route, answer in bare.items() if answer != (403, "form-not-ours")} == {}


def test_a_first_password_opens_one_s_own_account_and_nothing_else(organisation: Organisation) -> None:
    client, csrf = signed_in(organisation, Role.LEAD, must_change_password=True)
    for (method, path), need in ROUTES.items():
        if need not in (PUBLIC, HUB):
            _, code = asked(client, method, path, csrf)
            assert (code == "account-not-ready") == (need != OWN), (method, path, code)


@pytest.mark.parametrize("role", list(Role))
def test_each_role_begins_on_a_page_it_may_see_and_every_link_of_its_header_opens(
    organisation: Organisation, role: Role
) -> None:
    client, _ = signed_in(organisation, role)
    client.headers["Accept"] = "text/html"
    page = client.get("/", follow_redirects=True)
    assert page.status_code == 200
    begins = {Role.CLINICIAN: "/", Role.LEAD: "/", Role.ADMINISTRATOR: "/staff"}
    assert page.url.path == begins.get(role, "/custody")
    header = page.text.partition("<header")[2].partition("</header>")[0]
    links = re.findall(r'href="([^"]+)"', header)
    assert "/account" in links
    assert {link: client.get(link, follow_redirects=True).status_code for link in links} == dict.fromkeys(links, 200)
    back = re.findall(r'href="([^"]+)" class="nhsuk-back-link', page.text)
    assert [link for link in back if client.get(link).status_code != 200] == []
