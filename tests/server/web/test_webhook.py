"""An administrator sets, tests, replaces and removes the webhook in a browser, also without a script."""

import base64
import dataclasses
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg
import pytest
from playwright.sync_api import Page, expect

from server.database.columns import now
from server.notices import signing
from tests.server.accounts.people import made
from tests.server.conftest import Database
from tests.server.running import Organisation, Running, run
from tests.server.web.conftest import DESKTOP, PHONE, Pictures, SignIn
from tests.server.web.test_pages import axe, fact


@dataclass
class Receiver:
    """A system that keeps what it is told and answers with a status."""

    url: str = ""
    status: int = 204
    posts: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            kept.posts.append((self.headers[signing.SIGNATURE], content))
            self.send_response(kept.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: a test's output is its own."""

    serving = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving.daemon_threads = True
    thread = threading.Thread(target=serving.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    kept.url = f"http://127.0.0.1:{serving.server_port}/told"
    yield kept
    serving.shutdown()
    serving.server_close()
    thread.join(10)


@pytest.fixture(scope="module")
def running(database: Database) -> Iterator[Running]:
    with run(database.owner, database.app, webhook_private=True) as started:
        yield started


@pytest.fixture
def administered(organisation: Organisation) -> Organisation:
    """An organisation that its administrator signs in to."""
    return dataclasses.replace(organisation, email=made(organisation, "administrator", "Alex Administrator")[0])


def set_to(page: Page, url: str, button: str) -> bytes:
    """Give the address; the secret that is shown."""
    page.get_by_label("Address to tell").fill(url)
    page.get_by_role("button", name=button).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The webhook's secret")
    shown = base64.b64decode(page.locator(".nhsuk-inset-text code").inner_text())
    assert len(shown) == 32
    page.get_by_role("link", name="I have kept it, go on").click()
    return shown


def told_with(receiver: Receiver, secret: bytes) -> dict[str, str]:
    """The last message, whose signature is by that secret."""
    signature, content = receiver.posts[-1]
    assert signing.verified(secret, signature, content, now())
    return json.loads(content)


@pytest.mark.parametrize("script", [True, False])
def test_it_is_set_tested_replaced_and_removed(
    administered: Organisation, sign_in: SignIn, receiver: Receiver, script: bool
) -> None:
    page = sign_in(administered, "Staff", java_script_enabled=script)
    page.get_by_role("link", name="Webhook").first.click()
    expect(page.get_by_text("Nobody is told by a webhook.")).to_be_visible()
    page.get_by_role("button", name="Set a webhook").click()
    page.get_by_label("Address to tell").fill("http://receiver.example.org/")
    page.get_by_role("button", name="Tell this address").click()
    expect(page.get_by_role("alert")).to_contain_text("It has to begin with https://")
    first = set_to(page, receiver.url, "Tell this address")
    assert fact(page, "Address") == receiver.url
    assert fact(page, "Last delivered") == "Never since the address was set"
    assert base64.b64encode(first).decode() not in page.content(), "the secret was shown once"
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_role("status")).to_have_text("The test was taken.")
    assert told_with(receiver, first)["type"] == "test"
    assert not fact(page, "Last delivered").startswith("Never")
    assert fact(page, "Last failed").startswith("Never")
    receiver.status = 500
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_role("status")).to_contain_text("not taken")
    assert fact(page, "Last failed").endswith("status 500")
    receiver.status = 200
    page.get_by_role("button", name="Replace it").click()
    expect(page.get_by_text("The secret in use ends at once")).to_be_visible()
    second = set_to(page, receiver.url, "Replace it")
    assert second != first
    assert fact(page, "Last failed").startswith("Never")
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_role("status")).to_have_text("The test was taken.")
    assert told_with(receiver, second)["type"] == "test"
    assert not signing.verified(first, *receiver.posts[-1], now())
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_text("Nobody behind this address is told any more")).to_be_visible()
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_role("status")).to_contain_text("The webhook is removed.")
    expect(page.get_by_text("Nobody is told by a webhook.")).to_be_visible()
    with psycopg.connect(administered.running.owner_url) as link:
        statement = "SELECT action FROM audit_entry WHERE organisation_id = %s AND action LIKE 'webhook%%' ORDER BY id"
        found = [row[0] for row in link.execute(statement, (administered.id,))]
    assert found == ["webhook.set", *["webhook.test"] * 2, "webhook.set", "webhook.test", "webhook.off"]


@pytest.mark.parametrize("view", ["desktop", "phone"])
def test_axe_finds_nothing(
    administered: Organisation, sign_in: SignIn, receiver: Receiver, view: str, pictures: Pictures
) -> None:
    page = sign_in(administered, "Staff", viewport=DESKTOP if view == "desktop" else PHONE)
    wrong: dict[str, list[str]] = {}

    def look(name: str) -> None:
        pictures(page, f"webhook-{name}-{view}.png")
        if found := axe(page):
            wrong[name] = found
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name

    page.goto("/webhook")
    look("none")
    page.goto("/webhook/set")
    page.get_by_role("button", name="Tell this address").click()
    look("refused")
    page.get_by_label("Address to tell").fill(receiver.url + "/" + "x" * 200)
    page.get_by_role("button", name="Tell this address").click()
    look("secret")
    for name, address in (("set", "/webhook"), ("replace", "/webhook/set"), ("off", "/webhook/off")):
        page.goto(address)
        look(name)
    assert wrong == {}
