"""Thermistor at the heater block: 10 kohm at 25 degrees, B 3950, below 10 kohm to 3.3 V; hundredths of a degree
Celsius.

The Beta equation, 1/T = 1/T0 + ln(R/R0)/B with T in kelvin (Vishay NTCLE100E3 datasheet, "curve computation"),
holds to a few tenths of a degree from 20 to 80 degrees. The ADC's factory-calibrated microvolts are used: at full
attenuation its scale ends near 3.1 V, below the divider's supply (ESP32-S3 datasheet v1.6, ADC characteristics).
"""

from math import log

from micropython import const

_SUPPLY_UV = const(3300000)
_B = 3950.0
_T0_K = 298.15

# Outside these the thermistor is not believed: under 66 mV (beyond 140 degrees) it is shorted, over 3.0 V (under
# about -20 degrees, and where the ADC's scale ends) it is open.
_SHORT_UV = const(66000)
_OPEN_UV = const(3000000)
_AVERAGE = const(8)


class NTCError(Exception):
    """The thermistor is open or shorted; the heater must be off."""


def centidegrees(microvolts):
    """Temperature of a divider voltage; NTCError when no sound thermistor gives that."""
    if microvolts < _SHORT_UV:
        raise NTCError("thermistor shorted")
    if microvolts > _OPEN_UV:
        raise NTCError("thermistor open")
    ratio = microvolts / (_SUPPLY_UV - microvolts)  # R / R0: the resistor above is R0
    kelvin = 1.0 / (1.0 / _T0_K + log(ratio) / _B)
    return round((kelvin - 273.15) * 100.0)


class NTC:
    """`adc` is a machine.ADC at full attenuation."""

    def __init__(self, adc):
        self._adc = adc

    def read(self):
        """Mean of a few readings, in hundredths of a degree Celsius; NTCError."""
        total = 0
        for _ in range(_AVERAGE):
            total += self._adc.read_uv()
        return centidegrees(total // _AVERAGE)
