"""A small value that must not go back in time: kept in two folders, and the later copy that is whole is the value.

One rotten cell takes a whole folder to a state before, and says nothing (`reader.durable`). Two copies in one folder
would go together, and of two in two folders nobody could say which is the later: so each carries how often the value
was kept.
"""

from reader import durable

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value: int) -> int:
        return value


_COUNT = const(4)  # bytes


class BothDamaged(Exception):
    """There was such a value, and neither copy of it is whole."""


def keep(root, name, data):
    """Make `data` (bytes) the value of that name below `root`. OSError: the value before stays, or it is this one."""
    try:
        count = int.from_bytes((_later(root, name) or b"")[:_COUNT], "big")
    except BothDamaged:
        count = 0
    durable.folder(root + "/spare")
    data = (count + 1).to_bytes(_COUNT, "big") + data
    for path in _paths(root, name):
        durable.replace(path, data)


def kept(root, name):
    """The value of that name, or None when there never was one. BothDamaged."""
    later = _later(root, name)
    return None if later is None else later[_COUNT:]


def ever(root, name):
    """Whether there ever was a value of that name, damaged or not."""
    return any(durable.exists(path) for path in _paths(root, name))


def _later(root, name):
    later = None
    for path in _paths(root, name):
        data = durable.content(path)
        # Of one length, so that bytes compare as the numbers do.
        if data is not None and (later is None or data[:_COUNT] > later[:_COUNT]):
            later = data
    if later is None and ever(root, name):
        raise BothDamaged
    return later


def _paths(root, name):
    """As the identity's: the root's own log, and the other one that every reader has from its first start."""
    return "%s/%s.a" % (root, name), "%s/spare/%s.b" % (root, name)
