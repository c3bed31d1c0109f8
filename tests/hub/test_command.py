"""The `doorstep` command as a person meets it: real processes, sentences, exit codes, and never a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from model_reader import chain_of
from model_server import ModelServer

from hub.exchange import Receipt, Reply
from hub.sealed import read_record
from hub.store import Store

sys.path.insert(0, str(Path(__file__).parent))
from test_store import AT, READER

_LOADED = """
import sys
from hub.command import dispatch
dispatch([])
print([m for m in sys.modules if m.split(".")[0] in ("server", "emulator", "bumble", "fastapi", "bleak", "httpx")])
"""
DOORSTEP = Path(sys.executable).with_name("doorstep")


def doorstep(folder, *arguments, **environment):
    """Run the real command with its data, log and home in `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DOORSTEP_")}
    home = {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), "DOORSTEP_HUB_DATA": str(folder / "hub")}
    done = subprocess.run(
        [DOORSTEP, *arguments],
        env={**kept, **home, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


@pytest.mark.parametrize("arguments", [(), ("--help",), ("help",)])
def test_without_a_command_the_commands_are_listed_and_no_room_is_loaded(tmp_path, arguments):
    done = doorstep(tmp_path, *arguments)
    assert done.returncode == 0
    assert "hub     " in done.stdout
    assert "Collect from readers in range" in done.stdout
    seen = subprocess.run(
        [sys.executable, "-c", _LOADED],
        capture_output=True,
        text=True,
        check=True,
    )
    assert seen.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ("fly",),
        ("hub", "fly"),
        ("hub", "status", "--jsn"),
        ("hub", "enrol"),
        ("hub", "enrol", "code-1234"),
        ("hub", "enrol", "code-1234", "--server", "http://example.org", "--name", "x"),
        ("hub", "enrol", "a b c", "--server", "https://example.org", "--name", "x"),
        ("hub", "enrol", "code-1234", "--server", "https://example.org", "--name", " "),
        ("hub", "run", "--until-delivered", "many"),
    ],
)
def test_a_wrong_argument_gets_a_sentence_and_exit_2(tmp_path, arguments):
    done = doorstep(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.strip()) > 20


@pytest.mark.parametrize(("name", "value"), [("SLOTS", "none"), ("SLOTS", "0"), ("WATCHDOG", "-1")])
def test_a_wrong_setting_is_named(tmp_path, name, value):
    done = doorstep(tmp_path, "hub", "status", **{f"DOORSTEP_HUB_{name}": value})
    assert done.returncode == 2
    assert f"DOORSTEP_HUB_{name}" in done.stderr


def test_an_unknown_radio_is_named(tmp_path):
    with ModelServer() as server:
        assert doorstep(tmp_path, "hub", "enrol", server.code, "--server", server.url, "--name", "Hall").returncode == 0
    done = doorstep(tmp_path, "hub", "run", DOORSTEP_HUB_RADIO="crystal:set")
    assert done.returncode == 2
    assert "crystal" in done.stderr


def test_before_enrolment_status_says_so_and_run_says_what_to_do(tmp_path):
    done = doorstep(tmp_path, "hub", "status", "--json")
    status = json.loads(done.stdout)
    assert done.returncode == 0
    assert status["hub"] is None
    assert status["problems"][0]["code"] == "not-enrolled"
    done = doorstep(tmp_path, "hub", "run")
    assert done.returncode == 1
    assert "doorstep hub enrol" in done.stderr


def test_what_nobody_expected_is_a_sentence_with_the_log_and_a_trace_only_when_asked(tmp_path):
    script = "import hub.command as c; c._guarded(lambda: 1 // 0)"
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert "doorstep.log" in done.stderr
    log = Path(done.stderr.split("details are in ")[1].strip().rstrip("."))
    assert "ZeroDivisionError" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**environment, "DOORSTEP_DEBUG": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" in done.stderr


def test_enrolling_and_the_status_of_what_is_held_and_delivered(tmp_path):
    with ModelServer() as server:
        done = doorstep(tmp_path, "hub", "enrol", server.code, "--server", server.url, "--name", "Village hall")
        assert done.returncode == 0
        assert "Village hall" in done.stdout
        again = doorstep(
            tmp_path, "hub", "enrol", "other-code", "--server", server.url, "--name", "Village hall", "--again"
        )
        assert again.returncode == 1
        assert "code" in again.stderr
    store = Store(tmp_path / "hub")
    store.keep_records(READER, [read_record(sealed) for sealed in chain_of(READER, 5)], 1_700_000_000_000)
    store.saw(READER, "Reader [7]", -60, 9, 0, 0, 1_700_000_000_000)
    store.apply([], [], Reply(1, b"epoch--1", (), (Receipt(READER, 3, b"r"),), (), ()), AT)
    store.raise_problem("reader-battery", READER.hex(), "", 1_700_000_000_000)
    store.close()
    status = json.loads(doorstep(tmp_path, "hub", "status", "--json").stdout)
    (reader,) = status["readers"]
    assert (reader["stored"], reader["delivered"], reader["undelivered"], reader["on_reader"]) == (5, 3, 2, 3)
    assert reader["visited"] is None
    assert reader["seen"] == "2023-11-14T22:13:20Z"
    assert status["sentence"] == "Doorstep is not running; 5 records wait here and on readers. Run: doorstep hub."
    assert status["problems"][0]["code"] == "reader-battery"
    assert status["running"] is False
    plain = doorstep(tmp_path, "hub", "status")
    assert plain.returncode == 0
    assert "Reader [7]" in plain.stdout
    assert "Charge it." in plain.stdout
    (tmp_path / "hub" / "hub.sqlite3").write_bytes(b"nonsense" * 1000)
    broken = doorstep(tmp_path, "hub", "status")
    assert broken.returncode == 1
    assert "damaged" in broken.stderr
