"""What calls about follow-ups, their rules and the hours of work take and answer."""

from datetime import datetime, time
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from server.api.shapes import Label, OutcomeName, PersonRef, Shape, Version, Words
from server.followup.models import FollowUp, FollowUpEvent, FollowUpPolicy, WorkingHours
from server.followup.policies import LONGEST_MIN, TRIES_MOST, Standing
from server.followup.policy import EVERY_ASSAY, Rule, Urgency
from server.followup.service import Standing as FollowUpStanding
from server.followup.states import Act, Ending, State, may

Assay = Annotated[Label, Field(description=f'An assay\'s id, or "{EVERY_ASSAY}": every assay without its own rule.')]


class StateName(StrEnum):
    """Where a follow-up stands."""

    NEW = "new"
    ACKNOWLEDGED = "acknowledged"
    PLANNED = "planned"
    CONTACTED = "contacted"
    OUTCOME = "outcome-recorded"
    CLOSED = "closed"

    @classmethod
    def of(cls, code: int) -> "StateName":
        """The name of a stored state."""
        return cls[State(code).name]


class UrgencyName(StrEnum):
    """How soon somebody must act; the worklist is in this order."""

    NOW = "now"
    SOON = "soon"
    ROUTINE = "routine"

    @classmethod
    def of(cls, code: int) -> "UrgencyName":
        """The name of a stored urgency."""
        return cls[Urgency(code).name]

    @property
    def stored(self) -> Urgency:
        """As tables hold it."""
        return Urgency[self.name]


class FollowedUp(StrEnum):
    """Outcomes that are followed up; a plain negative is not."""

    POSITIVE = "positive"
    INDETERMINATE = "indeterminate"
    INVALID = "invalid"
    ERROR = "error"

    @property
    def number(self) -> int:
        """As tables hold it."""
        return OutcomeName(self.value).number


class FollowUpShape(Shape):
    """What is owed to the person behind a result. `due_at` is null once an outcome is recorded."""

    result: UUID
    version: int
    state: StateName
    urgency: UrgencyName
    owner: PersonRef | None
    due_at: datetime | None
    opened_at: datetime
    opened_for: str
    acknowledge_by: datetime
    act_by: datetime
    acknowledged_at: datetime | None
    contacted_at: datetime | None
    ended_at: datetime | None
    ending: Ending | None
    tries: int
    tries_needed: int


class EventShape(Shape):
    """One act. `by` is null where the server itself acted; `owner` is whom a handing over named."""

    version: int
    at: datetime
    act: str
    state: StateName
    by: PersonRef | None
    note: str
    ending: Ending | None
    owner: UUID | None
    recall: UUID | None


class NoticeShape(Shape):
    """Somebody was told that it was overdue."""

    at: datetime
    to: PersonRef


class FollowUpHistory(Shape):
    """A follow-up with all that was done. `acts` are those that its state allows now."""

    follow_up: FollowUpShape
    acts: list[Act]
    events: list[EventShape]
    notices: list[NoticeShape]


class ActAsked(Shape):
    """One act. *plan*, *hand-over* and *reopen* need a note, *record* an ending, *hand-over* an owner."""

    act: Act
    version: Version
    note: Words = ""
    ending: Ending | None = None
    owner: UUID | None = None


class Owner(Shape):
    """Somebody who follows up results."""

    id: UUID
    name: str
    role: str


class Owners(Shape):
    """Everybody to whom a follow-up can be handed over, by name."""

    items: list[Owner]


class RuleShape(Shape):
    """A rule's content. Times are minutes; with `working_hours` they run only while the organisation is at work."""

    urgency: UrgencyName
    acknowledge_min: int = Field(ge=1, le=LONGEST_MIN)
    act_min: int = Field(ge=1, le=LONGEST_MIN, description="Longer than acknowledge_min.")
    working_hours: bool
    tries: int = Field(ge=1, le=TRIES_MOST, description="Before a person counts as one who could not be reached.")
    owner: UUID | None = None
    deputy: UUID | None = None
    lead: UUID | None = None


class PolicyShape(Shape):
    """A rule in force. Version 0 is built in, or that of every assay where this one has none of its own."""

    assay: str
    outcome: OutcomeName
    version: int
    rule: RuleShape


class PolicyVersion(Shape):
    """One version of an organisation's own rule."""

    policy: PolicyShape
    current: bool
    made_at: datetime
    made_by: str | None


class Policies(Shape):
    """Every rule in force: those for every assay first."""

    items: list[PolicyShape]


class PolicyVersions(Shape):
    """A page of the versions of a rule, the newest first; `next_cursor` is null at the end."""

    items: list[PolicyVersion]
    next_cursor: str | None


class PolicyAsked(Shape):
    """A rule that is to be in force from now on, as the next version after `version`."""

    version: Version
    rule: RuleShape


class HoursShape(Shape):
    """When the organisation is at work. Days are 0 (Monday) to 6; times of day are in `zone`."""

    zone: Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=r"^[\w/+-]+$")]
    days: Annotated[list[Annotated[int, Field(ge=0, le=6)]], Field(min_length=1, max_length=7)]
    opens: Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
    closes: Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
    on_call: UUID | None = None


def follow_up(row: FollowUp, owner: str | None) -> FollowUpShape:
    """A row with its owner's name."""
    return FollowUpShape(
        result=row.result_id,
        version=row.version,
        state=StateName.of(row.state),
        urgency=UrgencyName.of(row.urgency),
        owner=PersonRef(id=str(row.owner_id), name=owner or "") if row.owner_id else None,
        due_at=row.due_at,
        opened_at=row.opened_at,
        opened_for=row.opened_for,
        acknowledge_by=row.acknowledge_by,
        act_by=row.act_by,
        acknowledged_at=row.acknowledged_at,
        contacted_at=row.contacted_at,
        ended_at=row.ended_at,
        ending=Ending(row.ending) if row.ending else None,
        tries=row.tries,
        tries_needed=row.tries_needed,
    )


def history(standing: FollowUpStanding) -> FollowUpHistory:
    """Where a follow-up stands, with all that was done."""
    return FollowUpHistory(
        follow_up=follow_up(standing.follow_up, standing.owner),
        acts=may(State(standing.follow_up.state)),
        events=[_event(one, who) for one, who in standing.events],
        notices=[
            NoticeShape(at=one.created_at, to=PersonRef(id=str(one.recipient_id), name=name))
            for one, name in standing.told
        ],
    )


def _event(row: FollowUpEvent, who: str | None) -> EventShape:
    return EventShape(
        version=row.version,
        at=row.at,
        act=row.act,
        state=StateName.of(row.state),
        by=PersonRef(id=str(row.account_id), name=who or "") if row.account_id else None,
        note=row.note,
        ending=row.detail.get("ending"),
        owner=row.detail.get("owner"),
        recall=row.detail.get("recall"),
    )


def policy(one: Standing) -> PolicyShape:
    """A rule in force."""
    rule = one.rule
    return PolicyShape(
        assay=rule.assay,
        outcome=OutcomeName.of(rule.outcome),
        version=one.version,
        rule=RuleShape(
            urgency=UrgencyName.of(rule.urgency),
            acknowledge_min=rule.acknowledge_min,
            act_min=rule.act_min,
            working_hours=rule.working_hours,
            tries=rule.tries,
            owner=one.owner_id,
            deputy=one.deputy_id,
            lead=one.lead_id,
        ),
    )


def standing(assay: str, outcome: int, asked: RuleShape) -> Standing:
    """A rule as the service takes it."""
    rule = Rule(
        assay, outcome, asked.urgency.stored, asked.acknowledge_min, asked.act_min, asked.working_hours, asked.tries
    )
    return Standing(rule, 0, asked.owner, asked.deputy, asked.lead)


def version(row: FollowUpPolicy, made_by: str | None) -> PolicyVersion:
    """One version of a rule."""
    rule = Rule(
        row.assay, row.outcome, Urgency(row.urgency), row.acknowledge_min, row.act_min, row.working_hours, row.tries
    )
    standing = Standing(rule, row.version, row.owner_id, row.deputy_id, row.lead_id)
    return PolicyVersion(policy=policy(standing), current=row.current, made_at=row.made_at, made_by=made_by)


def hours(row: WorkingHours) -> HoursShape:
    """The hours of work."""
    return HoursShape(
        zone=row.zone, days=sorted(row.days), opens=_clock(row.opens), closes=_clock(row.closes), on_call=row.on_call_id
    )


def _clock(at: time) -> str:
    return f"{at:%H:%M}"
