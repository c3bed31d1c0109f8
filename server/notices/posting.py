"""Posts to an address that an organisation chose, and to nothing that it must not reach.

The name is resolved here, every address behind it is looked at, and the connection goes to one of those that were
looked at: a name that means something else a moment later reaches nothing. Redirects are not followed. All of it takes
ten seconds at most, and no more of an answer is read than its head.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import SplitResult, urlsplit

import httpx

from server.problems import Problem

TIMEOUT_S = 10
URL_MAX = 500
# Addresses that stand for an IPv4 address which is not looked at here: RFC 6052.
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")


class AddressRefused(Problem):
    """The address is not one that a webhook may go to."""

    status = 422
    code = "webhook-address-refused"
    title = "That address cannot be told"


class NotTaken(Exception):
    """The receiver did not take it; the text is a word or two and holds nothing that it said."""


def checked(url: str, *, private: bool) -> SplitResult:
    """The address in its parts. Raises `AddressRefused` for all but https, and http to this machine if `private`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressRefused("Give an address such as https://alerts.example.org/doorstep.") from None
    plain = not url.isascii() or len(url) > URL_MAX or not url.isprintable() or " " in url
    if plain or not parts.hostname or parts.username or parts.password or parts.fragment or port == 0:
        raise AddressRefused("Give an address such as https://alerts.example.org/doorstep, without a name or password.")
    here = parts.hostname == "localhost" or _loopback(parts.hostname)
    if parts.scheme != "https" and not (parts.scheme == "http" and here and private):
        raise AddressRefused("It has to begin with https://, so that nobody on the way reads or changes it.")
    return parts


async def post(url: str, content: bytes, headers: Mapping[str, str], *, private: bool) -> None:
    """Post once. Raises `NotTaken` unless the receiver answers 2xx in ten seconds, `AddressRefused` as `checked`."""
    parts = checked(url, private=private)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            address = await _address(parts, private=private)
            status = await _post(parts, address, content, headers)
    except TimeoutError:
        raise NotTaken("no answer in time") from None
    except (httpx.HTTPError, OSError) as error:
        raise NotTaken(type(error).__name__) from None
    if not 200 <= status < 300:
        raise NotTaken(f"status {status}")


async def _post(parts: SplitResult, address: str, content: bytes, headers: Mapping[str, str]) -> int:
    host = parts.hostname or ""
    reached = f"[{address}]" if ":" in address else address
    target = httpx.URL(parts.geturl()).copy_with(host=reached)
    # The certificate has to be the name's, though the connection goes to the address that was looked at.
    named = {"Host": parts.netloc, **headers}
    async with (
        httpx.AsyncClient(verify=context(), timeout=TIMEOUT_S, trust_env=False, follow_redirects=False) as client,
        client.stream("POST", target, content=content, headers=named, extensions={"sni_hostname": host}) as answer,
    ):
        return answer.status_code


def context() -> ssl.SSLContext:
    """Whose certificates are believed."""
    return ssl.create_default_context()


async def _address(parts: SplitResult, *, private: bool) -> str:
    port = parts.port or (443 if parts.scheme == "https" else 80)
    found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    addresses = [str(one[4][0]) for one in found]
    if not addresses or not (private or all(public(one) for one in addresses)):
        raise NotTaken("address not allowed")
    return addresses[0]


def public(address: str) -> bool:
    """Whether an address is one of the open internet, and stands for no other."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        inner = found.ipv4_mapped
        if inner is not None:
            return _open(inner)
        if found.sixtofour or found.teredo or found in _TRANSLATED:
            return False
    return _open(found)


def _open(found: IPv4Address | IPv6Address) -> bool:
    return found.is_global and not found.is_multicast


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
