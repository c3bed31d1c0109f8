"""An ESP32-S3 in download mode, as esptool sees it: the serial protocol of its ROM and of esptool's stub, and a flash
that holds the bytes.

Espressif, "Serial Protocol" (esptool documentation): SLIP frames; a request is 00, command, u16 length, u32 checksum,
data; a response 01, command, u16 length, u32 value, data, status. Programming clears bits only, as NOR flash does, so
that what was not erased is found out.
"""

import hashlib
import struct
import zlib

FLASH_BYTES = 16 * 1024 * 1024
SYNC = b"\xc0\x00\x08\x24\x00"  # how each of esptool's attempts begins

_SPI = 0x6000_2000  # the flash controller: SPI_CMD, whose bit 18 starts a transfer, SPI_USR2 with the command, and W0
_SPI_USR2, _SPI_W0, _SPI_START = _SPI + 0x20, _SPI + 0x58, 1 << 18
_RDID = 0x9F
_SECTOR = 4096


class RomChip:
    """`answer(data)` gives the bytes that the chip sends for those that came. `flash` is its flash; `size_code` the
    capacity byte of its id (0x18: 16 MB); `chip_id` what its security information says (9: ESP32-S3)."""

    def __init__(self, flash: bytearray | None = None, size_code: int = 0x18, chip_id: int = 9) -> None:
        self.flash = flash if flash is not None else bytearray(b"\xff" * FLASH_BYTES)
        self.erased = 0  # how often the whole flash was
        self.read_only = False  # its cells take nothing, as worn ones do
        self._size_code = size_code
        self._chip_id = chip_id
        self._in_stub = False
        self._registers: dict[int, int] = {}
        self._frame: bytearray | None = None
        self._escaped = False
        self._writing_at = 0
        self._inflating = zlib.decompressobj()
        self._reading: tuple[int, int, int] | None = None

    def restart(self) -> None:
        """As its reset line does: it is in its ROM again."""
        self._in_stub = False
        self._frame = None
        self._reading = None
        self._registers.clear()

    def answer(self, data: bytes) -> bytes:
        """What it says to `data`."""
        said = b""
        for byte in data:
            if byte == 0xC0:
                if self._frame:
                    said += self._take(bytes(self._frame))
                    self._frame = None
                else:
                    self._frame = bytearray()
            elif self._frame is None:
                continue
            elif self._escaped:
                self._frame.append({0xDC: 0xC0, 0xDD: 0xDB}[byte])
                self._escaped = False
            elif byte == 0xDB:
                self._escaped = True
            else:
                self._frame.append(byte)
        return said

    def _take(self, frame: bytes) -> bytes:
        if self._reading is not None:
            return self._read_on(frame)
        if len(frame) < 8 or frame[0] != 0:
            return b""
        _, command, length, _ = struct.unpack("<BBHI", frame[:8])
        data = frame[8 : 8 + length]
        handler = getattr(self, f"_on_{command:02x}", None)
        if handler is None:
            return self._respond(command, failed=5)
        return handler(data)

    def _respond(self, command: int, data: bytes = b"", value: int = 0, failed: int = 0) -> bytes:
        status = bytes((1 if failed else 0, failed)) + (b"" if self._in_stub else b"\0\0")
        body = data + status
        return _slip(struct.pack("<BBHI", 1, command, len(body), value) + body)

    def _on_08(self, _: bytes) -> bytes:  # SYNC, said eight times by the ROM
        return self._respond(0x08, value=0 if self._in_stub else 0x2007_1207) * 8

    def _on_0a(self, data: bytes) -> bytes:  # READ_REG
        return self._respond(0x0A, value=self._registers.get(struct.unpack("<I", data[:4])[0], 0))

    def _on_09(self, data: bytes) -> bytes:  # WRITE_REG
        for at in range(0, len(data), 16):
            address, value, mask, _ = struct.unpack_from("<IIII", data, at)
            self._registers[address] = self._registers.get(address, 0) & ~mask | value & mask
            if address == _SPI and value & _SPI_START:
                self._spi()
        return self._respond(0x09)

    def _spi(self) -> None:
        self._registers[_SPI] = 0
        if self._registers.get(_SPI_USR2, 0) & 0xFF == _RDID:
            self._registers[_SPI_W0] = 0xC8 | 0x40 << 8 | self._size_code << 16

    def _on_14(self, _: bytes) -> bytes:  # GET_SECURITY_INFO
        return self._respond(0x14, struct.pack("<I8BII", 0, *[0] * 8, self._chip_id, 0))

    def _on_0b(self, _: bytes) -> bytes:  # SPI_SET_PARAMS
        return self._respond(0x0B)

    def _on_0d(self, _: bytes) -> bytes:  # SPI_ATTACH
        return self._respond(0x0D)

    def _on_0f(self, _: bytes) -> bytes:  # CHANGE_BAUDRATE: a pseudo-terminal has none
        return self._respond(0x0F)

    def _on_05(self, _: bytes) -> bytes:  # MEM_BEGIN
        return self._respond(0x05)

    def _on_07(self, data: bytes) -> bytes:  # MEM_DATA
        return self._respond(0x07)

    def _on_06(self, _: bytes) -> bytes:  # MEM_END: what was loaded, esptool's stub, runs and says so
        said = self._respond(0x06)
        self._in_stub = True
        return said + _slip(b"OHAI")

    def _on_d0(self, _: bytes) -> bytes:  # ERASE_FLASH
        self.flash[:] = b"\xff" * len(self.flash)
        self.erased += 1
        return self._respond(0xD0)

    def _on_10(self, data: bytes) -> bytes:  # FLASH_DEFL_BEGIN
        size, _, _, self._writing_at = struct.unpack_from("<IIII", data)
        self._inflating = zlib.decompressobj()
        if not self.read_only:
            end = self._writing_at + -(-size // _SECTOR) * _SECTOR
            self.flash[self._writing_at : end] = b"\xff" * (end - self._writing_at)
        return self._respond(0x10)

    def _on_11(self, data: bytes) -> bytes:  # FLASH_DEFL_DATA
        length = struct.unpack_from("<I", data)[0]
        new = self._inflating.decompress(data[16 : 16 + length])
        if not self.read_only:
            at = self._writing_at
            old = self.flash[at : at + len(new)]
            self.flash[at : at + len(new)] = bytes(a & b for a, b in zip(old, new, strict=True))
        self._writing_at += len(new)
        return self._respond(0x11)

    def _on_12(self, _: bytes) -> bytes:  # FLASH_DEFL_END
        return self._respond(0x12)

    def _on_02(self, _: bytes) -> bytes:  # FLASH_BEGIN of nothing, which esptool sends to leave
        return self._respond(0x02)

    def _on_04(self, _: bytes) -> bytes:  # FLASH_END
        return self._respond(0x04)

    def _on_13(self, data: bytes) -> bytes:  # SPI_FLASH_MD5
        at, size = struct.unpack_from("<II", data)
        digest = hashlib.md5(self.flash[at : at + size])
        return self._respond(0x13, digest.digest() if self._in_stub else digest.hexdigest().encode())

    def _on_d2(self, data: bytes) -> bytes:  # READ_FLASH: blocks, each acknowledged by how much came, then the MD5
        at, size, block, _ = struct.unpack_from("<IIII", data)
        self._reading = (at, size, block)
        first = self.flash[at : at + min(block, size)]
        return self._respond(0xD2) + _slip(bytes(first))

    def _read_on(self, frame: bytes) -> bytes:
        assert self._reading is not None
        at, size, block = self._reading
        done = struct.unpack("<I", frame[:4])[0]
        if done < size:
            return _slip(bytes(self.flash[at + done : at + min(size, done + block)]))
        self._reading = None
        return _slip(hashlib.md5(self.flash[at : at + size]).digest())


def _slip(frame: bytes) -> bytes:
    return b"\xc0" + frame.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"
