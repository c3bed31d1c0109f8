"""Error answers for people: the same problem that a program is given as JSON, as a page that says what to do next."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.problems import DATABASE_AWAY, Problem
from server.settings import Settings
from server.state import API_PATH
from server.web.environment import page
from server.web.headers import secure

Handler = Callable[[Request, Exception], Awaitable[Response]]

_NEXT = {
    400: "Go back and try again.",
    401: "Sign in and try again.",
    403: "If you think you should see this, ask whoever runs Doorstep where you work.",
    404: "Check the address, or start again from your first page.",
    405: "Start again from your first page.",
    409: "Go back, look at what is there now, and decide again.",
    413: "Send less at once.",
    422: "Go back, correct it and try again.",
    429: "Wait a little, then try again.",
    500: "Results are not affected: readers keep each record until the server has acknowledged it.",
    502: "Start again from the sign-in page. If it stays, tell whoever runs Doorstep where you work.",
    503: "Wait a minute, then load the page again.",
}


class SignInNeeded(Problem):
    """Nobody is signed in, or the session has ended."""

    status = 401
    code = "sign-in-needed"
    title = "Sign in to see this page"


class GoFirst(Problem):
    """Something of the person's own account comes before every other page; `href` leads to it."""

    status = 403
    code = "account-not-ready"
    title = "Your account needs something first"

    def __init__(self, href: str) -> None:
        super().__init__(f"Open {href} and do what it asks.", extra={"href": href})
        self.href = href


def install(app: FastAPI) -> None:
    """Answer browsers with pages; whoever does not ask for HTML keeps the answer that was installed before."""
    for kind in (Problem, HTTPException, RequestValidationError, *DATABASE_AWAY, Exception):
        app.add_exception_handler(kind, _for_people(cast("Handler", app.exception_handlers[kind])))


def wants_page(request: Request) -> bool:
    """True for a browser: it says that it takes HTML. The interface for programs never answers with a page."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(API_PATH)


def _for_people(answer: Handler) -> Handler:
    async def handle(request: Request, error: Exception) -> Response:
        response = await answer(request, error)
        if request.headers.get("hx-request") == "true" and isinstance(error, SignInNeeded):
            response.headers["HX-Redirect"] = "/sign-in"
        elif wants_page(request):
            if isinstance(error, GoFirst):
                response = RedirectResponse(error.href, 303)
            else:
                response = _to_sign_in(request) if isinstance(error, SignInNeeded) else _page(request, response)
        # The fault handler answers outside every middleware, so the headers are added here too.
        settings: Settings = request.app.state.doorstep.settings
        secure(response.headers, https=settings.secure)
        return response

    return handle


def _to_sign_in(request: Request) -> Response:
    """Sign in first, then back here; only a page that was read is worth coming back to."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    wanted = f"?next={quote(here, safe='/')}" if request.method == "GET" and here != "/" else ""
    return RedirectResponse(f"/sign-in{wanted}", 303)


def _page(request: Request, problem: Response) -> Response:
    told = cast("Mapping[str, Any]", json.loads(bytes(problem.body)))
    status = problem.status_code
    keep = {name: value for name, value in problem.headers.items() if name in ("retry-after", "allow")}
    viewer = getattr(request.state, "viewer", None)
    return page(
        request,
        "error.jinja",
        status=status,
        headers=keep,
        title=told["title"],
        detail=told.get("detail") or "",
        what_next=_NEXT.get(status) or _NEXT[500 if status >= 500 else 400],
        code=told.get("incident") or told["code"],
        link={"href": "/", "text": f"Go to {'the ' if viewer.start.href == '/' else ''}{viewer.start.text.lower()}"}
        if viewer
        else {"href": "/sign-in", "text": "Sign in"},
    )
