"""How the tests are spread over workers (pytest-xdist).

What shares a whole path or a database stays together, file by file. A reader on the bench is its own world: those tests
go wherever there is room. The longest come first, so that no worker is left alone with one at the end.

xdist's own groups (`--dist loadgroup`) do not hold under this pytest: a group's tests were run by every worker.
"""

from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

HERE = Path(__file__).parent
_FIRST = ("system", "emulator", "reader", "server", "hub")
_ALONE = ("emulator", "reader")


class ByWorld(LoadScopeScheduling):
    """A file is one piece of work; of the rooms in _ALONE, a test is."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return nodeid if path.removeprefix("tests/").partition("/")[0] in _ALONE else path


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByWorld:
    return ByWorld(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order them by room; the order within a room stays."""
    order = {room: at for at, room in enumerate(_FIRST)}
    items.sort(key=lambda item: order.get(item.path.relative_to(HERE).parts[0], len(_FIRST)))
