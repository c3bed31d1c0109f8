"""Three readers are updated from far away, the canary first: through server, hub and radio, with a power cut on the
way, while results go on coming home."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from emulator.faults import images
from emulator.path import ORGANISATION
from emulator.wiring import FIRMWARE
from reader import wire
from tests.system.village import SPEED_IN_RANGE, Village, come_home, run, strip, whole

pytestmark = pytest.mark.asyncio(loop_scope="session")

PATIENCE_S = 420
LOOK_S = 2  # between two looks at what the server knows


@pytest_asyncio.fixture(loop_scope="session")
async def apart(seed: int) -> AsyncIterator[Village]:
    """A village of its own: a rollout is for every reader of an organisation."""
    with tempfile.TemporaryDirectory(prefix="doorstep-") as folder:
        async with Village(Path(folder), seed).running() as village:
            yield village
            await village.retire()
            for program in (village.path.server, village.path.hub):
                print(f"The {program.name} said last:\n{program.last_words()}")


async def rollout(village: Village, *arguments: str) -> dict[str, Any]:
    """What `doorstep server rollout` says."""
    said = await village.path.command("server", "rollout", *arguments, "--organisation", ORGANISATION, "--json")
    return json.loads(said)


def stages(found: dict[str, Any]) -> dict[str, str]:
    """The stage of each reader, by its name."""
    return {reader["name"]: reader["stage"] for reader in found["readers"]}


async def until(village: Village, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Wait until the server says so of the rollout."""
    found: dict[str, Any] = {}
    try:
        async with asyncio.timeout(PATIENCE_S):
            found = await rollout(village, "status")
            while not wanted(found):
                await asyncio.sleep(LOOK_S)
                found = await rollout(village, "status")
    except TimeoutError:
        consoles = {one.name: list(one.reader.console)[-6:] for one in village.path.readers}
        said = "\n".join(map(str, village.events[-30:]))
        raise AssertionError(f"The rollout did not get there: {found}\n{consoles}\nThe hub:\n{said}") from None
    return found


async def released(village: Village, number: int, version: str) -> int:
    """Build that release and have the server keep it; the image's bytes."""
    folder = village.path.place.folder
    source = images.another(folder / "source", number, version, source=FIRMWARE)
    await village.path.command("release", "build", "--firmware", str(source), "--out", str(folder / "out"))
    (file,) = (folder / "out").iterdir()
    await village.path.command("server", "release", "add", str(file))
    return file.stat().st_size


async def test_three_readers_are_updated_canary_first_and_no_result_waits_for_it(apart: Village) -> None:
    path = apart.path
    readers = [await apart.reader(f"Updated {number}") for number in (1, 2, 3)]
    await whole(apart)
    for one in readers:
        one.reader.speed = SPEED_IN_RANGE
        assert images.runs(one.reader) == (1, 0)
    await released(apart, 2, "0.2.0")
    begun = await rollout(apart, "start", "2", "--canary", "1", "--wave", "100", "--soak-hours", "0")
    assert [wave["readers"] for wave in begun["waves"]] == [1, 2]
    canary = next(
        one for one in readers if begun["readers"][0]["wave"] == 1 and begun["readers"][0]["name"] == one.name
    )
    busy, cut = (one for one in readers if one is not canary)

    # The canary alone: nothing was sent to the others before it is confirmed.
    await until(apart, lambda found: stages(found)[canary.name] == "whole" or found["waves"][0]["confirmed"])
    assert [images.runs(one.reader) for one in (busy, cut)] == [(1, 0), (1, 0)]
    assert all(not images.said(one.reader) for one in (busy, cut))
    await canary.reader.wait_for(lambda: images.runs(canary.reader) == (2, 1), PATIENCE_S, "the canary's switch")
    await until(apart, lambda found: found["waves"][0]["confirmed"] == 1)

    # The wave behind it: one loses its power on the way, the other is out on a round and brings a result.
    busy.reader.out_of_range()
    shown = await run(busy, strip("DS-UPDATE-71", "positive", test=0.3))
    assert shown.outcome == "positive"
    await until(apart, lambda found: stages(found)[cut.name] not in ("waiting", "sent"))
    await cut.reader.cut_power()
    await cut.reader.power_on()
    await come_home(busy)
    busy.reader.speed = SPEED_IN_RANGE
    await until(apart, lambda found: found["state"] == "done")
    for one in readers:
        assert images.runs(one.reader) == (2, 1)
        assert [stage for _, stage, _ in images.said(one.reader)][-1] == wire.UPDATE_CONFIRMED
    for one in readers:
        one.reader.speed = 1.0
    shown = await run(cut, strip("DS-UPDATE-72", "negative"))
    assert shown.outcome == "negative"
    await come_home(cut)
    await whole(apart)
    found = {result["specimen"]: result for result in await path.results()}
    assert (found["DS-UPDATE-71"]["outcome"], found["DS-UPDATE-71"]["firmware"]) == ("positive", "0.1.0")
    assert (found["DS-UPDATE-72"]["outcome"], found["DS-UPDATE-72"]["firmware"]) == ("negative", "0.2.0")
