"""The embedded cluster runs while anybody uses it, and no longer, however its users come and end."""

import contextlib
import random
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import psycopg
import pytest

from server.database import embedded

USER = """
import sys
from pathlib import Path
import psycopg
from server.database import embedded

cluster = embedded.start(Path(sys.argv[1]))
with psycopg.connect(cluster.get_uri()) as connection:
    print("in", flush=True)
    sys.stdin.readline()
    connection.execute("SELECT 1")
"""


class User:
    """A process that uses the cluster until told to end."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def wait_until_in(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "in\n"

    def end(self) -> int:
        self.process.communicate("\n", timeout=60)
        return self.process.returncode


def postmasters(folder: Path) -> int:
    found = 0
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        found += bool(command) and command[0].endswith("postgres") and str(folder) in command
    return found


def kill(folder: Path) -> None:
    """kill -9 of the cluster with all its processes, as a power cut does; nobody waits until they are gone."""
    postmaster = psutil.Process(int((folder / "postmaster.pid").read_text().splitlines()[0]))
    for process in [postmaster, *postmaster.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("embedded") / "postgresql"


def test_users_that_come_end_and_are_killed_leave_it_to_the_others(folder: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    order = random.Random(seed)
    stays = User(folder)
    stays.wait_until_in()
    for _ in range(3):
        users = [User(folder) for _ in range(4)]
        for user in users:
            user.wait_until_in()
        order.shuffle(users)
        users[0].process.kill()
        assert [user.end() for user in users[1:]] == [0, 0, 0]
        assert postmasters(folder) == 1
    assert stays.end() == 0, "the one that stayed lost its database"
    assert postmasters(folder) == 0, "the last to leave stops it"


def test_it_starts_after_everybody_was_killed_even_amid_a_note(folder: Path) -> None:
    killed = User(folder)
    killed.wait_until_in()
    killed.process.kill()
    killed.process.wait()
    (folder / ".handle_pids.json").write_text("[12")
    cluster = embedded.start(folder)
    with psycopg.connect(cluster.get_uri()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    cluster.cleanup()
    cluster.cleanup()
    assert postmasters(folder) == 0


@pytest.mark.parametrize("name", ["postgresql", "p" * 120])
def test_it_starts_again_at_once_after_it_was_killed_with_its_user(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    for _ in range(4):
        killed = User(folder)
        killed.wait_until_in()
        kill(folder)
        killed.process.kill()
        killed.process.wait()
        again = User(folder)
        again.wait_until_in()
        assert again.end() == 0


def test_one_that_was_killed_and_is_still_there_is_waited_for(folder: Path, tmp_path: Path) -> None:
    ended: list[bool] = []
    folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as dying:
        (folder / "postmaster.pid").write_text(f"{dying.pid}\n{folder}\n0\n5432\n{tmp_path}\n\n")

        def end() -> None:
            ended.append(True)
            dying.communicate()

        timer = threading.Timer(0.5, end)
        timer.start()
        embedded._let_it_end(folder)
        assert ended, "it was not waited for"
        assert dying.poll() is not None
        timer.join()


@pytest.mark.parametrize("name", ["postgresql", "p" * 120])
def test_one_that_runs_is_joined_without_a_wait(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / name
    user = User(folder)
    user.wait_until_in()
    monkeypatch.setattr(embedded.time, "sleep", lambda _seconds: pytest.fail("waited"))
    embedded._let_it_end(folder)
    assert embedded._answers(folder) is True
    assert user.end() == 0


@pytest.mark.parametrize(
    "noted",
    [None, "", "1\n", "x\n/\n0\n5432\n/\n", f"{10**30}\n/\n0\n5432\n/\n", f"{2**22 + 1}\n/\n0\n5432\n/\n"],
)
def test_what_names_no_process_is_not_waited_for(folder: Path, noted: str | None) -> None:
    folder.mkdir()
    if noted is not None:
        (folder / "postmaster.pid").write_text(noted)
    assert embedded._answers(folder) is None
