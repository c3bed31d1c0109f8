"""HTTP/1.1 as uvicorn speaks it with llhttp, with the bounds that neither has: on a head, on time, on pipelining.

The parser in Python has a bound on heads, and takes a tenth of the time of an exchange of one record.
"""

import asyncio
from http import HTTPStatus
from typing import Any, cast

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from server import problems

# Request line, header fields and trailers as they come. Browsers and hubs send a fiftieth of it.
HEAD_MAX = 64 * 1024
# From a request's first byte to its last: more than a turn and a body of the exchange may take (`server.custody`).
WHOLE_SECONDS = 90
# Requests that wait for the answer to one before them. Browsers and hubs send none; each is kept meanwhile.
PIPELINED_MAX = 16

_BESIDE_FIELD = len(b": \r\n")


class _HeadTooLarge(Exception):
    pass


class _TooManyPipelined(Exception):
    pass


class BoundedHttp(HttpToolsProtocol):
    """A connection. What goes beyond a bound is answered with a problem document, and the connection ends."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # Of the present message: its head's bytes that the parser told of, and whether there is more to come.
        self._head = 0
        self._partial = False
        # Bytes since the parser told of anything: it keeps them or skips them, and says neither.
        self._untold = 0
        self._told = False
        self._too_slow: asyncio.TimerHandle | None = None
        self._deaf = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Wait for the first request no longer than for the whole of one."""
        super().connection_made(transport)
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, and refuse what goes beyond a bound."""
        self._unset_keepalive_if_required()
        if self._deaf:
            return
        self._told = False
        assert self.parser is not None  # until the connection is lost
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade:
            # Answered in the protocol that it came in (RFC 9110 section 7.8); what follows may be of any other.
            self._deaf = True
            self.cycle.keep_alive = False
            return
        except HttpParserCallbackError as error:
            self._refuse_for(error.__context__)
            return
        except HttpParserError:
            self._refuse(400, "not-readable", "The request cannot be read", "Send HTTP/1.1 (RFC 9112).")
            return
        self._untold = 0 if self._told else self._untold + len(data)
        if self._untold > HEAD_MAX:
            self._refuse_for(_HeadTooLarge())
        elif self._partial and self._too_slow is None:
            self._start_clock()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._told = self._partial = True
        self._head = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of its target."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field, or a trailer."""
        self._count(len(name) + len(value) + _BESIDE_FIELD)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Its head is whole: it is begun with, after those before it."""
        self._told = True
        if len(self.pipeline) >= PIPELINED_MAX:
            raise _TooManyPipelined  # nobody is told: the answers to those before it come first, and they are not there
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of its body."""
        self._told = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """It is whole."""
        self._told = True
        self._partial = False
        self._stop_clock()
        super().on_message_complete()

    def _count(self, size: int) -> None:
        self._told = True
        self._head += size
        if self._head > HEAD_MAX:
            raise _HeadTooLarge

    def _start_clock(self) -> None:
        self._too_slow = self.loop.call_later(WHOLE_SECONDS, self._on_too_slow)

    def _stop_clock(self) -> None:
        if self._too_slow is not None:
            self._too_slow.cancel()
            self._too_slow = None

    def _on_too_slow(self) -> None:
        self._too_slow = None
        if self._partial:
            within = f"It must arrive within {WHOLE_SECONDS} seconds. Send it again."
            self._refuse(408, "too-slow", "The request took too long", within)
        else:
            self.transport.close()  # nothing was asked

    def _refuse_for(self, reason: BaseException | None) -> None:
        if isinstance(reason, _HeadTooLarge):
            within = f"Its request line, headers and trailers may have {HEAD_MAX} bytes."
            self._refuse(431, "head-too-large", "The head of the request is too large", within)
        else:
            # The target is the one part of a head that is looked into once more while it is parsed.
            self._refuse(400, "not-readable", "The request cannot be read", "Send a target as RFC 9112 section 3.2.")

    def _refuse(self, status: int, code: str, title: str, detail: str) -> None:
        """End the connection; say why, unless it would be taken for the answer to another request."""
        self._deaf = True
        self._stop_clock()
        cycle = cast("RequestResponseCycle | None", self.cycle)
        own = cycle is None or cycle.response_complete
        if cycle is not None and not cycle.response_complete:
            own = cycle.more_body and not cycle.response_started and not self.pipeline
            # Whoever reads the rest of its body is told that there is none, and what they answer goes nowhere.
            cycle.disconnected = True
            cycle.message_event.set()
        if own:
            response = problems.answer(status, code, title, detail, headers={"Connection": "close"})
            lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
            lines += [name + b": " + value for name, value in response.raw_headers]
            self.transport.write(b"\r\n".join([*lines, b"", bytes(response.body)]))
        self.transport.close()
