"""Negatives are acknowledged together; whatever anything speaks against is not."""

import asyncio
from uuid import UUID

import pytest

from reader import outcome
from server.accounts.permissions import NotAllowed
from server.accounts.service import Viewer
from server.database import tenancy
from server.recalls.repository import Scope
from server.results import tasks
from server.worklist import acknowledging
from server.worklist.acknowledging import Acknowledged, NothingChosen
from tests.server.conftest import Ward
from tests.server.followup.test_follow_up import arrive, person
from tests.server.recalls.test_recalls import recall


async def acknowledge(ward: Ward, viewer: Viewer, *ids: UUID) -> Acknowledged:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return await acknowledging.acknowledge(session, viewer, ids)


async def analysed(ward: Ward, *ids: UUID, verdict: str = "agrees") -> None:
    """As the server's own analysis would leave them, once it has been, so that it changes nothing afterwards."""
    async with asyncio.timeout(30):
        while await ward.rows("SELECT 1 FROM result WHERE recomputed_at IS NULL"):
            # Those that the server's own work is just at are passed over here.
            await tasks.recompute_for(ward.sessions, ward.keyring, [ward.id])
            await asyncio.sleep(0.05)
    for one in ids:
        await ward.rows(
            "UPDATE result SET recomputation = :verdict, recomputed_at = now() WHERE id = :id RETURNING id",
            id=one, verdict=verdict,
        )  # fmt: skip


async def test_plain_negatives_are_acknowledged_once_by_whoever_was_first(ward: Ward) -> None:
    first, second = await person(ward, name="First"), await person(ward, name="Second")
    ids = [await arrive(ward, outcome.NEGATIVE) for _ in range(2)]
    await analysed(ward, *ids)
    assert len((await acknowledge(ward, first, *ids)).done) == 2
    await acknowledge(ward, second, *ids)
    rows = await ward.rows("SELECT result_id, account_id FROM acknowledgement")
    assert {(row.result_id, row.account_id) for row in rows} == {(one, first.account_id) for one in ids}


async def test_whatever_is_in_doubt_is_refused_and_the_others_are_not(ward: Ward) -> None:
    viewer = await person(ward)
    plain, positive, fresh, differs, failed = [
        await arrive(ward, code, lot=f"L-{index}")
        for index, code in enumerate([outcome.NEGATIVE, outcome.POSITIVE, *[outcome.NEGATIVE] * 3])
    ]
    warm = await arrive(ward, outcome.NEGATIVE, lot="WARM")
    await analysed(ward, plain, positive, warm)
    await analysed(ward, differs, verdict="differs")
    await analysed(ward, failed, verdict="failed")
    await ward.rows("UPDATE result SET recomputation = NULL WHERE id = :id RETURNING id", id=fresh)
    await recall(ward, Scope(lot="WARM"))
    found = await acknowledge(ward, viewer, plain, positive, fresh, differs, failed, warm)
    assert [row.result.id for row in found.done] == [plain]
    why = {row.result.id: sentence for row, sentence in found.refused}
    assert why[positive] == "It is not plainly negative."
    assert why[warm] == "It is recalled."
    assert "not analysed" in why[fresh]
    assert why[differs] == why[failed] == "The server's own analysis did not confirm it."
    assert [row.result_id for row in await ward.rows("SELECT result_id FROM acknowledgement")] == [plain]


async def test_nothing_chosen_too_much_and_a_role_that_may_not_are_refused(ward: Ward) -> None:
    viewer = await person(ward)
    for ids in ([], [UUID(int=one) for one in range(51)]):
        with pytest.raises(NothingChosen):
            await acknowledge(ward, viewer, *ids)
    with pytest.raises(NotAllowed):
        await acknowledge(ward, await person(ward, "auditor"), UUID(int=1))
    assert (await acknowledge(ward, viewer, UUID(int=1))).done == []
