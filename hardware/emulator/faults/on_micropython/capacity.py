"""Fill a journal with records of 1 KB on littlefs, start on it, discard, and fill what is left to the last
block; say what each step would have cost on the part and how the wear is spread.

Run by MicroPython: `capacity.py FIRMWARE RECORDS BLOCKS`. Prints one line of figures, or one line `broken: …`. A
start costs what its flash operations cost (nor.py) and what the processor computes: measured here, without the calls
of this device in Python, and scaled by a loop that takes the board 5 us a turn (MicroPython on an ESP32-S3 at 240 MHz,
on the slow side) and this machine less.
"""

import gc
import sys
import time

import nor

nor.board(sys.argv[1])

from reader.custody import chain_hash, genesis  # noqa: E402
from reader.journal import Journal, JournalFull  # noqa: E402

READER = b"reader-1"
WINDOW = 500
_BOARD_NS_A_TURN = 5000


class Broken(Exception):
    pass


def hold(condition, sentence):
    if not condition:
        raise Broken(sentence)


def record(number):
    return number.to_bytes(4, "big") * 256


def turn_ns(turns=20000, tries=5):
    """What one turn of a loop takes here."""
    best = 1 << 30
    for _ in range(tries):
        began = time.ticks_us()
        x = 0
        for at in range(turns):
            x = (x * 7 + at) & 0xFFFF
        best = min(best, time.ticks_diff(time.ticks_us(), began))
    return max(1, best * 1000 // turns)


def call_ns(flash):
    """What one read through the device in Python takes here; on the board it is C."""
    buffer = bytearray(32)
    began = time.ticks_us()
    for at in range(5000):
        flash.readblocks(at & 63, buffer, 32)
    return time.ticks_diff(time.ticks_us(), began) // 5


def start(flash, call, turn):
    """Start a journal: (it, typical us on the board, worst us, reads, bytes); the best of five, each less what others
    compute here meanwhile, which a loop as long right after it tells."""
    cpu = 1 << 30
    for _ in range(5):
        gc.collect()
        reads, us, worst, size = flash.counts[0], flash.us, flash.worst_us, flash.read_bytes
        began = time.ticks_us()
        journal = Journal("/journal", genesis(READER))
        took = time.ticks_diff(time.ticks_us(), began)
        reads, us, worst, size = flash.counts[0] - reads, flash.us - us, flash.worst_us - worst, flash.read_bytes - size
        busy = max(turn, turn_ns(1000000, 1))
        cpu = min(cpu, max(0, took * 1000 * turn // busy - reads * call))
    board = cpu // 1000 * _BOARD_NS_A_TURN // turn
    return journal, us + board, worst + board, reads, size


class Costs:
    """Flash us of each append, by windows."""

    def __init__(self, flash):
        self._flash = flash
        self.greatest = 0
        self.windows = []
        self._sum = self._count = 0

    def append(self, journal, data):
        before = self._flash.us
        number = journal.append(data)
        cost = self._flash.us - before
        self.greatest = max(self.greatest, cost)
        self._sum += cost
        self._count += 1
        if self._count == WINDOW:
            self.windows.append(self._sum // WINDOW)
            self._sum = self._count = 0
        return number


def random_reads(flash, journal, buffer):
    """Return the flash us that one read at random costs, on average over 50."""
    before = flash.us
    number = 7
    for _ in range(50):
        number = (number * 7919 + 31) % (journal.next - 1) + 1
        hold(buffer[: journal.read_into(number, buffer)] == record(number), "record %d is another" % number)
    return (flash.us - before) // 50


def main(count, blocks):
    flash = nor.Flash(nor.blank(blocks))
    flash.count_erases()
    nor.mount(flash)
    turn, call = turn_ns(), call_ns(flash)
    journal = Journal("/journal", genesis(READER))
    buffer = bytearray(4096)
    costs = Costs(flash)
    few = 0
    for number in range(1, count + 1):
        hold(costs.append(journal, record(number)) == number, "the number is not %d" % number)
        if number == 100:
            few = random_reads(flash, journal, buffer)
    many = random_reads(flash, journal, buffer)
    journal = None
    nor.unmount()
    gc.collect()
    nor.mount(flash)
    journal, start_us, worst_us, reads, size = start(flash, call, turn)
    gc.collect()
    heap = gc.mem_alloc()
    other = Journal("/journal", genesis(READER))
    gc.collect()
    heap = gc.mem_alloc() - heap
    hold(other.next == count + 1, "another start finds another")
    hold((journal.first, journal.next) == (1, count + 1), "not all are held")
    room = journal.room_for()
    worn = sorted(flash.erased)
    # The last block: refused in words, nothing overwritten, and how many wait is known.
    number = count
    try:
        while number < 3 * count:
            number = journal.append(record(number + 1))
        raise Broken("it never says that it is full")
    except JournalFull as error:
        hold("hub" in str(error), "full storage says nothing of a hub")
    hold(number - count >= room, "%d more were promised, %d fitted" % (room, number - count))
    hold(journal.next - 1 - journal.released == number, "how many wait is not known")
    full, full_us, _, _, _ = start(flash, call, turn)
    hold(full.next == number + 1 and full.room_for() == 0, "a start on a full journal finds another")
    for held in range(1, number + 1, 97):
        hold(full.read(held) == record(held), "record %d was overwritten" % held)
    full.pending_set(bytes(2000))
    full.release(number - 1, chain_hash(record(number - 1)), bytes(8))
    while full.tidy():
        pass
    hold(full.first > number - 40, "what was released is not discarded")
    hold(full.read(number) == record(number), "what was not released is gone")
    hold(full.append(b"again") == number + 1, "there is no room after a receipt")
    first, last = costs.windows[0], costs.windows[-1]
    values = (count, number, start_us // 1000, worst_us // 1000, full_us // 1000, reads, size, heap)
    print(
        "records %d fitted %d start_ms %d start_worst_ms %d full_start_ms %d reads %d bytes %d heap %d " % values
        + "append_first_us %d append_last_us %d append_greatest_us %d read_few_us %d read_many_us %d "
        % (first, last, costs.greatest, few, many)
        + "erases_least %d erases_median %d erases_most %d erases_all %d"
        % (worn[0], worn[len(worn) // 2], worn[-1], sum(worn))
    )


try:
    main(int(sys.argv[2]), int(sys.argv[3]))
except Broken as error:
    print("broken: %s" % error)
