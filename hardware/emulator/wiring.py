"""The circuit's wiring, read from the very file that the firmware's drivers read theirs from."""

import sys
import types
from pathlib import Path
from typing import Any

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"


def load(firmware: Path = FIRMWARE) -> Any:
    """The names of `firmware`/board.py as attributes (GPIO numbers and bus addresses, all int).

    A test firmware without a board.py of its own gets the product's.
    """
    path = firmware / "board.py"
    if not path.exists():
        path = FIRMWARE / "board.py"
    shim = types.ModuleType("micropython")
    shim.const = lambda value: value  # type: ignore[attr-defined]
    names: dict[str, Any] = {}
    before = sys.modules.get("micropython")
    sys.modules["micropython"] = shim
    try:
        exec(compile(path.read_text(encoding="utf-8"), path.name, "exec"), names)  # noqa: S102  our own pin map
    finally:
        if before is None:
            del sys.modules["micropython"]
        else:
            sys.modules["micropython"] = before
    return types.SimpleNamespace(**{key: value for key, value in names.items() if isinstance(value, int)})
