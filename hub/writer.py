"""The one thread that owns the store, so that a slow disk never stops the radio and SQLite sees one writer."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from hub.store import Store

P = ParamSpec("P")
T = TypeVar("T")


class Writer:
    """`await writer(Store.method, ...)` runs a method of the store in its thread, in the order of the calls."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "store")
        self._store: Store | None = None

    async def open(self, folder: Path) -> None:
        """Raises StoreError and its kinds."""
        self._store = await asyncio.get_running_loop().run_in_executor(self._thread, Store, folder)

    async def __call__(self, method: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        assert self._store is not None, "the store is not open"  # a mistake in the hub
        call = partial(method, self._store, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def close(self) -> None:
        """Finish what was asked, then close the file."""
        if self._store is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._store.close)
            self._store = None
        self._thread.shutdown()
