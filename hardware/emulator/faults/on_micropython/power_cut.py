"""Cut the power at every program, erase and sync of a reader's life on real littlefs, with each tear; check what each
restart finds.

Run by MicroPython: `power_cut.py FIRMWARE PACK SEED AGAIN`, PACK a file with an assay pack. With AGAIN above 0, cut
instead at every write of the first life after a cut, for one in AGAIN of the first cuts. The life runs once on a flash
that logs each write; then, for each of them, the flash is made anew as it was just before, the write is torn, and
littlefs, the journal and the identity are started on it. Prints one line of figures, or one line `broken: …` with the
place.
"""

import gc
import sys

import nor

with open(sys.argv[2], "rb") as pack_file:
    PACK = pack_file.read()
nor.board(sys.argv[1])

import life  # noqa: E402  its imports are found on the board's tree

BLOCKS = 64


def restart(image, known, sealed, chance):
    """Start on what a cut left, compare, live on, and start once more."""
    nor.mount(nor.Flash(image))
    try:
        identity, journal = life.check(known, sealed)
        number, after = life.live_on(identity, journal, chance)
        down = identity.down
        life.use_on()
    finally:
        nor.unmount()
    nor.mount(nor.Flash(image))
    try:
        life.check_restart(number, after, down)
    finally:
        nor.unmount()


def cut_again(image, known, sealed, seed):
    """Cut the first life after a cut at each of its writes too; return the number of cuts."""
    log = []
    nor.mount(nor.Flash(bytearray(image), log))
    try:
        identity, journal = life.open_all()
        pending = journal.pending()
        told = known.copy()
        told.next = journal.next
        told.facts = life.facts(identity, journal)
        number, after = life.live_on(identity, journal, nor.Chance(seed))
    finally:
        nor.unmount()
    told.pending = pending
    told.doing = ("append", True)
    sealed = dict(sealed)
    sealed[number] = after
    base = bytearray(image)
    for index, write in enumerate(log):
        flash = bytearray(base)
        nor.tear(flash, write, index % 3, nor.Chance(index + 7))
        # What appends here need not be what appended there: its bytes hold a random part.
        restart(flash, told, sealed, nor.Chance(seed))
        nor.apply(base, write)
    return len(log)


def main(seed, again):
    image = nor.blank(BLOCKS)
    nor.mount(nor.Flash(image))
    life.provision()
    life.open_all()
    nor.unmount()
    base = bytearray(image)
    log = []
    nor.mount(nor.Flash(image, log))
    lived = life.Life(seed, log)
    lived.run()
    nor.unmount()
    cuts = moment = 0
    for index, write in enumerate(log):
        while moment + 1 < len(lived.moments) and lived.moments[moment + 1][0] <= index:
            moment += 1
        known = lived.moments[moment][1]
        for way in range(3 if write[2] else 1):
            if again and (3 * index + way + seed) % again:
                continue
            flash = bytearray(base)
            nor.tear(flash, write, way, nor.Chance(seed * 65537 + index))
            try:
                if again:
                    cuts += cut_again(flash, known, lived.sealed, index)
                else:
                    restart(flash, known, lived.sealed, nor.Chance(index))
                    cuts += 1
            except Exception as error:
                where = "%s %d of %d, %s, during %r" % (
                    nor.KINDS[write[0]],
                    index,
                    len(log),
                    nor.TEARS[way],
                    known.doing,
                )
                print("broken: %s: %s: %s" % (where, type(error).__name__, error))
                raise SystemExit(1) from None
        nor.apply(base, write)
        if index % 16 == 0:
            gc.collect()
    held = lived.known.next - 1
    values = (cuts, len(log), len(lived.sealed), held, lived.refused)
    print("cuts %d writes %d issued %d held %d refused %d" % values)


life.take_pack(PACK)
main(int(sys.argv[3]), int(sys.argv[4]))
