"""What calls about recalls take and answer."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from server.api.shapes import Label, Moment, ReaderId, Shape, Words
from server.corrections.models import Correction
from server.followup import schemas as follow_ups
from server.followup.schemas import FollowUpShape
from server.patients import schemas as people
from server.patients.schemas import PatientShape, ResultRef
from server.recalls.repository import Affected, Listed, Scope, Touched
from server.recalls.service import Standing


class Did(StrEnum):
    """What a recall did about a result: opened or reopened its follow-up, found it open, or only marked it."""

    OPENED = "opened"
    REOPENED = "reopened"
    OPEN = "open"
    MARKED = "marked"


class ScopeShape(Shape):
    """What is recalled: every result that fits all that is given. Times are those of the test, ends included.

    One of lot, reader, firmware and algorithm is needed.
    """

    lot: Label | None = None
    reader_id: ReaderId | None = None
    firmware: Label | None = None
    algorithm: Label | None = None
    tested_from: Moment | None = None
    tested_to: Moment | None = None


class RecallAsked(Shape):
    scope: ScopeShape
    reason: Annotated[Words, Field(min_length=1)]


class LiftAsked(Shape):
    """Why the results may be relied on after all; `close` also ends what is open for this recall alone."""

    why: Annotated[Words, Field(min_length=1)]
    close: bool = False


class TouchedShape(Shape):
    """How many results, of how many people, of nobody known, and by outcome; `no_result` is invalid or error."""

    results: int
    people: int
    unknown: int
    positive: int
    negative: int
    indeterminate: int
    no_result: int


class RecallShape(Shape):
    """A recall. `whole_at` is when it had first looked through every result; `results` how many it has marked."""

    id: UUID
    scope: ScopeShape
    reader: str | None
    reason: str
    made_at: datetime
    made_by: str
    whole_at: datetime | None
    lifted_at: datetime | None
    lifted_by: str | None
    why_lifted: str
    results: int


class RecallWhole(Shape):
    """A recall with what it has marked so far."""

    recall: RecallShape
    touched: TouchedShape


class Recalls(Shape):
    """A page of recalls; `next_cursor` is null at the end."""

    items: list[RecallShape]
    next_cursor: str | None


class AffectedShape(Shape):
    """A recalled result, with its person where that is known."""

    result: ResultRef
    did: Did
    patient: PatientShape | None
    follow_up: FollowUpShape | None


class People(Shape):
    """A page of what a recall marked, by the ids of results; `next_cursor` is null at the end."""

    items: list[AffectedShape]
    next_cursor: str | None


def scope(asked: ScopeShape) -> Scope:
    """As the service takes it."""
    reader_id = bytes.fromhex(asked.reader_id) if asked.reader_id else None
    return Scope(asked.lot, reader_id, asked.firmware, asked.algorithm, asked.tested_from, asked.tested_to)


def recall(listed: Listed) -> RecallShape:
    row = listed.recall
    return RecallShape(
        id=row.id,
        scope=ScopeShape(
            lot=row.lot,
            reader_id=row.reader_id.hex() if row.reader_id else None,
            firmware=row.firmware,
            algorithm=row.algorithm,
            tested_from=row.tested_from,
            tested_to=row.tested_to,
        ),
        reader=listed.reader,
        reason=row.reason,
        made_at=row.made_at,
        made_by=listed.made_by,
        whole_at=row.whole_at,
        lifted_at=row.lifted_at,
        lifted_by=listed.lifted_by,
        why_lifted=row.why_lifted,
        results=listed.results,
    )


def touched(found: Touched) -> TouchedShape:
    return TouchedShape(
        results=found.results,
        people=found.people,
        unknown=found.unknown,
        positive=found.positive,
        negative=found.negative,
        indeterminate=found.indeterminate,
        no_result=found.no_result,
    )


def whole(standing: Standing) -> RecallWhole:
    return RecallWhole(recall=recall(standing.listed), touched=touched(standing.touched))


def affected(one: Affected, corrected: Correction | None) -> AffectedShape:
    return AffectedShape(
        result=people.result_ref(one.result, one.site, corrected),
        did=Did(one.did),
        patient=people.patient(one.patient) if one.patient else None,
        follow_up=follow_ups.follow_up(one.follow_up, one.owner) if one.follow_up else None,
    )
