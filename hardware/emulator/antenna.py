"""Where a reader's radio meets the air: a controller on the virtual air, or a real one behind a Bumble transport.

A real controller is one reader's for as long as the bench stands. Bumble could share it out by extended advertising
sets, but one host is one peripheral here, as one board is.
"""

import asyncio
import struct
from typing import Protocol

from bumble import hci
from bumble.controller import Controller
from bumble.host import Host
from bumble.transport import open_transport

from .air import Air, LinkModel

_BUFFERS = LinkModel().transmit_buffers
_ANSWER_S = 5.0
_RESET_OPCODE = 0x0C03
_RESET = struct.pack("<BHB", hci.HCI_COMMAND_PACKET, _RESET_OPCODE, 0)


class AdapterError(Exception):
    """An adapter cannot be used; the message is for a person."""


class Antenna(Protocol):
    """What a reader's radio needs of its controller. A host is plugged in at each boot and unplugged by `vanish`."""

    async def plug(self, host: Host) -> None:
        """Give `host` a controller; OSError if there is none."""
        ...

    def set_range(self, near: bool) -> None:
        """Move it into or out of everybody's earshot, if it can be moved."""
        ...

    def has_room(self, host: Host) -> bool:
        """Whether one more packet may wait to be sent."""
        ...

    def vanish(self) -> None:
        """Lose power: no farewell is sent."""
        ...


class OnAir:
    """A controller on the virtual air, new at each boot."""

    def __init__(self, air: Air) -> None:
        self._air = air
        self._controller: Controller | None = None

    async def plug(self, host: Host) -> None:
        controller = Controller("reader", link=self._air)
        controller.le_acl_data_packet_length = 251
        # Directly, not through a pipe: a notification has to be counted as waiting before the firmware's next call.
        host.set_packet_sink(controller)
        controller.set_packet_sink(host)
        self._controller = controller

    def set_range(self, near: bool) -> None:
        if self._controller is not None:
            self._air.set_range(self._controller, near)

    def has_room(self, host: Host) -> bool:
        return self._controller is None or self._air.waiting(self._controller) < self._air.model.transmit_buffers

    def vanish(self) -> None:
        if self._controller is not None:
            self._air.vanish(self._controller)
        self._controller = None


class Adapter:
    """A real controller, such as a USB dongle: `async with Adapter("usb:0") as adapter`, for one reader. Raises
    AdapterError when it cannot be opened. `gone` is done when it has been pulled out."""

    def __init__(self, spec: str) -> None:
        self.spec = spec
        self.gone: asyncio.Future[None]
        self._host: Host | None = None
        self._silent = asyncio.Event()

    async def __aenter__(self) -> "Adapter":
        try:
            self._transport = await open_transport(self.spec)
        except Exception as error:  # each transport of Bumble fails in its own way
            raise AdapterError(
                f"The adapter {self.spec} cannot be used ({error}): name one as Bumble does, such as usb:0, and see "
                "that the system does not use it itself."
            ) from error
        self.gone = asyncio.ensure_future(asyncio.shield(self._transport.source.terminated))
        self._transport.source.set_packet_sink(self)
        self._reset()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.vanish()
        self.gone.cancel()
        await self._transport.close()

    async def plug(self, host: Host) -> None:
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._silent.wait()  # what it still says is for the host of before
        except TimeoutError:
            raise OSError(f"the adapter {self.spec} does not answer") from None
        host.set_packet_sink(self._transport.sink)
        self._host = host

    def set_range(self, near: bool) -> None:
        """It is where the adapter is: a person can carry that away."""

    def has_room(self, host: Host) -> bool:
        queue = host.le_acl_packet_queue
        return queue is None or queue.pending < _BUFFERS

    def vanish(self) -> None:
        if self._host is not None:
            self._host = None
            self._reset()

    def _reset(self) -> None:
        """It drops its links at once, without a word to the other side (Core 5.4 Vol 4 Part E 7.3.2)."""
        self._silent.clear()
        self._transport.sink.on_packet(_RESET)

    def on_packet(self, packet: bytes) -> None:
        """From the controller."""
        if self._host is not None:
            self._host.on_packet(packet)
        elif not self._silent.is_set():
            event = hci.HCI_Packet.from_bytes(packet)
            if isinstance(event, hci.HCI_Command_Complete_Event) and event.command_opcode == _RESET_OPCODE:
                self._silent.set()
