"""The radio on systems that hide addresses: CoreBluetooth gives each laptop a UUID of its own for a device, may change
it, and keeps an old name. A reader is known by the id that it advertises, and by nothing else."""

import asyncio
import struct

import pytest
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakError

from hub import radio as radio_module
from hub.collector import LinkLost
from hub.radio import Radio, RadioFailed
from reader import wire

ONE, TWO = b"reader-1", b"reader-2"
UUID_A, UUID_B = "6FA459EA-EE8A-3CA4-894E-DB77E160355E", "16FD2706-8BAF-433B-82EB-8C7FADA847DA"


def heard(address, reader_id, local_name=None, cached_name="Old name"):
    """What bleak hands over on macOS: no address of the radio's, and the name that the system remembers."""
    device = BLEDevice(address, cached_name, ("peripheral", "delegate"))
    payload = struct.pack(wire.ADVERT_FORMAT, wire.VERSION, reader_id, 5, 2, 0)
    data = AdvertisementData(local_name, {wire.ADVERT_COMPANY: payload}, {}, [wire.SERVICE_UUID], None, -60, ())
    return device, data


def scanner(found):
    class Scanner(BaseBleakScanner):
        def __init__(self, callback, service_uuids, scanning_mode, **kwargs):
            super().__init__(callback, service_uuids)
            assert service_uuids == [wire.SERVICE_UUID], "without it macOS reports nothing in the background"

        async def start(self):
            for device, data in found:
                self.call_detection_callbacks(device, data)

        async def stop(self):
            pass

    return Scanner


async def scanned(radio, count):
    seen, enough = [], asyncio.Event()

    def take(advert, name, rssi):
        seen.append((advert.reader_id, name))
        if len(seen) >= count:
            enough.set()

    task = asyncio.create_task(radio.scan(take))
    async with asyncio.timeout(10):
        await enough.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return seen


@pytest.fixture
def connected_to(monkeypatch):
    """The addresses that a link was tried to."""
    tried = []

    async def refuse(client_class, device, name, **options):
        tried.append(device.address)
        raise BleakError("out of range")

    monkeypatch.setattr(radio_module, "establish_connection", refuse)
    return tried


async def test_two_readers_are_told_apart_by_their_ids_and_a_cached_name_names_nobody(connected_to):
    radio = Radio((scanner([heard(UUID_A, ONE, "One"), heard(UUID_B, TWO)]), None))
    assert await scanned(radio, 2) == [(ONE, "One"), (TWO, None)]
    for reader_id in (TWO, ONE):
        with pytest.raises(LinkLost):
            async with radio.connect(reader_id):
                pass
    assert connected_to == [UUID_B, UUID_A]


async def test_a_reader_under_another_address_is_the_same_reader(connected_to):
    radio = Radio((scanner([heard(UUID_A, ONE), heard(UUID_B, ONE)]), None))
    assert {reader_id for reader_id, _ in await scanned(radio, 2)} == {ONE}
    with pytest.raises(LinkLost):
        async with radio.connect(ONE):
            pass
    assert connected_to == [UUID_B], "the address heard last is the one that works"


async def test_an_address_that_goes_to_another_reader_leads_nobody_astray(connected_to):
    radio = Radio((scanner([heard(UUID_A, ONE), heard(UUID_B, ONE), heard(UUID_A, TWO)]), None))
    await scanned(radio, 3)
    for reader_id in (ONE, TWO):
        with pytest.raises(LinkLost):
            async with radio.connect(reader_id):
                pass
    assert connected_to == [UUID_B, UUID_A]


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (BleakBluetoothNotAvailableReason.NO_BLUETOOTH, "no-adapter"),
        (BleakBluetoothNotAvailableReason.POWERED_OFF, "adapter-off"),
        (BleakBluetoothNotAvailableReason.DENIED_BY_USER, "no-permission"),
    ],
)
async def test_what_macos_and_windows_say_of_the_radio_has_a_code(reason, code):
    class Refusing(scanner([])):
        async def start(self):
            raise BleakBluetoothNotAvailableError("Bluetooth is not available", reason)

    radio = Radio((Refusing, None))
    with pytest.raises(RadioFailed) as caught:
        await radio.probe()
    assert caught.value.code == code
    with pytest.raises(RadioFailed) as caught:
        await radio.scan(lambda *_: None)
    assert caught.value.code == code
    await Radio((scanner([]), None)).probe()
