"""Pages on which a lead sets the rules of follow-up and the hours of work; no script is needed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from fastapi import APIRouter, Depends
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.accounts.permissions import May
from server.accounts.service import Viewer
from server.accounts.viewing import allowed, allowed_posting
from server.database import tenancy
from server.followup import policies, repository
from server.followup.models import WorkingHours
from server.followup.policies import OUTCOMES, PolicyRefused, Standing, Version
from server.followup.policy import Rule, Urgency
from server.followup.views import URGENCIES
from server.problems import NotFound, Problem
from server.state import state_of
from server.web import formatting
from server.web.environment import page, zone_of
from server.worklist import wording

router = APIRouter()

Looking = Annotated[Viewer, Depends(allowed(May.SET_POLICY))]
Setting = Annotated[Viewer, Depends(allowed_posting(May.SET_POLICY))]

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_PEOPLE = ("owner", "deputy", "lead")
_HOURS = re.compile(r"[0-9]{1,5}(\.[0-9]{1,2})?")
_WORK = {"hours": "Only while we are at work", "always": "Round the clock"}


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule in the list."""

    href: str
    assay: str
    outcome: wording.OutcomeWords
    urgency: str
    acknowledge: str
    act: str
    when: str
    whose: str


@dataclass(frozen=True, slots=True)
class VersionLine:
    """An earlier version on the page of a rule."""

    heading: str
    made: str
    facts: list[tuple[str, str]]


@router.get("/policy")
async def rules(request: Request, viewer: Looking) -> Response:
    """Every rule in force, and the hours of work."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        names = await policies.assays(session)
        found = await policies.in_force(session)
        hours = await policies.hours(session, viewer)
        people = await _people(session)
    return page(
        request,
        "policy.jinja",
        title="Rules of follow-up",
        rules=[_line(one, names) for one in found],
        hours=_hours_facts(hours, people),
        assays=[{"value": one, "text": name} for one, name in names.items()],
        outcomes=[{"value": str(code), "text": wording.outcome(code).word} for code in OUTCOMES],
    )


@router.get("/policy/rule")
async def ask(request: Request, viewer: Looking) -> Response:
    """The form of one rule, with its earlier versions."""
    return await _form(request, viewer, request.query_params)


@router.post("/policy/rule")
async def save(request: Request, viewer: Setting) -> Response:
    """Keep a rule as its next version, or show the form again with what is wrong."""
    fields: dict[str, str] = request.state.form
    assay, outcome = _key(fields)
    seen = fields.get("version", "")
    if not seen.isdecimal() or len(seen) > 9:
        raise NotFound("This form is not complete. Load the page again.")
    try:
        people = {name: _uuid(fields.get(name, ""), name) for name in _PEOPLE}
        wanted = Standing(_rule(fields, assay, outcome), 0, people["owner"], people["deputy"], people["lead"])
        async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
            await policies.save(session, viewer, int(seen), wanted)
    except PolicyRefused as problem:
        return await _form(request, viewer, fields, problem)
    return RedirectResponse(f"/policy/rule?{urlencode({'assay': assay, 'outcome': outcome})}", 303)


@router.get("/policy/hours")
async def ask_hours(request: Request, viewer: Looking) -> Response:
    """The form of the hours of work."""
    return await _hours_form(request, viewer)


@router.post("/policy/hours")
async def save_hours(request: Request, viewer: Setting) -> Response:
    """Keep the hours of work, or show the form again with what is wrong."""
    fields: dict[str, str] = request.state.form
    days = {index for index in range(7) if fields.get(f"day-{index}")}
    try:
        on_call = _uuid(fields.get("on_call", ""), "on_call")
        async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
            await policies.save_hours(
                session,
                viewer,
                fields.get("zone", ""),
                days,
                fields.get("opens", ""),
                fields.get("closes", ""),
                on_call,
            )
    except PolicyRefused as problem:
        return await _hours_form(request, viewer, fields, problem)
    return RedirectResponse("/policy", 303)


async def _form(
    request: Request, viewer: Viewer, fields: Mapping[str, str], problem: PolicyRefused | None = None
) -> Response:
    state = state_of(request)
    assay, outcome = _key(fields)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        try:
            standing = await policies.standing(session, assay, outcome)
        except PolicyRefused as refused:
            raise NotFound(refused.detail) from None
        names = await policies.assays(session)
        earlier = await policies.versions(session, assay, outcome)
        people = await _people(session)
    given = dict(fields) if problem else _as_fields(standing)
    zone = zone_of(state.settings)
    return page(
        request,
        "policy-rule.jinja",
        status=problem.status if problem else 200,
        title=f"Rule: {names[assay]}, {wording.outcome(outcome).word.lower()}",
        assay=assay,
        outcome=outcome,
        name=names[assay],
        word=wording.outcome(outcome).word,
        version=given.get("version", str(standing.version)),
        built_in=standing.version == 0,
        fields={name: given.get(name, "") for name in ("acknowledge", "act", "tries")},
        urgencies=_radios({str(int(code)): text for code, text in URGENCIES.items()}, given.get("urgency")),
        works=_radios(_WORK, given.get("work")),
        people={name: _choices(people, given.get(name, ""), "Nobody named") for name in _PEOPLE},
        versions=[_version(one, people, zone) for one in earlier],
        error=_sentence(problem),
        field=str(problem.extra.get("field", "acknowledge")) if problem else "",
    )


async def _hours_form(
    request: Request, viewer: Viewer, fields: Mapping[str, str] | None = None, problem: PolicyRefused | None = None
) -> Response:
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        hours = await policies.hours(session, viewer)
        people = await _people(session)
    given = fields if fields is not None else _hours_as_fields(hours)
    zones = sorted(available_timezones())
    return page(
        request,
        "policy-hours.jinja",
        status=problem.status if problem else 200,
        title="Hours of work",
        zones=[{"value": one, "text": one.replace("_", " "), "selected": one == given.get("zone")} for one in zones],
        days=[
            {"value": "1", "name": f"day-{index}", "text": name, "checked": bool(given.get(f"day-{index}"))}
            for index, name in enumerate(DAYS)
        ],
        fields={name: given.get(name, "") for name in ("opens", "closes")},
        people=_choices(people, given.get("on_call", ""), "Nobody: a lead, or whoever is there"),
        error=_sentence(problem),
        field=str(problem.extra.get("field", "zone")) if problem else "",
    )


def _key(fields: Mapping[str, str]) -> tuple[str, int]:
    outcome = fields.get("outcome", "")
    if not outcome.isascii() or not outcome.isdecimal() or len(outcome) > 3:
        raise NotFound("There is no such rule. Start again from the list of rules.")
    return fields.get("assay", ""), int(outcome)


def _rule(fields: Mapping[str, str], assay: str, outcome: int) -> Rule:
    """Raises `PolicyRefused` for what is no number or not offered."""
    try:
        urgency = Urgency(int(fields.get("urgency", "")))
    except ValueError:
        raise PolicyRefused("Choose how urgent it is.", extra={"field": "urgency"}) from None
    if fields.get("work") not in _WORK:
        raise PolicyRefused("Choose when the time runs.", extra={"field": "work"})
    tries = fields.get("tries", "").strip()
    if not tries.isascii() or not tries.isdecimal() or len(tries) > 3:
        raise PolicyRefused("Give the tries as a whole number.", extra={"field": "tries"})
    return Rule(
        assay, outcome, urgency, _minutes(fields, "acknowledge"), _minutes(fields, "act"),
        fields["work"] == "hours", int(tries),
    )  # fmt: skip


def _minutes(fields: Mapping[str, str], name: str) -> int:
    """Hours as people write them, such as 4 or 1.5."""
    text = fields.get(name, "").strip()
    whole, _, part = text.partition(".")
    if (
        not (text.isascii() and whole.isdecimal() and len(whole) <= 5 and (not part or part.isdecimal()))
        or len(part) > 2
    ):
        raise PolicyRefused("Give the time in hours, such as 4 or 1.5.", extra={"field": name})
    return round(float(text) * 60)


def _in_hours(minutes: int) -> str:
    return f"{minutes / 60:.2f}".rstrip("0").rstrip(".")


def _as_fields(one: Standing) -> dict[str, str]:
    named = zip(_PEOPLE, (one.owner_id, one.deputy_id, one.lead_id), strict=True)
    return {
        "urgency": str(int(one.rule.urgency)),
        "acknowledge": _in_hours(one.rule.acknowledge_min),
        "act": _in_hours(one.rule.act_min),
        "work": "hours" if one.rule.working_hours else "always",
        "tries": str(one.rule.tries),
        "version": str(one.version),
        **{name: str(person) if person else "" for name, person in named},
    }


def _hours_as_fields(hours: WorkingHours) -> dict[str, str]:
    return {
        "zone": hours.zone,
        "opens": f"{hours.opens:%H:%M}",
        "closes": f"{hours.closes:%H:%M}",
        "on_call": str(hours.on_call_id) if hours.on_call_id else "",
        **{f"day-{index}": "1" for index in hours.days},
    }


def _line(one: Standing, names: Mapping[str, str]) -> RuleLine:
    rule = one.rule
    return RuleLine(
        href=f"/policy/rule?{urlencode({'assay': rule.assay, 'outcome': rule.outcome})}",
        assay=names.get(rule.assay, rule.assay),
        outcome=wording.outcome(rule.outcome),
        urgency=URGENCIES[rule.urgency],
        acknowledge=formatting.count_of_hours(rule.acknowledge_min),
        act=formatting.count_of_hours(rule.act_min),
        when="at work" if rule.working_hours else "round the clock",
        whose=f"Own, version {one.version}" if one.version else "Built in",
    )


def _version(one: Version, people: Mapping[UUID, str], zone: ZoneInfo) -> VersionLine:
    row = one.policy
    named = (("Owner", row.owner_id), ("Deputy", row.deputy_id), ("Lead", row.lead_id))
    work = "at work" if row.working_hours else "round the clock"
    facts = [
        ("Urgency", URGENCIES[Urgency(row.urgency)]),
        ("Acknowledge within", f"{formatting.count_of_hours(row.acknowledge_min)} {work}"),
        ("Act within", f"{formatting.count_of_hours(row.act_min)} {work}"),
        ("Tries", str(row.tries)),
        *((key, people.get(person, "Somebody who does not follow up any more")) for key, person in named if person),
    ]
    made = f"{formatting.date_and_time(row.made_at, zone)} by {one.made_by or 'Doorstep'}"
    return VersionLine(f"Version {row.version}{', in force' if row.current else ''}", made, facts)


def _hours_facts(hours: WorkingHours, people: Mapping[UUID, str]) -> list[tuple[str, str]]:
    return [
        ("Days", ", ".join(DAYS[index] for index in sorted(hours.days))),
        ("From", f"{hours.opens:%H:%M} to {hours.closes:%H:%M}"),
        ("Time zone", hours.zone.replace("_", " ")),
        ("On call when nobody is at work", people.get(hours.on_call_id, "Nobody") if hours.on_call_id else "Nobody"),
    ]


async def _people(session: AsyncSession) -> dict[UUID, str]:
    return {person: f"{name}, {role}" for person, name, role in await repository.people(session)}


def _radios(choices: Mapping[str, str], chosen: str | None) -> list[dict[str, Any]]:
    return [{"value": value, "text": text, "checked": value == chosen} for value, text in choices.items()]


def _choices(people: Mapping[UUID, str], chosen: str, nobody: str) -> list[dict[str, Any]]:
    named = [{"value": str(one), "text": text, "selected": str(one) == chosen} for one, text in people.items()]
    return [{"value": "", "text": nobody}, *named]


def _uuid(text: str, field: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise PolicyRefused("Choose a person from the list.", extra={"field": field}) from None


def _sentence(problem: Problem | None) -> str:
    return f"{problem.title}. {problem.detail}" if problem else ""
