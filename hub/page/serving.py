"""Serves the page from the hub's own process and event loop, on 127.0.0.1 and a port that is free."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Generator
from pathlib import Path

import uvicorn

from hub.page import assets
from hub.page.access import Access
from hub.page.application import application
from hub.page.desk import Register
from hub.page.live import Live

_log = logging.getLogger(__name__)

_STOP_S = 2
_REQUESTS_MAX = 64


class _Server(uvicorn.Server):
    """Calls `serving` once browsers can come."""

    def __init__(self, config: uvicorn.Config, serving: Callable[[], None]) -> None:
        super().__init__(config)
        self._serving = serving

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._serving()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals are the hub's: it ends the page with everything else."""
        yield


async def serve(folder: Path, live: Live, register: Register, port: int, told: Callable[[], None]) -> None:
    """Serve until cancelled; `told` is called once browsers can come.

    A `port` that is taken is replaced by a free one: `doorstep hub open` finds it.
    """
    if not assets.are_there():
        _log.error("page without its files")
        return
    stopping = asyncio.Event()
    with contextlib.closing(_listener(port)) as listener:
        access = Access(folder, listener.getsockname()[1])
        config = uvicorn.Config(
            application(folder, access, live, register, stopping),
            # Both would be chosen by what else is installed; h11 has a bound on heads, and the loop is the radio's too.
            loop="asyncio",
            http="h11",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            limit_concurrency=_REQUESTS_MAX,
            timeout_graceful_shutdown=_STOP_S,
        )

        def begun() -> None:
            try:
                access.announce()
            except OSError as error:  # a full disk: the page is served to who was let in, and nobody new
                _log.error("page not announced", extra={"error": error.strerror})
            told()

        server = _Server(config, begun)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await asyncio.shield(serving)
        finally:
            access.withdraw()
            stopping.set()
            live.wake()
            server.should_exit = True
            await asyncio.gather(serving, return_exceptions=True)


def _listener(port: int) -> socket.socket:
    for wanted in dict.fromkeys((port, 0)):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            if os.name == "posix":  # elsewhere it would let two programs have the port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", wanted))
        except OSError:
            listener.close()
            if wanted == 0:
                raise
        else:
            return listener
    raise AssertionError("unreachable")
