"""Calls about the rules of follow-up and the hours of work."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Header, Response
from starlette.requests import Request

from server.api import access, cursors
from server.api.shapes import MISSING, MOVED, JustPaged, problems
from server.database import tenancy
from server.followup import policies, schemas
from server.followup.models import WorkingHours
from server.followup.schemas import (
    Assay,
    FollowedUp,
    HoursShape,
    Policies,
    PolicyAsked,
    PolicyShape,
    PolicyVersions,
)
from server.problems import NotFound
from server.state import state_of

router = APIRouter(tags=["Rules"])

Seen = Annotated[
    str,
    Header(
        alias="If-Match",
        description="The ETag of the hours that were looked at; 412 when others hold now.",
        min_length=1,
        max_length=200,
        pattern=r"^[!-~]+$",
    ),
]


@router.get("/policies")
async def every(request: Request, viewer: access.SettingPolicy) -> Policies:
    """Every rule in force."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        return Policies(items=[schemas.policy(one) for one in await policies.in_force(session)])


@router.get("/policies/{assay}/{outcome}", responses=MISSING)
async def one(request: Request, assay: Assay, outcome: FollowedUp, viewer: access.SettingPolicy) -> PolicyShape:
    """What holds now for one outcome of an assay; in version 0 what is built in, or holds for every assay."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        try:
            return schemas.policy(await policies.standing(session, assay, outcome.number))
        except policies.PolicyRefused as refused:
            raise NotFound(refused.detail) from None


@router.put("/policies/{assay}/{outcome}", responses=MOVED)
async def save(
    request: Request, assay: Assay, outcome: FollowedUp, asked: PolicyAsked, viewer: access.SettingPolicy
) -> PolicyShape:
    """Put a rule in force as the next version. It is never done twice: `version` has moved on after it."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        await policies.save(session, viewer, asked.version, schemas.standing(assay, outcome.number, asked.rule))
        return schemas.policy(await policies.standing(session, assay, outcome.number))


@router.get("/policies/{assay}/{outcome}/versions")
async def versions(
    request: Request, assay: Assay, outcome: FollowedUp, viewer: access.SettingPolicy, page: JustPaged
) -> PolicyVersions:
    """Every version of the organisation's own rule, the newest first."""
    own = cursors.of(request, viewer)
    place = own.read(page.cursor)
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        before = int(place) if place else None
        found = await policies.versions(session, assay, outcome.number, before, page.limit + 1)
    shown = found[: page.limit]
    following = own.write(str(shown[-1].policy.version)) if len(found) > page.limit else None
    return PolicyVersions(items=[schemas.version(one.policy, one.made_by) for one in shown], next_cursor=following)


@router.get("/working-hours")
async def hours(request: Request, response: Response, viewer: access.SettingPolicy) -> HoursShape:
    """When the organisation is at work; its ETag is asked for by who changes it."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        return _answer(response, await policies.hours(session, viewer))


@router.put("/working-hours", responses=problems(412))
async def save_hours(
    request: Request, response: Response, asked: HoursShape, viewer: access.SettingPolicy, seen: Seen
) -> HoursShape:
    """Set the hours of work. Sent again it changes nothing: they are what they are then, and If-Match does not fit."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        await policies.save_hours(
            session,
            viewer,
            asked.zone,
            set(asked.days),
            asked.opens,
            asked.closes,
            asked.on_call,
            lambda row: _etag(row) == seen,
        )
        return _answer(response, await policies.hours(session, viewer))


def _answer(response: Response, row: WorkingHours) -> HoursShape:
    response.headers["ETag"] = _etag(row)
    return schemas.hours(row)


def _etag(row: WorkingHours) -> str:
    """A strong validator (RFC 9110 section 8.8.3) of what the hours say."""
    return f'"{hashlib.sha256(schemas.hours(row).model_dump_json().encode()).hexdigest()[:32]}"'
