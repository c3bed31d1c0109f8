"""A server or its database killed while it accepts: what was answered is there, what is offered again is there once."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from joserfc.jwk import ECKey

from emulator.guardian import Guardian
from reader import wire
from tests.server import factory
from tests.server.conftest import secret
from tests.server.hubs import client

DOORSTEP = str(Path(sys.executable).with_name("doorstep"))


def command(environment: dict[str, str], *arguments: str) -> dict[str, str]:
    done = subprocess.run(
        [DOORSTEP, "server", *arguments, "--json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    return json.loads(done.stdout)


class Server:
    """`doorstep server run` in a process of its own."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen([DOORSTEP, "server", "run"], env=environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("Serving at "), line
        self.url = line.split()[-1]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


def headers(url: str, key: ECKey, hub_id: str) -> dict[str, str]:
    """What an exchange needs: a fresh token."""
    said = client.claims(hub_id, aud=f"{url}/oauth/token")
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": client.assertion(key, said),
    }
    token = httpx.post(f"{url}/oauth/token", data=form, timeout=30).json()["access_token"]
    return {"Authorization": f"Bearer {token}", "Content-Type": wire.EXCHANGE_MEDIA_TYPE}


class Office:
    """A server with an organisation, a reader and a hub, in a folder of its own."""

    def __init__(self, folder: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DOORSTEP_")}
        self.cluster = Path(folder) / "postgresql"
        self.environment = {
            **kept,
            "DOORSTEP_DATA_DIR": folder,
            "DOORSTEP_MASTER_KEY": secret(),
            "DOORSTEP_TOKEN_SECRET": secret(),
            "DOORSTEP_SESSION_SECRET": secret(),
            "DOORSTEP_PORT": "0",
        }
        self.server = Server(self.environment)
        command(self.environment, "create-organisation", "--name", "Ward")
        here = ("--organisation", "Ward")
        made = command(self.environment, "enrol-reader", *here, "--site", "Clinic", "--name", "R")
        self.reader = factory.Reader(bytes.fromhex(made["reader_id"]), bytes.fromhex(made["key"]))
        self._key = ECKey.generate_key("P-384")
        code = command(self.environment, "enrol-hub", *here)["code"]
        body = {"code": code, "name": "Laptop", "key": client.public(self._key)}
        self._hub_id = httpx.post(f"{self.server.url}/hub/v1/enrol", json=body, timeout=30).json()["hub_id"]
        self._headers = headers(self.server.url, self._key, self._hub_id)

    def start_again(self) -> None:
        self.server = Server(self.environment)
        self._headers = headers(self.server.url, self._key, self._hub_id)

    def stop(self) -> None:
        self.server.process.send_signal(signal.SIGTERM)
        self.server.process.communicate(timeout=30)

    def post(self, sealed: list[bytes]) -> httpx.Response:
        url = self.server.url + wire.EXCHANGE_PATH
        return httpx.post(url, content=factory.exchange_body(sealed), headers=self._headers, timeout=60)

    def postmaster(self) -> int:
        """Process id of the database's first process."""
        return int((self.cluster / "postmaster.pid").read_text().splitlines()[0])


@contextmanager
def office() -> Generator[Office]:
    with tempfile.TemporaryDirectory(prefix="doorstep-") as folder, Guardian(Path(folder), remove=True):
        made = Office(folder)
        try:
            yield made
        finally:
            made.stop()


def prove_whole(made: Office, sealed: list[bytes], answered: int) -> None:
    """All that was answered was held, and of the one batch under way all or nothing; offered again it is there once."""
    items = factory.items_of(made.post(sealed).content)
    given = [item[4] for item in items if item[0] == wire.ITEM_ANSWER]
    duplicates = given.count(wire.DUPLICATE)
    assert given == [wire.DUPLICATE] * duplicates + [wire.HELD] * (len(sealed) - duplicates)
    assert duplicates in (answered, answered + 20)
    assert [item[2] for item in items if item[0] == wire.ITEM_RECEIPT] == [len(sealed)]


@pytest.mark.parametrize("delay_s", [0.02, 0.15, 0.4])
def test_a_server_killed_while_it_accepts_loses_nothing_it_answered_and_takes_nothing_twice(delay_s: float) -> None:
    with office() as made:
        sealed = made.reader.results(200)
        killer = threading.Timer(delay_s, made.server.kill)
        killer.start()
        answered = 0
        began = time.monotonic()
        try:
            for at in range(0, 200, 20):
                response = made.post(sealed[at : at + 20])
                assert response.status_code == 200
                answered = at + 20
        except httpx.TransportError:
            assert time.monotonic() - began >= delay_s, "it fell before it was pushed"
        killer.join()
        made.start_again()
        prove_whole(made, sealed, answered)


@pytest.mark.parametrize("delay_s", [0.02, 0.2])
def test_a_database_killed_while_it_takes_is_waited_for_and_nothing_answered_is_lost(delay_s: float) -> None:
    with office() as made:
        sealed = made.reader.results(400)
        killer = threading.Timer(delay_s, os.kill, (made.postmaster(), signal.SIGKILL))
        killer.start()
        answered = 0
        for at in range(0, 400, 20):
            response = made.post(sealed[at : at + 20])
            if response.status_code != 200:
                break
            answered = at + 20
        killer.join()
        # Whether or not it fell amid a batch: now it is gone, and the hub is told to come again, not that all is well.
        refused = made.post(sealed[answered : answered + 20])
        assert (refused.status_code, refused.json()["code"]) == (503, "busy"), refused.text
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.headers["content-type"] == "application/problem+json"

        # Any command starts the cluster again; the server that was there all the time goes on by itself.
        command(made.environment, "enrol-hub", "--organisation", "Ward")
        assert made.post([]).status_code == 200, "the first to come finds the database again"
        prove_whole(made, sealed, answered)
