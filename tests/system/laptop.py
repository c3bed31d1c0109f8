"""A hub that a test holds in its hands: enrolled like any other, it speaks to readers and to the server as it is told.

`Laptop` is its end with the server, `Central` its link to a reader. Both can misbehave on purpose; what they do right,
they do with the hub's own code.
"""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Self

import cbor2
import httpx

from emulator.path import WholePath
from hub import credentials
from hub.admission import Session, Ticket, admit
from hub.collector import Channel
from hub.credentials import Enrolment
from hub.enrol import enrol
from hub.framing import Cutter, Joiner
from hub.radio import BleakLink, Radio
from reader import wire
from tests.server import factory

REPLY_S = 10.0


@dataclass
class Answered:
    """The server's answer to one exchange: (disposition, problem code) of each record, and the rest by kind."""

    answers: list[tuple[int, str | None]]
    receipts: dict[bytes, int]
    tickets: dict[bytes, Ticket]
    sealed_receipts: dict[bytes, bytes]


@dataclass
class Laptop:
    """An enrolled hub. `tickets` grows with each exchange."""

    path: WholePath
    enrolment: Enrolment
    key: Any
    tickets: dict[bytes, Ticket] = field(default_factory=dict)

    @classmethod
    async def enrolled(cls, path: WholePath, organisation: str, name: str) -> Self:
        """A new hub of that organisation, enrolled with a code of its own."""
        made = await path.command("server", "enrol-hub", "--organisation", organisation, "--site", "Laptops", "--json")
        folder = path.place.folder / f"laptop-{os.urandom(4).hex()}"
        enrolment = await asyncio.to_thread(enrol, folder, json.loads(made)["code"], path.place.address, name)
        return cls(path, enrolment, credentials.load_key(folder))

    @property
    def hub_id(self) -> bytes:
        return bytes.fromhex(self.enrolment.hub_id)

    async def exchange(self, *sealed: bytes, sightings: list[dict[int, Any]] | None = None) -> Answered:
        """Offer these bytes as records."""
        response = await self.post(factory.exchange_body(list(sealed), sightings))
        assert response.status_code == 200, response.text
        items = factory.items_of(response.content)[1:]
        answers = [item for item in items if item[0] == wire.ITEM_ANSWER]
        assert [item[1] for item in answers] == list(range(len(sealed)))
        tickets = {item[1]: Ticket(*item[1:5]) for item in items if item[0] == wire.ITEM_TICKET}
        self.tickets |= tickets
        receipts = [item for item in items if item[0] == wire.ITEM_RECEIPT]
        return Answered(
            [(item[4], item[5]) for item in answers],
            {item[1]: item[2] for item in receipts},
            tickets,
            {item[1]: item[3] for item in receipts},
        )

    async def post(self, body: bytes) -> httpx.Response:
        """Post any body to the exchange, with a token that is good."""
        token_url = self.enrolment.token_url
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": credentials.assertion(self.key, self.enrolment.hub_id, token_url, int(time.time())),
        }
        async with httpx.AsyncClient(timeout=30) as http:
            token = await http.post(token_url, data=form)
            assert token.status_code == 200, token.text
            headers = {
                "Authorization": f"Bearer {token.json()['access_token']}",
                "Content-Type": wire.EXCHANGE_MEDIA_TYPE,
            }
            return await http.post(self.enrolment.exchange_url, content=body, headers=headers)

    async def ticket(self, reader_id: bytes) -> Ticket:
        """The ticket for a reader, asked for when there is none."""
        if reader_id not in self.tickets:
            await self.exchange()
        return self.tickets[reader_id]

    @contextlib.asynccontextmanager
    async def connected(self, reader_id: bytes) -> AsyncIterator["Central"]:
        """A subscribed link to a reader in range; not admitted yet."""
        radio = Radio((self.path.bench.scanner, self.path.bench.client))
        heard = asyncio.Event()

        def listen(advert: Any, _name: str | None, _rssi: int | None) -> None:
            if advert.reader_id == reader_id:
                heard.set()

        scan = asyncio.create_task(radio.scan(listen))
        try:
            async with asyncio.timeout(20):
                await heard.wait()
            async with radio.connect(reader_id) as link:
                yield Central(link, reader_id, self.hub_id)
        finally:
            scan.cancel()
            await asyncio.gather(scan, return_exceptions=True)


class Central:
    """One link. What goes through `request` is cut as it must be; `raw` writes any bytes at all."""

    def __init__(self, link: BleakLink, reader_id: bytes, hub_id: bytes) -> None:
        self._link, self._reader_id, self._hub_id = link, reader_id, hub_id
        self._cut, self._cut_down = Cutter(link.mtu), Cutter(link.mtu)
        self._joiners = {Channel.CONTROL: Joiner(wire.CONTROL_MAX), Channel.UP: Joiner(wire.RECORD_MAX)}
        self._replies: list[list[Any]] = []
        self._up: list[bytes] = []
        self._sent = 0
        self.session: Session | None = None

    async def raw(self, value: bytes) -> None:
        """Write these bytes to `control`; LinkLost when the reader has gone."""
        await self._link.write_control(value)

    async def raw_down(self, value: bytes) -> None:
        """Write these bytes to `down`."""
        await self._link.write_down(value)

    def segment(self, payload: bytes, flags: int = wire.SEGMENT_FIRST | wire.SEGMENT_LAST, skip: int = 0) -> bytes:
        """A segment for `control` with the counter that is next, or one `skip` further on."""
        self._sent += skip
        made = bytes((flags | self._sent % 64, len(payload))) + payload
        self._sent += 1
        return made

    async def request(self, *fields: Any) -> list[Any]:
        """Send one request and wait for its reply."""
        await self.tell(*fields)
        return await self.reply()

    async def tell(self, *fields: Any) -> None:
        """Send one request."""
        await self.raw(self.segment(cbor2.dumps(list(fields), canonical=True)))

    async def reply(self) -> list[Any]:
        """The next message on `control`."""
        while not self._replies:
            await self._receive()
        return self._replies.pop(0)

    async def _receive(self) -> None:
        async with asyncio.timeout(REPLY_S):
            channel, value = await self._link.receive()
        for message in self._joiners[channel].feed(value):
            if message is not None and channel is Channel.CONTROL:
                self._replies.append(cbor2.loads(message))
            elif message is not None:
                self._up.append(message)

    async def hello(self, ticket: Ticket, nonce: bytes, **wrong: Any) -> list[Any]:
        """HELLO and its reply; `wrong` replaces version, expiry or generation."""
        said = {"version": wire.VERSION, "expiry": ticket.expiry, "generation": ticket.generation} | wrong
        return await self.request(
            wire.OP_HELLO, said["version"], self._hub_id, said["expiry"], said["generation"], nonce
        )

    async def admit(self, ticket: Ticket) -> dict[int, Any]:
        """Prove the ticket both ways; the reader's state."""
        nonce = os.urandom(wire.AUTH_NONCE_BYTES)
        op, reader_nonce, proof = await self.hello(ticket, nonce)
        assert op == wire.OP_CHALLENGE
        self.session = admit(ticket, self._hub_id, nonce, reader_nonce, proof)
        op, state = await self.request(wire.OP_PROVE, self.session.proof)
        assert op == wire.OP_STATE
        return state

    async def set_clock(self, *unix_ms: int) -> None:
        """CLOCK for each of at most five times, in one write; a step of over two seconds makes the reader journal an
        event."""
        assert self.session is not None
        asked = b""
        for moment in unix_ms:
            request = [wire.OP_CLOCK, moment, 50, self.session.clock_proof(moment, 50)]
            asked += self.segment(cbor2.dumps(request, canonical=True))
        await self.raw(asked)
        for _ in unix_ms:
            assert await self.reply() == [wire.OP_DONE, wire.OP_CLOCK]

    async def collect(self, number: int) -> list[bytes]:
        """Every record from `number` on, as sealed."""
        await self.tell(wire.OP_REPORT, number, wire.CREDITS_MAX)
        while not (self._up and self._up[-1][:1] == b"\x82"):
            await self._receive()
        (*records, end) = self._up
        self._up = []
        assert cbor2.loads(end)[0] == wire.OP_END
        return records

    async def hand_over(self, sealed: bytes) -> list[Any]:
        """Write one sealed message on `down`; the reader's TAKEN."""
        for value in self._cut_down.cut(sealed):
            await self.raw_down(value)
        return await self.reply()
