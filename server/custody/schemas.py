"""What calls about custody and quarantine answer."""

from datetime import datetime

from server.api.shapes import Hexadecimal, Paged, Shape
from server.custody import again
from server.custody.again import Tally
from server.custody.alerts import Alert
from server.custody.ledger import Line, Proof
from server.custody.models import AlertKind
from server.custody.quarantine_repository import Listed


class AlertFilters(Paged):
    """Whether alerts that are over are wanted too."""

    cleared: bool = False


class ReaderLine(Shape):
    """One reader's custody; counts are of records. `claimed`, `released` and `last_contact` are what hubs say.

    `undelivered` is the oldest number issued and not held; `gaps` are missing below the highest that is held.
    """

    reader_id: Hexadecimal
    name: str
    issued: int
    claimed: int
    held: int
    released: int
    gaps: int
    conflicts: int
    quarantined: int
    forked: bool
    revoked: bool
    undelivered: int | None
    waiting_since: datetime | None
    last_heard: datetime | None
    last_contact: datetime | None
    quality_tests: int
    failing_assays: list[str]


class Ledger(Shape):
    """A page of readers by name; `next_cursor` is null at the end."""

    items: list[ReaderLine]
    next_cursor: str | None


class AlertShape(Shape):
    """Something wrong with a reader's custody; open while `cleared_at` is null. It ends when what raised it does."""

    id: int
    reader_id: Hexadecimal
    reader: str
    kind: AlertKind
    number: int | None
    since: datetime
    raised_at: datetime
    cleared_at: datetime | None
    sentence: str


class Alerts(Shape):
    """A page of alerts: open ones first, the newest first; `next_cursor` is null at the end."""

    items: list[AlertShape]
    next_cursor: str | None


class ProofShape(Shape):
    """What following one reader's chain found; `chain` is the hash at the end of what holds. `erased` of those held are
    there by their hashes alone."""

    reader_id: Hexadecimal
    held: int
    erased: int
    chain: Hexadecimal
    whole: bool
    broken_at: int | None
    broken_why: str | None


class QuarantineItem(Shape):
    """What could not be accepted or understood, why, and what to do. Its bytes are kept, and not shown."""

    id: int
    code: str
    sentence: str
    remedy: str
    reader_id: Hexadecimal | None
    reader: str | None
    number: int | None
    hub: str
    received_at: datetime
    size: int
    digest: Hexadecimal
    attempts: int
    tried_at: datetime | None
    tried_code: str | None
    tried_sentence: str | None


class Quarantine(Shape):
    """A page of what is in quarantine, the newest first; `next_cursor` is null at the end."""

    items: list[QuarantineItem]
    next_cursor: str | None


class TallyShape(Shape):
    """Items that were processed again, and how many of these left quarantine."""

    tried: int
    processed: int


def line(one: Line) -> ReaderLine:
    return ReaderLine(
        reader_id=one.reader_id,
        name=one.name,
        issued=one.issued,
        claimed=one.claimed,
        held=one.held,
        released=one.released,
        gaps=one.gaps,
        conflicts=one.conflicts,
        quarantined=one.quarantined,
        forked=one.forked,
        revoked=one.revoked,
        undelivered=one.undelivered,
        waiting_since=one.waiting_since,
        last_heard=one.last_heard,
        last_contact=one.last_contact,
        quality_tests=one.quality,
        failing_assays=list(one.failing),
    )


def alert(one: Alert) -> AlertShape:
    return AlertShape(
        id=one.id,
        reader_id=one.reader_id,
        reader=one.reader,
        kind=AlertKind(one.kind),
        number=one.number,
        since=one.since,
        raised_at=one.raised_at,
        cleared_at=one.cleared_at,
        sentence=one.sentence,
    )


def proof(one: Proof) -> ProofShape:
    return ProofShape(
        reader_id=one.reader_id,
        held=one.held,
        erased=one.erased,
        chain=one.chain,
        whole=one.whole,
        broken_at=one.broken_at,
        broken_why=one.broken_why,
    )


def item(one: Listed) -> QuarantineItem:
    return QuarantineItem(
        id=one.id,
        code=one.code,
        sentence=one.sentence,
        remedy=again.remedy(one.tried_code or one.code),
        reader_id=one.reader_id.hex() if one.reader_id else None,
        reader=one.reader,
        number=one.number,
        hub=one.hub,
        received_at=one.received_at,
        size=one.size,
        digest=one.digest.hex(),
        attempts=one.attempts,
        tried_at=one.tried_at,
        tried_code=one.tried_code,
        tried_sentence=one.tried_sentence,
    )


def tally(one: Tally) -> TallyShape:
    return TallyShape(tried=one.tried, processed=one.processed)
