"""AS7341 spectral sensor: F1 to F4, clear and near infrared on the six converters, one shot at a time.

ams AS7341 datasheet DS000504: register map in section 10, ENABLE 10.2.2, integration time 10.2.4, gain (CFG1)
10.2.7, SMUX command (CFG6) 10.2.9, status and data 10.2.6. The SMUX chain is ams application note AN000666.
"""

import time

from micropython import const

_STATUS2 = const(0xA3)
_ENABLE = const(0x80)
_ATIME = const(0x81)
_ID = const(0x92)
_ASTATUS = const(0x94)
_CFG1 = const(0xAA)
_CFG6 = const(0xAF)
_ASTEP = const(0xCA)

_PON = const(0x01)
_SP_EN = const(0x02)
_SMUXEN = const(0x10)
_SMUX_WRITE = const(0x10)  # CFG6: write the SMUX chain from RAM
_AVALID = const(0x40)
_ASAT_DIGITAL = const(0x10)
_ASAT_ANALOG = const(0x08)
_PART = const(0x09)  # ID register, bits 7 to 2

# Four bits a photodiode: which converter (1 to 6) it feeds. F1 to F4 on 0 to 3, clear on 4, NIR on 5.
_CHAIN = b"\x30\x01\x00\x00\x00\x42\x00\x00\x50\x00\x00\x00\x20\x04\x00\x30\x01\x50\x00\x06"

ATIME = const(29)
ASTEP = const(2183)  # (29 + 1) x (2183 + 1) = 65,520 counts full scale in 65,520 x 2.78 us = 182 ms
INTEGRATION_MS = const(183)
FULL_SCALE = const(65520)
GAIN_512X = const(10)  # fluorescence is faint; blue excitation stays out of F4

F1, F2, F3, F4, CLEAR, NIR = range(6)


class AS7341:
    """Readings are counts, 0 to FULL_SCALE. I2C errors and a sensor that never finishes are OSError."""

    def __init__(self, i2c, address):
        self._i2c = i2c
        self._address = address
        self._data = bytearray(13)
        self._byte = bytearray(1)
        self.counts = [0] * 6
        self.saturated = False

    def _write(self, register, value):
        self._byte[0] = value
        self._i2c.writeto_mem(self._address, register, self._byte)

    def _read(self, register):
        self._i2c.readfrom_mem_into(self._address, register, self._byte)
        return self._byte[0]

    def present(self):
        """True when the ID register names an AS7341."""
        return self._read(_ID) >> 2 == _PART

    def start(self, gain=GAIN_512X):
        """Power on, load the SMUX chain, set integration time and gain (register value 0 to 10: 0.5x to 512x)."""
        self._write(_ENABLE, _PON)
        time.sleep_ms(1)  # initialisation takes 200 us (section 10.2.2)
        self._write(_CFG6, _SMUX_WRITE)
        self._i2c.writeto_mem(self._address, 0x00, _CHAIN)
        self._write(_ENABLE, _PON | _SMUXEN)
        for _ in range(10):
            if not self._read(_ENABLE) & _SMUXEN:
                break
            time.sleep_ms(1)
        else:
            raise OSError("AS7341: SMUX command did not finish")
        self._write(_ATIME, ATIME)
        self._i2c.writeto_mem(self._address, _ASTEP, bytes((ASTEP & 0xFF, ASTEP >> 8)))
        self._write(_CFG1, gain)

    def begin(self):
        """Start one integration; it takes INTEGRATION_MS."""
        self._write(_ENABLE, _PON)
        self._write(_ENABLE, _PON | _SP_EN)

    def finished(self):
        """True when the integration's counts can be read."""
        return bool(self._read(_STATUS2) & _AVALID)

    def collect(self):
        """Read the finished integration into `counts` and `saturated`, stop measuring, and return `counts`."""
        status = self._read(_STATUS2)
        # Reading ASTATUS first latches all twelve data bytes (section 10.2.6).
        self._i2c.readfrom_mem_into(self._address, _ASTATUS, self._data)
        self._write(_ENABLE, _PON)
        data, counts = self._data, self.counts
        self.saturated = bool(status & (_ASAT_DIGITAL | _ASAT_ANALOG))
        for i in range(6):
            counts[i] = data[2 * i + 1] | data[2 * i + 2] << 8
        return counts

    def stop(self):
        """Power the sensor down; it sleeps at under 5 uA."""
        self._write(_ENABLE, 0)
