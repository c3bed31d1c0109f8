"""The page of quality control: how every reader stands now with each assay and lot, failures first."""

from dataclasses import dataclass
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from reader import outcome as outcomes
from server.accounts.permissions import May
from server.accounts.service import Viewer
from server.accounts.viewing import allowed
from server.database import tenancy
from server.quality import service
from server.quality.repository import LevelTest
from server.quality.service import Standing, State
from server.results.recomputation import Recomputation
from server.state import state_of
from server.web import formatting
from server.web.environment import page, zone_of
from server.web.formatting import NOT_KNOWN

router = APIRouter()

Looking = Annotated[Viewer, Depends(allowed(May.SEE_CUSTODY))]


@dataclass(frozen=True, slots=True)
class LevelView:
    level: str
    verdict: str
    colour: str
    outcome: str
    when: str
    material: str


@dataclass(frozen=True, slots=True)
class StateView:
    heading: str
    site: str
    in_doubt: bool
    levels: list[LevelView]


@router.get("/quality")
async def quality(request: Request, viewer: Looking) -> Response:
    """Readers with the last quality-control test of each level. No person's data is on it."""
    state = state_of(request)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        states, more = await service.overview(session)
    zone = zone_of(state.settings)
    shown = [_state(one, zone) for one in states]
    return page(request, "quality.jinja", title="Quality control", states=shown, more=more)


def _state(one: State, zone: ZoneInfo) -> StateView:
    first = one.levels[0]
    return StateView(
        f"{first.reader}: {first.assay}, lot {first.lot or NOT_KNOWN}",
        first.site,
        one.standing is Standing.IN_DOUBT,
        [_level(level, zone) for level in one.levels],
    )


def _level(one: LevelTest, zone: ZoneInfo) -> LevelView:
    said = outcomes.outcome_name(one.outcome)
    if one.reason != outcomes.NONE:
        said += f", {outcomes.reason_name(one.reason).replace('-', ' ')}"
    if one.recomputation == Recomputation.DIFFERS:
        said += " (recomputed from its trace: differs)"
    elif one.recomputation == Recomputation.FAILED:
        said += " (its trace cannot be read)"
    at = one.tested_at or one.received_at
    when = formatting.date_and_time(at, zone)
    return LevelView(
        one.level,
        *_verdict(one),
        said,
        when if one.tested_at else f"Before {when}",
        f"{one.material}, lot {one.material_lot or NOT_KNOWN}",
    )


def _verdict(one: LevelTest) -> tuple[str, str]:
    if not one.passed:
        return "Failed", "red"
    return ("In doubt", "orange") if service.doubted(one) else ("Passed", "green")
