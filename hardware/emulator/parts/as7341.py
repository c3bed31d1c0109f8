"""AS7341 11-channel spectral sensor (ams DS000504 v3, section 10): what a single-shot reading by its driver needs.

Modelled: power and measurement enable, ATIME/ASTEP integration time, gain, AVALID, saturation, the six data channels,
the SMUX's two usual settings (F1-F4 or F5-F8, with clear and NIR) by its enable command, and identification.
"""

from collections.abc import Callable

from .bus import Clock, Registers

# Channel centre wavelengths in nm, F1 to F8, then clear and near infrared.
BANDS = ("F1", "F2", "F3", "F4", "F5", "F6", "F7", "F8", "CLEAR", "NIR")
_GAINS = (0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class As7341(Registers):
    """`light()` gives, for each band, counts per millisecond at gain 1."""

    def __init__(self, clock: Clock, light: Callable[[], dict[str, float]], noise: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._light = light
        self._noise = noise
        self._smux_ram = bytearray(20)
        self.reset()

    def reset(self) -> None:
        """Power-up values of the datasheet."""
        self.registers = bytearray(256)
        self.registers[0x90] = 0x00  # AUXID
        self.registers[0x91] = 0x00  # REVID
        self.registers[0x92] = 0x09 << 2  # ID
        self.registers[0x81] = 0x00  # ATIME
        self.registers[0xCA], self.registers[0xCB] = 0xE7, 0x03  # ASTEP 999
        self.registers[0xAA] = 0x09  # CFG1: gain 256
        self._started_us: int | None = None
        self._high = False
        self._valid = False
        self._saturated = False

    @property
    def integration_ms(self) -> float:
        """(ATIME + 1) x (ASTEP + 1) x 2.78 us."""
        astep = self.registers[0xCA] | self.registers[0xCB] << 8
        return (self.registers[0x81] + 1) * (astep + 1) * 2.78e-3

    def written(self, register: int, value: int) -> None:
        """ENABLE starts and stops; SMUXEN runs the SMUX command at once and clears itself."""
        if register < 0x14:
            self._smux_ram[register] = value
            self.registers[register] = value
            return
        if register == 0x80:
            if value & 0x10:
                self._high = self._smux_selects_high()
                value &= ~0x10
            measuring = value & 0x03 == 0x03
            was = self.registers[0x80] & 0x03 == 0x03
            if measuring and not was:
                self._started_us = self._clock.us
                self._valid = False
            elif not measuring:
                self._started_us = None
        self.registers[register] = value

    def _smux_selects_high(self) -> bool:
        # The nibbles at 0x00 to 0x13 connect photodiodes to converters (ams application note AN000666). Byte 0x00 holds
        # F3's: of the two usual chains only the one for F1 to F4 connects it.
        return self._smux_ram[0x00] == 0x00

    def fetched(self, register: int) -> int:
        """Status and data follow the clock."""
        self._finish()
        if register == 0xA3:  # STATUS2
            return (0x40 if self._valid else 0x00) | (0x10 if self._saturated else 0x00)
        if register == 0x71:  # STATUS of the streaming set
            return 0x01 if self._valid else 0x00
        if register in (0x94, 0x95):
            self._valid = self._valid and register != 0x95
        return self.registers[register]

    def _finish(self) -> None:
        if self._started_us is None or self._clock.us - self._started_us < self.integration_ms * 1000:
            return
        self._started_us = self._clock.us  # it measures on while SP_EN is set
        gain = _GAINS[min(self.registers[0xAA] & 0x1F, 10)]
        full = min(65535, (self.registers[0x81] + 1) * ((self.registers[0xCA] | self.registers[0xCB] << 8) + 1))
        light = self._light()
        self._saturated = False
        bands = (BANDS[4:8] if self._high else BANDS[0:4]) + ("CLEAR", "NIR")
        for i, band in enumerate(bands):
            counts = light[band] * self.integration_ms * gain
            counts += self._noise() * max(1.0, counts) ** 0.5
            value = max(0, min(full, round(counts)))
            self.registers[0x95 + 2 * i] = value & 255
            self.registers[0x96 + 2 * i] = value >> 8
            self._saturated = self._saturated or value == full
        self._valid = True
