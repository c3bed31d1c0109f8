"""The bleak backend over the virtual air: `BleakClient(..., backend=AirClient)`, `BleakScanner(backend=AirScanner)`.

The radio is named by DOORSTEP_RADIO, or bound into the classes by `backends(address)`. As on the platforms that bleak
supports, the ATT MTU is exchanged on connection by the operating system (here: this module).
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from bleak.args import SizedBuffer
from bleak.assigned_numbers import gatt_char_props_to_strs
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakDeviceNotFoundError, BleakError
from bumble import att, core, hci
from bumble.core import AdvertisingData
from bumble.device import Advertisement, Connection, Peer
from bumble.gatt import Characteristic

from .radio import Radio

T = TypeVar("T")

_HUB_MTU = 517


def backends(spec: str) -> "tuple[type[AirScanner], type[AirClient]]":
    """The scanner and client classes bound to the radio at `spec`."""
    scanner = type("AirScanner", (AirScanner,), {"radio_spec": spec})
    client = type("AirClient", (AirClient,), {"radio_spec": spec})
    return scanner, client


class AirScanner(BaseBleakScanner):
    """Hears the advertisements on the virtual air."""

    radio_spec: str | None = None

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None = None,
        service_uuids: list[str] | None = None,
        scanning_mode: str = "active",
        **kwargs: Any,
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._radio: Radio | None = None

    async def start(self) -> None:
        """Start scanning."""
        self.seen_devices = {}
        self._radio = Radio.of(self.radio_spec)
        await self._radio.listen(self)

    async def stop(self) -> None:
        """Stop scanning."""
        if self._radio is not None:
            radio, self._radio = self._radio, None
            await radio.unlisten(self)

    def radio_lost(self) -> None:
        """The adapter has gone; nothing more will be heard."""
        self._radio = None

    def heard(self, advertisement: Advertisement) -> None:
        """One advertisement, with its scan response merged as the operating systems do."""
        data = _advertisement_data(advertisement)
        if not self.is_allowed_uuid(data.service_uuids):
            return
        address = advertisement.address.to_string(False)
        device = self.create_or_update_device(address, address, data.local_name, advertisement.address, data)
        self.call_detection_callbacks(device, data)


def _advertisement_data(advertisement: Advertisement) -> AdvertisementData:
    name: str | None = None
    manufacturer: dict[int, bytes] = {}
    services: dict[str, bytes] = {}
    uuids: list[str] = []
    power: int | None = None
    widths = {
        AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS: 2,
        AdvertisingData.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS: 2,
        AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS: 16,
        AdvertisingData.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS: 16,
    }
    for kind, value in advertisement.data.ad_structures:
        if kind in widths:
            width = widths[kind]
            uuids += [_uuid(value[i : i + width]) for i in range(0, len(value) - width + 1, width)]
        elif kind in (AdvertisingData.COMPLETE_LOCAL_NAME, AdvertisingData.SHORTENED_LOCAL_NAME):
            name = bytes(value).decode(errors="replace")
        elif kind == AdvertisingData.MANUFACTURER_SPECIFIC_DATA and len(value) >= 2:
            manufacturer[int.from_bytes(value[:2], "little")] = bytes(value[2:])
        elif kind == AdvertisingData.SERVICE_DATA_16_BIT_UUID and len(value) >= 2:
            services[_uuid(value[:2])] = bytes(value[2:])
        elif kind == AdvertisingData.SERVICE_DATA_128_BIT_UUID and len(value) >= 16:
            services[_uuid(value[:16])] = bytes(value[16:])
        elif kind == AdvertisingData.TX_POWER_LEVEL and len(value) == 1:
            power = int.from_bytes(value, "little", signed=True)
    uuids = list(dict.fromkeys(uuids))  # the same list may come in the advertisement and in the response
    return AdvertisementData(name, manufacturer, services, uuids, power, advertisement.rssi, (advertisement,))


def _uuid(value: bytes) -> str:
    if len(value) == 2:
        return f"0000{int.from_bytes(value, 'little'):04x}-0000-1000-8000-00805f9b34fb"
    return str(uuid.UUID(bytes=bytes(value)[::-1]))


class AirClient(BaseBleakClient):
    """A connection of the hub to a reader over the virtual air."""

    radio_spec: str | None = None

    def __init__(self, address_or_ble_device: BLEDevice | str, services: set[str] | None = None, **kwargs: Any) -> None:
        super().__init__(address_or_ble_device, **kwargs)
        self._wanted = services
        self._connection: Connection | None = None
        self._peer: Peer | None = None
        self._name: str | None = getattr(address_or_ble_device, "name", None)
        self._callbacks: dict[int, Callable[[bytes], None]] = {}
        self._gone: asyncio.Future[None] | None = None
        self._unsolicited = True

    @property
    def name(self) -> str:
        """The name heard when it was scanned, or its address."""
        return self._name or self.address

    @property
    def mtu_size(self) -> int:
        """The ATT MTU agreed."""
        return 23 if self._connection is None else self._connection.att_mtu

    @property
    def is_connected(self) -> bool:
        """Whether the link is up."""
        return self._connection is not None

    async def connect(self, pair: bool, **kwargs: Any) -> None:
        """Connect, exchange the MTU and discover the services."""
        if self._connection is not None:
            raise BleakError("already connected")
        try:
            _, connection, peer = await Radio.of(self.radio_spec).connect(self.address, self._timeout)
        except TimeoutError:
            raise BleakDeviceNotFoundError(self.address, f"The reader at {self.address} was not heard.") from None
        self._connection = connection
        self._peer = peer
        self._gone = asyncio.get_running_loop().create_future()
        self._unsolicited = True
        connection.on(connection.EVENT_DISCONNECTION, self._disconnection_of(connection))
        try:
            await self._ask(lambda: peer.request_mtu(_HUB_MTU))
            await self._ask(lambda: self._discover(peer))
        except BaseException:
            self._unsolicited = False
            await self.disconnect()
            raise

    async def disconnect(self) -> None:
        """Disconnect; returns when the link is down."""
        connection = self._connection
        if connection is None:
            return
        self._unsolicited = False
        try:
            async with asyncio.timeout(10):
                await connection.disconnect()
        except (core.BaseBumbleError, TimeoutError) as error:
            if self._connection is not None:
                raise BleakError(f"The link to {self.address} would not close: {error}") from error

    def _disconnection_of(self, connection: Connection) -> Callable[[int], None]:
        return lambda _reason: self._on_disconnection(connection)

    def _on_disconnection(self, connection: Connection) -> None:
        if self._connection is not connection:
            return
        self._connection = None
        self._peer = None
        self.services = None
        self._callbacks.clear()
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)
        if self._disconnected_callback is not None:
            self._disconnected_callback()

    async def pair(self, *args: Any, **kwargs: Any) -> None:
        """Not offered: the design does not build on bonding."""
        raise NotImplementedError("the emulated radio does not pair")

    async def unpair(self) -> None:
        """Not offered: the design does not build on bonding."""
        raise NotImplementedError("the emulated radio does not pair")

    async def _ask(self, request: Callable[[], Awaitable[T]]) -> T:
        """Run a request unless the link goes first; every failure becomes a BleakError."""
        if self._connection is None or self._gone is None:
            raise BleakError("Not connected")
        task = asyncio.ensure_future(request())
        try:
            await asyncio.wait((task, self._gone), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not task.done() or task.cancelled():
            task.cancel()
            raise BleakError(f"The link to {self.address} was lost.")
        try:
            return task.result()
        except att.ATT_Error as error:
            raise BleakError(f"The reader refused: {error}") from error
        except (core.BaseBumbleError, hci.HCI_Error) as error:
            raise BleakError(f"The reader at {self.address} did not answer: {error}") from error

    async def _discover(self, peer: Peer) -> None:
        await peer.discover_all()
        services = BleakGATTServiceCollection()
        for service in peer.services:
            if self._wanted is not None and _uuid_of(service.uuid) not in self._wanted:
                continue
            found = BleakGATTService(service, service.handle, _uuid_of(service.uuid))
            services.add_service(found)
            for item in service.characteristics:
                characteristic = BleakGATTCharacteristic(
                    item,
                    item.handle,
                    _uuid_of(item.uuid),
                    list(gatt_char_props_to_strs(int(item.properties))),
                    lambda: self.mtu_size - 3,
                    found,
                )
                services.add_characteristic(characteristic)
                for descriptor in item.descriptors:
                    services.add_descriptor(
                        BleakGATTDescriptor(descriptor, descriptor.handle, _uuid_of(descriptor.type), characteristic)
                    )
        self.services = services

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False, **kwargs: Any
    ) -> bytearray:
        """Read a value, with as many requests as its length takes."""
        return bytearray(await self._ask(lambda: self._client().read_value(characteristic.handle)))

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **kwargs: Any
    ) -> bytearray:
        """Read a descriptor."""
        return bytearray(await self._ask(lambda: self._client().read_value(descriptor.handle)))

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool) -> None:
        """Write a value; without response, at most the MTU less three bytes."""
        value = bytes(data)
        if not response and len(value) > self.mtu_size - 3:
            raise BleakError(f"{len(value)} bytes do not fit a write without response of {self.mtu_size - 3}.")
        await self._ask(lambda: self._client().write_value(characteristic.handle, value, with_response=response))

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        """Write a descriptor."""
        value = bytes(data)
        await self._ask(lambda: self._client().write_value(descriptor.handle, value, with_response=True))

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **kwargs: Any
    ) -> None:
        """Subscribe; notifications rather than indications where there is a choice."""
        if characteristic.handle in self._callbacks:
            raise BleakError(f"Characteristic {characteristic.uuid} is already notifying.")

        def changed(value: bytes) -> None:
            callback(bytearray(value))

        self._callbacks[characteristic.handle] = changed
        prefer_notify = bool(characteristic.obj.properties & Characteristic.Properties.NOTIFY)
        try:
            await self._ask(lambda: self._client().subscribe(characteristic.obj, changed, prefer_notify))
        except BaseException:
            self._callbacks.pop(characteristic.handle, None)
            raise

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """Unsubscribe."""
        changed = self._callbacks.pop(characteristic.handle, None)
        if changed is None:
            raise BleakError(f"Characteristic {characteristic.uuid} is not notifying.")
        await self._ask(lambda: self._client().unsubscribe(characteristic.obj, changed))

    def _client(self) -> Any:
        if self._peer is None:
            raise BleakError("Not connected")
        return self._peer.gatt_client


def _uuid_of(value: core.UUID) -> str:
    return _uuid(value.to_bytes())
