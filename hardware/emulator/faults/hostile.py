"""A hub that holds a key and uses it against the programme: it withholds, replays, reorders, alters and cross-wires
records, carries a cloned reader's, floods, sends bombs, and comes with tokens that are not its own.

Each trial ends with an honest hub. Everything true is then held once; everything else was refused, or is held aside
where `doorstep custody` shows it; and no request cost the server more than it may. What was neither refused nor shown
counts as undetected.
"""

import asyncio
import contextlib
import gzip
import json
import os
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import cbor2
import psutil
from joserfc.jwk import ECKey

from reader import wire

from ..modelled.reader import ModelledReader
from .campaign import BrokenPromise, Part, Say, Tally, Trial
from .carrier import Answer, Carrier
from .programme import Programme, programme

REQUEST_S_MAX = 30.0  # one hostile request, on a busy machine; an honest hub gives up after three minutes
MEMORY_MAX = 192 * 1024 * 1024  # what the server may grow by in one trial
_ELSEWHERE = "Another health board"


class _Scene:
    """One trial."""

    def __init__(
        self, made: Programme, readers: list[ModelledReader], hostile: Carrier, honest: Carrier, chance: random.Random
    ) -> None:
        self.programme, self.readers, self.hostile, self.honest = made, readers, hostile, honest
        self.chance = chance
        self.before = {reader.reader_id: len(reader.issued) for reader in readers}
        self.faults = self.undetected = 0

    def issue(self, low: int, high: int) -> list[bytes]:
        """The first reader issues some more; what it issued in this trial."""
        self.readers[0].issue(self.chance.randint(low, high))
        return self.fresh()

    def fresh(self) -> list[bytes]:
        return self.readers[0].issued[self.before[self.readers[0].reader_id] :]

    async def line(self, reader: ModelledReader) -> dict[str, Any]:
        """The reader's line of `doorstep custody`."""
        said = await self.programme.command(
            "custody", *self.programme.here, "--reader", reader.reader_id.hex(), "--json"
        )
        return dict(json.loads(said)["readers"][0])

    def expect(self, seen: bool) -> None:
        """One fault was injected; it must have been seen."""
        self.faults += 1
        self.undetected += not seen

    async def timed(self, request: Awaitable[Answer]) -> Answer:
        """A hostile request, which may cost only so much time."""
        began = time.monotonic()
        answer = await request
        if time.monotonic() - began > REQUEST_S_MAX:
            raise BrokenPromise(f"a hostile request took {time.monotonic() - began:.0f} s")
        return answer

    async def finish(self) -> Tally:
        """An honest hub offers all that was issued, and gets receipts for it."""
        for reader in self.readers:
            fresh = reader.issued[self.before[reader.reader_id] :]
            await self.honest.offer_all(fresh)
        tally = self.programme.count(self.readers, self.before)
        tally.faults, tally.undetected = self.faults, tally.undetected + self.undetected
        return tally


def altered(sealed: bytes, header: dict[int, Any]) -> bytes:
    """The record with other fields in its clear header, everything else as it was."""
    protected, unprotected, ciphertext = cbor2.loads(sealed).value
    fields = cbor2.loads(protected) | header
    parts = [cbor2.dumps(fields, canonical=True), unprotected, ciphertext]
    return cbor2.dumps(cbor2.CBORTag(wire.COSE_ENCRYPT0_TAG, parts))


async def _withhold(scene: _Scene) -> Tally:
    """It drops a record: nothing behind it is receipted, and the gap is shown."""
    fresh = scene.issue(5, 60)
    dropped = scene.chance.randrange(len(fresh) - 1)
    answer = await scene.hostile.offer([one for at, one in enumerate(fresh) if at != dropped])
    reader = scene.readers[0]
    reached = scene.before[reader.reader_id] + dropped
    scene.expect(answer.receipts.get(reader.reader_id, 0) <= reached and (await scene.line(reader))["gaps"] >= 1)
    return await scene.finish()


async def _replay(scene: _Scene) -> Tally:
    """It offers the same over and over, in one body and in many: one result each."""
    fresh = scene.issue(5, 40)
    await scene.hostile.offer(fresh)
    for _ in range(3):
        again = [scene.chance.choice(fresh) for _ in range(60)]
        answer = await scene.hostile.offer(again)
        scene.expect(all(said == (wire.DUPLICATE, None) for said in answer.said))
    return await scene.finish()


async def _reorder(scene: _Scene) -> Tally:
    """It offers in any order: no receipt runs ahead of what is held."""
    fresh, reader = scene.issue(20, 80), scene.readers[0]
    order = list(range(len(fresh)))
    scene.chance.shuffle(order)
    first = scene.before[reader.reader_id]
    given: set[int] = set()
    for at in range(0, len(order), 10):
        given |= set(order[at : at + 10])
        answer = await scene.hostile.offer([fresh[one] for one in order[at : at + 10]])
        whole = next(one for one in range(len(fresh) + 1) if one not in given)
        scene.expect(answer.receipts.get(reader.reader_id, 0) <= first + whole)
    return await scene.finish()


async def _alter(scene: _Scene) -> Tally:
    """It changes bits, numbers and generations: nothing of it takes a place, all of it is shown."""
    fresh, reader = scene.issue(20, 40), scene.readers[0]
    wrong: list[bytes] = []
    for one in fresh:
        kind = scene.chance.randrange(4)
        if kind == 0:
            data = bytearray(one)
            data[scene.chance.randrange(len(data))] ^= 1 << scene.chance.randrange(8)
            wrong.append(bytes(data))
        elif kind == 1:
            wrong.append(altered(one, {wire.HDR_NUMBER: scene.chance.randint(1, 2**32 - 1)}))
        elif kind == 2:
            wrong.append(altered(one, {wire.HDR_PREVIOUS: scene.chance.randbytes(wire.HASH_BYTES)}))
        else:
            wrong.append(one[: scene.chance.randrange(1, len(one))])
    shown = (await scene.line(reader))["quarantined"]
    answer = await scene.hostile.offer(wrong)
    for said in answer.said:
        scene.expect(said[0] == wire.QUARANTINED and said[1] is not None)
    if (await scene.line(reader))["quarantined"] <= shown:
        scene.undetected += 1
    return await scene.finish()


async def _cross_wire(scene: _Scene) -> Tally:
    """It gives one reader's records another's name, and another hub's readers too."""
    fresh, other = scene.issue(10, 30), scene.readers[1]
    swapped = [altered(one, {wire.COSE_KID: other.reader_id}) for one in fresh]
    unknown = [altered(one, {wire.COSE_KID: os.urandom(wire.READER_ID_BYTES)}) for one in fresh]
    answer = await scene.hostile.offer(swapped + unknown)
    for at, said in enumerate(answer.said):
        scene.expect(said == (wire.QUARANTINED, "does-not-open" if at < len(swapped) else "unknown-reader"))
    return await scene.finish()


async def _fork(scene: _Scene) -> Tally:
    """A reader was cloned, key and all: both write the same numbers. Both are kept, and the fork is shown."""
    [reader] = await scene.programme.fresh_readers(1)
    reader.issue(scene.chance.randint(2, 10))
    clone = reader.cloned()
    reader.issue(scene.chance.randint(1, 10))
    clone.issue(scene.chance.randint(1, 10))
    both = [reader.issued, clone.issued]
    scene.chance.shuffle(both)
    for issued in both:
        await scene.hostile.offer(issued)
    kept = set(scene.programme.held(reader).values()) | set(scene.programme.aside(reader))
    everything = {*reader.issued, *clone.issued}
    line = await scene.line(reader)
    scene.expect(bool(line["forked"] or line["conflicts"]))
    tally = await scene.finish()
    tally.issued += len(everything)
    tally.held += len(everything & kept)
    tally.lost += len(everything - kept)
    return tally


async def _flood(scene: _Scene) -> Tally:
    """It posts from a hundred connections at once, rubbish and truth; an honest hub is served meanwhile."""
    fresh = scene.issue(50, 100)
    token = await scene.hostile.bearer()
    right = scene.hostile.body(fresh)
    bodies = [right, scene.chance.randbytes(200_000), right[:-1], b"", b"\x9f" * 10_000]
    flood = [scene.timed(scene.hostile.post(scene.chance.choice(bodies), token)) for _ in range(100)]
    running = asyncio.gather(*flood)
    await asyncio.sleep(0.2)
    began = time.monotonic()
    await scene.honest.offer_all(fresh)
    if time.monotonic() - began > REQUEST_S_MAX:
        raise BrokenPromise(f"an honest hub waited {time.monotonic() - began:.0f} s in a flood")
    for answer in await running:
        scene.expect(answer.status in (200, 400, 413, 429, 503))
    return await scene.finish()


def _deep(levels: int) -> bytes:
    return b"\x81" * levels + b"\x00"


async def _bombs(scene: _Scene) -> Tally:
    """Zip bombs, lengths beyond all memory, deep nesting, too many items: refused by name, for little."""
    fresh = scene.issue(5, 20)
    right = scene.hostile.body(fresh)
    head = right[: len(right) - sum(len(cbor2.dumps([wire.ITEM_RECORD, one])) for one in fresh)]
    zeros = await asyncio.to_thread(gzip.compress, bytes(200_000_000), 9)
    twice = gzip.compress(gzip.compress(bytes(50_000_000)))
    bombs: list[tuple[bytes, dict[str, str], tuple[int, ...]]] = [
        (zeros, {"Content_Encoding": "gzip"}, (413,)),
        (twice, {"Content_Encoding": "gzip"}, (400, 413)),
        (twice, {"Content_Encoding": "gzip, gzip"}, (415,)),
        (bytes(9 * 1024 * 1024), {}, (413,)),
        (head + b"\x82\x01\x5b" + (1 << 62).to_bytes(8, "big"), {}, (400, 413)),
        (head + b"\x9b" + (1 << 62).to_bytes(8, "big"), {}, (400, 413)),
        (head + b"\xbb" + (1 << 60).to_bytes(8, "big"), {}, (400, 413)),
        (head + _deep(scene.chance.randint(10, 100_000)), {}, (413,)),
        (head + b"\x82\x01\x9f" + b"\x00" * 1000, {}, (400, 413)),
        (head + cbor2.dumps([wire.ITEM_RECORD, b"x"]) * 1500, {}, (413,)),
        (head + cbor2.dumps([wire.ITEM_RECORD, list(range(5000))]), {}, (400, 413)),
        (right + cbor2.dumps(cbor2.CBORTag(2, b"\xff" * 4000)), {}, (400, 413)),
    ]
    scene.chance.shuffle(bombs)
    server = scene.programme.process()
    before = _memory(server)
    for body, headers, statuses in bombs:
        answer = await scene.timed(scene.hostile.post(body, **headers))
        scene.expect(answer.status in statuses and answer.problem is not None)
    grown = _memory(server) - before
    if grown > MEMORY_MAX:
        raise BrokenPromise(f"bombs made the server grow by {grown >> 20} MiB")
    if scene.programme.held(scene.readers[0], scene.before[scene.readers[0].reader_id]):
        scene.undetected += 1  # a body that was refused stored something all the same
    return await scene.finish()


def _memory(process: psutil.Process) -> int:
    return sum(
        one.memory_info().rss for one in [process, *process.children(recursive=True)] if one.name() != "postgres"
    )


async def _tokens(scene: _Scene) -> Tally:
    """Tokens and assertions that are expired, altered, another's, used twice, or none at all: one answer for all."""
    fresh = scene.issue(3, 10)
    carrier, body = scene.hostile, scene.hostile.body(fresh)
    token = await carrier.bearer()
    head, payload, signature = token.split(".")
    forged = [
        "", "x", token[:-4] + "AAAA", f"{head}.{payload}.", f"{head}.{payload[:-2]}AA.{signature}",
        carrier.assertion(), "eyJhbGciOiJub25lIn0." + payload + ".",
    ]  # fmt: skip
    for one in forged:
        scene.expect((await carrier.post(body, one)).status == 401)
    now = int(time.time())
    spent = carrier.assertion()
    await carrier.ask_token(spent)
    wrong = [
        spent, carrier.assertion(exp=now - 3600, iat=now - 4000), carrier.assertion(exp=now + 86_400),
        carrier.assertion(aud="https://elsewhere.example/oauth/token"),
        carrier.assertion(sub=scene.honest.hub_id.hex()),
        carrier.assertion(iss=scene.honest.hub_id.hex(), sub=scene.honest.hub_id.hex()),
    ]  # fmt: skip
    for one in wrong:
        scene.expect((await carrier.ask_token(one)).status_code == 401)
    own, carrier.key = carrier.key, ECKey.generate_key("P-384")
    scene.expect((await carrier.ask_token(carrier.assertion())).status_code == 401)
    carrier.key = own
    return await scene.finish()


async def _foreign(scene: _Scene) -> Tally:
    """A hub of another organisation: it gets no ticket for our readers, and what it carries of them takes no place."""
    fresh = scene.issue(3, 20)
    foreign = await scene.programme.foreign_carrier(_ELSEWHERE)
    async with foreign:
        answer = await foreign.offer(fresh)
        for said in answer.said:
            scene.expect(said == (wire.QUARANTINED, "foreign-reader"))
        mine = {reader.reader_id for reader in scene.readers}
        scene.expect(not mine & (answer.tickets.keys() | answer.receipts.keys()))
    return await scene.finish()


async def _revoked(scene: _Scene) -> Tally:
    """A stolen hub is revoked: its token opens nothing from then on."""
    fresh = scene.issue(3, 20)
    async with Carrier(scene.programme.address) as stolen:
        await stolen.enrol(await scene.programme.code())
        await stolen.offer(fresh[:1])
        await scene.programme.command("server", "revoke-hub", *scene.programme.here, stolen.hub_id.hex())
        scene.expect((await stolen.offer(fresh)).status == 401)
        scene.expect((await stolen.ask_token(stolen.assertion())).status_code == 401)
    return await scene.finish()


_Kind = Callable[[_Scene], Awaitable[Tally]]


def _part(name: str, what: str, kinds: tuple[_Kind, ...], seeds: int, few: int) -> Part:
    """Seed N tries kind N, in turn."""

    @contextlib.asynccontextmanager
    async def opened(say: Say) -> AsyncGenerator[Trial]:
        async with programme(say) as made, Carrier(made.address) as hostile, Carrier(made.address) as honest:
            for carrier in (hostile, honest):
                await carrier.enrol(await made.code())

            async def trial(seed: int) -> Tally:
                readers = await made.some_readers(2)
                # What one trial fails at is not held against the next, or none could be told alone.
                await hostile.move(made.place.address, f"127.1.{seed // 250 % 250}.{seed % 250 + 1}")
                chance = random.Random(seed)  # noqa: S311  no secret
                try:
                    return await kinds[(seed - 1) % len(kinds)](_Scene(made, readers, hostile, honest, chance))
                except BaseException:
                    made.readers.clear()  # what a failed trial left on its readers is not for the next one
                    raise

            yield trial

    return Part(name, what, seeds, few, opened)


PARTS = (
    _part(
        "records",
        "withheld, replayed, reordered, altered, cross-wired, of a clone",
        (_withhold, _replay, _reorder, _alter, _cross_wire, _fork),
        seeds=240,
        few=3,
    ),
    _part(
        "requests",
        "floods, bombs, tokens, foreign and revoked hubs",
        (_bombs, _tokens, _foreign, _revoked, _flood),
        seeds=60,
        few=1,
    ),
)
