"""Carrying records to the server and its receipts back: batches, back-off, and nothing taken from an answer that is
not whole."""

import asyncio
import gzip
import logging
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version

import httpx
from joserfc.jwk import ECKey

from hub import exchange, web
from hub.clock import Clock, Comparison, Reading, rebased, span, wrong_by_ms
from hub.credentials import FORM, TOKEN_REQUEST, Enrolment, assertion
from hub.errors import HubError, Malformed
from hub.events import Events
from hub.exchange import Offer, Reply, Sighting
from hub.registration_queue import Queued
from hub.store import ASIDE as _ASIDE
from hub.store import Store
from hub.web import Answer, Unreachable
from hub.writer import Writer
from reader import wire

_log = logging.getLogger(__name__)

BATCH_RECORDS = 500
BATCH_BYTES = 4 * 1024 * 1024
BATCH_SIGHTINGS = 400
BATCH_REGISTRATIONS = 50
TICKETS_NAMED = 160  # the header is one CBOR item of at most 512 items, and a ticket is three of them
BACKOFF_FIRST_S = 1.0
BACKOFF_CAP_S = 300.0
RETRY_AFTER_CAP_S = 600.0
_TOKEN_MARGIN_S = 30
_SKEW_MS = 60_000
_OF_THE_SERVER = (
    "server-unreachable", "network-in-the-way", "certificate", "server-refused", "server-busy", "server-failed",
    "version-too-old", "answer-not-understood",
)  # fmt: skip
_DISPOSITIONS = {
    wire.HELD: "held",
    wire.DUPLICATE: "duplicate",
    wire.CONFLICT: "conflict",
    wire.QUARANTINED: "quarantined",
}


class Failed(HubError):
    """An exchange that came to nothing; `code` is a problem code. `after_s` is what the server asked for."""

    def __init__(self, code: str, detail: str = "", after_s: float | None = None) -> None:
        super().__init__(detail, code)
        self.after_s = after_s


@dataclass(frozen=True, slots=True)
class _Batch:
    offers: Sequence[Offer]
    sighting_ids: Sequence[int]
    registrations: Sequence[Queued]
    body: bytes


class Courier:
    """Talks to one server for one hub."""

    def __init__(
        self,
        enrolment: Enrolment,
        key: ECKey,
        writer: Writer,
        events: Events,
        clock: Clock,
        http: httpx.AsyncClient,
        poll_s: float = 60.0,
        chance: random.Random | None = None,
    ) -> None:
        self._enrolment, self._key = enrolment, key
        self._writer, self._events, self._clock, self._http = writer, events, clock, http
        self._poll_s = poll_s
        self._applied: Callable[[], None] = lambda: None
        self._images: Callable[[int], None] = lambda awaiting: None
        self._chance = chance or random.Random()  # noqa: S311  jitter, no secret
        self._wake = asyncio.Event()
        self._token: tuple[str, float] | None = None
        self._skew_ms = 0
        self._offers_max, self._sightings_max = BATCH_RECORDS, BATCH_SIGHTINGS
        self._registrations_max = BATCH_REGISTRATIONS

    def on_applied(self, applied: Callable[[], None]) -> None:
        """`applied` is called after each answer that was taken."""
        self._applied = applied

    def on_images(self, images: Callable[[int], None]) -> None:
        """`images` is called with how many readers await one, whenever the server is heard and no record waits."""
        self._images = images

    def wake(self) -> None:
        """There is something to send. A back-off that runs is not cut short."""
        self._wake.set()

    async def run(self) -> None:
        """Exchange until cancelled. Raises only StoreError."""
        failures = 0
        while True:
            self._wake.clear()
            try:
                more = await self.exchange()
            except (Failed, Unreachable) as error:
                failures += 1
                await self._events.problem(error.code, self._enrolment.server, str(error))
                await asyncio.sleep(self._pause_s(failures, getattr(error, "after_s", None)))
                continue
            failures = 0
            if not more:
                await self._rest()

    async def exchange(self) -> bool:
        """One exchange; returns whether more waits. Raises Failed, Unreachable, StoreError."""
        batch = await self._batch()
        before = self._clock.read()
        answer = await self._post(batch.body)
        after = self._clock.read()
        if answer.status in (400, 413) and answer.problem_code():
            await self._narrow(batch, answer.problem_code() or "")
            return True
        reply = self._read(answer, batch)
        half = max(0, after.steady_ms - before.steady_ms) // 2
        middle = Reading(before.wall_ms + half, before.steady_ms + half, before.boot)
        comparison = Comparison(reply.now_ms, middle, half + 1)
        known = await self._writer(Store.epoch)
        moved = await self._writer(
            Store.apply, batch.offers, batch.sighting_ids, reply, comparison, batch.registrations
        )
        self._registrations_max = min(BATCH_REGISTRATIONS, self._registrations_max * 2 or 1)
        self._offers_max = min(BATCH_RECORDS, self._offers_max * 2 or 1)
        self._sightings_max = min(BATCH_SIGHTINGS, self._sightings_max * 2 or 1)
        for offer, said in zip(batch.offers, reply.answers, strict=True):
            if said.disposition in _ASIDE:
                self._events.tell(_ASIDE[said.disposition], offer.reader_id.hex(), str(offer.number))
        await self._tell(reply, known, moved, comparison)
        for said in reply.registered:
            if said.disposition in _ASIDE:
                self._events.tell("registration-quarantined", "", said.problem or "")
        self._applied()
        more = await self._writer(Store.has_offers)
        if not more:
            self._images(reply.images)
        return more

    async def _tell(self, reply: Reply, known: bytes | None, moved: dict[bytes, int], comparison: Comparison) -> None:
        await self._events.solved(*_OF_THE_SERVER, subject=self._enrolment.server)
        if known is not None and known != reply.epoch:
            self._events.emit("epoch", epoch=reply.epoch.hex())
        if reply.answers:
            counts = Counter(_DISPOSITIONS[answer.disposition] for answer in reply.answers)
            self._events.emit("answered", count=len(reply.answers), **counts)
        if reply.registered:
            counts = Counter(_DISPOSITIONS[answer.disposition] for answer in reply.registered)
            self._events.emit("registered", count=len(reply.registered), **counts)
        for reader_id, number in moved.items():
            self._events.emit("delivered", reader=reader_id.hex(), number=number)
        wrong = wrong_by_ms(comparison)
        if wrong is None:
            await self._events.solved("clock-wrong")
        else:
            await self._events.problem("clock-wrong", "", span(wrong))

    async def _batch(self) -> _Batch:
        registrations = await self._writer(Store.registrations, self._registrations_max)
        # After a refusal one goes by itself: if that is refused too, the server means this one.
        alone = bool(registrations) and self._registrations_max == 1
        offers = await self._writer(Store.offers, self._offers_max, BATCH_BYTES) if self._offers_max else []
        offers = [] if alone else offers
        rows = [] if alone else await self._writer(Store.sightings, self._sightings_max)
        now = self._clock.read()
        sightings = [_rebase(sighting, wall_ms, steady_ms, boot, now) for _, sighting, wall_ms, steady_ms, boot in rows]
        epoch, tickets = await self._writer(Store.epoch), await self._writer(Store.held_tickets, TICKETS_NAMED)
        software = f"doorstep {version('doorstep')}"
        sealed = [one.sealed for one in registrations]
        body = exchange.request(now.wall_ms, epoch, software, tickets, offers, sightings, sealed)
        return _Batch(offers, [row[0] for row in rows], registrations, body)

    async def _post(self, body: bytes) -> Answer:
        headers = {"Content-Type": wire.EXCHANGE_MEDIA_TYPE, "Accept": wire.EXCHANGE_MEDIA_TYPE}
        small = await asyncio.to_thread(gzip.compress, body, 1)
        if len(small) < len(body):  # sealed bytes do not shrink; headers and sightings do
            body, headers["Content-Encoding"] = small, "gzip"
        for attempt in (1, 2):
            headers["Authorization"] = f"Bearer {await self.bearer()}"
            answer = await web.post(self._http, self._enrolment.exchange_url, body, headers, exchange.RESPONSE_MAX)
            if answer.status != 401 or attempt == 2:
                return answer
            self._token = None
        raise AssertionError("unreachable")

    def _read(self, answer: Answer, batch: _Batch) -> Reply:
        self._refusal(answer)
        if answer.media != wire.EXCHANGE_MEDIA_TYPE:
            raise Failed("network-in-the-way", f"an answer of type {answer.media[:60] or 'none'} is not the server's")
        try:
            return exchange.read_reply(answer.body, batch.offers, [one.registration_id for one in batch.registrations])
        except Malformed as error:
            raise Failed("answer-not-understood", str(error)) from error
        except exchange.VersionNotSpoken as error:
            raise Failed(error.code, str(error)) from error

    def _refusal(self, answer: Answer) -> None:
        """Raise what an answer other than 200 means."""
        status, ours = answer.status, answer.problem_code()
        if status == 200:
            return
        if status == 401:
            self._token = None
            raise Failed("server-refused", "the token was not accepted")
        if status == 426:
            raise Failed("version-too-old")
        if status in (429, 503):
            raise Failed("server-busy", f"status {status}", answer.retry_after_s)
        if status >= 500 or ours:
            raise Failed("server-failed", f"status {status} {ours or ''}".strip(), answer.retry_after_s)
        raise Failed("network-in-the-way", f"status {status} is not the server's")

    async def _narrow(self, batch: _Batch, code: str) -> None:
        """The server refuses a request whole: find the one item that is to blame, so that it holds up nothing else."""
        offers, sightings = len(batch.offers), len(batch.sighting_ids)
        _log.warning("request refused", extra={"problem": code, "offers": offers, "sightings": sightings})
        now_ms = self._clock.read().wall_ms
        if batch.registrations and self._registrations_max == 1:
            await self._writer(Store.refuse_registration, batch.registrations[0].id, code, now_ms)
            await self._events.problem("registration-refused", "", code)
            self._registrations_max = BATCH_REGISTRATIONS
        elif batch.registrations:
            self._registrations_max = 0  # a server of an older version says in its next answer that it takes none
        elif offers and sightings:
            self._sightings_max = 0
        elif offers > 1:
            self._offers_max = offers // 2
        elif offers == 1:
            offer = batch.offers[0]
            await self._writer(Store.refuse, offer, code, now_ms)
            await self._events.problem("record-refused", offer.reader_id.hex(), f"{offer.number} ({code})")
            self._offers_max = BATCH_RECORDS
        elif sightings > 1:
            self._sightings_max = sightings // 2
        elif sightings == 1:
            await self._writer(Store.drop_sighting, batch.sighting_ids[0])
            self._sightings_max = BATCH_SIGHTINGS
        else:
            raise Failed("server-failed", f"status 400 {code}")

    async def bearer(self, new: bool = False) -> str:
        """A token that lasts a while yet, or a new one. Raises Failed, Unreachable."""
        now_s = asyncio.get_running_loop().time()
        if not new and self._token is not None and self._token[1] > now_s:
            return self._token[0]
        answer = await self._ask_token()
        ahead_ms = (answer.date_ms or self._clock.read().wall_ms) - self._clock.read().wall_ms
        if answer.status in (400, 401) and abs(ahead_ms - self._skew_ms) > _SKEW_MS:
            # The assertion may have been refused for the laptop's clock alone: try once by the server's.
            self._skew_ms = ahead_ms
            answer = await self._ask_token()
        if answer.status in (400, 401, 403) and answer.media in ("application/json", "application/problem+json"):
            raise Failed("server-refused", "the hub's key was not accepted")
        self._refusal(answer)
        value = answer.json() if answer.media == "application/json" else None
        token, life_s = (value or {}).get("access_token"), (value or {}).get("expires_in")
        if (
            not isinstance(token, str)
            or not 0 < len(token) <= 8192
            or not token.isascii()
            or not isinstance(life_s, int)
        ):
            raise Failed("network-in-the-way", "the token's answer is not the server's")
        self._token = (token, now_s + max(0, min(life_s, 3600) - _TOKEN_MARGIN_S))
        return token

    async def _ask_token(self) -> Answer:
        unix_s = (self._clock.read().wall_ms + self._skew_ms) // 1000
        url = self._enrolment.token_url
        form = {**TOKEN_REQUEST, "client_assertion": assertion(self._key, self._enrolment.hub_id, url, unix_s)}
        body = str(httpx.QueryParams(form)).encode()
        return await web.post(self._http, url, body, {"Content-Type": FORM}, 64 * 1024)

    def _pause_s(self, failures: int, asked_s: float | None) -> float:
        """Full jitter under a cap that doubles; never less than what the server asked for (up to ten minutes)."""
        longest = min(BACKOFF_CAP_S, BACKOFF_FIRST_S * 2 ** min(failures, 16))
        return max(self._chance.uniform(0, longest), min(asked_s or 0, RETRY_AFTER_CAP_S))

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._poll_s):
                await self._wake.wait()
        except TimeoutError:
            return  # time to ask for what the server may have


def _rebase(sighting: Sighting, wall_ms: int, steady_ms: int, boot: str, now: Reading) -> Sighting:
    return replace(sighting, hub_ms=rebased(wall_ms, steady_ms, boot, now))
