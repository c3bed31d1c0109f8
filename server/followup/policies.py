"""What a lead decides: the rules, each change a new version, and when the organisation is at work."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import time
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from reader import outcome as outcomes
from reader import packfile
from server.accounts.models import Account
from server.accounts.permissions import May, require
from server.accounts.service import Viewer
from server.assays.models import AssayPack
from server.audit import service as audit
from server.followup import policy, repository
from server.followup.models import FollowUpPolicy, WorkingHours
from server.followup.opening import DEFAULT_ZONE
from server.followup.policy import EVERY_ASSAY, Hours, Rule, Urgency
from server.problems import Problem

OUTCOMES = tuple(code for code in outcomes.OUTCOMES if code != outcomes.NEGATIVE)
"""Outcomes that are followed up; a plain negative is not."""
LONGEST_MIN = 90 * 24 * 60
TRIES_MOST = 20
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


class PolicyRefused(Problem):
    """The rule or the hours cannot be kept; `extra["field"]` names the field that is wrong."""

    status = 422
    code = "policy-refused"
    title = "This cannot be saved"


class PolicyMoved(Problem):
    """Somebody else has saved another version meanwhile."""

    status = 409
    code = "policy-moved"
    title = "The rule has been changed meanwhile"


class HoursMoved(Problem):
    """Somebody else has set other hours meanwhile."""

    status = 412
    code = "hours-moved"
    title = "The hours of work have been changed meanwhile"


@dataclass(frozen=True, slots=True)
class Standing:
    """A rule in force: version 0 is the one built in. Who answers for it is named only in an organisation's own."""

    rule: Rule
    version: int
    owner_id: UUID | None = None
    deputy_id: UUID | None = None
    lead_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a rule with who made it."""

    policy: FollowUpPolicy
    made_by: str | None


async def assays(session: AsyncSession) -> dict[str, str]:
    """Names by id of the assays that ship or were loaded here, and "*" for every assay."""
    statement = select(col(AssayPack.assay)).distinct().limit(1_000)
    loaded = (await PlainSession.execute(session, statement)).scalars().all()
    known = {assay.id: assay.name for assay in packfile.every()}
    return {EVERY_ASSAY: "Every assay without its own rule", **{one: one for one in loaded}, **known}


async def in_force(session: AsyncSession) -> list[Standing]:
    """Every rule that is built in or the organisation's own; its own in the place of the one built in."""
    found = {(rule.assay, rule.outcome): Standing(rule, 0) for rule in policy.DEFAULTS}
    for one in await repository.current_policies(session):
        found[one.assay, one.outcome] = _standing(one)
    return [found[key] for key in sorted(found, key=lambda key: (key[0] != EVERY_ASSAY, key[0], key[1]))]


async def standing(session: AsyncSession, assay: str, outcome: int) -> Standing:
    """What holds now for one outcome of an assay, as a follow-up would be opened. Raises `PolicyRefused`."""
    await _check_key(session, assay, outcome)
    rules = await in_force(session)
    own = next((one for one in rules if (one.rule.assay, one.rule.outcome) == (assay, outcome)), None)
    every = next(one for one in rules if (one.rule.assay, one.rule.outcome) == (EVERY_ASSAY, outcome))
    # Without a rule of its own, that of every assay holds: what a lead begins with, as version 0.
    return own or Standing(every.rule, 0, every.owner_id, every.deputy_id, every.lead_id)


async def versions(
    session: AsyncSession, assay: str, outcome: int, before: int | None = None, most: int = 200
) -> list[Version]:
    """Versions of the organisation's own rule, the newest first; those before version `before`, at most so many."""
    statement = (
        select(FollowUpPolicy, col(Account.name))
        .outerjoin(Account, col(Account.id) == col(FollowUpPolicy.made_by))
        .where(col(FollowUpPolicy.assay) == assay, col(FollowUpPolicy.outcome) == outcome)
        .order_by(col(FollowUpPolicy.version).desc())
        .limit(most)
    )
    if before is not None:
        statement = statement.where(col(FollowUpPolicy.version) < before)
    return [Version(row[0], row[1]) for row in (await PlainSession.execute(session, statement)).all()]


async def save(session: AsyncSession, viewer: Viewer, seen: int, wanted: Standing) -> FollowUpPolicy:
    """Put a rule in force as the next version; `seen` is the version that was looked at, 0 for the one built in.

    Raises `PolicyRefused`, `PolicyMoved`, `NotAllowed`.
    """
    require(viewer, May.SET_POLICY)
    rule = wanted.rule
    await _check_key(session, rule.assay, rule.outcome)
    _check_rule(rule)
    await _check_people(session, owner=wanted.owner_id, deputy=wanted.deputy_id, lead=wanted.lead_id)
    key = f"policy {viewer.organisation_id} {rule.assay} {rule.outcome}"
    await (await session.connection()).execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key}
    )
    latest = select(func.coalesce(func.max(col(FollowUpPolicy.version)), 0)).where(
        col(FollowUpPolicy.assay) == rule.assay, col(FollowUpPolicy.outcome) == rule.outcome
    )
    if (await PlainSession.execute(session, latest)).scalar_one() != seen:
        raise PolicyMoved("Load the page again, look at what was changed, and decide again.")
    made = FollowUpPolicy(
        organisation_id=viewer.organisation_id, assay=rule.assay, outcome=rule.outcome, version=0,
        urgency=rule.urgency, acknowledge_min=rule.acknowledge_min, act_min=rule.act_min,
        working_hours=rule.working_hours, tries=rule.tries, owner_id=wanted.owner_id, deputy_id=wanted.deputy_id,
        lead_id=wanted.lead_id, made_by=viewer.account_id,
    )  # fmt: skip
    await _audited(session, viewer, "policy.change", f"{rule.assay}/{rule.outcome}", {"version": seen + 1})
    await repository.supersede(session, made)
    return made


async def hours(session: AsyncSession, viewer: Viewer) -> WorkingHours:
    """The organisation's hours of work, or those it has until it sets its own."""
    found = await session.get(WorkingHours, viewer.organisation_id)
    if found is not None:
        return found
    usual = Hours(ZoneInfo(DEFAULT_ZONE))
    return WorkingHours(
        organisation_id=viewer.organisation_id,
        zone=DEFAULT_ZONE,
        days=sorted(usual.days),
        opens=usual.opens,
        closes=usual.closes,
    )


async def save_hours(
    session: AsyncSession,
    viewer: Viewer,
    zone: str,
    days: set[int],
    opens: str,
    closes: str,
    on_call: UUID | None,
    seen: Callable[[WorkingHours], bool] | None = None,
) -> None:
    """Keep the hours of work; `opens` and `closes` are HH:MM. Raises `PolicyRefused`, `HoursMoved`, `NotAllowed`.

    `seen` says whether the hours that hold now are those that were looked at, where that is known.

    An exchange reads them while it keeps results: what it could not read is never stored.
    """
    require(viewer, May.SET_POLICY)
    if zone not in available_timezones():
        raise PolicyRefused("Choose a time zone from the list.", extra={"field": "zone"})
    times = {name: _clock(value, name) for name, value in (("opens", opens), ("closes", closes))}
    if not days or not days <= set(range(7)):
        raise PolicyRefused("Choose at least one day of work.", extra={"field": "days"})
    try:
        checked = Hours(ZoneInfo(zone), frozenset(days), times["opens"], times["closes"])
    except ValueError:
        raise PolicyRefused("Work must begin before it ends, on the same day.", extra={"field": "closes"}) from None
    await _check_people(session, on_call=on_call)
    # Held whether or not there is a row yet, so that two who set the first hours come one after the other.
    key = f"hours {viewer.organisation_id}"
    await (await session.connection()).execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key}
    )
    if seen is not None and not seen(await hours(session, viewer)):
        raise HoursMoved("Look at the hours that hold now, and decide again.")
    row = await session.get(WorkingHours, viewer.organisation_id, with_for_update=True)
    before = _said(row) if row else None
    row = row or WorkingHours(
        organisation_id=viewer.organisation_id, zone=zone, days=[], opens=checked.opens, closes=checked.closes
    )
    row.zone, row.days, row.opens, row.closes = zone, sorted(days), checked.opens, checked.closes
    row.on_call_id = on_call
    detail: dict[str, object] = {"before": before, "after": _said(row)}
    await _audited(session, viewer, "hours.change", str(viewer.organisation_id), detail)
    session.add(row)
    await session.flush()


def _said(row: WorkingHours) -> dict[str, object]:
    on_call = str(row.on_call_id) if row.on_call_id else None
    return {
        "zone": row.zone,
        "days": row.days,
        "opens": row.opens.isoformat(),
        "closes": row.closes.isoformat(),
        "on_call": on_call,
    }


def _standing(one: FollowUpPolicy) -> Standing:
    rule = Rule(
        one.assay, one.outcome, Urgency(one.urgency), one.acknowledge_min, one.act_min, one.working_hours, one.tries
    )
    return Standing(rule, one.version, one.owner_id, one.deputy_id, one.lead_id)


async def _check_key(session: AsyncSession, assay: str, outcome: int) -> None:
    if outcome not in OUTCOMES:
        raise PolicyRefused("Choose an outcome that is followed up.", extra={"field": "outcome"})
    if assay not in await assays(session):
        raise PolicyRefused("Choose an assay that this server knows.", extra={"field": "assay"})


def _check_rule(rule: Rule) -> None:
    if not 0 < rule.acknowledge_min <= LONGEST_MIN:
        raise PolicyRefused("Give a time of one minute to 90 days.", extra={"field": "acknowledge"})
    if not rule.acknowledge_min < rule.act_min <= LONGEST_MIN:
        sentence = "The time to act is longer than that to acknowledge, and at most 90 days."
        raise PolicyRefused(sentence, extra={"field": "act"})
    if not 1 <= rule.tries <= TRIES_MOST:
        raise PolicyRefused(f"Ask for 1 to {TRIES_MOST} tries.", extra={"field": "tries"})


async def _check_people(session: AsyncSession, **named: UUID | None) -> None:
    there = {person[0] for person in await repository.people(session)}
    for field, person in named.items():
        if person is not None and person not in there:
            sentence = "Choose somebody who follows up results where you work."
            raise PolicyRefused(sentence, extra={"field": field})


def _clock(value: str, field: str) -> time:
    found = _CLOCK.fullmatch(value.strip())
    if found is None:
        raise PolicyRefused("Give a time of day such as 08:00.", extra={"field": field})
    return time(int(found[1]), int(found[2]))


async def _audited(session: AsyncSession, viewer: Viewer, action: str, subject: str, detail: dict[str, object]) -> None:
    await audit.record(
        session,
        organisation_id=viewer.organisation_id,
        actor=audit.Actor("account", str(viewer.account_id)),
        action=action,
        subject_kind="policy",
        subject=subject,
        detail=detail,
    )
