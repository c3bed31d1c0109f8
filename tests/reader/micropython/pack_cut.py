"""Cuts the power at every write while packs are kept on real littlefs; each restart finds the old pack or the new.

Run by MicroPython: `pack_cut.py IMAGE FAULTS PACKS`: the firmware's image, the folder of the flash in memory (`nor`),
and one of packs: `2`, `3` (versions of sars2-ag) and `other` (an assay that the image has not). Prints one line of
figures; what a restart finds wrongly is the exception.
"""

import gc
import sys

image_folder, faults, packs_folder = sys.argv[1:]


def taken(name):
    with open(packs_folder + "/" + name, "rb") as file:
        return file.read()


SECOND, THIRD, OTHER = taken("2"), taken("3"), taken("other")
sys.path.insert(0, faults)

import nor  # noqa: E402

nor.board(image_folder)

from reader import durable, packs  # noqa: E402

STEPS = ((SECOND, "sars2-ag", 1, 2), (THIRD, "sars2-ag", 2, 3), (OTHER, "other-ag", 0, 1))


def version(assay_id):
    found = packs.newest(assay_id)
    return 0 if found is None else found.version


def expect(good, sentence):
    if not good:
        raise ValueError(sentence)


def restart(image, step):
    """Start on what a cut left while `step` was kept, and go on from there."""
    pack, assay_id, old, new = step
    nor.mount(nor.Flash(image))
    try:
        found = version(assay_id)
        expect(found in (old, new), f"{assay_id} is {found}, neither {old} nor {new}")
        expect(packs.inspect() == [], "a pack is called damaged")
        expect(version(assay_id) == found, "looking at the packs changed one")
        packs.store(pack)
        expect(version(assay_id) == new, "it cannot be kept after the cut")
        expect(packs.by_gtin("02000000000022").id == "flu-ab-ag", "another assay is gone")
    finally:
        nor.unmount()
    nor.mount(nor.Flash(image))
    try:
        expect(version(assay_id) == new, "what was kept after the cut is gone")
    finally:
        nor.unmount()


def main():
    image = nor.blank(64)
    nor.mount(nor.Flash(image))
    # Once in a reader's life, and shown by the life of the journal: thousands of writes that say nothing of packs.
    durable.folder("/packs")
    durable.folder("/spare")
    nor.unmount()
    cuts = 0
    for step in STEPS:
        base = bytearray(image)
        log = []
        nor.mount(nor.Flash(image, log))
        packs.store(step[0])
        nor.unmount()
        for index, write in enumerate(log):
            for way in range(3 if write[2] else 1):
                flash = bytearray(base)
                nor.tear(flash, write, way, nor.Chance(index * 3 + way))
                try:
                    restart(flash, step)
                except Exception as error:
                    print(f"{nor.KINDS[write[0]]} {index} of {len(log)}, {nor.TEARS[way]}")
                    raise error
                cuts += 1
            nor.apply(base, write)
            gc.collect()
    print(f"cuts {cuts}")


main()
