"""The hub's identity with the server: its key pair, its enrolment, and the assertion that earns a token (RFC 7523).

They live beside the database, not in it, so that a damaged database costs no identity.
"""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from hub.errors import NotEnrolled, UsageError

_KEY_FILE = "hub-key.pem"
_ENROLMENT_FILE = "enrolment.json"
_ASSERTION_S = 120
# What a token is asked for with, beside the assertion (RFC 7523 section 2.2), and how it is sent.
TOKEN_REQUEST = {
    "grant_type": "client_credentials",
    "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
}
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Who this hub is to its server. `hub_id` is 8 bytes in hex."""

    hub_id: str
    name: str
    server: str
    token_url: str
    exchange_url: str


def load(folder: Path) -> Enrolment:
    """Raises NotEnrolled."""
    try:
        value: Any = json.loads((folder / _ENROLMENT_FILE).read_text())
        enrolment = Enrolment(**value)
        if len(bytes.fromhex(enrolment.hub_id)) != 8:
            raise ValueError("hub_id")
    except FileNotFoundError:
        raise NotEnrolled(
            "This laptop is not enrolled with a server. Run: doorstep hub enrol CODE --server ADDRESS --name NAME."
        ) from None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise NotEnrolled(
            "The hub's enrolment cannot be read. Ask the programme for a new code and enrol again."
        ) from error
    return enrolment


def save(folder: Path, enrolment: Enrolment, key: ECKey) -> None:
    """Write both files so that a power cut leaves the old or the new: the key first, for an enrolment is useless
    without it."""
    _write_private(folder / _KEY_FILE, key.as_pem(private=True))
    _write_private(folder / _ENROLMENT_FILE, json.dumps(asdict(enrolment), indent=1).encode())


def files(folder: Path) -> tuple[Path, Path]:
    """Where the key and the enrolment are kept."""
    return folder / _KEY_FILE, folder / _ENROLMENT_FILE


def new_key() -> ECKey:
    return ECKey.generate_key("P-384")


def load_key(folder: Path) -> ECKey:
    """Raises NotEnrolled."""
    try:
        return ECKey.import_key((folder / _KEY_FILE).read_bytes())
    except (OSError, ValueError, JoseError) as error:
        raise NotEnrolled("The hub's key cannot be read. Ask the programme for a new code and enrol again.") from error


def assertion(key: ECKey, hub_id: str, audience: str, unix_s: int) -> str:
    """A `private_key_jwt` assertion: good once, for two minutes, for this token address only."""
    claims: dict[str, Any] = {
        "iss": hub_id,
        "sub": hub_id,
        "aud": audience,
        "jti": secrets.token_urlsafe(24),
        "iat": unix_s,
        "exp": unix_s + _ASSERTION_S,
    }
    return jwt.encode({"alg": "ES384", "typ": "JWT"}, claims, key, algorithms=["ES384"])


def public_jwk(key: ECKey) -> dict[str, Any]:
    return cast(dict[str, Any], key.as_dict(private=False))


def checked_url(url: str) -> str:
    """An address the hub may speak to: https, or http to this same machine. Raises UsageError."""
    parts = urlsplit(url)
    try:
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if not host or parts.username or parts.password or parts.scheme not in ("https", "http"):
        raise UsageError(f"{url!r} is not the address of a server. Give one like https://doorstep.example.org.")
    if parts.scheme == "http" and not _is_loopback(host):
        raise UsageError(f"{url!r} is not encrypted. Give an address that starts with https://.")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _write_private(path: Path, content: bytes) -> None:
    new = path.with_name(path.name + ".new")
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.fchmod(file, 0o600) if hasattr(os, "fchmod") else None
        with os.fdopen(file, "wb", closefd=False) as stream:
            stream.write(content)
        os.fsync(file)
    finally:
        os.close(file)
    new.replace(path)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
