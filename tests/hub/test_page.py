"""The operator's page: what it says of every state, who it lets in, and what it serves, over a real socket."""

import asyncio
import contextlib
import json
import os
import re
import stat
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from model_reader import chain_of
from test_store import AT, READER

from hub import advice, credentials, registration, specimens
from hub.advice import Progress
from hub.clock import Clock
from hub.credentials import Enrolment
from hub.exchange import Receipt, Reply
from hub.lock import FolderLock
from hub.page import words
from hub.page.access import KEY_FILE, KEY_S, Access, new_link
from hub.page.assets import environment
from hub.page.live import Live
from hub.page.serving import serve
from hub.page.view import view
from hub.problems import KINDS, say
from hub.sealed import read_record
from hub.store import Store
from hub.writer import Writer
from reader import wire

NOW = datetime(2026, 8, 6, 17, 30, tzinfo=UTC)


def reader(**said):
    base = {
        "id": "0011223344556677", "name": "Reader 7", "firmware": "1.0.0", "battery": 80, "flags": 0, "rssi": -60,
        "on_reader": 0, "stored": 5, "delivered": 5, "waiting": 0, "undelivered": 0, "released": 5, "kept": 5,
        "clock": wire.CLOCK_HUB, "seen": NOW.isoformat(), "visited": None, "collected": None, "delivered_at": None,
        "receipt_by_file": None, "ticket_until": None, "ticket_expired": False,
        "update": None,
    }  # fmt: skip
    return {**base, **said}


def problem(code, subject="", detail="", since=NOW):
    return {
        "code": code, "subject": subject, "sentence": say(code, subject, detail), "next_step": KINDS[code].next_step,
        "since": since.isoformat(), "last": since.isoformat(), "count": 1,
    }  # fmt: skip


def state(*readers, problems=(), **said):
    base = {
        "hub": "aa" * 8, "name": "Village hall", "server": "https://doorstep.example", "running": True,
        "exchanged": None, "carried": 0, "evidence": 0,
        "registrations": {"waiting": 0, "delivered": 0, "delivered_at": None, "aside": 0},
        "waiting": sum(one["waiting"] for one in readers),
        "undelivered": sum(one["undelivered"] for one in readers),
        "on_readers": sum(one["on_reader"] for one in readers),
        "readers": list(readers), "problems": list(problems),
    }  # fmt: skip
    return {**base, **said}


@pytest.mark.parametrize(
    ("found", "collecting", "said"),
    [
        (state(reader()), {}, ("safe", "Safe to close.")),
        (state(), {}, ("wait", "No reader has been seen yet.")),
        (state(reader(undelivered=118), problems=[problem("server-unreachable")]), {},
         ("wait", "118 records wait for a network.")),
        (state(reader(undelivered=1), problems=[problem("certificate")]), {},
         ("wait", "1 record waits for a network.")),
        (state(reader(undelivered=118)), {}, ("busy", "118 records are not delivered yet.")),
        (state(reader(undelivered=2), problems=[problem("server-refused")]), {},
         ("act", "2 records wait here: the server does not accept this laptop.")),
        (state(reader(on_reader=9)), {"aa": Progress(10, 50, 31.0), "bb": Progress(1, 2, 12.0)},
         ("busy", "Collecting from 2 readers, 40 s left.")),
        (state(reader(on_reader=9)), {"aa": Progress(0, 50)}, ("busy", "Collecting from 1 reader.")),
        (state(reader(), problems=[problem("reader-battery", "0011223344556677")]), {},
         ("act", "Reader 7 needs charging.")),
        (state(reader(on_reader=3)), {}, ("wait", "3 records are still on Reader 7.")),
        (state(reader(undelivered=3), carried=1, problems=[problem("adapter-off")]), {},
         ("act", "Bluetooth is switched off.")),
        (state(reader(undelivered=3), problems=[problem("disk-full")]), {},
         ("act", "The disk is full. Nothing more is taken from readers until there is room.")),
        (state(reader(undelivered=3), running=False), {}, ("act", "Doorstep is not running; 3 records wait here.")),
        (state(carried=4), {}, ("busy", "4 records are not delivered yet.")),
        (state(reader(), registrations={"waiting": 1}, problems=[problem("server-unreachable")]), {},
         ("wait", "1 registration waits for a network.")),
        (state(reader(undelivered=2), registrations={"waiting": 1}), {},
         ("busy", "2 records and 1 registration are not delivered yet.")),
    ],
)  # fmt: skip
def test_one_sentence_says_what_matters_most(found, collecting, said):
    top = advice.headline(found, collecting)
    assert (top.state, top.text) == said
    assert top.text.endswith(".")


def test_safe_is_never_said_while_anything_is_not_delivered():
    for one in (reader(undelivered=1), reader(on_reader=1)):
        for problems in ([], [problem(code) for code in KINDS]):
            assert advice.headline(state(one, problems=problems)).state != "safe"
    assert advice.headline(state(reader(), carried=1)).state != "safe"
    for code in ("no-adapter", "store-read-only", "radio-failed", "no-permission"):
        assert advice.headline(state(reader(), problems=[problem(code)])).state == "act"


@pytest.mark.parametrize(
    ("one", "near", "busy", "said"),
    [
        (reader(), True, False, "Nothing to do."),
        (reader(on_reader=3), True, False, "Keep it near: it is collected next."),
        (reader(on_reader=3), False, False, "Bring it near, to collect what it holds."),
        (reader(on_reader=3), True, True, "Keep it near until everything is collected."),
        (reader(released=2), False, False, "Bring it near once more, to give it its receipt."),
        (reader(undelivered=3), False, False, "Nothing to do: what it held is here and waits for the server."),
        (reader(flags=wire.FLAG_CONTROL_DUE), True, False, "Run its quality control before the next test."),
        (reader(flags=wire.FLAG_CONTROL_DUE, on_reader=3), True, False, "Keep it near: it is collected next."),
    ],
)
def test_each_reader_says_what_to_do_with_it(one, near, busy, said):
    assert advice.todo(state(one), one, near, busy) == said


def awaited(held=1000, offset=0, code=0):
    return {"image": "ab" * 16, "size": 1000, "held": held, "offset": offset, "code": code}


@pytest.mark.parametrize(
    ("update", "near", "said", "shown"),
    [
        (awaited(held=400), True, "Nothing to do.", "Update: on its way from the server, 40%"),
        (awaited(), True, "Keep it near: it is getting an update. It can be used meanwhile.", "Update: waits here"),
        (awaited(), False, "Bring it near for ten minutes, to give it an update.", "Update: waits here"),
        (awaited(offset=999), True, "Keep it near: it is getting an update. It can be used meanwhile.", "Update: 99%"),
        (awaited(offset=400, code=wire.ERR_BATTERY), True, "Charge it, and keep it near: its update goes on then.",
         "Update: waits for a charged battery, 40%"),
        (awaited(offset=400, code=wire.ERR_STORAGE), False, "Bring it near for ten minutes, to give it an update.",
         "Update: waits until no test runs, 40%"),
        (awaited(code=wire.ERR_UNKNOWN_OP), True, "Nothing to do.",
         "Update: this reader cannot be updated without a cable"),
        (awaited(offset=1000), True,
         "Leave it switched on and charged: it starts its update by itself when nobody uses it.",
         "Update: on the reader"),
    ],
)  # fmt: skip
def test_an_update_says_how_far_it_is_and_what_to_do(update, near, said, shown):
    one = reader(update=update)
    assert advice.todo(state(one), one, near, False) == said
    card = view(state(one), {}, frozenset(), NOW).cards[0]
    assert (card.update.text, card.update.total) == (shown, 1000)
    part = environment().get_template("parts/readers.jinja")
    html = part.render(view=view(state(one), {}, frozenset(), NOW))
    assert f'max="1000" value="{card.update.done}" aria-label="Update of Reader 7"' in html
    assert shown in html


def test_records_come_before_an_update_in_what_to_do():
    one = reader(update=awaited(), on_reader=3)
    assert advice.todo(state(one), one, True, False) == "Keep it near: it is collected next."
    assert advice.headline(state(reader(update=awaited()))).state == "safe"


def test_a_readers_problem_is_what_to_do_with_it():
    found = state(reader(), problems=[problem("reader-forked", "0011223344556677")])
    assert advice.todo(found, found["readers"][0], True, True) == KINDS["reader-forked"].next_step
    shown = view(found, {}, frozenset(), NOW)
    assert shown.troubles == ()
    assert [one.code for one in shown.cards[0].troubles] == ["reader-forked"]
    assert shown.cards[0].tag == "Needs you"


def test_what_was_never_says_never_and_what_is_unknown_says_so():
    one = reader(delivered=0, stored=0, released=0, battery=None, rssi=None, firmware="", clock=None, seen=None)
    facts = {fact.name: fact.value for fact in view(state(one), {}, frozenset(), NOW).cards[0].facts}
    assert facts["Last seen"] == facts["Last collected from"] == facts["Delivered, by the server’s receipt"] == "Never"
    assert facts["Battery"] == facts["Clock"] == facts["Firmware"] == "Not known"
    assert facts["Signal"] == "Out of range"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (0, "Not known"),
        (wire.FLAG_FAULT, "Not known"),
        (wire.FLAG_CONTROL_CLEAR | wire.FLAG_LOW_BATTERY, "In order"),
        (wire.FLAG_CONTROL_DUE, "Failed or due: run the controls"),
        (wire.FLAG_CONTROL_DUE | wire.FLAG_CONTROL_CLEAR, "Failed or due: run the controls"),
    ],
)
def test_a_card_says_how_quality_control_stands(flags, said):
    card = view(state(reader(flags=flags)), {}, frozenset(), NOW).cards[0]
    assert {fact.name: fact.value for fact in card.facts}["Quality control"] == said


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (timedelta(seconds=3), "Just now"),
        (timedelta(hours=1), "Today at 4:30pm"),
        (timedelta(hours=5, minutes=30), "Today at midday"),
        (timedelta(hours=24, minutes=30), "Yesterday at 5pm"),
        (timedelta(days=400), "2 July 2025 at 5:30pm"),
        (timedelta(hours=-3), "Today at 8:30pm"),
    ],
)
def test_times_are_said_as_people_say_them(before, said):
    assert words.when((NOW - before).isoformat(), NOW) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "10 s"), (31, "40 s"), (90, "90 s"), (91, "2 minutes"), (9000, "3 hours")]
)
def test_what_is_left_is_rounded_up(seconds, said):
    assert advice.span(seconds) == said


async def test_live_tells_progress_and_a_pace_only_once_there_is_one():
    live = Live()
    live({"event": "visiting", "reader": "aa", "why": "records"})
    assert live.collecting({"aa": 30}) == {"aa": Progress(0, 30, None)}
    live({"event": "collected", "reader": "aa", "count": 10, "stored": 10})
    found = live.collecting({"aa": 20})["aa"]
    assert (found.done, found.total) == (10, 30)
    version = live.version
    live({"event": "left", "reader": "aa", "collected": 10, "fault": None})
    assert live.collecting({"aa": 20}) == {}
    await asyncio.wait_for(live.changed(version, 60), 5)
    assert advice.seconds_left(10, 30, 5.0) == 10.0
    assert advice.seconds_left(0, 30, 5.0) is None


# Who is let in ------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    store = Store(tmp_path)
    store.keep_records(READER, [read_record(sealed) for sealed in chain_of(READER, 5)], 1_700_000_000_000)
    store.saw(READER, "<b>Reader</b>", -60, 9, 0, 0, 1_700_000_000_000)
    store.apply([], [], Reply(1, b"epoch--1", (), (Receipt(READER, 3, b"r"),), (), ()), AT)
    store.close()
    credentials.save(tmp_path, Enrolment("aa" * 8, "Hall", "https://x.example", "", ""), credentials.new_key())
    with FolderLock(tmp_path):
        yield tmp_path


async def _nobody(_fields):
    raise AssertionError("nobody is registered here")


@contextlib.asynccontextmanager
async def served(folder, live=None, register=None):
    """The page over a real socket; gives its address."""
    there = asyncio.Event()
    task = asyncio.create_task(serve(folder, live or Live(), register or _nobody, 0, there.set))
    try:
        async with asyncio.timeout(20):
            await there.wait()
        yield json.loads((folder / "page.json").read_text())["address"]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not (folder / "page.json").exists()


@contextlib.asynccontextmanager
async def browser(folder, address):
    async with httpx.AsyncClient(base_url=address, timeout=20) as http:
        answer = await http.get(new_link(folder))
        assert answer.status_code == 303
        yield http


async def test_only_a_link_made_here_opens_the_page_and_only_once(folder):
    async with served(folder) as address, httpx.AsyncClient(base_url=address) as http:
        closed = await http.get("/")
        assert closed.status_code == 401
        assert "doorstep hub open" in closed.text
        assert (await http.get("/live")).status_code == 401
        link = new_link(folder)
        assert stat.S_IMODE((folder / KEY_FILE).stat().st_mode) == 0o600
        wrong = await http.get(link[:-1] + ("A" if link[-1] != "A" else "B"))
        assert wrong.status_code == 403
        opened = await http.get(link)
        assert (opened.status_code, opened.headers["location"]) == (303, "/")
        assert re.search(r"HttpOnly; Path=/; SameSite=strict", opened.headers["set-cookie"])
        assert not (folder / KEY_FILE).exists()
        async with httpx.AsyncClient(base_url=address) as other:
            assert (await other.get(link)).status_code == 403
            assert (await other.get("/open?key=")).status_code == 403
            assert (
                await other.get("/", headers={"Cookie": f"doorstep-hub-{address[-5:]}=x; a=\x7f"})
            ).status_code == 401
        shown = await http.get("/")
        assert shown.status_code == 200
        assert "&lt;b&gt;Reader&lt;/b&gt;" in shown.text
        assert "default-src 'none'" in shown.headers["content-security-policy"]
        assert shown.headers["cache-control"] == "no-store"


def test_a_link_grows_old(folder):
    access = Access(folder, 4711)
    access.announce()
    link = new_link(folder)
    old = time.time() - KEY_S - 1
    os.utime(folder / KEY_FILE, (old, old))
    assert access.open(link.partition("key=")[2]) is None
    assert access.open(new_link(folder).partition("key=")[2]) is not None
    access.withdraw()
    assert new_link(folder) is None


async def test_another_site_or_name_gets_nothing(folder):
    async with served(folder) as address, browser(folder, address) as http:
        assert (await http.get("/")).status_code == 200
        for headers in (
            {"Host": "doorstep.example"},
            {"Host": f"localhost:{address.rpartition(':')[2]}"},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
        ):
            assert (await http.get("/", headers=headers)).status_code == 403, headers
        assert (await http.post("/")).status_code == 403
        assert (await http.post("/", headers={"Origin": address})).status_code == 405


async def test_the_page_listens_to_this_machine_alone(folder):
    async with served(folder) as address:
        port = int(address.rpartition(":")[2])
        sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        listening = [local for _, local, _, how, *_ in sockets if how == "0A"]
        assert f"0100007F:{port:04X}" in listening
        assert f"00000000:{port:04X}" not in listening


async def test_what_happens_is_told_at_once(folder):
    live = Live()
    async with (
        served(folder, live) as address,
        browser(folder, address) as http,
        http.stream("GET", "/live") as stream,
        asyncio.timeout(20),
    ):
        lines = stream.aiter_lines()
        assert set(await _events(lines, 2)) == {"headline", "readers"}
        said = {"sentence": "The disk is full.", "next_step": "Delete files.", "time": NOW.isoformat()}
        # Not in the database: a full disk takes no note of itself.
        live({"event": "problem", "code": "disk-full", "subject": "", **said})
        assert "The disk is full." in await _told(lines, "headline")
        live({"event": "solved", "code": "disk-full", "subject": ""})
        assert "The disk is full." not in await _told(lines, "headline")


async def _told(lines, name):
    """The next event of that name."""
    while True:
        found = await _events(lines, 1)
        if name in found:
            return found[name]


async def _events(lines, count):
    found, name, content = {}, "", ""
    async for line in lines:
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            content += line[6:]
        elif name:
            found[name], name, content = content, "", ""
            if len(found) == count:
                return found
    raise AssertionError("the stream ended")


async def test_a_stream_ends_with_the_hub(folder):
    stopped = asyncio.Event()

    async def follow(http):
        async with http.stream("GET", "/live") as stream:
            async for _ in stream.aiter_lines():
                stopped.set()

    async with served(folder) as address, browser(folder, address) as http:
        following = asyncio.create_task(follow(http))
        async with asyncio.timeout(20):
            await stopped.wait()
    async with asyncio.timeout(20):
        await asyncio.gather(following, return_exceptions=True)


async def test_a_database_that_cannot_be_read_is_said_and_not_a_trace(folder):
    async with served(folder) as address, browser(folder, address) as http:
        (folder / "hub.sqlite3").write_bytes(b"nonsense" * 1000)
        (folder / "hub.sqlite3-wal").unlink(missing_ok=True)
        answer = await http.get("/")
        assert answer.status_code == 503
        assert "damaged" in answer.text
        assert "<code>store-damaged</code>" in answer.text


def test_what_needs_a_person_comes_first_and_names_are_counted_as_people_do():
    readers = [
        reader(id="01", name="Reader 10"), reader(id="02", name="Reader 2"), reader(id="04", name="Reader 4"),
        reader(id="03", name="Reader 3", on_reader=1), reader(id="05", name="Reader 5", delivered=0, stored=0),
    ]  # fmt: skip
    found = state(*readers, problems=[problem("reader-full", "04")])
    cards = view(found, {}, frozenset(), NOW).cards
    assert [card.name for card in cards] == ["Reader 4", "Reader 3", "Reader 2", "Reader 10", "Reader 5"]


# Registering and labels -----------------------------------------------------------------------------

FORM = {
    "specimen": "SPC-7714", "given": "Zebedee", "family": "Quillfeather", "birth[day]": "7", "birth[month]": "3",
    "birth[year]": "1980", "phone": "07700 900123", "consent": "yes", "consent_asked": "To be called",
    "consent_by": "A worker",
}  # fmt: skip


@contextlib.asynccontextmanager
async def desk(folder, key=None):
    """A hub's page over its own store that seals to `key`; gives (browser, writer)."""
    writer = Writer()
    await writer.open(folder)
    try:
        await writer(Store.adopt, b"hub-id-A")
        if key is not None:
            await writer(Store.set_setting, "registration_key", key)

        async def register(fields):
            return await registration.register(writer, Clock(), fields)

        async with served(folder, register=register) as address, browser(folder, address) as http:
            http.headers["Origin"] = address
            yield http, writer
    finally:
        await writer.close()


async def test_a_registration_is_sealed_at_once_and_cannot_be_read_back(folder):
    private = X25519PrivateKey.generate()
    async with desk(folder, private.public_key().public_bytes_raw()) as (http, writer):
        answer = await http.post("/register", data=FORM)
        assert (answer.status_code, answer.headers["location"]) == (303, "/register?kept=1")
        shown = await http.get("/register?kept=1")
        assert "Kept, sealed." in shown.text
        assert "Quillfeather" not in shown.text + (await http.get("/")).text
        assert len(await writer(Store.registrations, 10)) == 1
        for file in folder.rglob("*"):
            content = file.read_bytes() if file.is_file() else b""
            for planted in (b"Zebedee", b"Quillfeather", b"SPC-7714", b"900123"):
                assert planted not in content, file


async def test_mistakes_are_named_at_their_fields_and_what_was_typed_stays(folder):
    async with desk(folder, X25519PrivateKey.generate().public_key().public_bytes_raw()) as (http, writer):
        wrong = {**FORM, "given": "<Zeb>", "birth[month]": "13", "consent": "", "nhs_number": "999 000 0019"}
        answer = await http.post("/register", data=wrong)
        assert answer.status_code == 422
        assert "needs a day, a month and a year" in answer.text
        assert 'href="#birth-day"' in answer.text
        assert "One or more digits of this NHS number are wrong" in answer.text
        assert "&lt;Zeb&gt;" in answer.text
        assert "<Zeb>" not in answer.text
        assert await writer(Store.registrations, 10) == []


async def test_before_a_server_was_heard_nobody_can_be_registered_and_the_form_stays(folder):
    async with desk(folder) as (http, _):
        answer = await http.post("/register", data=FORM)
        assert answer.status_code == 503
        assert "Connect to a network once." in answer.text
        assert "Quillfeather" in answer.text


async def test_a_form_from_elsewhere_or_beyond_bounds_is_refused(folder):
    async with desk(folder, bytes(32)) as (http, writer):
        assert (await http.post("/register", data=FORM, headers={"Origin": "https://evil.example"})).status_code == 403
        assert (await http.post("/register", data={"given": "x" * 70_000})).status_code == 413
        many = {f"field-{number}": "" for number in range(60)}
        assert (await http.post("/register", data=many)).status_code == 413
        assert (await http.post("/register", content=b"given=\xff\xfe")).status_code == 413
        assert await writer(Store.registrations, 10) == []


@pytest.mark.parametrize("count", ["", "0", "201", "-1", "1e1", "9" * 400, "²"])
async def test_a_number_of_labels_that_cannot_be_is_a_sentence(folder, count):
    async with desk(folder) as (http, _):
        answer = await http.post("/labels", data={"count": count})
        assert answer.status_code == 422
        assert "Write a number from 1 to 200." in answer.text


async def test_a_sheet_of_labels_has_a_code_of_its_own_on_each(folder):
    async with desk(folder) as (http, _):
        answer = await http.post("/labels", data={"count": "12"})
        codes = re.findall(r'aria-label="Specimen (S-[^"]+)"', answer.text)
        assert len(set(codes)) == 12
        assert all(specimens.usable(code) == code for code in codes)
        assert "12 labels are ready" in answer.text
