"""The way to the server: proxies, the certificate, the clock, and whether it takes this hub. One or two small
requests."""

import asyncio
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from joserfc.jwk import ECKey

from hub import credentials, web
from hub.care.findings import Finding, note, unknown, well, wrong
from hub.clock import span
from hub.credentials import Enrolment, assertion
from hub.errors import NotEnrolled
from hub.problems import KINDS, say
from hub.web import Answer, Unreachable

WHOLE_S = 25.0
CLOCK_OFF_MS = 120_000  # as for the running hub
_SKEW_MS = 60_000  # from here on an assertion is refused for its times
_TOKEN_MAX = 64 * 1024


async def checks(folder: Path) -> list[Finding]:
    try:
        enrolment, key = credentials.load(folder), credentials.load_key(folder)
    except NotEnrolled:
        said = "There is no server to ask before this laptop is enrolled."
        return [unknown(check, said) for check in ("Server", "Certificate", "Clock")]
    proxy = proxy_for(enrolment.token_url, urllib.request.getproxies())
    try:
        async with asyncio.timeout(WHOLE_S):
            found = await _ask(enrolment, key)
    except TimeoutError:
        found = _silent(enrolment, "server-unreachable", f"no answer in {WHOLE_S:.0f} seconds")
    except Unreachable as error:
        found = _silent(enrolment, error.code, str(error))
    except (ValueError, ImportError, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        # httpx reads the proxies when it starts, and has no other reason to fail then.
        said = f"The proxy that is set cannot be used ({type(error).__name__})."
        unasked = [unknown(check, "The server cannot be asked.") for check in ("Server", "Certificate", "Clock")]
        return [wrong("Proxy", "proxy-in-the-way", said, KINDS["proxy-in-the-way"].next_step), *unasked]
    return [_proxy(proxy, found), *found]


def proxy_for(url: str, proxies: Mapping[str, str]) -> str | None:
    """The proxy that stands between here and `url`, as host and port, or None. `proxies` as `getproxies` gives them."""
    parts = urlsplit(url)
    found = proxies.get(parts.scheme) or proxies.get("all")
    if not found or urllib.request.proxy_bypass(parts.netloc):
        return None
    try:
        proxy = urlsplit(found if "://" in found else f"http://{found}")
        host, port = proxy.hostname, proxy.port
    except ValueError:
        host = port = None
    return f"{host or 'without a name'}{f':{port}' if port else ''}"  # never the password that one may hold


def _proxy(proxy: str | None, found: list[Finding]) -> Finding:
    check = "Proxy"
    if proxy is None:
        return well(check, "No proxy is set for the server.")
    words = f"The settings of this system send the hub through the proxy {proxy}."
    if any(finding.code in ("server-unreachable", "network-in-the-way", "certificate") for finding in found):
        return wrong(check, "proxy-in-the-way", words, KINDS["proxy-in-the-way"].next_step)
    return note(check, words)


async def _ask(enrolment: Enrolment, key: ECKey) -> list[Finding]:
    """Ask for a token, which costs the server little and changes nothing. Raises Unreachable."""
    async with web.client() as http:
        answer = await _token(http, enrolment, key, 0)
        now_ms = time.time_ns() // 1_000_000
        ahead_ms = (answer.date_ms if answer.date_ms is not None else now_ms) - now_ms
        if answer.status in (400, 401) and abs(ahead_ms) > _SKEW_MS:
            # It may have been refused for the laptop's clock alone: once more, by the server's.
            answer = await _token(http, enrolment, key, ahead_ms)
    secure = urlsplit(enrolment.server).scheme == "https"
    certificate = (
        well("Certificate", "The server's certificate is valid.")
        if secure
        else note("Certificate", "The server is on this same machine and needs none.")
    )
    server = _answered(enrolment, answer)
    if server.code == "network-in-the-way":
        return [
            server,
            unknown("Certificate", "The server was not reached."),
            unknown("Clock", "The server was not reached."),
        ]
    return [server, certificate, _clock(answer, ahead_ms)]


async def _token(http: httpx.AsyncClient, enrolment: Enrolment, key: ECKey, ahead_ms: int) -> Answer:
    unix_s = (time.time_ns() // 1_000_000 + ahead_ms) // 1000
    signed = assertion(key, enrolment.hub_id, enrolment.token_url, unix_s)
    body = str(httpx.QueryParams({**credentials.TOKEN_REQUEST, "client_assertion": signed})).encode()
    return await web.post(http, enrolment.token_url, body, {"Content-Type": credentials.FORM}, _TOKEN_MAX)


def _answered(enrolment: Enrolment, answer: Answer) -> Finding:
    check, json = "Server", answer.media in ("application/json", "application/problem+json")
    if answer.status == 200 and isinstance((answer.json() or {}).get("access_token"), str):
        return well(check, f"{enrolment.server} answers and accepts this laptop.")
    code, detail = "network-in-the-way", f"status {answer.status} is not the server's"
    if answer.status in (400, 401, 403) and json:
        code = "server-refused"
    elif answer.status == 426 and json:
        code = "version-too-old"
    elif answer.status in (429, 503):
        code = "server-busy"
    elif answer.status >= 500:
        code, detail = "server-failed", f"status {answer.status}"
    return _wrong(check, code, enrolment.server, detail)


def _clock(answer: Answer, ahead_ms: int) -> Finding:
    check = "Clock"
    if answer.date_ms is None:
        return unknown(check, "The server did not tell its time.")
    if abs(ahead_ms) > CLOCK_OFF_MS:
        return _wrong(check, "clock-wrong", "", span(ahead_ms))
    return well(check, "The laptop's clock agrees with the server's.")


def _silent(enrolment: Enrolment, code: str, detail: str) -> list[Finding]:
    clock = unknown("Clock", "The server was not reached.")
    if code == "certificate":
        return [
            unknown("Server", "Its certificate is not believed."),
            _wrong("Certificate", code, enrolment.server, detail),
            clock,
        ]
    return [
        _wrong("Server", code, enrolment.server, detail),
        unknown("Certificate", "The server was not reached."),
        clock,
    ]


def _wrong(check: str, code: str, subject: str, detail: str) -> Finding:
    return wrong(check, code, say(code, subject, detail), KINDS[code].next_step)
