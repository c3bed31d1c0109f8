"""`doorstep hub doctor` on laptops in every state: real processes, a real message bus, sentences and exit codes."""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import sqlite3
import sys
import threading
import time
from pathlib import Path

import pytest
from model_reader import chain_of
from model_server import ModelServer

from hub import enrol
from hub.care import bluetooth, laptop, network
from hub.database import open_writer
from hub.problems import KINDS
from hub.schema import MIGRATIONS
from hub.sealed import read_record
from hub.store import Store

sys.path.insert(0, str(Path(__file__).parent))
from test_command import doorstep
from test_courier import _self_signed
from test_store import READER

NOWHERE = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent/bus"}
TOKEN = "/oauth/token"
POLICY = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={path}</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/>
<allow eavesdrop="true"/><allow own="*"/><allow user="*"/>{more}</policy></busconfig>
"""


def examined(folder, **environment):
    """Run the command; returns the exit code and the findings by name of the check."""
    done = doorstep(folder, "hub", "doctor", "--json", **{**NOWHERE, **environment})
    found = json.loads(done.stdout)
    assert done.stderr == ""
    assert found["well"] is (done.returncode == 0)
    assert all(finding["sentence"].endswith(".") for finding in found["findings"])
    assert all(finding["code"] in KINDS and finding["next_step"] for finding in found["findings"] if is_wrong(finding))
    return done.returncode, {finding["check"]: finding for finding in found["findings"]}


def is_wrong(finding):
    return finding["state"] == "wrong"


@pytest.fixture
def enrolled(tmp_path):
    """A hub in tmp_path/hub, enrolled with a model server."""
    with ModelServer() as server:
        enrol.enrol(tmp_path / "hub", server.code, server.url, "Hall")
        yield server


@contextlib.asynccontextmanager
async def bluez(folder, adapters, more=""):
    """A message bus of the test's own with a service on it that answers as BlueZ does; gives the bus's address."""
    if shutil.which("dbus-daemon") is None:
        pytest.skip("dbus-daemon is not installed: as root, run apt-get install dbus-daemon")
    from dbus_fast import Message, MessageType, RequestNameReply, Variant
    from dbus_fast.aio import MessageBus

    path = folder / "bus"
    (folder / "bus.conf").write_text(POLICY.format(path=path, more=more))
    daemon = await asyncio.create_subprocess_exec(
        "dbus-daemon", f"--config-file={folder / 'bus.conf'}", "--nofork", "--print-address=1",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert daemon.stdout is not None
        async with asyncio.timeout(30):
            await daemon.stdout.readline()
            bus = await MessageBus(bus_address=f"unix:path={path}").connect()
            assert await bus.request_name("org.bluez") is RequestNameReply.PRIMARY_OWNER

        def answer(message):
            if message.message_type is not MessageType.METHOD_CALL or message.member != "GetManagedObjects":
                return None
            objects = {
                f"/org/bluez/{name}": {
                    "org.bluez.Adapter1": {"Powered": Variant("b", powered), "Roles": Variant("as", roles)}
                }
                for name, (powered, roles) in adapters.items()
            }
            return Message.new_method_return(message, "a{oa{sa{sv}}}", [objects])

        bus.add_message_handler(answer)
        yield {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={path}"}
        bus.disconnect()
    finally:
        daemon.terminate()
        await daemon.wait()


def test_a_laptop_with_nothing_set_up_is_told_what_to_do_first(tmp_path):
    code, found = examined(tmp_path)
    assert code == 1
    assert {name for name, finding in found.items() if is_wrong(finding)} == {"Enrolment", "Adapter"}
    assert found["Enrolment"]["code"] == "not-enrolled"
    assert "doorstep hub enrol" in found["Enrolment"]["next_step"]
    assert found["Adapter"]["code"] == "no-bluetooth-service"
    assert {found[name]["state"] for name in ("Permission", "Server", "Clock")} == {"unknown"}


def test_a_person_reads_words_and_no_colours(tmp_path):
    done = doorstep(tmp_path, "hub", "doctor", **NOWHERE)
    assert done.returncode == 1
    assert "WRONG        Enrolment: This laptop is not enrolled with a server." in done.stdout
    assert "Next: Run: doorstep hub enrol" in done.stdout
    assert "[not-enrolled]" in done.stdout
    assert "OK           Version:" in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stdout.isascii()
    assert done.stdout.splitlines()[-1] == "2 things are wrong."


async def test_all_is_well_with_a_radio_and_a_server(tmp_path, enrolled):
    Store(tmp_path / "hub").close()
    async with bluez(tmp_path, {"hci0": (False, ["central"]), "hci1": (True, ["central", "peripheral"])}) as bus:
        code, found = await asyncio.to_thread(examined, tmp_path, **bus)
        done = await asyncio.to_thread(doorstep, tmp_path, "hub", "doctor", **bus)
    assert [finding for finding in found.values() if is_wrong(finding)] == []
    assert code == 0
    assert found["Adapter"]["sentence"] == "hci1 is there and switched on."
    assert found["Database"]["sentence"] == "It is whole."
    assert "accepts this laptop" in found["Server"]["sentence"]
    assert found["Clock"]["state"] == "well"
    assert done.stdout.splitlines()[-1] == "Nothing is wrong."


@pytest.mark.parametrize(
    ("adapters", "more", "check", "code"),
    [
        ({}, "", "Adapter", "no-adapter"),
        ({"hci0": (True, ["peripheral"])}, "", "Adapter", "no-adapter"),
        ({"hci0": (False, ["central"])}, "", "Adapter", "adapter-off"),
        ({"hci0": (True, ["central"])}, '<deny send_interface="org.freedesktop.DBus.ObjectManager"/>', "Permission",
         "no-permission"),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_bluetooth_is_named(tmp_path, adapters, more, check, code):
    async with bluez(tmp_path, adapters, more) as bus:
        _, found = await asyncio.to_thread(examined, tmp_path, **bus)
    assert found[check]["code"] == code
    assert {name for name, finding in found.items() if is_wrong(finding)} == {check, "Enrolment"}


def test_a_bus_that_never_answers_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(bluetooth, "ANSWER_S", 0.2)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "bus"))
        silent.listen()
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'bus'}")
        found = {finding.check: finding for finding in asyncio.run(bluetooth.checks("system"))}
    assert found["Adapter"].code == "no-bluetooth-service"


def test_a_switch_that_blocks_the_radio_is_found(tmp_path):
    assert bluetooth.blocked(tmp_path) is False
    for name, kind, soft, hard in (("rfkill0", "wlan", "1", "0"), ("rfkill1", "bluetooth", "0", "0")):
        (tmp_path / name).mkdir()
        for file, value in (("type", kind), ("soft", soft), ("hard", hard)):
            (tmp_path / name / file).write_text(f"{value}\n")
    assert bluetooth.blocked(tmp_path) is False
    (tmp_path / "rfkill1" / "hard").write_text("1\n")
    assert bluetooth.blocked(tmp_path) is True


@pytest.mark.parametrize(("says", "state", "code"), [
    ("bluetoothctl: 5.50", "wrong", "bluez-too-old"), ("bluetoothctl: 5.60", "note", ""),
    ("bluetoothctl: 5.72", "well", ""), ("no number", "unknown", ""),
])  # fmt: skip
def test_the_version_of_bluez_is_judged(tmp_path, says, state, code):
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "bluetoothctl"
    script.write_text(f"#!/bin/sh\necho '{says}'\n")
    script.chmod(0o755)
    _, found = examined(tmp_path, PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert (found["BlueZ"]["state"], found["BlueZ"]["code"]) == (state, code)


@pytest.mark.parametrize("content", [b"nonsense" * 1000, None])
def test_a_damaged_database_is_told_with_what_happens_to_it(tmp_path, enrolled, content):
    store = Store(tmp_path / "hub")
    store.keep_records(READER, [read_record(sealed) for sealed in chain_of(READER, 200)], 1_700_000_000_000)
    store.close()
    file = tmp_path / "hub" / "hub.sqlite3"
    if content is None:  # the beginning is sound, so that only the check of the whole finds it
        whole = bytearray(file.read_bytes())
        whole[20_000:60_000] = bytes(40_000)
        content = bytes(whole)
    file.write_bytes(content)
    code, found = examined(tmp_path)
    assert code == 1
    assert found["Database"]["code"] == "store-damaged"
    assert "offer again" in found["Database"]["next_step"]


def test_a_database_of_another_version_and_one_that_takes_too_long(tmp_path, monkeypatch):
    connection = open_writer(tmp_path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    found = {finding.check: finding for finding in laptop.checks(tmp_path)}
    assert found["Database"].code == "store-version"
    connection = sqlite3.connect(tmp_path / "hub.sqlite3")
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    connection.close()
    monkeypatch.setattr(laptop, "QUICK_CHECK_S", -1.0)
    monkeypatch.setattr(laptop, "_STEPS", 1)
    found = {finding.check: finding for finding in laptop.checks(tmp_path)}
    assert found["Database"].state == "unknown"


@pytest.mark.parametrize(("free", "code"), [(1_000_000, "disk-full"), (200_000_000, "disk-nearly-full"), (10**10, "")])
def test_room_on_the_disk_is_judged(tmp_path, monkeypatch, free, code):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**11, 10**11 - free, free))
    found = {finding.check: finding for finding in laptop.checks(tmp_path)}
    assert found["Disk"].code == code


def test_what_others_may_read_is_told(tmp_path, enrolled):
    (tmp_path / "hub").chmod(0o755)
    (tmp_path / "hub" / "hub-key.pem").chmod(0o644)
    _, found = examined(tmp_path)
    assert found["Data folder"]["code"] == "folder-exposed"
    assert f"chmod 700 {tmp_path / 'hub'}" in found["Data folder"]["next_step"]
    assert "hub-key.pem" in found["Key"]["sentence"]


def test_a_folder_that_cannot_even_be_looked_into_stops_no_check(tmp_path):
    code, found = examined(tmp_path, DOORSTEP_HUB_DATA=str(tmp_path / ("x" * 300)))
    assert code == 1
    assert found["Data folder"]["code"] == "store-read-only"
    assert found["Version"]["state"] == "well"
    assert found["Adapter"]["code"] == "no-bluetooth-service"


def test_a_broken_enrolment_is_told_and_asks_nobody(tmp_path, enrolled):
    asked = len(enrolled.requests)
    (tmp_path / "hub" / "enrolment.json").write_text('{"hub_id": 7}')
    _, found = examined(tmp_path)
    assert found["Enrolment"]["code"] == "not-enrolled"
    assert "cannot be read" in found["Enrolment"]["sentence"]
    assert len(enrolled.requests) == asked


def test_a_clock_that_is_wrong_is_told_apart_from_a_refusal(tmp_path, enrolled):
    enrolled.clock_ms = lambda: int(time.time() * 1000) + 3 * 3_600_000
    _, found = examined(tmp_path)
    assert found["Clock"]["code"] == "clock-wrong"
    assert "3 hours" in found["Clock"]["sentence"]
    assert found["Server"]["state"] == "well"
    enrolled.keys.clear()
    enrolled.clock_ms = lambda: int(time.time() * 1000)
    _, found = examined(tmp_path)
    assert found["Server"]["code"] == "server-refused"
    assert found["Clock"]["state"] == "well"


@pytest.mark.parametrize(("answer", "code"), [
    (lambda h: h.answer(200, "text/html", b"<html>Sign in"), "network-in-the-way"),
    (lambda h: h.answer(302, "text/html", b"", Location="http://portal.example/"), "network-in-the-way"),
    (lambda h: h.problem(503, "busy"), "server-busy"),
    (lambda h: h.answer(500, "text/plain", b""), "server-failed"),
    (lambda h: h.problem(426, "version"), "version-too-old"),
    (lambda h: h.answer(200, "application/json", b"[" * 60_000), "network-in-the-way"),
])  # fmt: skip
def test_what_stands_in_the_way_of_the_server_is_named(tmp_path, enrolled, answer, code):
    enrolled.misbehave[TOKEN] = answer
    _, found = examined(tmp_path)
    assert found["Server"]["code"] == code


def test_no_network_is_no_traceback(tmp_path):
    with ModelServer() as server:
        enrol.enrol(tmp_path / "hub", server.code, server.url, "Hall")
    code, found = examined(tmp_path)
    assert code == 1
    assert found["Server"]["code"] == "server-unreachable"
    assert "Nothing is lost" in found["Server"]["next_step"]


def test_a_certificate_that_does_not_verify_is_named(tmp_path, enrolled):
    import ssl

    certificate, key = _self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def shake_hands():
            peer, _ = listening.accept()
            with contextlib.suppress(OSError):
                context.wrap_socket(peer, server_side=True).close()
            peer.close()

        thread = threading.Thread(target=shake_hands)
        thread.start()
        file = tmp_path / "hub" / "enrolment.json"
        said = json.loads(file.read_text())
        url = f"https://127.0.0.1:{listening.getsockname()[1]}"
        file.write_text(json.dumps({**said, "server": url, "token_url": f"{url}/oauth/token"}))
        _, found = examined(tmp_path)
        thread.join()
    assert found["Certificate"]["code"] == "certificate"


def test_a_proxy_in_the_way_is_named_without_its_password(tmp_path, enrolled):
    done = doorstep(tmp_path, "hub", "doctor", "--json", **NOWHERE, http_proxy="http://asha:sesame@127.0.0.1:9")
    found = {finding["check"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert found["Proxy"]["code"] == "proxy-in-the-way"
    assert "127.0.0.1:9" in found["Proxy"]["sentence"]
    assert "sesame" not in done.stdout + done.stderr
    _, found = examined(tmp_path, all_proxy="gopher://127.0.0.1:9")
    assert found["Proxy"]["code"] == "proxy-in-the-way"
    assert found["Server"]["state"] == "unknown"
    _, found = examined(tmp_path, http_proxy="http://127.0.0.1:9", no_proxy="127.0.0.1")
    assert (found["Proxy"]["state"], found["Server"]["state"]) == ("well", "well")


def test_a_server_that_says_nothing_is_given_up(tmp_path, enrolled, monkeypatch):
    monkeypatch.setattr(network, "WHOLE_S", 0.2)
    released = threading.Event()
    enrolled.misbehave[TOKEN] = lambda handler: released.wait(30)
    found = {finding.check: finding for finding in asyncio.run(network.checks(tmp_path / "hub"))}
    released.set()
    assert found["Server"].code == "server-unreachable"


def test_an_emulated_radio_is_not_mistaken_for_the_laptops(tmp_path):
    _, found = examined(tmp_path, DOORSTEP_HUB_RADIO="emulated:127.0.0.1:1")
    assert found["Bluetooth"]["state"] == "note"
    assert "Adapter" not in found


def test_a_check_that_fails_itself_stops_no_other(tmp_path, monkeypatch):
    from hub.care import doctor
    from hub.settings import HubSettings

    def fail(folder):
        raise ValueError("SPECIMEN-1")

    monkeypatch.setattr(laptop, "checks", fail)
    found = doctor.examine(HubSettings(data=tmp_path, radio="none:1"))
    assert [(finding.check, finding.code) for finding in found if finding.state == "wrong"] == [
        ("Laptop", "check-failed")
    ]
    assert "SPECIMEN" not in str(found)
    assert len(found) > 2
