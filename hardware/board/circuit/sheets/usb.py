"""From the USB-C socket through fuse, clamp and ESD array to the charger with its power path.

The socket asks for default USB current (5.1 kohm from each CC to ground: USB Type-C specification, table 4-25), so the
charger is held to the 500 mA of USB500 (EN1 high, EN2 low: bq2407x datasheet, table 2). What the rails take comes
first; the cell gets the rest, or helps out.
"""

from ..build import Sheet
from ..catalogue.passives import C1U, C10U, R1K78, R3K24, R5K1, R100K
from ..catalogue.power import CHARGER, USB_C, USB_CLAMP, USB_ESD, USB_FUSE
from ..rails import BAT, GND, VBUS, VBUS_IN, VSYS


def draw(s: Sheet) -> None:
    s.place(
        "J1",
        USB_C,
        {
            "GND": GND,
            "VBUS": VBUS_IN,
            "CC1": "USB_CC1",
            "CC2": "USB_CC2",
            "DP": "USB_DP",
            "DN": "USB_DN",
            "SHIELD": GND,
        },
    )
    s.place("R1", R5K1, {"1": "USB_CC1", "2": GND}, "says: a device, default current")
    s.place("R2", R5K1, {"1": "USB_CC2", "2": GND}, "the same, plug turned over")
    s.place("F1", USB_FUSE, {"1": VBUS_IN, "2": VBUS})
    s.place("D1", USB_CLAMP, {"K": VBUS, "A": GND})
    s.place("U1", USB_ESD, {"IO1": "USB_DP", "IO2": "USB_DN", "VBUS": VBUS, "GND": GND})
    s.place(
        "U2",
        CHARGER,
        {
            "IN": VBUS,
            "OUT": VSYS,
            "BAT": BAT,
            "TS": "CELL_NTC",
            "CE#": GND,
            "EN1": VSYS,
            "EN2": GND,
            "ILIM": "CHARGER_ILIM",
            "ISET": "CHARGER_ISET",
            "VSS": GND,
            "EP": GND,
        },
    )
    s.place("R3", R3K24, {"1": "CHARGER_ILIM", "2": GND}, "1610/R = 500 mA in, were EN2 high")
    s.place("R4", R1K78, {"1": "CHARGER_ISET", "2": GND}, "890/R = 500 mA into the cell")
    s.place("R5", R100K, {"1": VBUS, "2": GND}, "drains VBUS when the plug is out")
    s.place("C1", C1U, {"1": VBUS, "2": GND})
    s.place("C2", C10U, {"1": VSYS, "2": GND})
    s.place("C3", C10U, {"1": BAT, "2": GND})
