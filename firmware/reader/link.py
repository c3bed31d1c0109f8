"""The radio: moves bytes between a central and the session, and keeps the advert true. It decides nothing.

Interrupt handlers push integers into a ring made at start; one task looks at it and does the rest. Control goes
before data, one indication at a time; a notification that the stack has no memory for is kept and tried again
(protocol.md section 4).
"""

import asyncio
from array import array

import bluetooth
from micropython import const

from reader import advert, settings, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CONNECT = const(1)
_DISCONNECT = const(2)
_WRITE = const(3)
_INDICATED = const(20)
_MTU = const(21)

_READ = const(0x02)
_WRITE_FLAG = const(0x08)
_NOTIFY = const(0x10)
_INDICATE = const(0x20)

_ENOMEM = const(12)
_ENOTCONN = const(128)
_MTU_WANTED = const(247)  # 244 bytes of value, so that a segment fills a data-length-extended packet
_MTU_LEAST = const(23)
_ATT_HEADER = const(3)
_CONTROL_BUFFER = const(1024)  # a few requests that were written before the task came round
_DOWN_BUFFER = const(4608)  # the longest message with its segment headers
_ADVERTISE_US = const(250000)
_RESTING_US = const(1000000)
_BURST = const(16)  # notifications before the other tasks have a turn
_RETRY_MS = const(5)
_LOOK_MS = const(10)  # while connected; a connection interval is longer
_ALONE_MS = const(100)
_RING = const(16)


class Link:
    """`app` gives `session`, `identity`, `journal`, `parts` and `flags()`; `refresh` says that the status has
    changed. `connection` is None while no central is connected.
    """

    def __init__(self, app):
        self._app = app
        self._session = app.session
        self._ring = array("H", [0] * (3 * _RING))
        self._head = 0
        self._tail = 0
        self._overrun = False
        self.connection = None
        self._limit = _MTU_LEAST - _ATT_HEADER
        self._indicating = False
        self._stale = True
        self._advertised = None
        self._interval_us = _ADVERTISE_US
        self._ble: "Any" = bluetooth.BLE()  # the stubs mistake handles for memoryviews
        self._register()

    def _register(self):
        ble = self._ble
        ble.active(True)
        ble.config(mtu=_MTU_WANTED, gap_name=self._app.identity.name[:20])
        ble.irq(self._on_event)
        uuid = bluetooth.UUID
        device = (uuid(0x180A), ((uuid(0x2A24), _READ), (uuid(0x2A26), _READ)))
        battery = (uuid(0x180F), ((uuid(0x2A19), _READ | _NOTIFY),))
        vendor = (
            uuid(wire.SERVICE_UUID),
            (
                (uuid(wire.STATUS_UUID), _READ | _NOTIFY),
                (uuid(wire.CONTROL_UUID), _WRITE_FLAG | _INDICATE),
                (uuid(wire.UP_UUID), _NOTIFY),
                (uuid(wire.DOWN_UUID), _WRITE_FLAG),
            ),
        )
        handles = ble.gatts_register_services((device, battery, vendor))
        model, firmware = handles[0]
        (self._battery,) = handles[1]
        self._status, self._control, self._up, self._down = handles[2]
        ble.gatts_write(model, settings.MODEL.encode())
        ble.gatts_write(firmware, settings.FIRMWARE.encode())
        ble.gatts_set_buffer(self._status, 64)
        ble.gatts_set_buffer(self._control, _CONTROL_BUFFER, True)
        ble.gatts_set_buffer(self._down, _DOWN_BUFFER, True)

    def refresh(self):
        """Something that the status or the advert says has changed."""
        self._stale = True

    def rest(self, resting):
        """Advertise seldom while nobody uses the reader: a hub finds it within a few seconds instead of one."""
        self._interval_us = _RESTING_US if resting else _ADVERTISE_US
        self._advertised = None
        self._stale = True

    def _on_event(self, event, data):
        # Interrupt: no allocation. One ring entry is three numbers.
        if event in (_CONNECT, _DISCONNECT):
            self._push(event, data[0], 0)
        elif event in (_WRITE, _MTU):
            self._push(event, data[0], data[1])
        elif event == _INDICATED:
            self._push(event, data[0], data[2])
        return 0

    def _push(self, event, a, b):
        following = (self._head + 1) % _RING
        if following == self._tail:
            self._overrun = True
        else:
            at = 3 * self._head
            self._ring[at] = event
            self._ring[at + 1] = a
            self._ring[at + 2] = b
            self._head = following

    async def run(self):
        """Never returns."""
        while True:
            self._take_events()
            self._refresh()
            await asyncio.sleep_ms(self._pump() if self.connection is not None else _ALONE_MS)

    # Events

    def _take_events(self):
        if self._overrun:
            # What was lost is not known, so the connection is not either: end it and begin again.
            self._overrun = False
            self._tail = self._head
            if self.connection is not None:
                self._ble.gap_disconnect(self.connection)
                self._gone()
            return
        while self._tail != self._head:
            at = 3 * self._tail
            event, a, b = self._ring[at], self._ring[at + 1], self._ring[at + 2]
            self._tail = (self._tail + 1) % _RING
            if event == _CONNECT:
                self.connection = a
                self._limit = _MTU_LEAST - _ATT_HEADER
                self._indicating = False
                self._session.connected()
                self._stale = True
            elif event == _DISCONNECT:
                self._gone()
            elif event == _MTU:
                self._limit = min(b, _MTU_WANTED) - _ATT_HEADER
            elif event == _INDICATED:
                self._confirmed(b)
            elif event == _WRITE and self.connection is not None:
                self._written(b)

    def _gone(self):
        self.connection = None
        self._indicating = False
        self._session.disconnected()
        # What a central left half read must not reach the next one.
        self._ble.gatts_read(self._control)
        self._ble.gatts_read(self._down)
        self._advertised = None
        self._stale = True

    def _confirmed(self, status):
        if not self._indicating:
            return
        self._indicating = False
        if status == 0:
            self._session.control_sent()
        elif self.connection is not None:
            # No confirmation within ATT's 30 s: the link is unusable (Core Specification 3F 3.3.3).
            self._ble.gap_disconnect(self.connection)

    def _written(self, handle):
        if handle == self._control:
            value = self._ble.gatts_read(handle)
            if value:
                self._session.on_control(value)
        elif handle == self._down:
            value = self._ble.gatts_read(handle)
            if value:
                self._session.on_down(value)
                self._stale = True

    # Sending

    def _pump(self):
        """Send what there is to send; returns how many ms to leave to the others, 0 to go on at their next turn."""
        session = self._session
        try:
            if not self._indicating:
                segment = session.next_control(self._limit)
                if segment is not None:
                    self._ble.gatts_indicate(self.connection, self._control, segment)
                    self._indicating = True
            for _ in range(_BURST):
                segment = session.next_up(self._limit)
                if segment is None:
                    break
                self._ble.gatts_notify(self.connection, self._up, segment)
                session.up_sent()
            else:
                return 0
        except OSError as error:
            if error.errno == _ENOMEM:
                return _RETRY_MS
            if error.errno != _ENOTCONN:
                raise
            return _LOOK_MS  # the disconnect event is on its way
        if session.drop:
            self._ble.gap_disconnect(self.connection)
        if not self._indicating and session.next_control(self._limit) is not None:
            return 0
        return _LOOK_MS

    def _refresh(self):
        if not self._stale:
            return
        self._stale = False
        app = self._app
        ble = self._ble
        admitted = self.connection is not None and self._session.admission.admitted
        try:
            # Nothing is sent to a central that has not asked; a subscriber is told only once it is admitted.
            ble.gatts_write(self._status, self._session.status(), admitted)
            ble.gatts_write(self._battery, bytes((app.battery(),)), admitted)
            if self.connection is None:
                self._advertise()  # no memory for it: a central has just connected, and its event is on its way
        except OSError as error:
            if error.errno not in (_ENOMEM, _ENOTCONN):
                raise
            self._stale = True

    def _advertise(self):
        app = self._app
        data = advert.response(
            app.identity.reader_id, app.journal.next, app.journal.released, app.flags(), app.identity.name
        )
        if data != self._advertised:
            self._ble.gap_advertise(self._interval_us, advert.payload(), resp_data=data)
            self._advertised = data
