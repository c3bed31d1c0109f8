# ruff: noqa: UP031, F821, E402
"""What boot.py chooses: `boot_cases.py FIRMWARE FAULTS` (the folder of the flash in memory) prints a line for each
case: its name, the slot, whether it is on trial, whether the watchdog runs, and the state that is then kept.
"""

import os
import sys

sys.path.insert(0, sys.argv[2])

import nor

nor.board(sys.argv[1])

import update_life as life

from reader import durable, slots

watched = []


class Watchdog:
    def __init__(self, timeout):
        watched.append(timeout)


sys.modules["machine"].WDT = Watchdog


def state(**values):
    found = slots.State()
    found.floor = 2
    found.release = 3
    for name, value in values.items():
        setattr(found, name, value)
    slots.keep(life.App(), found)


def rot(path):
    with open(path, "rb") as file:
        data = bytearray(file.read())
    data[9] ^= 4
    with open(path, "wb") as file:
        file.write(data)


def case(name, prepare):
    nor.mount(nor.Flash(nor.blank(32)))
    durable.folder("/spare")
    prepare()
    del watched[:]
    slot, trial = life.boot()
    try:
        now = slots.load("")
        kept = "%d %d %d %d %02x %d" % (now.slot, now.trial, now.row, now.starts, now.untold, now.untold_release)
    except slots.copies.BothDamaged:
        kept = "damaged"
    print(name, "|", slot, trial, watched == [30000], "|", kept)
    nor.unmount()


def disagree(later):
    """A copy of an earlier state beside one of a later."""
    state(slot=2)
    with open(("/spare/slots.b", "/slots.a")[later], "rb") as file:
        before = file.read()
    state(slot=1)
    with open(("/spare/slots.b", "/slots.a")[later], "wb") as file:
        file.write(before)


def rotten(*paths, **values):
    state(**values)
    for path in paths:
        rot(path)


def unwritable():
    state(slot=1, trial=2)
    os.mkdir("/slots.a.new")


def half_writable():
    state(slot=1, trial=2)
    os.mkdir("/spare/slots.b.new")


def set_up_anew():
    state(slot=1, trial=2)
    with open("/provisioning", "wb") as file:
        file.write(b"1")


def short():
    for path in ("/slots.a", "/spare/slots.b"):
        durable.replace(path, b"\0\0\0\1\1\2")


case("never updated", lambda: None)
case("confirmed", lambda: state(slot=1))
case("on trial", lambda: state(slot=1, trial=2))
case("on trial after the first application", lambda: state(trial=1))
case("second start", lambda: state(slot=1, trial=2, row=1, starts=7))
case("third start", lambda: state(slot=1, trial=2, row=2, starts=8))
case("three starts not well", lambda: state(slot=1, trial=2, row=3, starts=9))
case("thirtieth start", lambda: state(slot=1, trial=2, starts=29))
case("thirty starts", lambda: state(slot=1, trial=2, starts=30))
case("first copy rotten", lambda: rotten("/slots.a", slot=1))
case("second copy rotten", lambda: rotten("/spare/slots.b", slot=1, trial=2))
case("both copies rotten", lambda: rotten("/slots.a", "/spare/slots.b", slot=1, trial=2))
case("first copy is later", lambda: disagree(0))
case("second copy is later", lambda: disagree(1))
case("start cannot be counted", unwritable)
case("start is counted in one copy", half_writable)
case("set up anew", set_up_anew)
case("too short", short)
case("no such slot", lambda: state(slot=7))
case("no such slot on trial", lambda: state(slot=1, trial=7))

nor.mount(nor.Flash(nor.blank(32)))
durable.folder("/spare")
state(slot=1)
for _ in range(3):
    names = {"__name__": "__main__"}
    execfile("/.firmware/boot.py", names)
    names["damaged"]()
    now = slots.load("")
    print("damaged | %d | %d %02x %d" % (names["slot"], now.slot, now.untold, now.untold_release))
