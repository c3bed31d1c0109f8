"""Who may import whom: the rooms of the project stay apart, lazily or not.

`reader` imports nobody; `hub` only `reader.wire`; `server` only `reader.wire`, the reader's pure analysis and what
compiles assay packs; `emulator` only `reader.wire` and that; `circuit`, the board, nobody; `hub` and `server` never
each other. Entry points in pyproject.toml are strings and no import.

There is one exception: `emulator.faults` runs the reader's end and the hub's end of the link in one process, over a
modelled radio in simulated time, because a thousand seeds of both real ends cannot be had with a process for each. It
may import what it drives, by name, and nothing of the server.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {
    "reader": ROOT / "firmware" / "reader",
    "hub": ROOT / "hub",
    "server": ROOT / "server",
    "emulator": ROOT / "hardware" / "emulator",
    "circuit": ROOT / "hardware" / "board" / "circuit",
}
ALLOWED = {
    "reader": set[str](),
    "hub": {"reader.wire"},
    "server": {
        "reader.wire",
        "reader.strip",
        "reader.amplification",
        "reader.outcome",
        "reader.assays",
        "reader.gs1",
        "reader.packfile",
        "reader.profile",
        "reader.quantity",
    },
    "emulator": {"reader.wire", "reader.packfile"},
    "circuit": set[str](),
}
BOTH_ENDS = "emulator.faults"
DRIVEN = {
    "reader": {
        "assays",
        "cassettes",
        "cbor",
        "copies",
        "cose",
        "custody",
        "durable",
        "identity",
        "journal",
        "link",
        "lists",
        "manifest",
        "packs",
        "quality",
        "receiving",
        "renewal",
        "session",
        "settings",
        "slots",
    },
    "hub": {"admission", "clock", "collector", "errors", "events", "exchange", "sealed", "store"},
}


def imported(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) of every import in `tree`, a module inside `package`, at any depth.

    `from reader import wire` is reader.wire. A name given to `__import__` or `import_module` counts when it is written
    out, and is yielded as "?" when it is not.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = parts[: len(parts) - node.level + 1] if node.level else []
            module = ".".join([*base, *(node.module.split(".") if node.module else [])])
            if module in FOLDERS:
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, module
        elif isinstance(node, ast.Call):
            function = node.func
            called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if called in ("import_module", "__import__") and node.args:
                name = node.args[0]
                literal = isinstance(name, ast.Constant) and isinstance(name.value, str)
                yield node.lineno, name.value if literal else "?"  # type: ignore[union-attr]


def trespasses(room: str, tree: ast.AST, package: str) -> list[str]:
    """Return what a module of `room` imports that it must not."""
    found = []
    may = ALLOWED[room]
    if package == BOTH_ENDS or package.startswith(BOTH_ENDS + "."):
        may = may | {f"{driven}.{module}" for driven, modules in DRIVEN.items() for module in modules}
    for line, name in imported(tree, package):
        top = name.partition(".")[0]
        if top not in FOLDERS or top == room:
            continue
        if not any(name == allowed or name.startswith(allowed + ".") for allowed in may):
            found.append(f"line {line}: {name}")
    return found


def modules() -> list[tuple[str, Path, str]]:
    found = []
    for room, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*.py")):
            inside = path.relative_to(folder).parent.parts
            found.append((room, path, ".".join([room, *inside])))
    return found


@pytest.mark.parametrize("room", FOLDERS)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    wrong = {
        str(path.relative_to(ROOT)): found
        for where, path, package in modules()
        if where == room and (found := trespasses(room, ast.parse(path.read_text(), str(path)), package))
    }
    assert wrong == {}, f"{room} may import only {sorted(ALLOWED[room]) or 'nobody'}"


def test_every_room_was_looked_at() -> None:
    assert {room for room, _, _ in modules()} == set(FOLDERS)


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("hub", "import server.settings"),
        ("hub", "from reader import cbor"),
        ("hub", "from reader.cose import seal"),
        ("hub", "import reader"),
        ("server", "def later():\n    from hub import store"),
        ("server", "if False:\n    from reader import journal"),
        ("server", "import importlib\nimportlib.import_module('hub.store')"),
        ("emulator", "from reader import wire, session"),
        ("emulator", "__import__('server')"),
        ("reader", "import hub"),
        ("reader", "try:\n    from server import x\nexcept ImportError:\n    x = None"),
    ],
)
def test_a_trespass_is_found_wherever_it_hides(room: str, source: str) -> None:
    assert trespasses(room, ast.parse(source), room)


@pytest.mark.parametrize(
    ("package", "source", "found"),
    [
        ("emulator.faults", "from reader import session\nfrom hub.store import Store", []),
        ("emulator.faults", "import server.settings", ["line 1: server.settings"]),
        ("emulator.faults", "from hub import courier", ["line 1: hub.courier"]),
        ("emulator.benchmarks", "from reader import session", ["line 1: reader.session"]),
        ("emulator", "from hub.store import Store", ["line 1: hub.store"]),
    ],
)
def test_only_the_campaign_of_faults_drives_both_ends(package: str, source: str, found: list[str]) -> None:
    assert trespasses("emulator", ast.parse(source), package) == found


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("hub", "from reader import wire\nfrom reader.wire import OP_HELLO\nimport hub.store\nfrom . import link"),
        ("server", "from reader import strip, outcome\nimport reader.amplification"),
        ("emulator", "from reader.wire import VERSION\nfrom .bench import Bench"),
        ("reader", "from reader import cbor\nimport hashlib"),
    ],
)
def test_what_is_allowed_is_not_a_trespass(room: str, source: str) -> None:
    assert trespasses(room, ast.parse(source), room) == []
