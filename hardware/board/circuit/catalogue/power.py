"""From the USB socket and the cell to the rails."""

from ..device import Converter, Device, Draw, Kind, Pin, pins
from .passives import TWO
from .prices import estimate

_GND = Kind.POWER_IN

USB_C = Device(
    mpn="TYPE-C-31-M-12",
    maker="Korean Hroparts Elec",
    what="USB Type-C receptacle, USB 2.0, 16 pins",
    footprint="Connector_USB:USB_C_Receptacle_HRO_TYPE-C-31-M-12",
    datasheet="HRO TYPE-C-31-M-12 drawing and specification",
    second_source="GCT USB4105-GF-A, Amphenol 12401610E4#2A (each with its own land pattern; dearer, sturdier)",
    pins=pins(
        ("A1", "GND", Kind.POWER_OUT), ("A12 B1 B12", "GND"),
        ("A4", "VBUS", Kind.POWER_OUT), ("A9 B4 B9", "VBUS"),
        ("A5", "CC1"), ("B5", "CC2"),
        ("A6 B6", "DP", Kind.BIDIRECTIONAL), ("A7 B7", "DN", Kind.BIDIRECTIONAL),
        Pin("A8", "SBU1", may_float=True), Pin("B8", "SBU2", may_float=True),
        ("S1", "SHIELD"),
    ),
    limit_ma=3000,
    price=estimate("mechanical", 0.40, 0.17, 0.12),
)  # fmt: skip

USB_FUSE = Device(
    mpn="1206L110THYR",
    maker="Littelfuse",
    what="resettable fuse, 1.1 A hold, 2.2 A trip, 1206",
    value="1.1 A",
    footprint="Fuse:Fuse_1206_3216Metric",
    datasheet="Littelfuse 1206L series",
    second_source="Bel Fuse 0ZCJ0110FF2E",
    pins=TWO,
    joins=True,
    limit_ma=1100,
    price=estimate("discrete", 0.35, 0.19, 0.12),
)

USB_CLAMP = Device(
    mpn="SMF5.0A",
    maker="Littelfuse",
    what="transient suppressor, 5 V stand-off, SOD-123F",
    footprint="Diode_SMD:D_SOD-123F",
    datasheet="Littelfuse SMF series",
    second_source="Vishay SMF5V0A, Bourns SMF5.0A",
    pins=pins(("1", "K"), ("2", "A")),
    price=estimate("discrete", 0.35, 0.14, 0.07),
)

USB_ESD = Device(
    mpn="USBLC6-2SC6",
    maker="STMicroelectronics",
    what="ESD array for two data lines and the supply, SOT-23-6",
    footprint="Package_TO_SOT_SMD:SOT-23-6",
    datasheet="ST USBLC6-2 DS4260",
    second_source="TechPublic USBLC6-2SC6; Nexperia PRTR5V0U2X (SOT-143, other land pattern)",
    pins=pins(("1 6", "IO1"), ("2", "GND"), ("3 4", "IO2"), ("5", "VBUS")),
    price=estimate("discrete", 0.40, 0.20, 0.11),
)

CHARGER = Device(
    mpn="BQ24074RGTR",
    maker="Texas Instruments",
    what="linear charger of one lithium cell with power path, VQFN-16",
    footprint="Package_DFN_QFN:VQFN-16-1EP_3x3mm_P0.5mm_EP1.68x1.68mm",
    datasheet="TI SLUS810, bq2407x",
    second_source="TI BQ24075RGTR (pin 15 is SYSOFF: tie low; output 5.5 V), BQ24079RGTR (4.1 V cell)",
    pins=pins(
        ("1", "TS"), ("2 3", "BAT"), ("4", "CE#", Kind.INPUT), ("5", "EN2", Kind.INPUT), ("6", "EN1", Kind.INPUT),
        Pin("7", "PGOOD#", Kind.OPEN_DRAIN, may_float=True), ("8", "VSS", _GND),
        Pin("9", "CHG#", Kind.OPEN_DRAIN, may_float=True),
        ("10", "OUT", Kind.POWER_OUT), ("11", "OUT"), ("12", "ILIM"), Pin("13", "IN", _GND, volts=(4.35, 10.2)),
        Pin("14", "TMR", may_float=True), Pin("15", "ITERM", may_float=True), ("16", "ISET"), ("17", "EP"),
    ),
    converter=Converter("BAT", "OUT", 3.7, 1.0, 4500, linear=True),
    price=estimate("ic", 2.30, 1.35, 0.95),
)  # fmt: skip

CELL = Device(
    mpn="INR18650-30Q pack",
    maker="Samsung SDI (pack made to drawing)",
    what="lithium-ion cell, 3,000 mAh, with 10 kohm NTC, 100 mm leads and JST XHP-3",
    footprint="wired",
    datasheet="Samsung SDI INR18650-30Q specification, version 1.0",
    second_source="LG INR18650HG2, Molicel INR18650-P30B: 3,000 mAh, same size; pack to IEC 62133-2 and UN 38.3",
    pins=pins(("1", "PLUS", Kind.POWER_OUT), ("2", "MINUS", Kind.POWER_OUT), ("3", "NTC")),
    wired=True,
    limit_ma=15000,
    price=estimate("cell", 7.50, 4.60, 3.70),
)

CELL_SOCKET = Device(
    mpn="B3B-XH-A(LF)(SN)",
    maker="JST",
    what="header XH, 3 ways, for the cell",
    footprint="Connector_JST:JST_XH_B3B-XH-A_1x03_P2.50mm_Vertical",
    datasheet="JST XH connector, 3 A with AWG 22",
    second_source="none of the same quality; any 2.5 mm header takes the land pattern",
    pins=pins(("1", "1"), ("2", "2"), ("3", "3")),
    limit_ma=3000,
    price=estimate("mechanical", 0.20, 0.09, 0.06),
)

CELL_FUSE = Device(
    mpn="0466004.NRHF",
    maker="Littelfuse",
    what="fuse, 4 A, fast, 1206",
    value="4 A",
    footprint="Fuse:Fuse_1206_3216Metric",
    datasheet="Littelfuse 466 series",
    second_source="Bel Fuse C1F 4",
    pins=TWO,
    joins=True,
    limit_ma=4000,
    price=estimate("discrete", 0.45, 0.24, 0.16),
)

GUARD = Device(
    mpn="DW01A",
    maker="Fortune Semiconductor",
    what="protection of one lithium cell: 4.30 V over-charge, 2.40 V over-discharge, 150 mV over-current, SOT-23-6",
    footprint="Package_TO_SOT_SMD:SOT-23-6",
    datasheet="Fortune DW01A rev 1.1",
    second_source="PUOLOP DW01A; ABLIC S-8261 (SOT-23-6, check thresholds)",
    pins=pins(
        ("1", "OD", Kind.OUTPUT), ("2", "CS", Kind.INPUT), ("3", "OC", Kind.OUTPUT),
        Pin("4", "TD", Kind.INPUT, may_float=True), Pin("5", "VCC", _GND, volts=(1.5, 9.0)), ("6", "GND"),
    ),
    price=estimate("ic", 0.25, 0.09, 0.05),
)  # fmt: skip

GUARD_SWITCH = Device(
    mpn="FS8205A",
    maker="Fortune Semiconductor",
    what="two N MOSFETs with a common drain, TSSOP-8; 28 milliohm each at 2.5 V",
    footprint="Package_SO:TSSOP-8_4.4x3mm_P0.65mm",
    datasheet="Fortune FS8205A rev 1.7",
    second_source="UTC UT8205AG, Alpha & Omega AO8810 (check the pins)",
    pins=pins(("1 8", "D"), ("2 3", "S1"), ("4", "G1", Kind.INPUT), ("5", "G2", Kind.INPUT), ("6 7", "S2")),
    ohms=0.056,  # both, in series
    price=estimate("discrete", 0.25, 0.10, 0.06),
)

GAUGE = Device(
    mpn="MAX17048G+T10",
    maker="Analog Devices",
    what="fuel gauge of one lithium cell, I2C, TDFN-8",
    footprint="Package_DFN_QFN:TDFN-8-1EP_2x2mm_P0.5mm_EP0.8x1.2mm",
    datasheet="Analog Devices 19-6171, MAX17048/MAX17049",
    second_source="none with these registers; TI BQ27441 needs another driver",
    pins=pins(
        ("1", "CTG"), ("2", "CELL", Kind.INPUT), Pin("3", "VDD", _GND, volts=(2.5, 4.5)), ("4", "GND", _GND),
        Pin("5", "ALRT#", Kind.OPEN_DRAIN, may_float=True), ("6", "QSTRT", Kind.INPUT),
        ("7", "SCL", Kind.INPUT), ("8", "SDA", Kind.BIDIRECTIONAL), ("9", "EP"),
    ),
    address=0x36,
    draws=(Draw("VDD", 0.023, 0.023, 0.040, "electrical characteristics, active mode"),),
    price=estimate("ic", 3.40, 2.10, 1.60),
)  # fmt: skip

REGULATOR_3V3 = Device(
    mpn="TPS63802DLAR",
    maker="Texas Instruments",
    what="buck-boost converter, 2 A, VSON-HR-10",
    footprint="doorstep:Texas_DLA0010A_VSON-HR-10_2x3mm_P0.5mm",
    datasheet="TI SLVSEU9, TPS63802",
    second_source="TI TPS63020DSJR (4 A, 14 pins, other land pattern and feedback divider)",
    pins=pins(
        ("1", "EN", Kind.INPUT), ("2", "MODE", Kind.INPUT), ("3", "AGND", _GND), ("4", "FB", Kind.INPUT),
        ("5", "VOUT", Kind.POWER_OUT), ("6", "L2"), ("7", "PGND", _GND), ("8", "L1"),
        Pin("9", "VIN", _GND, volts=(1.3, 5.5)), Pin("10", "PG", Kind.OPEN_DRAIN, may_float=True),
    ),
    converter=Converter("VIN", "VOUT", 3.3, 0.90, 2000),
    draws=(Draw("VIN", 0.011, 0.011, 0.025, "electrical characteristics, quiescent current"),),
    price=estimate("ic", 2.10, 1.15, 0.80),
)  # fmt: skip

REGULATOR_1V8 = Device(
    mpn="TLV70018DDCR",
    maker="Texas Instruments",
    what="linear regulator, 1.8 V, 200 mA, SOT-23-5",
    footprint="Package_TO_SOT_SMD:TSOT-23-5",
    datasheet="TI SLVSA00, TLV700",
    second_source="Diodes AP2112K-1.8TRG1, Microchip MIC5504-1.8YM5 (same pins)",
    pins=pins(
        Pin("1", "IN", _GND, volts=(2.0, 5.5)), ("2", "GND", _GND), ("3", "EN", Kind.INPUT),
        Pin("4", "NC", Kind.UNUSED, may_float=True), ("5", "OUT", Kind.POWER_OUT),
    ),
    converter=Converter("IN", "OUT", 1.8, 1.0, 200, linear=True),
    draws=(Draw("IN", 0.035, 0.035, 0.055, "electrical characteristics, ground pin current"),),
    price=estimate("ic", 0.45, 0.22, 0.13),
)  # fmt: skip

REGULATOR_5V = Device(
    mpn="TPS61023DRLR",
    maker="Texas Instruments",
    what="boost converter, 3.7 A valley current, disconnects its load when off, SOT-563",
    footprint="Package_TO_SOT_SMD:SOT-563",
    datasheet="TI SLVSF14, TPS61023",
    second_source="TI TPS61022RWUR (8 A, VQFN-7, other land pattern)",
    pins=pins(
        ("1", "FB", Kind.INPUT), ("2", "EN", Kind.INPUT), Pin("3", "VIN", _GND, volts=(0.5, 5.5)), ("4", "GND", _GND),
        ("5", "SW"), ("6", "VOUT", Kind.POWER_OUT),
    ),
    converter=Converter("VIN", "VOUT", 5.0, 0.88, 1500),
    draws=(Draw("VIN", 0.03, 0.03, 0.06, "electrical characteristics, quiescent current into VIN and VOUT"),),
    price=estimate("ic", 1.00, 0.55, 0.36),
)  # fmt: skip

DEVICES = (
    USB_C, USB_FUSE, USB_CLAMP, USB_ESD, CHARGER, CELL, CELL_SOCKET, CELL_FUSE, GUARD, GUARD_SWITCH, GAUGE,
    REGULATOR_3V3, REGULATOR_1V8, REGULATOR_5V,
)  # fmt: skip
