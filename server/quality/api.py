"""The call about quality control. No person's data is in its answer."""

from fastapi import APIRouter
from starlette.requests import Request

from server.api import access, cursors
from server.api.shapes import JustPaged
from server.database import tenancy
from server.quality import schemas, service
from server.quality.repository import Place
from server.quality.schemas import QualityControl
from server.state import state_of

router = APIRouter(tags=["Quality control"])


@router.get("/quality-control")
async def quality_control(request: Request, viewer: access.SeeingCustody, page: JustPaged) -> QualityControl:
    """How every reader stands now with the last quality-control test of each level, by the name of the reader.

    The order is not that of urgency: what fails meanwhile is neither passed over nor shown twice.
    """
    own = cursors.of(request, viewer)
    place = own.read(page.cursor)
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        found = await service.standings(session, Place.parse(place) if place else None, page.limit + 1)
    shown = found[: page.limit]
    following = own.write(Place.of(shown[-1].levels[0]).text()) if len(found) > page.limit else None
    return QualityControl(items=[schemas.reader_standing(one) for one in shown], next_cursor=following)
