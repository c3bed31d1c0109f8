"""The strip window: linear array, green lamp, and the switch that a cassette closes."""

from ..build import Sheet
from ..catalogue.optics import GREEN
from ..catalogue.passives import C1U, C100N, R100K, R180
from ..catalogue.people import LEVER
from ..catalogue.sensors import ARRAY
from ..rails import GND, V3, V5
from .switch import low_side


def draw(s: Sheet) -> None:
    s.place("U13", ARRAY, {"SI": "ARRAY_SI", "CLK": "ARRAY_CLK", "AO": "ARRAY_AO", "VDD": V3, "GND": GND})
    s.place("C24", C100N, {"1": V3, "2": GND})
    s.place("C25", C1U, {"1": V3, "2": GND})
    s.place("D3", GREEN, {"A": "GREEN_A", "K": "GREEN_K"}, "strip lamp")
    s.place("R21", R180, {"1": V5, "2": "GREEN_A"}, "(5 - 3)/180 = 11 mA")
    low_side(s, 3, 22, "STRIP_LED", "GREEN_K", "strip lamp")
    s.place("SW4", LEVER, {"COM": GND, "NO": "STRIP_PRESENT"}, "closed by a cassette")
    s.place("R24", R100K, {"1": V3, "2": "STRIP_PRESENT"})
