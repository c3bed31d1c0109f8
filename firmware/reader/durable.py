"""Small files that are replaced in one step: after a power cut there is the old content or the new, never a mixture.

littlefs keeps each folder as a log in two blocks, the one in use and the one before it. It cannot tell a rotten cell in
a log from a commit that the power cut off: the folder goes back to the state before that cell, with all its small
files, and says nothing. So what must not go back is kept in two folders; and a new folder is settled, because while its
second block has never been used, a rotten cell at the start of the first leaves no folder, and no file system, at all.
"""

import os
from binascii import crc32

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value):
        return value


_LONGEST = 8192
_SETTLING = const(70)  # rewrites of a file that is kept in the log, 128 bytes of it each: more than two blocks of 4,096
_IN_THE_LOG = const(100)


def sync(file):
    """Make what was written to `file` survive a power cut."""
    file.flush()
    # CPython's flush stops at the kernel; MicroPython's reaches the storage.
    if hasattr(os, "fsync"):
        os.fsync(file.fileno())


def replace(path, data):
    """Make `data` (bytes) the content of the file at `path`. OSError: the old content stays."""
    with open(path + ".new", "wb") as file:
        file.write(crc32(data).to_bytes(4, "big"))
        file.write(data)
        sync(file)
    os.rename(path + ".new", path)


def folder(path):
    """Make the folder at `path` if it is not there, and settle it. OSError: it cannot be made."""
    try:
        os.mkdir(path)
    except OSError:
        os.stat(path)  # it is there, or this says why not
    settle(path)


def settle(path):
    """See that both blocks of the log of folder `path` hold what it holds now, once in its life. OSError: storage."""
    mark = path + "/settled"
    if hasattr(os, "fsync") or content(mark) == bytes(_IN_THE_LOG):
        return  # CPython's file systems are no littlefs
    for left in range(_SETTLING, -1, -1):
        rewrite(mark, bytes((left,)) * _IN_THE_LOG)


def rewrite(path, data):
    """As `replace`, for a few bytes that are written often: one step of littlefs instead of three, and in place.

    OSError: the old content stays. On other file systems a cut may leave neither.
    """
    with open(path, "wb") as file:
        file.write(crc32(data).to_bytes(4, "big") + data)
        sync(file)


def content(path):
    """Return what `replace` or `rewrite` wrote, or None when there is no such file or it is not whole."""
    try:
        # By its size: to ask for the longest there may be takes that much memory in one piece.
        size = min(os.stat(path)[6], _LONGEST)
        with open(path, "rb") as file:
            data = file.read(size)
    except OSError:
        return None
    if len(data) < 4 or crc32(data[4:]) != int.from_bytes(data[:4], "big"):
        return None
    return data[4:]


def remove(path):
    """Remove a file, if it is there."""
    try:
        os.remove(path)
    except OSError as error:
        if error.errno != 2:  # ENOENT
            raise


def exists(path):
    """Whether there is a file at `path`."""
    try:
        os.stat(path)
    except OSError:
        return False
    return True
