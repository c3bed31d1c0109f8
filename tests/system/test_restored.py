"""The server goes back to an older backup: hubs learn it from its epoch, and offer again until it is whole."""

import asyncio
import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from emulator.path import ORGANISATION
from tests.system.village import Village, cancel, strip, whole

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def copied(source: Path, target: Path) -> None:
    """A stopped cluster's folder, with its owners and rights."""
    await asyncio.to_thread(subprocess.run, ["cp", "-a", str(source), str(target)], check=True, timeout=60)


async def held(village: Village, reader_id: str) -> int:
    told = json.loads(await village.path.command("custody", "--organisation", ORGANISATION, "--json"))
    (line,) = [line for line in told["readers"] if line["reader_id"] == reader_id]
    return int(line["held"])


async def test_after_an_older_backup_is_restored_the_hub_offers_again_until_the_server_is_whole(
    village: Village,
) -> None:
    path = village.path
    clinic = await village.reader("Clinic")
    await cancel(clinic, strip("DS-OLD-01", "error", "cancelled"))
    before = (await whole(village))[clinic.reader_id]
    cluster = Path(path.place.environment["DOORSTEP_DATA_DIR"]) / "postgresql"
    backup = cluster.with_name("backup")
    await path.server.stop()
    await copied(cluster, backup)

    await village.start_server()
    for number in (2, 3):
        await cancel(clinic, strip(f"DS-OLD-{number:02}", "error", "cancelled"))
    after = (await whole(village))[clinic.reader_id]
    assert after["released"] == after["issued"] >= before["issued"] + 2, "only the hub has them still"

    await path.server.stop()
    shutil.rmtree(cluster)
    backup.rename(cluster)
    # A disaster without a new epoch would be seen by nobody: so it is the first thing that the operator's notes say.
    await path.command("server", "new-epoch", "--why", "restored from the backup of an hour ago", "--json")
    assert await held(village, clinic.reader_id) == before["held"], "the hour is gone from the server"
    await village.start_server()
    deadline = time.monotonic() + 90
    while await held(village, clinic.reader_id) < after["held"]:
        assert time.monotonic() < deadline, "the hub did not offer again what it keeps"
    found = (await whole(village))[clinic.reader_id]
    assert found["held"] == found["issued"] >= after["issued"]
    assert sorted(result["specimen"] for result in await village.results()) == ["DS-OLD-01", "DS-OLD-02", "DS-OLD-03"]
    # And life goes on: the reader takes what the restored server gives it.
    await cancel(clinic, strip("DS-OLD-04", "error", "cancelled"))
    await whole(village)
    assert len(await village.results()) == 4
