"""Codes of a second factor: time-based ones (RFC 6238), the recovery codes beside them, and how both are kept.

A secret is 20 random bytes (RFC 4226 section 4, R6) and makes 6 digits by HMAC-SHA-1 every 30 s, which is what every
authenticator app takes. It is stored under AES-256-GCM with a key derived from the master key, bound to its account. A
recovery code is 80 random bits, so that a plain SHA-256 keeps it: there is nothing to guess it from.
"""

import base64
import hashlib
import hmac
import io
import os
from uuid import UUID

import segno
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from server.problems import Problem

STEP_S = 30
DIGITS = 6
# One step to each side, for a clock that is off and for the time that typing takes (RFC 6238 section 5.2).
STEPS_AROUND = 1
RECOVERY_CODES = 10
ISSUER = "Doorstep"
_SECRET_BYTES = 20
_NONCE_BYTES = 12
_RECOVERY_BYTES = 10
_GROUP = 4
_LABEL = b"doorstep/1 second-factor"


class SecondFactorUnreadable(Problem):
    """The stored secret does not open: the master key is another one, or the row was altered or moved."""

    status = 503
    code = "second-factor-unreadable"
    title = "Your second factor cannot be checked"


def new_secret() -> bytes:
    """A secret, 20 bytes."""
    return os.urandom(_SECRET_BYTES)


def encrypted(master_key: bytes, account_id: UUID, secret: bytes) -> bytes:
    """Nonce (12), ciphertext and tag of a secret."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + _cipher(master_key).encrypt(nonce, secret, account_id.bytes)


def decrypted(master_key: bytes, account_id: UUID, stored: bytes) -> bytes:
    """The secret. `SecondFactorUnreadable` under another master key or in another account's row."""
    try:
        return _cipher(master_key).decrypt(stored[:_NONCE_BYTES], stored[_NONCE_BYTES:], account_id.bytes)
    except (InvalidTag, ValueError):
        raise SecondFactorUnreadable(
            "Use a recovery code, or ask an administrator where you work to reset your second factor."
        ) from None


def matching_step(secret: bytes, code: str, at_s: float, last_step: int) -> int | None:
    """The time step whose code is `code`, at `at_s` in Unix seconds; None when none is, or it was taken before.

    Every step of the window is compared, each in constant time, so that the time taken does not tell which matched.
    """
    now = int(at_s) // STEP_S
    found: int | None = None
    for step in range(now - STEPS_AROUND, now + STEPS_AROUND + 1):
        same = hmac.compare_digest(code_at(secret, step).encode(), code.encode())
        if same and step > last_step:
            found = step
    return found


def code_at(secret: bytes, step: int) -> str:
    """The code of that time step, 6 digits."""
    return TOTP(secret, DIGITS, SHA1(), STEP_S).generate(step * STEP_S).decode()  # noqa: S303 - RFC 6238's own


def plain(typed: str) -> str:
    """A code as it was typed, without the space and hyphens between its groups, in upper case."""
    return "".join(typed.split()).replace("-", "").upper()


def is_time_based(code: str) -> bool:
    """Whether a plain code has the form of a time-based one; anything else is taken for a recovery code."""
    return len(code) == DIGITS and code.isascii() and code.isdecimal()


def grouped(secret: bytes) -> str:
    """The secret in base32 (RFC 4648 section 6), in fours, for typing into an app."""
    return _in_groups(base64.b32encode(secret).decode(), " ")


def address(secret: bytes, email: str) -> str:
    """The otpauth address that an authenticator app on the same device opens."""
    return TOTP(secret, DIGITS, SHA1(), STEP_S).get_provisioning_uri(email, ISSUER)  # noqa: S303 - RFC 6238's own


def picture(otpauth: str) -> str:
    """The address as a QR code (ISO/IEC 18004), an SVG to stand in a page: no script, no style, no link in it.

    Black on white whatever the page is, with the four modules of margin that readers need.
    """
    out = io.BytesIO()
    segno.make(otpauth, error="m", boost_error=False, micro=False).save(
        out, kind="svg", xmldecl=False, svgns=True, border=4, dark="#000", light="#fff", omitsize=True,
        svgclass=None, lineclass=None,
    )  # fmt: skip
    return out.getvalue().decode()


def new_recovery_codes() -> list[str]:
    """Ten codes as they are shown, once: `ABCD-EFGH-JKLM-NPQR`."""
    return [_in_groups(base64.b32encode(os.urandom(_RECOVERY_BYTES)).decode(), "-") for _ in range(RECOVERY_CODES)]


def recovery_hash(account_id: UUID, code: str) -> bytes:
    """What is stored of a recovery code, 32 bytes; the account is in it, so that no two rows of two people agree."""
    return hashlib.sha256(_LABEL + account_id.bytes + plain(code).encode()).digest()


def _in_groups(text: str, between: str) -> str:
    return between.join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))


def _cipher(master_key: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, None, _LABEL).derive(master_key))
