"""A small fixed part of the campaign against the real hub, the real server and PostgreSQL; `make soak` runs it all."""

import pytest

from emulator.faults import campaign
from emulator.faults.programme import shared

# What costs a restart of the server or a minute of waiting is left to the soak.
CHOSEN = (
    "hub/killed",
    "hub/network",
    "server/killed",
    "server/together",
    "hostile/records",
    "hostile/requests",
)


async def test_nothing_is_lost_doubled_or_unseen_in_a_few_trials_of_the_whole_path() -> None:
    told: list[str] = []
    async with shared(told.append):
        for name in CHOSEN:
            klass, part = name.split("/")
            [(_, one)] = campaign.chosen(klass, part)
            row = await campaign.run_part(klass, one, range(1, one.few + 1), told.append)
            assert row.passed, (row.as_json(), told)
            assert row.tally.faults > 0, f"{name} injected no fault"
            assert row.tally.issued > 0


@pytest.mark.parametrize("klass", ["hub", "server", "hostile"])
def test_the_soak_runs_more_of_every_part_than_this(klass: str) -> None:
    for part in campaign.parts(klass):
        assert part.seeds > part.few >= 1
