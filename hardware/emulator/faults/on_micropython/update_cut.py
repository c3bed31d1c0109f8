"""Cut the power at every program, erase and sync of an update's life on real littlefs, with each tear; check what each
restart starts.

Run by MicroPython: `update_cut.py FIRMWARE SEED STEP`: of each of the cuts, every STEP-th from SEED on. Prints one line
of figures, or one line `broken: …` with the place.
"""

import gc
import sys

import nor

nor.board(sys.argv[1])

import update_life as life  # noqa: E402  its imports are found on the board's tree

BLOCKS = 96
_ON = 5  # every so many cuts another image is brought after


def restart(image, allowed, on):
    nor.mount(nor.Flash(image))
    try:
        app = life.check(allowed)
        return on and life.go_on(app)
    finally:
        nor.unmount()


def main(seed, step):
    image = nor.blank(BLOCKS)
    nor.mount(nor.Flash(image))
    life.settle()
    nor.unmount()
    base = bytearray(image)
    log = []
    nor.mount(nor.Flash(image, log))
    lived = life.Life(log)
    lived.run()
    nor.unmount()
    cuts = brought = moment = place = 0
    for index, write in enumerate(log):
        while moment + 1 < len(lived.moments) and lived.moments[moment + 1][0] <= index:
            moment += 1
        for way in range(3 if write[2] else 1):
            place += 1
            if (place + seed) % step:
                continue
            flash = bytearray(base)
            nor.tear(flash, write, way, nor.Chance(seed * 65537 + index))
            try:
                brought += restart(flash, lived.moments[moment][1], cuts % _ON == 0)
            except Exception as error:
                where = "%s %d of %d, %s" % (nor.KINDS[write[0]], index, len(log), nor.TEARS[way])
                print("broken: %s: %s: %s" % (where, type(error).__name__, error))
                raise SystemExit(1) from None
            cuts += 1
        nor.apply(base, write)
        if index % 16 == 0:
            gc.collect()
    print("cuts %d writes %d states %d brought %d" % (cuts, len(log), len(lived.moments), brought))


main(int(sys.argv[2]), int(sys.argv[3]))
