"""The board counts what was done, in one statement whatever there is."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from reader import outcome
from server.accounts.permissions import NotAllowed
from server.accounts.service import Viewer
from server.board import repository, service
from server.board.repository import Cascade
from server.board.service import Period, PeriodRefused
from server.database import tenancy
from server.followup.states import Act, Ending, Step
from tests.server.conftest import Ward
from tests.server.followup.test_follow_up import arrive, do, person

TODAY = datetime.now(UTC).date()
PERIOD = Period(TODAY - timedelta(days=1), TODAY + timedelta(days=1))


async def read(ward: Ward, viewer: Viewer, period: Period = PERIOD, after: timedelta = timedelta()) -> list[Cascade]:
    from zoneinfo import ZoneInfo

    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return await service.read(session, viewer, period, ZoneInfo("Europe/London"), datetime.now(UTC) + after)


async def test_each_positive_is_counted_as_far_as_it_has_come(ward: Ward) -> None:
    viewer = await person(ward)
    ended, reached, seen, new = [await arrive(ward) for _ in range(4)]
    await arrive(ward, outcome.NEGATIVE)
    for one in (ended, reached, seen):
        await do(ward, viewer, one, Step(Act.ACKNOWLEDGE))
    for one in (ended, reached):
        await do(ward, viewer, one, Step(Act.CONTACT))
    await do(ward, viewer, ended, Step(Act.RECORD, ending=Ending.TREATED))
    # Times that can be said beforehand: acknowledged 1, 2 and 10 hours after the arrival.
    for one, hours in ((ended, 1), (reached, 2), (seen, 10)):
        await ward.rows(
            "UPDATE follow_up SET acknowledged_at = (SELECT received_at FROM result WHERE id = result_id)"
            " + make_interval(hours => :hours) WHERE result_id = :id RETURNING result_id",
            hours=hours, id=one,
        )  # fmt: skip
    whole, *parts = await read(ward, viewer)
    assert (whole.positive, whole.acknowledged, whole.contacted, whole.ended, whole.overdue) == (4, 3, 2, 1, 0)
    assert whole.to_acknowledged.median == timedelta(hours=2)
    assert whole.to_acknowledged.slow == timedelta(hours=8.4)
    assert [(part.assay is None, part.site) for part in parts] == [(False, None), (True, "Clinic")]
    assert {part.positive for part in parts} == {4}
    late = (await read(ward, viewer, after=timedelta(days=30)))[0]
    assert late.overdue == 3
    assert new is not None
    earlier = Period(TODAY - timedelta(days=40), TODAY - timedelta(days=20))
    [nothing] = await read(ward, viewer, earlier)
    assert (nothing.positive, nothing.to_ended.median) == (0, None)


async def test_it_is_one_statement_however_many_sites_and_assays(ward: Ward) -> None:
    await person(ward)
    for assay in ("sars2-ag", "hiv-ab", "fit"):
        await arrive(ward, assay=assay)
    counted: list[str] = []
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        connection = (await session.connection()).sync_connection
        event.listen(connection, "before_cursor_execute", lambda *given: counted.append(given[2]))
        now = datetime.now(UTC)
        found = await repository.cascade(session, ward.id, now - timedelta(days=1), now + timedelta(days=1), now)
    assert len(counted) == 1
    assert [part.assay for part in found] == [None, "fit", "hiv-ab", "sars2-ag", None]


async def test_a_period_that_is_none_and_a_role_that_may_not_are_refused(ward: Ward) -> None:
    viewer = await person(ward)
    for period in (Period(TODAY, TODAY - timedelta(days=1)), Period(TODAY - timedelta(days=800), TODAY)):
        with pytest.raises(PeriodRefused):
            await read(ward, viewer, period)
    with pytest.raises(NotAllowed):
        await read(ward, await person(ward, "operator"))
