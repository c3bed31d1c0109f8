"""The hubs' assertions (RFC 7523, ES384) and the short tokens (HS256) they are exchanged for."""

import json
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OctKey

from reader import wire

TOKEN_SECONDS = 300
ASSERTION_SECONDS_MAX = 300
# A laptop's clock may be a little off.
CLOCK_LEEWAY_SECONDS = 60
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TOKEN_BYTES_MAX = 4096
_JTI_LENGTH_MAX = 128


class NotValid(Exception):
    """An assertion or token that must not be believed. Says nothing of why: the caller must not either."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """A hub's assertion that holds: who says it, its one-time id and when it ends, Unix seconds."""

    hub_id: bytes
    jti: str
    expires_s: int


@dataclass(frozen=True, slots=True)
class TokenHolder:
    """Whom a token was given to."""

    hub_id: bytes
    organisation_id: UUID


def _nobody() -> dict[str, Any]:
    key = ECKey.import_key(ec.generate_private_key(ec.SECP384R1()).public_key())  # pyright: ignore[reportArgumentType]
    return dict(key.as_dict(private=False))


# Verified against when the hub is unknown, so that the answer takes as long as for a known one.
NOBODY = _nobody()


def claimed_hub(assertion: str) -> bytes:
    """The hub id that an assertion claims, before anything is verified. Raises `NotValid`."""
    if len(assertion) > TOKEN_BYTES_MAX:
        raise NotValid
    try:
        claims = json.loads(jws.extract_compact(assertion.encode()).payload)
    except (JoseError, ValueError, RecursionError) as error:
        raise NotValid from error
    if not isinstance(claims, dict):
        raise NotValid
    return _hub_id(cast("dict[str, Any]", claims).get("iss"))


def verify_assertion(assertion: str, public_key: dict[str, Any], audience: str) -> Assertion:
    """Check signature and claims: ES384; `iss` = `sub` = hub id in hex; `aud`; `jti`; at most 5 minutes to live.

    Raises `NotValid`.
    """
    claims = _verified(assertion, ECKey.import_key(public_key), "ES384")
    now_s = time.time()
    audiences: object = claims.get("aud")
    if audience not in (cast("list[object]", audiences) if isinstance(audiences, list) else [audiences]):
        raise NotValid
    if claims.get("sub") != claims.get("iss"):
        raise NotValid
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 1 <= len(jti) <= _JTI_LENGTH_MAX:
        raise NotValid
    expires_s = _expiry(claims, now_s, CLOCK_LEEWAY_SECONDS)
    if expires_s > now_s + ASSERTION_SECONDS_MAX + CLOCK_LEEWAY_SECONDS:
        raise NotValid
    not_before = claims.get("nbf", 0)
    if type(not_before) is not int or not_before > now_s + CLOCK_LEEWAY_SECONDS:
        raise NotValid
    return Assertion(_hub_id(claims.get("iss")), jti, expires_s)


def issue_token(secret: bytes, audience: str, holder: TokenHolder) -> str:
    """A token for a hub, good for `TOKEN_SECONDS`."""
    claims = {
        "sub": holder.hub_id.hex(),
        "org": str(holder.organisation_id),
        "aud": audience,
        "exp": int(time.time()) + TOKEN_SECONDS,
    }
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(secret), algorithms=["HS256"])


def verify_token(token: str, secret: bytes, audience: str) -> TokenHolder:
    """Whom the token was given to. Raises `NotValid`; whether the hub is revoked since is the caller's to check."""
    if len(token) > TOKEN_BYTES_MAX:
        raise NotValid
    holder, expires_s = _proven(token, secret, audience)
    if expires_s <= time.time():
        raise NotValid
    return holder


@lru_cache(maxsize=1_024)
def _proven(token: str, secret: bytes, audience: str) -> tuple[TokenHolder, int]:
    """Whom the token was given to and when it ends, Unix seconds. Raises `NotValid`.

    A hub shows its token with every batch: that it is ours is proved once, that it has not ended each time. What is not
    valid is not remembered.
    """
    claims = _verified(token, OctKey.import_key(secret), "HS256")
    if claims.get("aud") != audience:
        raise NotValid
    expires_s = _expiry(claims, time.time(), 0)
    try:
        return TokenHolder(_hub_id(claims.get("sub")), UUID(str(claims.get("org")))), expires_s
    except ValueError as error:
        raise NotValid from error


def _verified(token: str, key: Key, algorithm: str) -> dict[str, Any]:
    try:
        return dict(jwt.decode(token, key, algorithms=[algorithm]).claims)
    except (JoseError, ValueError, RecursionError) as error:
        raise NotValid from error


def _expiry(claims: dict[str, Any], now_s: float, leeway_s: int) -> int:
    expires_s = claims.get("exp")
    if type(expires_s) is not int or expires_s <= now_s - leeway_s:
        raise NotValid
    return expires_s


def _hub_id(value: object) -> bytes:
    if not isinstance(value, str) or len(value) != 2 * wire.HUB_ID_BYTES or value != value.lower():
        raise NotValid
    try:
        return bytes.fromhex(value)
    except ValueError as error:
        raise NotValid from error
