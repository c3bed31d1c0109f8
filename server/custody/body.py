"""Reads a request's body with a bound on bytes and time, decompressing as it comes, so that no bomb goes off."""

import asyncio
import zlib

from starlette.requests import Request

from server.custody.offer import BODY_MAX, NotASequence
from server.problems import Problem, TooLarge

READ_SECONDS_MAX = 60
# Bytes decompressed in one step: what a bomb can make before it is measured.
_STEP = 256 * 1024
_GZIP = 16 + zlib.MAX_WBITS


class UnsupportedMediaType(Problem):
    """The content type or encoding is not spoken."""

    status = 415
    code = "unsupported-media-type"
    title = "The media type is not spoken here"


class TooSlow(Problem):
    """The body did not arrive in time."""

    status = 408
    code = "too-slow"
    title = "The body took too long"


async def read(request: Request) -> bytes:
    """The body, decompressed. Raises `UnsupportedMediaType`, `TooLarge`, `TooSlow`, `NotASequence`."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise UnsupportedMediaType("Send the body as it is or with Content-Encoding: gzip.")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > BODY_MAX:
        raise TooLarge(BODY_MAX)
    try:
        async with asyncio.timeout(READ_SECONDS_MAX):
            return await (_read_gzip(request) if encoding == "gzip" else _read_plain(request))
    except TimeoutError:
        raise TooSlow(f"The whole body must arrive within {READ_SECONDS_MAX} seconds.") from None


async def _read_plain(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_MAX:
            raise TooLarge(BODY_MAX)
    return bytes(body)


async def _read_gzip(request: Request) -> bytes:
    body = bytearray()
    taken = 0
    inflater = zlib.decompressobj(_GZIP)
    async for chunk in request.stream():
        taken += len(chunk)
        if taken > BODY_MAX:
            raise TooLarge(BODY_MAX)
        while chunk:
            try:
                body += inflater.decompress(chunk, _STEP)
            except zlib.error:
                raise NotASequence("The body is not gzip. Nothing was stored.") from None
            if len(body) > BODY_MAX:
                raise TooLarge(BODY_MAX)
            if inflater.eof and (inflater.unused_data or inflater.unconsumed_tail):
                raise NotASequence("Bytes follow the end of the gzip stream. Nothing was stored.")
            chunk = inflater.unconsumed_tail
            # A step takes about a millisecond; others get their turn between two.
            await asyncio.sleep(0)
    while not inflater.eof and (rest := inflater.decompress(b"", _STEP)):
        body += rest
        if len(body) > BODY_MAX:
            raise TooLarge(BODY_MAX)
    if not inflater.eof:
        raise NotASequence("The gzip stream ends early. Nothing was stored.")
    return bytes(body)
