"""Bounds on what all requests together may take: how many at once, and how much of a body is read."""

from collections.abc import Collection

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server import problems

BODY_MAX = 64 * 1024
RETRY_AFTER_SECONDS = 5


class RequestLimit:
    """Refuses a request beyond so many at once with 503 `busy`."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._now = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on while there are not too many."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._now >= self._most:
            busy = problems.Busy("Try again shortly.", headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
            await problems.of(busy)(scope, receive, send)
            return
        self._now += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._now -= 1


class BodyLimit:
    """Refuses a body beyond `BODY_MAX` bytes with 413 `too-large`, whether or not its length was declared."""

    def __init__(self, app: ASGIApp, own_bound: Collection[str]) -> None:
        self._app = app
        self._own_bound = own_bound

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its body; `own_bound` are paths that count for themselves."""
        if scope["type"] != "http" or scope["path"] in self._own_bound:
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared[:20]) > BODY_MAX:
            await problems.of(problems.TooLarge(BODY_MAX))(scope, receive, send)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > BODY_MAX:
                # The one exception that the framework hands on from the middle of reading a body.
                raise HTTPException(413)
            return message

        await self._app(scope, counted, send)
