"""The journal's segment files: which there are, in order, and where the frames in each of them lie.

A file is named by its first number in hexadecimal. Only the last one grows; the index and the open file of the one
read last are kept, so that reading on, or at random, costs the same whatever the journal holds.
"""

import os
from array import array

from reader import durable, frames

_TAIL = ".seg"


class Shelf:
    """The segment files in folder `root` (made if absent).

    firsts   first numbers, ascending
    tail     Index of the last file, or None
    """

    def __init__(self, root):
        self._root = root
        self._index = None
        self._file = None
        durable.folder(root)
        self.load()

    def load(self):
        """List the files anew."""
        self.close()
        self.tail = None
        found = []
        for name in os.listdir(self._root):
            if len(name) == 12 and name.endswith(_TAIL):
                try:
                    found.append(int(name[:8], 16))
                except ValueError:
                    pass  # not one of ours
        found.sort()
        self.firsts = array("I", found)

    def open_tail(self):
        """Index the last file as `tail` and return it. OSError: it cannot be read."""
        self.tail = self.scan(self.firsts[-1])
        return self.tail

    def begin(self, first):
        """The file of `first` has been written and is now the last."""
        self.firsts.append(first)
        self.open_tail()

    def remove_first(self):
        """Remove the oldest file."""
        if self._index is not None and self._index.first == self.firsts[0]:
            self.close()
        os.remove(self.path(self.firsts[0]))
        self.firsts = self.firsts[1:]

    def path(self, first):
        return "%s/%08x%s" % (self._root, first, _TAIL)

    def scan(self, first):
        """Return the Index of one file."""
        path = self.path(first)
        with open(path, "rb") as file:
            return frames.Index(file, os.stat(path)[6], first)

    def read_into(self, number, view):
        """Read sealed record `number`; return its length, 0 if it is damaged."""
        if not self.firsts:
            return 0  # its file is gone
        try:
            index, file = self._of(number)
            try:
                return frames.read_record(file, index, number, view)
            finally:
                self._done(file)
        except OSError:
            # littlefs answers so for blocks it cannot read: this record is lost, those behind it need not be.
            self.close()
            return 0

    def chain(self, number):
        """Return the chain hash at a number held, or at the one before the first, or None."""
        try:
            found = None
            if number >= self.firsts[0]:
                index, file = self._of(number)
                try:
                    found = frames.chain_at(file, index, number)
                finally:
                    self._done(file)
            return found if found is not None else self._before(number + 1)
        except OSError:
            self.close()
            return None

    def _before(self, first):
        """Return the chain hash that the head of the file of `first` names, if there is such a file."""
        if first > self.firsts[-1] or self.firsts[self._place(first)] != first:
            return None
        index, file = self._of(first)
        self._done(file)
        return index.previous

    def _place(self, number):
        """Return which of the files `number` belongs in."""
        low = 0
        high = len(self.firsts)
        while high - low > 1:
            middle = (low + high) // 2
            if self.firsts[middle] <= number:
                low = middle
            else:
                high = middle
        return low

    def _of(self, number):
        """Return the Index and the open file that `number` belongs in."""
        first = self.firsts[self._place(number)]
        path = self.path(first)
        if self.tail is not None and first == self.tail.first:
            # It grows, and an open file would not see that.
            return self.tail, open(path, "rb")
        if self._index is None or self._index.first != first:
            self.close()
            self._file = open(path, "rb")
            self._index = frames.Index(self._file, os.stat(path)[6], first)
        return self._index, self._file

    def _done(self, file):
        if file is not self._file:
            file.close()

    def close(self):
        """Close the file read last."""
        if self._file is not None:
            self._file.close()
        self._file = None
        self._index = None
