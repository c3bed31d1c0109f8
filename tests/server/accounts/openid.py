"""Providers for tests of sign-in by OpenID Connect: a real one in a process of its own, and one that lies to order."""

import itertools
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

import server.openid.service
from server.audit.service import Actor
from server.database import tenancy
from server.openid import provider, repository
from server.openid.service import Wanted
from server.organisations.models import Organisation as OrganisationRow
from tests.server.running import Organisation, Running

NODE = Path(sys.executable).parent / "node"
SCRIPT = Path(__file__).parent / "openid_provider.mjs"
SECRET = "a client secret: with % and +"
_NAMES = 200
_PATIENCE_S = 120.0  # of a machine with other work: how long a provider is waited for is shown by those that hang
_taken = itertools.count()
_addresses = itertools.count(2)


def own_address() -> str:
    """An address of this machine that no other provider has, nor the server: another site for a browser.

    A port alone may come again, and what the server remembers of one provider would be taken for the other's. A name of
    this machine has two addresses (RFC 6761 section 6.3), and on the other one somebody else may have the port.
    """
    number = next(_addresses)
    return f"127.0.{number // 250}.{number % 250 + 1}"


@dataclass
class RealProvider:
    """The provider of `openid_provider.mjs`, and the names by which it knows clients."""

    issuer: str
    names: Iterator[str]

    def name(self) -> str:
        """A name that no other test has, and that the provider knows a client by."""
        found = next(self.names, None)
        assert found, f"a provider knows no more than {_NAMES} clients: let it know more"
        return found


@contextmanager
def real_provider(running: Running) -> Iterator[RealProvider]:
    """Run it for a server that answers at `running.url`."""
    # Of its own: what other providers of this process were known by is not known to this one.
    names = [f"provider-{next(_taken)}" for _ in range(_NAMES)]
    clients = [
        {
            "client_id": name,
            "client_secret": SECRET,
            "redirect_uris": [f"{running.url}/sign-in/with/{name}/return"],
        }
        for name in names
    ]
    host = own_address()
    process = subprocess.Popen(
        [NODE, SCRIPT, json.dumps({"clients": clients, "host": host})],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    try:
        issuer = process.stdout.readline().strip()
        assert issuer.startswith(f"http://{host}:"), "the provider did not start"
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(provider, "WHOLE_S", _PATIENCE_S)
            yield RealProvider(issuer, iter(names))
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def set_provider(organisation: Organisation, issuer: str, name: str, *, listed: bool = False, **changes: Any) -> None:
    """Let the organisation's people sign in there. The sign-in page is shared and bounded, so few tests are listed."""
    running = organisation.running
    wanted = Wanted(name, f"Provider of {name}", issuer, name, SECRET, listed=listed, **changes)

    async def work() -> None:
        async with tenancy.transaction(running.app.state.doorstep.sessions, organisation.id) as session:
            row = await session.get(OrganisationRow, organisation.id)
            assert row
            await server.openid.service.set_provider(session, running.settings, row, wanted, Actor("command", "test"))

    running.call(work())


def linked(organisation: Organisation, issuer: str, subject: str) -> object:
    """The account that the subject is."""

    async def work() -> object:
        sessions = organisation.running.app.state.doorstep.sessions
        async with tenancy.transaction(sessions, organisation.id) as session:
            return await repository.account_linked(session, issuer, subject)

    return organisation.running.call(work())


@contextmanager
def a_browser(running: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.url, headers={"Accept": "text/html"}, timeout=60) as client:
        yield client


def at_provider(client: httpx.Client, name: str, who: str, *, factor: bool = False, wanted: str = "/") -> str:
    """Go to the real provider and sign in there as `who`; the address that it sends the browser back to."""
    leaving = client.get(f"/sign-in/with/{name}", params={"next": wanted})
    assert leaving.status_code == 303, leaving.text
    form = client.get(leaving.headers["location"])
    form = client.get(urljoin(str(form.url), form.headers["location"]))
    assert "Sign in at the provider" in form.text, form.text
    answer = client.post(str(form.url), data={"who": who, **({"factor": "on"} if factor else {})})
    while f"/sign-in/with/{name}/return" not in answer.headers["location"]:
        answer = client.get(urljoin(str(answer.url), answer.headers["location"]))
    return answer.headers["location"]


def through_provider(client: httpx.Client, name: str, who: str, **options: Any) -> httpx.Response:
    """As `at_provider`, and back: what this server answers."""
    return client.get(at_provider(client, name, who, **options))


@dataclass
class Lying:
    """A provider whose answers a test alters. What it says unaltered is right, and signs `subject` in."""

    issuer: str = ""
    email: str = ""
    subject: str = "subject-1"
    client_id: str = ""
    nonce: str = ""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "k", "use": "sig"}))
    claims: dict[str, Any] = field(default_factory=dict)
    """Claims altered; None takes one away."""
    signed: "Callable[[Lying, dict[str, Any]], str] | None" = None
    """How the token is made in the place of an honest signature."""
    answers: "dict[str, Callable[[BaseHTTPRequestHandler], None]]" = field(default_factory=dict)
    """Answers in the place of the honest ones, by path."""
    asked: list[str] = field(default_factory=list)
    connections: list[int] = field(default_factory=list)
    """The other side's port, of each request."""

    def id_token(self) -> str:
        at_s = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.issuer, "sub": self.subject, "aud": self.client_id, "nonce": self.nonce,
            "iat": at_s, "exp": at_s + 300, "email": self.email, "email_verified": True,
        }  # fmt: skip
        claims = {name: value for name, value in (claims | self.claims).items() if value is not None}
        return self.signed(self, claims) if self.signed else sign(claims, self.key)

    def honest(self, path: str) -> dict[str, Any]:
        match path:
            case "/.well-known/openid-configuration":
                named = {"authorization": "auth", "token": "token", "userinfo": "userinfo"}
                ends = {f"{name}_endpoint": f"{self.issuer}/{end}" for name, end in named.items()}
                return {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys", **ends}
            case "/keys":
                return {"keys": [self.key.as_dict(private=False)]}
            case "/token":
                return {"token_type": "Bearer", "access_token": "access", "id_token": self.id_token()}
            case "/userinfo":
                return {"sub": self.subject, "email": self.email, "email_verified": True}
            case _:
                raise AssertionError(path)


def sign(claims: dict[str, Any], key: RSAKey, algorithm: str = "RS256", **header: str) -> str:
    return jwt.encode({"alg": algorithm, "kid": "k", **header}, claims, key, algorithms=[algorithm])


@contextmanager
def lying_provider() -> Iterator[Lying]:
    lying = Lying()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            lying.asked.append(self.path)
            lying.connections.append(self.client_address[1])
            other = lying.answers.get(self.path)
            if other:
                other(self)
            else:
                send(self, json.dumps(lying.honest(self.path)).encode())

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: a test's output is its own."""

    host = own_address()
    serving = ThreadingHTTPServer((host, 0), Handler)
    serving.daemon_threads = True
    thread = threading.Thread(target=serving.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    lying.issuer = f"http://{host}:{serving.server_port}"
    yield lying
    serving.shutdown()
    serving.server_close()
    thread.join(10)


def send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), "Content-Type": "application/json", **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def begun(client: httpx.Client, name: str) -> dict[str, str]:
    """Begin to sign in; the parameters that the browser takes to the provider."""
    leaving = client.get(f"/sign-in/with/{name}")
    assert leaving.status_code == 303, leaving.text
    return {key: values[0] for key, values in parse_qs(urlsplit(leaving.headers["location"]).query).items()}


def code_of(page: httpx.Response) -> str:
    """The problem code that a page of an error shows."""
    found = re.search(r"<code>([a-z-]+)</code>", page.text)
    return cast("str", found[1]) if found else ""
