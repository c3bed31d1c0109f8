"""Runs first, and is never replaced over the air: chooses the application and puts its folder first on the path.

What it cannot read or write means the application before, and in the end the one that the reader was made with, which
lies beside this file. It imports nothing of an application, because that may be what is broken. `reader.slots` keeps
the state in two copies, which begin for ever as here: CRC-32 of all behind it, how often it was kept (4 bytes), the
slot confirmed, the slot on trial or 0, its starts in a row that did not get well, its starts in all, what is to be
told, drops (a byte each), the release on trial, the highest confirmed, an event, the release to be told of (4 bytes
each).
"""

import os
import sys
from binascii import crc32

slot = 0
trial = False
_COPIES = ("/slots.a", "/spare/slots.b")


def kept():
    later = b""
    for path in _COPIES:
        try:
            with open(path, "rb") as file:
                data = file.read(256)
        except OSError:
            continue
        if len(data) >= 34 and crc32(data[4:]) == int.from_bytes(data[:4], "big") and data[4:] > later:
            later = data[4:]
    return bytearray(later)


def keep(data):
    data[:4] = (int.from_bytes(data[:4], "big") + 1).to_bytes(4, "big")
    for path in _COPIES:
        with open(path + ".new", "wb") as file:
            file.write(crc32(data).to_bytes(4, "big") + data)
        os.rename(path + ".new", path)


def damaged():
    """What was confirmed does not load, as main.py found: after three starts, what the reader was made with."""
    data = kept()
    data[6] += 1
    if data[6] >= 3:
        data[4] = data[6] = 0
        data[8] = 0x45
        data[18:26] = bytes(4) + data[14:18]
    keep(data)


def choose():
    global slot, trial
    data = kept()
    if not data or "provisioning" in os.listdir("/"):  # a board that is set up anew must not be cut short by a watchdog
        return
    if data[4] <= 2:
        slot = data[4]
    tried = data[5]
    if tried not in (1, 2):
        return
    if data[6] >= 3 or data[7] >= 30:
        data[8] = 0x15 if data[6] >= 3 else 0x25  # it went back, and why
        data[5] = data[6] = data[7] = 0
        data[18:26] = bytes(4) + data[10:14]
        keep(data)
        return
    data[6] += 1
    data[7] += 1
    keep(data)
    from machine import WDT

    WDT(timeout=30000)  # nothing stops it any more
    slot = tried
    trial = True


try:
    choose()
except Exception as error:  # a start that is not counted must not happen: the application before starts
    sys.print_exception(error)
if slot:
    sys.path.insert(0, "/slot_" + " ab"[slot])
