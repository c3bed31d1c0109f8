"""Access tokens: made by somebody who is signed in, shown once, hashed, ending, revocable."""

import hashlib
import os
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from server.accounts.models import Role
from server.accounts.permissions import May
from server.database import tenancy
from server.database.columns import now
from tests.server.api.programs import API, Program, code, program
from tests.server.running import PASSWORD, Organisation
from tests.server.test_routes import signed_in


def rows(organisation: Organisation, statement: str, **values: Any) -> list[Any]:
    """What the organisation sees in the database, or what it changes there."""

    async def read() -> list[Any]:
        async with tenancy.transaction(organisation.running.app.state.doorstep.sessions, organisation.id) as session:
            found = await (await session.connection()).execute(text(statement), values)
            return list(found.all()) if found.returns_rows else []

    return organisation.running.call(read())


def call(organisation: Organisation, secret: str, path: str = "/account") -> httpx.Response:
    return httpx.get(organisation.running.url + API + path, headers={"Authorization": f"Bearer {secret}"}, timeout=30)


def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, code(answer)


def test_somebody_who_is_signed_in_makes_a_token_that_is_kept_as_a_hash(organisation: Organisation) -> None:
    browser, csrf = signed_in(organisation, Role.CLINICIAN)
    asked = {"name": "Weekly report", "days": 7, "may": ["read-results"]}
    made = browser.post(f"{API}/tokens", json=asked, headers={"X-CSRF-Token": csrf})
    assert made.status_code == 201
    secret = made.json()["secret"]
    assert secret.startswith("doorstep_")
    kept = rows(organisation, "SELECT secret_hash, used_at FROM access_token WHERE name = 'Weekly report'")
    assert [bytes(row.secret_hash) for row in kept] == [hashlib.sha256(secret.encode()).digest()]
    assert call(organisation, secret).json()["may"] == ["read-results"]
    assert call(organisation, secret, "/results").status_code == 200
    assert refused(call(organisation, secret, "/custody/readers")) == (403, "not-allowed")
    [token] = call(organisation, secret, "/tokens").json()["items"]
    assert token["used_at"] is not None
    assert secret not in call(organisation, secret, "/tokens").text
    noted = rows(organisation, "SELECT detail::text AS detail FROM audit_entry WHERE action = 'token.make'")
    assert noted
    assert secret not in "".join(row.detail for row in noted)
    # Whose program acted can be told: once a minute its use is an entry of its own.
    used = rows(organisation, "SELECT subject FROM audit_entry WHERE action = 'token.use'")
    assert [row.subject for row in used] == [token["id"]]


def test_a_token_makes_no_token(organisation: Organisation) -> None:
    answer = program(organisation, Role.LEAD).post("/tokens", {"name": "Another"})
    assert refused(answer) == (403, "session-needed")


def test_a_session_acts_only_with_its_own_token_of_forms(organisation: Organisation) -> None:
    browser, csrf = signed_in(organisation, Role.LEAD)
    assert browser.get(f"{API}/results").status_code == 200
    for headers in ({}, {"X-CSRF-Token": "0" * 43}):
        answer = browser.post(f"{API}/tokens", json={"name": "Forged"}, headers=headers)
        assert refused(answer) == (403, "form-not-ours")
    # A page of another site sends no Authorization header; one that is wrong is not made good by the cookie.
    answer = browser.get(f"{API}/results", headers={"Authorization": "Bearer doorstep_wrong"})
    assert refused(answer) == (401, "token-unknown")
    assert browser.post(f"{API}/tokens", json={"name": "Own"}, headers={"X-CSRF-Token": csrf}).status_code == 201


def test_a_token_in_an_address_opens_nothing(organisation: Organisation) -> None:
    caller = program(organisation, Role.LEAD)
    for name in ("access_token", "token"):
        answer = httpx.get(f"{organisation.running.url}{API}/account", params={name: caller.secret}, timeout=30)
        assert refused(answer) == (401, "sign-in-needed")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("secret", ["-", "doorstep_", "doorstep_" + "A" * 43, "Ã¶", "x" * 5_000])
def test_what_is_no_token_is_refused_alike(organisation: Organisation, secret: str) -> None:
    answer = httpx.get(
        f"{organisation.running.url}{API}/account",
        headers=[(b"Authorization", b"Bearer " + secret.encode())],
        timeout=30,
    )
    assert refused(answer) == (401, "token-unknown")
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_a_token_ends_at_its_time(organisation: Organisation) -> None:
    caller = program(organisation, Role.LEAD)
    ended = "UPDATE access_token SET expires_at = :at WHERE account_id = :account"
    rows(organisation, ended, at=now() - timedelta(seconds=1), account=caller.account_id)
    assert refused(caller.get("/account")) == (401, "token-unknown")


def test_a_revoked_token_opens_nothing_and_can_revoke_itself(organisation: Organisation) -> None:
    caller = program(organisation, Role.LEAD)
    [token] = caller.get("/tokens").json()["items"]
    assert caller.delete(f"/tokens/{token['id']}").status_code == 204
    assert refused(caller.get("/account")) == (401, "token-unknown")


def test_nobody_sees_or_revokes_the_token_of_another(organisation: Organisation) -> None:
    one, other = program(organisation, Role.LEAD), program(organisation, Role.LEAD)
    [token] = one.get("/tokens").json()["items"]
    assert refused(other.delete(f"/tokens/{token['id']}")) == (404, "not-found")
    assert len(other.get("/tokens").json()["items"]) == 1
    assert one.get("/account").status_code == 200


def _role(organisation: Organisation, caller: Program) -> None:
    admin, csrf = signed_in(organisation, Role.ADMINISTRATOR)
    form = {"csrf": csrf, "role": "auditor"}
    assert admin.post(f"/staff/{caller.account_id}/role", data=form).status_code == 303


def _close(organisation: Organisation, caller: Program) -> None:
    admin, csrf = signed_in(organisation, Role.ADMINISTRATOR)
    assert admin.post(f"/staff/{caller.account_id}/close", data={"csrf": csrf}).status_code == 303


def _password(organisation: Organisation, caller: Program) -> None:
    from tests.server.accounts.people import browser_of, post

    browser = browser_of(organisation, caller.email)
    new = f"gravel pudding {os.urandom(3).hex()}"
    assert post(browser, "/account/password", old=PASSWORD, new=new, again=new).status_code == 303


def _everywhere(organisation: Organisation, caller: Program) -> None:
    from tests.server.accounts.people import browser_of, post

    browser = browser_of(organisation, caller.email)
    assert post(browser, "/account/sessions/end", "/account/password", session="others").status_code == 303


@pytest.mark.parametrize("happens", [_role, _close, _password, _everywhere])
def test_what_ends_every_session_ends_every_token(organisation: Organisation, happens: Any) -> None:
    caller = program(organisation, Role.CLINICIAN)
    assert caller.get("/account").status_code == 200
    happens(organisation, caller)
    assert refused(caller.get("/account")) == (401, "token-unknown")


def test_nobody_has_more_tokens_than_can_be_kept_an_eye_on(organisation: Organisation) -> None:
    browser, csrf = signed_in(organisation, Role.AUDITOR)
    headers = {"X-CSRF-Token": csrf}
    made = [browser.post(f"{API}/tokens", json={"name": f"Program {n}"}, headers=headers) for n in range(21)]
    assert [answer.status_code for answer in made] == [201] * 20 + [409]
    assert code(made[-1]) == "too-many-tokens"


@pytest.mark.parametrize(
    "asked",
    [
        {"name": ""},
        {"name": "x", "days": 0},
        {"name": "x", "days": 91},
        {"name": "x", "may": []},
        {"name": "x", "may": ["everything"]},
        # Not an auditor's, so not an auditor's token's.
        {"name": "x", "may": [May.READ_RESULTS]},
        {"name": "x", "admin": True},
    ],
)
def test_a_token_that_cannot_be_is_refused_in_words(organisation: Organisation, asked: dict[str, Any]) -> None:
    browser, csrf = signed_in(organisation, Role.AUDITOR)
    answer = browser.post(f"{API}/tokens", json=asked, headers={"X-CSRF-Token": csrf})
    assert answer.status_code == 422
    assert answer.json()["detail"]
    assert browser.get(f"{API}/tokens").json()["items"] == []


def test_a_session_of_one_s_own_is_ended_by_a_call_and_no_one_else_s(organisation: Organisation) -> None:
    one, csrf = signed_in(organisation, Role.LEAD)
    other, _ = signed_in(organisation, Role.LEAD)
    [theirs] = other.get(f"{API}/account/sessions").json()["items"]
    assert theirs["current"]
    answer = one.delete(f"{API}/account/sessions/{theirs['id']}", headers={"X-CSRF-Token": csrf})
    assert answer.status_code == 204
    assert other.get(f"{API}/account").status_code == 200
    account = UUID(one.get(f"{API}/account").json()["id"])
    assert rows(organisation, "SELECT 1 FROM sign_in WHERE account_id = :account", account=account)
