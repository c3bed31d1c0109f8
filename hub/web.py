"""Asking the server over HTTP: bounded answers, no redirects, certificates always checked, and every failure named."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, cast
from urllib.parse import urlsplit

import httpx

from hub.errors import HubError

_JSON_MAX = 64 * 1024
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_WHOLE_S = 180.0  # a whole exchange: 4 MiB at 250 kbit/s and the server's work


class Unreachable(HubError):
    """No answer of the server's: `code` is a problem code, and trying again later is right."""

    code = "server-unreachable"


@dataclass(frozen=True, slots=True)
class Answer:
    """A bounded answer. `media` is the media type without parameters; `date_ms` the server's Date header as Unix ms."""

    status: int
    media: str
    body: bytes
    date_ms: int | None
    retry_after_s: float | None

    def problem_code(self) -> str | None:
        """The stable code of an application/problem+json answer."""
        if self.media != "application/problem+json":
            return None
        value = self.json()
        code = value.get("code") if value else None
        return code if isinstance(code, str) and len(code) <= 64 else None

    def json(self) -> dict[str, Any] | None:
        """The body as a JSON object, or None."""
        if len(self.body) > _JSON_MAX:
            return None
        try:
            value = httpx.Response(200, content=self.body).json()
        except (ValueError, RecursionError):
            return None
        return cast(dict[str, Any], value) if isinstance(value, dict) else None


def client(trust: ssl.SSLContext | None = None) -> httpx.AsyncClient:
    """A client that verifies certificates (against `trust`, or the usual authorities) and follows no redirect."""
    limits = httpx.Limits(max_connections=4, max_keepalive_connections=2)
    return httpx.AsyncClient(verify=trust or True, follow_redirects=False, timeout=_TIMEOUT, limits=limits)


async def post(http: httpx.AsyncClient, url: str, body: bytes, headers: Mapping[str, str], limit: int) -> Answer:
    """Post and read at most `limit` bytes. Raises Unreachable when no whole answer came."""
    async with asked(http, "POST", url, headers, body) as response:
        return await whole(response, limit)


@asynccontextmanager
async def asked(
    http: httpx.AsyncClient, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
) -> AsyncGenerator[httpx.Response]:
    """The answer while its body comes; the block has _WHOLE_S for it. Raises Unreachable when it, or the rest of it,
    did not come."""
    # An answer is mostly sealed bytes, which do not shrink; refusing encodings leaves no room for a decompression bomb.
    sent = {"Accept-Encoding": "identity", **headers}
    host = urlsplit(url).hostname
    try:
        async with asyncio.timeout(_WHOLE_S), http.stream(method, url, content=body, headers=sent) as response:
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise Unreachable(f"{host} answered in an encoding that was not asked for", "network-in-the-way")
            yield response
    except TimeoutError as error:
        raise Unreachable(f"{host} did not finish its answer in {_WHOLE_S:.0f} s") from error
    except httpx.HTTPError as error:
        if _is_certificate(error):
            raise Unreachable(f"{host}: {error}"[:160], "certificate") from error
        raise Unreachable(f"{host}: {str(error) or type(error).__name__}"[:160]) from error


async def whole(response: httpx.Response, limit: int) -> Answer:
    """The whole of an answer of at most `limit` bytes. Raises Unreachable."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > limit:
            said = f"{response.url.host} answered with more than {limit} bytes"
            raise Unreachable(said, "network-in-the-way")
    return _answer(response, bytes(body))


def _answer(response: httpx.Response, body: bytes) -> Answer:
    media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Answer(
        response.status_code,
        media,
        body,
        _date_ms(response.headers.get("date")),
        _seconds(response.headers.get("retry-after")),
    )


def _date_ms(header: str | None) -> int | None:
    if not header:
        return None
    try:
        moment = parsedate_to_datetime(header)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.isascii() and header.isdigit() and len(header) <= 6 else None


def _is_certificate(error: BaseException | None) -> bool:
    """Whether a certificate that does not verify is among the causes."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
