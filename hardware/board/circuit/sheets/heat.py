"""The amplification block: heater behind the thermal cut-out, thermistor; and at each well a blue lamp and a spectral
sensor.

The cut-out stands in the heater's supply and needs no firmware: above 85 degrees the current is broken, whatever the
transistor does. HEATER_CUTOUT is high when HEAT_FEED has no supply, so also when the block's plug is out or 5 V fails.
"""

from ..build import Sheet
from ..catalogue.optics import BLOCK_SOCKET, BLUE, CUTOUT, HEATER, SWITCH, WELLS_SOCKET
from ..catalogue.passives import C22U, C100N, R10K, R100K, R360
from ..catalogue.sensors import SPECTRAL, THERMISTOR
from ..rails import GND, HEAT_FEED, V1, V3, V5
from .bus import WELLS, wells_lines
from .switch import low_side


def draw(s: Sheet) -> None:
    nets = {"1": V5, "2": HEAT_FEED, "3": HEAT_FEED, "4": "HEAT_RETURN", "5": "NTC", "6": GND}
    s.place("J3", BLOCK_SOCKET, nets, "cut-out 1 and 2, heater 3 and 4, thermistor 5 and 6")
    s.place("TC1", CUTOUT, {"1": V5, "2": HEAT_FEED}, "thermal cut-out on the block")
    s.place("HT1", HEATER, {"1": HEAT_FEED, "2": "HEAT_RETURN"}, "heater under the block")
    s.place("TH1", THERMISTOR, {"1": "NTC", "2": GND}, "thermistor in the block")
    low_side(s, 4, 25, "HEATER", "HEAT_RETURN", "heater")
    s.place("C26", C22U, {"1": V5, "2": GND})
    s.place("R27", R10K, {"1": V3, "2": "NTC"}, "divider: 10 kohm 1 % above")
    s.place("C27", C100N, {"1": "NTC", "2": GND})
    s.place("R28", R100K, {"1": HEAT_FEED, "2": "CUTOUT_GATE"})
    s.place("R29", R100K, {"1": "CUTOUT_GATE", "2": GND})
    s.place("Q5", SWITCH, {"G": "CUTOUT_GATE", "S": GND, "D": "HEATER_CUTOUT"}, "low while HEAT_FEED has 5 V")
    s.place("R30", R10K, {"1": V3, "2": "HEATER_CUTOUT"}, "high when the cut-out has opened")
    _wells(s)


def _wells(s: Sheet) -> None:
    """Sensors and lamps, on one plug, so that the wells cannot be swapped where the reader is put together."""
    ways = (V1, GND, *wells_lines(), "BLUE_SAMPLE_A", "BLUE_CONTROL_A", "BLUE_K")
    s.place("J5", WELLS_SOCKET, {str(way): net for way, net in enumerate(ways, 1)}, "sensors 1 to 6, lamps 7 to 9")
    for number, well in enumerate(WELLS):
        nets = {"VDD": V1, "GND": GND, "PGND": GND, "SDA": f"{well}_SDA", "SCL": f"{well}_SCL"}
        s.place(f"U{11 + number}", SPECTRAL, nets, f"{well.lower()} well")
        s.place(f"C{20 + number}", C100N, {"1": V1, "2": GND}, "on the sensor's board")
    for number, well in enumerate(("sample", "control")):
        anode = f"BLUE_{well.upper()}_A"
        s.place(f"D{4 + number}", BLUE, {"A": anode, "K": "BLUE_K"}, f"lamp of the {well} well")
        s.place(f"R{31 + number}", R360, {"1": V5, "2": anode}, "(5 - 3)/360 = 5.6 mA")
    low_side(s, 6, 33, "WELL_LED", "BLUE_K", "both wells' lamps")
