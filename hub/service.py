"""The running hub: one process that hears, visits and carries, until it is told to stop."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from pathlib import Path
from typing import Any, cast

from joserfc.jwk import ECKey

from hub import credentials, database, registration, web
from hub.clock import Clock
from hub.collector import Collector
from hub.courier import Courier
from hub.credentials import Enrolment
from hub.errors import DiskFull, StoreDamaged, StoreError, StoreReadOnly
from hub.events import Events
from hub.image_files import ImageFiles
from hub.images import Images
from hub.lock import FolderLock
from hub.page.live import Live
from hub.page.serving import serve
from hub.radio import Radio
from hub.registration import FieldError
from hub.settings import HubSettings
from hub.store import Store
from hub.visits import Visits
from hub.writer import Writer

_log = logging.getLogger(__name__)

RESTART_S = 5.0
DISK_PAUSE_S = 30.0
PRUNE_EVERY_S = 3600.0
SETTLED_EVERY_S = 0.25

Listener = Callable[[dict[str, Any]], None]


async def run(
    settings: HubSettings, listeners: list[Listener], until_delivered: int = 0, radio: Radio | None = None
) -> None:
    """Run until SIGTERM or SIGINT; with `until_delivered` = N, also until N or more readers hold receipts for all
    they have.

    Raises NotEnrolled, AlreadyRunning, UsageError and StoreError at the start. A damaged database is moved aside, at
    the start or
    later, and a new one begun: readers simply offer again what they hold.
    """
    folder = database.private_folder(settings.data)
    enrolment, key = credentials.load(folder), credentials.load_key(folder)
    radio = radio or await Radio.open(settings.radio)
    with FolderLock(folder), _stop_on_signal() as stop:
        aside = ""
        while True:
            try:
                await _run_once(settings, enrolment, key, radio, listeners, until_delivered, stop, aside)
                return
            except StoreDamaged:
                aside = str(database.move_aside(folder))
                _log.error("database moved aside", extra={"to": aside})


async def _run_once(
    settings: HubSettings,
    enrolment: Enrolment,
    key: ECKey,
    radio: Radio,
    listeners: list[Listener],
    until_delivered: int,
    stop: asyncio.Event,
    aside: str,
) -> None:
    """Run with one open database. Raises StoreDamaged when it turns out to be damaged."""
    writer, clock = Writer(), Clock()
    try:
        await writer.open(settings.data)
        hub_id = bytes.fromhex(enrolment.hub_id)
        await writer(Store.adopt, hub_id)
        events = Events(writer, clock)
        live = Live()
        events.listeners += [*listeners, live]

        async with web.client() as http:
            courier = Courier(enrolment, key, writer, events, clock, http, settings.poll)
            files = ImageFiles(settings.data)
            images = Images(files, enrolment.exchange_url, courier.bearer, writer, events, http)
            collector = Collector(writer, events, clock, hub_id, settings.watchdog, image=images.content)
            visits = Visits(radio, collector, writer, events, clock, settings.slots, settings.revisit, courier.wake)
            courier.on_applied(visits.poke)
            courier.on_images(images.heard)
            images.on_arrived(visits.poke)

            async def register(fields: Mapping[str, str]) -> list[FieldError]:
                wrong = await registration.register(writer, clock, fields)
                if not wrong:
                    events.emit("registered")
                    courier.wake()
                return wrong

            async def page() -> None:
                await serve(settings.data, live, register, settings.page_port, lambda: events.emit("page"))

            events.emit("started", hub=enrolment.hub_id, server=enrolment.server, pid=os.getpid())
            if aside:
                await writer(Store.salvage_registrations, Path(aside))
                await events.problem("store-damaged", "", aside)
            await _until_stopped(
                stop,
                _kept_up(events, "courier", courier.run),
                _kept_up(events, "images", images.run),
                _kept_up(events, "scan", visits.scan),
                _kept_up(events, "visits", visits.run),
                *([_kept_up(events, "page", page)] if settings.page else ()),
                _kept_up(events, "prune", lambda: _prune(writer, clock, settings.keep_days)),
                _until_settled(visits, events, until_delivered, stop),
            )
            events.emit("stopped")
    finally:
        await writer.close()


async def _until_stopped(stop: asyncio.Event, *parts: Coroutine[Any, Any, None]) -> None:
    """Run the parts side by side; end them all when `stop` is set. Raises the StoreDamaged of any."""
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(part) for part in parts]
            await stop.wait()
            for task in running:
                task.cancel()
    except* StoreDamaged as group:
        raise StoreDamaged(str(group.exceptions[0])) from group


async def _kept_up(events: Events, name: str, part: Callable[[], Awaitable[None]]) -> None:
    """Run one part of the hub, again after a failure. A damaged database is for the caller."""
    while True:
        try:
            await part()
            return
        except* StoreDamaged:
            raise
        except* (DiskFull, StoreReadOnly) as group:
            error = _first(group)
            pause_s = DISK_PAUSE_S
            await events.problem(getattr(error, "code", "disk-full"), "", str(error))
        except* Exception as group:  # noqa: BLE001  the trace is in the log; the other parts go on
            _log.error("part failed", exc_info=group, extra={"part": name})
            pause_s = RESTART_S
            await events.problem("hub-failed", "", f"{name}: {type(_first(group)).__name__}")
        await asyncio.sleep(pause_s)


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    inner: BaseException | BaseExceptionGroup[Any] = group.exceptions[0]
    return _first(cast(BaseExceptionGroup[Any], inner)) if isinstance(inner, BaseExceptionGroup) else inner


async def _prune(writer: Writer, clock: Clock, keep_days: int) -> None:
    while True:
        while await writer(Store.prune, clock.read().wall_ms, keep_days):
            pass
        await asyncio.sleep(PRUNE_EVERY_S)


async def _until_settled(visits: Visits, events: Events, readers: int, stop: asyncio.Event) -> None:
    """Stop the hub when every reader in range, at least `readers`, has its receipts. 0: never."""
    while readers:
        await asyncio.sleep(SETTLED_EVERY_S)
        try:
            settled = await visits.settled(readers)
        except StoreDamaged:
            raise
        except StoreError:
            continue  # told by the part that met it; here it only means: not yet
        if settled:
            events.emit("done", readers=readers)
            stop.set()
            return


@contextlib.contextmanager
def _stop_on_signal() -> Generator[asyncio.Event]:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C arrives as KeyboardInterrupt
            loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in signals:
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)
