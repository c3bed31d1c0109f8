# ruff: noqa: UP031
"""Seal and open records of 1 KB and 4 KB and hold a session under the heap this was started with; print what it took.

Run: `micropython -X heapsize=128K memory.py FIRMWARE_FOLDER`. A MemoryError is the failure; the figures are bytes and
microseconds.
"""

import gc
import sys
import time

sys.path.insert(0, sys.argv[1])

from reader import cbor, cose, wire

gc.collect()
MODULES = gc.mem_alloc()
KEY = bytes(range(32))
READER = b"reader-1"


def took(action, rounds):
    """Return microseconds of one `action`, the least of a few rounds."""
    best = 1 << 30
    for _ in range(rounds):
        gc.collect()
        began = time.ticks_us()
        action()
        best = min(best, time.ticks_diff(time.ticks_us(), began))
    return best


def peak(action):
    """Return the heap bytes that one `action` allocates in all, with the collector off: no less than its peak."""
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    kept = action()
    used = gc.mem_alloc() - before
    gc.enable()
    return used, kept


def sealing(size):
    plaintext = bytes(size)
    return lambda: cose.seal_record(KEY, READER, 7, bytes(16), 0, plaintext, bytes(9))


def main():
    largest = wire.RECORD_MAX - 120
    small = took(sealing(1024), 9)
    seal = sealing(largest)
    large = took(seal, 9)
    used, sealed = peak(seal)
    opening = lambda: cose.open_record(lambda generation: KEY, READER, sealed)  # noqa: E731
    opened, found = peak(opening)
    assert len(found.plaintext) == largest
    found = None
    # A length that lies must be refused before memory is taken for it.
    lie, _ = peak(lambda: refused(b"\x9a\x00\x00\x0f\xff" + bytes(64)))
    assert lie < 2000, lie
    sealed = None
    from reader.session import Session

    gc.collect()
    before = gc.mem_alloc()
    session = Session(Identity(), Journal(), None)
    gc.collect()
    held = gc.mem_alloc() - before
    assert session.next_control(20) is None
    for _ in range(50):
        seal()
    values = (MODULES, small, large, took(opening_of(seal()), 5), used, opened, held, gc.mem_free())
    print(
        "modules %d seal_1k_us %d seal_4k_us %d open_4k_us %d seal_4k_bytes %d open_4k_bytes %d session_bytes %d "
        "left %d" % values
    )


def opening_of(sealed):
    return lambda: cose.open_record(lambda generation: KEY, READER, sealed)


def refused(data):
    try:
        cbor.decode(data)
    except cbor.CborError:
        return
    raise AssertionError("a lie was believed")


class Identity:
    reader_id = READER


class Journal:
    first = next = 1


main()
