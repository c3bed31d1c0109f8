"""Passwords: what is accepted, and how one is stored and checked without telling whether an account exists.

Stored as Argon2id (RFC 9106) with pwdlib's parameters. Checking takes a good part of a core and 64 MiB, so that only a
few are checked at once; a flood of sign-ins then waits in line here rather than taking the whole process.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from server.problems import Problem

LENGTH_MIN = 12
LENGTH_MAX = 256
DISTINCT_MIN = 5
_BENCH = ThreadPoolExecutor(max_workers=2, thread_name_prefix="password")
_HASH = PasswordHash((Argon2Hasher(),))


class WeakPassword(Problem):
    """The password is too short, too long, too plain or holds the person's own address."""

    status = 422
    code = "weak-password"
    title = "The password is not strong enough"


def check_strength(password: str, email: str) -> None:
    """`WeakPassword` with a sentence on what to change; length counts most, so no mix of characters is asked."""
    if len(password) < LENGTH_MIN:
        raise WeakPassword(f"Use at least {LENGTH_MIN} characters: three words that do not belong together are good.")
    if len(password) > LENGTH_MAX:
        raise WeakPassword(f"Use at most {LENGTH_MAX} characters.")
    if len(set(password)) < DISTINCT_MIN:
        raise WeakPassword("Use more different characters: three words that do not belong together are good.")
    local = email.partition("@")[0].lower()
    if len(local) >= DISTINCT_MIN and local in password.lower():
        raise WeakPassword("Use a password that does not hold your email address.")


async def hashed(password: str) -> str:
    """The stored form of a password."""
    return await asyncio.get_running_loop().run_in_executor(_BENCH, _HASH.hash, password)


async def verified(password: str, stored: str | None) -> tuple[bool, str | None]:
    """Whether `password` is the one behind `stored`, and a new stored form where the parameters have moved on.

    With no `stored` (no such account) the same work is done against a hash that no password matches, so that the time
    taken does not tell the two apart.
    """
    loop = asyncio.get_running_loop()
    matches, renewed = await loop.run_in_executor(_BENCH, _check, password[:LENGTH_MAX], stored)
    return (matches, renewed) if stored else (False, None)


def _check(password: str, stored: str | None) -> tuple[bool, str | None]:
    return _HASH.verify_and_update(password, stored or _nobody())


@lru_cache(maxsize=1)
def _nobody() -> str:
    return _HASH.hash("nobody signs in with this; only the time it takes counts")


def prepare() -> None:
    """Make the hash that stands for no account, so that the first unknown sign-in takes no longer than the next."""
    _nobody()
