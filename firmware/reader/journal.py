"""The reader's journal: sealed records, append-only on littlefs, numbered without gap for life, discarded only by a
server's receipt.

littlefs commits a file's new content at `flush` as one step, so after a power cut a file is as it was at its last
flush. What this module adds: numbers and the chain hash survive full trimming (the last segment file is never
removed), a rotten record blocks nothing, the next record is refused before space runs out, and start-up reads one
segment file whatever the journal holds.

A rotten cell in littlefs's own log of a folder takes the folder back to an older state without a word (durable.py),
and the journal would issue its last numbers again. So the highest number issued is also noted beside the folder, in
the log of another one: a journal that is behind its note is lost.
"""

import os

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value):
        return value


from reader import durable, frames
from reader.custody import chain_hash
from reader.shelf import Shelf

SEGMENT_BYTES = const(32768)
RECORD_MAX = frames.RECORD_MAX
_RESERVE_BLOCKS = const(
    24
)  # for littlefs's copies of what is being rewritten, the receipt, the pending test and the identity
_TIDY_AT_ONCE = const(8)
_LITTLE_ROOM = const(4)


class JournalError(Exception):
    """The journal cannot do this; the sentence says what to do next."""


class JournalFull(JournalError):
    """No room: the records held must be collected and a receipt brought back first."""


class JournalLost(JournalError):
    """The end of the journal cannot be read, so the next number is not known: the reader needs service."""


class Damaged(JournalError):
    """The storage no longer holds this record whole."""

    def __init__(self, number):
        super().__init__("record %d is damaged" % number)
        self.number = number


class Gone(JournalError):
    """This number is not held."""


class ChainMismatch(JournalError):
    """A receipt's hash is not this journal's."""


class Journal:
    """Open the journal in folder `root` (made if absent); `genesis` is the previous hash of record 1.

    first, next   lowest number held and the number the next record gets
    tail_hash     chain hash at next - 1
    released, epoch   the highest number that a receipt released, and the epoch (8 bytes) of the server that sealed it
    lost          a JournalLost while the journal can be read but not written, else None
    """

    def __init__(self, root, genesis, segment_bytes=SEGMENT_BYTES):
        self._root = root
        self._genesis = genesis
        self._segment_bytes = min(segment_bytes, SEGMENT_BYTES)
        self._shelf = Shelf(root)
        self._open_tail()
        self._load_receipt()
        durable.settle(root[: root.rfind("/")])
        self._compare_note()
        self._measure()

    # -- start --

    def _open_tail(self):
        """Find the last record, and with it the next number and the chain hash."""
        shelf = self._shelf
        self.lost = None
        self._tail_dirty = False
        self.next = 1
        self.tail_hash = self._genesis
        if not shelf.firsts:
            return
        try:
            index = shelf.open_tail()
        except OSError:
            index = None
        if index is None or index.tail is None:
            # A file gets its name when its first record is durable, so this one had records.
            self._lose(shelf.firsts[-1])
            return
        self.next = index.next
        self.tail_hash = index.tail.chain
        self._tail_dirty = not index.clean
        if not index.torn:
            self._lose(index.next)

    def _lose(self, number):
        self.next = number
        self.tail_hash = None
        self.lost = JournalLost(
            "The end of the journal cannot be read. Records up to %d can be collected." % (number - 1)
        )

    def _load_receipt(self):
        self.released = 0
        self.epoch = bytes(8)
        self._released_hash = self._genesis
        data = durable.content(self._root + "/receipt")
        if data is not None and len(data) == 28:
            self.released = int.from_bytes(data[:4], "big")
            self._released_hash = data[4:20]
            self.epoch = data[20:28]
        elif self.first > 1:
            # The receipt rotted: what was discarded was released, and the head of the first file has the hash before
            # it.
            previous = self._shelf.chain(self.first - 1)
            if previous is not None:
                self.released = self.first - 1
                self._released_hash = previous
        if self.released >= self.next:
            self._lose(self.released + 1)

    def _compare_note(self):
        data = durable.content(self._root + ".last")
        last = 0 if data is None else int.from_bytes(data, "big")
        if last >= self.next:
            self._lose(last + 1)
        elif data is None or last < self.next - 1:
            self._note()

    def _note(self):
        try:
            durable.rewrite(self._root + ".last", (self.next - 1).to_bytes(4, "big"))
        except OSError:
            pass  # the record is durable, which is what was promised; the next one brings the note up to date

    @property
    def first(self):
        firsts = self._shelf.firsts
        if firsts:
            return firsts[0]
        return self.next if self.lost is None else self.released + 1

    # -- writing --

    def append(self, sealed, closes=False, keep=0):
        """Store `sealed` as record `next`; return its number once it survives a power cut.

        `closes` and `keep` as in `Recorder.write`. JournalFull, JournalLost, OSError: nothing was stored.
        """
        if self.lost is not None:
            raise self.lost
        size = len(sealed)
        if not 0 < size <= RECORD_MAX:
            raise ValueError("a sealed record has 1 to 4096 bytes")
        if not self._fits(size + 2 * frames.MARK_BYTES, keep):
            raise JournalFull("The reader is full. Bring it to a hub before the next test.")
        number = self.next
        chain = chain_hash(sealed)
        marks = frames.mark(False, number, sealed, chain, closes), frames.mark(True, number, sealed, chain, closes)
        shelf = self._shelf
        tail = shelf.tail
        fresh = tail is None or self._tail_dirty or tail.size + size + 2 * frames.MARK_BYTES > self._segment_bytes
        path = shelf.path(number) + ".new" if fresh else shelf.path(tail.first)
        try:
            with open(path, "wb" if fresh else "ab") as file:
                if fresh:
                    file.write(frames.head(number, self.tail_hash))
                file.write(marks[0])
                file.write(sealed)
                file.write(marks[1])
                durable.sync(file)
            if fresh:
                os.rename(path, shelf.path(number))
        except OSError:
            self._after_failure()
            if self.next == number:
                raise
            # The storage took it and failed after: it is there, and its number is spent.
        else:
            self._appended(number, size, chain, fresh)
        if closes:
            self.pending_clear()
        return number

    def _appended(self, number, size, chain, fresh):
        if fresh:
            self._shelf.begin(number)
            self._tail_dirty = False
        else:
            self._shelf.tail.append(size)
        self.next = number + 1
        self.tail_hash = chain
        self._note()
        self._free_blocks -= size // self._block + 2
        self._guessed = True

    def _after_failure(self):
        """Look at what the storage kept rather than guess."""
        self._shelf.load()
        self._open_tail()
        self._tail_dirty = True
        self._measure()

    def room_for(self):
        """Return how many more results of the largest size fit."""
        if self._guessed and self._room(self._free_blocks) < _LITTLE_ROOM:
            self._measure()  # several records share a block, so the estimate falls too fast
        return self._room(self._free_blocks)

    def spend(self, blocks):
        """Something else has taken up to `blocks`."""
        self._free_blocks -= blocks
        self._guessed = True

    def _room(self, free_blocks):
        each = (RECORD_MAX + 2 * frames.MARK_BYTES) // self._block + 2
        return max(0, free_blocks - _RESERVE_BLOCKS) // each

    def _fits(self, size, keep):
        need = size // self._block + 2
        if self._room(self._free_blocks - need) < keep or self._free_blocks - need < _RESERVE_BLOCKS:
            self._measure()  # the running estimate is on the careful side
        return self._room(self._free_blocks - need) >= keep and self._free_blocks - need >= _RESERVE_BLOCKS

    def _measure(self):
        # littlefs walks the whole tree to answer, so this is asked at start, after trimming, and when the estimate
        # says no.
        state = os.statvfs(self._root)
        self._block = state[1]
        self._free_blocks = state[3]
        self._guessed = False

    # -- reading --

    def read_into(self, number, buffer):
        """Read sealed record `number` into `buffer` (4,096 bytes); return its length. Gone, Damaged."""
        if not self.first <= number < self.next:
            raise Gone("record %d is not held" % number)
        length = self._shelf.read_into(number, memoryview(buffer))
        if length == 0:
            raise Damaged(number)
        return length

    def read(self, number):
        """Return sealed record `number` as bytes. Gone, Damaged."""
        buffer = bytearray(RECORD_MAX)
        return bytes(memoryview(buffer)[: self.read_into(number, buffer)])

    def chain_hash(self, number):
        """Return the chain hash at `number`: of any record held, of `released`, and of the record before `first`.
        Gone.
        """
        if number == self.next - 1 and self.tail_hash is not None:
            return self.tail_hash
        if number == self.released:
            return self._released_hash
        found = self._genesis if number == 0 else None
        if found is None and self._shelf.firsts and self.first - 1 <= number < self.next:
            found = self._shelf.chain(number)
        if found is None:
            raise Gone("the chain hash at record %d is not held" % number)
        return found

    # -- custody --

    def release(self, number, chain, epoch):
        """Take a server's receipt: records up to `number` may be discarded. Return whether it released anything new.

        ChainMismatch: `chain` is not the chain hash here, or `number` was never issued; nothing is discarded. An old
        receipt whose hash can no longer be known releases nothing and is no error.
        """
        try:
            own = self.chain_hash(number)
        except Gone:
            own = None
        if own is None and number <= self.released:
            return False
        if own != chain:
            raise ChainMismatch("the receipt for record %d has another chain hash" % number)
        if number < self.released or (number == self.released and epoch == self.epoch):
            return False
        news = number > self.released
        durable.replace(self._root + "/receipt", number.to_bytes(4, "big") + chain + epoch)
        self.released = number
        self._released_hash = chain
        self.epoch = epoch
        self.tidy()
        return news

    def tidy(self):
        """Remove a few segment files that are released whole; return whether more are left. Call it again when idle.

        The last segment stays: it carries the number and the chain on.
        """
        done = 0
        while len(self._shelf.firsts) > 1 and self._shelf.firsts[1] - 1 <= self.released:
            if done == _TIDY_AT_ONCE:
                return True
            self._shelf.remove_first()
            done += 1
        if done:
            self._measure()
        return False

    # -- a test under way --

    def pending_set(self, data):
        """Keep `data` as what is known of the test that now begins or goes on, until a record with `closes` is
        appended.
        """
        durable.replace(self._root + "/pending", self.next.to_bytes(4, "big") + data)

    def pending(self):
        """Return what `pending_set` kept of a test that never got its record, or None. It stays until a closing
        record.
        """
        data = durable.content(self._root + "/pending")
        if data is None or len(data) < 4:
            return None
        since = int.from_bytes(data[:4], "big")
        if self._closed_since(since):
            self.pending_clear()
            return None
        return data[4:]

    def pending_clear(self):
        """Forget the pending test, because nothing of it is worth a record."""
        durable.remove(self._root + "/pending")

    def _closed_since(self, since):
        firsts = self._shelf.firsts
        for at in range(len(firsts) - 1, -1, -1):
            index = self._shelf.scan(firsts[at])
            if index.closing >= since:
                return True
            if index.first <= since:
                return False
        return False
