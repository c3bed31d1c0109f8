"""A hub's end of the exchange, written from docs/protocol.md section 5 and free to misbehave: nothing of the real hub
is in it, so that what it may do is what the protocol lets anybody do who holds a hub's key."""

import io
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import cbor2
import httpx
from joserfc import jwt
from joserfc.jwk import ECKey

from reader import wire

_MARGIN_S = 60
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True)
class Answer:
    """What came back. `items` is empty unless it is an exchange's answer."""

    status: int
    problem: str | None
    items: list[Any]

    @property
    def said(self) -> list[tuple[int, str | None]]:
        """Disposition and problem of each record, in the order of the request."""
        return [(item[4], item[5]) for item in self.items[1:] if item[0] == wire.ITEM_ANSWER]

    @property
    def receipts(self) -> dict[bytes, int]:
        """The number of the receipt for each reader."""
        return {item[1]: item[2] for item in self.items[1:] if item[0] == wire.ITEM_RECEIPT}

    @property
    def tickets(self) -> dict[bytes, list[Any]]:
        """Expiry, generation and secret of the ticket for each reader."""
        return {item[1]: item[2:] for item in self.items[1:] if item[0] == wire.ITEM_TICKET}


class Carrier:
    """An enrolled hub. Every method may raise httpx.TransportError: servers are killed under it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.key = ECKey.generate_key("P-384")
        self.hub_id = b""
        self.token_url = ""
        self.token = ""
        self._good_until = 0.0
        self.http = httpx.AsyncClient(base_url=address, timeout=60)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.http.aclose()

    async def move(self, server: str, local: str) -> None:
        """Go on from that address of this machine, to the server itself and past any relay: failures count against the
        address that they come from."""
        await self.http.aclose()
        transport = httpx.AsyncHTTPTransport(local_address=local)
        self.http = httpx.AsyncClient(base_url=server, timeout=60, transport=transport)

    async def enrol(self, code: str) -> None:
        """Trade a one-time code for an identity."""
        said = {"code": code, "name": "Carrier", "key": self.key.as_dict(private=False)}
        made = (await self.http.post("/hub/v1/enrol", json=said)).raise_for_status().json()
        self.hub_id, self.token_url = bytes.fromhex(made["hub_id"]), made["token_url"]

    def assertion(self, **changes: Any) -> str:
        """A private_key_jwt (RFC 7523), right but for `changes`."""
        now, hub_id = int(time.time()), self.hub_id.hex()
        claims = {"iss": hub_id, "sub": hub_id, "aud": self.token_url, "jti": os.urandom(16).hex(), "iat": now}
        return jwt.encode({"alg": "ES384"}, {**claims, "exp": now + 120, **changes}, self.key, algorithms=["ES384"])

    async def ask_token(self, assertion: str) -> httpx.Response:
        """Ask for a token with any assertion."""
        form = {"grant_type": "client_credentials", "client_assertion_type": _ASSERTION, "client_assertion": assertion}
        return await self.http.post(urlsplit(self.token_url).path, data=form)

    async def bearer(self) -> str:
        """A token that lasts."""
        if time.monotonic() >= self._good_until:
            made = (await self.ask_token(self.assertion())).raise_for_status().json()
            self.token, self._good_until = made["access_token"], time.monotonic() + made["expires_in"] - _MARGIN_S
        return self.token

    def body(self, sealed: Sequence[bytes], sightings: Sequence[dict[int, Any]] = ()) -> bytes:
        """The body of an exchange."""
        header: dict[int, Any] = {
            wire.HEAD_VERSION: wire.VERSION,
            wire.HEAD_NOW_MS: time.time_ns() // 1_000_000,
            wire.HEAD_EPOCH: None,
            wire.HEAD_SOFTWARE: "doorstep faults",
            wire.HEAD_TICKETS: [],
        }
        items: list[Any] = [[wire.ITEM_HEADER, header], *([wire.ITEM_RECORD, one] for one in sealed)]
        items += [[wire.ITEM_SIGHTING, one] for one in sightings]
        return b"".join(cbor2.dumps(item, canonical=True) for item in items)

    async def post(self, body: bytes, token: str | None = None, **headers: str) -> Answer:
        """Post any bytes to the exchange."""
        bearer = token if token is not None else await self.bearer()
        said = {"Authorization": f"Bearer {bearer}".strip(), "Content-Type": wire.EXCHANGE_MEDIA_TYPE}
        said |= {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self.http.post(wire.EXCHANGE_PATH, content=body, headers=said)
        media = answer.headers.get("content-type", "").partition(";")[0]
        if answer.status_code == 200 and media == wire.EXCHANGE_MEDIA_TYPE:
            return Answer(200, None, _items(answer.content))
        problem = answer.json().get("code") if media == "application/problem+json" else None
        return Answer(answer.status_code, problem, [])

    async def offer(self, sealed: Sequence[bytes], sightings: Sequence[dict[int, Any]] = ()) -> Answer:
        """An exchange as the protocol wants it."""
        return await self.post(self.body(sealed, sightings))

    async def offer_all(self, sealed: Sequence[bytes], batch: int = 250) -> None:
        """Offer all of these, in order, until each batch is answered; a busy server is asked again."""
        for at in range(0, len(sealed), batch):
            answer = await self.offer(sealed[at : at + batch])
            for _ in range(30):
                if answer.status == 200:
                    break
                answer = await self.offer(sealed[at : at + batch])
            else:
                raise ConnectionError(f"the server answered {answer.status} {answer.problem} thirty times")


def _items(content: bytes) -> list[Any]:
    stream, items = io.BytesIO(content), list[Any]()
    while stream.tell() < len(content):
        items.append(cbor2.load(stream))
    return items
