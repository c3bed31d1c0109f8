"""Tells open worklists that results have arrived: one PostgreSQL connection listens for the whole process.

Whoever stores results sends NOTIFY on `CHANNEL` in the same transaction, naming the organisation as JSON. What is
passed on is only that something arrived; the page then asks for the list, in its own session and through the audit log.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

import psycopg
from psycopg.sql import SQL, Identifier

from server.results.repository import CHANNEL

log = logging.getLogger("doorstep.arrivals")

_RETRY_S = (1, 2, 5, 10, 30)


class Arrivals:
    """The listening connection, held while anybody listens, and the worklists it wakes."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._waiting: dict[UUID, set[asyncio.Event]] = {}
        self._task: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()

    @asynccontextmanager
    async def listen(self, organisation_id: UUID) -> AsyncGenerator[asyncio.Event]:
        """An event that is set when results of the organisation may have arrived; the listener clears it.

        It is set too when the connection had been lost and is back, since what arrived between is not known. It begins
        once the connection listens, so that whoever looks at the database after that misses nothing.
        """
        woken = asyncio.Event()
        self._waiting.setdefault(organisation_id, set()).add(woken)
        if self._task is None or self._task.done():
            self._listening.clear()
            self._task = asyncio.create_task(self._run(), name="arrivals")
        try:
            await self._listening.wait()
            yield woken
        finally:
            self._waiting[organisation_id].discard(woken)
            if not self._waiting[organisation_id]:
                del self._waiting[organisation_id]
            if not self._waiting:
                await self._stop()

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        """Listen until cancelled; a lost connection is made again, with longer and longer pauses."""
        failures = 0
        while True:
            try:
                connecting = psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=10)
                async with await connecting as link:
                    await link.execute(SQL("LISTEN {}").format(Identifier(CHANNEL)))
                    failures = 0
                    self._wake_all()
                    self._listening.set()
                    async for notice in link.notifies():
                        self._wake(notice.payload)
                raise ConnectionError("the listening connection ended")
            except (psycopg.Error, OSError) as error:
                self._listening.clear()
                pause_s = _RETRY_S[min(failures, len(_RETRY_S) - 1)]
                failures += 1
                log.warning("cannot listen for new results (%s); trying again in %d s", type(error).__name__, pause_s)
                await asyncio.sleep(pause_s)

    def _wake(self, payload: str) -> None:
        try:
            organisation_id = UUID(json.loads(payload)["organisation"])
        except (ValueError, TypeError, KeyError):
            log.error("a notice of new results names no organisation; every worklist looks")
            self._wake_all()
            return
        for woken in self._waiting.get(organisation_id, ()):
            woken.set()

    def _wake_all(self) -> None:
        for waiting in self._waiting.values():
            for woken in waiting:
                woken.set()
