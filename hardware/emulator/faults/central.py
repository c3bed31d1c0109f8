"""The hub's end of a modelled link: what `hub.collector` reads and writes, over a Channel."""

import asyncio
from collections.abc import Callable

from hub.collector import Channel as Characteristic
from hub.collector import LinkLost

from .channel import Channel, Connection, Peripheral

_VENDOR, _CONTROL, _UP, _DOWN = 2, 1, 2, 3
_CONNECT_S = 5.0
_REQUEST_S = 30.0  # an ATT transaction that takes longer has failed (Core 5.4 Vol 3 Part F 3.3.3)


class CentralLink:
    """A connected and subscribed reader; a `hub.collector.Link`. `turn_s` is how long the central's stack takes to hand
    a value over."""

    def __init__(self, channel: Channel, connection: Connection, peripheral: Peripheral, turn_s: float) -> None:
        self._channel, self._connection, self._peripheral = channel, connection, peripheral
        self._turn_s = turn_s
        self._arrived: asyncio.Queue[tuple[Characteristic, bytes] | None] = asyncio.Queue()
        self._answered: asyncio.Event = asyncio.Event()
        self._asking = asyncio.Lock()
        self.mtu = 23
        self._of = {
            peripheral.handle_of(_VENDOR, _CONTROL): Characteristic.CONTROL,
            peripheral.handle_of(_VENDOR, _UP): Characteristic.UP,
        }
        self._down = peripheral.handle_of(_VENDOR, _DOWN)
        connection.on_value = self._value
        connection.on_closed.append(self._lost)

    @classmethod
    async def open(cls, channel: Channel, turn_s: float = 0.0) -> "CentralLink":
        """Connect, agree on an MTU and subscribe. Raises LinkLost."""
        connection, peripheral = channel.connect(), channel.peripheral
        if connection is None or peripheral is None:
            await asyncio.sleep(_CONNECT_S)
            raise LinkLost("It does not answer.")
        link = cls(channel, connection, peripheral, turn_s)
        try:
            await link._request(2, link._take_mtu, 2)
            for _ in range(2):  # control, then up
                await link._request(2, lambda: None, 0)
        except LinkLost:
            link.close()
            raise
        return link

    async def write_control(self, value: bytes) -> None:
        await self._write(self._peripheral.handle_of(_VENDOR, _CONTROL), value)

    async def write_down(self, value: bytes) -> None:
        await self._write(self._down, value)

    async def receive(self) -> tuple[Characteristic, bytes]:
        if self._connection.closed and self._arrived.empty():
            raise LinkLost("The link was lost.")
        found = await self._arrived.get()
        if found is None:
            raise LinkLost("The link was lost.")
        if self._turn_s:
            await asyncio.sleep(self._turn_s)
        return found

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()

    async def _write(self, handle: int, value: bytes) -> None:
        self._channel.packets.writes += 1
        await self._request(len(value), lambda: self._peripheral.written(self._connection, handle, value), 0)

    async def _request(self, size: int, act: Callable[[], None], answer: int) -> None:
        """An ATT request: it travels, the peripheral acts, the answer travels back."""
        connection = self._connection

        def arrive() -> None:
            act()
            connection.send(connection.up, answer, self._answered.set)

        async with self._asking:
            if connection.closed:
                raise LinkLost("The link was lost.")
            self._answered.clear()
            connection.send(connection.down, size, arrive)
            try:
                async with asyncio.timeout(_REQUEST_S):
                    await self._answered.wait()
            except TimeoutError:
                connection.close()
            if connection.closed:
                raise LinkLost("The link was lost.")

    def _take_mtu(self) -> None:
        self.mtu = self._peripheral.exchanged(self._connection, self._channel.mtu)

    def _value(self, handle: int, data: bytes) -> None:
        self._arrived.put_nowait((self._of[handle], data))

    def _lost(self) -> None:
        self._answered.set()
        self._arrived.put_nowait(None)
