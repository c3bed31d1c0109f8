"""Every call of the interface in one router, and the document that describes them all (OpenAPI 3.1)."""

from functools import lru_cache
from typing import Any

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import JSONResponse

import server.accounts.api
import server.audit.api
import server.board.api
import server.corrections.api
import server.custody.api
import server.emergency.api
import server.followup.api
import server.followup.policy_api
import server.patients.api
import server.quality.api
import server.recalls.api
import server.retention.api
import server.staff.api
import server.updates.api
import server.worklist.api
from server.accounts.cookies import session_name
from server.api.access import CSRF_HEADER
from server.api.shapes import EVERYWHERE, PROBLEM_NAME, ProblemShape
from server.state import API_PATH, CurrentSettings

VERSION = "1.0.0"
_METHODS_THAT_READ = frozenset(("get",))
# What an access token does not do.
_IN_PERSON = frozenset(
    (
        (f"{API_PATH}/tokens", "post"),
        (f"{API_PATH}/patients/{{patient_id}}/erasure", "post"),
        (f"{API_PATH}/emergency-uses/{{use_id}}/review", "post"),
    )
)

# A new domain adds its own here.
CALLS = (
    server.worklist.api.router,
    server.corrections.api.router,
    server.followup.api.router,
    server.patients.api.router,
    server.followup.policy_api.router,
    server.recalls.api.router,
    server.board.api.router,
    server.custody.api.router,
    server.quality.api.router,
    server.updates.api.router,
    server.audit.api.router,
    server.retention.api.router,
    server.emergency.api.router,
    server.staff.api.router,
    server.accounts.api.router,
)

router = APIRouter(prefix=API_PATH, responses=EVERYWHERE)
for one in CALLS:
    router.include_router(one)


@router.get("/openapi.json", include_in_schema=False)
async def description(request: Request, settings: CurrentSettings) -> JSONResponse:
    """What can be called, with what, and what is answered. There is nothing of anybody's in it."""
    return JSONResponse(document(session_name(settings)))


@lru_cache(maxsize=2)
def document(session_cookie: str) -> dict[str, Any]:
    """The description of every call; `session_cookie` is the name of a browser's."""
    made = get_openapi(
        title="Doorstep",
        version=VERSION,
        openapi_version="3.1.0",
        description=(
            "Results, their follow-up and what is around them, for programs. Send an access token as "
            "`Authorization: Bearer`; it does what the person's role allows, or less. Errors are RFC 9457 problem "
            "documents with a stable `code`. Lists go on by `next_cursor`."
        ),
        routes=router.routes,
    )
    components = made["components"]
    components["schemas"][PROBLEM_NAME] = _problem_schema(components["schemas"])
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": session_cookie},
        "form": {"type": "apiKey", "in": "header", "name": CSRF_HEADER},
    }
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            by_session: dict[str, list[str]] = (
                {"session": []} if method in _METHODS_THAT_READ else {"session": [], "form": []}
            )
            operation["security"] = [by_session] if (path, method) in _IN_PERSON else [{"token": []}, by_session]
    return made


def _problem_schema(schemas: dict[str, Any]) -> dict[str, Any]:
    schema = ProblemShape.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(schema.pop("$defs", {}))
    return schema
