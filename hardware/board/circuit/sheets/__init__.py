"""The circuit, a sheet a file, in the order in which current and signals go."""

from ..build import Drawing
from . import battery, bus, controller, heat, people, rails, strip, usb

SHEETS: tuple[tuple[str, str, Drawing], ...] = (
    ("usb", "USB-C and charger", usb.draw),
    ("battery", "Cell, its protection and gauge", battery.draw),
    ("rails", "Rails: 3.3 V, 1.8 V, 5 V", rails.draw),
    ("controller", "Controller", controller.draw),
    ("bus", "I2C: clock and multiplexer", bus.draw),
    ("strip", "Strip window", strip.draw),
    ("heat", "Amplification block: heat, cut-out, lamps, spectral sensors", heat.draw),
    ("people", "People: panel, lid, sound, light, scanner", people.draw),
)
