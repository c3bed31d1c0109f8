"""Runs the application under uvicorn, with limits, on a database that is at this version's tables."""

import contextlib
import gc
import signal
import socket
import sys

import uvicorn

from server.app import create_app
from server.database import embedded
from server.http_protocol import BoundedHttp
from server.settings import Settings, SettingsError

KEEP_ALIVE_SECONDS = 20
STOP_SECONDS = 10
BACKLOG = 512
_COLLECT_AFTER = 50_000


class _Server(uvicorn.Server):
    """Says where it serves, once it does."""

    def __init__(self, config: uvicorn.Config, address: str) -> None:
        super().__init__(config)
        self._address = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What is loaded by now stays: the collector need not walk it, a tenth of a second each time, in the midst of a
        # batch. A batch makes some hundred thousand objects and no cycles among them.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])
        if self.started:
            print(f"Serving at {self._address}", flush=True)


def run(settings: Settings, app_url: str, owner_url: str) -> None:
    """Serve until interrupted. `settings.check()` must have passed.

    Raises `SettingsError` for a port that is taken or tables that are not of this version, and the database's errors.
    """
    embedded.require_migrated(settings, owner_url)
    with contextlib.closing(_bound(settings)) as listener:
        port: int = listener.getsockname()[1]
        settings = settings.model_copy(update={"port": port})
        config = uvicorn.Config(
            create_app(settings, app_url),
            http=BoundedHttp,
            ws="none",
            log_level=settings.log_level,
            # Addresses of results are in it; who read what is in the audit log.
            access_log=False,
            server_header=False,
            # Connections, idle ones too; requests are bounded by the application, whose refusal is a problem document.
            limit_concurrency=4 * settings.requests_max,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=STOP_SECONDS,
            backlog=BACKLOG,
        )
        # Once it has stopped serving, uvicorn raises the signal again: an end by SIGTERM must be an orderly one too, or
        # the embedded database would be left running.
        signal.signal(signal.SIGTERM, _end)
        with contextlib.suppress(KeyboardInterrupt):
            _Server(config, settings.origin).run(sockets=[listener])


def _end(_signal: int, _frame: object) -> None:
    sys.exit(0)


def _bound(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Named as TCP, or asyncio does not send at once what it is given: a small answer would wait 40 ms for the delayed
    # acknowledgement of its header.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"{settings.host} port {settings.port} cannot be listened on ({error.strerror})."
            " Set DOORSTEP_HOST and DOORSTEP_PORT to an address of this machine and a free port."
        ) from None
    return listener
