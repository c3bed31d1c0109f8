"""The GATT database of one reader: what is registered, how much each value holds, and what a central may do with it."""

import ast
import errno
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from bumble import att, core
from bumble.device import Connection, Device
from bumble.gatt import Characteristic, Descriptor, Service

_GATTS_WRITE = 3
_GATTS_READ_REQUEST = 4
_DEFAULT_BUFFER = 20

# What is not allowed is refused in the value's own read and write, with NimBLE's codes.
_OPEN = att.Attribute.READABLE | att.Attribute.WRITEABLE

# Runs a change of the database and the interrupt handler after it; gives the handler's answer.
Step = Callable[[Callable[[], bytes | None]], Awaitable[int]]


@dataclass
class Value:
    """One attribute of the database: `limit` bytes at most, appended to rather than replaced if `append`."""

    attribute: att.Attribute[bytes]
    flags: int
    limit: int = _DEFAULT_BUFFER
    append: bool = False
    data: bytes = b""


class Database:
    """The attributes of `device`, which a firmware registers; remote access goes through `step`."""

    def __init__(self, device: Device, step: Step) -> None:
        self._device = device
        self._step = step
        self._values: dict[int, Value] = {}
        self._base: list[Any] = list(_attributes(device))
        self._base_services = list(device.gatt_server.services)

    def register(self, payload: bytes) -> bytes:
        """Replace what is registered by `repr` of the services (UUIDs as bytes); `repr` of tuples of value handles."""
        server = self._device.gatt_server
        _attributes(self._device)[:] = self._base
        server.attributes_by_handle.clear()  # pyright: ignore[reportUnknownMemberType]
        server.services[:] = self._base_services
        self._values.clear()
        answer: list[tuple[int, ...]] = []
        for service_uuid, definitions in ast.literal_eval(payload.decode()):
            characteristics: list[Characteristic[bytes]] = []
            values: list[Value] = []
            for definition in definitions:
                uuid, flags = definition[:2]
                described: tuple[tuple[bytes, int], ...] = definition[2] if len(definition) > 2 else ()
                descriptors = [Descriptor(core.UUID.from_bytes(each), _OPEN) for each, _ in described]
                mine = [Value(descriptor, held) for descriptor, (_, held) in zip(descriptors, described, strict=True)]
                characteristic = Characteristic[bytes](
                    core.UUID.from_bytes(uuid), Characteristic.Properties(flags & 0x3F), _OPEN, b"", descriptors
                )
                characteristics.append(characteristic)
                values += [Value(characteristic, flags), *mine]
            server.add_service(Service(core.UUID.from_bytes(service_uuid), characteristics))
            for value in values:
                value.attribute.value = self._remote_value(value)
                self._values[value.attribute.handle] = value
            answer.append(tuple(value.attribute.handle for value in values))
        return repr(tuple(answer)).encode()

    def _remote_value(self, value: Value) -> att.AttributeValue[bytes]:
        async def read(connection: Connection) -> bytes:
            handle = value.attribute.handle
            if not value.flags & Characteristic.Properties.READ:
                raise att.ATT_Error(att.ATT_READ_NOT_PERMITTED_ERROR)
            refused = await self._step(lambda: struct.pack("<BHH", _GATTS_READ_REQUEST, connection.handle, handle))
            if refused:
                raise att.ATT_Error(att.ErrorCode(refused))
            return value.data

        async def write(connection: Connection, data: bytes) -> None:
            writable = Characteristic.Properties.WRITE | Characteristic.Properties.WRITE_WITHOUT_RESPONSE
            if not value.flags & writable:
                raise att.ATT_Error(att.ATT_WRITE_NOT_PERMITTED_ERROR)

            def store() -> bytes:
                # Beyond the buffer the rest is dropped and nobody is told (characteristic_access_cb in
                # modbluetooth_nimble.c).
                whole = (value.data + data) if value.append else data
                value.data = whole[: value.limit]
                return struct.pack("<BHH", _GATTS_WRITE, connection.handle, value.attribute.handle)

            await self._step(store)

        return att.AttributeValue(read=read, write=write)

    def value(self, handle: int) -> Value:
        """The value with that handle; raises OSError EINVAL."""
        value = self._values.get(handle)
        if value is None:
            raise OSError(errno.EINVAL, "no such value handle")
        return value


def _attributes(device: Device) -> list[Any]:
    return device.gatt_server.attributes  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
