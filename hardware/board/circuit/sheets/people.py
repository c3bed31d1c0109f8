"""What people touch, hear and see; the lid; the scanner. Lines that run to the outside meet an ESD array."""

from ..build import Sheet
from ..catalogue.optics import LID_SOCKET, PANEL_SOCKET
from ..catalogue.passives import C1U, C10U, C100N, R1K, R100, R100K
from ..catalogue.people import (
    BUTTON,
    BUZZER,
    DROP_DIODE,
    LEVER,
    SCANNER,
    SCANNER_SOCKET,
    SCREEN,
    STATUS_LED,
    TOUCH_ESD,
)
from ..rails import GND, V3, V5, VLED
from .switch import low_side


def draw(s: Sheet) -> None:
    s.place("DS1", SCREEN, {"GND": GND, "VCC": V3, "SCL": "I2C_SCL", "SDA": "I2C_SDA"})
    s.place("C18", C1U, {"1": V3, "2": GND}, "on the panel")
    s.place("SW1", BUTTON, {"1": "BUTTON_A", "2": GND}, "left")
    s.place("SW2", BUTTON, {"1": "BUTTON_B", "2": GND}, "right")
    ways = (V3, GND, "I2C_SDA", "I2C_SCL", "BUTTON_A", "BUTTON_B")
    s.place("J7", PANEL_SOCKET, {str(way): net for way, net in enumerate(ways, 1)}, "screen and buttons")
    s.place("SW3", LEVER, {"COM": GND, "NO": "LID"}, "closed by the lid")
    s.place("J8", LID_SOCKET, {"1": "LID", "2": GND})
    for number, net in ((35, "BUTTON_A"), (36, "BUTTON_B"), (37, "LID")):
        s.place(f"R{number}", R100K, {"1": V3, "2": net})
    nets = {"IO1": "BUTTON_A", "IO2": "BUTTON_B", "IO3": "LID", "IO4": "STRIP_PRESENT", "REF": V3, "GND": GND}
    s.place("U14", TOUCH_ESD, nets)
    s.place("BZ1", BUZZER, {"1": V5, "2": "BUZZER_K"})
    s.place("R38", R1K, {"1": V5, "2": "BUZZER_K"}, "discharges the sounder between pulses")
    low_side(s, 7, 39, "BUZZER", "BUZZER_K", "sounder")
    s.place("D6", DROP_DIODE, {"A": V5, "K": VLED}, "4.3 V: 3.3 V is then high enough (0.7 of the supply)")
    s.place("U15", STATUS_LED, {"VDD": VLED, "VSS": GND, "DIN": "STATUS_LED_DIN"})
    s.place("R41", R100, {"1": "STATUS_LED", "2": "STATUS_LED_DIN"})
    s.place("C28", C100N, {"1": VLED, "2": GND})
    s.place("A1", SCANNER, {"VCC": V3, "GND": GND, "RX": "SCANNER_TX", "TX": "SCANNER_RX"})
    s.place("J4", SCANNER_SOCKET, {"2": V3, "3": GND, "4": "SCANNER_TX", "5": "SCANNER_RX", "MP": GND})
    s.place("C29", C10U, {"1": V3, "2": GND})
    s.place("C30", C1U, {"1": V3, "2": GND})
