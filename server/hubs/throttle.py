"""How many wrong codes, wrong assertions and tokens are taken in a while, without a way to shut a hub out.

Guessing is hopeless already (a code has 120 random bits, an assertion a signature), so what is bounded here is the work
that a flood makes. Only failures count against an address, so that hubs that are in order never wait. A hub that has
earned a token from an address goes on there past the failures of others, by an allowance of its own; a hub's id, which
anybody may claim, is never held against it from elsewhere. Tokens count against the hub that earned them, and requests
for images against the hub that makes them. An attempt that is refused is not counted: asking makes no wait longer.
Memory is bounded; each process of the server counts for itself.
"""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from math import ceil

from server.problems import Problem

FAILURES = 30
"""Failures that one address may make at once; they are forgiven at `FAILURES_PER_MINUTE`."""
FAILURES_PER_MINUTE = 10
KNOWN_FAILURES = 30
TOKENS = 120
"""Tokens that one hub may earn at once; it needs one in five minutes."""
TOKENS_PER_MINUTE = 60
IMAGES = 120
"""Requests for images that one hub may make at once: it needs one list a visit, and one an image it fetches."""
IMAGES_PER_MINUTE = 60
KEYS_MAX = 20_000
KNOWN_SECONDS = 24 * 3600


class TooMany(Problem):
    """Too many attempts in a short time."""

    status = 429
    code = "busy"
    title = "Too many attempts"

    def __init__(self, retry_after_s: int) -> None:
        unit = "second" if retry_after_s == 1 else "seconds"
        super().__init__(f"Wait {retry_after_s} {unit}, then try again.", headers={"Retry-After": str(retry_after_s)})


class Allowance:
    """So many at once for each key, given back at a steady pace (a leaky bucket); the longest unused are forgotten."""

    def __init__(
        self, most: int, per_minute: float, keys_max: int = KEYS_MAX, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._pace = per_minute / 60
        self._keys_max = keys_max
        self._clock = clock
        # Key to how full its bucket was, and when.
        self._spent: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._spent)

    def wait_s(self, key: bytes) -> int:
        """Whole seconds until the key may spend again; 0 when it may."""
        over = self._level(key) + 1 - self._most
        return max(1, ceil(over / self._pace)) if over > 0 else 0

    def spend(self, key: bytes) -> None:
        """Count one."""
        self._spent[key] = (self._level(key) + 1, self._clock())
        self._spent.move_to_end(key)
        while len(self._spent) > self._keys_max:
            self._spent.popitem(last=False)

    def _level(self, key: bytes) -> float:
        level, at = self._spent.get(key, (0.0, 0.0))
        return max(0.0, level - (self._clock() - at) * self._pace)


class Throttle:
    """What a process knows of attempts at enrolment and at tokens. `address` is the network's, None if unknown."""

    def __init__(self, keys_max: int = KEYS_MAX, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = Allowance(FAILURES, FAILURES_PER_MINUTE, keys_max, clock)
        self._known_failures = Allowance(KNOWN_FAILURES, FAILURES_PER_MINUTE, keys_max, clock)
        self._tokens = Allowance(TOKENS, TOKENS_PER_MINUTE, keys_max, clock)
        self._images = Allowance(IMAGES, IMAGES_PER_MINUTE, keys_max, clock)
        self._known: OrderedDict[bytes, float] = OrderedDict()
        self._keys_max = keys_max

    def admit(self, address: str | None, hub: bytes | None = None) -> None:
        """Let an attempt go on, or raise `TooMany`. `hub` is the id that an assertion claims."""
        wait_s = self._failures.wait_s(network(address))
        if wait_s and hub is not None and self._is_known(address, hub):
            wait_s = self._known_failures.wait_s(_pair(address, hub))
        if wait_s:
            raise TooMany(wait_s)

    def failed(self, address: str | None, hub: bytes | None = None) -> None:
        """Count an attempt that was refused."""
        if hub is not None and self._is_known(address, hub):
            self._known_failures.spend(_pair(address, hub))
        self._failures.spend(network(address))

    def earned(self, address: str | None, hub: bytes) -> None:
        """Count a token, before it is given; the hub is who it says it is. Raises `TooMany`."""
        pair = _pair(address, hub)
        self._known[pair] = self._clock()
        self._known.move_to_end(pair)
        while len(self._known) > self._keys_max:
            self._known.popitem(last=False)
        wait_s = self._tokens.wait_s(hub)
        if wait_s:
            raise TooMany(wait_s)
        self._tokens.spend(hub)

    def image(self, hub: bytes) -> None:
        """Count a request for an image, or for the list of them, by a hub that is known. Raises `TooMany`."""
        wait_s = self._images.wait_s(hub)
        if wait_s:
            raise TooMany(wait_s)
        self._images.spend(hub)

    def _is_known(self, address: str | None, hub: bytes) -> bool:
        at = self._known.get(_pair(address, hub))
        return at is not None and self._clock() - at < KNOWN_SECONDS


def network(address: str | None) -> bytes:
    """What attempts are counted by: an IPv4 address, or the /64 network of an IPv6 one, which is one household's."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return b"unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        return parsed.packed[:8] if parsed.ipv4_mapped is None else parsed.ipv4_mapped.packed
    return parsed.packed


def _pair(address: str | None, hub: bytes) -> bytes:
    return network(address) + hub
