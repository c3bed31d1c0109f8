"""Who this reader is: its id, its keys by generation, and what the server's commands changed, kept in two copies.

Provisioning writes `identity.cbor` once: a CBOR map {1: reader id (8 bytes), 2: [[generation, key (32 bytes)], at
most two, newest last], 3: name, 4: number of the last command taken}. At the first start it is copied to `identity.a`
and `spare/identity.b`, which have a CRC and take every later change; from then on the provisioned file is not read. To
provision anew, remove all three. The copies are in two folders, because one rotten cell in the log that littlefs keeps
of a folder takes everything in that folder back in time.
"""

from reader import cbor, durable, wire
from reader.hkdf import hkdf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeGuard

_ID = 1
_KEYS = 2
_NAME = 3
_DOWN = 4
_FLOOR = 5
_LANGUAGE = 6
_LABEL_BYTES = 64


class IdentityError(Exception):
    """This reader does not know who it is; the sentence says what to do."""


class NotProvisioned(IdentityError):
    """It was never told."""


class Identity:
    """Load the identity kept in `folder`. IdentityError: never provisioned, or both copies damaged.

    reader_id     8 bytes
    generation    the key generation that seals now
    down          number of the last command taken
    floor_ms      the highest clock floor ever taken, Unix milliseconds, 0 if none
    name, language   text, language None until set
    """

    def __init__(self, folder):
        durable.folder(folder + "/spare")
        self._paths = folder + "/identity.a", folder + "/spare/identity.b"
        one, other = (durable.content(path) for path in self._paths)
        self._cache = {}
        if one is None and other is None:
            if durable.exists(self._paths[0]) or durable.exists(self._paths[1]):
                # The provisioned file would take the reader back to commands and keys of the past.
                raise IdentityError("Both copies of this reader's identity are damaged. It needs service.")
            self._keep(_provisioned(folder + "/identity.cbor"))
            return
        # Every change spends a command's number, so the higher one is the later copy.
        found = [_checked(data) for data in (one, other) if data is not None]
        self._take(found[0] if found[0][_DOWN] >= found[-1][_DOWN] else found[-1])
        if one != other:
            self._keep(self._state)

    def _take(self, state):
        self._state = state
        self._cache = {}
        self.reader_id = state[_ID]
        self.generation = state[_KEYS][-1][0]
        self.name = state[_NAME]
        self.down = state[_DOWN]
        self.floor_ms = state.get(_FLOOR, 0)
        self.language = state.get(_LANGUAGE)

    def _keep(self, state):
        data = cbor.encode(state)
        for path in self._paths:
            durable.replace(path, data)
        self._take(state)

    def apply(self, down, name=None, language=None, floor_ms=None, key=None):
        """Take command `down` with what it changes, in one step. `key` is (generation, 32 bytes). OSError: nothing
        changed.

        The last two generations are kept.
        """
        state = dict(self._state)
        state[_DOWN] = down
        if name is not None:
            state[_NAME] = name
        if language is not None:
            state[_LANGUAGE] = language
        if floor_ms is not None:
            state[_FLOOR] = max(floor_ms, self.floor_ms)
        if key is not None:
            state[_KEYS] = [state[_KEYS][-1], [key[0], bytes(key[1])]]
        self._keep(state)

    def record_key(self, generation):
        """Return the 32-byte key that seals records of `generation`, or None if it is not held."""
        return self._derived(generation, wire.INFO_RECORD)

    def down_key(self, generation):
        """Return the 32-byte key that opens downlink of `generation`, or None if it is not held."""
        return self._derived(generation, wire.INFO_DOWN)

    def ticket_secret(self, generation, hub_id, expiry):
        """Return the 32-byte secret of hub `hub_id` (8 bytes) until `expiry` (Unix seconds), or None."""
        key = self._key(generation)
        if key is None:
            return None
        return hkdf(key, self.reader_id, wire.INFO_TICKET + hub_id + expiry.to_bytes(8, "big"))

    def _derived(self, generation, info):
        found = self._cache.get((generation, info))
        if found is None:
            key = self._key(generation)
            if key is None:
                return None
            found = hkdf(key, self.reader_id, info)
            self._cache[(generation, info)] = found
        return found

    def _key(self, generation):
        for held, key in self._state[_KEYS]:
            if held == generation:
                return key
        return None


def _provisioned(path):
    try:
        with open(path, "rb") as file:
            data = file.read(1024)
    except OSError:
        data = None
    if data is None:
        raise NotProvisioned("This reader was never provisioned. Enrol it and load its identity.")
    return _checked(data)


def _checked(data):
    try:
        state = cbor.decode(data)
    except cbor.CborError:
        state = None
    if not isinstance(state, dict) or not _is_whole(state):
        raise IdentityError("This reader's identity is not one. Load it again.")
    return state


def _is_whole(state):
    for name in state:
        if name not in (_ID, _KEYS, _NAME, _DOWN, _FLOOR, _LANGUAGE):
            return False
    keys = state.get(_KEYS)
    if not is_bytes(state.get(_ID), wire.READER_ID_BYTES) or not isinstance(keys, list) or not 1 <= len(keys) <= 2:
        return False
    for pair in keys:
        if (
            not isinstance(pair, list)
            or len(pair) != 2
            or not is_uint(pair[0])
            or not is_bytes(pair[1], wire.KEY_BYTES)
        ):
            return False
    return (
        is_label(state.get(_NAME))
        and is_uint(state.get(_DOWN), 0xFFFFFFFF)
        and is_uint(state.get(_FLOOR, 0))
        and (_LANGUAGE not in state or is_label(state[_LANGUAGE]))
    )


def is_uint(value, most=0xFFFFFFFFFFFFFFFF, least=0) -> "TypeGuard[int]":
    """Whether `value` is an integer of that range (a boolean is not)."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_bytes(value, length):
    """Whether `value` is a byte string of that length."""
    return isinstance(value, bytes) and len(value) == length


def is_label(value):
    """Whether `value` is text of at most 64 bytes (`label` in docs/protocol.cddl)."""
    return isinstance(value, str) and len(value.encode()) <= _LABEL_BYTES
