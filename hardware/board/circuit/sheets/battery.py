"""The cell, its fuse, its protection on the negative side, and the gauge.

The protection opens at 150 mV over two pairs of switches side by side: 5.4 A as a rule and 3.3 A at the least, warm.
That is above what the board takes at worst and below what the cell may give (DW01A datasheet, figure 1). The pack has
its own, too.
"""

from ..build import Sheet
from ..catalogue.passives import C100N, R1K, R100
from ..catalogue.power import CELL, CELL_FUSE, CELL_SOCKET, GAUGE, GUARD, GUARD_SWITCH
from ..rails import BAT, CELL_MINUS, CELL_PLUS, GND, GUARD_VCC


def draw(s: Sheet) -> None:
    s.place("BT1", CELL, {"PLUS": CELL_PLUS, "MINUS": CELL_MINUS, "NTC": "CELL_NTC"})
    s.place("J2", CELL_SOCKET, {"1": CELL_PLUS, "2": CELL_MINUS, "3": "CELL_NTC"})
    s.place("F2", CELL_FUSE, {"1": CELL_PLUS, "2": BAT})
    s.place("U3", GUARD, {"OD": "GUARD_OD", "OC": "GUARD_OC", "CS": "GUARD_CS", "VCC": GUARD_VCC, "GND": CELL_MINUS})
    s.place("R6", R100, {"1": CELL_PLUS, "2": GUARD_VCC})
    s.place("C4", C100N, {"1": GUARD_VCC, "2": CELL_MINUS})
    s.place("R7", R1K, {"1": "GUARD_CS", "2": GND})
    for ref in ("Q1", "Q2"):
        nets = {"S1": CELL_MINUS, "G1": "GUARD_OD", "D": "GUARD_MID", "G2": "GUARD_OC", "S2": GND}
        s.place(ref, GUARD_SWITCH, nets, "discharge, charge")
    s.place(
        "U4",
        GAUGE,
        {
            "CELL": BAT,
            "VDD": BAT,
            "GND": GND,
            "CTG": GND,
            "QSTRT": GND,
            "SCL": "I2C_SCL",
            "SDA": "I2C_SDA",
            "EP": GND,
        },
    )
    s.place("C5", C100N, {"1": BAT, "2": GND})
