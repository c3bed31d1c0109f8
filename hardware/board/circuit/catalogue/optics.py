"""Lamps, heater, and what switches them."""

from ..device import Device, Kind, Load, pins
from .passives import TWO
from .prices import estimate

SWITCH = Device(
    mpn="AO3400A",
    maker="Alpha & Omega",
    what="N MOSFET, 30 V, 48 milliohm at 2.5 V, SOT-23",
    footprint="Package_TO_SOT_SMD:SOT-23",
    datasheet="Alpha & Omega AO3400A rev 3",
    second_source="Infineon IRLML6344TRPBF, Diodes DMN2056U (same pins)",
    pins=pins(("1", "G", Kind.INPUT), ("2", "S"), ("3", "D")),
    limit_ma=4700,
    price=estimate("discrete", 0.22, 0.07, 0.035),
)

GREEN = Device(
    mpn="WP7104ZGC",
    maker="Kingbright",
    what="LED, green, 525 nm, 3 mm",
    value="green",
    footprint="wired",
    datasheet="Kingbright WP7104ZGC",
    second_source="Vishay TLHG44 class, Lite-On LTL1CHTG: any clear 3 mm of 520 to 530 nm; recalibrate the white",
    pins=pins(("1", "K"), ("2", "A")),
    wired=True,
    load=Load(3.0, 0.0, (0.0, 0.05, 1.0)),
    price=estimate("discrete", 0.25, 0.11, 0.07),
)

BLUE = Device(
    mpn="WP7104QBC/D",
    maker="Kingbright",
    what="LED, blue, 465 nm, 3 mm",
    value="blue",
    footprint="wired",
    datasheet="Kingbright WP7104QBC/D",
    second_source="Lite-On LTL1CHTB: any clear 3 mm of 460 to 475 nm; recalibrate the wells",
    pins=pins(("1", "K"), ("2", "A")),
    wired=True,
    load=Load(3.0, 0.0, (0.0, 0.05, 1.0)),
    price=estimate("discrete", 0.25, 0.11, 0.07),
)

HEATER = Device(
    mpn="doorstep-heater 5 V 6.3 ohm",
    maker="made to drawing",
    what="polyimide film heater, 6.3 ohm 5 %, with 150 mm leads",
    value="6.3 ohm",
    footprint="wired",
    datasheet="drawing: 10 by 26 mm, adhesive back, 4 W at 5 V",
    second_source="any film heater of 6.0 to 6.6 ohm and that size",
    pins=TWO,
    wired=True,
    load=Load(0.0, 6.3, (0.0, 0.30, 1.0)),
    price=estimate("made", 6.00, 1.90, 1.20),
)

CUTOUT = Device(
    mpn="KSD9700-85 NC",
    maker="Sang Mao",
    what="bimetal switch, opens at 85 degrees (5 either way), closes again near 60; 5 A",
    value="85 C",
    footprint="wired",
    datasheet="KSD9700 series",
    second_source="Cantherm C1 series, Bourns mini-breakers of 85 degrees and 1.5 A or more",
    pins=TWO,
    wired=True,
    joins=True,
    limit_ma=5000,
    price=estimate("discrete", 0.90, 0.42, 0.28),
)

BLOCK_SOCKET = Device(
    mpn="B6B-XH-A(LF)(SN)",
    maker="JST",
    what="header XH, 6 ways, for the amplification block",
    footprint="Connector_JST:JST_XH_B6B-XH-A_1x06_P2.50mm_Vertical",
    datasheet="JST XH connector, 3 A with AWG 22",
    second_source="none of the same quality; any 2.5 mm header takes the land pattern",
    pins=pins(*((str(n), str(n)) for n in range(1, 7))),
    limit_ma=3000,
    price=estimate("mechanical", 0.30, 0.14, 0.10),
)


def _socket(ways: int, what: str, one: float, hundred: float, thousand: float) -> Device:
    return Device(
        mpn=f"B{ways}B-PH-K-S(LF)(SN)",
        maker="JST",
        what=f"header PH, {ways} ways, for {what}; no other plug of the reader fits",
        footprint=f"Connector_JST:JST_PH_B{ways}B-PH-K_1x{ways:02}_P2.00mm_Vertical",
        datasheet="JST PH connector, 2 A with AWG 24",
        second_source="none of the same quality; any 2.0 mm header of the PH pattern",
        pins=pins(*((str(n), str(n)) for n in range(1, ways + 1))),
        limit_ma=2000,
        price=estimate("mechanical", one, hundred, thousand),
    )


LID_SOCKET = _socket(2, "the lid's switch", 0.12, 0.05, 0.03)
PANEL_SOCKET = _socket(6, "the front panel", 0.28, 0.12, 0.08)
WELLS_SOCKET = _socket(9, "sensors and lamps of the wells", 0.42, 0.19, 0.13)
STRIP_SOCKET = _socket(10, "array, lamps and switch of the strip window", 0.46, 0.21, 0.14)

DEVICES = (
    SWITCH, GREEN, BLUE, HEATER, CUTOUT, BLOCK_SOCKET, LID_SOCKET, PANEL_SOCKET, WELLS_SOCKET, STRIP_SOCKET,
)  # fmt: skip
