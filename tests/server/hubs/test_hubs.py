"""How a hub is enrolled and believed; and that whoever is not gets one and the same answer."""

import base64
import hmac
import json
import time
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from reader import wire
from server.database import tenancy
from server.hubs import service
from server.problems import MEDIA_TYPE
from tests.server import factory
from tests.server.conftest import ACTOR, Ward
from tests.server.hubs import client


def is_unauthorised(response: httpx.Response) -> None:
    """The one answer: no field of it may tell one cause from another."""
    assert response.status_code == 401, response.text
    assert response.headers["content-type"] == MEDIA_TYPE
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json() == {
        "type": "about:blank",
        "title": "The hub is not authorised",
        "status": 401,
        "code": "unauthorised",
        "error": "invalid_client",
    }


async def test_a_code_enrols_one_hub_once(ward: Ward) -> None:
    code = await client.code(ward.sessions, ward.organisation)
    key = ECKey.generate_key("P-384")
    first = await ward.http.post("/hub/v1/enrol", json={"code": code, "name": "A", "key": client.public(key)})
    assert first.status_code == 200
    said = first.json()
    assert len(bytes.fromhex(said["hub_id"])) == 8
    assert len(bytes.fromhex(said["epoch"])) == 8
    assert said["token_url"] == client.TOKEN_URL
    assert said["exchange_url"] == "http://doorstep.test" + wire.EXCHANGE_PATH
    again = await ward.http.post("/hub/v1/enrol", json={"code": code, "name": "B", "key": client.public(key)})
    assert (again.status_code, again.json()["code"]) == (403, "enrolment-refused")


async def test_a_code_may_be_typed_without_care_for_case_and_dashes(ward: Ward) -> None:
    code = (await client.code(ward.sessions, ward.organisation)).lower().replace("-", " ")
    body = {"code": code, "name": "A", "key": client.public(ward.key)}
    assert (await ward.http.post("/hub/v1/enrol", json=body)).status_code == 200


async def test_unknown_used_and_expired_codes_get_the_same_answer(ward: Ward) -> None:
    expired = await client.code(ward.sessions, ward.organisation, hours=-1)
    used = await client.code(ward.sessions, ward.organisation)
    body = {"name": "A", "key": client.public(ward.key)}
    await ward.http.post("/hub/v1/enrol", json={"code": used, **body})
    answers = [await ward.http.post("/hub/v1/enrol", json={"code": c, **body}) for c in (expired, used, "NOSUCH")]
    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.text for answer in answers}) == 1


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"d": "A" * 64}, id="a private key"),
        pytest.param({"crv": "P-256"}, id="another curve"),
        pytest.param({"x": "A" * 64}, id="a point off the curve"),
        pytest.param({"x": "short"}, id="a short coordinate"),
    ],
)
async def test_a_key_that_cannot_be_used_is_refused_and_not_repeated(ward: Ward, change: dict[str, str]) -> None:
    code = await client.code(ward.sessions, ward.organisation)
    body = {"code": code, "name": "A", "key": {**client.public(ward.key), **change}}
    response = await ward.http.post("/hub/v1/enrol", json=body)
    assert response.status_code == 422
    assert response.headers["content-type"] == MEDIA_TYPE
    assert code not in response.text
    assert "A" * 64 not in response.text
    good = {"code": code, "name": "A", "key": client.public(ward.key)}
    assert (await ward.http.post("/hub/v1/enrol", json=good)).status_code == 200


async def test_an_assertion_earns_a_token_that_the_exchange_takes(ward: Ward) -> None:
    response = await client.ask(ward.http, client.assertion(ward.key, client.claims(ward.hub_id)))
    said = response.json()
    assert (said["token_type"], said["expires_in"]) == ("bearer", 300)
    assert response.headers["cache-control"] == "no-store"
    ward.token = said["access_token"]
    assert (await ward.exchange()).answers == []


def _part(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _none(said: dict[str, Any]) -> str:
    """A token that says it needs no signature."""
    return f"{_part(json.dumps({'alg': 'none'}).encode())}.{_part(json.dumps(said).encode())}."


def _by_secret(said: dict[str, Any], secret: bytes) -> str:
    """A token under HS256 with a secret that no library would take, such as the text of the public key."""
    signed = f"{_part(json.dumps({'alg': 'HS256'}).encode())}.{_part(json.dumps(said).encode())}"
    return f"{signed}.{_part(hmac.digest(secret, signed.encode(), 'sha256'))}"


async def test_whatever_is_wrong_with_an_assertion_the_answer_is_the_same(ward: Ward, other_ward: Ward) -> None:
    now = int(time.time())
    stranger = ECKey.generate_key("P-384")
    spent = client.assertion(ward.key, client.claims(ward.hub_id))
    assert (await client.ask(ward.http, spent)).status_code == 200
    pem = ECKey.import_key(client.public(ward.key)).as_pem(private=False)
    wrong = {
        "replayed": spent,
        "unknown hub": client.assertion(stranger, client.claims("00" * 8)),
        "another's key": client.assertion(stranger, client.claims(ward.hub_id)),
        "another hub's name": client.assertion(other_ward.key, client.claims(ward.hub_id)),
        "wrong audience": client.assertion(ward.key, client.claims(ward.hub_id, aud="http://elsewhere/token")),
        "no audience": client.assertion(ward.key, client.claims(ward.hub_id, aud=None)),
        "expired": client.assertion(ward.key, client.claims(ward.hub_id, exp=now - 120)),
        "too long a life": client.assertion(ward.key, client.claims(ward.hub_id, exp=now + 3600)),
        "no expiry": client.assertion(ward.key, client.claims(ward.hub_id, exp=None)),
        "an expiry that is a text": client.assertion(ward.key, client.claims(ward.hub_id, exp=str(now + 60))),
        "not yet": client.assertion(ward.key, client.claims(ward.hub_id, nbf=now + 200)),
        "no jti": client.assertion(ward.key, client.claims(ward.hub_id, jti=None)),
        "a long jti": client.assertion(ward.key, client.claims(ward.hub_id, jti="x" * 200)),
        "sub is another": client.assertion(ward.key, client.claims(ward.hub_id, sub=other_ward.hub_id)),
        "RS256": client.assertion(RSAKey.generate_key(2048), client.claims(ward.hub_id), "RS256"),
        "HS256 by the public key": _by_secret(client.claims(ward.hub_id), pem),
        "alg none": _none(client.claims(ward.hub_id)),
        "not a JWT": "nonsense",
        "empty": "",
        "huge": "a." + "b" * 9000 + ".c",
    }
    for signed in wrong.values():
        is_unauthorised(await client.ask(ward.http, signed))
    is_unauthorised(await ward.http.post("/oauth/token", data={"grant_type": "password"}))
    is_unauthorised(await ward.http.post("/oauth/token", json={}))


async def test_one_assertion_posted_by_many_at_once_earns_one_token(ward: Ward) -> None:
    import asyncio

    signed = client.assertion(ward.key, client.claims(ward.hub_id))
    answers = await asyncio.gather(*(client.ask(ward.http, signed) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 9


async def test_whatever_is_wrong_with_a_token_the_answer_is_the_same(ward: Ward, settings: Any) -> None:
    secret = OctKey.import_key(settings.token_secret_bytes())
    good = {"sub": ward.hub_id, "org": str(ward.id), "aud": "http://doorstep.test/hub/v1", "exp": int(time.time()) + 60}

    def token(key: OctKey = secret, algorithm: str = "HS256", **changes: Any) -> str:
        return jwt.encode({"alg": algorithm}, {**good, **changes}, key, algorithms=[algorithm])

    body = factory.exchange_body()
    ward.token = token()
    assert (await ward.post(body)).status_code == 200
    for wrong in (
        token(OctKey.import_key(bytes(range(32)))),
        token(exp=int(time.time()) - 1),
        token(aud="http://elsewhere/hub/v1"),
        token(sub="00" * 8),
        token(org="00000000-0000-0000-0000-000000000000"),
        token(org="nonsense"),
        token(algorithm="HS512"),
        client.assertion(ward.key, client.claims(ward.hub_id, aud="http://doorstep.test/hub/v1")),
        _none(good),
        "nonsense",
        "",
    ):
        ward.token = wrong
        is_unauthorised(await ward.post(body))
    is_unauthorised(await ward.http.post(wire.EXCHANGE_PATH, content=body))
    is_unauthorised(await ward.http.post(wire.EXCHANGE_PATH, content=body, headers={"Authorization": "Basic eDp5"}))


async def test_a_token_of_one_organisation_does_not_open_another(ward: Ward, other_ward: Ward, settings: Any) -> None:
    secret = OctKey.import_key(settings.token_secret_bytes())
    crossed = {"sub": ward.hub_id, "org": str(other_ward.id), "aud": "http://doorstep.test/hub/v1"}
    ward.token = jwt.encode({"alg": "HS256"}, {**crossed, "exp": int(time.time()) + 60}, secret, algorithms=["HS256"])
    is_unauthorised(await ward.post(factory.exchange_body()))


async def test_a_revoked_hub_is_refused_from_the_next_request_on(ward: Ward) -> None:
    await ward.exchange()
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        assert await service.revoke(session, ward.organisation, bytes.fromhex(ward.hub_id), ACTOR) is True
    is_unauthorised(await ward.post(factory.exchange_body()))
    is_unauthorised(await client.ask(ward.http, client.assertion(ward.key, client.claims(ward.hub_id))))
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        assert await service.revoke(session, ward.organisation, bytes.fromhex(ward.hub_id), ACTOR) is False


async def test_one_organisation_cannot_revoke_anothers_hub(ward: Ward, other_ward: Ward) -> None:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        with pytest.raises(service.HubUnknown):
            await service.revoke(session, ward.organisation, bytes.fromhex(other_ward.hub_id), ACTOR)
    await other_ward.exchange()


async def test_a_large_enrolment_is_refused_before_it_is_read(ward: Ward) -> None:
    response = await ward.http.post("/hub/v1/enrol", json={"code": "x" * 100_000})
    assert (response.status_code, response.json()["code"]) == (413, "too-large")

    async def endless():
        while True:
            yield b"x" * 4096

    response = await ward.http.post(
        "/oauth/token", content=endless(), headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert (response.status_code, response.json()["code"]) == (413, "too-large")
