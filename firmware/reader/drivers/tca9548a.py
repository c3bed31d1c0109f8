"""TCA9548A eight-channel I2C switch: one control register, one bit a channel.

Texas Instruments TCA9548A (SCPS207), section 8.6: a write of one byte sets the register, a read returns it.
"""


class TCA9548A:
    """I2C errors are OSError."""

    def __init__(self, i2c, address):
        self._i2c = i2c
        self._address = address
        self._byte = bytearray(1)

    def select(self, channel):
        """Join `channel` (0 to 7), and it alone, to the bus."""
        self._byte[0] = 1 << channel
        self._i2c.writeto(self._address, self._byte)

    def none(self):
        """Part all channels from the bus."""
        self._byte[0] = 0
        self._i2c.writeto(self._address, self._byte)

    def selected(self):
        """The control register: a bit mask of the channels that are joined."""
        self._i2c.readfrom_into(self._address, self._byte)
        return self._byte[0]
