"""`doorstep server`, as a person types it: real processes on an embedded database of their own."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.server.conftest import Database, secret


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """A person's environment: no database set, all secrets set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DOORSTEP_")}
    with tempfile.TemporaryDirectory(prefix="doorstep-") as folder:
        yield {
            **kept,
            "DOORSTEP_DATA_DIR": folder,
            "DOORSTEP_MASTER_KEY": secret(),
            "DOORSTEP_TOKEN_SECRET": secret(),
            "DOORSTEP_SESSION_SECRET": secret(),
            "DOORSTEP_PORT": "0",
        }


def doorstep(environment: dict[str, str], *arguments: str, **options: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("doorstep")), "server", *arguments]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=90, check=False, input=options.get("typed")
    )
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return done


def said(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_organisation_a_person_a_hub_and_a_reader_are_made_and_let_go(environment: dict[str, str]) -> None:
    made = said(doorstep(environment, "create-organisation", "--name", "Kisumu", "--json"))
    assert made["name"] == "Kisumu"
    twice = doorstep(environment, "create-organisation", "--name", "Kisumu")
    assert (twice.returncode, "already" in twice.stderr) == (2, True)

    here = ("--organisation", "Kisumu")
    person = ("create-user", *here, "--email", "A@Example.org", "--name", "A Person", "--password-stdin")
    account = said(doorstep(environment, *person, "--json", typed="correct staple lantern\n"))
    assert (account["email"], account["role"]) == ("a@example.org", "clinician")
    weak = doorstep(environment, *person, typed="1234\n")
    assert weak.returncode == 2
    assert weak.stderr.strip()

    reader = said(doorstep(environment, "enrol-reader", *here, "--site", "Clinic", "--name", "R1", "--json"))
    assert {name: len(str(reader[name])) for name in ("reader_id", "key")} == {"reader_id": 16, "key": 64}
    assert reader["generation"] == 0
    code = said(doorstep(environment, "enrol-hub", *here, "--json"))
    assert set(code) == {"code", "expires_at", "server"}

    revoke = ("revoke-reader", *here, str(reader["reader_id"]), "--json")
    assert said(doorstep(environment, *revoke))["changed"] is True
    assert said(doorstep(environment, *revoke))["changed"] is False
    assert len(str(said(doorstep(environment, "new-epoch", "--why", "restored", "--json"))["epoch"])) == 16


def test_a_reader_is_handed_to_another_organisation(environment: dict[str, str]) -> None:
    for name in ("Giving", "Taking"):
        said(doorstep(environment, "create-organisation", "--name", name, "--json"))
    giving = ("--organisation", "Giving")
    reader = said(doorstep(environment, "enrol-reader", *giving, "--site", "Clinic", "--name", "R2", "--json"))
    hand = ("reader", "hand-over", str(reader["reader_id"]), *giving, "--to", "Taking", "--site", "Hall", "--json")
    made = said(doorstep(environment, *hand))
    assert (made["was"], made["name"], made["generation"]) == (reader["reader_id"], "R2", 0)
    assert made["reader_id"] != reader["reader_id"]
    assert len(str(made["key"])) == 64
    again = doorstep(environment, *hand)
    assert (again.returncode, again.stdout) == (2, "")
    assert "taken out of use" in again.stderr
    nowhere = doorstep(environment, *hand[:-4], "Nobody", *hand[-3:])
    assert nowhere.returncode == 2
    assert "no organisation named Nobody" in nowhere.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("enrol-hub", "--organisation", "Nowhere"), "There is no organisation named Nowhere"),
        (("create-organisation", "--name", " "), "A name is 1 to 120 printable characters"),
        (("revoke-hub", "--organisation", "Nowhere", "xyz"), "is not the id of a hub"),
        (("revoke-hub", "--organisation", "Nowhere", "00" * 8), "There is no organisation named Nowhere"),
        (("no-such-command",), "No such command"),
        (("enrol-reader",), "Missing option"),
        (("operators",), "let anybody test again with --lift"),
        (("operators", "OPKIT1", "--lift"), "let anybody test again with --lift"),
        (("operators", "OPKIT1=soon"), "give the last day of OPKIT1 as YYYY-MM-DD"),
    ],
)
def test_a_wrong_argument_gets_a_sentence_and_exit_2(
    environment: dict[str, str], arguments: tuple[str, ...], sentence: str
) -> None:
    done = doorstep(environment, *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stdout == ""


def test_a_missing_secret_stops_the_start_with_exit_2(environment: dict[str, str]) -> None:
    without = {name: value for name, value in environment.items() if name != "DOORSTEP_TOKEN_SECRET"}
    done = doorstep(without, "run")
    assert done.returncode == 2
    assert "DOORSTEP_TOKEN_SECRET is not set. Make one with:" in done.stderr


def test_settings_are_listed_without_secrets(environment: dict[str, str]) -> None:
    rows = said(doorstep(environment, "settings", "--json"))["settings"]
    assert isinstance(rows, list)
    assert {"name": "DOORSTEP_PORT", "value": "0"}.items() <= next(
        r for r in rows if r["name"] == "DOORSTEP_PORT"
    ).items()
    assert environment["DOORSTEP_MASTER_KEY"] not in json.dumps(rows)
    assert environment["DOORSTEP_MASTER_KEY"] not in doorstep(environment, "settings").stdout


def test_a_database_that_does_not_answer_is_said_so_without_its_password(environment: dict[str, str]) -> None:
    url = "postgresql://someone:hunter2@127.0.0.1:9/doorstep"
    done = doorstep({**environment, "DOORSTEP_DATABASE_URL": url}, "migrate")
    assert done.returncode == 1
    assert "DOORSTEP_DATABASE_URL" in done.stderr
    assert "hunter2" not in done.stderr
    done = doorstep({**environment, "DOORSTEP_DATABASE_URL": "mysql://x/y"}, "migrate")
    assert done.returncode in (1, 2)
    assert "postgresql://" in done.stderr


def test_a_database_of_ones_own_is_only_migrated_when_told(environment: dict[str, str], database: Database) -> None:
    from sqlalchemy import create_engine, make_url, text

    from server.database.engine import driver_url

    engine = create_engine(driver_url(database.owner), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE own"))
    try:
        url = make_url(database.owner).set(database="own").render_as_string(hide_password=False)
        own = {**environment, "DOORSTEP_DATABASE_URL": url}
        refused = doorstep(own, "run")
        assert refused.returncode == 2
        assert "Run: doorstep server migrate" in refused.stderr
        assert doorstep(own, "migrate").returncode == 0
        assert said(doorstep(own, "create-organisation", "--name", "Own", "--json"))["name"] == "Own"
    finally:
        with engine.connect() as connection:
            connection.execute(text("DROP DATABASE own WITH (FORCE)"))
        engine.dispose()


def test_run_serves_until_it_is_told_to_stop(environment: dict[str, str]) -> None:
    command = [str(Path(sys.executable).with_name("doorstep")), "server", "run"]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line.startswith("Serving at http://127.0.0.1:")
        url = line.split()[-1]
        response = httpx.post(f"{url}/hub/v1/exchange", content=b"")
        assert (response.status_code, response.json()["code"]) == (401, "unauthorised")
        enrolled = httpx.post(f"{url}/oauth/token", data={})
        assert enrolled.status_code == 401
        taken = doorstep({**environment, "DOORSTEP_PORT": url.rpartition(":")[2]}, "run")
        assert taken.returncode == 2
        assert "cannot be listened on" in taken.stderr
        server.send_signal(signal.SIGTERM)
        _, stderr = server.communicate(timeout=30)
    finally:
        if server.poll() is None:
            server.kill()
            server.communicate()
    assert server.returncode == 0
    assert "Traceback" not in stderr
    # The embedded database, which nobody else uses, has stopped with it.
    assert not (Path(environment["DOORSTEP_DATA_DIR"]) / "postgresql" / "postmaster.pid").exists()
