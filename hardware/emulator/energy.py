"""What each part of the reader draws in each of its states, from datasheets, and what that makes of one charge.

All currents are milliamperes at 3.3 V, typical where the datasheet says so:

* ESP32-S3 datasheet, "Current consumption in modem-sleep mode": CPU waiting for an interrupt (WAITI), peripheral clocks
  off, 22.0 at 80 MHz and 32.9 at 240 MHz; the same datasheet's receiving current, about 90, is taken for all that the
  radio does, because it gives none for sending by Bluetooth.
* Bluetooth Core Specification 6.B 4.4.2: an advertising event is three packets of at most 376 us, with 150 us and the
  time of a scan request after each; 3 ms with what the radio takes to start.
* SSD1306 rev 1.1, DC characteristics: 10 uA asleep. The lit panel's 12 is an assumption: it depends on the module.
* Grow GM65-S user manual V1.3, section 1.2: 30 standby, 160 reading, 3 asleep.
* TSL1401CL v1-00, electrical characteristics: 2.8, and nothing on the board switches it off.
* MAX17048 23 uA, PCF8563 0.25 uA, two AS7341 at rest: their electrical characteristics, 0.25 in all at most.
* The status LED's own chip (WS2812B) draws about 1 while dark: an assumption, its datasheet gives none.
* A lamp's 18 and the heater are as the board drives them.
"""

from dataclasses import dataclass

VOLTS = 3.3
_CPU_MA = {20: 13.2, 40: 13.2, 80: 22.0, 160: 27.6, 240: 32.9}
_RADIO_MA = 90.0
_EVENT_S = 0.003
_PANEL_MA = {True: 12.0, False: 0.01}
_SCANNER_MA = {True: 3.0, False: 30.0}  # asleep, standing by
_ARRAY_MA = 2.8
_SMALL_MA = 1.25
_LAMP_MA = 18.0


@dataclass(frozen=True)
class State:
    """What is on: the processor, advertising at an interval (0: not), panel, scanning engine, lamps from 0 to 2."""

    cpu_mhz: int = 240
    advertising_s: float = 0.25
    panel: bool = True
    scanner_asleep: bool = False
    lamps: float = 0.0


def milliamperes(state: State) -> float:
    """All that the board draws at 3.3 V but its heater, mA."""
    radio = _RADIO_MA * _EVENT_S / state.advertising_s if state.advertising_s else 0.0
    parts = _PANEL_MA[state.panel] + _SCANNER_MA[state.scanner_asleep] + _LAMP_MA * state.lamps
    return _CPU_MA[state.cpu_mhz] + radio + parts + _ARRAY_MA + _SMALL_MA


def watts(state: State) -> float:
    """The same as power."""
    return VOLTS * milliamperes(state) / 1000
