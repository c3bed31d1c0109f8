"""A connection as the protocol sees it: bytes written in, bytes to send out, no radio (docs/protocol.md sections 4.1
to 4.4).

The link owns the radio and this object; it hands over what a central wrote and sends what `next_control` and
`next_up` give, in that order, until both are None. `device` is what the app lends:

    boot_id (8 bytes), firmware (text)         as in records and `state`
    uptime_ms(), wall_ms() or None, clock_source()
    set_clock(unix_ms, uncertainty_ms or None, source)   sets the wall clock and journals EVENT_CLOCK_SET
    battery() percent, flags() FLAG_* bits
    random(n)                                  n bytes of the hardware random generator
    identify()                                 beep and show the name, without waiting
    event(code, detail or None, numbers)       journal an event; its number, or None: a failure raises the device's
                                               fault flag, not an exception
    settings_changed()                         name or language of the identity is another
    store_assay(pack)                          keep an assay pack durably; None, or why it may not be. OSError: storage
    renew("command", message)                  as `reader.renewal.command`
    root, journal, progress, renewing          as `reader.slots` and `reader.receiving` want them
"""

from reader import cbor, memory, wire
from reader.admission import Admission
from reader.downlink import Downlink
from reader.identity import is_bytes, is_uint
from reader.segments import Assembler, Segmenter
from reader.transfer import Transfer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_REPLIES_WAITING = 8
_DAMAGED_TOLD = 32
_PIECE = 0x83  # first byte of an array of three; a sealed message begins with its tag


class Session:
    """One central at a time; its buffers live as long as it does, so make one and use it for every connection."""

    def __init__(self, identity, journal, device):
        self._identity = identity
        self._journal = journal
        self._device = device
        self._control_in = Assembler(wire.CONTROL_MAX)
        self._down_in = Assembler(wire.DOWN_MAX)
        self._control_out = Segmenter()
        self._downlink = Downlink(identity, journal, device)
        self.transfer = Transfer(journal)
        self.admission = Admission(identity)
        self._requests = {
            wire.OP_HELLO: self._hello,
            wire.OP_PROVE: self._prove,
            wire.OP_STATUS: self._status,
            wire.OP_REPORT: self._report,
            wire.OP_CREDIT: self._credit,
            wire.OP_CLOCK: self._clock,
            wire.OP_IDENTIFY: self._identify,
            wire.OP_IMAGE: self._receive,
        }
        self._damaged = []
        self.receiving: "Any" = None  # a reader.receiving.Receiver while a hub brings an image
        self.disconnected()

    # -- the link's side --

    def connected(self):
        """A central has connected."""
        self.disconnected()
        self.admission.reset(self._device.uptime_ms())

    def disconnected(self):
        """The link is gone, however it went."""
        self.stop_receiving()
        self._replies = []
        self._errors = 0
        self._closing = False
        self._control_in.reset()
        self._down_in.reset()
        self._control_out.reset()
        self.transfer.link_lost()
        self.admission.reset(0)

    @property
    def drop(self):
        """The link must disconnect now: too many errors and the last reply is out, or not admitted in time."""
        if self._closing:
            return not self._replies and self._control_out.idle
        return self.admission.overdue(self._device.uptime_ms())

    def status(self):
        """Return what the status characteristic reads."""
        device = self._device
        return cbor.encode(
            [
                wire.VERSION,
                self._identity.reader_id,
                self._journal.next,
                self._journal.released,
                device.battery(),
                device.flags(),
            ]
        )

    def on_control(self, value):
        """What the central wrote to `control`."""
        for code, message in self._control_in.feed(value):
            if self._closing:
                return
            if code:
                self._fail(code, 0)
            else:
                self._request(message)

    def on_down(self, value):
        """What the central wrote to `down`."""
        if self._closing:
            return
        if not self.admission.admitted:
            self._fail(wire.ERR_NOT_ADMITTED, wire.OP_DOWN)
            return
        for code, message in self._down_in.feed(value):
            if self._closing:
                return
            if code:
                self._fail(code, wire.OP_DOWN)
            elif len(self._replies) >= _REPLIES_WAITING:
                self._fail(wire.ERR_BUSY, wire.OP_DOWN)
            elif message[0] == _PIECE:
                code = self._receive(message)
                if code:
                    self._fail(code, wire.OP_DOWN)
            else:
                code, number = self._downlink.take(message)
                self._reply([wire.OP_TAKEN, code, number, self._journal.released])

    def next_control(self, limit):
        """Return the segment to indicate on `control` now (memoryview, at most `limit` bytes, ATT MTU - 3) or None."""
        if self.receiving is not None and not self._replies:
            wanted = self.receiving.step()
            if wanted:
                self._reply(wanted)
        if self._control_out.idle and self._replies:
            self._control_out.load(self._replies.pop(0))
        return self._control_out.segment(limit)

    def control_sent(self):
        """The central confirmed the indication."""
        self._control_out.sent()

    def next_up(self, limit):
        """Return the segment to notify on `up` now, or None. Nothing goes while a reply waits.

        Notify it and call `up_sent` without awaiting between; when the radio says no memory, call neither and ask
        again later.
        """
        if self._closing or self._replies or not self._control_out.idle:
            return None
        segment = self.transfer.next_segment(limit)
        if segment is None and self.transfer.error:
            # Not the hub's mistake, so it is told without being counted.
            self._reply([wire.OP_ERROR, self.transfer.error, wire.OP_REPORT])
            self.transfer.error = wire.ERR_NONE
        if self.transfer.damaged:
            self._tell_damaged(self.transfer.damaged)
            self.transfer.damaged = 0
        return segment

    def _tell_damaged(self, number):
        # Sealed evidence of the loss: once for each record, and bounded, or a rotten flash would fill itself up.
        if number not in self._damaged and len(self._damaged) < _DAMAGED_TOLD:
            self._damaged.append(number)
            self._device.event(wire.EVENT_RECORD_DAMAGED, None, [number])

    def up_sent(self):
        """The radio took the segment."""
        self.transfer.sent()

    # -- requests --

    def _request(self, message):
        try:
            fields = cbor.decode(message)
        except cbor.CborError:
            fields = None
        if not isinstance(fields, list) or not fields or not is_uint(fields[0]):
            self._fail(wire.ERR_MALFORMED, 0)
            return
        op = fields[0]
        if not self.admission.admitted and op not in (wire.OP_HELLO, wire.OP_PROVE):
            self._fail(wire.ERR_NOT_ADMITTED, op)
        elif op not in self._requests:
            self._fail(wire.ERR_UNKNOWN_OP, op)
        elif len(self._replies) >= _REPLIES_WAITING:
            self._fail(wire.ERR_BUSY, op)
        else:
            code = self._requests[op](fields)
            if code:
                self._fail(code, op)

    def _hello(self, fields):
        if len(fields) > 1 and is_uint(fields[1]) and fields[1] != wire.VERSION:
            return wire.ERR_VERSION
        if len(fields) != 6 or not is_uint(fields[1]) or not is_bytes(fields[2], wire.HUB_ID_BYTES):
            return wire.ERR_MALFORMED
        _, _, hub_id, expiry, generation, hub_nonce = fields
        if not is_uint(expiry) or not is_uint(generation) or not is_bytes(hub_nonce, wire.AUTH_NONCE_BYTES):
            return wire.ERR_MALFORMED
        self.transfer.suspend()
        reader_nonce = self._device.random(wire.AUTH_NONCE_BYTES)
        latest_ms = max(self._device.wall_ms() or 0, self._identity.floor_ms)
        code, proof = self.admission.hello(
            hub_id, expiry, generation, hub_nonce, reader_nonce, latest_ms, self._device.uptime_ms()
        )
        if code == wire.ERR_NONE:
            self._reply([wire.OP_CHALLENGE, reader_nonce, proof])
        return code

    def _prove(self, fields):
        if len(fields) != 2 or not is_bytes(fields[1], wire.PROOF_BYTES):
            return wire.ERR_MALFORMED
        if self.admission.admitted:
            # Out of turn; it proves nothing new and must not undo what was proved.
            return wire.ERR_TICKET_REFUSED
        code = self.admission.prove(fields[1])
        if code == wire.ERR_NONE:
            self.transfer.admitted()
            self._reply_state()
        return code

    def _status(self, fields):
        if len(fields) != 1:
            return wire.ERR_MALFORMED
        self._reply_state()
        return wire.ERR_NONE

    def _report(self, fields):
        if len(fields) != 3 or not is_uint(fields[1], 0xFFFFFFFF, 1) or not is_uint(fields[2], wire.CREDITS_MAX, 1):
            return wire.ERR_MALFORMED
        return self.transfer.report(fields[1], fields[2])

    def _credit(self, fields):
        if len(fields) != 2 or not is_uint(fields[1], wire.CREDITS_MAX, 1):
            return wire.ERR_MALFORMED
        self.transfer.credit(fields[1])
        return wire.ERR_NONE

    def _clock(self, fields):
        if len(fields) != 4 or not is_uint(fields[1]) or not is_uint(fields[2], 0xFFFFFFFF):
            return wire.ERR_MALFORMED
        _, unix_ms, uncertainty_ms, proof = fields
        if not is_bytes(proof, wire.PROOF_BYTES):
            return wire.ERR_MALFORMED
        if not self.admission.clock_proof_holds(unix_ms, uncertainty_ms, proof):
            return wire.ERR_TICKET_REFUSED
        # The ticket says that it is before its expiry. A hub that says it is later contradicts itself, and a clock
        # set far ahead would lock every other hub out.
        if unix_ms >= self.admission.expiry * 1000:
            return wire.ERR_TICKET_REFUSED
        floor_ms = self._identity.floor_ms
        if unix_ms < floor_ms:
            self._device.set_clock(floor_ms, None, wire.CLOCK_SERVER)
        else:
            self._device.set_clock(unix_ms, uncertainty_ms, wire.CLOCK_HUB)
        self._reply([wire.OP_DONE, wire.OP_CLOCK])
        return wire.ERR_NONE

    def _identify(self, fields):
        if len(fields) != 1:
            return wire.ERR_MALFORMED
        self._device.identify()
        self._reply([wire.OP_DONE, wire.OP_IDENTIFY])
        return wire.ERR_NONE

    def _receive(self, what):
        """Give the receiver an IMAGE (its fields) or a piece (its bytes); the code of an error, or 0."""
        if not self._device.flags() & wire.FLAG_TEST_RUNNING:  # a test needs the memory
            try:
                if self.receiving is None:
                    from reader.receiving import Receiver

                    self.receiving = Receiver(self._device)
                return self.receiving.take(what)
            except MemoryError:
                memory.forget(*memory.FOR_AN_UPDATE)
        self._reply([wire.OP_WANTED, wire.ERR_STORAGE, 0, 0])
        return wire.ERR_NONE

    def stop_receiving(self):
        """Let go of an image that a hub brings, and of the memory that it takes; what is kept of it stays."""
        receiving, self.receiving = self.receiving, None
        if receiving is not None:
            if receiving.close():
                self._reply([wire.OP_WANTED, wire.ERR_STORAGE, 0, 0])
            memory.forget(*memory.FOR_AN_UPDATE)

    # -- replies --

    def _reply(self, fields):
        self._replies.append(cbor.encode(fields))

    def _fail(self, code, op):
        self._errors += 1
        if self._errors >= wire.ERRORS_BEFORE_DROP:
            code = wire.ERR_TOO_MANY_ERRORS
            self._closing = True
        self._reply([wire.OP_ERROR, code, op])

    def _reply_state(self):
        device = self._device
        journal = self._journal
        identity = self._identity
        self._reply(
            [
                wire.OP_STATE,
                {
                    wire.STATE_READER_ID: identity.reader_id,
                    wire.STATE_FIRST: journal.first,
                    wire.STATE_NEXT: journal.next,
                    wire.STATE_RELEASED: journal.released,
                    wire.STATE_CHAIN: journal.tail_hash or bytes(wire.HASH_BYTES),
                    wire.STATE_BOOT_ID: device.boot_id,
                    wire.STATE_UPTIME_MS: device.uptime_ms(),
                    wire.STATE_WALL_MS: device.wall_ms(),
                    wire.STATE_CLOCK_SOURCE: device.clock_source(),
                    wire.STATE_BATTERY: device.battery(),
                    wire.STATE_FIRMWARE: device.firmware,
                    wire.STATE_DOWN: identity.down,
                    wire.STATE_GENERATION: identity.generation,
                    wire.STATE_FREE: journal.room_for(),
                    wire.STATE_FLAGS: device.flags(),
                    wire.STATE_NAME: identity.name,
                },
            ]
        )
