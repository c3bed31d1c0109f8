"""Signing in by an organisation's own provider: who gets in, and what no answer of a provider can bring about.

Against a real provider in a process of its own, and against one that lies.
"""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest
from joserfc.jwk import RSAKey

from server.hubs.throttle import network
from server.openid import attempts, id_token, provider, repository, secrecy
from tests.server.accounts import openid
from tests.server.accounts.openid import Lying, RealProvider, a_browser, at_provider, begun, code_of, through_provider
from tests.server.accounts.people import browser_of, code, enrol, made, post
from tests.server.running import Organisation, Running


@pytest.fixture(scope="module")
def real(running: Running) -> Iterator[RealProvider]:
    with openid.real_provider(running) as started:
        yield started


@pytest.fixture(autouse=True)
def forgiven(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The failures of other tests, all of one address, count against none."""
    allowance = running.app.state.doorstep.providers.failures
    monkeypatch.setattr(allowance, "_spent", type(allowance._spent)())


@pytest.fixture
def lying() -> Iterator[Lying]:
    with openid.lying_provider() as started:
        yield started


@pytest.fixture
def named(organisation: Organisation, real: RealProvider) -> str:
    """The name of the organisation's provider, which is the real one."""
    name = real.name()
    openid.set_provider(organisation, real.issuer, name)
    return name


def rows(running: Running, statement: str, *values: object) -> list[tuple[object, ...]]:
    with psycopg.connect(running.owner_url) as link:
        return link.execute(statement, values).fetchall()  # pyright: ignore[reportArgumentType]


def signed_in(client: httpx.Client) -> bool:
    return client.get("/account").status_code == 200


def test_a_person_comes_in_by_the_provider_to_the_page_that_was_wanted_and_stays_the_same_when_the_address_changes(
    running: Running, organisation: Organisation, named: str, real: RealProvider
) -> None:
    openid.set_provider(organisation, real.issuer, named, listed=True)
    with a_browser(running) as client:
        assert f"/sign-in/with/{named}?next=/quarantine" in client.get("/sign-in?next=/quarantine").text
        answer = through_provider(client, named, f"robin-1 {organisation.email.upper()}", wanted="/quarantine")
        assert (answer.status_code, answer.headers["location"]) == (303, "/quarantine")
        assert organisation.email in client.get("/account").text
        assert "doorstep-provider" not in client.cookies
    [(account_id,)] = rows(running, "SELECT id FROM account WHERE email = %s", organisation.email)
    assert openid.linked(organisation, real.issuer, "robin-1") == account_id
    with a_browser(running) as client:
        assert through_provider(client, named, "robin-1 married@example.org").status_code == 303
        assert organisation.email in client.get("/account").text
    noted = "SELECT action FROM audit_entry WHERE actor = %s ORDER BY id"
    assert rows(running, noted, str(account_id)) == [("openid.link",), ("sign-in",), ("sign-in",)]


@pytest.mark.parametrize("foreign", ["https://example.net/", "//example.net", "/\\example.net"])
def test_coming_back_never_leads_to_another_site(
    running: Running, organisation: Organisation, named: str, foreign: str
) -> None:
    with a_browser(running) as client:
        answer = through_provider(client, named, f"robin-2 {organisation.email}", wanted=foreign)
        assert answer.headers["location"] == "/"


def test_nobody_gets_an_account_by_signing_in_and_the_refusal_is_noted(
    running: Running, organisation: Organisation, named: str
) -> None:
    before = rows(running, "SELECT count(*) FROM account")
    with a_browser(running) as client:
        answer = through_provider(client, named, "stranger-1 stranger@example.org")
        assert (answer.status_code, code_of(answer)) == (403, "not-known-here")
        assert "Ask an administrator where you work" in answer.text
        assert not signed_in(client)
    assert rows(running, "SELECT count(*) FROM account") == before
    noted = "SELECT actor_kind, action, subject FROM audit_entry WHERE organisation_id = %s AND actor = %s"
    assert rows(running, noted, organisation.id, named) == [("provider", "sign-in.refused", "not-known-here")]


def test_a_provider_opens_no_account_of_another_organisation(
    running: Running, organisation: Organisation, named: str
) -> None:
    other = running.organisation()
    with a_browser(running) as client:
        assert code_of(through_provider(client, named, f"across-1 {other.email}")) == "not-known-here"
        assert not signed_in(client)


def test_an_address_that_the_provider_has_not_verified_opens_nothing(
    running: Running, organisation: Organisation, named: str
) -> None:
    with a_browser(running) as client:
        answer = through_provider(client, named, f"unsure-1 {organisation.email} unverified")
        assert (answer.status_code, code_of(answer)) == (403, "email-not-verified")
        assert not signed_in(client)


def test_a_closed_account_stays_closed_whether_it_is_linked_or_not(
    running: Running, organisation: Organisation, named: str
) -> None:
    administrator = browser_of(organisation, made(organisation, "administrator")[0])
    linked, linked_id = made(organisation, "clinician", "Linked Person")
    fresh, fresh_id = made(organisation, "clinician", "Fresh Person")
    with a_browser(running) as client:
        assert through_provider(client, named, f"closed-1 {linked}").status_code == 303
        for account_id in (linked_id, fresh_id):
            assert post(administrator, f"/staff/{account_id}/close").status_code == 303
        assert not signed_in(client), "closing ends the session that the provider opened"
    for who in (f"closed-1 {linked}", f"closed-2 {fresh}"):
        with a_browser(running) as client:
            assert code_of(through_provider(client, named, who)) == "not-known-here"
            assert not signed_in(client)


def test_an_address_that_was_given_to_somebody_else_opens_nothing_until_an_administrator_lets_go_of_the_first(
    running: Running, organisation: Organisation, named: str
) -> None:
    administrator = browser_of(organisation, made(organisation, "administrator")[0])
    email, account_id = made(organisation, "clinician")
    with a_browser(running) as client:
        assert through_provider(client, named, f"leaver-1 {email}").status_code == 303
    with a_browser(running) as client:
        assert code_of(through_provider(client, named, f"joiner-1 {email}")) == "not-known-here"
    assert post(administrator, f"/staff/{account_id}/unlink").headers["location"].endswith("?said=unlinked")
    with a_browser(running) as client:
        assert through_provider(client, named, f"joiner-1 {email}").status_code == 303
    with a_browser(running) as client:
        assert code_of(through_provider(client, named, f"leaver-1 {email}")) == "not-known-here"


def test_an_answer_counts_only_in_the_browser_that_asked_and_at_the_provider_that_it_asked(
    running: Running, organisation: Organisation, named: str, real: RealProvider
) -> None:
    other = running.organisation()
    elsewhere = real.name()
    openid.set_provider(other, real.issuer, elsewhere)
    with a_browser(running) as client, a_browser(running) as victim:
        back = at_provider(client, named, f"robin-3 {organisation.email}")
        begun(victim, named)
        begun(client, elsewhere)
        query = {key: values[0] for key, values in parse_qs(urlsplit(back).query).items()}
        tries = {
            "another browser": (victim, named, query),
            "another provider": (client, elsewhere, query),
            "no state": (client, named, {**query, "state": ""}),
            "another state": (client, named, {**query, "state": query["state"][:-1] + "~"}),
        }
        for what, (browser, name, wrong) in tries.items():
            answer = browser.get(f"/sign-in/with/{name}/return", params=wrong)
            assert (answer.status_code, code_of(answer)) == (401, "attempt-stale"), what
            assert not signed_in(browser), what
        assert client.get(back).status_code == 303


def test_a_code_works_once_even_for_who_copied_the_browsers_cookies(
    running: Running, organisation: Organisation, named: str
) -> None:
    with a_browser(running) as client, a_browser(running) as copy:
        back = at_provider(client, named, f"robin-4 {organisation.email}")
        copy.cookies.update(client.cookies)
        assert client.get(back).status_code == 303
        assert code_of(client.get(back)) == "attempt-stale", "the browser's own cookie is gone"
        answer = copy.get(back)
        assert (answer.status_code, code_of(answer)) == (401, "code-spent")
        assert not signed_in(copy)


def test_who_turns_back_at_the_provider_is_told_and_is_not_signed_in(running: Running, named: str) -> None:
    with a_browser(running) as client:
        state = begun(client, named)["state"]
        answer = client.get(f"/sign-in/with/{named}/return", params={"state": state, "error": "access_denied"})
        assert (answer.status_code, code_of(answer)) == (401, "not-completed")
        assert not signed_in(client)
        problem = client.get(
            f"/sign-in/with/{named}/return", params={"state": "x"}, headers={"Accept": "application/json"}
        )
        assert problem.headers["content-type"] == "application/problem+json"
        assert problem.json()["code"] == "attempt-stale"


def test_an_attempt_ends_after_ten_minutes() -> None:
    begun_s = 1_790_000_000.5
    attempt = attempts.begin(b"secret", "browser", "name", begun_s)
    for later, counts in ((0, True), (599, True), (601, False), (-5, False)):
        found = attempts.resume(b"secret", "browser", "name", attempt.state, begun_s + later)
        assert (found == attempt) == counts, later


# The second factor


def test_the_local_second_factor_is_asked_for_unless_the_provider_vouches_for_one_that_is_accepted(
    running: Running, organisation: Organisation, real: RealProvider
) -> None:
    secret, _ = enrol(browser_of(organisation, organisation.email))
    who = f"robin-5 {organisation.email}"
    name = real.name()
    openid.set_provider(organisation, real.issuer, name)
    with a_browser(running) as client:
        answer = through_provider(client, name, who, factor=True, wanted="/quarantine")
        assert answer.headers["location"] == "/sign-in/code?next=/quarantine", "nothing is accepted unless it is said"
        assert not signed_in(client)
        finished = post(client, "/sign-in/code", code=code(secret), next="/quarantine")
        assert finished.headers["location"] == "/quarantine"
        assert signed_in(client)
    openid.set_provider(organisation, real.issuer, name, amr=("otp", "hwk"))
    for factor, page in ((False, "/sign-in/code"), (True, "/")):
        with a_browser(running) as client:
            assert through_provider(client, name, who, factor=factor).headers["location"] == page
            assert signed_in(client) == factor


def test_a_role_that_needs_a_second_factor_sets_one_up_unless_the_provider_vouched_for_it(
    running: Running, organisation: Organisation, real: RealProvider
) -> None:
    administrator = browser_of(organisation, made(organisation, "administrator")[0])
    post(administrator, "/staff/rule", form="/staff", **{"role-clinician": "yes"})
    name = real.name()
    openid.set_provider(organisation, real.issuer, name, amr=("otp",))
    for factor in (False, True):
        with a_browser(running) as client:
            through_provider(client, name, f"robin-6 {organisation.email}", factor=factor)
            answer = client.get("/")
            assert answer.status_code == (200 if factor else 303)
            assert factor or answer.headers["location"] == "/account/second-factor"


def test_a_first_password_need_not_be_changed_by_who_never_types_it(
    running: Running, organisation: Organisation, named: str
) -> None:
    rows(running, "UPDATE account SET must_change_password = true WHERE email = %s RETURNING 1", organisation.email)
    with a_browser(running) as client:
        through_provider(client, named, f"robin-7 {organisation.email}")
        assert client.get("/").status_code == 200
    assert browser_of(organisation, organisation.email).get("/").headers["location"] == "/account/password"


# A provider that lies


@pytest.fixture
def lied_to(organisation: Organisation, lying: Lying, real: RealProvider) -> str:
    name = real.name()
    openid.set_provider(organisation, lying.issuer, name)
    lying.client_id, lying.email = name, organisation.email
    return name


def comes_back(client: httpx.Client, lying: Lying, name: str, **query: str) -> httpx.Response:
    """Begin, let the lying provider know the nonce, and come back with a code."""
    asked = begun(client, name)
    assert (asked["code_challenge_method"], asked["response_type"]) == ("S256", "code")
    lying.nonce = asked["nonce"]
    return client.get(f"/sign-in/with/{name}/return", params={"state": asked["state"], "code": "code", **query})


def text(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def unsigned(lying: Lying, claims: dict[str, Any]) -> str:
    header = {"alg": "none", "kid": "k"}
    return f"{text(json.dumps(header).encode())}.{text(json.dumps(claims).encode())}."


def by_hmac(secret: bytes, claims: dict[str, Any]) -> str:
    header = {"alg": "HS256", "kid": "k"}
    signed = f"{text(json.dumps(header).encode())}.{text(json.dumps(claims).encode())}"
    return f"{signed}.{text(hmac.digest(secret, signed.encode(), 'sha256'))}"


def by_secret(lying: Lying, claims: dict[str, Any]) -> str:
    return by_hmac(openid.SECRET.encode(), claims)


def by_public_key(lying: Lying, claims: dict[str, Any]) -> str:
    return by_hmac(lying.key.as_pem(private=False), claims)


def by_another_key(lying: Lying, claims: dict[str, Any]) -> str:
    return openid.sign(claims, RSAKey.generate_key(2048, {"kid": "k"}))


def by_an_unknown_key(lying: Lying, claims: dict[str, Any]) -> str:
    return openid.sign(claims, RSAKey.generate_key(2048), kid="another")


def altered(lying: Lying, claims: dict[str, Any]) -> str:
    head, _, mark = openid.sign(claims, lying.key).split(".")
    return f"{head}.{text(json.dumps({**claims, 'sub': 'subject-2'}).encode())}.{mark}"


def test_a_provider_that_says_what_is_right_signs_in(running: Running, lying: Lying, lied_to: str) -> None:
    with a_browser(running) as client:
        assert comes_back(client, lying, lied_to).status_code == 303
        assert signed_in(client)


_HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another"},
        {"aud": ["another", "third"]},
        {"aud": None},
        {"azp": "another"},
        {"iss": "https://another.example.org"},
        {"iss": None},
        {"exp": -_HOUR},
        {"exp": None},
        {"exp": "soon"},
        {"iat": _HOUR},
        {"iat": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "s" * 256},
        {"at_hash": "another"},
    ],
    ids=lambda claims: " ".join(f"{name}={str(value)[:12]}" for name, value in claims.items()),
)
def test_an_id_token_with_a_wrong_claim_is_not_believed(
    running: Running, lying: Lying, lied_to: str, claims: dict[str, Any]
) -> None:
    # How far from now a moment is; workers that collect a second apart must give the tests the same names.
    lying.claims = {
        name: int(time.time() + value.total_seconds()) if isinstance(value, timedelta) else value
        for name, value in claims.items()
    }
    with a_browser(running) as client:
        answer = comes_back(client, lying, lied_to)
        assert (answer.status_code, code_of(answer)) == (502, "provider-wrong")
        assert not signed_in(client)


def test_a_token_for_several_is_believed_only_when_it_names_this_server_as_the_one_it_was_issued_to(
    running: Running, lying: Lying, lied_to: str
) -> None:
    for azp, status in ((None, 502), ("another", 502), (lied_to, 303)):
        lying.claims = {"aud": [lied_to, "another"], "azp": azp}
        with a_browser(running) as client:
            assert comes_back(client, lying, lied_to).status_code == status, azp


@pytest.mark.parametrize("how", [unsigned, by_secret, by_public_key, by_another_key, by_an_unknown_key, altered])
def test_an_id_token_that_the_providers_key_did_not_sign_is_not_believed(
    running: Running, lying: Lying, lied_to: str, how: Callable[[Lying, dict[str, Any]], str]
) -> None:
    lying.signed = how
    with a_browser(running) as client:
        answer = comes_back(client, lying, lied_to)
        assert (answer.status_code, code_of(answer)) == (502, "provider-wrong")
        assert not signed_in(client)


def test_a_letter_that_only_looks_like_one_of_the_address_does_not_make_it_that_address() -> None:
    kelvin = "pat\N{KELVIN SIGN}@example.org"
    assert kelvin.lower() == "patk@example.org"
    assert id_token.identity({"sub": "s", "email": kelvin, "email_verified": True}).email == kelvin
    assert id_token.identity({"sub": "s", "email": "PatK@example.org", "email_verified": True}).email != kelvin


def test_only_a_provider_of_this_machine_names_addresses_of_this_machine() -> None:
    for url, issuer, usable in (
        ("https://a.example.org/token", "https://a.example.org", True),
        ("http://127.0.0.1:9/token", "https://a.example.org", False),
        ("http://a.example.org/token", "https://a.example.org", False),
        ("http://localhost:9/token", "http://localhost:9", True),
        ("https://user@a.example.org/", "https://a.example.org", False),
        ("file:///etc/passwd", "https://a.example.org", False),
    ):
        told = {"issuer": issuer, **dict.fromkeys(("authorization_endpoint", "token_endpoint", "jwks_uri"), url)}
        if usable:
            assert provider.described(issuer, told).token_endpoint == url
        else:
            with pytest.raises(provider.ProviderWrong):
                provider.described(issuer, told)


@pytest.mark.parametrize("said", [False, None, "true", 1])
def test_only_a_plain_true_verifies_an_address(running: Running, lying: Lying, lied_to: str, said: object) -> None:
    lying.claims = {"email_verified": said}
    lying.answers["/userinfo"] = lambda handler: openid.send(
        handler, json.dumps({"sub": lying.subject, "email": lying.email, "email_verified": said}).encode()
    )
    with a_browser(running) as client:
        assert code_of(comes_back(client, lying, lied_to)) == "email-not-verified"


def test_what_the_userinfo_endpoint_says_of_somebody_else_counts_for_nobody(
    running: Running, lying: Lying, lied_to: str
) -> None:
    lying.claims = {"email": None}
    lying.answers["/userinfo"] = lambda handler: openid.send(
        handler, json.dumps({"sub": "subject-2", "email": lying.email, "email_verified": True}).encode()
    )
    with a_browser(running) as client:
        assert code_of(comes_back(client, lying, lied_to)) == "provider-wrong"


def test_an_answer_that_names_another_issuer_is_not_taken_to_this_one(
    running: Running, lying: Lying, lied_to: str
) -> None:
    with a_browser(running) as client:
        assert code_of(comes_back(client, lying, lied_to, iss="https://another.example.org")) == "provider-wrong"
        assert "/token" not in lying.asked, "the code of another provider is shown to nobody"


def test_a_key_that_is_new_at_the_provider_is_fetched_and_made_up_ones_do_not_flood_it(
    running: Running, lying: Lying, lied_to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_browser(running) as client:
        assert comes_back(client, lying, lied_to).status_code == 303
    lying.key = RSAKey.generate_key(2048, {"kid": "k2", "use": "sig"})
    lying.signed = lambda lying, claims: openid.sign(claims, lying.key, kid="k2")
    with a_browser(running) as client:
        assert comes_back(client, lying, lied_to).status_code == 502
        assert lying.asked.count("/keys") == 1
        monkeypatch.setattr(provider, "KEYS_AGAIN_S", 0.0)
        assert comes_back(client, lying, lied_to).status_code == 303
        assert lying.asked.count("/keys") == 2


def endless(handler: BaseHTTPRequestHandler) -> None:
    openid.send(handler, b'{"x": "' + b"x" * (provider.ANSWER_MAX + 1) + b'"}')


def squeezed(handler: BaseHTTPRequestHandler) -> None:
    openid.send(handler, b"\x1f\x8b\x08\x00", **{"Content-Encoding": "gzip"})


def elsewhere(handler: BaseHTTPRequestHandler) -> None:
    openid.send(handler, b"", 302, Location="http://127.0.0.1:1/")


def nested(handler: BaseHTTPRequestHandler) -> None:
    openid.send(handler, b"[" * 100_000)


def broken(handler: BaseHTTPRequestHandler) -> None:
    openid.send(handler, b"{}", 500)


def hanging(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.settimeout(20)
    try:
        # Until the other side has had enough.
        handler.connection.recv(1)
    except OSError:
        handler.close_connection = True


@pytest.mark.parametrize(
    ("how", "status"),
    [(endless, 502), (squeezed, 502), (elsewhere, 502), (nested, 502), (broken, 503), (hanging, 503)],
)
@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys", "/token"])
def test_a_provider_that_answers_badly_or_not_at_all_is_left_in_bounded_time_and_space(
    running: Running,
    lying: Lying,
    lied_to: str,
    monkeypatch: pytest.MonkeyPatch,
    how: Callable[[BaseHTTPRequestHandler], None],
    status: int,
    path: str,
) -> None:
    monkeypatch.setattr(provider, "WHOLE_S", 1.0)
    lying.answers[path] = how
    with a_browser(running) as client:
        began = time.monotonic()
        leaves = path.startswith("/.")
        answer = client.get(f"/sign-in/with/{lied_to}") if leaves else comes_back(client, lying, lied_to)
        assert answer.status_code == status
        assert time.monotonic() - began < 8
        assert not signed_in(client)
        # And it is asked again, as soon as it answers.
        del lying.answers[path]
        monkeypatch.setattr(provider, "KEYS_AGAIN_S", 0.0)
        assert comes_back(client, lying, lied_to).status_code == 303


def test_a_connection_that_a_provider_may_be_about_to_close_is_not_used_again(
    running: Running, lying: Lying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "IDLE_S", 0.05)
    monkeypatch.setattr(provider, "KEPT_S", 0.0)

    async def ask_thrice() -> None:
        providers = provider.Providers()
        for idle_s in (0.0, 0.1, 0.1):
            await asyncio.sleep(idle_s)
            await providers.metadata(lying.issuer)
        await providers.close()

    running.call(ask_thrice())
    assert len(set(lying.connections)) == 3


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://another.example.org"},
        {"token_endpoint": "http://another.example.org/token"},
        {"jwks_uri": None},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
def test_metadata_of_another_issuer_or_without_https_is_not_believed(
    running: Running, lying: Lying, lied_to: str, metadata: dict[str, Any]
) -> None:
    path = "/.well-known/openid-configuration"
    lying.answers[path] = lambda handler: openid.send(handler, json.dumps(lying.honest(path) | metadata).encode())
    with a_browser(running) as client:
        answer = client.get(f"/sign-in/with/{lied_to}")
        assert (answer.status_code, code_of(answer)) == (502, "provider-wrong")


def test_who_floods_a_provider_with_codes_waits_and_keeps_nobody_else_waiting(
    running: Running, lying: Lying, lied_to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowance = running.app.state.doorstep.providers.failures
    monkeypatch.setattr(allowance, "_most", 2)
    lying.claims = {"nonce": "another"}
    with a_browser(running) as client:
        assert [comes_back(client, lying, lied_to).status_code for _ in range(3)] == [502, 502, 429]
        asked = lying.asked.count("/token")
        answer = comes_back(client, lying, lied_to)
        assert int(answer.headers["retry-after"]) >= 1
        assert lying.asked.count("/token") == asked
    assert allowance.wait_s(network("127.0.0.1")) > 0
    assert allowance.wait_s(network("192.0.2.1")) == 0


# How it is kept


def test_the_client_secret_is_stored_under_the_master_key_and_opens_for_its_own_organisation_and_issuer_alone(
    running: Running, organisation: Organisation, named: str, real: RealProvider
) -> None:
    [(stored,)] = rows(running, "SELECT client_secret FROM openid_provider WHERE name = %s", named)
    assert isinstance(stored, bytes)
    assert openid.SECRET.encode() not in stored
    key = running.settings.master_key_bytes()
    assert secrecy.decrypted(key, organisation.id, real.issuer, stored) == openid.SECRET
    wrong = (
        (bytes(32), organisation.id, real.issuer),
        (key, running.organisation().id, real.issuer),
        (key, organisation.id, "https://another.example.org"),
    )
    for master_key, organisation_id, issuer in wrong:
        with pytest.raises(secrecy.ClientSecretUnreadable):
            secrecy.decrypted(master_key, organisation_id, issuer, stored)


def test_a_provider_that_is_not_listed_is_not_on_the_sign_in_page_and_opens_by_its_address(
    running: Running, organisation: Organisation, real: RealProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = real.name()
    openid.set_provider(organisation, real.issuer, name, listed=True)
    with a_browser(running) as client:
        assert name in client.get("/sign-in").text
        monkeypatch.setattr(repository, "LISTED_MAX", 1)
        assert "Not every place of work is shown." in client.get("/sign-in").text
        openid.set_provider(organisation, real.issuer, name, listed=False)
        assert name not in client.get("/sign-in").text
        assert begun(client, name)["client_id"] == name
        assert client.get("/sign-in/with/nobody-here").status_code == 404
