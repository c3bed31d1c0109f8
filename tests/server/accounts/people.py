"""Browsers with a person of any role behind them, and the codes of their authenticator apps."""

import base64
import os
import re
import time
from uuid import UUID

import httpx

import server.accounts.service
from server.accounts import totp
from server.database import tenancy
from tests.server.running import PASSWORD, Organisation


def made(organisation: Organisation, role: str, name: str = "A Person") -> tuple[str, UUID]:
    """A new account of that role: its e-mail address and id."""
    running = organisation.running
    email = f"{role}-{os.urandom(4).hex()}@example.org"

    async def create() -> UUID:
        async with tenancy.transaction(running.app.state.doorstep.sessions) as session:
            account = await server.accounts.service.create_user(session, email, name, role, PASSWORD, organisation.id)
            return account.id

    return email, running.call(create())


def browser_of(organisation: Organisation, email: str, password: str = PASSWORD) -> httpx.Client:
    """A browser that has given that address and password; a second factor is still to come."""
    client = httpx.Client(base_url=organisation.running.url, headers={"Accept": "text/html"}, timeout=60)
    answer = client.post("/sign-in", data={"csrf": token(client.get("/sign-in")), "email": email, "password": password})
    assert answer.status_code == 303, answer.text
    return client


def post(client: httpx.Client, path: str, form: str | None = None, **fields: str) -> httpx.Response:
    """Post a form with the token of the page `form`, which is `path` unless told."""
    return client.post(path, data={"csrf": token(client.get(form or path)), **fields})


def token(page: httpx.Response) -> str:
    found = re.findall(r'name="csrf" value="([^"]+)"', page.text)
    assert found, page.text
    return found[-1]


def enrol(client: httpx.Client) -> tuple[bytes, list[str]]:
    """Set up a second factor as an app would; its secret and the recovery codes shown."""
    post(client, "/account/second-factor/begin", form="/account/second-factor")
    found = re.search(r'class="setup-key">([A-Z2-7 ]+)<', client.get("/account/second-factor").text)
    assert found
    secret = base64.b32decode(found[1].replace(" ", ""))
    answer = post(client, "/account/second-factor/confirm", form="/account/second-factor", code=code(secret, 0))
    assert answer.status_code == 200, answer.text
    return secret, re.findall(r"<li><code>([A-Z2-7-]+)</code></li>", answer.text)


def code(secret: bytes, steps: int = 1) -> str:
    """A code that the app shows now (0), or in `steps`: the next one is taken already, and is new after `enrol`."""
    return totp.code_at(secret, int(time.time()) // totp.STEP_S + steps)
