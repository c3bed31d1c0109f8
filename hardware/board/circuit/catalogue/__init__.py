"""Every part that the board may use, by manufacturer number.

Datasheets are named by title and revision, as a person would look for them. Prices are estimates (prices.py).
"""

from ..device import Device
from . import module, optics, passives, people, power, sensors

CATALOGUE: dict[str, Device] = {
    device.mpn: device for home in (module, optics, passives, people, power, sensors) for device in home.DEVICES
}
