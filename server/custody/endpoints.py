"""The exchange between hub and server (docs/protocol.md section 5)."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from reader import wire
from server.custody import body, downlink, offer, service
from server.database import direct
from server.database.direct import Connection
from server.hubs import service as hubs
from server.hubs.endpoints import bearer, token_audience
from server.hubs.tokens import TokenHolder
from server.problems import Busy, Problem
from server.state import State, state_of

QUEUE_SECONDS_MAX = 20
RETRY_AFTER_SECONDS = 5

router = APIRouter()


# A body so small is read before the database is asked about its hub: reading it is no burden, a round trip would be.
_SMALL_BYTES = 64 * 1024
# A few records, or none: a millisecond's work, with so many new tickets and clock floors in the answer at most.
_FEW_BYTES = 4 * 1024
_FEW_NEW = 8


async def exchange(request: Request) -> Response:
    """Take what a hub offers and answer each record. Everything is stored, or nothing, before the answer leaves."""
    state = state_of(request)
    hub = hubs.holder(bearer(request), state.settings.token_secret_bytes(), token_audience(state.settings))
    known = False
    if not _is_small(request):
        # Before the body is read, so that a revoked hub cannot make the server read 8 MiB.
        await _require_known(state, hub)
        known = True
    try:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != wire.EXCHANGE_MEDIA_TYPE:
            raise body.UnsupportedMediaType(f"Send the body as {wire.EXCHANGE_MEDIA_TYPE}.")
        async with _turn(state):
            content = await body.read(request)
            answer = await _exchange(state, hub, content)
    except Problem as problem:
        # What is wrong with a request is told to none but a hub that is known.
        if not known and not isinstance(problem, hubs.Unauthorised):
            await _require_known(state, hub)
        raise
    if answer.held:
        state.wake.tell(hub.organisation_id)
    if answer.registered:
        state.settle.tell(hub.organisation_id)
    return Response(answer.content, media_type=wire.EXCHANGE_MEDIA_TYPE)


# A plain route: it has nothing for the framework to resolve or convert, which took longer than the database did.
router.add_route(wire.EXCHANGE_PATH, exchange, methods=["POST"])


@dataclass(frozen=True, slots=True)
class _Answer:
    """The body of an answer; whether any record is newly held, and any registration newly kept."""

    content: bytes
    held: bool
    registered: bool


async def _exchange(state: State, hub: TokenHolder, content: bytes) -> _Answer:
    """The answer to a body. What may take its time is done in a thread, and pages are answered meanwhile."""
    if len(content) <= _FEW_BYTES:
        with contextlib.suppress(downlink.TooMuch):
            return await direct.answered_on_the_loop(state.exchange_pool, _work(state, hub, content, _FEW_NEW))
    return await asyncio.to_thread(lambda: direct.answered(state.exchange_pool, _work(state, hub, content)))


def _work(
    state: State, hub: TokenHolder, content: bytes, new_max: int | None = None
) -> Callable[[Connection], Callable[[], _Answer]]:
    """What an exchange does in its transaction, which may be done twice."""
    offered = offer.read(content)
    policy = replace(_policy(state), new_max=new_max)

    def work(connection: Connection) -> Callable[[], _Answer]:
        # A hub revoked while it sent its body stores nothing: that is looked up in the transaction that stores.
        items = service.accept(connection, state.keyring, policy, hub, offered)
        return lambda: _answer(items())

    return work


def _answer(items: list[list[Any]]) -> _Answer:
    held = any(item[0] == wire.ITEM_ANSWER and item[4] == wire.HELD for item in items)
    return _Answer(service.encode(items), held, any(item[0] == wire.ITEM_REGISTRATION for item in items))


async def _require_known(state: State, hub: TokenHolder) -> None:
    await asyncio.to_thread(
        direct.transaction, state.exchange_pool, lambda connection: hubs.require_known(connection, hub)
    )


def _is_small(request: Request) -> bool:
    """True for a body that says how long it is, is not compressed and short."""
    declared = request.headers.get("content-length", "")
    return declared.isdecimal() and int(declared[:20]) <= _SMALL_BYTES and "content-encoding" not in request.headers


def _policy(state: State) -> downlink.Policy:
    settings = state.settings
    return downlink.Policy(timedelta(days=settings.ticket_days), timedelta(hours=settings.clock_floor_hours))


@asynccontextmanager
async def _turn(state: State) -> AsyncGenerator[None]:
    """A turn among the exchanges worked on at once. Raises `Busy` when none comes in time."""
    try:
        async with asyncio.timeout(QUEUE_SECONDS_MAX):
            await state.exchanges.acquire()
    except TimeoutError:
        raise Busy("Try again shortly.", headers={"Retry-After": str(RETRY_AFTER_SECONDS)}) from None
    try:
        yield
    finally:
        state.exchanges.release()
