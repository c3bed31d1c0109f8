"""The bench: a virtual air, the readers on it, and the socket through which hubs reach it."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from bumble import hci
from bumble.transport.common import StreamPacketSource

from .air import Air, LinkModel
from .antenna import Antenna, OnAir
from .backend import AirClient, AirScanner, backends
from .central import Central
from .flash import Flash
from .reader import EmulatedReader
from .wiring import FIRMWARE

_LE_META = bytes((hci.HCI_EVENT_PACKET, hci.HCI_LE_META_EVENT))
_ADDRESS_END = 15  # in an LE Connection Complete event: header, subevent, status, handle, role, address type, address


class Bench:
    """`async with Bench() as bench:` holds any number of readers and serves any number of hubs.

    Everything random derives from `seed`. Hubs reach the air at `bench.radio`: set DOORSTEP_RADIO to it in another
    process, or use `bench.scanner` and `bench.client` as bleak's `backend=` in this one.
    """

    def __init__(self, *, seed: int = 0, link: LinkModel | None = None, firmware: Path = FIRMWARE) -> None:
        self.seed = seed
        self.firmware = firmware
        self.link = link or LinkModel()
        self.readers: list[EmulatedReader] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._hubs: set[_Hub] = set()

    async def __aenter__(self) -> "Bench":
        self.air = Air(self.link, self.seed)
        self.air.on_links_changed = self._links_changed
        self._server = await asyncio.get_running_loop().create_server(lambda: _Hub(self), "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.radio = f"tcp-client:127.0.0.1:{port}"
        self.scanner: type[AirScanner]
        self.client: type[AirClient]
        self.scanner, self.client = backends(self.radio)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await asyncio.gather(*(reader.close() for reader in self.readers))
        self._server.close()
        for hub in list(self._hubs):
            hub.drop()
        if self._folder is not None:
            self._folder.cleanup()

    async def add_reader(
        self,
        *,
        name: str | None = None,
        flash: Path | None = None,
        address: str | None = None,
        firmware: Path | None = None,
        heap: str = "256K",
        flash_size: int = 2 * 1024 * 1024,
        seed: int | None = None,
        start: bool = True,
        antenna: Antenna | None = None,
        **options: Any,
    ) -> EmulatedReader:
        """Put a reader on the bench; it is switched on unless `start` is False.

        `flash` is its flash file (a temporary one if none); `address` its Bluetooth address; `antenna` its own real
        adapter in place of the virtual air; `options` are those of EmulatedReader: `speed`, `console_lines`,
        `heap_sample_s` (real seconds between looks at its heap, or None), `terminal` (see `emulator.cable`).
        """
        number = len(self.readers)
        if flash is None:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="doorstep-bench-")
            flash = Path(self._folder.name) / f"reader-{number}.bin"
        reader = EmulatedReader(
            antenna=antenna or OnAir(self.air),
            name=name or f"reader-{number}",
            flash=Flash(flash, flash_size, seed=self.seed + number),
            address=address or f"C0:FF:EE:{self.seed >> 8 & 255:02X}:{self.seed & 255:02X}:{number:02X}",
            firmware=firmware or self.firmware,
            heap=heap,
            seed=self.seed * 1009 + number if seed is None else seed,
            **options,
        )
        self.readers.append(reader)
        if start:
            await reader.start()
        return reader

    def _links_changed(self) -> None:
        for reader in self.readers:
            reader.links_changed()

    def hub_joined(self, hub: "_Hub") -> None:
        """A hub has opened the socket."""
        self._hubs.add(hub)

    def hub_left(self, hub: "_Hub") -> None:
        """A hub has closed it; its links die at the supervision time-out."""
        self._hubs.discard(hub)


class _Hub(asyncio.Protocol):
    """One hub's connection: an HCI stream to a controller of its own."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._source = StreamPacketSource()
        self._controller = Central("hub", link=self._bench.air)
        self._controller.le_acl_data_packet_length = 251
        self._source.set_packet_sink(self._controller)
        self._controller.set_packet_sink(self)
        self._bench.hub_joined(self)

    def on_packet(self, packet: bytes) -> None:
        """From the controller to the hub's host."""
        if packet[:2] == _LE_META and packet[3] == hci.HCI_LE_CONNECTION_COMPLETE_EVENT:
            packet = self._connection_complete(packet)
        self._transport.write(packet)

    def _connection_complete(self, packet: bytes) -> bytes:
        """The enhanced form, which a controller sends to a host that takes it (Core 5.4 Vol 4 Part E 7.7.65.10).

        Bumble's offers link layer privacy and never sends it: Linux waits for it, and meanwhile for nothing else.
        """
        enhanced = hci.HCI_LE_ENHANCED_CONNECTION_COMPLETE_EVENT
        if not self._controller.le_event_mask >> (enhanced - 1) & 1:
            return packet
        head, tail = packet[4:_ADDRESS_END], packet[_ADDRESS_END:]
        parameters = bytes((enhanced,)) + head + bytes(12) + tail  # no private addresses are resolved
        return packet[:2] + bytes((len(parameters),)) + parameters

    def data_received(self, data: bytes) -> None:
        self._source.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._bench.air.vanish(self._controller)
        self._bench.hub_left(self)

    def drop(self) -> None:
        """Unplug it."""
        self._transport.abort()
