"""An I2C bus: which address answers, through multiplexers where there are any; and the clock that the parts share."""

import errno
from typing import Protocol


class Clock:
    """The world's time around one reader in microseconds: its process's virtual time, running on while power is off."""

    def __init__(self) -> None:
        self.us = 0

    @property
    def seconds(self) -> float:
        """The same in seconds."""
        return self.us / 1e6


class Device(Protocol):
    """What sits at an I2C address."""

    def write(self, data: bytes) -> None:
        """Bytes written in one transaction, after the address."""
        ...

    def read(self, size: int) -> bytes:
        """Bytes read in one transaction."""
        ...


class Bus:
    """Devices by address; one that has `channels` (a multiplexer) also lets through what it has switched on."""

    def __init__(self) -> None:
        self.devices: dict[int, Device] = {}
        self.absent: set[int] = set()  # addresses that a fault has silenced

    def attach(self, address: int, device: Device) -> None:
        """Put a device at a 7-bit address."""
        self.devices[address] = device

    def transfer(self, address: int, data: bytes, count: int) -> bytes:
        """Write `data` if there is any, then read `count` bytes; OSError ENODEV when nobody acknowledges."""
        targets = self._find(address)
        if not targets:
            raise OSError(errno.ENODEV, f"nothing answers at I2C address 0x{address:02X}")
        answer = b""
        for target in targets:
            if data:
                target.write(data)
            if count:
                answer = target.read(count)
        return answer

    def _find(self, address: int) -> list[Device]:
        if address in self.absent:
            return []
        found: list[Device] = []
        if address in self.devices:
            found.append(self.devices[address])
        for device in self.devices.values():
            for bus in getattr(device, "open_channels", lambda: ())():
                found += bus._find(address)
        return found


class Registers:
    """A device of 8-bit registers with an address pointer that increments; subclasses hook reads and writes."""

    size = 256

    def __init__(self) -> None:
        self.registers = bytearray(self.size)
        self._pointer = 0

    def write(self, data: bytes) -> None:
        """The first byte sets the pointer, the others go to the registers from there."""
        self._pointer = data[0] % self.size
        for value in data[1:]:
            self.written(self._pointer, value)
            self._pointer = (self._pointer + 1) % self.size

    def read(self, size: int) -> bytes:
        """Registers from the pointer on."""
        result = bytearray()
        for _ in range(size):
            result.append(self.fetched(self._pointer))
            self._pointer = (self._pointer + 1) % self.size
        return bytes(result)

    def written(self, register: int, value: int) -> None:
        """A register is written."""
        self.registers[register] = value

    def fetched(self, register: int) -> int:
        """A register is read."""
        return self.registers[register]
