"""Speaks with providers: their metadata, their keys, and the exchange of a code - each within bounds of time and size.

Requests are put together as authlib does it and sent by a client of ours, which follows no redirect, reads at most
`ANSWER_MAX` bytes, takes at most `WHOLE_S` seconds, and lets one provider that hangs hold no more than `AT_ONCE`
connections. An address is https, or of this machine.
"""

import asyncio
import base64
import ipaddress
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote, urlsplit

import httpx
from authlib.oauth2 import rfc7636
from authlib.oauth2.rfc6749 import parameters
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, RSAKey

from server.hubs.throttle import Allowance
from server.openid.attempts import Attempt
from server.problems import Problem

log = logging.getLogger("doorstep.openid")

ANSWER_MAX = 256 * 1024
WHOLE_S = 10.0
# Providers close a connection that idles for five seconds or more. A code sent in the moment in which they do is lost
# with it, and may not be sent again: so none goes by a connection that is about to be closed.
IDLE_S = 2.0
AT_ONCE = 4
KEPT_S = 600.0
# A key that is not known is asked for at once, but not by everybody who makes one up.
KEYS_AGAIN_S = 30.0
FAILURES, FAILURES_PER_MINUTE = 30, 10
_RSA_BITS_MIN = 2048
_CURVES = {"ES256": "P-256", "ES384": "P-384"}
_SCOPE = "openid email"
# authlib has no types of its own.
_untyped = cast("Any", parameters)
_prepare_grant_uri: Callable[..., str] = _untyped.prepare_grant_uri
_prepare_token_request: Callable[..., str] = _untyped.prepare_token_request
_code_challenge: Callable[[str], str] = cast("Any", rfc7636).create_s256_code_challenge


class ProviderAway(Problem):
    """The provider cannot be reached, or takes too long."""

    status = 503
    code = "provider-away"
    title = "Your organisation’s sign-in does not answer"

    def __init__(self) -> None:
        super().__init__("Nothing was changed. If it stays away, sign in with your email address and password.")


class ProviderWrong(Problem):
    """The provider's answer must not be believed, or is not what the standards say."""

    status = 502
    code = "provider-wrong"
    title = "Your organisation’s sign-in gave an answer that cannot be trusted"

    def __init__(self, why: str) -> None:
        super().__init__("You are not signed in. The reason is in the server’s log.")
        self.why = why


class CodeSpent(Problem):
    """The provider does not take the code: it was used, has run out, or was never its own."""

    status = 401
    code = "code-spent"
    title = "This sign-in was used already or has run out"

    def __init__(self) -> None:
        super().__init__("Start again from the sign-in page.")


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a provider says of itself (OpenID Connect Discovery section 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    basic: bool
    """The client shows its secret by HTTP Basic, else in the form."""
    names_itself: bool
    """Its answers carry `iss` (RFC 9207)."""


@dataclass(frozen=True, slots=True)
class Client:
    """What this server is at a provider."""

    client_id: str
    client_secret: str
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a code was exchanged for."""

    id_token: str
    access_token: str | None


class Providers:
    """The providers that this process has spoken with. Made inside the running loop; `close` it at the end."""

    def __init__(self) -> None:
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(None),  # `_ask` bounds the whole of it
            follow_redirects=False,
            trust_env=True,
            limits=httpx.Limits(max_connections=64, keepalive_expiry=IDLE_S),
        )
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._metadata: dict[str, tuple[float, Metadata]] = {}
        self._keys: dict[str, tuple[float, dict[str, list[dict[str, Any]]]]] = {}
        self.failures = Allowance(FAILURES, FAILURES_PER_MINUTE)
        """Answers that turned out not to be good, by network address."""

    async def close(self) -> None:
        await self._http.aclose()

    async def metadata(self, issuer: str) -> Metadata:
        """What the issuer says of itself, at most ten minutes old. Raises `ProviderAway`, `ProviderWrong`."""
        kept = self._metadata.get(issuer)
        if kept and time.monotonic() - kept[0] < KEPT_S:
            return kept[1]
        status, told = await self._ask("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration", issuer)
        if status != HTTPStatus.OK:
            raise ProviderWrong(f"its metadata was answered with {status}")
        metadata = described(issuer, told)
        self._metadata[issuer] = (time.monotonic(), metadata)
        return metadata

    async def tokens(self, metadata: Metadata, client: Client, code: str, verifier: str) -> Tokens:
        """Exchange a code. Raises `CodeSpent`, `ProviderAway`, `ProviderWrong`."""
        body = str(
            _prepare_token_request(
                "authorization_code", redirect_uri=client.redirect_uri, code=code, code_verifier=verifier
            )
        )
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        # Each part in the form's own coding, so that a colon in it ends nothing (RFC 6749 section 2.3.1).
        named, secret = quote(client.client_id, safe=""), quote(client.client_secret, safe="")
        if metadata.basic:
            headers["Authorization"] = f"Basic {base64.b64encode(f'{named}:{secret}'.encode()).decode()}"
        else:
            body += f"&client_id={named}&client_secret={secret}"
        status, told = await self._ask("POST", metadata.token_endpoint, metadata.issuer, headers, body)
        if status == HTTPStatus.BAD_REQUEST and told.get("error") == "invalid_grant":
            raise CodeSpent
        id_token, access_token = told.get("id_token"), told.get("access_token")
        if status != HTTPStatus.OK or not isinstance(id_token, str):
            raise ProviderWrong(f"the code was answered with {status}, {str(told.get('error', 'no ID token'))[:60]!r}")
        return Tokens(id_token, access_token if isinstance(access_token, str) else None)

    async def userinfo(self, metadata: Metadata, access_token: str) -> Mapping[str, Any]:
        """The claims of the userinfo endpoint. Raises `ProviderAway`, `ProviderWrong`."""
        assert metadata.userinfo_endpoint is not None
        headers = {"Authorization": f"Bearer {access_token}"}
        status, told = await self._ask("GET", metadata.userinfo_endpoint, metadata.issuer, headers)
        if status != HTTPStatus.OK:
            raise ProviderWrong(f"its userinfo was answered with {status}")
        return told

    async def key(self, metadata: Metadata, algorithm: str, key_id: str | None) -> Key:
        """The provider's key for that algorithm and id. Raises `ProviderAway`, `ProviderWrong` when it has none."""
        at, known = self._keys.get(metadata.jwks_uri, (-KEPT_S, {}))
        age_s = time.monotonic() - at
        found = _chosen(known, algorithm, key_id) if age_s < KEPT_S else None
        if found is None and age_s >= KEYS_AGAIN_S:
            status, told = await self._ask("GET", metadata.jwks_uri, metadata.issuer)
            if status != HTTPStatus.OK:
                raise ProviderWrong(f"its keys were answered with {status}")
            known = {"keys": _dictionaries(told.get("keys"))}
            self._keys[metadata.jwks_uri] = (time.monotonic(), known)
            found = _chosen(known, algorithm, key_id)
        if found is None:
            raise ProviderWrong("it has no such key")
        return found

    async def _ask(
        self, method: str, url: str, issuer: str, headers: Mapping[str, str] | None = None, body: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        """(status, JSON object) of one request; the object is empty where a refusal holds none."""
        turns = self._turns.setdefault(issuer, asyncio.Semaphore(AT_ONCE))
        sent = {"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {})}
        answer = bytearray()
        try:
            async with (
                asyncio.timeout(WHOLE_S),
                turns,
                self._http.stream(method, url, headers=sent, content=body) as response,
            ):
                # As it came: a compressed answer, which nobody asked for, could be any size.
                async for part in response.aiter_raw():
                    answer += part
                    if len(answer) > ANSWER_MAX:
                        raise ProviderWrong("its answer is too long")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            log.warning("a provider of sign-ins does not answer (%s)", type(error).__name__)
            raise ProviderAway from None
        if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.warning("a provider of sign-ins answers with %s", response.status_code)
            raise ProviderAway
        try:
            told: object = json.loads(answer)
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            if response.status_code == HTTPStatus.OK:
                raise ProviderWrong("its answer is no JSON object")
            told = {}
        return response.status_code, cast("dict[str, Any]", told)


def authorization_address(metadata: Metadata, client: Client, attempt: Attempt, acr: list[str]) -> str:
    """Where the browser goes to sign in: the authorisation request of the code flow with PKCE."""
    return str(
        _prepare_grant_uri(
            metadata.authorization_endpoint,
            client.client_id,
            "code",
            client.redirect_uri,
            _SCOPE,
            attempt.state,
            nonce=attempt.nonce,
            code_challenge=_code_challenge(attempt.verifier),
            code_challenge_method="S256",
            acr_values=" ".join(acr) or None,
        )
    )


def usable_address(url: object) -> bool:
    """Whether it is an https address, or an http one of this very machine, without credentials or fragment."""
    if not isinstance(url, str) or len(url) > 2048 or not url.isascii() or not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not host or parts.fragment or parts.username is not None or parts.password is not None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_this_machine(host))


def _no_less_safe(url: object, issuer: str) -> bool:
    """Only a provider on this machine names addresses of it: nobody elsewhere sends this server to its neighbours."""
    return usable_address(url) and (str(url).startswith("https:") or issuer.startswith("http:"))


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def described(issuer: str, told: Mapping[str, Any]) -> Metadata:
    """The metadata of an issuer, checked. Raises `ProviderWrong`."""
    if told.get("issuer") != issuer:
        raise ProviderWrong("its metadata is of another issuer")
    needed = [told.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
    if not all(_no_less_safe(url, issuer) for url in needed):
        raise ProviderWrong("its metadata lacks an address, or has one that is not https")
    authorization, token, keys = (str(url) for url in needed)
    userinfo = told.get("userinfo_endpoint")
    methods = told.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return Metadata(
        issuer=issuer,
        authorization_endpoint=authorization,
        token_endpoint=token,
        jwks_uri=keys,
        userinfo_endpoint=str(userinfo) if _no_less_safe(userinfo, issuer) else None,
        basic=isinstance(methods, list) and "client_secret_basic" in methods,
        names_itself=told.get("authorization_response_iss_parameter_supported") is True,
    )


def _dictionaries(value: object) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise ProviderWrong("its keys are no list")
    return [cast("dict[str, Any]", one) for one in cast("list[object]", value) if isinstance(one, dict)]


def _chosen(known: Mapping[str, list[dict[str, Any]]], algorithm: str, key_id: str | None) -> Key | None:
    """The one key that fits; without an id only where no other would."""
    curve = _CURVES.get(algorithm)
    fitting = [
        one
        for one in known.get("keys", [])
        if one.get("kty") == ("EC" if curve else "RSA")
        and one.get("crv") == curve
        and one.get("use", "sig") == "sig"
        and one.get("alg", algorithm) == algorithm
        and (key_id is None or one.get("kid") == key_id)
    ]
    if len(fitting) != 1:
        return None
    public = {name: fitting[0].get(name) for name in ("kty", "crv", "x", "y", "n", "e") if name in fitting[0]}
    try:
        if curve:
            return ECKey.import_key(cast("Any", public))
        key = RSAKey.import_key(cast("Any", public))
        return key if key.public_key.key_size >= _RSA_BITS_MIN else None
    except (JoseError, ValueError, TypeError, KeyError):
        return None
