"""The pages for registering a person and printing labels. What is typed goes into the sealed registration and back to
the browser that sent it, and nowhere else."""

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hub.errors import HubError
from hub.labels import SHEET_MAX, labels
from hub.page.assets import rendered
from hub.registration import FIELDS, FieldError

Register = Callable[[Mapping[str, str]], Awaitable[list[FieldError]]]

_BODY_MAX = 64 * 1024
_FIELDS_MAX = 40
_ASKED = "To keep these details with the test’s result, and to be contacted about it"
_PRINTED = "12"


class Desk:
    """`register` checks, seals and queues a form; it returns what is wrong with it."""

    def __init__(self, register: Register) -> None:
        self._register = register

    async def form(self, request: Request) -> Response:
        """The empty form; after one was kept, with a sentence that says so."""
        kept = request.query_params.get("kept") == "1"
        return rendered("register.jinja", fields={"consent_asked": _ASKED}, errors={}, kept=kept, failed="")

    async def register(self, request: Request) -> Response:
        """Seal and queue a form; one with mistakes comes back as it was typed, with a sentence at each field."""
        typed = await fields_of(request)
        if typed is None:
            return rendered("register.jinja", 413, fields={}, errors={}, kept=False, failed="The form was too long.")
        given = {name: value for name, value in typed.items() if name in FIELDS}
        try:
            wrong = await self._register(given)
        except HubError as error:
            return rendered("register.jinja", 503, fields=given, errors={}, kept=False, failed=str(error))
        if wrong:
            errors = dict[str, str]()
            for error in wrong:
                errors.setdefault(error.field, error.sentence)
            return rendered("register.jinja", 422, fields=given, errors=errors, kept=False, failed="")
        return RedirectResponse("/register?kept=1", 303)

    async def ask_labels(self, _request: Request) -> Response:
        """How many labels to print."""
        return rendered("labels.jinja", count=_PRINTED, error="", labels=())

    async def labels(self, request: Request) -> Response:
        """A sheet of labels with new codes, to be printed; none of them is kept here."""
        count = (await fields_of(request) or {}).get("count", "").strip()
        if not (count.isascii() and count.isdigit() and len(count) <= 3 and 1 <= int(count) <= SHEET_MAX):
            error = f"Write a number from 1 to {SHEET_MAX}."
            return rendered("labels.jinja", 422, count=count, error=error, labels=())
        return rendered("labels.jinja", count=count, error="", labels=labels(int(count)))


async def fields_of(request: Request) -> dict[str, str] | None:
    """The fields of a form (application/x-www-form-urlencoded); None for a body beyond the bounds."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _BODY_MAX:
            return None
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_FIELDS_MAX)
    except ValueError:
        return None
    return dict(pairs)
