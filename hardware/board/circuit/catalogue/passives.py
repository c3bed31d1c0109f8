"""Resistors, capacitors, inductors: chip parts that many makers sell alike."""

from ..device import Device, Pin
from .prices import estimate

TWO = (Pin("1", "1"), Pin("2", "2"))
_RESISTOR_DATASHEET = "Yageo RC_L series, general purpose thick film chip resistors"
_CAPACITOR_DATASHEET = "Samsung Electro-Mechanics, multilayer ceramic capacitors, CL series"


def _ohms(code: str) -> float:
    """Ohms of a Yageo code: 5K1 is 5,100."""
    for letter, factor in (("R", 1.0), ("K", 1e3), ("M", 1e6)):
        if letter in code:
            whole, _, part = code.partition(letter)
            return float(f"{whole}.{part or 0}") * factor
    raise ValueError(code)


def _resistor(code: str) -> Device:
    return Device(
        mpn=f"RC0603FR-07{code}L",
        maker="Yageo",
        what=f"resistor {code}, 1 %, 0603",
        value=code,
        footprint="Resistor_SMD:R_0603_1608Metric",
        datasheet=_RESISTOR_DATASHEET,
        second_source="any 1 % 0603 thick film, 0.1 W: Vishay CRCW0603, Panasonic ERJ-3EKF",
        pins=TWO,
        ohms=_ohms(code),
        price=estimate("passive", 0.08, 0.008, 0.003),
    )


def _capacitor(mpn: str, value: str, what: str, size: str, one: float, hundred: float, thousand: float) -> Device:
    return Device(
        mpn=mpn,
        maker="Samsung Electro-Mechanics",
        what=f"capacitor {value}, {what}, {size}",
        value=value,
        footprint={"0603": "Capacitor_SMD:C_0603_1608Metric", "0805": "Capacitor_SMD:C_0805_2012Metric"}[size],
        datasheet=_CAPACITOR_DATASHEET,
        second_source=f"any {value} {what} {size}: Murata GRM, TDK C",
        pins=TWO,
        price=estimate("passive", one, hundred, thousand),
    )


def _inductor(mpn: str, value: str, second: str, limit_ma: float) -> Device:
    return Device(
        mpn=mpn,
        maker="Bourns",
        what=f"inductor {value}, shielded, 4 by 4 by 2 mm",
        value=value,
        footprint="doorstep:L_Bourns_SRP4020TA",
        datasheet="Bourns SRP4020TA series",
        second_source=second,
        pins=TWO,
        joins=True,
        limit_ma=limit_ma,
        price=estimate("discrete", 0.55, 0.26, 0.17),
    )


R100 = _resistor("100R")
R360 = _resistor("360R")
R1K = _resistor("1K")
R1K78 = _resistor("1K78")
R2K2 = _resistor("2K2")
R3K24 = _resistor("3K24")
R5K1 = _resistor("5K1")
R10K = _resistor("10K")
R91K = _resistor("91K")
R100K = _resistor("100K")
R511K = _resistor("511K")
R732K = _resistor("732K")

C18P = _capacitor("CL10C180JB8NNNC", "18p", "C0G 50 V", "0603", 0.08, 0.012, 0.005)
C100N = _capacitor("CL10B104KB8NNNC", "100n", "X7R 50 V", "0603", 0.08, 0.012, 0.004)
C1U = _capacitor("CL10A105KB8NNNC", "1u", "X5R 50 V", "0603", 0.10, 0.020, 0.008)
C10U = _capacitor("CL21A106KAYNNNE", "10u", "X5R 25 V", "0805", 0.15, 0.045, 0.020)
C22U = _capacitor("CL21A226MAYNNNE", "22u", "X5R 25 V", "0805", 0.22, 0.085, 0.045)

L470N = _inductor("SRP4020TA-R47M", "470n", "Coilcraft XFL4020-471MEC, Würth 744383340047 (other land patterns)", 8000)
L1U = _inductor("SRP4020TA-1R0M", "1u", "Coilcraft XFL4020-102MEC, Würth 74438357010 (other land patterns)", 6000)

DEVICES = (
    R100, R360, R1K, R1K78, R2K2, R3K24, R5K1, R10K, R91K, R100K, R511K, R732K,
    C18P, C100N, C1U, C10U, C22U, L470N, L1U,
)  # fmt: skip
