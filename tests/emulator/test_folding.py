"""The image does what its source does: folded values are the real modules', and what cannot be folded is refused."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from emulator import image
from emulator.folding import FoldError, fold, lighten

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
UNTOUCHED = ("boot.py", "main.py")

# The real modules under CPython; what only a board has is there in name.
_REAL = """
import importlib, json, sys, types
from unittest.mock import MagicMock
for name in ("machine", "bluetooth", "framebuf", "neopixel", "esp32", "cryptolib"):
    sys.modules[name] = MagicMock()
sys.modules["micropython"] = types.SimpleNamespace(const=lambda value: value)
sys.path.insert(0, {firmware!r})
print(json.dumps([repr(getattr(importlib.import_module(m), n)) for m, n in json.load(sys.stdin)]))
"""

PROGRAM = {
    "wire.py": """
        try:
            from micropython import const
        except ImportError:
            def const(value):
                return value
        A = const(3)
        B = const(A << 4 | 1)
        LOW = const(-70001)
        TEXT = "one reader only"
        TWICE = "two readers"
        PAIR = (A, B)
        _HIDDEN = const(9)
        def hidden():
            return _HIDDEN
        count = 0
        def step():
            global count
            count += 1
            return count
    """,
    "part.py": """
        import wire
        from wire import B as big, TWICE
        _STEP = 5
        def shadowed(wire):
            return wire.A
        def own(A):
            return [A for A in (A, A + 1)]
        def closed(first, second=2):
            def inner(third):
                return first + second + third + _STEP
            return inner
        class Thing:
            A = 7
            def __init__(self, start):
                self._held = start
                self._twin = None
            def _bump(self, by):
                self._held += by
                return self._held
            def go(self, by=wire.A):
                return self._bump(by), self.A, wire.A, 10 - wire.LOW, wire.PAIR
        class Other:
            def __init__(self):
                self._kept = 1
            def named(self):
                return getattr(self, "_kept")
        def lazily():
            from wire import A
            import wire as w
            return A + w.B, big, TWICE, wire.TWICE, wire.TEXT
    """,
    "main.py": """
        import part, wire
        class Like:
            A = "an attribute"
        print(part.shadowed(Like), part.own(4), part.closed(1)(2), part.closed(first=1, second=1)(2))
        print(part.Thing(1).go(), part.Thing(start=2).go(by=1), part.Other().named(), part.lazily())
        print(wire.step(), wire.step(), wire.count, wire.hidden(), wire.A)
    """,
}  # fmt: skip


def dedented(text: str) -> str:
    return re.sub(r"^        ", "", text.strip("\n"), flags=re.MULTILINE).rstrip() + "\n"


def firmware() -> dict[str, str]:
    return {p.relative_to(FIRMWARE).as_posix(): p.read_text(encoding="utf-8") for p in sorted(FIRMWARE.rglob("*.py"))}


def test_every_value_folded_into_the_firmware_is_that_of_the_real_module():
    result = fold(firmware(), UNTOUCHED)
    values = {(f.module, f.name): f.value for f in result.folded}
    names = sorted(values)
    real = subprocess.run(
        [sys.executable, "-c", _REAL.format(firmware=str(FIRMWARE))],
        input=json.dumps(names), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert real.returncode == 0, real.stderr
    assert [repr(values[name]) for name in names] == json.loads(real.stdout)
    assert len(names) > 300
    assert len({name for module, name in result.gone if module == "reader.wire"}) > 200


def test_a_line_of_the_image_is_the_same_line_of_its_source():
    sources = firmware()
    for path, text in lighten(sources, UNTOUCHED).items():
        assert text.count("\n") == sources[path].count("\n"), path
        before = [node.lineno for node in ast.walk(ast.parse(sources[path])) if isinstance(node, ast.Raise)]
        after = [node.lineno for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Raise)]
        assert before == after, path


def said(folder: Path) -> str:
    program = Path(sys.executable).with_name("micropython")
    done = subprocess.run(
        [str(program), "main.py"], cwd=folder, capture_output=True, text=True, timeout=60, env={"MICROPYPATH": "."},
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_program_says_the_same_from_its_image_as_from_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DOORSTEP_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "source"
    source.mkdir()
    for name, text in PROGRAM.items():
        (source / name).write_text(dedented(text), encoding="utf-8")
    built = image.build(source)
    assert sorted(p.name for p in built.iterdir()) == ["main.py", "part.mpy", "wire.mpy"]
    assert said(built) == said(source)
    kept = (built / "wire.mpy").read_bytes()
    assert b"LOW" not in kept
    assert b"_HIDDEN" not in kept
    assert b"TWICE" in kept


@pytest.mark.parametrize(
    ("reading", "why"),
    [
        ("import wire\nwire.A = 4\n", "other.py:2: wire.A is a constant and is set here"),
        ("import wire\ndef f(name):\n    return getattr(wire, name)\n", "other.py:3: the module wire is handled"),
        ("import wire\nalso = wire\n", "other.py:2: the module wire is handled as a value"),
        ("from wire import *\n", "other.py:1: import . hides"),
        ("def f():\n    return globals()['A']\n", "other.py:2: globals\\(\\) can read names unseen"),
        ("import sys\ndef f():\n    return sys.modules['wire'].A\n", "other.py:3: a module taken from sys.modules"),
        ("try:\n    import wire\nexcept ImportError:\n    wire = 5\nprint(wire.A)\n", "other.py:5: wire is a mod"),
    ],
)  # fmt: skip
def test_what_could_read_or_change_a_constant_unseen_is_refused_with_its_place(reading: str, why: str):
    with pytest.raises(FoldError, match=why):
        fold({"wire.py": "A = 3\n", "other.py": reading})


def test_an_import_for_constants_of_a_module_that_does_something_is_refused():
    with pytest.raises(FoldError, match=r"noisy\.py:2: this does something when it is imported"):
        fold({"noisy.py": "A = 3\nprint(A)\n", "other.py": "import noisy\nprint(noisy.A)\n"})


def test_a_name_that_is_bound_twice_is_no_constant():
    text = "A = 3\ndef f():\n    global A\n    A = 4\n"
    other = "import wire\nprint(wire.A)\n"
    result = fold({"wire.py": text, "other.py": other})
    assert result.texts == {"wire.py": text, "other.py": other}


def test_private_names_that_others_read_keep_their_names():
    texts = lighten(
        {
            "one.py": "class One:\n    def __init__(self):\n        self._open = 1\n        self._own = 2\n",
            "two.py": "def f(one):\n    return one._open\n",
            "three.py": "from one import One\nclass Three(One):\n    def g(self):\n        return self._own\n",
        }
    )
    assert "_open" in texts["one.py"]
    assert "_own" in texts["one.py"]
    assert "one._open" not in texts["two.py"]  # the parameter is short
    assert "._open" in texts["two.py"]


def test_an_import_that_nothing_reads_goes_with_its_constant_though_another_module_has_one_of_that_name():
    texts = lighten(
        {
            "states.py": "FAULT = 12\nREADY = 1\n",
            "course.py": "from states import FAULT, READY\ndef f():\n    return READY\n",
            "other.py": "class Kind:\n    FAULT = 3\ndef g():\n    return Kind.FAULT\n",
        }
    )
    assert "FAULT" not in texts["states.py"]
    assert "FAULT" not in texts["course.py"]
