"""The Bluetooth edge: scanning, and connecting one reader at a time, by plain bleak on the system's radio or an
emulated one.

bleak-retry-connector's `establish_connection` hands its keyword arguments on to `BleakClient` and asks BlueZ only
about devices
that have a D-Bus path, so it works with a custom `backend=` as it is.
"""

import asyncio
import contextlib
import inspect
import logging
from collections.abc import AsyncGenerator, Callable, Generator
from importlib.metadata import entry_points
from typing import Any, Self

from bleak import BleakClient, BleakScanner
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakError
from bleak_retry_connector import establish_connection

from hub.advert import Advert, read_advert
from hub.collector import Channel, LinkLost
from hub.errors import HubError, Malformed, UsageError
from reader import wire

_log = logging.getLogger(__name__)

SYSTEM = "system"
# Entry points: NAME -> callable(address) -> (scanner backend, client backend), or an awaitable of that.
RADIOS = "doorstep.radios"
CONNECT_S = 45.0
SUBSCRIBE_S = 15.0
CLOSE_S = 10.0
# No advertisement at all for this long: the scan is started anew. On BlueZ it dies with its adapter and nobody is
# told, so this is also how long an adapter may be off, or gone, before a person hears of it.
SILENCE_S = 30.0
ARRIVED_MAX = 2 * wire.CREDITS_MAX  # values that wait to be read, at most 2 MB
_SMALLEST_MTU = 23
_UNAVAILABLE = {
    BleakBluetoothNotAvailableReason.NO_BLUETOOTH: "no-adapter",
    BleakBluetoothNotAvailableReason.NO_BLE_CENTRAL_ROLE: "no-adapter",
    BleakBluetoothNotAvailableReason.POWERED_OFF: "adapter-off",
    BleakBluetoothNotAvailableReason.DENIED_BY_USER: "no-permission",
    BleakBluetoothNotAvailableReason.DENIED_BY_SYSTEM: "no-permission",
    BleakBluetoothNotAvailableReason.DENIED_BY_UNKNOWN: "no-permission",
}

_DBUS = {  # what BlueZ and the bus say when bleak passes it on as it is
    "org.freedesktop.DBus.Error.AccessDenied": "no-permission",
    "org.freedesktop.DBus.Error.ServiceUnknown": "no-adapter",
    "org.bluez.Error.NotReady": "adapter-off",
}

Backends = tuple[type[BaseBleakScanner] | None, type[BaseBleakClient] | None]
Heard = Callable[[Advert, str | None, int | None], None]


class RadioFailed(HubError):
    """The radio cannot be used now; `code` is a problem code."""

    code = "radio-failed"


class Radio:
    """Hears readers and connects to them. At most one connect runs at a time: two at once are refused by real
    controllers."""

    def __init__(self, backends: Backends = (None, None)) -> None:
        self._scanner_backend, self._client_backend = backends
        self._connecting = asyncio.Lock()
        self._devices: dict[bytes, BLEDevice] = {}
        self._heard_s = 0.0

    @classmethod
    async def open(cls, name: str) -> Self:
        """`name` is "system", or an emulated radio as NAME:ADDRESS. Raises UsageError, RadioFailed."""
        if name == SYSTEM:
            return cls()
        kind, _, address = name.partition(":")
        found = [entry for entry in entry_points(group=RADIOS) if entry.name == kind]
        if not found:
            raise UsageError(
                f"There is no radio called {kind!r}. "
                f"Set DOORSTEP_HUB_RADIO to {SYSTEM!r}, or install the package that brings the radio."
            )
        try:
            backends: Any = found[0].load()(address)
            if inspect.isawaitable(backends):
                backends = await backends
        except (OSError, ValueError, ImportError) as error:
            raise RadioFailed(f"The radio {name!r} cannot be opened: {error}") from error
        return cls(backends)

    async def scan(self, heard: Heard) -> None:
        """Scan until cancelled; `heard` gets each reader's advertisement, name and signal (dBm). Raises RadioFailed."""
        loop = asyncio.get_running_loop()

        def detected(device: BLEDevice, data: AdvertisementData) -> None:
            self._heard_s = loop.time()
            payload = data.manufacturer_data.get(wire.ADVERT_COMPANY)
            if payload is None:
                return  # the scan response has not come yet
            try:
                advert = read_advert(payload)
            except Malformed:
                return  # company 0xFFFF is for tests: anyone may use it
            self._devices[advert.reader_id] = device
            heard(advert, data.local_name, data.rssi)

        while True:
            self._heard_s = loop.time()
            with _named_failures():
                async with BleakScanner(detected, [wire.SERVICE_UUID], **self._backend(self._scanner_backend)):
                    # A time-out that every advertisement renews.
                    while (silent_s := loop.time() - self._heard_s) < SILENCE_S:  # noqa: ASYNC110
                        await asyncio.sleep(SILENCE_S - silent_s)

    async def probe(self) -> None:
        """Begin a scan and end it, to see whether the radio can be used. Raises RadioFailed."""
        with _named_failures():
            async with BleakScanner(None, [wire.SERVICE_UUID], **self._backend(self._scanner_backend)):
                pass

    @contextlib.asynccontextmanager
    async def connect(self, reader_id: bytes) -> AsyncGenerator["BleakLink"]:
        """A subscribed link to a reader that was heard; it is closed at the end of the block. Raises LinkLost."""
        device = self._devices.get(reader_id)
        if device is None:
            raise LinkLost("It has not been heard.")
        link = BleakLink()
        try:
            async with self._connecting, asyncio.timeout(CONNECT_S):
                client = await establish_connection(
                    BleakClient,
                    device,
                    reader_id.hex(),
                    disconnected_callback=lambda _client: link.lost(),
                    max_attempts=2,
                    **self._backend(self._client_backend),
                )
        except (BleakError, OSError, EOFError, TimeoutError) as error:
            raise LinkLost(f"{type(error).__name__}: {error}"[:160]) from error
        try:
            await link.subscribe(client)
            yield link
        finally:
            await _close(client)

    @staticmethod
    def _backend(backend: Any) -> dict[str, Any]:
        return {} if backend is None else {"backend": backend}


@contextlib.contextmanager
def _named_failures() -> Generator[None]:
    """Turn what keeps a scan from running into RadioFailed with a problem code."""
    try:
        yield
    except BleakBluetoothNotAvailableError as error:
        raise RadioFailed(str(error.args[0]), _UNAVAILABLE.get(error.reason, "radio-failed")) from error
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise RadioFailed("The system's Bluetooth service is not there.", "no-adapter") from error
    except (BleakError, OSError, EOFError) as error:
        code = _DBUS.get(getattr(error, "dbus_error", ""), "radio-failed")
        raise RadioFailed(str(error) or type(error).__name__, code) from error


class BleakLink:
    """A connected reader over bleak; a `hub.collector.Link`."""

    def __init__(self) -> None:
        self._client: BleakClient | None = None
        self._arrived: asyncio.Queue[tuple[Channel, bytes] | None] = asyncio.Queue()
        self._lost = False
        self.mtu = _SMALLEST_MTU

    async def subscribe(self, client: BleakClient) -> None:
        """Subscribe to `control`, then `up`, before anything is written. Raises LinkLost."""
        self._client = client
        try:
            async with asyncio.timeout(SUBSCRIBE_S):
                control = client.services.get_characteristic(wire.CONTROL_UUID)
                if control is None:
                    raise LinkLost("It does not offer the service of this protocol.")
                await client.start_notify(wire.CONTROL_UUID, self._into(Channel.CONTROL))
                await client.start_notify(wire.UP_UUID, self._into(Channel.UP))
        except (BleakError, OSError, EOFError, TimeoutError) as error:
            raise LinkLost(f"{type(error).__name__}: {error}"[:160]) from error
        # BleakClient.mtu_size is always 23 on BlueZ; a characteristic knows its MTU from BlueZ 5.62 on.
        self.mtu = max(_SMALLEST_MTU, control.max_write_without_response_size + 3)

    async def write_control(self, value: bytes) -> None:
        await self._write(wire.CONTROL_UUID, value)

    async def write_down(self, value: bytes) -> None:
        await self._write(wire.DOWN_UUID, value)

    async def receive(self) -> tuple[Channel, bytes]:
        if self._lost and self._arrived.empty():
            raise LinkLost("The link was lost.")
        arrived = await self._arrived.get()
        if arrived is None:
            raise LinkLost("The link was lost.")
        return arrived

    def lost(self) -> None:
        """The disconnect callback: wakes whoever waits in `receive`."""
        self._lost = True
        self._arrived.put_nowait(None)

    def _into(self, channel: Channel) -> Callable[[BleakGATTCharacteristic, bytearray], None]:
        def arrived(_characteristic: BleakGATTCharacteristic, value: bytearray) -> None:
            if self._arrived.qsize() < ARRIVED_MAX:
                self._arrived.put_nowait((channel, bytes(value)))
            else:
                self.lost()  # a reader that sends far beyond its credits would fill the memory

        return arrived

    async def _write(self, uuid: str, value: bytes) -> None:
        if self._client is None or self._lost:
            raise LinkLost("The link was lost.")
        try:
            await self._client.write_gatt_char(uuid, value, response=True)
        except (BleakError, OSError, EOFError) as error:
            raise LinkLost(f"{type(error).__name__}: {error}"[:160]) from error


async def _close(client: BleakClient) -> None:
    """Disconnect even while the visit is being cancelled; a radio that does not answer is left to its own
    supervision."""
    try:
        async with asyncio.timeout(CLOSE_S):
            await client.disconnect()
    except (BleakError, OSError, EOFError, TimeoutError) as error:
        _log.warning("disconnect failed", extra={"error": str(error)})
