"""Commands asked wrongly: a sentence that says what to do, exit 2, and no traceback."""

import base64
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

DOORSTEP = [sys.executable, "-c", "from hub.command import main; main()"]
SECRETS = ("DOORSTEP_MASTER_KEY", "DOORSTEP_TOKEN_SECRET", "DOORSTEP_SESSION_SECRET")

Ask = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Run `doorstep` with these arguments and settings as a person would, at home in an empty folder."""

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DOORSTEP_")}
        home = {
            "HOME": str(tmp_path),
            "XDG_STATE_HOME": str(tmp_path / "state"),
            "DOORSTEP_DATA_DIR": str(tmp_path / "server"),
            "DOORSTEP_HUB_DATA": str(tmp_path / "hub"),
        }
        done = subprocess.run(
            [*DOORSTEP, *arguments],
            env={**kept, **home, **settings},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
            cwd=tmp_path,
        )
        assert "Traceback" not in done.stdout + done.stderr
        return done

    return run


def secrets() -> dict[str, str]:
    return {name: base64.b64encode(os.urandom(32)).decode() for name in SECRETS}


def test_doorstep_alone_lists_its_commands(ask: Ask) -> None:
    done = ask()
    assert (done.returncode, done.stderr) == (0, "")
    for command in ("custody", "demo", "hub", "server"):
        assert f"\n  {command} " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("nonsense",), "nonsense"),
        (("hub", "nonsense"), "nonsense"),
        (("hub", "status", "--nonsense"), "--nonsense"),
        (("server", "nonsense"), "nonsense"),
        (("server", "enrol-hub"), "--organisation"),
        (("custody", "--reader", "xyz"), "xyz"),
        (("demo", "--scenario", "missing.toml"), "missing.toml"),
        (("emulator", "nonsense"), "nonsense"),
        (("accuracy", "--strips", "missing.csv"), "missing.csv"),
    ],
    ids=" ".join,
)
def test_what_is_not_understood_is_named_in_a_sentence(ask: Ask, arguments: tuple[str, ...], named: str) -> None:
    done = ask(*arguments)
    assert done.returncode == 2, done
    assert named in done.stderr
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) <= 3
    assert done.stderr.strip()[-1] in ".:", done.stderr


@pytest.mark.parametrize("missing", SECRETS)
def test_a_server_without_a_secret_says_which_to_set_and_does_not_start(ask: Ask, missing: str) -> None:
    done = ask("server", "run", **{name: value for name, value in secrets().items() if name != missing})
    assert done.returncode == 2
    assert missing in done.stderr


@pytest.mark.parametrize("weak", SECRETS)
def test_a_server_with_a_weak_secret_does_not_start_and_does_not_repeat_it(ask: Ask, weak: str) -> None:
    done = ask("server", "run", **(secrets() | {weak: "password1234"}))
    assert done.returncode == 2
    assert weak in done.stderr
    assert "password1234" not in done.stdout + done.stderr


def test_a_hub_that_is_not_enrolled_says_how_to_enrol(ask: Ask) -> None:
    done = ask("hub", "run")
    assert done.returncode == 1, "nothing was typed wrongly"
    assert "doorstep hub enrol" in done.stderr


def test_a_scenario_with_a_mistake_is_refused_with_its_place(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text('[[reader]]\nname = "Hall"\n[[reader.test]]\nspecimen = "DS-0001"\n')
    done = ask("demo", "--scenario", "wrong.toml", "--once")
    assert done.returncode == 2
    assert "wrong.toml" in done.stderr
    assert "reader.0.test.0" in done.stderr
