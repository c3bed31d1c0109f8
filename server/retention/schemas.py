"""What calls about retention and erasure take and answer."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StringConstraints

from server.api.shapes import Hexadecimal, ReaderId, Shape
from server.retention import service
from server.retention.models import Because, Erasure, Kind, RetentionLook
from server.retention.proposals import Proposed
from server.retention.repository import OfPerson
from server.retention.service import Rule

# As the certificate's digest is over it: a moment is not written anew.
Written = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Why(StrEnum):
    """Why a person is erased."""

    ASKED = "asked"
    ORDERED = "ordered"
    MISTAKE = "mistake"


class DueShape(Shape):
    """How many are erased, and how many more are due and held back because a follow-up is open."""

    erased: int
    held_back: int


class RuleShape(Shape):
    """How long a kind is kept: `months`, null for ever. What is from before `before` is due; null where nothing is."""

    kind: Kind
    months: int | None
    before: datetime | None
    due: DueShape | None


class LookShape(Shape):
    """What was due when it was last counted for a month."""

    made_at: datetime
    due: dict[Kind, DueShape]


class Rules(Shape):
    """Every rule with what is due now; `monthly` says whether that is counted each month, `last_look` the last time."""

    items: list[RuleShape]
    monthly: bool
    last_look: LookShape | None


class ProposalShape(Shape):
    """What a run would erase. `proposal` is sent to begin it, before `ends_at`: it erases that, and never more."""

    items: list[RuleShape]
    proposal: str
    ends_at: datetime


class RunAsked(Shape):
    """The run that a preview proposed."""

    proposal: Annotated[str, StringConstraints(min_length=1, max_length=1_000, pattern=r"^[\w-]+$")]


class ErasureShape(Shape):
    """An erasure; `finished_at` is null while it is under way, and its counts grow.

    `before` are the moments before which each kind goes. `held_back` is what was due and stayed, `digest` the SHA-256
    of the certificate; both are null until it is done.
    """

    id: UUID
    because: Because
    by: str
    made_at: datetime
    finished_at: datetime | None
    before: dict[Kind, datetime]
    results: int
    people: int
    set_aside: int
    held_back: int | None
    digest: Hexadecimal | None


class Erasures(Shape):
    """A page of erasures, the newest first; `next_cursor` is null at the end."""

    items: list[ErasureShape]
    next_cursor: str | None


class CertifiedRecord(Shape):
    """A record that was destroyed: its place, and the hash by which the reader's chain goes on."""

    reader: ReaderId
    number: int
    chain_hash: Hexadecimal
    result: UUID


class Certificate(Shape):
    """What an erasure destroyed, by reference only. `whole` says whether it still is what was certified.

    `digest` is the SHA-256 of all but itself and `whole`, as JSON with sorted keys, no spaces, ASCII only. Kept as it
    is answered, it erases the same again after a restore.
    """

    certificate: UUID
    organisation: UUID
    begun_at: Written
    finished_at: Written
    by: str
    because: Because
    before: dict[Kind, Written]
    results: int
    people_erased: int
    set_aside: int
    held_back: int
    people: list[UUID]
    records: list[CertifiedRecord]
    digest: Hexadecimal
    whole: bool


class OfPersonShape(Shape):
    """What would go with a person, counted; `why_not` says why they cannot be erased now, null where they can.

    `patient` is who they are now, where entries were merged.
    """

    patient: UUID
    results: int
    specimens: int
    open_follow_ups: int
    unproved_records: int
    why_not: str | None


class PersonErasureAsked(Shape):
    """Why they are erased; there are no words of one's own, because a certificate outlives the person."""

    because: Why


def rule(found: Rule) -> RuleShape:
    due = found.due
    return RuleShape(
        kind=found.kind,
        months=found.months,
        before=found.before,
        due=DueShape(erased=due.erased, held_back=due.held_back) if due else None,
    )


def rules(found: list[Rule], look: RetentionLook | None, *, monthly: bool) -> Rules:
    last = LookShape.model_validate({"made_at": look.made_at, "due": look.due}) if look else None
    return Rules(items=[rule(one) for one in found], monthly=monthly, last_look=last)


def proposal(found: Proposed) -> ProposalShape:
    return ProposalShape(items=[rule(one) for one in found.rules], proposal=found.proposal, ends_at=found.ends_at)


def erasure(row: Erasure, by: str) -> ErasureShape:
    return ErasureShape(
        id=row.id,
        because=Because(row.because),
        by=by,
        made_at=row.made_at,
        finished_at=row.finished_at,
        before={Kind(kind): datetime.fromisoformat(moment) for kind, moment in row.cutoffs.items()},
        results=row.results,
        people=row.people,
        set_aside=row.bytes_set_aside,
        held_back=row.held_back if row.finished_at else None,
        digest=row.digest.hex() if row.digest else None,
    )


def certificate(made: dict[str, Any]) -> Certificate:
    return Certificate.model_validate(made)


def of_person(patient_id: UUID, found: OfPerson) -> OfPersonShape:
    return OfPersonShape(
        patient=patient_id,
        results=found.results,
        specimens=found.specimens,
        open_follow_ups=found.open,
        unproved_records=found.unproved,
        why_not=service.why_not(found) or None,
    )
