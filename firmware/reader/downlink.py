"""What the server sealed for this reader, applied: receipts and numbered commands (docs/protocol.md section 3)."""

from reader import cbor, wire
from reader.cose import CoseError, open_down
from reader.identity import is_bytes, is_label, is_uint
from reader.journal import ChainMismatch


class Downlink:
    """Opens, checks and applies; `device` is as in `reader.session`."""

    def __init__(self, identity, journal, device):
        self._identity = identity
        self._journal = journal
        self._device = device
        self._mismatch = None
        self._refused = None  # why, in a few words, the command at hand cannot be followed

    def take(self, sealed):
        """Return (code, number) of TAKEN: the code 0, 12, 13, 14, 15 or 17, and the header's number, 0 if it does not
        open.
        """
        try:
            opened = open_down(self._identity.down_key, self._identity.reader_id, sealed)
        except CoseError:
            return wire.ERR_SEAL_REFUSED, 0
        number = opened.number
        try:
            message = cbor.decode(opened.plaintext)
        except cbor.CborError:
            message = None
        kind = message.get(wire.DOWN_TYPE) if isinstance(message, dict) else None
        if not is_uint(kind):
            kind = None  # True would equal 1
        try:
            if kind == wire.DOWN_RECEIPT:
                return self._receipt(number, message), number
            return self._command(number, kind, message), number
        except OSError:
            return wire.ERR_STORAGE, number

    def _receipt(self, number, message):
        chain = message.get(wire.DOWN_B)
        epoch = message.get(wire.DOWN_C)
        if len(message) != 4 or message.get(wire.DOWN_A) != number:
            return wire.ERR_UNSUPPORTED
        if not is_bytes(chain, wire.HASH_BYTES) or not is_bytes(epoch, wire.EPOCH_BYTES):
            return wire.ERR_UNSUPPORTED
        try:
            self._journal.release(number, chain, epoch)
        except ChainMismatch:
            # One event per mismatch: a hub that offers the same receipt again must not fill the journal.
            if self._mismatch != (number, chain):
                self._mismatch = (number, chain)
                self._device.event(wire.EVENT_FAULT, "receipt", [wire.ERR_CHAIN_MISMATCH, number])
            return wire.ERR_CHAIN_MISMATCH
        return wire.ERR_NONE

    def _command(self, number, kind, message):
        if number != self._identity.down + 1:
            return wire.ERR_REPLAYED
        if self._journal.lost is not None or self._journal.room_for() == 0:
            return wire.ERR_STORAGE
        if kind == wire.DOWN_CLOCK_FLOOR:
            code = self._clock_floor(number, message)
        elif kind == wire.DOWN_SETTINGS:
            code = self._settings(number, message)
        elif kind == wire.DOWN_ASSAY:
            code = self._assay(number, message)
        elif kind == wire.DOWN_KEY:
            code = self._key(number, message)
        elif kind in (wire.DOWN_OPERATORS, wire.DOWN_RECALLS):
            code = self._list(number, kind, message)
        elif kind == wire.DOWN_UPDATE:
            taken = self._device.renew("command", message)
            code = wire.ERR_NONE
            if taken is True:
                self._identity.apply(number)  # as with a pack: to await the same image again is harmless
            else:
                self._refused = taken or None
                code = wire.ERR_UNSUPPORTED
        else:
            code = wire.ERR_UNSUPPORTED
        if code == wire.ERR_UNSUPPORTED:
            # An authentic command that this firmware cannot follow spends its number, or it would block those behind
            # it.
            self._identity.apply(number)
            refused, self._refused = self._refused, None
            self._device.event(wire.EVENT_DOWN_APPLIED, refused, [number, kind or 0, code])
            return code
        if code == wire.ERR_NONE:
            self._device.event(wire.EVENT_DOWN_APPLIED, None, [number, kind])
        return code

    def _clock_floor(self, number, message):
        floor_ms = message.get(wire.DOWN_A)
        if len(message) != 2 or not is_uint(floor_ms):
            return wire.ERR_UNSUPPORTED
        self._identity.apply(number, floor_ms=floor_ms)
        wall_ms = self._device.wall_ms()
        if wall_ms is None or wall_ms < floor_ms:
            self._device.set_clock(floor_ms, None, wire.CLOCK_SERVER)
        return wire.ERR_NONE

    def _settings(self, number, message):
        settings = message.get(wire.DOWN_A)
        if len(message) != 2 or not isinstance(settings, dict):
            return wire.ERR_UNSUPPORTED
        for setting in settings:
            if setting not in (wire.SETTING_NAME, wire.SETTING_LANGUAGE) or not is_label(settings[setting]):
                return wire.ERR_UNSUPPORTED
        name = settings.get(wire.SETTING_NAME)
        self._identity.apply(number, name=name, language=settings.get(wire.SETTING_LANGUAGE))
        self._device.settings_changed()
        return wire.ERR_NONE

    def _assay(self, number, message):
        pack = message.get(wire.DOWN_A)
        if len(message) != 2 or not isinstance(pack, bytes):
            return wire.ERR_UNSUPPORTED
        refused = self._device.store_assay(pack)
        if refused is not None:
            self._refused = refused
            return wire.ERR_UNSUPPORTED
        # Storing the same pack twice is harmless, so it comes before the number is spent.
        self._identity.apply(number)
        return wire.ERR_NONE

    def _list(self, number, kind, message):
        if len(message) != 2 or not self._device.store_list(kind, message.get(wire.DOWN_A)):
            return wire.ERR_UNSUPPORTED
        # As with a pack: to keep the same list twice is harmless.
        self._identity.apply(number)
        return wire.ERR_NONE

    def _key(self, number, message):
        generation = message.get(wire.DOWN_A)
        key = message.get(wire.DOWN_B)
        if len(message) != 3 or not is_uint(generation, least=self._identity.generation + 1):
            return wire.ERR_UNSUPPORTED
        if not is_bytes(key, wire.KEY_BYTES):
            return wire.ERR_UNSUPPORTED
        self._identity.apply(number, key=(generation, key))
        self._device.event(wire.EVENT_KEY_CHANGED, None, [generation])
        return wire.ERR_NONE
