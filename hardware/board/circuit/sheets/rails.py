"""The three rails: 3.3 V for all that is digital, 1.8 V for the spectral sensors, 5 V for heater and lamps.

3.3 V comes by a buck-boost, because the thermistor's divider is read against it and must not sag with the cell.
"""

from ..build import Sheet
from ..catalogue.passives import C1U, C10U, C22U, C100N, L1U, L470N, R91K, R100K, R511K, R732K
from ..catalogue.power import REGULATOR_1V8, REGULATOR_3V3, REGULATOR_5V
from ..rails import GND, V1, V3, V5, VSYS


def draw(s: Sheet) -> None:
    s.place(
        "U5",
        REGULATOR_3V3,
        {
            "EN": VSYS,
            "MODE": GND,
            "VIN": VSYS,
            "L1": "BUCK_L1",
            "L2": "BUCK_L2",
            "VOUT": V3,
            "FB": "BUCK_FB",
            "AGND": GND,
            "PGND": GND,
        },
    )
    s.place("L1", L470N, {"1": "BUCK_L1", "2": "BUCK_L2"})
    s.place("R8", R511K, {"1": V3, "2": "BUCK_FB"}, "0.5 V (1 + 511/91) = 3.31 V")
    s.place("R9", R91K, {"1": "BUCK_FB", "2": GND})
    s.place("C6", C10U, {"1": VSYS, "2": GND})
    s.place("C7", C22U, {"1": V3, "2": GND})
    s.place("C8", C22U, {"1": V3, "2": GND}, "for the bursts of the radio")
    s.place("U6", REGULATOR_1V8, {"IN": V3, "EN": V3, "OUT": V1, "GND": GND})
    s.place("C9", C1U, {"1": V3, "2": GND})
    s.place("C10", C1U, {"1": V1, "2": GND})
    s.place("U7", REGULATOR_5V, {"VIN": VSYS, "EN": VSYS, "SW": "BOOST_SW", "VOUT": V5, "FB": "BOOST_FB", "GND": GND})
    s.place("L2", L1U, {"1": VSYS, "2": "BOOST_SW"})
    s.place("R10", R732K, {"1": V5, "2": "BOOST_FB"}, "0.595 V (1 + 732/100) = 4.95 V")
    s.place("R11", R100K, {"1": "BOOST_FB", "2": GND})
    s.place("C11", C10U, {"1": VSYS, "2": GND})
    s.place("C12", C22U, {"1": V5, "2": GND})
    s.place("C13", C22U, {"1": V5, "2": GND})
    s.place("C14", C100N, {"1": V5, "2": GND})
