"""I2C bus 0 at 3.3 V with the clock, and the multiplexer to the spectral sensors, whose channels stand at 1.8 V.

The AS7341 takes 1.7 to 2.0 V, and the multiplexer holds its channels to what it is fed with itself: fed with 1.8 V,
its pins still bear the 3.3 V of the bus (TCA9548A datasheet, section 9.2.2), and no level shifter is needed.
"""

from ..build import Sheet
from ..catalogue.passives import C18P, C100N, R2K2, R10K
from ..catalogue.sensors import BACKUP_CELL, BACKUP_DIODES, CLOCK, CRYSTAL, MUX
from ..rails import GND, V1, V3, VCLOCK, VCOIN

# Multiplexer channel of each well.
WELLS = {"SAMPLE": 0, "CONTROL": 1}


def draw(s: Sheet) -> None:
    s.place("R14", R2K2, {"1": V3, "2": "I2C_SDA"})
    s.place("R15", R2K2, {"1": V3, "2": "I2C_SCL"})
    _clock(s)
    s.place(
        "U10",
        MUX,
        {
            "VCC": V1,
            "GND": GND,
            "A0": GND,
            "A1": GND,
            "A2": GND,
            "RESET#": "MUX_RESET",
            "SDA": "I2C_SDA",
            "SCL": "I2C_SCL",
            **{f"SD{channel}": f"{well}_SDA" for well, channel in WELLS.items()},
            **{f"SC{channel}": f"{well}_SCL" for well, channel in WELLS.items()},
        },
    )
    s.place("R16", R10K, {"1": V1, "2": "MUX_RESET"})
    s.place("C19", C100N, {"1": V1, "2": GND})
    for number, line in enumerate(wells_lines()):
        s.place(f"R{17 + number}", R2K2, {"1": V1, "2": line})


def wells_lines() -> list[str]:
    """Data and clock of each well, behind the multiplexer."""
    return [f"{well}_{line}" for well in WELLS for line in ("SDA", "SCL")]


def _clock(s: Sheet) -> None:
    s.place(
        "U9", CLOCK, {"OSCI": "XTAL_I", "OSCO": "XTAL_O", "VSS": GND, "SDA": "I2C_SDA", "SCL": "I2C_SCL", "VDD": VCLOCK}
    )
    s.place("Y1", CRYSTAL, {"1": "XTAL_I", "2": "XTAL_O"})
    s.place("C22", C18P, {"1": "XTAL_I", "2": GND}, "with the chip's own 25 pF: 12.5 pF with the traces")
    s.place("D2", BACKUP_DIODES, {"A1": V3, "A2": VCOIN, "K": VCLOCK})
    s.place("BT2", BACKUP_CELL, {"PLUS": VCOIN, "MINUS": GND})
    s.place("C23", C100N, {"1": VCLOCK, "2": GND})
