"""The call about quality control. No person's data is in its answer."""

from fastapi import APIRouter
from starlette.requests import Request

from server.api import access
from server.database import tenancy
from server.quality import schemas, service
from server.quality.schemas import QualityControl
from server.state import state_of

router = APIRouter(tags=["Quality control"])


@router.get("/quality-control")
async def quality_control(request: Request, viewer: access.SeeingCustody) -> QualityControl:
    """How every reader stands now with the last quality-control test of each level."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        states = await service.overview(session)
    return QualityControl(items=[schemas.reader_standing(one) for one in states])
