"""What a hub does to be believed, for tests."""

import secrets
import time
from datetime import timedelta
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey

from server.audit.service import Actor
from server.database import tenancy
from server.database.engine import Sessions
from server.hubs import service
from server.organisations.models import Organisation

TOKEN_URL = "http://doorstep.test/oauth/token"


async def code(sessions: Sessions, organisation: Organisation, hours: float = 24) -> str:
    """A fresh enrolment code."""
    async with tenancy.transaction(sessions, organisation.id) as session:
        made = await service.make_code(session, organisation, None, timedelta(hours=hours), Actor("command", "test"))
    return made.code


async def enrol(http: httpx.AsyncClient, sessions: Sessions, organisation: Organisation, key: ECKey) -> str:
    """Enrol a hub with a fresh code: its id in hex."""
    body = {"code": await code(sessions, organisation), "name": "Laptop", "key": public(key)}
    response = await http.post("/hub/v1/enrol", json=body)
    assert response.status_code == 200, response.text
    return response.json()["hub_id"]


def public(key: ECKey) -> dict[str, Any]:
    """The public JWK."""
    return dict(key.as_dict(private=False))


def claims(hub_id: str, **changes: Any) -> dict[str, Any]:
    """The claims of a good assertion, some replaced; None takes one away."""
    now = int(time.time())
    good = {"iss": hub_id, "sub": hub_id, "aud": TOKEN_URL, "jti": secrets.token_hex(16), "iat": now, "exp": now + 120}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def assertion(key: Any, said: dict[str, Any], algorithm: str = "ES384") -> str:
    """A signed assertion."""
    return jwt.encode({"alg": algorithm}, said, key, algorithms=[algorithm])


async def ask(http: httpx.AsyncClient, signed: str) -> httpx.Response:
    """Ask for a token."""
    return await http.post(
        "/oauth/token",
        data={
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": signed,
        },
    )


async def token(http: httpx.AsyncClient, key: ECKey, hub_id: str) -> str:
    """A token for an enrolled hub."""
    response = await ask(http, assertion(key, claims(hub_id)))
    assert response.status_code == 200, response.text
    return response.json()["access_token"]
