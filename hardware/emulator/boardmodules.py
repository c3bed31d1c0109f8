"""Whether the firmware uses only what MicroPython 1.29 has on an ESP32-S3: its modules, and what is in them.

Which modules there are is written down here, from the documentation (docs.micropython.org, "MicroPython libraries" and
"Quick reference for the ESP32") and, for those in Python, from the image's manifest (ports/esp32/boards/manifest.py and
ports/esp32/modules). What is in a module is read from the stubs that are made of that release for that board
(`micropython-esp32-stubs`). What a method of an object is, only a type checker can tell: `make types` does, by the same
stubs.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


BUILT_IN = _words(
    "_thread array binascii bluetooth btree builtins cmath collections cryptolib deflate errno esp esp32 framebuf gc "
    "hashlib heapq io json machine math micropython network os platform random re select socket struct sys time tls "
    "uctypes vfs websocket"
)
FROZEN = _words(
    "aioespnow apa106 asyncio dht ds18x20 espnow flashbdev inisetup mip neopixel ntptime onewire requests ssl umqtt "
    "upysh urequests webrepl webrepl_setup"
)
_TYPING = "TYPE_CHECKING"


@dataclass
class _Stub:
    names: set[str] = field(default_factory=lambda: set[str]())
    classes: dict[str, ast.ClassDef] = field(default_factory=lambda: {})


class Stubs:
    """The stubs in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, _Stub | None] = {}

    def module(self, name: str) -> _Stub | None:
        """What module `name` has; None when there is no stub of it."""
        if name not in self._known:
            self._known[name] = None
            path = self._path(name)
            if path is not None:
                stub = _Stub()
                self._known[name] = stub
                self._read(ast.parse(path.read_text(encoding="utf-8")).body, stub)
        return self._known[name]

    def has(self, module: str, *names: str) -> bool:
        """Whether module.name has it; of two names, whether class `names[0]` in it has `names[1]`."""
        stub = self.module(module)
        if stub is None or names[0] not in stub.names:
            return False
        if len(names) == 1 or names[0] not in stub.classes:
            return True
        return names[1] in self._members(stub, stub.classes[names[0]])

    def is_class(self, module: str, name: str) -> bool:
        """Whether module.name is a class."""
        stub = self.module(module)
        return stub is not None and name in stub.classes

    def _path(self, name: str) -> Path | None:
        parts = name.split(".")
        for root in (self._folder, self._folder / "stdlib"):
            for path in (root.joinpath(*parts).with_suffix(".pyi"), root.joinpath(*parts) / "__init__.pyi"):
                if path.is_file():
                    return path
        return None

    def _read(self, body: list[ast.stmt], stub: _Stub) -> None:
        for node in body:
            stub.names |= _bound(node)
            if isinstance(node, ast.ClassDef):
                stub.classes[node.name] = node
            elif isinstance(node, ast.If):
                self._read(node.body, stub)
                self._read(node.orelse, stub)
            elif isinstance(node, ast.ImportFrom):
                source = self.module(node.module) if node.module and not node.level else self._beside(node)
                if source is None:
                    continue
                for alias in node.names:
                    taken = source.names if alias.name == "*" else {alias.name}
                    stub.names |= {name for name in taken if not name.startswith("_")}
                    stub.classes |= {
                        name: found
                        for name, found in source.classes.items()
                        if name in taken and alias.asname in (None, name)
                    }

    def _beside(self, node: ast.ImportFrom) -> _Stub | None:
        """A module of the package asyncio, the one that is a package here."""
        return self.module(f"asyncio.{node.module}") if node.level == 1 and node.module else None

    def _members(self, stub: _Stub, found: ast.ClassDef) -> set[str]:
        names = {name for node in found.body for name in _bound(node)}
        for base in found.bases:
            if isinstance(base, ast.Name) and base.id in stub.classes:
                names |= self._members(stub, stub.classes[base.id])
        return names


def problems(sources: Mapping[str, str], stubs: Stubs) -> list[str]:
    """One sentence for each thing that the files of `sources` (by path) use and the board does not have."""
    own = {_module(path) for path in sources}
    own |= {name.rsplit(".", 1)[0] for name in own if "." in name}
    return [said for path in sorted(sources) for said in _File(path, sources[path], own, stubs).problems()]


class _File:
    def __init__(self, path: str, text: str, own: set[str], stubs: Stubs) -> None:
        self._path = path
        self._tree = ast.parse(text)
        self._own = own
        self._stubs = stubs
        self._modules: dict[str, str] = {}  # by the name that this file gives them
        self._classes: dict[str, tuple[str, str]] = {}
        self._asked: set[tuple[str, str]] = set()  # (name, attribute) that it asks for with hasattr

    def problems(self) -> Iterator[str]:
        nodes = list(_run_on_the_board(self._tree))
        for node in nodes:
            yield from self._imports(node)
        for node in nodes:
            yield from self._attribute(node)

    def _imports(self, node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from self._import(node, alias.name)
                if alias.name in BUILT_IN | FROZEN:
                    self._modules[alias.asname or alias.name] = alias.name
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield from self._import(node, module)
            for alias in node.names if self._known(module) else ():
                if not self._stubs.has(module, alias.name):
                    yield self._said(node, f"{module} has no {alias.name}")
                elif self._stubs.is_class(module, alias.name):
                    self._classes[alias.asname or alias.name] = (module, alias.name)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "hasattr":
            name, attribute = node.args
            if isinstance(name, ast.Name) and isinstance(attribute, ast.Constant):
                self._asked.add((name.id, str(attribute.value)))

    def _import(self, node: ast.stmt, module: str) -> Iterator[str]:
        if module not in self._own and not self._known(module):
            yield self._said(node, f"there is no module {module} on the board")

    def _known(self, module: str) -> bool:
        return module.split(".")[0] in BUILT_IN | FROZEN and self._stubs.module(module) is not None

    def _attribute(self, node: ast.AST) -> Iterator[str]:
        if not isinstance(node, ast.Attribute):
            return
        of = node.value
        if isinstance(of, ast.Name) and of.id in self._modules:
            module = self._modules[of.id]
            if (of.id, node.attr) not in self._asked and not self._stubs.has(module, node.attr):
                yield self._said(node, f"{module} has no {node.attr}")
        elif isinstance(of, ast.Name) and of.id in self._classes:
            if not self._stubs.has(*self._classes[of.id], node.attr):
                yield self._said(node, f"{'.'.join(self._classes[of.id])} has no {node.attr}")
        elif isinstance(of, ast.Attribute) and isinstance(of.value, ast.Name) and of.value.id in self._modules:
            module = self._modules[of.value.id]
            if self._stubs.is_class(module, of.attr) and not self._stubs.has(module, of.attr, node.attr):
                yield self._said(node, f"{module}.{of.attr} has no {node.attr}")

    def _said(self, node: ast.stmt | ast.expr, what: str) -> str:
        return f"{self._path}:{node.lineno}: {what}"


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _bound(node: ast.stmt) -> set[str]:
    """The names that a statement of a stub binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return {node.target.id}
    if isinstance(node, ast.Assign):
        return {target.id for target in node.targets if isinstance(target, ast.Name)}
    if isinstance(node, ast.Import):
        return {alias.asname for alias in node.names if alias.asname}
    return set()


def _run_on_the_board(node: ast.AST) -> Iterator[ast.AST]:
    """Every node but those for a type checker, and what a file has in reserve for another interpreter than this."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == _TYPING:
            continue
        if isinstance(child, ast.Try) and (reserve := _for_want_of_a_module(child)):
            there = all(module.split(".")[0] in BUILT_IN | FROZEN for module in _imported(child.body))
            for part in [*child.body, *child.orelse, *child.finalbody] if there else reserve:
                yield from _run_on_the_board(part)
        else:
            yield from _run_on_the_board(child)


def _for_want_of_a_module(node: ast.Try) -> list[ast.stmt]:
    """What runs where an import in `node` finds no module."""
    return [
        part
        for handler in node.handlers
        if handler.type is not None and ast.unparse(handler.type) == "ImportError"
        for part in handler.body
    ]


def _imported(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
