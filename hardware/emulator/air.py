"""The virtual air: Bumble's LocalLink with airtime, loss, range and link death, all from a seed.

Bumble's own link delivers at once, everything, for ever. Here each connection has connection events; an event
carries a few packets each way, a bad one is sent again (Core 5.4 Vol 6 Part B 4.5.9), two in a row end its direction's
share of the event (4.5.6), and a link that hears nothing for the supervision time-out dies on both sides.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from bumble import core, hci, ll
from bumble.controller import Connection, Controller
from bumble.link import LocalLink

CONNECTION_TIMEOUT = 0x08  # HCI error codes
CONNECTION_FAILED = 0x3E
_BAD_IN_A_ROW = 2  # end a connection event (Core 5.4 Vol 6 Part B 4.5.6)


@dataclass(frozen=True)
class LinkModel:
    """How the radio behaves; times in real time, because the hub lives in it.

    `packets_per_event` bounds each direction; None takes what fits of airtime into the interval.
    """

    interval_s: float = 0.015
    packets_per_event: int | None = 6
    payload_bytes: int = 251
    phy_mbit: int = 2
    loss: float = 0.0
    advertisement_loss: float = 0.0
    supervision_timeout_s: float = 1.0
    transmit_buffers: int = 12  # NimBLE's mbuf pool on the ESP32: so many notifications may wait, then ENOMEM

    def airtime_s(self, size: int) -> float:
        """Seconds for an L2CAP payload of `size` bytes, acknowledged, with its inter-frame spaces (Vol 6 B 2.1)."""
        packets, octets = self._on_air(size)
        return octets * 8e-6 / self.phy_mbit + packets * 2 * 150e-6

    def packet_s(self, size: int) -> float:
        """Seconds for one link layer packet with `size` bytes of payload, and the inter-frame space behind it (Vol 6
        Part B 2.1, 4.1)."""
        return (self.phy_mbit + 4 + 2 + size + 3) * 8e-6 / self.phy_mbit + 150e-6

    def octets(self, size: int) -> int:
        """Octets on the air for the same, from the preamble to the CRC, with those of the acknowledgement."""
        return self._on_air(size)[1]

    def _on_air(self, size: int) -> tuple[int, int]:
        """Link layer packets and octets of both directions; the L2CAP header adds 4 bytes."""
        left = size + 4
        packets = -(-left // self.payload_bytes)
        preamble = self.phy_mbit
        return packets, left + packets * 2 * (preamble + 4 + 2 + 3)

    def packets_per_s(self, size: int) -> float:
        """The most L2CAP payloads of `size` bytes that one direction carries without loss; infinite without airtime."""
        if not self.interval_s:
            return float("inf")
        fit = max(1, int(self.interval_s / self.airtime_s(size)))
        return (fit if self.packets_per_event is None else min(fit, self.packets_per_event)) / self.interval_s

    @classmethod
    def ideal(cls) -> "LinkModel":
        """No airtime and no loss: for tests of what is above the link."""
        return cls(interval_s=0.0, packets_per_event=None)


class _Direction:
    """Packets on their way from one controller to the other."""

    def __init__(self, receiver: Controller, sender_address: hci.Address) -> None:
        self.receiver = receiver
        self.sender_address = sender_address
        self.queue: deque[bytes | ll.TerminateInd] = deque()
        self.timer: asyncio.Handle | None = None


class Air(LocalLink):
    """A LocalLink that obeys a LinkModel; one for a bench."""

    def __init__(self, model: LinkModel, seed: int = 0) -> None:
        super().__init__()
        self.model = model
        self.bytes_sent = 0
        self._random = random.Random(seed)  # noqa: S311  a simulation
        self._away: set[Controller] = set()
        # By identity: the next link between the same two has the same addresses, and often the same handles.
        self._deaths: dict[int, asyncio.TimerHandle] = {}
        self._ways: dict[tuple[Controller, hci.Address], _Direction] = {}
        self.on_links_changed: Callable[[], None] = lambda: None
        # Told of each packet's turn on the air, also of a lost one: sender, L2CAP payload bytes, octets on the air.
        self.on_packet: Callable[[Controller, int, int], None] = lambda sender, size, octets: None

    # Range and power

    def set_range(self, controller: Controller, near: bool) -> None:
        """Move a controller out of everybody's earshot, or back."""
        if near:
            self._away.discard(controller)
            for connection in controller.le_connections.values():
                if self._peer(connection) is not None:  # what the other side has left stays dead
                    self._reprieve(connection)
                for way in self._ways_of(connection):
                    self._pump(way)
        else:
            self._away.add(controller)
            for connection in list(controller.le_connections.values()):
                self._doom(connection)

    def vanish(self, controller: Controller) -> None:
        """A controller loses its power: its peers notice at their supervision time-out.

        It leaves the air at once, with its links: what is switched on next has its address and is another controller.
        """
        peers = [self._peer(connection) for connection in controller.le_connections.values()]
        controller.le_legacy_advertiser.stop()
        for advertiser in controller.advertising_sets.values():
            advertiser.stop()
        controller.set_packet_sink(None)
        for connection in list(controller.le_connections.values()):
            self._reprieve(connection)
        controller.le_connections.clear()
        for key, way in list(self._ways.items()):
            if key[0] is controller or way.receiver is controller:
                self._drop_way(key)
        self.controllers.discard(controller)
        self._away.discard(controller)
        for peer in peers:
            if peer is not None:
                self._doom(peer)

    def waiting(self, controller: Controller) -> int:
        """How many packets of a controller have not reached the other side yet."""
        return sum(len(way.queue) for (sender, _), way in self._ways.items() if sender is controller)

    def _peer(self, connection: Connection) -> Connection | None:
        for controller in self.controllers:
            found = controller.le_connections.get(connection.self_address)
            if found is not None and found.self_address == connection.peer_address:
                return found
        return None

    def _doom(self, connection: Connection) -> None:
        if id(connection) not in self._deaths:
            loop = asyncio.get_running_loop()
            self._deaths[id(connection)] = loop.call_later(
                self.model.supervision_timeout_s, self._die, connection, CONNECTION_TIMEOUT
            )

    def _reprieve(self, connection: Connection) -> None:
        timer = self._deaths.pop(id(connection), None)
        if timer is not None:
            timer.cancel()

    def _die(self, connection: Connection, reason: int) -> None:
        self._deaths.pop(id(connection), None)
        if not _is_up(connection):
            return  # it was closed before its time-out; what may now join the same two is another link
        for side in (connection, self._peer(connection)):
            if side is not None:
                self._drop_way((side.controller, side.peer_address))
                side.controller.on_le_disconnected(side, reason)
        self.on_links_changed()

    def _drop_way(self, key: tuple[Controller, hci.Address]) -> None:
        way = self._ways.pop(key, None)
        if way is not None and way.timer is not None:
            way.timer.cancel()

    def _ways_of(self, connection: Connection) -> list[_Direction]:
        peer = self._peer(connection)
        keys = [(connection.controller, connection.peer_address)]
        if peer is not None:
            keys.append((peer.controller, peer.peer_address))
        return [self._ways[key] for key in keys if key in self._ways]

    # LocalLink

    def send_acl_data(
        self,
        sender_controller: Controller,
        destination_address: hci.Address,
        transport: core.PhysicalTransport,
        data: bytes,
    ) -> None:
        connection = sender_controller.le_connections.get(destination_address)
        peer = None if connection is None else self._peer(connection)
        if connection is None or peer is None:
            return  # the link has just died: the packet goes nowhere, as on air
        self.bytes_sent += len(data)
        key = (sender_controller, destination_address)
        way = self._ways.get(key)
        if way is None or way.receiver is not peer.controller:
            way = self._ways[key] = _Direction(peer.controller, connection.self_address)
        way.queue.append(data)
        self._pump(way)

    def _pump(self, way: _Direction) -> None:
        if way.timer is not None or not way.queue:
            return
        loop = asyncio.get_running_loop()
        interval = self.model.interval_s
        if interval == 0:
            way.timer = loop.call_soon(self._event, way)
        else:
            now = loop.time()
            way.timer = loop.call_at((now // interval + 1) * interval, self._event, way)

    def _event(self, way: _Direction) -> None:
        way.timer = None
        sender = next((key[0] for key, value in self._ways.items() if value is way), None)
        if sender is None or sender in self._away or way.receiver in self._away:
            return
        room = self.model.packets_per_event
        airtime = self.model.interval_s
        bad = 0
        while way.queue and (room is None or room > 0):
            head = way.queue[0]
            size = len(head) - 4 if isinstance(head, bytes) else 2  # what is queued has its L2CAP header
            cost = self.model.airtime_s(size)
            if self.model.interval_s and cost > airtime and airtime < self.model.interval_s:
                break
            airtime -= cost
            if room is not None:
                room -= 1
            self.on_packet(sender, size, self.model.octets(size))
            if self.model.loss and self._random.random() < self.model.loss:
                bad += 1
                if bad == _BAD_IN_A_ROW:
                    break
                continue  # it is sent again at once
            bad = 0
            way.queue.popleft()
            if isinstance(head, bytes):
                way.receiver.on_link_acl_data(way.sender_address, core.PhysicalTransport.LE, head)
            else:
                self._ways = {key: value for key, value in self._ways.items() if value is not way}
                self._control(way.receiver, way.sender_address, head)
        self._pump(way)

    def send_advertising_pdu(self, sender_controller: Controller, packet: ll.AdvertisingPdu) -> None:
        if sender_controller in self._away:
            return
        loop = asyncio.get_running_loop()
        if isinstance(packet, ll.AdvInd | ll.AdvExtInd):
            packet = replace(packet, data=packet.data + _scan_response(sender_controller, packet))
        for controller in self.controllers:
            if controller is sender_controller or controller in self._away:
                continue
            lossy = not isinstance(packet, ll.ConnectInd)
            if lossy and self.model.advertisement_loss and self._random.random() < self.model.advertisement_loss:
                continue
            loop.call_soon(controller.on_ll_advertising_pdu, packet)
        if isinstance(packet, ll.ConnectInd):
            loop.call_soon(self.on_links_changed)
            central = sender_controller.le_connections.get(packet.advertiser_address)
            if central is not None:
                loop.call_later(0.1, self._check_established, central)

    def _check_established(self, central: Connection) -> None:
        # The advertiser may have gone, or taken another central: unheard for six intervals, the link never was
        # (Vol 6 Part B 4.5).
        if self._peer(central) is None:
            self._die(central, CONNECTION_FAILED)

    def send_ll_control_pdu(
        self, sender_address: hci.Address, receiver_address: hci.Address, packet: ll.ControlPdu
    ) -> None:
        receiver = self.find_le_controller(receiver_address)
        connection = None if receiver is None else receiver.le_connections.get(sender_address)
        if receiver is None or connection is None:
            return
        sender = self.find_le_controller(sender_address)
        if isinstance(packet, ll.TerminateInd):
            # Nobody listens any more to what the other side still has to say.
            self._drop_way((receiver, connection.peer_address))
            asyncio.get_running_loop().call_soon(self.on_links_changed)
        if receiver in self._away or (sender is not None and sender in self._away):
            if isinstance(packet, ll.TerminateInd):
                self._doom(connection)
            return
        way = None if sender is None else self._ways.get((sender, receiver_address))
        if way is not None and isinstance(packet, ll.TerminateInd):
            way.queue.append(packet)  # behind the data that the sender has handed over before
            self._pump(way)
            return
        asyncio.get_running_loop().call_soon(self._control, receiver, sender_address, packet)

    def _control(self, receiver: Controller, sender_address: hci.Address, packet: ll.ControlPdu) -> None:
        if sender_address in receiver.le_connections:
            receiver.on_ll_control_pdu(sender_address, packet)


def _is_up(connection: Connection) -> bool:
    return connection.controller.le_connections.get(connection.peer_address) is connection


def _scan_response(controller: Controller, packet: ll.AdvInd | ll.AdvExtInd) -> bytes:
    # Bumble's controllers never send scan responses; every scanner here is an active one and hears both as one.
    if isinstance(packet, ll.AdvInd):
        return bytes(controller.le_legacy_advertiser.scan_response_data)
    for advertiser in controller.advertising_sets.values():
        if advertiser.address == packet.advertiser_address:
            return bytes(advertiser.scan_response_data)
    return b""
