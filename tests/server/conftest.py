"""One embedded PostgreSQL a session, migrated; one application and one organisation of its own a test.

Organisations cannot see one another, so tests share the cluster without clearing it.
"""

import base64
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from joserfc.jwk import ECKey
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from reader import wire
from server.accounts import passwords
from server.app import create_app
from server.audit.service import Actor
from server.database import embedded, migrate, tenancy
from server.database.direct import Pool
from server.database.engine import Sessions, make_engine, make_sessions
from server.organisations import service as organisations
from server.organisations.models import Organisation, Site
from server.readers import service as readers
from server.readers.keys import Keyring
from server.settings import Settings
from tests.server import factory
from tests.server.hubs import client

ACTOR = Actor("command", "test")
ORIGIN = "http://doorstep.test"


@dataclass(frozen=True)
class Database:
    """Addresses of the session's database: its owner's, and the running server's."""

    owner: str
    app: str


@contextmanager
def cluster() -> Iterator[Database]:
    """A migrated database in a PostgreSQL of its own."""
    # Not in pytest's own folder: another run of pytest closes that to the user that PostgreSQL runs as.
    with tempfile.TemporaryDirectory(prefix="doorstep-") as folder:
        running = embedded.start(Path(folder) / "postgresql")
        owner = running.get_uri()
        migrate.upgrade(owner)
        embedded.let_app_log_in(owner)
        yield Database(owner, embedded.as_app(owner))
        running.cleanup()


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[PasswordHash]:
    """Passwords by the least work there is: a fifth of a core's second for each would be much of what these tests take.

    Gives the real ones. Commands in processes of their own use those, and so does a test with `real_passwords`.
    """
    real = passwords._HASH
    with _passwords(PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),))):
        yield real


@pytest.fixture
def real_passwords(quick_passwords: PasswordHash) -> Iterator[PasswordHash]:
    """Passwords as the server has them."""
    with _passwords(quick_passwords):
        yield quick_passwords


@contextmanager
def _passwords(by: PasswordHash) -> Iterator[None]:
    before, passwords._HASH = passwords._HASH, by
    passwords._nobody.cache_clear()
    yield
    passwords._HASH = before
    passwords._nobody.cache_clear()


@pytest.fixture(scope="session")
def database() -> Iterator[Database]:
    with cluster() as made:
        yield made


def secret() -> str:
    """A secret as a person would set it."""
    return base64.b64encode(os.urandom(32)).decode()


@pytest.fixture(scope="session")
def master_key() -> str:
    """One for the session, as the cluster is: the work behind the requests sees every test's organisation."""
    return secret()


@pytest.fixture
def settings(master_key: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in list(os.environ):
        if name.startswith("DOORSTEP_"):
            monkeypatch.delenv(name)
    # No jobs unless a test gives them: the server under test would take them from it, a minute's and the test's own.
    return Settings.model_validate(
        {
            "master_key": master_key,
            "token_secret": secret(),
            "session_secret": secret(),
            "base_url": ORIGIN,
            "jobs": False,
        }
    )


@pytest.fixture
def keyring(settings: Settings) -> Keyring:
    return Keyring(settings.master_key_bytes())


@pytest.fixture
async def sessions(database: Database) -> AsyncIterator[Sessions]:
    engine = make_engine(database.app, pool=8)
    yield make_sessions(engine)
    await engine.dispose()


@pytest.fixture
async def application(database: Database, settings: Settings) -> AsyncIterator[FastAPI]:
    app = create_app(settings, database.app)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def http(application: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, timeout=60) as opened:
        yield opened


@dataclass
class Ward:
    """An organisation with a site, and what its tests do over and over."""

    http: httpx.AsyncClient
    sessions: Sessions
    pool: Pool
    keyring: Keyring
    organisation: Organisation
    site: Site
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-384"))
    hub_id: str = ""
    token: str = ""

    @property
    def id(self) -> UUID:
        return self.organisation.id

    async def reader(self, name: str = "Reader") -> factory.Reader:
        """A reader of this organisation, ready to seal."""
        async with tenancy.transaction(self.sessions, self.id) as session:
            made = await readers.enrol(session, self.keyring, self.organisation, self.site, name, ACTOR)
        return factory.Reader(made.reader_id, made.key)

    async def enrol(self) -> None:
        """Enrol this ward's hub and get it a token."""
        self.hub_id = await client.enrol(self.http, self.sessions, self.organisation, self.key)
        self.token = await client.token(self.http, self.key, self.hub_id)

    async def post(self, body: bytes, **headers: str) -> httpx.Response:
        """Post a body to the exchange."""
        return await self.http.post(
            wire.EXCHANGE_PATH,
            content=body,
            headers={
                "Authorization": f"Bearer {self.token}",
                "Content-Type": wire.EXCHANGE_MEDIA_TYPE,
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
        )

    async def exchange(self, sealed: list[bytes] | None = None, **options: Any) -> "Exchanged":
        """Offer records (and sightings, a header) and read the whole answer."""
        response = await self.post(factory.exchange_body(sealed, **options))
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == wire.EXCHANGE_MEDIA_TYPE
        return Exchanged(factory.items_of(response.content))

    async def rows(self, statement: str, **parameters: Any) -> list[Any]:
        """What this organisation sees in the database."""
        from sqlalchemy import text

        async with tenancy.transaction(self.sessions, self.id) as session:
            found = await (await session.connection()).execute(text(statement), parameters)
            return list(found.all())


@dataclass
class Exchanged:
    """An answer, by kind of item."""

    items: list[list[Any]]

    @property
    def header(self) -> dict[int, Any]:
        assert self.items[0][0] == wire.ITEM_HEADER
        return self.items[0][1]

    @property
    def answers(self) -> list[tuple[int, str | None]]:
        """(disposition, problem) of each record, after checking that they are in order."""
        answers = [item for item in self.items[1:] if item[0] == wire.ITEM_ANSWER]
        assert [item[1] for item in answers] == list(range(len(answers)))
        return [(item[4], item[5]) for item in answers]

    def of(self, kind: int) -> list[list[Any]]:
        return [item for item in self.items[1:] if item[0] == kind]

    @property
    def receipts(self) -> dict[bytes, int]:
        return {item[1]: item[2] for item in self.of(wire.ITEM_RECEIPT)}


async def make_ward(http: httpx.AsyncClient, application: FastAPI, sessions: Sessions, keyring: Keyring) -> Ward:
    async with tenancy.transaction(sessions) as session:
        organisation = await organisations.create_organisation(session, f"Ward {os.urandom(6).hex()}")
        site = await organisations.site(session, organisation, "Clinic")
    pool = application.state.doorstep.exchange_pool
    ward = Ward(http, sessions, pool, keyring, organisation, site)
    await ward.enrol()
    return ward


@pytest.fixture
async def ward(http: httpx.AsyncClient, application: FastAPI, sessions: Sessions, keyring: Keyring) -> Ward:
    return await make_ward(http, application, sessions, keyring)


@pytest.fixture
async def other_ward(http: httpx.AsyncClient, application: FastAPI, sessions: Sessions, keyring: Keyring) -> Ward:
    return await make_ward(http, application, sessions, keyring)
