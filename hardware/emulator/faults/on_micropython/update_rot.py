"""Rot one cell of the flash at a time under a reader that was updated, and see what starts.

Run by MicroPython: `update_rot.py FIRMWARE OFFSET STEP`. A reader runs a release confirmed in the first slot, another
one is whole in the second, and then on trial there. In both, every STEP-th byte that holds anything, from OFFSET on,
has one bit flipped. Whatever the cell, the slot that starts is the one that started before; a file that is damaged is
seen against its manifest. Prints one line of figures, or one line `broken: …` with the place.
"""

import gc
import sys

import nor

nor.board(sys.argv[1])

from reader import receiving, renewal, slots  # noqa: E402

import update_life as life  # noqa: E402

BLOCKS = 96


def look(slot):
    """Whether the slot that starts, which must be this one, is damaged; ValueError: another starts."""
    found, _ = life.boot()
    life.hold(found == slot, "slot %d starts, not %d" % (found, slot))
    try:
        return receiving.flawed("", slot)
    except (OSError, receiving.manifest.ManifestError):
        return True


def rot(image, slot, offset, step, counts):
    for at in range(offset, len(image), step):
        if image[at] == 0xFF:
            continue
        counts[0] += 1
        flash = bytearray(image)
        flash[at] ^= 1 << at % 8
        try:
            nor.mount(nor.Flash(flash))
        except OSError:
            counts[2] += 1
            continue
        try:
            counts[1] += look(slot)
        except Exception as error:
            print("broken: bit %d of byte %d: %s: %s" % (at % 8, at, type(error).__name__, error))
            raise SystemExit(1) from None
        finally:
            nor.unmount()
        gc.collect()


def main(offset, step):
    image = nor.blank(BLOCKS)
    nor.mount(nor.Flash(image))
    life.settle()
    app = life.App()
    first, second = life.Image(2), life.Image(3)
    renewal.command(app, first.command())
    life.receive(app, first)
    state = slots.load("")
    state.awaited, state.slot, state.floor = None, 1, 2
    slots.keep(app, state)
    renewal.command(app, second.command())
    life.receive(app, second)
    nor.unmount()
    counts = [0, 0, 0]
    rot(image, 1, offset, step, counts)
    nor.mount(nor.Flash(image))
    try:
        renewal.look(app)
    except life.Restart:
        pass
    life.boot()
    nor.unmount()
    rot(image, 2, offset, step, counts)
    print("tried %d damaged %d dead %d" % tuple(counts))


main(int(sys.argv[2]), int(sys.argv[3]))
