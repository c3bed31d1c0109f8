"""Makes firmware/board.py from the netlist: which GPIO each net of that name is on, and which address each part has.

The text around the numbers is here; every number that the circuit decides comes out of the netlist.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from . import s3
from .catalogue.module import MODULE, PADS
from .catalogue.people import SCREEN
from .catalogue.power import GAUGE
from .catalogue.sensors import CLOCK, MUX, SPECTRAL
from .findings import Finding
from .netlist import Netlist, NetlistError
from .rails import GND


@dataclass(frozen=True)
class Signal:
    """A pin that the firmware drives or reads: its net has its name. `note` is its comment in board.py."""

    name: str
    note: str = ""
    analogue: bool = False


@dataclass(frozen=True)
class Group:
    title: str
    signals: tuple[Signal, ...]


_NTC = "divider, 10 kohm 1 % to 3.3 V above, 10 kohm B3950 NTC to ground below"
PINS = (
    Group(
        "Linear array, TSL1401 class: 128 pixels, clocked out one a CLK after SI (TAOS TSL1401 datasheet, figure 1).",
        (
            Signal("ARRAY_AO", "{adc}", analogue=True),
            Signal("ARRAY_SI"),
            Signal("ARRAY_CLK"),
            Signal("STRIP_LED", "green, PWM"),
        ),
    ),
    Group(
        "Amplification block.",
        (
            Signal("NTC", f"{{adc}}: {_NTC}", analogue=True),
            Signal("WELL_LED", "blue, both wells, PWM"),
            Signal("HEATER", "MOSFET gate, PWM; low is off"),
            Signal("HEATER_CUTOUT", "input, high when the hardware thermal cut-out has opened"),
        ),
    ),
    Group(
        "People.",
        (
            Signal("BUTTON_A", "left button: active low, pull-up"),
            Signal("BUTTON_B", "right button: active low, pull-up"),
            Signal("LID", "low when the lid is closed, pull-up"),
            Signal("STRIP_PRESENT", "low when a cassette is in the tray, pull-up"),
            Signal("BUZZER", "PWM"),
            Signal("STATUS_LED", "one WS2812"),
        ),
    ),
)
_BUS = (Signal("I2C_SDA"), Signal("I2C_SCL"))
_SERIAL = (Signal("SCANNER_TX"), Signal("SCANNER_RX"))
SIGNALS = tuple(signal for group in PINS for signal in group.signals) + _BUS + _SERIAL

_HEAD = '''"""The board's pin map and bus addresses: ESP32-S3-WROOM-1 (N16R8).

One place for every number that the circuit decides; drivers take theirs from here. GPIO 26 to 37 belong to the module's
flash and octal PSRAM, 0, 3, 45 and 46 are straps, 19 and 20 are USB, so none of them appears (ESP32-S3-WROOM-1
datasheet v1.4, table 3). Analogue inputs are on ADC1, which works while the radio is on.

Made from the circuit in hardware/board by `python -m circuit generate`: change it there.
"""

from micropython import const
'''


def gpios(netlist: Netlist) -> dict[str, list[int]]:
    """The GPIOs of the module on each net that one of them is on."""
    found: dict[str, list[int]] = {}
    for part in netlist.of(MODULE.mpn):
        for pad, gpio in PADS.items():
            net = netlist.net_at((part.ref, str(pad)))
            if net is not None:
                found.setdefault(net, []).append(gpio)
    return found


def _gpio(netlist: Netlist, name: str) -> int:
    on = gpios(netlist).get(name, [])
    if len(on) != 1:
        raise NetlistError(f"{name} is on {len(on)} GPIOs of the module; it must be on one")
    return on[0]


def mux_address(netlist: Netlist) -> int:
    """By its straps A2, A1, A0 (TCA9548A datasheet, table 2)."""
    (mux,) = netlist.of(MUX.mpn)
    high = sum(bit for bit, name in ((1, "A0"), (2, "A1"), (4, "A2")) if netlist.net(mux.ref, name) != GND)
    return 0x70 + high


def channel_of(netlist: Netlist, well: str) -> int:
    """The multiplexer channel that the spectral sensor of a well ("sample", "control") is on."""
    (mux,) = netlist.of(MUX.mpn)
    for sensor in netlist.of(SPECTRAL.mpn):
        if not sensor.role.startswith(well):
            continue
        for channel in range(8):
            if netlist.net(mux.ref, f"SD{channel}") == netlist.net(sensor.ref, "SDA"):
                if netlist.net(mux.ref, f"SC{channel}") != netlist.net(sensor.ref, "SCL"):
                    raise NetlistError(f"data and clock of {sensor.ref} are on different channels")
                return channel
    raise NetlistError(f"no spectral sensor of the {well} well behind the multiplexer")


def _pin(netlist: Netlist, signal: Signal) -> str:
    gpio = _gpio(netlist, signal.name)
    note = signal.note.format(adc=f"ADC1_CH{s3.ADC1.get(gpio)}")
    return f"{signal.name} = const({gpio})" + (f"  # {note}" if note else "")


def _lines(netlist: Netlist) -> Iterator[str]:
    for group in PINS:
        yield ""
        yield f"# {group.title}"
        yield from (_pin(netlist, signal) for signal in group.signals)
    yield ""
    yield "# I2C bus 0, 400 kHz."
    yield from (_pin(netlist, signal) for signal in _BUS)
    yield f"I2C_OLED = const(0x{SCREEN.address:02X})  # SSD1306, 128 x 64"
    yield f"I2C_MUX = const(0x{mux_address(netlist):02X})  # TCA9548A"
    yield f"I2C_GAUGE = const(0x{GAUGE.address:02X})  # MAX17048"
    yield f"I2C_RTC = const(0x{CLOCK.address:02X})  # PCF8563"
    yield f"I2C_SPECTRAL = const(0x{SPECTRAL.address:02X})  # AS7341, one on each of two multiplexer channels"
    yield f"MUX_SAMPLE = const({channel_of(netlist, 'sample')})  # multiplexer channel of the sample well"
    yield f"MUX_CONTROL = const({channel_of(netlist, 'control')})  # multiplexer channel of the internal-control well"
    yield ""
    yield "# Scanner, GM65 class, UART 1 at 9600 baud, 8N1; each code ends with CR LF."
    yield "SCANNER_UART = const(1)"
    yield from (_pin(netlist, signal) for signal in _SERIAL)
    yield "SCANNER_BAUD = const(9600)"


def written(netlist: Netlist) -> str:
    """The text of firmware/board.py; NetlistError when a name has no pin."""
    return _HEAD + "\n".join(_lines(netlist)) + "\n"


def check(netlist: Netlist) -> list[Finding]:
    """Every firmware pin is on one GPIO of its own, and fits there."""
    found: list[Finding] = []
    on = gpios(netlist)
    used: dict[int, str] = {}
    for signal in SIGNALS:
        have = on.get(signal.name, [])
        if len(have) != 1:
            found.append(Finding("pins", signal.name, f"is on {len(have)} GPIOs of the module; it must be on one"))
        for gpio in have:
            other = used.setdefault(gpio, signal.name)
            if other != signal.name:
                found.append(Finding("pins", f"GPIO {gpio}", f"is both {other} and {signal.name}"))
            why = s3.complaint(gpio, signal.analogue)
            if why is not None:
                found.append(Finding("pins", signal.name, f"is on GPIO {gpio}, which {why}"))
    return found
