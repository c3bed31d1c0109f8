"""The wheel as `pipx install` lays it out: built offline, in an environment of its own, whole, and working."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from reader import packfile

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    (found,) = folder.glob("doorstep-*.whl")
    return found


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """An environment with this wheel alone; what it depends on is seen from the locked one, which is searched after."""
    folder = tmp_path_factory.mktemp("pipx")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run(
        [*install, str(wheel)],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    (site,) = folder.glob("lib/python3*/site-packages")
    (site / "locked.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return folder


def run(environment, folder, *arguments):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DOORSTEP_", "PYTHON"))}
    home = {"HOME": str(folder), "DOORSTEP_HUB_DATA": str(folder / "hub"), "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/no"}
    return subprocess.run(
        [environment / "bin" / arguments[0], *arguments[1:]],
        cwd=folder, env={**kept, **home}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_wheel_holds_what_its_parts_need_beside_their_code(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    packs = {path.name for path in (ROOT / "firmware" / "packs").glob("*.toml")}
    assert packs
    assert packs <= {name.removeprefix("packs/") for name in names if name.startswith("packs/")}
    vendor = [path for path in (ROOT / "server" / "web" / "static" / "vendor").rglob("*") if path.is_file()]
    assert vendor, "make setup puts them there"
    assert {path.relative_to(ROOT).as_posix() for path in vendor} <= names
    for room, folder in (("hub", "hub"), ("reader", "firmware/reader"), ("emulator", "hardware/emulator")):
        code = {f"{room}/{path.relative_to(ROOT / folder).as_posix()}" for path in (ROOT / folder).rglob("*.py")}
        assert code <= names
    assert not [name for name in names if name.startswith("tests/") or name.endswith((".pem", ".sqlite3"))]


def test_the_locked_packages_are_those_that_the_wheel_asks_for(wheel):
    from email.parser import Parser

    from packaging.requirements import Requirement

    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        asked = Parser().parsestr(archive.read(metadata).decode()).get_all("Requires-Dist") or []
    wanted = [Requirement(line) for line in asked]
    wanted = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    assert len(wanted) > 10
    for one in wanted:
        assert one.specifier.contains(version(one.name), prereleases=True), str(one)


def test_the_installed_command_runs_from_its_own_files(environment, tmp_path):
    where = run(environment, tmp_path, "python", "-c", "import hub, reader; print(hub.__file__, reader.__file__)")
    assert where.stdout.count(str(environment)) == 2, where.stdout + where.stderr
    done = run(environment, tmp_path, "doorstep", "hub", "--help")
    assert done.returncode == 0
    assert "doctor" in done.stdout
    done = run(environment, tmp_path, "doorstep", "hub", "doctor", "--json")
    assert done.returncode == 1
    found = {finding["check"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert found["Enrolment"]["code"] == "not-enrolled"
    assert f"Doorstep {version('doorstep')}" in found["Version"]["sentence"]
    assert run(environment, tmp_path, "doorstep", "--version").stdout == f"doorstep {version('doorstep')}\n"
    packs = run(environment, tmp_path, "python", "-c", "from reader import packfile; print(len(packfile.files()))")
    assert int(packs.stdout) == len(packfile.files()), packs.stderr
