"""The strip window: linear array, two green lamps, and the switch that a cassette presses, all on one plug."""

from ..build import Sheet
from ..catalogue.optics import GREEN, STRIP_SOCKET
from ..catalogue.passives import C1U, C100N, R100K, R360
from ..catalogue.people import TRAY_SWITCH
from ..catalogue.sensors import ARRAY
from ..rails import GND, V3, V5
from .switch import low_side


def draw(s: Sheet) -> None:
    s.place("U13", ARRAY, {"SI": "ARRAY_SI", "CLK": "ARRAY_CLK", "AO": "ARRAY_AO", "VDD": V3, "GND": GND})
    s.place("C24", C100N, {"1": V3, "2": GND})
    s.place("C25", C1U, {"1": V3, "2": GND})
    for number in (1, 2):
        anode = f"GREEN_{number}_A"
        s.place(f"D{6 + number}", GREEN, {"A": anode, "K": "GREEN_K"}, f"strip lamp {number}")
        s.place(f"R{41 + number}", R360, {"1": V5, "2": anode}, "(5 - 3)/360 = 5.6 mA")
    low_side(s, 3, 22, "STRIP_LED", "GREEN_K", "strip lamps")
    s.place("SW4", TRAY_SWITCH, {"1": "STRIP_PRESENT", "2": GND}, "pressed by a cassette")
    s.place("R24", R100K, {"1": V3, "2": "STRIP_PRESENT"})
    ways = (V3, GND, "ARRAY_AO", GND, "ARRAY_CLK", "ARRAY_SI", "GREEN_1_A", "GREEN_2_A", "GREEN_K", "STRIP_PRESENT")
    nets = {str(way): net for way, net in enumerate(ways, 1)}
    s.place("J6", STRIP_SOCKET, nets, "array 1 to 6, lamps 7 to 9, switch 10 and 4")
