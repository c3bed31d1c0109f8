"""Programs that call the interface with a token of somebody's."""

import os
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx

import server.accounts.service
from server.accounts import tokens
from server.accounts.permissions import May
from server.accounts.service import Viewer
from server.database import tenancy
from tests.server.running import PASSWORD, Organisation

API = "/api/v1"


@dataclass
class Program:
    """A client whose every call carries the token."""

    client: httpx.Client
    account_id: UUID
    email: str
    secret: str

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.client.get(API + path, params=query)

    def post(self, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return self.client.post(API + path, json=body, headers=headers)

    def put(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.client.put(API + path, json=body, headers=headers)

    def delete(self, path: str) -> httpx.Response:
        return self.client.delete(API + path)


def program(
    organisation: Organisation, role: str, acts: list[May] | None = None, *, must_change_password: bool = False
) -> Program:
    """A new person of that role and a program of theirs, with all that the role may do or with `acts` only."""
    running = organisation.running
    email = f"{role}-{os.urandom(4).hex()}@example.org"

    async def create() -> tuple[UUID, str]:
        async with tenancy.transaction(running.app.state.doorstep.sessions) as session:
            account = await server.accounts.service.create_user(
                session, email, f"A {role}", role, PASSWORD, organisation.id, must_change_password=must_change_password
            )
            viewer = Viewer(account.id, organisation.id, "", account.name, email, role, "csrf", b"a session")
            made = await tokens.make(session, viewer, "A program", 1, acts)
            return account.id, made.secret

    account_id, secret = running.call(create())
    client = httpx.Client(base_url=running.url, headers={"Authorization": f"Bearer {secret}"}, timeout=60)
    return Program(client, account_id, email, secret)


def code(answer: httpx.Response) -> str:
    """The stable code of a problem."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["title"]
    return body["code"]
