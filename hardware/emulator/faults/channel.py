"""The radio between one reader and one hub in simulated time: connection events, packets, airtime, loss and death of
the link as the Core Specification has them (version 5.4, Vol 6 Part B), and ATT above (Vol 3 Part F).

In a connection event the two take turns, each packet T_IFS after the one before (4.5.1), until neither has more data,
the event's time or its packets are used up, or one of them has heard two bad packets in a row (4.5.6). A packet whose
CRC is bad is answered all the same and sent again (4.5.9). An L2CAP frame longer than the data length goes in
fragments. Who hears nothing for the supervision time-out drops the link (4.5.2).
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..air import LinkModel

CONNECT, DISCONNECT, WRITE, INDICATED, MTU = 1, 2, 3, 20, 21  # MicroPython's bluetooth, _IRQ_*
ENOMEM, ENOTCONN = 12, 128
_L2CAP, _ATT = 4, 3
_ADDRESS = bytes(6)


@dataclass
class Packets:
    """What the air carried."""

    sent: int = 0
    lost: int = 0
    refused: int = 0  # notifications for which there was no memory
    writes: int = 0  # requests of the central, each a round trip


@dataclass
class _Frame:
    """An L2CAP frame on its way: what to do when it has arrived whole, and how much of it is not acknowledged."""

    arrive: Callable[[], None]
    left: int
    heard: bool = False  # the fragment under way has arrived; only its acknowledgement has not


class Way:
    """One direction of a connection."""

    def __init__(self, model: LinkModel) -> None:
        self._model = model
        self.frames: deque[_Frame] = deque()
        self.bad = 0  # packets in a row whose CRC was bad, at the receiver
        self.heard_s = 0.0

    def fragment(self) -> int:
        """Bytes of the data packet to send now; 0 for an empty one."""
        return min(self.frames[0].left, self._model.payload_bytes) if self.frames else 0

    def arrived(self) -> None:
        """The packet sent now was received with a good CRC."""
        if self.frames and not self.frames[0].heard:
            frame = self.frames[0]
            frame.heard = True
            if frame.left <= self._model.payload_bytes:
                frame.arrive()

    def acknowledged(self) -> None:
        """Its sender knows."""
        if not self.frames or not self.frames[0].heard:
            return
        frame = self.frames[0]
        frame.heard = False
        frame.left -= self.fragment()
        if frame.left <= 0:
            self.frames.popleft()


class Connection:
    """One link from its first connection event to its end."""

    def __init__(self, channel: "Channel") -> None:
        self.channel = channel
        self.down, self.up = Way(channel.model), Way(channel.model)  # to the reader, to the hub
        self.closed = False
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._next_event = 0
        self._left_s, self._packets = 0.0, 0  # of the event that goes on
        self.down.heard_s = self.up.heard_s = self._loop.time()
        self.on_closed: list[Callable[[], None]] = []
        self.on_value: Callable[[int, bytes], None] = lambda handle, value: None  # at the central

    def send(self, way: Way, size: int, arrive: Callable[[], None]) -> None:
        """Queue an ATT value of `size` bytes."""
        way.frames.append(_Frame(arrive, size + _ATT + _L2CAP))
        self.wake()

    def wake(self) -> None:
        """There may be something to do at the next connection event."""
        if self._timer is None and not self.closed:
            interval = self.channel.model.interval_s
            now = self._loop.time()
            # By count, not by time: rounding must not find the event that was before now once more.
            self._next_event = max(self._next_event + 1, int(now / interval) + 1)
            self._timer = self._loop.call_at(self._next_event * interval, self._event)

    def close(self) -> None:
        """The link ends on both sides."""
        if self.closed:
            return
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        for tell in self.on_closed:
            tell()

    def _event(self) -> None:
        self._timer = None
        now = self._loop.time()
        channel, model = self.channel, self.channel.model
        if not channel.reachable:
            if now - min(self.down.heard_s, self.up.heard_s) >= model.supervision_timeout_s:
                self.close()
            else:
                self.wake()
            return
        # Empty packets keep the link alive between events with data.
        self.down.heard_s = self.up.heard_s = max(self.down.heard_s, self.up.heard_s, now - model.interval_s)
        self.down.bad = self.up.bad = 0
        self._left_s, self._packets = model.interval_s, model.packets_per_event or 1 << 30
        self._turn()

    def _turn(self) -> None:
        """One packet each way, and the next turn when they have gone by; or the event ends."""
        self._timer = None
        model = self.channel.model
        cost = model.packet_s(self.down.fragment()) + model.packet_s(self.up.fragment())
        data = self.down.frames or self.up.frames
        first = self._left_s == model.interval_s
        if not data or not self._packets or (cost > self._left_s and not first) or not self._exchange():
            # What was heard last is acknowledged by the first packet of the next event.
            if (data or not self.channel.reachable) and not self.closed:
                self.wake()
            return
        self._left_s -= cost
        self._packets -= 1
        self._timer = self._loop.call_later(cost, self._turn)

    def _exchange(self) -> bool:
        """A packet to the reader and its answer; False when one of the two closes the event."""
        channel, now = self.channel, self._loop.time()
        channel.packets.sent += 2
        channel.on_packet()
        if self.closed or not channel.reachable or not self._heard(self.down, now):
            return False
        if self.down.bad == 0:
            self.down.arrived()
            self.up.acknowledged()
        if self.closed or not self._heard(self.up, now):
            return False
        if self.up.bad == 0:
            self.up.arrived()
            self.down.acknowledged()
        return not self.closed

    def _heard(self, way: Way, now: float) -> bool:
        """One packet goes by; False when its receiver closes the event."""
        if self.channel.chance.random() < self.channel.model.loss:
            self.channel.packets.lost += 1
            way.bad += 1
            return way.bad < 2
        way.bad = 0
        way.heard_s = now
        return True


class Channel:
    """The air between a reader and a hub. `mtu` is what the central asks for; `enomem` how often, at random, the
    reader's stack has no memory for a notification."""

    def __init__(self, model: LinkModel, chance: random.Random, mtu: int = 247, enomem: float = 0.0) -> None:
        self.model, self.chance, self.mtu, self.enomem = model, chance, mtu, enomem
        self.packets = Packets()
        self.near = True
        self.peripheral: Peripheral | None = None
        self.connection: Connection | None = None
        self.on_packet: Callable[[], None] = lambda: None

    @property
    def reachable(self) -> bool:
        """Both are there and in each other's range."""
        return self.near and self.peripheral is not None and self.peripheral.on

    def set_near(self, near: bool) -> None:
        """Carry the reader away, or back."""
        self.near = near
        if self.connection is not None:
            self.connection.wake()

    def connect(self) -> Connection | None:
        """A connection to the reader that advertises, or None: it is away, off, or connected."""
        peripheral = self.peripheral
        if not self.reachable or peripheral is None or not peripheral.advertising:
            return None
        self.connection = made = Connection(self)
        peripheral.connected(made)
        return made


class Peripheral:
    """As much of MicroPython's `bluetooth.BLE` as the reader's link uses, on a Channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._handler: Callable[[int, Any], int] = lambda event, data: 0
        self._values: dict[int, bytes] = {}
        self._room: dict[int, int] = {}  # of a value that writes are appended to
        self._connection: Connection | None = None
        self._waiting = 0
        self._mtu = 23
        self.on = True
        self.advertising = False
        channel.peripheral = self

    # bluetooth.BLE

    def active(self, on: bool) -> None:
        pass

    def config(self, *, mtu: int, gap_name: str) -> None:
        self._mtu = mtu

    def irq(self, handler: Callable[[int, Any], int]) -> None:
        self._handler = handler

    def gatts_register_services(self, services: Any) -> list[list[int]]:
        handle, found = 10, list[list[int]]()
        for _, characteristics in services:
            found.append([])
            for _ in characteristics:
                handle += 2
                found[-1].append(handle)
                self._values[handle] = b""
        return found

    def gatts_set_buffer(self, handle: int, size: int, append: bool = False) -> None:
        if append:
            self._room[handle] = size

    def gatts_write(self, handle: int, data: bytes, notify: bool = False) -> None:
        self._values[handle] = bytes(data)

    def gatts_read(self, handle: int) -> bytes:
        value = self._values[handle]
        if handle in self._room:
            self._values[handle] = b""
        return value

    def gatts_notify(self, handle: int, value: int, data: bytes) -> None:
        connection = self._live()
        channel = self._channel
        if self._waiting >= channel.model.transmit_buffers or channel.chance.random() < channel.enomem:
            channel.packets.refused += 1
            raise OSError(ENOMEM, "no memory")
        self._waiting += 1
        sent = bytes(data)

        def arrive() -> None:
            self._waiting -= 1
            connection.on_value(value, sent)

        connection.send(connection.up, len(sent), arrive)

    def gatts_indicate(self, handle: int, value: int, data: bytes) -> None:
        connection = self._live()
        sent = bytes(data)

        def arrive() -> None:
            connection.on_value(value, sent)
            connection.send(connection.down, 0, lambda: self._tell(connection, INDICATED, (1, value, 0)))

        connection.send(connection.up, len(sent), arrive)

    def gap_advertise(self, interval_us: int, adv_data: bytes, *, resp_data: bytes) -> None:
        if self._connection is None:
            self.advertising = True

    def gap_disconnect(self, handle: int) -> None:
        if self._connection is not None:
            self._connection.close()

    def _live(self) -> Connection:
        if self._connection is None or self._connection.closed:
            raise OSError(ENOTCONN, "not connected")
        return self._connection

    def _tell(self, connection: Connection, event: int, data: Any) -> None:
        if self.on and connection is self._connection:
            self._handler(event, data)

    # the other side

    def connected(self, connection: Connection) -> None:
        """A central has connected."""
        self.advertising = False
        self._connection = connection
        self._waiting = 0
        self._tell(connection, CONNECT, (1, 0, _ADDRESS))

        def gone() -> None:
            self._tell(connection, DISCONNECT, (1, 0, _ADDRESS))
            if self._connection is connection:
                self._connection = None

        connection.on_closed.append(gone)

    def exchanged(self, connection: Connection, mtu: int) -> int:
        """The MTU of both after an exchange."""
        agreed = max(23, min(mtu, self._mtu))
        self._tell(connection, MTU, (1, agreed))
        return agreed

    def written(self, connection: Connection, handle: int, value: bytes) -> None:
        """A write has arrived."""
        if handle in self._room:
            value = (self._values[handle] + value)[: self._room[handle]]
        self._values[handle] = value
        self._tell(connection, WRITE, (1, handle))

    def handle_of(self, service: int, characteristic: int) -> int:
        """The handle that registering gave; in the order of reader.link."""
        handles = sorted(self._values)
        return handles[(0, 2, 3)[service] + characteristic]

    def power_off(self) -> None:
        """The reader's power goes: nothing is told, its peer notices by silence."""
        self.on = self.advertising = False
        if self._connection is not None:
            self._connection.wake()
