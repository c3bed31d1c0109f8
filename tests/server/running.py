"""A server on a port for tests of its pages, and organisations to order: a hub, readers, a clinician.

Every test takes an organisation of its own (`Running.organisation`), so that one database serves them all and a row
that crosses over would be seen.
"""

import asyncio
import base64
import itertools
import os
import socket
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import httpx
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import ECKey
from pydantic import SecretStr

import server.accounts.service
import server.hubs.service
import server.organisations.service
import server.readers.service
from reader import wire
from server.app import create_app
from server.audit.service import Actor
from server.database import tenancy
from server.http_protocol import BoundedHttp
from server.readers.keys import Keyring
from server.settings import Settings
from tests.server import factory

PASSWORD = "correct staple lantern"
_ACTOR = Actor("command", "test")
_numbers = itertools.count(1)

T = TypeVar("T")


def secret() -> SecretStr:
    return SecretStr(base64.b64encode(os.urandom(32)).decode())


@dataclass
class Running:
    """A server that answers at `url`."""

    url: str
    settings: Settings
    app: FastAPI
    owner_url: str
    loop: asyncio.AbstractEventLoop

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the server's own loop, where its database connections live."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=60)

    def organisation(self, readers: int = 1) -> "Organisation":
        """A new organisation with a site, a hub, readers and a clinician."""
        return self.call(_organisation(self, readers))


@dataclass
class Organisation:
    """One organisation and the means to deliver results to it."""

    running: Running
    id: UUID
    email: str
    hub_id: bytes
    hub_key: ECKey
    readers: list[factory.Reader]
    password: str = PASSWORD
    _client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self._client = httpx.Client(base_url=self.running.url, timeout=60)

    @property
    def reader(self) -> factory.Reader:
        return self.readers[0]

    def deliver(self, *bodies: dict[int, Any], reader: factory.Reader | None = None, seen: bool = True) -> list[Any]:
        """Seal `bodies` as the reader's next records and post them as the hub; the items of the answer."""
        reader = reader or self.reader
        sealed = [reader.seal(body) for body in bodies]
        return self.post(sealed, [factory.sighting(reader)] if seen else [])

    def post(
        self,
        sealed: list[bytes],
        sightings: list[dict[int, Any]] | None = None,
        registrations: list[bytes] | None = None,
    ) -> list[Any]:
        """Post sealed records, sightings and sealed registrations as they are."""
        more = factory.sequence(*([wire.ITEM_REGISTRATION, one] for one in registrations or []))
        answer = self._client.post(
            wire.EXCHANGE_PATH,
            content=factory.exchange_body(sealed, sightings) + more,
            headers={"Authorization": f"Bearer {self._token()}", "Content-Type": wire.EXCHANGE_MEDIA_TYPE},
        )
        assert answer.status_code == 200, answer.text
        return factory.items_of(answer.content)

    def _token(self) -> str:
        now = int(time.time())
        address = f"{self.running.settings.origin}/oauth/token"
        claims = {
            "iss": self.hub_id.hex(), "sub": self.hub_id.hex(), "aud": address, "jti": os.urandom(8).hex(),
            "iat": now, "exp": now + 120,
        }  # fmt: skip
        assertion = jwt.encode({"alg": "ES384"}, claims, self.hub_key, algorithms=["ES384"])
        answer = self._client.post(
            "/oauth/token",
            data={
                "grant_type": "client_credentials",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": assertion,
            },
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]


async def _organisation(running: Running, readers: int) -> Organisation:
    number = next(_numbers)
    email = f"clinician{number}@example.org"
    state = running.app.state.doorstep
    keyring = Keyring(running.settings.master_key_bytes())
    key = ECKey.import_key(ec.generate_private_key(ec.SECP384R1()))
    async with tenancy.transaction(state.sessions) as session:
        organisation = await server.organisations.service.create_organisation(session, f"Northgate practice {number}")
        site = await server.organisations.service.site(session, organisation, "Hillside village hall")
        code = await server.hubs.service.make_code(session, organisation, site, timedelta(hours=1), _ACTOR)
        enrolled = [
            await server.readers.service.enrol(session, keyring, organisation, site, f"Reader {index + 1}", _ACTOR)
            for index in range(readers)
        ]
        await server.accounts.service.create_user(
            session, email, "Sam Clinician", "clinician", PASSWORD, organisation.id
        )
    public = {name: key.as_dict(private=False)[name] for name in ("kty", "crv", "x", "y")}
    async with tenancy.transaction(state.sessions) as session:
        hub, _ = await server.hubs.service.enrol(session, code.code, "Van laptop", public)
    return Organisation(
        running=running,
        id=organisation.id,
        email=email,
        hub_id=hub.hub_id,
        hub_key=key,
        readers=[factory.Reader(one.reader_id, one.key) for one in enrolled],
    )


@contextmanager
def run(owner_url: str, app_url: str, **settings: Any) -> Iterator[Running]:
    """Serve a migrated database on a free port of this machine; stopped at the end."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        # No jobs unless asked for: what they do, they do at a minute's turn, in the midst of whatever test runs then.
        given: dict[str, Any] = {"jobs": False, **settings}
        made = Settings(
            base_url=f"http://127.0.0.1:{port}",
            master_key=secret(),
            token_secret=secret(),
            session_secret=secret(),
            **given,
        )
        app = create_app(made, app_url)
        config = uvicorn.Config(
            app, http=BoundedHttp, ws="none", log_config=None, access_log=False, timeout_graceful_shutdown=1
        )
        serving = uvicorn.Server(config)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(
            target=lambda: loop.run_until_complete(serving.serve([listening])), name="server", daemon=True
        )
        thread.start()
        deadline = time.monotonic() + 30
        while not serving.started:
            assert thread.is_alive(), "the server ended while it started"
            assert time.monotonic() < deadline, "the server did not start in 30 s"
            time.sleep(0.02)
        try:
            yield Running(made.origin, made, app, owner_url, loop)
        finally:
            serving.should_exit = True
            thread.join(timeout=20)
            assert not thread.is_alive(), "the server did not stop in 20 s"
            loop.close()
