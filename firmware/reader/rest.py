"""Rest: what the reader switches off when nobody has used it for some minutes, and what wakes it.

The radio has to stay up, so that a hub can collect at any hour, and that rules light sleep out: MicroPython's
`machine.lightsleep` stops the whole chip at once, the radio with it, and a central that calls then hears nothing
(ESP-IDF programming guide, Sleep Modes: wireless peripherals are powered down in light sleep, and Bluetooth is to be
disabled before; micropython issue 6396). The sleep between advertising events that ESP-IDF has is not in MicroPython.
What is left: the panel and the scanning engine sleep, the processor runs at 80 MHz, the least at which the radio works,
and the reader advertises once a second. The engine cannot see a code while it sleeps: a button, the lid or the tray
wake the reader, and so does a code from an engine that wakes by itself.
"""

import machine
from micropython import const

_RESTING_HZ = const(80000000)
_AWAKE_HZ = const(240000000)
_LOOK_MS = const(500)


async def until_wanted(app):
    """Rest until a button, the lid, the tray, a code or a fault; returns the code, or None. The press that wakes does
    no more: nobody has seen yet what it would mean."""
    parts = app.parts
    buttons = parts.buttons
    before = buttons.lid_closed, buttons.strip_in
    parts.screen.power(False)
    parts.scanner.sleep(True)
    app.link.rest(True)
    machine.freq(_RESTING_HZ)
    try:
        while True:
            press = await buttons.wait(_LOOK_MS)
            code = parts.scanner.poll()
            if press or code or app.untold or before != (buttons.lid_closed, buttons.strip_in):
                return code
    finally:
        machine.freq(_AWAKE_HZ)
        app.link.rest(False)
        parts.scanner.sleep(False)
        parts.screen.power(True)
