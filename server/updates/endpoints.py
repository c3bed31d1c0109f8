"""Images for hubs (docs/protocol.md section 8.4): which reader awaits which, and the image, whole or from an offset.

An image is read and sent a block at a time, each in a transaction of its own: it never changes.
"""

import re
from collections.abc import AsyncIterator

import cbor2
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from reader import wire
from server.database import tenancy
from server.hubs import repository as hub_repository
from server.hubs import service as hubs
from server.hubs.endpoints import bearer, token_audience
from server.hubs.service import Unauthorised
from server.hubs.tokens import TokenHolder
from server.problems import NotFound, Problem
from server.state import State, state_of
from server.updates import release_repository as repository

BLOCK_BYTES = 64 * 1024
ROWS = 500
LISTED_MAX = 10_000
"""Readers of one list, by id; the others are in it once some of these have the image."""
# Made of what never changes; the hub's token is needed for it, so no cache between may keep it for others.
CACHE = "private, max-age=31536000, immutable"
_ID = re.compile(rf"[0-9a-f]{{{2 * wire.IMAGE_ID_BYTES}}}")
_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")

router = APIRouter()


class RangeUnsatisfiable(Problem):
    """No byte of the image is in the range that was asked for."""

    status = 416
    code = "range-not-satisfiable"
    title = "The image has no byte there"

    def __init__(self, size: int) -> None:
        super().__init__(
            f"It has {size} bytes. Ask from an offset below that.",
            extra={"size": size},
            headers={"Content-Range": f"bytes */{size}"},
        )


async def images(request: Request) -> Response:
    """Which readers of the hub's organisation await an image: a CBOR sequence of one item for each."""
    state, hub = await _hub(request)
    return StreamingResponse(_items(state, hub), media_type=wire.EXCHANGE_MEDIA_TYPE)


async def image(request: Request) -> Response:
    """An image that a reader of the hub's organisation awaits, or what `Range` asks of it (RFC 9110 section 14)."""
    state, hub = await _hub(request)
    wanted = str(request.path_params["image_id"])
    image_id = bytes.fromhex(wanted) if _ID.fullmatch(wanted) else b""
    async with tenancy.transaction(state.sessions, hub.organisation_id) as session:
        size = await repository.awaited_size(session, image_id)
    if size is None:
        raise NotFound("No reader of your organisation awaits such an image. Ask for the list again.")
    tag = f'"{wanted}"'
    headers = {"ETag": tag, "Cache-Control": CACHE, "Accept-Ranges": "bytes"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    asked = request.headers.get("range")
    part = span(asked, size) if asked and request.headers.get("if-range", tag) == tag else None
    begin, end = part or (0, size)
    if part:
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
    return StreamingResponse(
        _blocks(state, hub, image_id, begin, end),
        status_code=206 if part else 200,
        headers={**headers, "Content-Length": str(end - begin)},
        media_type="application/octet-stream",
    )


# Plain routes, as the exchange: the framework has nothing to convert, and would answer a wrong id with its own problem.
router.add_route(wire.IMAGES_PATH, images, methods=["GET"])
router.add_route(wire.IMAGES_PATH + "/{image_id}", image, methods=["GET"])


def span(header: str, size: int) -> tuple[int, int] | None:
    """(first, one past the last) byte of a `Range` header; None for one that is not a single range of bytes.

    Raises `RangeUnsatisfiable`.
    """
    found = _RANGE.fullmatch(header.strip())
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        begin, end = max(0, size - int(suffix)), size
        if int(suffix) == 0:
            raise RangeUnsatisfiable(size)
    else:
        begin, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < begin:
            return None
    if begin >= size:
        raise RangeUnsatisfiable(size)
    return begin, end


async def _hub(request: Request) -> tuple[State, TokenHolder]:
    """The hub that asks, known and not asking too often. Raises `Unauthorised`, `TooMany`."""
    state = state_of(request)
    hub = hubs.holder(bearer(request), state.settings.token_secret_bytes(), token_audience(state.settings))
    async with tenancy.transaction(state.sessions, hub.organisation_id) as session:
        if not await hub_repository.known(session, hub.hub_id):
            raise Unauthorised
    state.throttle.image(hub.hub_id)
    return state, hub


async def _items(state: State, hub: TokenHolder) -> AsyncIterator[bytes]:
    after = b""
    for _ in range(0, LISTED_MAX, ROWS):
        async with tenancy.transaction(state.sessions, hub.organisation_id) as session:
            found = await repository.who_awaits(session, after, ROWS)
        yield b"".join(
            cbor2.dumps([wire.ITEM_IMAGE, one.reader_id, one.image_id, one.size, one.digest]) for one in found
        )
        if len(found) < ROWS:
            return
        after = found[-1].reader_id


async def _blocks(state: State, hub: TokenHolder, image_id: bytes, begin: int, end: int) -> AsyncIterator[bytes]:
    while begin < end:
        async with tenancy.transaction(state.sessions, hub.organisation_id) as session:
            block = await repository.block(session, image_id, begin, min(BLOCK_BYTES, end - begin))
        yield block
        begin += len(block)
