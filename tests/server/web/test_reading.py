"""What reading a page costs and leaves behind, what hostile content does to it, and the stream that keeps it fresh."""

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import psycopg
import pytest
from sqlalchemy import event

from server.worklist import endpoints
from tests.server.running import Organisation, Running
from tests.server.web import specimens


@pytest.fixture
def enter(running: Running) -> Iterator[Callable[[Organisation], httpx.Client]]:
    """`enter(organisation)` is a signed-in client that asks for pages."""
    clients: list[httpx.Client] = []

    def open_client(organisation: Organisation) -> httpx.Client:
        client = httpx.Client(base_url=running.url, headers={"Accept": "text/html"}, timeout=30)
        clients.append(client)
        token = re.search(r'name="csrf" value="([^"]+)"', client.get("/sign-in").text)
        assert token
        fields = {"csrf": token[1], "email": organisation.email, "password": organisation.password}
        assert client.post("/sign-in", data=fields).status_code == 303
        return client

    yield open_client
    for client in clients:
        client.close()


Enter = Callable[[Organisation], httpx.Client]


@contextmanager
def statements(running: Running) -> Iterator[list[str]]:
    """The SQL that the server sends while the block runs, apart from its own work behind the requests."""
    engine = running.app.state.doorstep.sessions.kw["bind"].sync_engine
    sent: list[str] = []

    def note(_c: object, _u: object, statement: str, *_rest: object) -> None:
        task = asyncio.current_task()
        answering = task is not None and "run_asgi" in getattr(task.get_coro(), "__qualname__", "")
        if answering and "recompute" not in statement and "every" not in statement:
            sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def links(page: httpx.Response) -> list[str]:
    return re.findall(r'href="(/results/[0-9a-f-]+)"', page.text)


def quiet(running: Running, organisation: Organisation) -> None:
    """Wait until every result of the organisation was recomputed, so that nothing else sends SQL."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with psycopg.connect(running.owner_url) as link:
            waiting = link.execute(
                "SELECT count(*) FROM result WHERE organisation_id = %s AND recomputed_at IS NULL", (organisation.id,)
            ).fetchone()
        if waiting == (0,):
            return
        time.sleep(0.1)
    pytest.fail("results were not recomputed within 30 s")


def test_a_list_of_forty_costs_no_more_statements_than_a_list_of_two(
    running: Running, organisation: Organisation, enter: Enter
) -> None:
    client = enter(organisation)
    costs: list[int] = []
    for more in (2, 38):
        organisation.deliver(*(specimens.strip_body(organisation.reader, f"N-{n}", test=0) for n in range(more)))
        quiet(running, organisation)
        with statements(running) as sent:
            assert client.get("/").status_code == 200
        costs.append(len(sent))
    assert costs[0] == costs[1]
    assert costs[0] <= 12, "\n".join(sent)


def test_a_result_costs_a_fixed_number_of_statements(
    running: Running, organisation: Organisation, enter: Enter
) -> None:
    client = enter(organisation)
    organisation.deliver(*specimens.one_of_each(organisation.reader).values())
    quiet(running, organisation)
    costs: set[int] = set()
    for href in links(client.get("/")):
        with statements(running) as sent:
            assert client.get(href).status_code == 200
        costs.add(len(sent))
    assert len(costs) == 1
    # Who asks (4), the audit entry, the record, what is around it (3), its follow-up (3), recalls, and its person.
    assert costs.pop() <= 16, "\n".join(sent)


def test_every_read_is_in_the_audit_log_and_none_happens_without(
    running: Running, organisation: Organisation, enter: Enter
) -> None:
    client = enter(organisation)
    organisation.deliver(specimens.strip_body(organisation.reader, "AUDITED-1", test=0))
    href = links(client.get("/"))[0]
    assert "AUDITED-1" in client.get(href).text
    with psycopg.connect(running.owner_url) as link:
        noted = link.execute(
            "SELECT action, subject, purpose FROM audit_entry"
            " WHERE organisation_id = %s AND action LIKE %s ORDER BY id",
            (organisation.id, "%.read"),
        ).fetchall()
        assert noted == [("worklist.read", "all", "care"), ("result.read", href.rpartition("/")[2], "care")]
        link.execute("REVOKE INSERT ON audit_entry FROM doorstep_app")
    try:
        for address in ("/", href, "/worklist/list", "/quarantine"):
            # The server ends the connection after a fault; this one is not to be used again.
            refused = client.get(address, headers={"Connection": "close"})
            assert refused.status_code == 500
            assert "AUDITED-1" not in refused.text
    finally:
        with psycopg.connect(running.owner_url) as link:
            link.execute("GRANT INSERT ON audit_entry TO doorstep_app")
    assert "AUDITED-1" in client.get(href).text


def test_text_from_a_reader_is_shown_as_text(organisation: Organisation, enter: Enter) -> None:
    client = enter(organisation)
    hostile = "\"><script>alert(1)</script><b x='"
    body = specimens.strip_body(organisation.reader, hostile, test=6_000)
    organisation.deliver(body)
    page = client.get("/")
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text
    assert "<script>alert" not in client.get(links(page)[0]).text


def test_a_clock_that_is_decades_off_is_told_and_breaks_nothing(organisation: Organisation, enter: Enter) -> None:
    client = enter(organisation)
    for wall_ms in (0, 253_402_300_800_000, 2**62):
        moment = organisation.reader.moment()
        moment[2:] = [wall_ms, 1, 1_000]
        body = specimens.strip_body(organisation.reader, f"CLOCK-{wall_ms}", test=0)
        body[2] = moment
        organisation.deliver(body, seen=False)
    pages = [client.get(href) for href in links(client.get("/"))]
    assert [page.status_code for page in pages] == [200] * 3
    assert "1 January 1970 at 1am" in "".join(page.text for page in pages)
    assert sum("A date that cannot be right" in page.text for page in pages) == 2


def test_a_record_altered_in_the_store_is_shown_as_broken_and_its_result_still_opens(
    running: Running, organisation: Organisation, enter: Enter
) -> None:
    client = enter(organisation)
    organisation.deliver(specimens.strip_body(organisation.reader, "STORED-1", test=0))
    with psycopg.connect(running.owner_url) as link:
        # As a disk would: nothing in the database stands in its way.
        link.execute("SET LOCAL session_replication_role = replica")
        link.execute(
            "UPDATE sealed_record SET sealed = set_byte(sealed, length(sealed) - 1, 0) WHERE organisation_id = %s"
            " AND get_byte(sealed, length(sealed) - 1) <> 0",
            (organisation.id,),
        )
    page = client.get(links(client.get("/"))[0])
    assert page.status_code == 200
    assert "Broken: the stored record does not have the hash it was accepted under" in page.text
    assert "the stored record does not open any more" in page.text


class Stream:
    """The events of a worklist's stream, read in a thread."""

    def __init__(self, client: httpx.Client, address: str) -> None:
        self.events: list[tuple[str, str]] = []
        self.open = threading.Event()
        self._client = client
        self._address = address
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        assert self.open.wait(15)

    def _read(self) -> None:
        name = ""
        try:
            with self._client.stream("GET", self._address, timeout=30) as answer:
                assert answer.headers["content-type"].startswith("text/event-stream")
                for line in answer.iter_lines():
                    self.open.set()
                    if line.startswith("event: "):
                        name = line.removeprefix("event: ")
                    elif line.startswith("data: "):
                        self.events.append((name, line.removeprefix("data: ")))
        except httpx.HTTPError:
            # The test closes the client, or the server ends: what was read until then is what counts.
            return

    def wait(self, count: int) -> list[tuple[str, str]]:
        deadline = time.monotonic() + 20
        while len(self.events) < count:
            assert time.monotonic() < deadline, self.events
            time.sleep(0.05)
        return self.events


def events_address(page: httpx.Response) -> str:
    found = re.search(r'sse-connect="([^"]+)"', page.text)
    assert found
    return found[1].replace("&amp;", "&")


def test_what_arrives_between_the_page_and_its_stream_is_told(organisation: Organisation, enter: Enter) -> None:
    client = enter(organisation)
    address = events_address(client.get("/"))
    organisation.deliver(specimens.strip_body(organisation.reader, "BETWEEN-1", test=0))
    assert Stream(client, address).wait(1)[0][1].startswith("1 new result at ")


def test_the_stream_outlives_a_lost_database_connection(
    running: Running, organisation: Organisation, enter: Enter
) -> None:
    client = enter(organisation)
    stream = Stream(client, events_address(client.get("/")))
    organisation.deliver(specimens.strip_body(organisation.reader, "BEFORE-1", test=0))
    stream.wait(1)
    with psycopg.connect(running.owner_url) as link:
        ended = link.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
        ).fetchall()
    assert ended
    seen = len(stream.events)
    organisation.deliver(specimens.strip_body(organisation.reader, "DURING-1", test=0))
    stream.wait(seen + 1)
    assert [data for name, data in stream.events if name == "arrived"][-1].startswith("1 new result at ")


def test_the_stream_says_when_the_session_has_ended(
    running: Running, organisation: Organisation, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "_STILL_HERE_S", 0.2)
    client = enter(organisation)
    stream = Stream(client, events_address(client.get("/")))
    with psycopg.connect(running.owner_url) as link:
        link.execute("DELETE FROM sign_in WHERE organisation_id = %s", (organisation.id,))
    assert stream.wait(1) == [("ended", "Your session has ended")]
    refused = client.get("/worklist/list", headers={"HX-Request": "true"})
    assert (refused.status_code, refused.headers["hx-redirect"]) == (401, "/sign-in")


def test_a_program_is_answered_with_problem_json_and_a_person_with_a_page(running: Running) -> None:
    asked = httpx.get(f"{running.url}/results/1", headers={"Accept": "application/json"})
    assert asked.status_code == 401
    assert asked.headers["content-type"] == "application/problem+json"
    assert json.loads(asked.content)["code"] == "sign-in-needed"
    shown = httpx.get(f"{running.url}/static/none.css", headers={"Accept": "text/html"})
    assert shown.status_code == 404
    assert "<h1" in shown.text


def test_every_answer_carries_the_security_headers(running: Running) -> None:
    for address in ("/sign-in", "/", "/nowhere", "/static/doorstep.css", "/hub/v1/exchange"):
        headers = httpx.get(running.url + address).headers
        assert "default-src 'none'" in headers["content-security-policy"], address
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        if not address.startswith("/static"):
            assert headers["cache-control"] == "no-store"
