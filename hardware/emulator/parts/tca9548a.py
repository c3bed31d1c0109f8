"""TCA9548A I2C switch: one control register, a bit a channel (TI SCPS207G, section 8.6.2)."""

from .bus import Bus


class Tca9548a:
    """Eight buses behind one address."""

    def __init__(self) -> None:
        self.channels = [Bus() for _ in range(8)]
        self.control = 0

    def reset(self) -> None:
        """Power-up: every channel is off."""
        self.control = 0

    def open_channels(self) -> list[Bus]:
        """The buses that are switched through."""
        return [bus for i, bus in enumerate(self.channels) if self.control >> i & 1]

    def write(self, data: bytes) -> None:
        """Sets the control register; the last byte counts."""
        self.control = data[-1]

    def read(self, size: int) -> bytes:
        """The control register."""
        return bytes((self.control,)) * size
