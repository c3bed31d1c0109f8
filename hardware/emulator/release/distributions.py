"""Which of the locked Python distributions and npm packages a room needs at run time, by what its source imports."""

import ast
import base64
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from emulator.release.bill import Component

# Needed, and imported by none of our modules: by the library that loads it.
UNNAMED = {
    "hub": ("nhsuk-frontend-jinja", "python-multipart"),
    "server": ("nhsuk-frontend-jinja", "python-multipart", "tzdata", "uvloop"),
}
_LOCKED = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_LICENCE_WORDS = 80  # a longer field is the text of a licence


class NoBill(Exception):
    """The sentence says what is missing."""


@dataclass(frozen=True, slots=True)
class Locked:
    name: str
    version: str
    hashes: tuple[bytes, ...]

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.name}@{self.version}"


def locked(root: Path) -> dict[str, Locked]:
    """The distributions of `root`/requirements.lock by normalised name. Raises NoBill."""
    try:
        text = (root / "requirements.lock").read_text(encoding="utf-8")
    except OSError as error:
        raise NoBill(f"There is no requirements.lock in {root}. Run this in a checkout of Doorstep.") from error
    found: dict[str, Locked] = {}
    for entry in re.split(r"\n(?=\S)", text):
        match = _LOCKED.match(entry)
        if match:
            name = canonicalize_name(match["name"])
            hashes = tuple(bytes.fromhex(one) for one in _HASH.findall(entry))
            found[name] = Locked(name, match["version"], hashes)
    return found


def imported(folder: Path) -> set[str]:
    """The top-level modules that the source in `folder` imports at any depth."""
    found: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found


def needed(root: Path, room: str) -> list[Component]:
    """The locked distributions that `room` needs at run time, on any system. Raises NoBill."""
    lock, declared = locked(root), _declared(root)
    modules = metadata.packages_distributions()
    names = {canonicalize_name(name) for module in imported(root / room) for name in modules.get(module, ())}
    waiting = [(name, extra) for name in (*names, *UNNAMED[room]) for extra in ("", *declared.get(name, ()))]
    needs: dict[str, set[str]] = {}
    seen: set[tuple[str, str]] = set()
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen or name not in lock:
            continue
        seen.add((name, extra))
        follow = needs.setdefault(name, set())
        for requirement in _requirements(name, extra):
            other = canonicalize_name(requirement.name)
            if other in lock:
                follow.add(other)
                waiting += [(other, wanted) for wanted in ("", *sorted(requirement.extras))]
    return [_component(lock[name], [lock[other].purl for other in follow]) for name, follow in needs.items()]


def pages(root: Path) -> list[Component]:
    """The npm packages of the pages: those of package-lock.json that are not for development. Raises NoBill."""
    try:
        packages: dict[str, Any] = json.loads((root / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    except (OSError, ValueError, KeyError) as error:
        raise NoBill(f"There is no package-lock.json in {root}. Run this in a checkout of Doorstep.") from error
    return [
        _package(path.rpartition("node_modules/")[2], said)
        for path, said in packages.items()
        if path and not said.get("dev")
    ]


def tool(root: Path, name: str) -> Component:
    """A locked distribution that makes something and is no part of it. Raises NoBill."""
    found = locked(root).get(name)
    if found is None:
        raise NoBill(f"{name} is not in requirements.lock.")
    return _component(found, [], "application")


def _declared(root: Path) -> dict[str, tuple[str, ...]]:
    """The extras that pyproject.toml asks of each distribution that it names."""
    project: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [Requirement(one) for one in project["dependencies"]]
    return {canonicalize_name(one.name): tuple(sorted(one.extras)) for one in asked}


def _requirements(name: str, extra: str) -> Iterator[Requirement]:
    """What the distribution requires with that extra (none: without any), on whatever system."""
    try:
        said = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return  # of another system than this one
    for one in map(Requirement, said):
        of_an_extra = one.marker is not None and "extra" in str(one.marker)
        if of_an_extra == bool(extra) and (not extra or one.marker is None or _asks(one, extra)):
            yield one


def _asks(requirement: Requirement, extra: str) -> bool:
    """Whether the marker's words name that extra: the rest of it is of the system."""
    return re.search(rf"extra == ['\"]{re.escape(extra)}['\"]", str(requirement.marker)) is not None


def _component(found: Locked, needs: list[str], type: str = "library") -> Component:
    licence, named = _licence(found.name)
    return Component(type, found.name, found.version, found.purl, found.hashes, licence, named, tuple(needs))


def _licence(name: str) -> tuple[str, bool]:
    """The licence as the installed metadata has it: an SPDX expression, or words and True."""
    try:
        said = cast(Message, metadata.metadata(name))
    except metadata.PackageNotFoundError:
        return "", False
    expressions = said.get_all("License-Expression") or []
    if expressions:
        return expressions[0], False
    words = " ".join(said.get_all("License") or []).strip()
    if words and "\n" not in words and len(words) <= _LICENCE_WORDS and words.upper() != "UNKNOWN":
        return words, True
    classified = [one.rpartition(" :: ")[2] for one in said.get_all("Classifier", []) if one.startswith("License ::")]
    return ", ".join(sorted(classified)), True


def _package(name: str, said: dict[str, Any]) -> Component:
    purl = f"pkg:npm/{quote(name, safe='/')}@{said['version']}"
    hashes = tuple(base64.b64decode(one.partition("-")[2]) for one in said.get("integrity", "").split())
    return Component("library", name, said["version"], purl, hashes, said.get("license", ""))
