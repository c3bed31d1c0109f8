"""How the tests are spread over workers (pytest-xdist).

What shares a whole path or a database stays together, file by file. A reader on the bench is its own world: those tests
go wherever there is room. The longest come first, so that no worker is left alone with one at the end.

What fails is told at once and whole, so that a run that is cut off has said it.

xdist's own groups (`--dist loadgroup`) do not hold under this pytest: a group's tests were run by every worker.
"""

import os
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


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        print(f"\n{report.nodeid} failed at {report.when}:\n{report.longreprtext}", flush=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("doorstep")
    group.addoption(
        "--board", metavar="PORT", help="run what can run there on the reader's board at PORT, nothing else"
    )
    group.addoption("--jig", metavar="PORT", help="with --board: the hands at that board (docs/jig.md)")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "on_board: runs on a real board too; what does not has a reason in docs/jig.md")
    config.addinivalue_line("markers", "needs_jig: on a real board it needs hands there")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order them by room; the order within a room stays. With a board, only what runs on one is left."""
    if config.getoption("--board"):
        elsewhere = [item for item in items if item.get_closest_marker("on_board") is None]
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if item.get_closest_marker("on_board")]
    order = {room: at for at, room in enumerate(_FIRST)}
    items.sort(key=lambda item: order.get(item.path.relative_to(HERE).parts[0], len(_FIRST)))
