"""Opens the follow-ups of a batch of results, in the transaction that keeps them: none can be forgotten in between."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from reader import outcome as outcomes
from server.accounts.models import Role
from server.database import arrays, direct
from server.database.direct import Connection, Pending
from server.followup import policy
from server.followup.models import FollowUp
from server.followup.policy import Hours, Rule, Urgency
from server.followup.states import State
from server.results.models import Result


@dataclass(slots=True)
class New:
    """A result that was just kept."""

    result_id: UUID
    site_id: UUID
    assay: str
    outcome: int


@dataclass(frozen=True, slots=True)
class Duty:
    """Who answers for what a rule names: the first of them that is there."""

    rule: Rule
    version: int
    people: tuple[UUID | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How an organisation follows up: its rules, its hours, and who stands in where a rule names nobody."""

    duties: tuple[Duty, ...]
    hours: Hours
    people: tuple[tuple[UUID, str], ...]
    on_call: UUID | None = None

    def duty(self, assay: str, outcome: int) -> Duty:
        """The organisation's own rule, else the built-in one."""
        own = {(duty.rule.assay, duty.rule.outcome): duty for duty in self.duties}
        return (
            own.get((assay, outcome))
            or (None if (assay, outcome) in _BUILT_IN else own.get((policy.EVERY_ASSAY, outcome)))
            or Duty(policy.rule_for(policy.DEFAULTS, assay, outcome), 0)
        )

    def owner(self, duty: Duty, at: datetime) -> UUID | None:
        """The first of owner, deputy and lead who can still sign in; else who is on call; else a lead, else anybody.

        None only where an organisation has nobody who may follow up.
        """
        there = {person for person, _ in self.people}
        for person in duty.people:
            if person in there:
                return person
        if self.on_call in there and not self._at_work(at):
            return self.on_call
        for role in (Role.LEAD, Role.CLINICIAN):
            for person, its_role in self.people:
                if its_role == role:
                    return person
        return None

    def _at_work(self, at: datetime) -> bool:
        local = at.astimezone(self.hours.zone)
        return local.weekday() in self.hours.days and self.hours.opens <= local.time() < self.hours.closes


_BUILT_IN = {(rule.assay, rule.outcome) for rule in policy.DEFAULTS}
DEFAULT_ZONE = "Europe/London"

_RULES = b"""
    SELECT assay, outcome, version, urgency, acknowledge_min, act_min, working_hours, tries,
        owner_id, deputy_id, lead_id
    FROM follow_up_policy WHERE organisation_id = (SELECT doorstep_organisation()) AND current
"""
_HOURS = b"""
    SELECT zone, days, opens, closes, on_call_id FROM working_hours
    WHERE organisation_id = (SELECT doorstep_organisation())
"""
# The longest there first, so that the choice stays the same from batch to batch.
_PEOPLE = b"""
    SELECT id, role FROM account
    WHERE organisation_id = (SELECT doorstep_organisation()) AND active AND role IN ('lead', 'clinician')
    ORDER BY created_at, id LIMIT 500
"""
_OPEN = b"""
    INSERT INTO follow_up (organisation_id, opened_at, opened_for, state, tries, escalation, version,
        result_id, site_id, assay, outcome, urgency, owner_id, rule, acknowledge_by, act_by, due_at, remind_at,
        tries_needed)
    SELECT %(organisation_id)s, %(at)s, %(why)s, %(state)s, 0, 0, 0, new.*
    FROM unnest(%(results)s, %(sites)s, %(assays)s, %(outcomes)s, %(urgencies)s, %(owners)s, %(rules)s,
        %(acknowledge_by)s, %(act_by)s, %(acknowledge_by)s, %(acknowledge_by)s, %(tries)s) AS new
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """How an organisation follows up, asked and perhaps not answered yet: rules, hours and people."""

    answers: tuple[Pending[list[Any]], ...]

    def result(self) -> Arrangement:
        """The arrangement."""
        return _arranged(*(pending.result() for pending in self.answers))


def ask(connection: Connection, outcomes_offered: Iterable[int]) -> Asked | None:
    """Ask how the organisation that is entered follows up, for `open_for`; None where every outcome is negative.

    It is asked in the transaction that opens the follow-ups, so that nobody is given what was arranged before.
    """
    if all(outcome == outcomes.NEGATIVE for outcome in outcomes_offered):
        return None
    return Asked(tuple(direct.ask(connection, query, {}, list[Any]) for query in (_RULES, _HOURS, _PEOPLE)))


async def arrangement_of(session: AsyncSession) -> Arrangement:
    """How the organisation that the session is bound to follows up."""
    connection = await session.connection()
    found = [(await connection.execute(text(query.decode()))).all() for query in (_RULES, _HOURS, _PEOPLE)]
    return _arranged(*found)


def _arranged(rules: Iterable[Any], hours: Iterable[Any], people: Iterable[Any]) -> Arrangement:
    duties = tuple(
        Duty(Rule(assay, outcome, Urgency(urgency), *times), version, (owner, deputy, lead))
        for assay, outcome, version, urgency, *times, owner, deputy, lead in rules
    )
    there = tuple((person, role) for person, role in people)
    for zone, days, opens, closes, on_call in hours:
        return Arrangement(duties, Hours(_zone(zone), frozenset(days), opens, closes), there, on_call)
    return Arrangement(duties, Hours(_zone(DEFAULT_ZONE)), there)


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def open_for(
    connection: Connection,
    organisation_id: UUID,
    at: datetime,
    results: Sequence[New],
    asked: Asked | None,
    why: str = "result",
) -> None:
    """Open a follow-up for each of `results` that is not plainly negative, which were kept at `at`.

    `asked` is what `ask` gave for outcomes that hold those of `results`.
    """
    needed = [one for one in results if one.outcome != outcomes.NEGATIVE]
    if not needed:
        return
    assert asked is not None
    arranged = asked.result()
    plans = {key: plan_for(arranged, *key, at) for key in {(one.assay, one.outcome) for one in needed}}
    planned = [plans[one.assay, one.outcome] for one in needed]
    direct.tell(
        connection,
        _OPEN,
        {
            "organisation_id": organisation_id,
            "at": at,
            "why": why,
            "state": int(State.NEW),
            "results": arrays.uuids([one.result_id for one in needed]),
            "sites": arrays.uuids([one.site_id for one in needed]),
            "assays": arrays.texts([one.assay for one in needed]),
            "outcomes": arrays.smallints([one.outcome for one in needed]),
            "urgencies": arrays.smallints([int(plan.duty.rule.urgency) for plan in planned]),
            "owners": arrays.uuids([plan.owner for plan in planned]),
            "rules": arrays.integers([plan.duty.version for plan in planned]),
            "acknowledge_by": arrays.moments([plan.acknowledge_by for plan in planned]),
            "act_by": arrays.moments([plan.act_by for plan in planned]),
            "tries": arrays.smallints([plan.duty.rule.tries for plan in planned]),
        },
    )


async def open_in_doubt(session: AsyncSession, organisation_id: UUID, at: datetime, ids: Sequence[UUID]) -> None:
    """Open a follow-up for each of those results that has none: negatives that the server's own analysis does not bear.

    As soon as for an indeterminate outcome: a person was told that nothing was found, and it may not be so.
    """
    known = select(col(FollowUp.result_id)).where(col(FollowUp.result_id).in_(ids))
    without = (
        select(col(Result.id), col(Result.site_id), col(Result.assay), col(Result.outcome))
        .where(col(Result.id).in_(ids), col(Result.id).not_in(known))
        .with_for_update(key_share=True)
    )
    found = (await PlainSession.execute(session, without)).all()
    if not found:
        return
    new = [New(*one) for one in found]
    await _open_by_doubt(session, organisation_id, at, new, "recomputation")


async def open_recalled(session: AsyncSession, organisation_id: UUID, at: datetime, results: Sequence[New]) -> None:
    """Open a follow-up for each of `results`, which are recalled and have none: as soon as for an indeterminate one.

    The caller holds the results, so that nobody else opens one meanwhile.
    """
    await _open_by_doubt(session, organisation_id, at, results, "recall")


async def _open_by_doubt(
    session: AsyncSession, organisation_id: UUID, at: datetime, results: Sequence[New], why: str
) -> None:
    arranged = await arrangement_of(session)
    plans = {assay: plan_for(arranged, assay, outcomes.INDETERMINATE, at) for assay in {one.assay for one in results}}
    rows: list[dict[str, Any]] = []
    for one in results:
        plan = plans[one.assay]
        rows.append(
            {
                "result_id": one.result_id, "organisation_id": organisation_id, "site_id": one.site_id,
                "assay": one.assay, "outcome": one.outcome, "urgency": int(plan.duty.rule.urgency),
                "owner_id": plan.owner, "rule": plan.duty.version, "opened_at": at, "opened_for": why,
                "acknowledge_by": plan.acknowledge_by, "act_by": plan.act_by, "due_at": plan.acknowledge_by,
                "remind_at": plan.acknowledge_by, "tries_needed": plan.duty.rule.tries,
            }
        )  # fmt: skip
    await PlainSession.execute(session, insert(FollowUp), rows)


@dataclass(frozen=True, slots=True)
class Plan:
    """Under which rule something is followed up, by whom, and by when."""

    duty: Duty
    owner: UUID | None
    acknowledge_by: datetime
    act_by: datetime


def plan_for(arranged: Arrangement, assay: str, outcome: int, at: datetime) -> Plan:
    """How a result of that assay and outcome is followed up that is there from `at` on."""
    duty = arranged.duty(assay, outcome)
    hours = arranged.hours if duty.rule.working_hours else None
    return Plan(
        duty,
        arranged.owner(duty, at),
        policy.due(at, duty.rule.acknowledge_min, hours),
        policy.due(at, duty.rule.act_min, hours),
    )
