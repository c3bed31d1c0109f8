"""The hub's end of the modelled air, as bleak backends. It runs in the hub's process and knows nothing of the hub.

What is connected is subscribed and discovered at once, and a write is answered when it is sent: the link is as fast as
memory, so that what is measured is the hub.
"""

import asyncio
import contextlib
import struct
import time
from typing import Any

from bleak.args import SizedBuffer
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError

from reader import wire

from . import frames

_MTU = 247
_CHARACTERISTICS = ((3, wire.CONTROL_UUID, "indicate"), (5, wire.UP_UUID, "notify"), (7, wire.DOWN_UUID, "write"))
_real_time_ns, _real_time = time.time_ns, time.time


def backends(address: str) -> "tuple[type[Scanner], type[Client]]":
    """The scanner and client classes for the air at TCP port `address` of this machine."""
    port = {"port": int(address)}
    return type("Scanner", (Scanner,), port), type("Client", (Client,), port)


async def _open(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        return await asyncio.open_connection("127.0.0.1", port)
    except OSError as error:
        raise BleakError(f"The modelled adapter is gone: {error}") from error


class Scanner(BaseBleakScanner):
    """Hears the modelled readers."""

    port = 0

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None = None,
        service_uuids: list[str] | None = None,
        scanning_mode: str = "active",
        **kwargs: Any,
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start scanning."""
        self.seen_devices = {}
        reader, self._writer = await _open(self.port)
        self._writer.write(frames.packed(frames.SCAN))
        self._task = asyncio.create_task(self._hear(reader))

    async def stop(self) -> None:
        """Stop scanning."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        # An adapter that goes silent is how most of them go: the hub has to notice by itself.
        with contextlib.suppress(EOFError, OSError):
            while True:
                kind, payload = await frames.read(reader)
                if kind == frames.CLOCK:
                    _move_clock(struct.unpack(">q", payload)[0])
                elif kind == frames.ADVERT:
                    self._heard(payload)

    def _heard(self, payload: bytes) -> None:
        size = struct.calcsize(wire.ADVERT_FORMAT)
        name = payload[size:].decode()
        data = AdvertisementData(
            name, {wire.ADVERT_COMPANY: payload[:size]}, {}, [wire.SERVICE_UUID], None, -50, (payload,)
        )
        reader_id = struct.unpack(wire.ADVERT_FORMAT, payload[:size])[1].hex()
        self.call_detection_callbacks(self.create_or_update_device(reader_id, reader_id, name, None, data), data)


def _move_clock(by_ms: int) -> None:
    """This process's wall clock was set: what asks for the time hears another one, what counts seconds does not."""
    time.time_ns = lambda: _real_time_ns() + by_ms * 1_000_000
    time.time = lambda: _real_time() + by_ms / 1000


class Client(BaseBleakClient):
    """A connection to a modelled reader."""

    port = 0

    def __init__(self, address_or_ble_device: BLEDevice | str, services: set[str] | None = None, **kwargs: Any) -> None:
        super().__init__(address_or_ble_device, **kwargs)
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._callbacks: dict[str, NotifyCallback] = {}
        self._leaving = False

    @property
    def name(self) -> str:
        """The reader's id."""
        return self.address

    @property
    def mtu_size(self) -> int:
        """The ATT MTU."""
        return _MTU

    @property
    def is_connected(self) -> bool:
        """Whether the link is up."""
        return self._writer is not None

    async def connect(self, pair: bool, **kwargs: Any) -> None:
        """Connect; BleakError when the reader is not in range."""
        self._leaving = False
        reader, writer = await _open(self.port)
        writer.write(frames.packed(frames.CONNECT, bytes.fromhex(self.address)))
        try:
            kind, _ = await frames.read(reader)
        except (EOFError, OSError) as error:
            writer.close()
            raise BleakError(f"{self.address} did not answer.") from error
        if kind != frames.CONNECTED:
            writer.close()
            raise BleakError(f"{self.address} is not in range.")
        self._writer = writer
        self.services = self._discovered()
        self._task = asyncio.create_task(self._receive(reader))

    def _discovered(self) -> BleakGATTServiceCollection:
        services = BleakGATTServiceCollection()
        service = BleakGATTService(None, 1, wire.SERVICE_UUID)
        services.add_service(service)
        for handle, uuid, kind in _CHARACTERISTICS:
            properties: list[Any] = ["write", kind]
            services.add_characteristic(
                BleakGATTCharacteristic(None, handle, uuid, properties, lambda: _MTU - 3, service)
            )
        return services

    async def _receive(self, reader: asyncio.StreamReader) -> None:
        uuids = {frames.INDICATED: wire.CONTROL_UUID, frames.NOTIFIED: wire.UP_UUID}
        try:
            while True:
                kind, payload = await frames.read(reader)
                callback = self._callbacks.get(uuids.get(kind, ""))
                if callback is not None:
                    callback(bytearray(payload))
        except (EOFError, OSError):
            self._gone()

    def _gone(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
            if self._disconnected_callback is not None and not self._leaving:
                self._disconnected_callback()

    async def disconnect(self) -> None:
        """Disconnect."""
        self._leaving = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._gone()

    async def pair(self, *args: Any, **kwargs: Any) -> None:
        """Not offered."""
        raise NotImplementedError("the modelled radio does not pair")

    async def unpair(self) -> None:
        """Not offered."""
        raise NotImplementedError("the modelled radio does not pair")

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False, **kwargs: Any
    ) -> bytearray:
        """Not offered: the hub reads nothing."""
        raise NotImplementedError("the modelled radio has nothing to read")

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **kwargs: Any
    ) -> bytearray:
        """Not offered."""
        raise NotImplementedError("the modelled radio has no descriptors")

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool) -> None:
        """Write a value."""
        kind = frames.DOWN if characteristic.uuid == wire.DOWN_UUID else frames.CONTROL
        if self._writer is None:
            raise BleakError("Not connected")
        try:
            self._writer.write(frames.packed(kind, bytes(data)))
            await self._writer.drain()
        except OSError as error:
            raise BleakError(f"The link to {self.address} was lost.") from error

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        """Not offered."""
        raise NotImplementedError("the modelled radio has no descriptors")

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **kwargs: Any
    ) -> None:
        """Subscribe."""
        if self._writer is None:
            raise BleakError("Not connected")
        self._callbacks[characteristic.uuid] = callback

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """Unsubscribe."""
        self._callbacks.pop(characteristic.uuid, None)
