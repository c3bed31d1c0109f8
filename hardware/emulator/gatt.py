"""NimBLE's side of the `bluetooth` module: the GATT database, buffers, advertising and events of one reader.

What a central does is taken one step at a time: the database changes, the firmware's interrupt handler runs, and only
then comes the next step, as in the ESP32 port, whose host task waits while the handler runs.
"""

import ast
import asyncio
import errno
import logging
import struct
from collections.abc import Callable
from typing import Any

from bumble import att, core, gatt, hci
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.gatt import Characteristic, Service
from bumble.host import Host

from .antenna import Antenna
from .calls import Answer, Event, Operation
from .database import Database, Value

log = logging.getLogger(__name__)

_CENTRAL_CONNECT = 1
_CENTRAL_DISCONNECT = 2
_GATTS_INDICATE_DONE = 20
_MTU_EXCHANGED = 21
_CONNECTION_UPDATE = 27

# What an interrupt handler is given, by event, as `struct` writes it (modbluetooth.c, invoke_irq_handler).
_FORMS = {1: "<HB6s", 2: "<HB6s", 3: "<HH", 4: "<HH", 20: "<HHB", 21: "<HH", 27: "<HHHHB"}
_ADVERTISEMENT_BYTES = 31

_ATT_TIMEOUT_S = 30.0
_NIMBLE_TIMEOUT = 13  # BLE_HS_ETIMEOUT
_NIMBLE_NOTCONN = 7  # BLE_HS_ENOTCONN


class Peripheral:
    """The radio of one powered reader.

    `push(kind, payload)` sends an event into the firmware; `linked()` is called when a central has come or gone, before
    the firmware is told; `connections` bounds the centrals at a time, as
    CONFIG_BT_NIMBLE_MAX_CONNECTIONS does.
    """

    def __init__(
        self,
        antenna: Antenna,
        address: str,
        push: Callable[[Event, bytes], None],
        linked: Callable[[], None],
        *,
        connections: int = 1,
    ) -> None:
        self._antenna = antenna
        self._address = hci.Address(address)
        self._push = push
        self._linked = linked
        self._max_connections = connections
        self._device: Device | None = None
        self._settings: dict[str, Any] = {"gap_name": b"MPY ESP32", "mtu": 256, "rxbuf": 256, "addr_mode": 0, "bond": 0}
        self._database: Database | None = None
        self._connections: dict[int, Connection] = {}
        self._advertising = False
        self._advertisement = (b"", b"")
        self._steps: asyncio.Queue[tuple[Callable[[], bytes | None], asyncio.Future[int]]] = asyncio.Queue()
        self._handled: asyncio.Future[int] | None = None
        self._worker: asyncio.Task[None] | None = None
        self._indications: set[asyncio.Task[None]] = set()
        self._near = True
        self._operations: dict[Operation, Callable[[bytes], Answer]] = {
            Operation.ACTIVE: self._active,
            Operation.REGISTER: self._register,
            Operation.READ: self._read,
            Operation.WRITE: self._write,
            Operation.NOTIFY: self._notify,
            Operation.INDICATE: self._indicate,
            Operation.SET_BUFFER: self._set_buffer,
            Operation.ADVERTISE: self._advertise,
            Operation.DISCONNECT: self._disconnect,
            Operation.CONFIG: self._config,
        }

    @property
    def connected(self) -> bool:
        """Whether a central is connected."""
        return bool(self._connections)

    @property
    def advertising(self) -> bool:
        """Whether it advertises."""
        return self._advertising

    def set_near(self, near: bool) -> None:
        """Move it into or out of range."""
        self._near = near
        if self._device is not None:
            self._antenna.set_range(near)

    def handle(self, operation: Operation, payload: bytes) -> Answer:
        """Answer one call of the firmware; raises OSError with the errno that NimBLE's port gives."""
        if operation is Operation.IRQ_DONE:
            self._irq_done(payload)
            return None
        if operation is not Operation.ACTIVE and operation is not Operation.CONFIG and self._device is None:
            raise OSError(errno.ENODEV, "the radio is not active")
        return self._operations[operation](payload)

    def power_off(self) -> None:
        """Vanish from the air, as at a power cut: no farewell is sent."""
        if self._worker is not None:
            self._worker.cancel()
            self._worker = None
        while not self._steps.empty():
            _, done = self._steps.get_nowait()
            if not done.done():
                done.set_result(0)  # what waits for it ends; its answer has no air to go through
        if self._handled is not None and not self._handled.done():
            self._handled.cancel()
        for task in self._indications:
            task.cancel()
        self._antenna.vanish()
        self._device = None
        self._connections.clear()
        self._advertising = False

    # Switching on

    async def _active(self, payload: bytes) -> None:
        if not payload[0]:
            if self._device is not None:
                for connection in list(self._connections.values()):
                    await connection.disconnect()
                self.power_off()
            return
        if self._device is not None:
            return
        host = Host()
        await self._antenna.plug(host)
        config = DeviceConfiguration(
            name=self._settings["gap_name"].decode(errors="replace"),
            address=self._address,
            gap_service_enabled=False,
            gatt_service_enabled=False,
        )
        device = Device(config=config, host=host)
        device.gatt_server.max_mtu = self._settings["mtu"]
        device.on(device.EVENT_CONNECTION, self._on_connection)
        await device.power_on()
        self._device = device
        self._antenna.set_range(self._near)
        self._worker = asyncio.create_task(self._run_steps())
        self._add_gap_service(device)

    def _add_gap_service(self, device: Device) -> None:
        name = Characteristic[bytes](
            gatt.GATT_DEVICE_NAME_CHARACTERISTIC,
            Characteristic.Properties.READ,
            Characteristic.READABLE,
            att.AttributeValue(read=lambda _: self._settings["gap_name"]),
        )
        device.add_service(Service(gatt.GATT_GENERIC_ACCESS_SERVICE, [name]))
        device.add_service(Service(gatt.GATT_GENERIC_ATTRIBUTE_SERVICE, []))
        self._database = Database(device, self._step)

    def _config(self, payload: bytes) -> bytes | None:
        """A setting's name asks for it, a name and a value set it; the answer is what `eval` takes."""
        name, *setting = ast.literal_eval(payload.decode())
        if name == "mac":
            if self._device is None:
                raise OSError(errno.ENODEV, "the radio is not active")
            return repr((1, bytes(self._address)[::-1])).encode()
        if name not in self._settings:
            raise OSError(errno.EINVAL, "unknown config param")
        if not setting:
            return repr(self._settings[name]).encode()
        value: Any = setting[0]
        if name == "mtu" and not 23 <= value <= 527:
            raise OSError(errno.EINVAL, "mtu")
        self._settings[name] = value.encode() if isinstance(value, str) else value
        if name == "mtu" and self._device is not None:
            self._device.gatt_server.max_mtu = self._settings["mtu"]
        return None

    # The database

    def _register(self, payload: bytes) -> bytes:
        if self._advertising:
            raise OSError(errno.EBUSY, "advertising must be stopped before services are registered")
        return self._held().register(payload)

    def _held(self) -> Database:
        assert self._database is not None
        return self._database

    def _read(self, payload: bytes) -> bytes:
        value = self._held().value(struct.unpack("<H", payload)[0])
        data = value.data
        if value.append:
            value.data = b""
        return data

    def _write(self, payload: bytes) -> None:
        handle, update = struct.unpack_from("<HB", payload)
        value = self._held().value(handle)
        value.data = payload[3:]
        value.limit = max(value.limit, len(value.data))
        if update:
            for connection in self._connections.values():
                subscription = self._subscription(connection, value)
                if subscription & 1:
                    self._send_notification(connection, handle, value.data)
                elif subscription & 2:
                    self._start_indication(connection, handle, value.data)

    def _subscription(self, connection: Connection, value: Value) -> int:
        assert self._device is not None
        bits = self._device.gatt_server.read_cccd(connection, value.attribute)  # type: ignore[arg-type]
        return bits[0]

    def _set_buffer(self, payload: bytes) -> None:
        handle, size, append = struct.unpack("<HHB", payload)
        value = self._held().value(handle)
        value.limit = size
        value.append = bool(append)
        value.data = b""

    # Sending

    def _connection(self, handle: int) -> Connection:
        connection = self._connections.get(handle)
        if connection is None:
            raise OSError(errno.ENOTCONN, "no such connection")
        return connection

    def _notify(self, payload: bytes) -> None:
        connection, handle, given = struct.unpack_from("<HHB", payload)
        data = payload[5:] if given else self._held().value(handle).data
        self._send_notification(self._connection(connection), handle, data)

    def _send_notification(self, connection: Connection, handle: int, data: bytes) -> None:
        self._claim_buffer()
        self._send(connection, b"\x1b" + struct.pack("<H", handle) + data[: connection.att_mtu - 3])

    def _indicate(self, payload: bytes) -> None:
        connection, handle, given = struct.unpack_from("<HHB", payload)
        data = payload[5:] if given else self._held().value(handle).data
        self._start_indication(self._connection(connection), handle, data)

    def _start_indication(self, connection: Connection, handle: int, data: bytes) -> None:
        self._claim_buffer()
        task = asyncio.create_task(self._run_indication(connection, handle, data))
        self._indications.add(task)
        task.add_done_callback(self._indications.discard)

    async def _run_indication(self, connection: Connection, handle: int, data: bytes) -> None:
        # One indication at a time on a connection (Core 5.4 Vol 3 Part F 3.3.2); the next waits for the confirmation.
        assert self._device is not None
        server = self._device.gatt_server
        pending = _confirmations(self._device)
        async with server.indication_semaphores[connection]:
            confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            pending[connection] = confirmed
            lost = connection.handle not in self._connections
            status = _NIMBLE_NOTCONN if lost else 0
            try:
                if not lost:
                    self._send(connection, b"\x1d" + struct.pack("<H", handle) + data[: connection.att_mtu - 3])
                    await asyncio.wait_for(confirmed, _ATT_TIMEOUT_S)
            except TimeoutError:
                status = _NIMBLE_TIMEOUT
            except asyncio.CancelledError:
                if not confirmed.cancelled():
                    raise
                status = _NIMBLE_NOTCONN  # the link went away under it
            finally:
                pending[connection] = None
        done = struct.pack("<BHHB", _GATTS_INDICATE_DONE, connection.handle, handle, status)
        await self._step(lambda: done)

    def _claim_buffer(self) -> None:
        if self._device is not None and not self._antenna.has_room(self._device.host):
            raise OSError(errno.ENOMEM, "no transmit buffer is free")

    def _send(self, connection: Connection, pdu: bytes) -> None:
        assert self._device is not None
        self._device.send_l2cap_pdu(connection.handle, att.ATT_CID, pdu)

    # Advertising and connections

    async def _advertise(self, payload: bytes) -> None:
        assert self._device is not None
        interval_us, advertisement, response = ast.literal_eval(payload.decode())
        if max(len(advertisement or b""), len(response or b"")) > _ADVERTISEMENT_BYTES:
            raise OSError(errno.EINVAL, "an advertisement is too long")
        if self._advertising:
            self._advertising = False
            await self._device.stop_advertising()
        if not interval_us:
            return
        if len(self._connections) >= self._max_connections:
            raise OSError(errno.ENOMEM, "every connection is taken")
        if advertisement is None:  # as before
            advertisement = self._advertisement[0]
        if response is None:
            response = self._advertisement[1]
        self._advertisement = (advertisement, response)
        interval_ms = max(20.0, interval_us / 1000)
        self._advertising = True
        await self._device.start_advertising(
            advertising_data=advertisement,
            scan_response_data=response,
            advertising_interval_min=interval_ms,
            advertising_interval_max=interval_ms,
        )

    def _on_connection(self, connection: Connection) -> None:
        self._advertising = False
        self._connections[connection.handle] = connection
        self._linked()
        connection.on(connection.EVENT_DISCONNECTION, self._gone(connection))
        connection.on(connection.EVENT_CONNECTION_ATT_MTU_UPDATE, lambda: self._on_mtu(connection))
        connection.on(connection.EVENT_CONNECTION_PARAMETERS_UPDATE, lambda: self._on_parameters(connection))
        self._later(_event_of_central(_CENTRAL_CONNECT, connection))

    def _on_parameters(self, connection: Connection) -> None:
        now = connection.parameters
        interval, timeout = round(now.connection_interval / 1.25), round(now.supervision_timeout / 10)
        values = (connection.handle, interval, now.peripheral_latency, timeout, 0)
        self._later(struct.pack("<BHHHHB", _CONNECTION_UPDATE, *values))

    def _gone(self, connection: Connection) -> Callable[[int], None]:
        return lambda _reason: self._on_disconnection(connection)

    def _on_disconnection(self, connection: Connection) -> None:
        self._connections.pop(connection.handle, None)
        self._linked()
        if self._device is not None:
            confirmation = _confirmations(self._device)[connection]
            if confirmation is not None and not confirmation.done():
                confirmation.cancel()
        self._later(_event_of_central(_CENTRAL_DISCONNECT, connection))

    def _on_mtu(self, connection: Connection) -> None:
        self._later(struct.pack("<BHH", _MTU_EXCHANGED, connection.handle, connection.att_mtu))

    async def _disconnect(self, payload: bytes) -> bytes:
        connection = self._connections.get(struct.unpack("<H", payload)[0])
        if connection is None:
            return b"\0"
        if self._handled is None or self._handled.done():
            # The answer to the write whose handler led to this goes first: NimBLE's host task sends it before it takes
            # up another call. From within the handler itself there is no such waiting.
            await self._step(lambda: None)
        try:
            await connection.disconnect()
        except (core.BaseBumbleError, hci.HCI_Error) as error:
            log.info("the link was gone before it was closed: %s", error)
        return b"\1"

    # Events, one at a time

    def _later(self, event: bytes) -> None:
        self._steps.put_nowait((lambda: event, asyncio.get_running_loop().create_future()))

    async def _step(self, apply: Callable[[], bytes | None]) -> int:
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._steps.put_nowait((apply, done))
        return await done

    async def _run_steps(self) -> None:
        while True:
            apply, done = await self._steps.get()
            event = apply()
            result = 0
            if event is not None:
                self._handled = asyncio.get_running_loop().create_future()
                form = _FORMS[event[0]].encode()
                self._push(Event.BLE, bytes((event[0], len(form))) + form + event[1:])
                result = await self._handled
                self._handled = None
            if not done.done():
                done.set_result(result)

    def _irq_done(self, payload: bytes) -> None:
        if self._handled is not None and not self._handled.done():
            self._handled.set_result(struct.unpack("<H", payload)[0])


def _confirmations(device: Device) -> dict[Any, asyncio.Future[None] | None]:
    return device.gatt_server.pending_confirmations  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def _event_of_central(event: int, connection: Connection) -> bytes:
    address = bytes(connection.peer_address)[::-1]
    return struct.pack("<BHB6s", event, connection.handle, connection.peer_address.address_type & 1, address)
