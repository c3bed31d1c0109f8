"""The cassettes that this reader has used, so that none is used twice: a ring of hashes on flash, the oldest go first.

There are two rings, in two folders, because one rotten cell can take a folder back in time (`reader.durable`); what is
in either is used. A file holds 512 hashes of 8 bytes, appended one by one: littlefs makes each whole or absent at its
sync. When the newest is full another begins and the oldest of nine goes, so that the last 4,096 cassettes at least are
known. A cassette without a serial number cannot be told from the others of its lot; it is not kept here.
"""

import os
from hashlib import sha256

from reader import durable

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value: int) -> int:
        return value


KEY = const(8)
_FOLDERS = ("/used", "/used-too")  # below the root
_ROWS = const(512)
_FILES = const(9)
_CHUNK = const(512)  # a whole number of hashes
_ENOENT = const(2)


def key(*parts):
    """8 bytes that stand for these texts: the first of the SHA-256 of them with a zero byte between."""
    return sha256("\0".join(parts).encode()).digest()[:KEY]


def used(root, cassette):
    """Whether the cassette of that key is in one of the rings below `root`. OSError: it cannot be known."""
    return any(_in_ring(root + folder, cassette) for folder in _FOLDERS)


def mark(root, cassette):
    """Put the cassette of that key in the rings, where it is not; it is there after a power cut. OSError."""
    for folder in _FOLDERS:
        if not _in_ring(root + folder, cassette):
            _append(root + folder, cassette)


def _in_ring(folder, cassette):
    return any(_holds(folder + "/" + name, cassette) for name in _names(folder))


def _append(folder, cassette):
    names = _names(folder)
    newest = int(names[-1]) if names else 0
    if names:
        size = os.stat(folder + "/" + names[-1])[6]
        # Nothing is put behind half a hash, where it would not be found.
        if size >= _ROWS * KEY or size % KEY:
            newest += 1
    else:
        durable.folder(folder)
    with open("%s/%08d" % (folder, newest), "ab") as file:
        file.write(cassette)
        durable.sync(file)
    for name in _names(folder)[:-_FILES]:
        os.remove(folder + "/" + name)


def _names(folder):
    """The ring's files, oldest first."""
    try:
        return sorted(name for name in os.listdir(folder) if len(name) == 8 and name.isdigit())
    except OSError as error:
        if error.errno != _ENOENT:
            raise
        return []


def _holds(path, cassette):
    buffer = bytearray(_CHUNK)
    with open(path, "rb") as file:
        while True:
            count = file.readinto(buffer)
            if not count:
                return False
            at = buffer.find(cassette, 0, count)
            while at >= 0:
                if at % KEY == 0:
                    return True
                at = buffer.find(cassette, at + 1, count)
