"""The controller module. A net that the firmware knows has the name that it has there; board.py is made from it.

Straps (ESP32-S3 datasheet, strapping pins): GPIO 0 is pulled up and reaches a test pad, low at reset it starts the
loader; 3, 45 and 46 are left to their own resistors. GPIO 19 and 20 are USB; 35 to 37 belong to the octal PSRAM.
"""

from ..build import Sheet
from ..catalogue.module import MODULE, TEST_PAD
from ..catalogue.passives import C1U, C22U, C100N, R10K
from ..rails import GND, V3

# GPIO and net: the one place where a firmware pin is chosen.
GPIO = {
    4: "ARRAY_AO",
    5: "NTC",
    6: "ARRAY_SI",
    7: "ARRAY_CLK",
    8: "I2C_SDA",
    9: "I2C_SCL",
    11: "SCANNER_TX",
    12: "SCANNER_RX",
    13: "BUTTON_A",
    14: "BUTTON_B",
    15: "STRIP_LED",
    16: "WELL_LED",
    17: "HEATER",
    18: "BUZZER",
    21: "LID",
    38: "STATUS_LED",
    47: "HEATER_CUTOUT",
    48: "STRIP_PRESENT",
}


def draw(s: Sheet) -> None:
    nets = {f"IO{gpio}": net for gpio, net in GPIO.items()}
    nets |= {"GND": GND, "3V3": V3, "EN": "CHIP_EN", "IO19": "USB_DN", "IO20": "USB_DP", "IO0": "BOOT"}
    nets |= {"IO43": "LOADER_TX", "IO44": "LOADER_RX"}
    s.place("U8", MODULE, nets)
    s.place("C15", C22U, {"1": V3, "2": GND})
    s.place("C16", C100N, {"1": V3, "2": GND})
    s.place("R12", R10K, {"1": V3, "2": "CHIP_EN"}, "10 ms after the rail (datasheet, figure 8)")
    s.place("C17", C1U, {"1": "CHIP_EN", "2": GND})
    s.place("R13", R10K, {"1": V3, "2": "BOOT"}, "starts from flash")
    for ref, net in (("TP1", "CHIP_EN"), ("TP2", "BOOT"), ("TP3", "LOADER_TX"), ("TP4", "LOADER_RX"), ("TP5", GND)):
        s.place(ref, TEST_PAD, {"1": net})
