"""More requests at once than the server takes are refused in the protocol's words."""

import asyncio

import httpx
from starlette.types import Receive, Scope, Send

from server.limits import RequestLimit
from server.problems import MEDIA_TYPE


async def test_a_request_too_many_is_told_to_come_again_and_the_next_is_served() -> None:
    leave, inside = asyncio.Event(), asyncio.Event()

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        inside.set()
        await leave.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    transport = httpx.ASGITransport(RequestLimit(waits, most=1))
    async with httpx.AsyncClient(transport=transport, base_url="http://doorstep.test") as http:
        first = asyncio.create_task(http.get("/"))
        await inside.wait()
        refused = await http.get("/")
        assert (refused.status_code, refused.headers["content-type"]) == (503, MEDIA_TYPE)
        assert refused.json()["code"] == "busy"
        assert int(refused.headers["retry-after"]) > 0
        leave.set()
        assert (await first).status_code == 204
        assert (await http.get("/")).status_code == 204


async def test_a_request_that_fails_gives_its_place_back() -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("power cut")

    transport = httpx.ASGITransport(RequestLimit(fails, most=1), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://doorstep.test") as http:
        assert [(await http.get("/")).status_code for _ in range(3)] == [500] * 3
