"""What is known of a part before it is placed: maker, pins, what it draws, what it may cost."""

from dataclasses import dataclass
from enum import Enum

MODES = ("resting", "typical", "worst")


class Kind(Enum):
    """What a pin is to the net it is on."""

    PASSIVE = "passive"
    INPUT = "input"
    OUTPUT = "output"
    BIDIRECTIONAL = "bidirectional"
    OPEN_DRAIN = "open_collector"
    POWER_IN = "power_in"
    POWER_OUT = "power_out"
    UNUSED = "no_connect"


@dataclass(frozen=True)
class Pin:
    """A pin by its number on the footprint and its name; pins of one name go to one net. `may_float` may be left
    open. `volts` is what a supply pin may be given (recommended operating conditions)."""

    number: str
    name: str
    kind: Kind = Kind.PASSIVE
    may_float: bool = False
    volts: tuple[float, float] | None = None


@dataclass(frozen=True)
class Price:
    """Pounds each when buying for 1, 100 and 1,000 boards: an estimate, never a quotation."""

    one: float
    hundred: float
    thousand: float
    basis: str


@dataclass(frozen=True)
class Draw:
    """mA into a supply pin: at rest (dark, advertising), typical (an amplification held at its temperature, the screen
    lit), worst (everything at once)."""

    pin: str
    resting_ma: float
    typical_ma: float
    worst_ma: float
    source: str


@dataclass(frozen=True)
class Load:
    """A part whose current the circuit sets: forward voltage, own resistance, and the share of time it is on in each
    mode. The rest is the resistor in series with it."""

    forward_v: float
    ohms: float
    duties: tuple[float, float, float]


@dataclass(frozen=True)
class Converter:
    """A regulator from one pin to another: volts out, efficiency (1.0 and `linear` for a linear one: current goes
    through), the most that it gives at the lowest input here, mA."""

    into: str
    out: str
    volts: float
    efficiency: float
    limit_ma: float
    linear: bool = False


@dataclass(frozen=True)
class Device:
    """A part of the catalogue. `second_source` says what may be bought instead, and what changes. `joins` marks a part
    that carries supply through (fuse, inductor, closed switch). `wired` is off the main board, on the wires
    of a connector. `bare` is copper only and is not bought. `limit_ma` what it may carry."""

    mpn: str
    maker: str
    what: str
    footprint: str
    datasheet: str
    second_source: str
    pins: tuple[Pin, ...]
    price: Price
    value: str = ""
    joins: bool = False
    wired: bool = False
    bare: bool = False
    address: int | None = None
    ohms: float | None = None
    limit_ma: float | None = None
    draws: tuple[Draw, ...] = ()
    load: Load | None = None
    converter: Converter | None = None

    def pin(self, name: str) -> Pin:
        """The first pin of that name; KeyError."""
        for pin in self.pins:
            if pin.name == name:
                return pin
        raise KeyError(f"{self.mpn} has no pin {name}")


def pins(*rows: tuple[str, str] | tuple[str, str, Kind] | Pin) -> tuple[Pin, ...]:
    """Pins from (numbers, name, kind) rows; numbers of one name apart by spaces, kind passive when left out."""
    found: list[Pin] = []
    for row in rows:
        if isinstance(row, Pin):
            found.append(row)
        else:
            kind = row[2] if len(row) == 3 else Kind.PASSIVE
            found.extend(Pin(number, row[1], kind) for number in row[0].split())
    return tuple(found)
