"""MAX17048 fuel gauge (Maxim 19-6171 rev 7, register table): cell voltage, state of charge, version."""

from collections.abc import Callable


class Max17048:
    """16-bit registers, big-endian; `cell()` gives volts and percent."""

    def __init__(self, cell: Callable[[], tuple[float, float]]) -> None:
        self._cell = cell
        self._register = 0
        self._stored = {0x06: 0x0000, 0x0C: 0x971C, 0x14: 0x00FF, 0x18: 0x9600, 0x1A: 0x0100}

    def write(self, data: bytes) -> None:
        """Register address, then the value where there is one."""
        self._register = data[0] & 0xFE
        if len(data) >= 3 and self._register in (0x06, 0x0C, 0x14, 0x18, 0x1A, 0xFE):
            self._stored[self._register] = data[1] << 8 | data[2]

    def read(self, size: int) -> bytes:
        """Words from the register on."""
        result = bytearray()
        register = self._register
        while len(result) < size:
            result += self._word(register).to_bytes(2, "big")
            register += 2
        return bytes(result[:size])

    def _word(self, register: int) -> int:
        volts, percent = self._cell()
        if register == 0x02:
            return min(0xFFFF, round(volts / 78.125e-6))  # VCELL: 78.125 uV a bit
        if register == 0x04:
            return min(0xFFFF, round(percent * 256))  # SOC: 1/256 % a bit
        if register == 0x08:
            return 0x0012  # VERSION
        if register == 0x16:
            return 0x0000  # CRATE
        return self._stored.get(register, 0)
