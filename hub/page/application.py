"""The page as a web application: opening, the page itself, its live parts, and static files."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub import status
from hub.advice import Headline
from hub.errors import StoreError
from hub.page import assets, words
from hub.page.access import Access
from hub.page.assets import rendered
from hub.page.desk import Desk, Register
from hub.page.live import Live
from hub.page.view import View, view

_AGES_S = 15.0  # how often the page is made anew when nothing happens: its times grow old
_PACE_S = 0.5  # at most this often when much happens
_CHANGING = frozenset(("POST", "PUT", "PATCH", "DELETE"))
_HEADERS = {
    # Nothing but this page's own files; no 'unsafe-inline' and no nonce, for the page holds no script and no style.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with "no-referrer" a browser's own form would name no origin
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def application(folder: Path, access: Access, live: Live, register: Register, stopping: asyncio.Event) -> ASGIApp:
    """The page of the hub whose data is in `folder`. Streams end when `stopping` is set."""
    page, desk = Page(folder, live, stopping), Desk(register)

    async def opening(request: Request) -> Response:
        return opened(request, access)

    routes = [
        Route("/", page.home),
        Route("/live", page.live),
        Route("/register", desk.form, methods=["GET"]),
        Route("/register", desk.register, methods=["POST"]),
        Route("/labels", desk.ask_labels, methods=["GET"]),
        Route("/labels", desk.labels, methods=["POST"]),
        Route("/open", opening),
        Mount("/static", StaticFiles(directory=assets.STATIC)),
    ]
    return Guard(Starlette(routes=routes, exception_handlers={StoreError: _unreadable}), access)


class Page:
    def __init__(self, folder: Path, live: Live, stopping: asyncio.Event) -> None:
        self._folder, self._live, self._stopping = folder, live, stopping

    async def home(self, _request: Request) -> Response:
        """The page, whole and current, for a browser with or without scripts."""
        return rendered("home.jinja", view=await self._view(), as_of=as_of())

    async def live(self, _request: Request) -> Response:
        """Server-sent events: `headline` and `readers`, each the new content of its part, when it changed; and `alive`
        at least every `_AGES_S`, by which the page knows that it is not old."""
        return StreamingResponse(self._events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def _events(self) -> AsyncIterator[str]:
        said = dict[str, str]()
        while not self._stopping.is_set():
            version = self._live.version
            for name, content in (await self._parts()).items():
                if said.get(name) != content:
                    said[name] = content
                    yield event(name, content)
            yield event("alive", as_of())
            await self._live.changed(version, _AGES_S)
            await asyncio.sleep(_PACE_S)  # what comes meanwhile is told in one

    async def _parts(self) -> dict[str, str]:
        """The live parts of the page; of a database that cannot be read, the headline says so."""
        try:
            shown: Any = await self._view()
        except StoreError as error:
            shown = {"headline": Headline("act", str(error))}
            return {"headline": _part("headline", shown)}
        return {name: _part(name, shown) for name in ("headline", "readers")}

    async def _view(self) -> View:
        found: dict[str, Any] = await asyncio.to_thread(status.read, self._folder)
        found["problems"] += self._live.unstored(found["problems"])
        on_readers = {reader["id"]: reader["on_reader"] for reader in found["readers"]}
        now = datetime.now().astimezone()
        return view(found, self._live.collecting(on_readers), self._live.visiting(), now)


def opened(request: Request, access: Access) -> Response:
    """Let the browser in that followed a link of `doorstep hub open`."""
    secret = access.open(request.query_params.get("key", ""))
    if secret is None:
        return rendered("closed.jinja", 403, spent=True)
    answer = RedirectResponse("/", 303)
    answer.set_cookie(access.cookie, secret, httponly=True, samesite="strict", path="/")
    return answer


class Guard:
    """ASGI middleware: security headers on every answer, and nothing but static files for who was not let in."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        app = self._answering(Headers(scope=scope), scope)
        await app(scope, receive, send_secured)

    def _answering(self, headers: Headers, scope: Scope) -> ASGIApp:
        path = scope["path"]
        if not self._access.is_own(headers, scope["method"] in _CHANGING):
            return Response("This page answers only to itself.", 403, media_type="text/plain")
        if path == "/open" or path.startswith("/static/") or self._access.is_in(headers):
            return self._app
        return rendered("closed.jinja", 401, spent=False)


async def _unreadable(_request: Request, error: Exception) -> Response:
    assert isinstance(error, StoreError)
    return rendered("failed.jinja", 503, sentence=str(error), code=error.code)


def _part(name: str, shown: Any) -> str:
    return assets.environment().get_template(f"parts/{name}.jinja").render(view=shown)


def as_of() -> str:
    """When the page was made, in words."""
    now = datetime.now().astimezone()
    return f"As of {words.time(now)} on {words.date(now)}"


def event(name: str, content: str) -> str:
    """One server-sent event (HTML Living Standard section 9.2.6)."""
    lines = "".join(f"data: {line}\n" for line in content.splitlines())
    return f"event: {name}\n{lines}\n"
