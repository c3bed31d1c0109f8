"""Pages of custody and of quarantine: who holds what, what is wrong, the proof, and processing again."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from server.accounts.permissions import May, may
from server.accounts.service import Viewer
from server.accounts.viewing import allowed, allowed_posting
from server.custody import again, looking
from server.custody.alerts import Alert
from server.custody.ledger import Line, Proof
from server.custody.quarantine_repository import Listed
from server.database import tenancy
from server.state import state_of
from server.web import formatting
from server.web.environment import page, zone_of
from server.web.formatting import NOT_KNOWN
from server.worklist import wording

router = APIRouter()

PAGE_ROWS = 50

Looking = Annotated[Viewer, Depends(allowed(May.SEE_CUSTODY))]
Proving = Annotated[Viewer, Depends(allowed_posting(May.SEE_CUSTODY))]
Processing = Annotated[Viewer, Depends(allowed_posting(May.PROCESS_QUARANTINE))]

_ALERTS = {"gap": "A record is missing", "fork": "Two records claim one place", "silent": "A reader is silent"}


@router.get("/custody")
async def custody(request: Request, viewer: Looking) -> Response:
    """Every reader: what it issued, what is held, what is missing, and what is wrong."""
    return await _custody(request, viewer, None)


@router.get("/custody/alerts")
async def list_alerts(request: Request, viewer: Looking) -> Response:
    """The open alerts as JSON, with those that were cleared when asked for by ?cleared=1."""
    cleared = request.query_params.get("cleared", "") not in ("", "0")
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        found = await looking.raised(session, viewer, cleared=cleared)
    return JSONResponse({"alerts": [one.as_json() for one in found]}, headers={"Cache-Control": "no-store"})


@router.post("/custody/proof")
async def prove(request: Request, viewer: Proving) -> Response:
    """Read every record of one reader anew and follow its chain."""
    given = str(request.state.form.get("reader", ""))
    try:
        reader_id = bytes.fromhex(given)
    except ValueError:
        reader_id = b""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        proof = await looking.proof(session, viewer, reader_id)
    return await _custody(request, viewer, proof)


async def _custody(request: Request, viewer: Viewer, proof: Proof | None) -> Response:
    state = state_of(request)
    zone = zone_of(state.settings)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        found = await looking.custody(session, viewer)
    return page(
        request,
        "custody.jinja",
        title="Custody",
        readers=[_line(one, zone) for one in found.lines],
        raised=[_alert(one, zone) for one in found.raised],
        silence=formatting.count(found.silent_hours, "hour"),
        proof=_proof(proof, found.lines),
    )


@dataclass(frozen=True, slots=True)
class AlertView:
    heading: str
    sentence: str
    reader: str
    since: str


def _alert(one: Alert, zone: ZoneInfo) -> AlertView:
    return AlertView(
        _ALERTS.get(one.kind, one.kind), one.sentence, one.reader, formatting.date_and_time(one.since, zone)
    )


@dataclass(frozen=True, slots=True)
class LineView:
    reader_id: str
    name: str
    facts: list[tuple[str, str]]
    claims: list[tuple[str, str]]
    tags: list[tuple[str, str]]


def _line(line: Line, zone: ZoneInfo) -> LineView:
    waits = "None" if line.undelivered is None else f"Record {line.undelivered:,}"
    if line.waiting_since is not None:
        waits += f", known of since {formatting.date_and_time(line.waiting_since, zone)}"
    tags: list[tuple[str, str]] = []
    if line.forked:
        tags.append(("Chain forked", "red"))
    if line.gaps:
        tags.append(("Gap", "red"))
    if line.failing:
        tags.append(("Quality control failed", "red"))
    if line.revoked:
        tags.append(("Revoked", "grey"))
    return LineView(
        line.reader_id,
        line.name,
        [
            ("Issued", f"{line.issued:,}"),
            ("Held without a gap", f"{line.held:,}"),
            ("Missing in between", f"{line.gaps:,}"),
            ("Conflicts", f"{line.conflicts:,}"),
            ("In quarantine", f"{line.quarantined:,}"),
            ("Quality-control tests", f"{line.quality:,}"),
            ("Oldest not delivered", waits),
            ("Last new record", _moment(line.last_heard, zone)),
        ],
        [
            ("Issued", f"{line.claimed:,}"),
            ("Let go by the reader", f"{line.released:,}"),
            ("Last seen", _moment(line.last_contact, zone)),
        ],
        tags,
    )


def _moment(at: datetime | None, zone: ZoneInfo) -> str:
    return "Never" if at is None else formatting.date_and_time(at, zone)


@dataclass(frozen=True, slots=True)
class ProofView:
    heading: str
    sentence: str
    whole: bool


def _proof(proof: Proof | None, lines: list[Line]) -> ProofView | None:
    if proof is None:
        return None
    name = next((line.name for line in lines if line.reader_id == proof.reader_id), proof.reader_id)
    if not proof.whole:
        return ProofView(f"The chain of {name} is broken", f"At record {proof.broken_at:,}: {proof.broken_why}.", False)
    read = formatting.count(proof.held, "record")
    if proof.erased:
        read += f" ({formatting.count(proof.erased, 'of them', 'of them')} erased, by the hash that is kept)"
    return ProofView(
        f"The chain of {name} is whole",
        f"{read} read anew and followed from the first to the last. Chain hash at the end: {proof.chain}",
        True,
    )


@router.get("/quarantine")
async def quarantine(request: Request, viewer: Looking) -> Response:
    """What could not be accepted or understood, why, and what to do."""
    state = state_of(request)
    before = request.query_params.get("before", "")
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        start = int(before) if before.isdecimal() and len(before) <= 18 else None
        items = await looking.quarantine(session, viewer, start, PAGE_ROWS + 1)
    zone = zone_of(state.settings)
    more = len(items) > PAGE_ROWS
    items = items[:PAGE_ROWS]
    return page(
        request,
        "quarantine.jinja",
        title="Quarantine",
        items=[_item(item, zone) for item in items],
        may_process=may(viewer, May.PROCESS_QUARANTINE),
        done=_done(request),
        next_href=f"/quarantine?before={items[-1].id}" if more else "",
    )


@router.post("/quarantine/process")
async def process(request: Request, viewer: Processing) -> Response:
    """Process everything that is open again, and say what came of it."""
    state = state_of(request)
    tally = await asyncio.to_thread(
        again.process, state.exchange_pool, state.keyring, viewer.organisation_id, looking.actor(viewer)
    )
    state.wake.tell(viewer.organisation_id)
    return RedirectResponse(f"/quarantine?tried={tally.tried}&processed={tally.processed}", 303)


def _done(request: Request) -> str:
    """What the redirect after processing says; an address made by hand can say nothing but two numbers."""
    given = [request.query_params.get(name, "") for name in ("tried", "processed")]
    if not all(text.isascii() and text.isdecimal() and len(text) <= 9 for text in given):
        return ""
    tried, processed = (int(text) for text in given)
    items = formatting.count(tried, "item")
    return f"{items} processed again: {processed:,} left quarantine, {max(0, tried - processed):,} stay."


@dataclass(frozen=True, slots=True)
class ItemView:
    what: str
    sentence: str
    remedy: str
    tried: str
    facts: list[tuple[str, str]]


def _item(item: Listed, zone: ZoneInfo) -> ItemView:
    """One item; its bytes are never shown, only their length and digest."""
    code = item.tried_code or item.code
    tried = ""
    if item.tried_at is not None:
        times, at = formatting.count(item.attempts, "time"), formatting.date_and_time(item.tried_at, zone)
        tried = f"Processed again {times}, last on {at}: {item.tried_sentence}"
    return ItemView(
        what=wording.quarantine(item.code),
        sentence=item.sentence,
        remedy=again.remedy(code),
        tried=tried,
        facts=[
            ("Reader", item.reader or (item.reader_id.hex() if item.reader_id else NOT_KNOWN)),
            ("Record number", NOT_KNOWN if item.number is None else f"{item.number:,}"),
            ("Brought by hub", item.hub),
            ("Received", formatting.date_and_time(item.received_at, zone)),
            ("Kept", f"{formatting.count(item.size, 'byte')}, digest {item.digest.hex()[:16]}"),
            ("Code", item.code),
        ],
    )
