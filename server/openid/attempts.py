"""One attempt at signing in with a provider: its state, nonce and code verifier, bound to one browser.

All three are keyed hashes of a secret that only this browser's cookie holds, so that nothing is stored before somebody
is known: an answer of the provider counts in the browser that asked, for the provider that it asked, for ten minutes
(RFC 6749 section 10.12, RFC 7636, OpenID Connect Core section 3.1.2.1). What was fixed for one attempt fits no other.
"""

import base64
import hmac
import secrets
from dataclasses import dataclass

LASTS_S = 600
_RANDOM_BYTES = 16
_STATE_MAX = 128


@dataclass(frozen=True, slots=True)
class Attempt:
    """`state` comes back with the answer, `nonce` in the ID token; `verifier` goes along with the code."""

    state: str
    nonce: str
    verifier: str


def begin(secret: bytes, browser: str, provider: str, at_s: float) -> Attempt:
    """A new attempt of the browser whose cookie holds `browser`, at the provider of that name, at Unix seconds."""
    told = f"{int(at_s):x}.{secrets.token_hex(_RANDOM_BYTES)}"
    return _of(secret, browser, f"{told}.{_state_mark(secret, browser, provider, told)}")


def resume(secret: bytes, browser: str, provider: str, state: str, at_s: float) -> Attempt | None:
    """The attempt that `state` belongs to; None when it is another browser's or provider's, or has run out."""
    told, _, mark = state.rpartition(".")
    if len(state) > _STATE_MAX or not state.isascii():
        return None
    if not hmac.compare_digest(mark, _state_mark(secret, browser, provider, told)):
        return None
    # What carries our mark was written by `begin`.
    began_s = int(told.partition(".")[0], 16)
    return _of(secret, browser, state) if 0 <= int(at_s) - began_s <= LASTS_S else None


def _of(secret: bytes, browser: str, state: str) -> Attempt:
    nonce, verifier = (_text(_digest(secret, label, browser, state)) for label in ("nonce", "verifier"))
    return Attempt(state, nonce, verifier)


def _state_mark(secret: bytes, browser: str, provider: str, told: str) -> str:
    return _digest(secret, "state", browser, provider, told).hex()


def _digest(secret: bytes, *parts: str) -> bytes:
    return hmac.digest(secret, "\n".join(("openid", *parts)).encode(), "sha256")


def _text(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
