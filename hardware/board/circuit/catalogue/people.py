"""What people touch, see and hear, and the engine that reads codes."""

from ..device import Device, Draw, Kind, Pin, pins
from .passives import TWO
from .prices import estimate

SCREEN = Device(
    mpn="HS96L03W2C03",
    maker="HS",
    what="OLED module, 128 by 64, 0.96 inch, SSD1306 on I2C, 4 pins",
    footprint="Connector_PinSocket_2.54mm:PinSocket_1x04_P2.54mm_Vertical",
    datasheet="HS HS96L03W2C03; Solomon Systech SSD1306 rev 1.1",
    second_source="Adafruit 326 (other holes), Waveshare 0.96inch OLED; any SSD1306 module with GND, VCC, SCL, SDA",
    pins=pins(
        ("1", "GND", Kind.POWER_IN), Pin("2", "VCC", Kind.POWER_IN, volts=(2.8, 5.5)), ("3", "SCL", Kind.INPUT),
        ("4", "SDA", Kind.BIDIRECTIONAL),
    ),
    wired=True,
    address=0x3C,
    draws=(Draw("VCC", 0.01, 12.0, 25.0, "assumption: depends on the module and on how many pixels are lit"),),
    price=estimate("module", 4.20, 2.30, 1.90),
)  # fmt: skip

SCANNER = Device(
    mpn="GM65-S",
    maker="Hangzhou Grow",
    what="engine for bar and QR codes, serial at 9600, 3.3 V",
    footprint="wired",
    datasheet="Hangzhou Grow GM65-S user manual V1.3",
    second_source="Grow GM60-S, GM66-S (same commands; check the plug), Waveshare 14810",
    pins=pins(
        Pin("1", "NC1", Kind.UNUSED, may_float=True), Pin("2", "VCC", Kind.POWER_IN, volts=(3.0, 3.6)),
        ("3", "GND", Kind.POWER_IN), ("4", "RX", Kind.INPUT), ("5", "TX", Kind.OUTPUT),
        Pin("6", "USB_DN", Kind.BIDIRECTIONAL, may_float=True), Pin("7", "USB_DP", Kind.BIDIRECTIONAL, may_float=True),
        Pin("8", "NC8", Kind.UNUSED, may_float=True), Pin("9", "BUZZER", Kind.OUTPUT, may_float=True),
        Pin("10", "LED", Kind.OUTPUT, may_float=True), Pin("11", "NC11", Kind.UNUSED, may_float=True),
        Pin("12", "TRIG", Kind.INPUT, may_float=True),
    ),
    wired=True,
    draws=(Draw("VCC", 3.0, 3.0, 160.0, "manual, section 1.2: asleep 3, standing by 30, reading 160"),),
    price=estimate("module", 21.00, 13.50, 11.50),
)  # fmt: skip

SCANNER_SOCKET = Device(
    mpn="FH12-12S-0.5SH(55)",
    maker="Hirose",
    what="socket for a flat cable, 12 ways, 0.5 mm",
    footprint="Connector_FFC-FPC:Hirose_FH12-12S-0.5SH_1x12-1MP_P0.50mm_Horizontal",
    datasheet="Hirose FH12 series",
    second_source="Molex 52271 series, 12 ways (check the land pattern)",
    pins=(
        *(Pin(str(n), str(n), may_float=True) for n in range(1, 13)),
        Pin("MP", "MP"),
    ),
    limit_ma=500,
    price=estimate("mechanical", 0.95, 0.55, 0.40),
)

BUTTON = Device(
    mpn="B3F-1000",
    maker="Omron",
    what="push button, 6 by 6 mm, 4.3 mm high, 0.98 N, under the panel's cap",
    footprint="Button_Switch_THT:SW_PUSH_6mm",
    datasheet="Omron B3F",
    second_source="C&K PTS645, TE FSM4JH (same holes)",
    pins=TWO,
    wired=True,
    price=estimate("mechanical", 0.30, 0.17, 0.12),
)

TRAY_SWITCH = Device(
    mpn="B3F-1050",
    maker="Omron",
    what="push button, 6 by 6 mm, 7.3 mm high, 0.98 N, its plunger in the tray",
    footprint="wired",
    datasheet="Omron B3F",
    second_source="C&K PTS645SM73 (7.3 mm)",
    pins=TWO,
    wired=True,
    price=estimate("mechanical", 0.35, 0.19, 0.14),
)

LEVER = Device(
    mpn="D2F-01L",
    maker="Omron",
    what="snap switch with a lever, for low currents",
    footprint="wired",
    datasheet="Omron D2F",
    second_source="ZF DB3C-A1LB, C&K ZMA00A150L (check the lever)",
    pins=pins(("1", "COM"), ("2", "NO"), Pin("3", "NC", may_float=True)),
    wired=True,
    price=estimate("mechanical", 1.50, 0.88, 0.66),
)

TOUCH_ESD = Device(
    mpn="SRV05-4HTG",
    maker="Littelfuse",
    what="ESD array for four lines, SOT-23-6",
    footprint="Package_TO_SOT_SMD:SOT-23-6",
    datasheet="Littelfuse SRV05-4",
    second_source="Semtech SRV05-4.TCT, ProTek SRV05-4-P-T7 (same pins)",
    pins=pins(("1", "IO1"), ("2", "GND"), ("3", "IO2"), ("4", "IO3"), ("5", "REF"), ("6", "IO4")),
    price=estimate("discrete", 0.50, 0.22, 0.12),
)

BUZZER = Device(
    mpn="PKLCS1212E2400-R1",
    maker="Murata",
    what="piezo sounder, 12 by 12 mm, 2.4 kHz",
    footprint="Buzzer_Beeper:Buzzer_Murata_PKLCS1212E",
    datasheet="Murata PKLCS1212E2400-R1",
    second_source="TDK PS1240P02BT (through holes, 4 kHz: quieter at 2.7 kHz)",
    pins=TWO,
    draws=(Draw("1", 0.0, 0.0, 6.0, "the 1 kohm beside it at half duty, and 17 nF at 2.7 kHz"),),
    price=estimate("discrete", 1.05, 0.62, 0.48),
)

STATUS_LED = Device(
    mpn="WS2812B",
    maker="Worldsemi",
    what="LED of three colours with its driver, 5050",
    footprint="LED_SMD:LED_WS2812B_PLCC4_5.0x5.0mm_P3.2mm",
    datasheet="Worldsemi WS2812B",
    second_source="Opsco SK6812 (same pins and timing)",
    pins=pins(
        Pin("1", "VDD", Kind.POWER_IN, volts=(3.5, 5.3)), Pin("2", "DOUT", Kind.OUTPUT, may_float=True),
        ("3", "VSS", Kind.POWER_IN), ("4", "DIN", Kind.INPUT),
    ),
    draws=(Draw("VDD", 1.0, 3.0, 52.0, "assumption: 1 dark (the datasheet gives none); 3 by 17 when white"),),
    price=estimate("discrete", 0.30, 0.11, 0.07),
)  # fmt: skip

DROP_DIODE = Device(
    mpn="1N4148WS",
    maker="Diodes",
    what="silicon diode, 75 V, 150 mA, SOD-323",
    footprint="Diode_SMD:D_SOD-323",
    datasheet="Diodes 1N4148WS",
    second_source="onsemi 1N4148WS, Nexperia BAS316",
    pins=pins(("1", "K"), ("2", "A")),
    joins=True,
    limit_ma=150,
    price=estimate("discrete", 0.12, 0.03, 0.012),
)

DEVICES = (
    SCREEN, SCANNER, SCANNER_SOCKET, BUTTON, TRAY_SWITCH, LEVER, TOUCH_ESD, BUZZER, STATUS_LED, DROP_DIODE,
)  # fmt: skip
