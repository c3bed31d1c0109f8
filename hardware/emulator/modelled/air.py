"""The modelled air: a socket on this machine over which any number of hubs hear readers and connect to them.

`unplug` is an adapter that goes; `drop` is a link that dies; `set_clock` moves the wall clock of every hub that scans.
"""

import asyncio
import contextlib
import struct
from collections.abc import Iterable

from reader import wire

from . import frames
from .reader import Connection, ModelledReader

_ADVERTISE_EVERY_S = 0.25


class Air:
    """`async with Air() as air:`; readers in range are those of `readers`, which may change at any time."""

    def __init__(self, readers: Iterable[ModelledReader] = ()) -> None:
        self.readers = list(readers)
        self.port = 0
        self.links = 0
        """How many connections readers have accepted."""
        self._server: asyncio.Server | None = None
        self._scanning: set[asyncio.StreamWriter] = set()
        self._linked: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._moved_ms = 0

    async def __aenter__(self) -> "Air":
        await self.plug()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.unplug()

    async def plug(self) -> None:
        """The adapter is there (again), at the same port."""
        self._server = await asyncio.start_server(self._opened, "127.0.0.1", self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def unplug(self) -> None:
        """The adapter is gone, with all that goes over it."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def drop(self) -> int:
        """Every link dies; returns how many there were."""
        dropped = len(self._linked)
        for writer in list(self._linked):
            writer.transport.abort()
        return dropped

    def set_clock(self, moved_ms: int) -> None:
        """The wall clock of every hub that hears us is moved by so much from the true one."""
        self._moved_ms = moved_ms
        for writer in self._scanning:
            writer.write(frames.packed(frames.CLOCK, struct.pack(">q", moved_ms)))

    async def _opened(self, stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            kind, payload = await frames.read(stream)
            await (self._scan(stream, writer) if kind == frames.SCAN else self._link(payload, stream, writer))
        except (EOFError, OSError, asyncio.CancelledError):
            pass  # the hub has gone, or the adapter has
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _scan(self, stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._scanning.add(writer)
        ended = asyncio.create_task(stream.read())
        try:
            if self._moved_ms:
                writer.write(frames.packed(frames.CLOCK, struct.pack(">q", self._moved_ms)))
            while not ended.done():
                for reader in list(self.readers):
                    writer.write(frames.packed(frames.ADVERT, _advert(reader)))
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(ended), _ADVERTISE_EVERY_S)
        finally:
            self._scanning.discard(writer)
            ended.cancel()

    async def _link(self, reader_id: bytes, stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reader = next((one for one in self.readers if one.reader_id == reader_id), None)
        if reader is None:
            writer.write(frames.packed(frames.REFUSED))
            await writer.drain()
            return
        self.links += 1
        self._linked.add(writer)
        kinds = {"control": frames.INDICATED, "up": frames.NOTIFIED}
        connection = Connection(reader, lambda channel, value: writer.write(frames.packed(kinds[channel], value)))
        writer.write(frames.packed(frames.CONNECTED))
        try:
            while True:
                kind, value = await frames.read(stream)
                connection.written("down" if kind == frames.DOWN else "control", value)
                await writer.drain()
        finally:
            self._linked.discard(writer)


def _advert(reader: ModelledReader) -> bytes:
    return (
        struct.pack(wire.ADVERT_FORMAT, wire.VERSION, reader.reader_id, reader.next, reader.released, 0)
        + reader.name.encode()
    )
