"""The log: lines a program reads, files that stay small and private, and in them nothing secret and nobody's data."""

import ast
import asyncio
import gc
import json
import logging
import sqlite3
from pathlib import Path

import pytest

from hub import logbook, redaction
from hub.credentials import assertion, new_key
from hub.errors import HubError

HUB = Path(__file__).parents[2] / "hub"
SPECIMEN = "AB-2041-77"
LEVELS = ("debug", "info", "warning", "error", "critical", "exception")
LIBRARIES = ("httpx", "bleak.backends", "uvicorn.error", "anything")


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Logs to a file, as in a process of its own; gives its path. What other tests had set is put back."""
    for name in {part for library in LIBRARIES for part in (library, library.partition(".")[0])}:
        for attribute, value in (("handlers", []), ("level", logging.NOTSET), ("propagate", True), ("disabled", False)):
            monkeypatch.setattr(logging.getLogger(name), attribute, value)
    gc.collect()  # a task that another test forgot is told of here otherwise
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    logbook.to_file(tmp_path / "log" / "hub.log")
    yield tmp_path / "log" / "hub.log"
    for handler in [handler for handler in root.handlers if handler not in before]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_is_json_with_time_level_place_and_fields(log):
    logging.getLogger("hub.events").info("seen", extra={"fields": {"reader": "00ff", "rssi": -60, "detail": None}})
    (line,) = lines(log)
    assert line["what"] == "seen"
    assert (line["level"], line["from"], line["reader"], line["rssi"]) == ("info", "hub.events", "00ff", -60)
    assert line["time"].endswith("Z")


@pytest.mark.parametrize(
    "field",
    ["specimen", "specimen_code", "barcode", "person", "patient_id", "name", "given_name", "birth_date", "phone",
     "ticket", "ticket_secret", "access_token", "Authorization", "client_assertion", "private_key", "password",
     "cookie", "sealed", "outcome", "payload"],
)  # fmt: skip
def test_a_field_that_holds_what_nobody_may_read_is_refused_wherever_it_stands(log, field):
    logger = logging.getLogger("hub.test")
    logger.info("one", extra={"fields": {field: SPECIMEN}})
    logger.info("two", extra={"fields": {"deep": [{"in": {field: [SPECIMEN]}}]}})
    assert SPECIMEN not in log.read_text()
    assert lines(log)[0][field] == redaction.REFUSED
    assert lines(log)[1]["deep"] == [{"in": {field: redaction.REFUSED}}]


def test_what_looks_like_a_key_is_taken_out_of_any_text(log):
    key = new_key()
    jwt = assertion(key, "00" * 8, "https://server.example", 1)
    secrets = [key.as_pem(private=True).decode(), jwt, "5f" * 32, str(b"\x00sealed" * 9), "Bearer abc.def-1"]
    for secret in secrets:
        logging.getLogger("hub.test").warning("failed", extra={"error": f"it said {secret} then"})
    logging.getLogger("hub.test").warning("failed", extra={"error": "http://asha:sesame@proxy.example:80/x"})
    logging.getLogger("hub.test").warning("bytes", extra={"value": b"\x01\x02"})
    text = log.read_text()
    for secret in ("PRIVATE KEY", jwt, jwt.split(".")[2], "5f5f5f5f", "sealed", "abc.def", "sesame", "asha"):
        assert secret not in text
    assert all("it said (not kept)" in line["error"] or "earer (not kept)" in line["error"] for line in lines(log)[:5])
    assert "proxy.example" in text


def test_what_an_engineer_needs_is_left():
    for words in (
        "Reader 0011223344556677: BleakError: Not connected",
        "/home/x/.local/share/pipx/venvs/doorstep/lib/python3.11/site-packages/hub/collector.py:120 in _visit",
        "6FA459EA-EE8A-3CA4-894E-DB77E160355E",
        "d0015e90-51c8-4f0e-9b6d-5a1f3f0e7c11",
        "https://doorstep.example.org/hub/v1/exchange: status 503",
    ):
        assert redaction.text(words) == words
    status = {"ticket_until": "2026-08-06T17:30:00Z", "waiting": 3, "code": "reader-battery", "disposition": 1}
    assert redaction.clean(status) == status


def test_an_error_leaves_its_place_and_not_the_value_that_it_names(log):
    def fail():
        try:
            int(SPECIMEN)
        except ValueError as error:
            raise HubError("The form was not understood. Try again.") from error

    try:
        fail()
    except HubError:
        logging.getLogger("hub.test").exception("form failed")
    group = ExceptionGroup("parts", [KeyError(SPECIMEN), sqlite3.OperationalError("database is locked")])
    logging.getLogger("hub.test").error("part failed", exc_info=group)
    text = log.read_text()
    assert SPECIMEN not in text
    first, second = (line["trace"] for line in lines(log))
    assert "ValueError\nwhich led to:" in first
    assert "HubError: The form was not understood. Try again." in first
    assert "test_logbook.py" in first
    assert "KeyError" in second
    assert "database is locked" in second


async def test_a_task_that_nobody_waited_for_leaves_no_value_either(log):
    async def fail():
        raise ValueError(SPECIMEN)

    task = asyncio.get_running_loop().create_task(fail())
    await asyncio.wait([task])
    del task
    gc.collect()
    (line,) = lines(log)
    assert line["from"] == "asyncio"
    assert "never retrieved" in line["what"]
    assert SPECIMEN not in log.read_text()


def test_libraries_speak_only_when_something_is_wrong(log):
    for name in LIBRARIES:
        logging.getLogger(name).info("GET /?secret=%s", SPECIMEN)
        logging.getLogger(name).warning("slow\n%s", SPECIMEN)
    assert [line["what"] for line in lines(log)] == ["slow"] * 4
    assert SPECIMEN not in log.read_text()


def test_the_files_are_private_rotated_and_bounded_and_so_is_a_line(log, monkeypatch):
    monkeypatch.setattr(logbook, "FILE_BYTES", 20_000)
    logbook.to_file(log)
    for number in range(300):
        logging.getLogger("hub.test").info("word " * 20_000, extra={"detail": "word " * 20_000, "number": number})
    found = logbook.files(log)
    assert len(found) == logbook.FILES == len(list(log.parent.iterdir()))
    for file in found:
        assert file.stat().st_size <= 20_000
        assert file.stat().st_mode & 0o777 == 0o600
        assert all(len(json.dumps(line)) < 4_000 for line in lines(file))
    # Whatever else this process had to say while it lasted is in the files too.
    assert [line["number"] for line in lines(found[0]) if line["from"] == "hub.test"][-1] == 299


def test_cleaning_is_quick_and_bounded_whatever_it_is_given():
    deep = []
    for _ in range(5_000):
        deep = [deep]
    assert len(json.dumps(redaction.clean(deep))) < 100
    for hard in ("A" * 10**6, "b'" + "\\" * 10**6, "-----BEGIN " * 10**5, "aB1" * 10**6, "://" * 10**6):
        assert len(redaction.text(hard)) <= redaction.TEXT_MAX


def test_the_words_of_every_log_line_in_the_hub_are_fixed():
    """What varies is a field: only so can it be refused by its name."""
    loose, seen = [], 0
    for path in sorted(HUB.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
                owner = node.func.value
                if not (isinstance(owner, ast.Name) and owner.id in ("_log", "log", "logger", "logging")):
                    continue
                seen += 1
                words = node.args[0] if node.args else None
                # Events are the one place where the words are a variable: their names are fixed at each `emit`.
                fixed = isinstance(words, ast.Constant) or (path.name == "events.py" and isinstance(words, ast.Name))
                if not fixed or len(node.args) != 1:
                    loose.append(f"{path.relative_to(HUB)}:{node.lineno}")
    assert seen > 5
    assert loose == []
