"""One visit to one reader: prove the ticket, read its state, collect, store before crediting, and hand over what the
server sent."""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from hub import messages, transfer
from hub.admission import ReaderNotProved, Session, Ticket, admit
from hub.carriage import TURN_BYTES, Asking, Carriage, Ended, Piece
from hub.clock import Clock, Reading, believed
from hub.errors import HubError, Malformed, StoreError
from hub.events import Events
from hub.exchange import Image
from hub.framing import Cutter, Joiner, SegmentError
from hub.messages import Challenge, Control, Done, ErrorReply, ReaderState, Taken, Up
from hub.sealed import SealedRecord
from hub.store import Store
from hub.transfer import Collected, Credit, KeepEvidence, Leave, Report, State, Transfer
from hub.writer import Writer
from reader import wire

_log = logging.getLogger(__name__)

REPLY_S = 10.0
FAULTS_TOLD = 3
ROUNDS_MAX = 4  # a message of the server makes an event record, which is collected in the same visit
_CLOCK_OFF_MS = 5_000
_CLOCK_AGAIN_MS = 3_600_000  # setting it makes an event record, so a clock that runs wild must not be set at each visit


class Channel(Enum):
    CONTROL = "control"
    UP = "up"


class LinkLost(HubError):
    code = "reader-unreachable"


class Link(Protocol):
    """A connected and subscribed reader, whatever the radio."""

    @property
    def mtu(self) -> int: ...
    async def write_control(self, value: bytes) -> None: ...
    async def write_down(self, value: bytes) -> None: ...
    async def receive(self) -> tuple[Channel, bytes]:
        """The next value from `control` or `up`, in the order of arrival. Raises LinkLost."""
        ...


class VisitFault(HubError):
    """Why a visit ended early; `code` is a problem code."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(detail or code, code)
        self.detail = detail


@dataclass(slots=True)
class Visit:
    """What came of a visit. `fault` is a problem code or None; `yielded` says that it made room for another reader.
    What failed under an image is no fault of the visit, which had collected everything by then."""

    state: ReaderState | None = None
    collected: int = 0
    fault: str | None = None
    detail: str = ""
    yielded: bool = False


async def _no_image(_image: Image) -> bytes | None:
    return None


@dataclass(frozen=True, slots=True)
class Collector:
    """Visits readers for one hub. `watchdog_s` is how long a transfer may stand still; `image` gives the bytes of an
    image, or None."""

    writer: Writer
    events: Events
    clock: Clock
    hub_id: bytes
    watchdog_s: float = 10.0
    window: int = transfer.WINDOW
    image: Callable[[Image], Awaitable[bytes | None]] = _no_image
    asking: Asking = field(default_factory=Asking, init=False)
    _clocked: dict[bytes, tuple[bytes, int]] = field(default_factory=dict[bytes, tuple[bytes, int]], init=False)

    def may_set_clock(self, state: ReaderState, now: Reading) -> bool:
        """Whether this hub has not just set the clock of this start of the reader."""
        boot_id, steady_ms = self._clocked.get(state.reader_id, (b"", 0))
        return boot_id != state.boot_id or now.steady_ms - steady_ms >= _CLOCK_AGAIN_MS

    def clock_was_set(self, state: ReaderState, now: Reading) -> None:
        self._clocked[state.reader_id] = (state.boot_id, now.steady_ms)

    def may_ask(self, reader_id: bytes, image_id: bytes) -> bool:
        """Whether it is time to ask this reader whether it wants that image."""
        return self.asking.may(reader_id, image_id, self.clock.read().steady_ms)

    async def visit(
        self,
        reader_id: bytes,
        link: Link,
        yield_now: Callable[[], bool] = lambda: False,
        others_wait: Callable[[], bool] = lambda: False,
    ) -> Visit:
        """Do everything there is to do with one reader; of an image only a turn when `others_wait`. Faults of the
        reader and the link are in the result, never raised;
        StoreError is raised, with nothing credited that is not stored."""
        talk = _Talk(self, reader_id, link, yield_now, others_wait)
        try:
            await talk.run()
        except (VisitFault, LinkLost) as fault:
            talk.visit.fault, talk.visit.detail = fault.code, getattr(fault, "detail", str(fault))
        except (SegmentError, Malformed) as fault:
            talk.visit.fault, talk.visit.detail = "reader-misbehaved", str(fault)
        except ReaderNotProved as fault:
            talk.visit.fault = fault.code
        except TimeoutError:
            talk.visit.fault = "reader-stalled"
        except StoreError:
            raise
        return talk.visit


class _Talk:
    def __init__(
        self,
        collector: Collector,
        reader_id: bytes,
        link: Link,
        yield_now: Callable[[], bool],
        others_wait: Callable[[], bool],
    ) -> None:
        self.visit = Visit()
        self._c = collector
        self._reader_id = reader_id
        self._link = link
        self._yield_now, self._others_wait = yield_now, others_wait
        self._carriage: tuple[bytes, Carriage] | None = None
        self._cut_control, self._cut_down = Cutter(link.mtu), Cutter(link.mtu)
        self._joiners = {Channel.CONTROL: Joiner(wire.CONTROL_MAX), Channel.UP: Joiner(wire.RECORD_MAX)}
        self._arrived: deque[tuple[Channel, bytes | None]] = deque()
        self._transfer = Transfer(reader_id, collector.window)

    async def run(self) -> None:
        session, state = await self._admit()
        state = await self._set_clock(session, state)
        self._transfer.handle(transfer.Admitted(await self._c.writer(Store.known, self._reader_id)))
        while await self._rounds(state) and await self._carry():
            state = await self._state(messages.status())

    async def _rounds(self, state: ReaderState) -> bool:
        """Collect and deliver until there is neither; False when the link is to be left."""
        for _ in range(ROUNDS_MAX):
            if not await self._collect(state):
                return False
            said = await self._deliver(state)
            latest = await self._state(messages.status())
            if not said and latest.next == state.next:
                return True
            state = latest
        return False

    # admission and clock --------------------------------------------------------------------------

    async def _admit(self) -> tuple[Session, ReaderState]:
        refused = VisitFault("reader-not-enrolled")
        for ticket in await self._c.writer(Store.tickets, self._reader_id):
            nonce = secrets.token_bytes(wire.AUTH_NONCE_BYTES)
            reply = await self._ask(messages.hello(ticket, self._c.hub_id, nonce))
            if isinstance(reply, ErrorReply):
                refused = _admission_fault(reply)
                continue
            if not isinstance(reply, Challenge):
                raise VisitFault("reader-misbehaved", "HELLO was answered with something else")
            session = admit(ticket, self._c.hub_id, nonce, reply.nonce, reply.proof)
            return session, await self._state(messages.prove(session.proof), ticket)
        raise refused

    async def _state(self, request: bytes, ticket: Ticket | None = None) -> ReaderState:
        """Ask for the state and anchor the reader's uptime: it was read between our two readings of the clock."""
        before = self._c.clock.read()
        reply = await self._ask(request)
        after = self._c.clock.read()
        if isinstance(reply, ErrorReply):
            raise (
                _admission_fault(reply)
                if ticket
                else VisitFault("reader-misbehaved", f"STATUS gave error {reply.code}")
            )
        if not isinstance(reply, ReaderState):
            raise VisitFault("reader-misbehaved", "the state was asked for and something else came")
        if reply.reader_id != self._reader_id:
            raise VisitFault("reader-not-proved")
        half = (after.steady_ms - before.steady_ms) // 2
        middle = Reading(before.wall_ms + half, before.steady_ms + half, before.boot)
        old = self.visit.state
        self.visit.state = reply
        told = (reply.next, reply.released, reply.down, reply.boot_id)
        if old is None or told != (old.next, old.released, old.down, old.boot_id):
            await self._c.writer(Store.visited, reply, middle, half + 1)
        return reply

    async def _set_clock(self, session: Session, state: ReaderState) -> ReaderState:
        """Give the reader the time when it has none or another, and only when the hub has reason to believe its own."""
        reading = self._c.clock.read()
        now = believed(reading, await self._c.writer(Store.comparison))
        if now is None or not self._c.may_set_clock(state, reading):
            return state
        unset = state.wall_ms is None or state.clock_source == wire.CLOCK_UNSET
        if not unset and abs((state.wall_ms or 0) - now.unix_ms) <= _CLOCK_OFF_MS + now.uncertainty_ms:
            return state
        proof = session.clock_proof(now.unix_ms, now.uncertainty_ms)
        reply = await self._ask(messages.clock(now.unix_ms, now.uncertainty_ms, proof))
        if isinstance(reply, ErrorReply):
            # The reader lets no hub set a clock beyond its ticket; the visit is worth as much without.
            _log.warning("clock refused", extra={"reader": self._reader_id.hex(), "error": reply.code})
            self._c.clock_was_set(state, reading)
            return state
        if reply != Done(wire.OP_CLOCK):
            raise VisitFault("reader-misbehaved", f"CLOCK was answered with {reply}")
        self._c.clock_was_set(state, reading)
        return await self._state(messages.status())

    # collecting -----------------------------------------------------------------------------------

    async def _collect(self, state: ReaderState) -> bool:
        """Collect until END; False when the link is to be left."""
        held = await self._c.writer(Store.held_hash, self._reader_id, state.next - 1)
        if not await self._act(self._transfer.handle(transfer.StateRead(state, held))):
            return False
        while self._transfer.state in (State.COLLECTING, State.PROBING):
            async with asyncio.timeout(self._c.watchdog_s):
                channel, message = await self._next()
            if channel is Channel.CONTROL:
                reply = messages.read_control(message) if message else None
                if isinstance(reply, ErrorReply) and reply.code == wire.ERR_GONE:
                    raise VisitFault("reader-stalled", "it released the record meanwhile")
                if reply is not None:
                    raise VisitFault("reader-misbehaved", f"REPORT was answered with {reply}")
                continue
            up: Up | None = messages.read_up(message) if message is not None else None
            if not await self._act(self._transfer.handle(transfer.Segment(up))):
                return False
        return self._transfer.state is State.READY

    async def _act(self, actions: list[transfer.Action]) -> bool:
        """Carry out the machine's actions in order; False when the link is to be left."""
        pending = deque(actions)
        while pending:
            match pending.popleft():
                case Report(number, credits):
                    await self._send(messages.report(number, credits))
                case Credit(credits):
                    if self._yield_now():
                        self.visit.yielded = True
                        return False
                    await self._send(messages.credit(credits))
                case transfer.Store(items):
                    await self._keep(items)
                    if self._transfer.state is State.COLLECTING:
                        pending.extend(self._transfer.handle(transfer.Stored()))
                case KeepEvidence(record, reason):
                    now_ms = self._c.clock.read().wall_ms
                    await self._c.writer(Store.keep_evidence, self._reader_id, record, reason, now_ms)
                case Leave(fault):
                    raise VisitFault(fault, f"around record {self._transfer.expected}")
                case Collected():
                    pass
        return True

    async def _keep(self, items: tuple[SealedRecord | messages.Damaged, ...]) -> None:
        await self._c.writer(Store.keep_records, self._reader_id, items, self._c.clock.read().wall_ms)
        self.visit.collected += len(items)
        self._c.events.emit("collected", reader=self._reader_id.hex(), count=len(items), stored=items[-1].number)
        for item in items:
            if isinstance(item, messages.Damaged):
                await self._c.events.problem("record-damaged", self._reader_id.hex(), str(item.number))

    # downlink -------------------------------------------------------------------------------------

    async def _deliver(self, state: ReaderState) -> bool:
        """Hand over what waits; True when anything was taken. Commands first: one may carry the key that a receipt
        is sealed under."""
        taken = False
        for command in await self._c.writer(Store.commands, self._reader_id, state.down):
            reply = await self._hand_over(command.sealed)
            if reply.code == wire.ERR_REPLAYED:
                break  # another hub was here first; the state read next says how far
            if reply.code != wire.ERR_NONE:
                await self._c.events.problem("command-refused", self._reader_id.hex(), str(reply.code))
            if reply.code not in (wire.ERR_NONE, wire.ERR_UNSUPPORTED):
                break
            taken = True  # one that is not understood spends its number too, so that the next can come
            self._c.asking.again(self._reader_id)  # it may have been told of an image
            self._c.events.emit("taken", reader=self._reader_id.hex(), number=command.number)
        receipt = await self._c.writer(Store.receipt, self._reader_id, state.released)
        if receipt is None:
            return taken
        reply = await self._hand_over(receipt.sealed)
        if reply.code != wire.ERR_NONE:
            await self._c.writer(Store.forget_receipt, self._reader_id, receipt.number)
            raise VisitFault("receipt-refused", f"code {reply.code}")
        now_ms = self._c.clock.read().wall_ms
        if await self._c.writer(Store.released, self._reader_id, reply.released, receipt.number, now_ms):
            self._c.events.emit("delivered", reader=self._reader_id.hex(), number=receipt.number)
        self._c.events.emit("released", reader=self._reader_id.hex(), number=reply.released)
        return True

    async def _hand_over(self, sealed: bytes) -> Taken:
        for value in self._cut_down.cut(sealed):
            await self._link.write_down(value)
        reply = await self._reply()
        if not isinstance(reply, Taken):
            raise VisitFault("reader-misbehaved", f"a message was answered with {reply}")
        return reply

    # images ---------------------------------------------------------------------------------------

    async def _carry(self) -> bool:
        """Hand over a turn's worth of the image that the reader awaits; True when it is worth to look again."""
        image = await self._c.writer(Store.image_for, self._reader_id)
        if image is None or not self._c.may_ask(self._reader_id, image.image_id):
            return False
        if self._carriage is None or self._carriage[0] != image.image_id:
            content = await self._c.image(image)
            if content is None:
                return False
            self._carriage = image.image_id, Carriage(content)
        carriage, subject = self._carriage[1], self._reader_id.hex()
        try:
            step = await self._pieces(image, carriage)
        except (VisitFault, LinkLost, SegmentError, Malformed, TimeoutError) as fault:
            # All records were here before the first piece: this costs the image a pause, and the reader nothing.
            self.visit.detail = str(fault) or type(fault).__name__
            faults = self._c.asking.failed(self._reader_id, image.image_id, self._c.clock.read().steady_ms)
            await self._c.writer(Store.carried, self._reader_id, image.image_id, carriage.offset, wire.ERR_NONE)
            if faults >= FAULTS_TOLD:
                await self._c.events.problem("update-stalled", subject, self.visit.detail[:120])
            return False
        code = step.code if isinstance(step, Ended) else wire.ERR_NONE
        await self._c.writer(Store.carried, self._reader_id, image.image_id, carriage.offset, code)
        if carriage.offset is not None:
            self._c.events.emit("updating", reader=subject, done=carriage.offset, size=image.size)
        if carriage.rose or isinstance(step, Ended):
            self._c.asking.again(self._reader_id)
            await self._c.events.solved("update-stalled", subject=subject)
        if isinstance(step, Ended):
            self._c.asking.ended(self._reader_id, image.image_id, code, self._c.clock.read().steady_ms)
            return code == wire.ERR_NONE  # it has all: what it has to say of that is collected
        self.visit.yielded = self._others_wait() or self._yield_now()
        return not self.visit.yielded

    async def _pieces(self, image: Image, carriage: Carriage) -> Piece | Ended:
        """Send at most a turn's worth; returns the piece that would be next, or how it ended."""
        sent, step = 0, carriage.answer(await self._ask(messages.image(image.image_id)))
        while isinstance(step, Piece) and sent < TURN_BYTES and not self._yield_now():
            async with asyncio.timeout(REPLY_S):
                for value in self._cut_down.cut(step.message):
                    await self._link.write_down(value)
            sent += step.size
            step = carriage.answer(await self._reply())
        return step

    # the link -------------------------------------------------------------------------------------

    async def _ask(self, request: bytes) -> Control:
        await self._send(request)
        return await self._reply()

    async def _send(self, request: bytes) -> None:
        async with asyncio.timeout(REPLY_S):
            for value in self._cut_control.cut(request):
                await self._link.write_control(value)

    async def _reply(self) -> Control:
        async with asyncio.timeout(REPLY_S):
            while True:
                channel, message = await self._next()
                if channel is Channel.UP:
                    raise VisitFault("reader-misbehaved", "it sent records without being asked")
                if message is not None:
                    return messages.read_control(message)

    async def _next(self) -> tuple[Channel, bytes | None]:
        """The next segment: its channel, and the message it completed or None."""
        while not self._arrived:
            channel, value = await self._link.receive()
            self._arrived.extend((channel, message) for message in self._joiners[channel].feed(value))
        return self._arrived.popleft()


def _admission_fault(reply: ErrorReply) -> VisitFault:
    codes = {
        wire.ERR_TICKET_EXPIRED: "ticket-expired",
        wire.ERR_TICKET_REFUSED: "ticket-refused",
        wire.ERR_VERSION: "reader-version",
    }
    return VisitFault(codes.get(reply.code, "reader-misbehaved"), f"error {reply.code}")
