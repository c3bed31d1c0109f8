"""Rot one cell of the flash at a time under a reader's life, start on it, and see whether the reader knows.

Run by MicroPython: `rot.py FIRMWARE PACK LIFE OFFSET STEP`, PACK a file with an assay pack. The life of seed LIFE
runs to its end; then every STEP-th byte
that holds anything, from OFFSET on, has one bit flipped, and littlefs, the identity and the journal are started on it.
What a start gives must be what was written, or said to be damaged, with its number. Prints a line for each of the
first places at which something else was given and nothing said so, or no start was possible; then the figures.
"""

import gc
import sys

import nor

with open(sys.argv[2], "rb") as pack_file:
    PACK = pack_file.read()
nor.board(sys.argv[1])

from reader.custody import chain_hash  # noqa: E402
from reader.identity import IdentityError  # noqa: E402
from reader.journal import Damaged, Gone  # noqa: E402

import life  # noqa: E402

BLOCKS = 64


def look(known, sealed, first):
    """(numbers damaged, whether the reader says that it needs service) on the mounted flash; ValueError: unseen."""
    try:
        identity, journal = life.open_all()
    except IdentityError:
        return 0, True
    if journal.next != known.next:
        raise ValueError("the next number is %d, promised %d" % (journal.next, known.next))
    found = life.facts(identity, journal)
    for name in ("identity", "pack", "operators", "recalls", "quality", "used"):  # all that must not go back in time
        if found[name] != known.facts[name]:
            raise ValueError("%s is %r, promised %r" % (name, found[name], known.facts[name]))
    damaged = 0
    for number in range(max(first, journal.first), journal.next):
        try:
            if journal.read(number) != sealed[number]:
                raise ValueError("record %d is another" % number)
        except Damaged as error:
            if error.number != number:
                raise ValueError("record %d is called %d" % (number, error.number)) from None
            damaged += 1
        try:
            if journal.chain_hash(number) != chain_hash(sealed[number]):
                raise ValueError("the chain hash at %d is another" % number)
        except Gone:
            pass
    if max(first, found["released"] + 1) < journal.first:
        raise ValueError("records from %d to %d are gone" % (first, journal.first - 1))
    if journal.lost is None and journal.append(b"behind it") != known.next:
        raise ValueError("numbering did not go on")
    return damaged, journal.lost is not None


def main(seed, offset, step):
    image = nor.blank(BLOCKS)
    nor.mount(nor.Flash(image))
    life.provision()
    lived = life.Life(seed, [])
    lived.run()
    first = lived.journal.first
    nor.unmount()
    known, sealed = lived.known, lived.sealed
    tried = intact = damaged = service = dead = unseen = 0
    places = [at for at in range(offset, len(image), step) if image[at] != 0xFF]
    for at in places:
        flash = bytearray(image)
        flash[at] ^= 1 << (at + seed) % 8
        tried += 1
        try:
            nor.mount(nor.Flash(flash))
        except OSError as error:
            dead += 1
            print("dead: block %d byte %d: not mounted: %s" % (at // nor.BLOCK, at % nor.BLOCK, error))
            continue
        try:
            lost, needs = look(known, sealed, first)
            damaged += lost
            service += needs
            intact += not (lost or needs)
        except OSError as error:
            dead += 1
            print("dead: block %d byte %d: %s" % (at // nor.BLOCK, at % nor.BLOCK, error))
        except ValueError as error:
            unseen += 1
            if unseen < 12:
                print("unseen: block %d byte %d: %s" % (at // nor.BLOCK, at % nor.BLOCK, error))
        finally:
            nor.unmount()
        if tried % 16 == 0:
            gc.collect()
    values = (tried, len(sealed), damaged, service, dead, unseen, intact, known.next - first)
    print("tried %d issued %d damaged %d service %d dead %d unseen %d intact %d held %d" % values)


life.take_pack(PACK)
main(*(int(argument) for argument in sys.argv[3:6]))
