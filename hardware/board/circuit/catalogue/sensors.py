"""What measures light, heat and time, on the I2C bus and beside it."""

from ..device import Device, Draw, Kind, Pin, pins
from .passives import TWO
from .prices import estimate

MUX = Device(
    mpn="TCA9548APWR",
    maker="Texas Instruments",
    what="I2C multiplexer, 8 channels, TSSOP-24",
    footprint="Package_SO:TSSOP-24_4.4x7.8mm_P0.65mm",
    datasheet="TI SCPS207, TCA9548A",
    second_source="NXP PCA9548APW (same pins; from 2.3 V: needs the 1.8 V bus at 2.5 V), Diodes PI4MSD5V9548A",
    pins=pins(
        ("1", "A0", Kind.INPUT), ("2", "A1", Kind.INPUT), ("3", "RESET#", Kind.INPUT),
        *(
            Pin(number, f"{line}{channel}", Kind.BIDIRECTIONAL, may_float=True)
            for channel, numbers in enumerate(("4 5", "6 7", "8 9", "10 11", "13 14", "15 16", "17 18", "19 20"))
            for line, number in zip(("SD", "SC"), numbers.split(), strict=True)
        ),
        ("12", "GND", Kind.POWER_IN), ("21", "A2", Kind.INPUT), ("22", "SCL", Kind.INPUT),
        ("23", "SDA", Kind.BIDIRECTIONAL), Pin("24", "VCC", Kind.POWER_IN, volts=(1.65, 5.5)),
    ),
    address=0x70,
    draws=(Draw("VCC", 0.001, 0.01, 0.03, "electrical characteristics, operating at 400 kHz"),),
    price=estimate("ic", 1.60, 0.85, 0.58),
)  # fmt: skip

SPECTRAL = Device(
    mpn="AS7341-DLGT",
    maker="ams OSRAM",
    what="spectral sensor, 11 channels, I2C, OLGA-8",
    footprint="Package_LGA:AMS_OLGA-8_2x3.1mm_P0.8mm",
    datasheet="ams DS000504 v3-00, AS7341",
    second_source="none with these registers; ams AS7343 needs another driver and calibration",
    pins=pins(
        Pin("1", "VDD", Kind.POWER_IN, volts=(1.7, 2.0)), ("2", "SCL", Kind.INPUT), ("3", "GND", Kind.POWER_IN),
        Pin("4", "LDR", Kind.OPEN_DRAIN, may_float=True), ("5", "PGND", Kind.POWER_IN),
        Pin("6", "GPIO", Kind.BIDIRECTIONAL, may_float=True), Pin("7", "INT", Kind.OPEN_DRAIN, may_float=True),
        ("8", "SDA", Kind.BIDIRECTIONAL),
    ),
    wired=True,
    address=0x39,
    draws=(Draw("VDD", 0.005, 0.21, 0.30, "electrical characteristics: sleep 0.7 uA typical, active 210 uA"),),
    price=estimate("ic", 6.60, 4.60, 3.90),
)  # fmt: skip

ARRAY = Device(
    mpn="TSL1401CL",
    maker="ams OSRAM",
    what="linear array, 128 pixels at 400 dots an inch",
    footprint="doorstep:TSL1401CL",
    datasheet="ams TSL1401CL v1-00",
    second_source="iC-Haus iC-LF1401 (128 pixels of the same pitch and clocking, other package)",
    pins=pins(
        ("1", "SI", Kind.INPUT), ("2", "CLK", Kind.INPUT), ("3", "AO", Kind.OUTPUT),
        Pin("4", "VDD", Kind.POWER_IN, volts=(3.0, 5.5)), Pin("5", "NC", Kind.UNUSED, may_float=True),
        ("6 7", "GND", Kind.POWER_IN), Pin("8", "NC", Kind.UNUSED, may_float=True),
    ),
    wired=True,
    draws=(Draw("VDD", 2.8, 2.8, 4.5, "electrical characteristics, supply current, typical and greatest"),),
    price=estimate("ic", 6.20, 4.10, 3.30),
)  # fmt: skip

CLOCK = Device(
    mpn="PCF8563T/5,518",
    maker="NXP",
    what="real-time clock, I2C, SO-8",
    footprint="Package_SO:SOIC-8_3.9x4.9mm_P1.27mm",
    datasheet="NXP PCF8563 rev 11",
    second_source="Diodes PT7C4563WEX, HGSEMI PCF8563M (same pins and registers)",
    pins=pins(
        ("1", "OSCI", Kind.INPUT), ("2", "OSCO", Kind.OUTPUT), Pin("3", "INT#", Kind.OPEN_DRAIN, may_float=True),
        ("4", "VSS", Kind.POWER_IN), ("5", "SDA", Kind.BIDIRECTIONAL), ("6", "SCL", Kind.INPUT),
        Pin("7", "CLKOUT", Kind.OPEN_DRAIN, may_float=True), Pin("8", "VDD", Kind.POWER_IN, volts=(1.8, 5.5)),
    ),
    address=0x51,
    draws=(Draw("VDD", 0.0003, 0.001, 0.2, "static characteristics; worst with the bus at 400 kHz"),),
    price=estimate("ic", 1.05, 0.55, 0.38),
)  # fmt: skip

CRYSTAL = Device(
    mpn="ABS07-32.768KHZ-T",
    maker="Abracon",
    what="crystal, 32.768 kHz, 12.5 pF, 3.2 by 1.5 mm",
    value="32.768 kHz",
    footprint="Crystal:Crystal_SMD_3215-2Pin_3.2x1.5mm",
    datasheet="Abracon ABS07",
    second_source="Epson FC-135 12.5 pF, ECS ECS-.327-12.5-34B",
    pins=TWO,
    price=estimate("discrete", 0.60, 0.36, 0.24),
)

BACKUP_DIODES = Device(
    mpn="BAT54C,215",
    maker="Nexperia",
    what="two Schottky diodes, common cathode, SOT-23",
    footprint="Package_TO_SOT_SMD:SOT-23",
    datasheet="Nexperia BAT54 series",
    second_source="onsemi BAT54CLT1G, Diodes BAT54C-7-F",
    pins=pins(("1", "A1"), ("2", "A2"), ("3", "K")),
    joins=True,
    limit_ma=200,
    price=estimate("discrete", 0.20, 0.06, 0.025),
)

BACKUP_CELL = Device(
    mpn="CR1220 in Keystone 3000",
    maker="Keystone (holder), Renata (cell)",
    what="lithium coin cell of 12 mm in its holder, for the clock",
    value="3 V",
    footprint="Battery:BatteryHolder_Keystone_3000_1x12mm",
    datasheet="Keystone 3000 drawing; Renata CR1220",
    second_source="holder: Linx BAT-HLD-012-SMT (same land pattern); cell: Panasonic CR1220",
    pins=pins(("1", "PLUS", Kind.POWER_OUT), ("2", "MINUS")),
    price=estimate("mechanical", 1.70, 1.05, 0.80),
)

THERMISTOR = Device(
    mpn="MF58-103F3950",
    maker="Cantherm",
    what="NTC in a glass bead, 10 kohm 1 %, B 3950, with 150 mm leads",
    value="10K NTC",
    footprint="wired",
    datasheet="Cantherm MF58 series",
    second_source="Nanjing Shiheng MF58 103F3950; any 10 kohm 1 % B 3950 glass bead",
    pins=TWO,
    wired=True,
    price=estimate("discrete", 0.60, 0.28, 0.16),
)

DEVICES = (MUX, SPECTRAL, ARRAY, CLOCK, CRYSTAL, BACKUP_DIODES, BACKUP_CELL, THERMISTOR)
