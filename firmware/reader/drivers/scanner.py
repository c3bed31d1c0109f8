"""GM65-class barcode engine on a UART: whole codes out of a byte stream, bounded.

Hangzhou Grow GM65 user manual v1.x, section 2.1 (serial, 9600 8N1) and 2.2 (zone bits: write is 7E 00 08 n address
value CRC, where AB CD skips the CRC; answer 02 00 00 01 00 33 31). Zone bit 0x0000, low two bits: 1 is
command-triggered scanning.
Zone bit 0x0002 bit 0 starts one scan. A code ends with CR LF (tail zone 0x0060); GS (0x1D) stands for FNC1 inside
a GS1 code.
"""

from micropython import const

_TRIGGER = b"\x7e\x00\x08\x01\x00\x02\x01\xab\xcd"
_SLEEP = b"\x7e\x00\x08\x01\x00\xd9\xa5\xab\xcd"  # zone bit 0x00D9: A5 deep sleep, 00 awake
_WAKE = b"\x7e\x00\x08\x01\x00\xd9\x00\xab\xcd"
_ANSWER_HEAD = b"\x02\x00"
_ANSWER = const(7)  # bytes in the answer to a written zone bit
_GS = const(0x1D)

CODE_MAX = const(96)  # a GS1 element string of 01, 10, 17 and 21 is at most 74 characters


class Scanner:
    """`poll` is called about every 50 ms and returns at most one code. A code that is too long or holds other than
    printable ASCII and GS is dropped and counted in `dropped`."""

    def __init__(self, uart):
        self._uart = uart
        self._code = bytearray(CODE_MAX)
        self._length = 0
        self._overrun = False
        self._skip = 0
        self._chunk = bytearray(32)
        self._at = 0
        self._end = 0
        self.dropped = 0

    def trigger(self):
        """Ask for one scan (does nothing to an engine that scans by itself)."""
        self._uart.write(_TRIGGER)

    def sleep(self, asleep):
        """Let the engine sleep, or wake it by its line."""
        self._uart.write(_SLEEP if asleep else _WAKE)

    def discard(self):
        """Forget what has come so far, such as a code scanned while no code was asked for."""
        while self._uart.any():
            self._uart.readinto(self._chunk)
        self._at = self._end = self._length = self._skip = 0
        self._overrun = False

    def poll(self):
        """The next whole code as text, or None."""
        while True:
            if self._at == self._end:
                if not self._uart.any():
                    return None
                self._at = 0
                self._end = self._uart.readinto(self._chunk) or 0
                if not self._end:
                    return None
            while self._at < self._end:
                byte = self._chunk[self._at]
                self._at += 1
                code = self._take(byte)
                if code is not None:
                    return code

    def _take(self, byte):
        if self._skip:  # inside the engine's answer to a command
            self._skip -= 1
            return None
        if byte == _ANSWER_HEAD[0] and not self._length:
            self._skip = _ANSWER - 1
            return None
        if byte in (0x0D, 0x0A):
            return self._finish()
        if self._length >= CODE_MAX or not (0x20 <= byte < 0x7F or byte == _GS):
            self._overrun = True
            return None
        self._code[self._length] = byte
        self._length += 1
        return None

    def _finish(self):
        length, self._length = self._length, 0
        overrun, self._overrun = self._overrun, False
        if overrun:
            self.dropped += 1
            return None
        return str(memoryview(self._code)[:length], "ascii") if length else None
