"""A load switched to ground by the controller: off unless driven, so also in reset."""

from ..build import Sheet
from ..catalogue.optics import SWITCH
from ..catalogue.passives import R100, R100K
from ..rails import GND


def low_side(s: Sheet, number: int, resistor: int, control: str, load: str, what: str) -> None:
    """Transistor Q`number` with resistors R`resistor` and the next: `control` high pulls `load` to ground."""
    gate = f"{control}_GATE"
    s.place(f"Q{number}", SWITCH, {"G": gate, "S": GND, "D": load}, what)
    s.place(f"R{resistor}", R100, {"1": control, "2": gate})
    s.place(f"R{resistor + 1}", R100K, {"1": gate, "2": GND}, "off unless driven")
