"""What each GPIO of the ESP32-S3-WROOM-1 (N16R8) can be, and whether a firmware pin fits.

Sources: ESP32-S3-WROOM-1 datasheet v1.4, table 3 (pads); ESP32-S3 datasheet v1.9, tables of pins and of the ADC,
section "Strapping pins". No GPIO of the S3 is an input only; all reach PWM, UART and I2C through the GPIO matrix.
"""

from .catalogue.module import PADS

STRAPS = frozenset((0, 3, 45, 46))
USB = frozenset((19, 20))
FLASH = frozenset(range(26, 33))  # SPI flash, inside the module
PSRAM = frozenset(range(33, 38))  # octal PSRAM of R8; 35 to 37 have pads all the same
LOADER = frozenset((43, 44))  # UART 0, on which the loader speaks at reset
ADC1 = {gpio: gpio - 1 for gpio in range(1, 11)}  # GPIO: channel
ADC2 = {gpio: gpio - 11 for gpio in range(11, 21)}  # not dependable while the radio is on


def complaint(gpio: int, analogue: bool) -> str | None:
    """Why a firmware pin may not be on this GPIO; None when it may."""
    if gpio in FLASH:
        return "belongs to the flash"
    if gpio in PSRAM:
        return "belongs to the octal PSRAM"
    if gpio not in PADS.values():
        return "has no pad on the module"
    if gpio in STRAPS:
        return "is a strap"
    if gpio in USB:
        return "is USB"
    if gpio in LOADER:
        return "is the loader's UART"
    if analogue and gpio not in ADC1:
        where = "is on ADC2, which the radio takes" if gpio in ADC2 else "has no converter"
        return f"{where}: an analogue input needs ADC1 (GPIO 1 to 10)"
    return None
