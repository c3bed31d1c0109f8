"""A hub's adapter on the virtual air: a Bumble device over the bench's HCI socket, one an event loop and address."""

import asyncio
import os
import secrets
import weakref
from typing import Any

from bleak.exc import BleakError
from bumble import core, hci
from bumble.device import Connection, Device, DeviceConfiguration, Peer
from bumble.transport import open_transport
from bumble.transport.common import Transport

RADIO_VARIABLE = "DOORSTEP_RADIO"

_radios: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Radio]]" = weakref.WeakKeyDictionary()


def radio_address(spec: str | None) -> str:
    """The Bumble transport to use: `spec`, or DOORSTEP_RADIO, for example tcp-client:127.0.0.1:45123."""
    spec = spec or os.environ.get(RADIO_VARIABLE)
    if not spec:
        raise BleakError(f"No emulated radio is named: set {RADIO_VARIABLE} to the address that the emulator printed.")
    return spec


class Radio:
    """The adapter: scanning shared by any number of scanners, connects one at a time as on a real controller."""

    def __init__(self, spec: str) -> None:
        self._spec = spec
        self._transport: Transport | None = None
        self._device: Device | None = None
        self._opening = asyncio.Lock()
        self._connecting = asyncio.Lock()
        self._listeners: set[Any] = set()

    @classmethod
    def of(cls, spec: str | None) -> "Radio":
        """The radio of this event loop at that address."""
        address = radio_address(spec)
        radios = _radios.setdefault(asyncio.get_running_loop(), {})
        return radios.setdefault(address, cls(address))

    async def device(self) -> Device:
        """The powered device; opens the adapter if it is not open. Raises BleakError when it cannot be reached."""
        async with self._opening:
            if self._device is not None:
                return self._device
            try:
                transport = await open_transport(self._spec)
            except OSError as error:
                raise BleakError(f"The emulated radio at {self._spec} cannot be reached: {error}") from error
            address = bytearray(secrets.token_bytes(6))
            address[5] |= (
                0xC0  # a static random address (Core 5.4 Vol 6 Part B 1.3.2.1); Bumble's bytes are little-endian
            )
            config = DeviceConfiguration(
                name="hub",
                address=hci.Address(bytes(address), hci.Address.RANDOM_DEVICE_ADDRESS),
                gap_service_enabled=False,
                gatt_service_enabled=False,
            )
            device = Device.from_config_with_hci(config, transport.source, transport.sink)
            device.on(device.EVENT_ADVERTISEMENT, self._on_advertisement)
            transport.source.terminated.add_done_callback(lambda _: self._lost(device))
            try:
                async with asyncio.timeout(10):
                    await device.power_on()
            except (core.BaseBumbleError, TimeoutError) as error:
                await transport.close()
                raise BleakError(f"The emulated radio at {self._spec} does not answer: {error}") from error
            self._transport = transport
            self._device = device
            return device

    def _lost(self, device: Device) -> None:
        # The bench has gone: every link is down, and the next use opens the adapter afresh.
        if self._device is not device:
            return
        self._device = None
        self._transport = None
        for connection in list(device.connections.values()):
            connection.emit(connection.EVENT_DISCONNECTION, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)
        for listener in list(self._listeners):
            listener.radio_lost()

    async def close(self) -> None:
        """Unplug the adapter: its links drop as at a supervision time-out."""
        transport = self._transport
        if self._device is not None:
            self._lost(self._device)
        if transport is not None:
            await transport.close()

    async def listen(self, listener: Any) -> None:
        """Send every advertisement to `listener.heard`; scanning starts with the first listener."""
        device = await self.device()
        self._listeners.add(listener)
        if not device.is_scanning:
            await device.start_scanning(filter_duplicates=False)

    async def unlisten(self, listener: Any) -> None:
        """Stop sending to `listener`; scanning stops with the last."""
        self._listeners.discard(listener)
        if not self._listeners and self._device is not None and self._device.is_scanning:
            await self._device.stop_scanning()

    def _on_advertisement(self, advertisement: Any) -> None:
        for listener in list(self._listeners):
            listener.heard(advertisement)

    async def connect(self, address: str, timeout_s: float) -> tuple[Device, Connection, Peer]:
        """Connect; one attempt at a time, because a second is COMMAND DISALLOWED. Raises TimeoutError or BleakError."""
        async with asyncio.timeout(timeout_s):
            async with self._connecting:
                device = await self.device()
                try:
                    connection = await device.connect(
                        hci.Address(address), own_address_type=hci.OwnAddressType.RANDOM, timeout=None
                    )
                except core.BaseBumbleError as error:
                    raise BleakError(f"The reader at {address} did not accept the connection: {error}") from error
                except asyncio.CancelledError:
                    await self._give_up(device, address)
                    raise
        return device, connection, Peer(connection)

    @staticmethod
    async def _give_up(device: Device, address: str) -> None:
        """End an attempt to connect that nobody waits for any more, or no other could begin."""
        commands: Any = hci
        answer: Any = await device.send_sync_command_raw(commands.HCI_LE_Create_Connection_Cancel_Command())
        if answer.return_parameters.status == hci.HCI_ErrorCode.SUCCESS:
            return
        connection = device.find_connection_by_bd_addr(hci.Address(address))
        if connection is not None:  # it was made in the same moment
            await connection.disconnect()
