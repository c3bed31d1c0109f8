"""Every error answer of the server: application/problem+json (RFC 9457) with a stable code and a sentence.

A domain error is a subclass of `Problem` that carries its HTTP status and code; services raise it and know nothing of
HTTP beyond that. What nobody foresaw becomes a 500 with an incident id that the log repeats, and no other detail.
"""

import logging
import secrets
from collections.abc import Mapping
from typing import ClassVar

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, compile_path

MEDIA_TYPE = "application/problem+json"

log = logging.getLogger("doorstep.problems")


class Problem(Exception):
    """A domain error. Subclasses set `status`, `code` and `title`; `detail` is a sentence that says what to do next.

    `extra` become further members of the answer (RFC 9457 section 3.2), `headers` its headers.
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "bad-request"
    title: ClassVar[str] = "The request cannot be answered"

    def __init__(
        self,
        detail: str | None = None,
        *,
        extra: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})


class NotFound(Problem):
    """Nothing is there, or it is not this organisation's: the two look the same from outside."""

    status = 404
    code = "not-found"
    title = "Nothing is here"


class TooLarge(Problem):
    """The body is beyond the limit, in bytes."""

    status = 413
    code = "too-large"
    title = "The body is too large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"At most {limit} bytes are taken.", extra={"limit": limit})


class Busy(Problem):
    """More work at once than this process takes."""

    status = 503
    code = "busy"
    title = "The server is busy"


def answer(
    status: int,
    code: str,
    title: str,
    detail: str | None = None,
    extra: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The problem document as a response."""
    body: dict[str, object] = {"type": "about:blank", "title": title, "status": status, "code": code}
    if detail:
        body["detail"] = detail
    body.update(extra or {})
    return JSONResponse(body, status_code=status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def of(problem: Problem) -> JSONResponse:
    """The response of a domain error."""
    return answer(problem.status, problem.code, problem.title, problem.detail, problem.extra, problem.headers)


_STATUS_CODES = {
    400: ("not-readable", "The request cannot be read"),
    404: ("not-found", "Nothing is here"),
    405: ("method-not-allowed", "This address does not take that method"),
    413: ("too-large", "The request is too large"),
    415: ("unsupported-media-type", "The media type is not spoken here"),
}


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_validation)
    for kind in DATABASE_AWAY:
        app.add_exception_handler(kind, _on_database_away)
    app.add_exception_handler(ClientDisconnect, _on_hanging_up)
    app.add_exception_handler(Exception, _on_anything)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return of(error)


# A connection that is refused, lost or not to be had in time; SQLAlchemy's and psycopg's own.
DATABASE_AWAY: tuple[type[Exception], ...] = (OperationalError, InterfaceError, PoolTimeout, psycopg.OperationalError)
RETRY_AFTER_SECONDS = 5


async def _on_database_away(request: Request, error: Exception) -> Response:
    # Its text may hold an address; the class says enough.
    log.error("the database does not answer (%s) at %s %s", type(error).__name__, request.method, request.url.path)
    return of(
        Busy(
            "The database does not answer. Nothing was changed. Try again shortly.",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
    )


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, title = _STATUS_CODES.get(error.status_code, (f"http-{error.status_code}", "The request cannot be answered"))
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods(request))
    return answer(error.status_code, code, title, headers=headers)


def _methods(request: Request) -> list[str]:
    """What the address does take (RFC 9110 section 15.5.6), of every route that it has and not of the first only."""
    found: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        if isinstance(route.original_route, Route) and route.path:
            pattern, _, _ = compile_path(route.path)
            if pattern.match(request.url.path):
                found |= set(route.methods or ())
    return sorted(found)


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # Where and why, never what was sent: it may be a password or a patient's name.
    errors = [{"where": "/".join(str(part) for part in e["loc"]), "why": e["msg"]} for e in error.errors()]
    return answer(
        422,
        "not-valid",
        "The request is not valid",
        "Correct what is named in errors and send it again.",
        {"errors": errors},
    )


async def _on_hanging_up(request: Request, error: Exception) -> Response:
    # A van drives out of coverage: nothing was changed, nobody is there to be told, and it is no incident.
    log.info("the other end hung up in the midst of %s %s", request.method, request.url.path)
    return Response(status_code=400)


async def _on_anything(request: Request, error: Exception) -> Response:
    incident = secrets.token_hex(8)
    log.error("incident %s at %s %s", incident, request.method, request.url.path, exc_info=error)
    return answer(
        500,
        "fault",
        "Something went wrong on the server",
        "Nothing was changed. Try again; if it stays, give this incident id to whoever runs the server.",
        {"incident": incident},
    )
