"""Reads an ID token: nothing of it is believed before its signature, issuer, audience, nonce and times hold.

OpenID Connect Core section 3.1.3.7. The signature is checked by joserfc, the claims by authlib. Only signatures of
public keys are taken: "none" would need no key, and HMAC would make one of a secret.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from authlib.oidc.core import CodeIDToken
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key

ALGORITHMS = ("RS256", "PS256", "ES256", "ES384")
TOKEN_MAX = 16 * 1024
# The provider's clock may be a little off.
LEEWAY_S = 60
_SUBJECT_MAX = 255
_EMAIL_MAX = 254


class NotBelieved(Exception):
    """The ID token must not be believed; the text says why, for the log, and holds nothing of the token."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the provider vouches for. `email` is empty unless the provider says that it was verified."""

    subject: str
    email: str
    acr: str
    amr: frozenset[str]


@dataclass(frozen=True, slots=True)
class Header:
    """Which key the token says that it was signed with."""

    algorithm: str
    key_id: str | None


def header(token: str) -> Header:
    """The header, which is a claim like any other until the signature holds. Raises `NotBelieved`."""
    if len(token) > TOKEN_MAX:
        raise NotBelieved("it is too long")
    try:
        told: Mapping[str, Any] = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, RecursionError):
        raise NotBelieved("it is not a signed token") from None
    algorithm, key_id = told.get("alg"), told.get("kid")
    if algorithm not in ALGORITHMS:
        raise NotBelieved("its algorithm is not taken")
    if not (key_id is None or isinstance(key_id, str)):
        raise NotBelieved("its key id is no text")
    return Header(algorithm, key_id)


def verified(
    token: str, key: Key, issuer: str, client_id: str, nonce: str, access_token: str | None, at_s: float | None = None
) -> Identity:
    """Whom the token vouches for, its signature by `key` and all its claims checked. Raises `NotBelieved`."""
    algorithm = header(token).algorithm
    try:
        decoded = jwt.decode(token, key, algorithms=[algorithm])
        claims = dict(decoded.claims)
        audience = claims.get("aud")
        if claims.get("iss") != issuer:
            raise NotBelieved("it is of another issuer")
        if client_id not in (cast("list[object]", audience) if isinstance(audience, list) else [audience]):
            raise NotBelieved("it is for somebody else")
        expected: dict[str, Any] = {"client_id": client_id, "nonce": nonce, "access_token": access_token}
        checked = cast("Any", CodeIDToken(claims, decoded.header, None, expected))
        checked.validate(int(time.time() if at_s is None else at_s), LEEWAY_S)
    except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise NotBelieved(f"it does not hold ({type(error).__name__})") from None
    return identity(claims)


def identity(claims: Mapping[str, Any]) -> Identity:
    """What is used of claims that hold, of an ID token or of the provider's userinfo. Raises `NotBelieved`."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _SUBJECT_MAX or "\x00" in subject:
        raise NotBelieved("its subject is missing or unusable")
    email, acr, amr = claims.get("email"), claims.get("acr"), claims.get("amr")
    # True alone counts: a text such as "false" would be true as well.
    usable = claims.get("email_verified") is True and isinstance(email, str) and len(email) <= _EMAIL_MAX
    return Identity(
        subject=subject,
        email=_as_stored(str(email)) if usable else "",
        acr=acr if isinstance(acr, str) else "",
        amr=frozenset(one for one in cast("list[object]", amr) if isinstance(one, str))
        if isinstance(amr, list)
        else frozenset(),
    )


def _as_stored(email: str) -> str:
    """The address as accounts have it; beyond ASCII, where two letters can have one small form, as it was given."""
    return email.strip().lower() if email.isascii() else email.strip()
