"""A hub's end of the exchange over one kept-alive connection, without a hub: what measures the server alone.

docs/protocol.md section 5. Enrolment by one-time code, tokens by private_key_jwt (RFC 7523, ES384). Blocking.
"""

import http.client
import io
import json
import os
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

import cbor2
from joserfc import jwt
from joserfc.jwk import ECKey

from reader import wire

_TOKEN_MARGIN_S = 60
_SOFTWARE = "doorstep bench"


class ServerRefused(Exception):
    """The server did not answer as the protocol says; the message shows its answer."""


class Post:
    """An enrolled hub that posts what it is given."""

    def __init__(self, address: str, code: str) -> None:
        """Enrol at `address` with a one-time `code`. Raises ServerRefused, OSError."""
        self._link = http.client.HTTPConnection(urlsplit(address).netloc, timeout=120)
        self._key = ECKey.generate_key("P-384")
        public = self._key.as_dict(private=False)
        made = self._json("/hub/v1/enrol", json.dumps({"code": code, "name": "Bench", "key": public}).encode(), "json")
        self._hub_id: str = made["hub_id"]
        self._token_url: str = made["token_url"]
        self._token = ""
        self._good_until = 0.0
        self._tickets: dict[bytes, int] = {}

    def body(self, sealed: Sequence[bytes], sightings: Sequence[dict[int, Any]] = ()) -> bytes:
        """The body of an exchange."""
        header: dict[int, Any] = {
            wire.HEAD_VERSION: wire.VERSION,
            wire.HEAD_NOW_MS: time.time_ns() // 1_000_000,
            wire.HEAD_EPOCH: None,
            wire.HEAD_SOFTWARE: _SOFTWARE,
            wire.HEAD_TICKETS: [[reader_id, expiry_s] for reader_id, expiry_s in self._tickets.items()],
        }
        items: list[Any] = [[wire.ITEM_HEADER, header]]
        items += [[wire.ITEM_RECORD, one] for one in sealed]
        items += [[wire.ITEM_SIGHTING, one] for one in sightings]
        return b"".join(cbor2.dumps(item, canonical=True) for item in items)

    def exchange(self, body: bytes, records: int) -> float:
        """Post `body`; seconds until the whole answer is here, which must say held for each of its `records`."""
        token = self._bearer()
        began = time.perf_counter()
        status, content = self._post(wire.EXCHANGE_PATH, body, wire.EXCHANGE_MEDIA_TYPE, token)
        took = time.perf_counter() - began
        if status != 200:
            raise ServerRefused(f"The exchange was answered with status {status}: {content[:300]!r}")
        stream = io.BytesIO(content)
        items: list[Any] = []
        while stream.tell() < len(content):
            items.append(cbor2.load(stream))
        # It names what tickets it has, as a hub does, or the server would make new ones with every answer.
        self._tickets.update({item[1]: item[2] for item in items if item[0] == wire.ITEM_TICKET})
        said = [item[4] for item in items if item[0] == wire.ITEM_ANSWER]
        if said != [wire.HELD] * records:
            raise ServerRefused(f"Of {records} records {said.count(wire.HELD)} were held: {items[1:3]!r:.300}")
        return took

    def _bearer(self) -> str:
        now = int(time.time())
        if now < self._good_until:
            return self._token
        claims: dict[str, Any] = {
            "iss": self._hub_id, "sub": self._hub_id, "aud": self._token_url, "jti": os.urandom(16).hex(),
            "iat": now, "exp": now + 120,
        }  # fmt: skip
        form = urlencode(
            {
                "grant_type": "client_credentials",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": jwt.encode({"alg": "ES384"}, claims, self._key, algorithms=["ES384"]),
            }
        )
        made = self._json(urlsplit(self._token_url).path, form.encode(), "x-www-form-urlencoded")
        self._token, self._good_until = made["access_token"], now + int(made["expires_in"]) - _TOKEN_MARGIN_S
        return self._token

    def _json(self, path: str, body: bytes, kind: str) -> dict[str, Any]:
        status, content = self._post(path, body, f"application/{kind}", None)
        if status not in (200, 201):
            raise ServerRefused(f"{path} was answered with status {status}: {content[:300]!r}")
        return dict(json.loads(content))

    def _post(self, path: str, body: bytes, kind: str, token: str | None) -> tuple[int, bytes]:
        headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {token}"} if token else {})
        try:
            self._link.request("POST", path, body, headers)
            answer = self._link.getresponse()
        except (ConnectionError, http.client.RemoteDisconnected):
            # The server ends a connection that was idle; every transfer is idempotent, so it may be made again.
            self._link.close()
            self._link.request("POST", path, body, headers)
            answer = self._link.getresponse()
        return answer.status, answer.read()
