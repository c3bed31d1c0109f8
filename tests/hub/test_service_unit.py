"""`doorstep hub install` and `uninstall`: the unit that systemd itself reads, and what is said where there is none."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from model_server import ModelServer

from hub import enrol
from hub.care import unit

sys.path.insert(0, str(Path(__file__).parent))
from test_command import DOORSTEP, doorstep

_SYSTEMCTL = """#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in *"$FAILS"*) [ -n "$FAILS" ] && { echo "Unit is masked." >&2; exit 1; };; esac
exit 0
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux only")


@pytest.fixture
def laptop(tmp_path):
    """An enrolled laptop, with a systemctl that notes what it is asked; gives its environment."""
    with ModelServer() as server:
        enrol.enrol(tmp_path / "hub", server.code, server.url, "Hall")
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "systemctl"
    script.write_text(_SYSTEMCTL)
    script.chmod(0o755)
    return {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "CALLS": str(tmp_path / "calls"),
        "FAILS": "",
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }


def calls(folder):
    file = folder / "calls"
    found = [line.removeprefix("--user ") for line in file.read_text().splitlines()] if file.exists() else []
    file.unlink(missing_ok=True)
    return [call for call in found if call != "show-environment"]


def verified(tmp_path, text):
    """What `systemd-analyze verify` has to say of a unit: nothing, when it is sound."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: as root, run apt-get install systemd")
    file = tmp_path / unit.NAME
    file.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(file)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, [line for line in done.stderr.splitlines() if unit.NAME in line]


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    data = tmp_path / 'with "quotes", 100 % and $PATH'
    data.mkdir()
    for namespaces in (True, False):
        text = unit.content(DOORSTEP, data, {"DOORSTEP_HUB_SLOTS": "2", "OTHER": "x"}, namespaces)
        assert verified(tmp_path, text) == (0, [])
        assert "OTHER" not in text
        assert ("PrivateUsers=yes" in text) is namespaces


def test_systemd_does_find_what_is_wrong(tmp_path):
    text = unit.content(tmp_path / "no such command", tmp_path, {}, True)
    assert verified(tmp_path, text)[0] != 0
    text = unit.content(DOORSTEP, tmp_path, {}, True).replace("ProtectSystem=strict", "ProtectSystem=very")
    assert verified(tmp_path, text)[1] != []


def test_the_unit_locks_the_hub_in_and_never_lets_it_stay_down(tmp_path):
    lines = unit.content(DOORSTEP, tmp_path, {}, True).splitlines()
    for line in (
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "PrivateTmp=yes",
        f'ReadWritePaths="{tmp_path}"',
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_BLUETOOTH",
        "MemoryMax=512M",
        "Restart=always",
        "StartLimitIntervalSec=0",
        f'Environment="DOORSTEP_HUB_DATA={tmp_path}"',
        f'ExecStart="{DOORSTEP}" hub run',
    ):
        assert line in lines


def test_installing_starts_it_again_changes_nothing_and_uninstalling_leaves_the_data(tmp_path, laptop):
    done = doorstep(tmp_path, "hub", "install", **laptop)
    assert done.returncode == 0
    file = tmp_path / "config" / "systemd" / "user" / "doorstep-hub.service"
    text = file.read_text()
    assert text in done.stdout, "what was written is shown"
    assert str(file) in done.stdout
    assert calls(tmp_path) == ["daemon-reload", f"enable {unit.NAME}", f"restart {unit.NAME}"]
    done = doorstep(tmp_path, "hub", "install", **laptop)
    assert "unchanged" in done.stdout
    assert calls(tmp_path) == ["daemon-reload", f"enable {unit.NAME}", f"start {unit.NAME}"]
    done = doorstep(tmp_path, "hub", "install", DOORSTEP_HUB_SLOTS="2", **laptop)
    assert 'Environment="DOORSTEP_HUB_SLOTS=2"' in file.read_text()
    assert calls(tmp_path)[-1] == f"restart {unit.NAME}"
    for expected in ([f"disable --now {unit.NAME}", "daemon-reload"], []):
        done = doorstep(tmp_path, "hub", "uninstall", **laptop)
        assert done.returncode == 0
        assert not file.exists()
        assert calls(tmp_path) == expected
    assert (tmp_path / "hub" / "enrolment.json").exists()


def test_without_systemd_it_says_exactly_what_to_run(tmp_path, laptop):
    (tmp_path / "bin" / "systemctl").write_text("#!/bin/sh\necho 'Failed to connect to bus' >&2\nexit 1\n")
    done = doorstep(tmp_path, "hub", "install", **laptop)
    assert done.returncode == 0
    assert f"  systemctl --user daemon-reload\n  systemctl --user enable {unit.NAME}\n" in done.stdout
    assert f"  systemctl --user restart {unit.NAME}\n" in done.stdout
    made = json.loads(doorstep(tmp_path, "hub", "install", "--json", **laptop).stdout)
    assert made["changed"] is False
    assert len(made["to_run"]) == 3


def test_what_systemd_refuses_is_a_sentence(tmp_path, laptop):
    done = doorstep(tmp_path, "hub", "install", **{**laptop, "FAILS": "restart"})
    assert done.returncode == 1
    assert "Unit is masked" in done.stderr


def test_a_laptop_that_is_not_enrolled_is_not_installed(tmp_path):
    done = doorstep(tmp_path, "hub", "install", XDG_CONFIG_HOME=str(tmp_path / "config"))
    assert done.returncode == 1
    assert "doorstep hub enrol" in done.stderr
    assert not (tmp_path / "config").exists()
