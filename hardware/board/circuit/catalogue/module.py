"""The controller module and what it needs beside it."""

from ..device import Device, Draw, Kind, Pin, pins
from .prices import estimate

# Pads of the ESP32-S3-WROOM-1 that carry a GPIO (datasheet v1.4, table 3): pad, GPIO.
PADS = {
    4: 4, 5: 5, 6: 6, 7: 7, 8: 15, 9: 16, 10: 17, 11: 18, 12: 8, 13: 19, 14: 20, 15: 3, 16: 46, 17: 9, 18: 10, 19: 11,
    20: 12, 21: 13, 22: 14, 23: 21, 24: 47, 25: 48, 26: 45, 27: 0, 28: 35, 29: 36, 30: 37, 31: 38, 32: 39, 33: 40,
    34: 41, 35: 42, 36: 44, 37: 43, 38: 2, 39: 1,
}  # fmt: skip

MODULE = Device(
    mpn="ESP32-S3-WROOM-1-N16R8",
    maker="Espressif",
    what="controller with radio, 16 MB flash, 8 MB octal PSRAM",
    footprint="RF_Module:ESP32-S3-WROOM-1",
    datasheet="Espressif ESP32-S3-WROOM-1 & WROOM-1U datasheet v1.4",
    second_source="ESP32-S3-WROOM-1U-N16R8 (same pads, needs an antenna and its own radio assessment)",
    pins=pins(
        ("1 40 41", "GND", Kind.POWER_IN),
        Pin("2", "3V3", Kind.POWER_IN, volts=(3.0, 3.6)),
        ("3", "EN", Kind.INPUT),
        *(Pin(str(pad), f"IO{gpio}", Kind.BIDIRECTIONAL, may_float=True) for pad, gpio in PADS.items()),
    ),
    draws=(
        Draw(
            "3V3", 13.5, 33.0, 340.0,
            "ESP32-S3 datasheet, current consumption: waiting at 40 MHz and at 240 MHz, the radio now and then; "
            "worst is its highest sending current",
        ),
    ),
    price=estimate("module", 5.20, 3.40, 2.90),
)  # fmt: skip

TEST_PAD = Device(
    mpn="test pad 1.5 mm",
    maker="none",
    what="bare copper, for the probe of a test jig",
    footprint="TestPoint:TestPoint_Pad_D1.5mm",
    datasheet="none: copper",
    second_source="none: copper",
    pins=pins(("1", "1")),
    bare=True,
    price=estimate("made", 0.0, 0.0, 0.0),
)

BOARD = Device(
    mpn="doorstep-boards",
    maker="any board house",
    what="bare boards, a panel of five, four layers: main 48 by 63 mm with a tab, front 54 by 60, array 18, wells 9.6",
    footprint="none",
    datasheet="IPC-6012 class 2",
    second_source="any board house",
    pins=(),
    price=estimate("made", 9.00, 2.40, 1.50),
)

CABLES = Device(
    mpn="doorstep-cables",
    maker="any cable house",
    what="leads crimped at one end: PH of 2, 6, 9 and 10 ways, XH of 6 (the cell has its own), and a flat cable of 12",
    footprint="none",
    datasheet="wiring: the nets of J3 to J8 in reader.net",
    second_source="any cable house",
    pins=(),
    price=estimate("made", 8.00, 1.70, 1.10),
)

EXTRAS = {"PCB": BOARD, "W1": CABLES}  # bought for a reader, and no part of its nets

DEVICES = (MODULE, TEST_PAD, BOARD, CABLES)
