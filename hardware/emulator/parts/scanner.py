"""GM65-class barcode engine on a UART: a code goes out as its bytes and CR LF; command frames are acknowledged."""

from collections.abc import Callable

_SLEEP_ZONE = b"\x00\xd9"
_DEEP_SLEEP = 0xA5
_ACKNOWLEDGE = b"\x02\x00\x00\x01\x00\x33\x31"


class Scanner:
    """`send` puts bytes on the reader's RX line."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._received = bytearray()
        self.powered = True
        self.asleep = False

    def scan(self, text: str | bytes) -> None:
        """A code is held before it."""
        if self.asleep:
            return
        data = text.encode() if isinstance(text, str) else text
        self._send(data + b"\r\n")

    def receive(self, data: bytes) -> None:
        """Settings: 7E 00 type length address data CRC (GM65 manual 2.1). All are answered; sleep is modelled."""
        self._received += data
        while (at := self._received.find(b"\x7e\x00")) >= 0:
            if len(self._received) < at + 4:
                return
            end = at + 4 + 2 + self._received[at + 3] + 2
            if len(self._received) < end:
                return
            if bytes(self._received[at + 4 : at + 6]) == _SLEEP_ZONE:
                self.asleep = self._received[at + 6] == _DEEP_SLEEP
            del self._received[:end]
            self._send(_ACKNOWLEDGE)
        del self._received[:-4]
