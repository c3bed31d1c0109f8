"""A new version of an assay goes from a file on the server to a reader, which judges by it; the server does so too."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from emulator.path import ORGANISATION
from reader import packfile
from tests.system.village import Village, come_home, run, strip, whole

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Where the release says positive from 1.6 % on, the new version says so from 30 %.
CHANGES = (
    ("version = 1", "version = 2"),
    ("illustrative = true", "illustrative = false"),
    ("grey_ppm = [7843]", "grey_ppm = [250000]"),
    ("positive_ppm = [15686]", "positive_ppm = [300000]"),
)


def second_version(folder: Path) -> Path:
    text = (packfile.BUILT_IN / "sars2-ag.toml").read_text("utf-8")
    for old, new in CHANGES:
        assert text.count(f"\n{old}\n") == 1, old
        text = text.replace(f"\n{old}\n", f"\n{new}\n")
    file = folder / "sars2-ag-2.toml"
    file.write_text(text, "utf-8")
    return file


async def held(village: Village, reader_id: str) -> dict[str, Any]:
    listed = json.loads(await village.path.command("server", "assay", "list", "--organisation", ORGANISATION, "--json"))
    (found,) = [one for one in listed["readers"] if one["reader_id"] == reader_id]
    return found


async def recomputed(village: Village, specimens: list[str]) -> dict[str, dict[str, Any]]:
    async with asyncio.timeout(120):
        while True:
            results = {result["specimen"]: result for result in await village.results()}
            if all(results.get(specimen, {}).get("recomputation") for specimen in specimens):
                return results
            await asyncio.sleep(0.5)


async def test_a_pack_that_is_loaded_goes_by_hub_to_the_reader_and_both_judge_by_it(
    village: Village, tmp_path: Path
) -> None:
    enrolled = await village.reader("Assays")
    before = strip("DS-ASY-01", "positive", test=0.15)
    after = strip("DS-ASY-02", "negative", test=0.15)
    enrolled.reader.out_of_range()
    assert (await run(enrolled, before)).outcome == "positive"

    here = ("--organisation", ORGANISATION, "--json")
    loaded = json.loads(await village.path.command("server", "assay", "load", str(second_version(tmp_path)), *here))
    assert (loaded["id"], loaded["version"], loaded["added"]) == ("sars2-ag", 2, True)
    sent = json.loads(
        await village.path.command("server", "assay", "send", "sars2-ag", "--reader", enrolled.reader_id, *here)
    )
    assert [one["reader_id"] for one in sent["readers"]] == [enrolled.reader_id]
    assert (await held(village, enrolled.reader_id))["state"] == "waiting"

    await come_home(enrolled)
    async with asyncio.timeout(240):
        while (found := await held(village, enrolled.reader_id))["state"] != "taken":
            assert found["state"] == "waiting", found
            await asyncio.sleep(0.5)
    assert (found["taken"], found["sent"]) == (2, 2)

    enrolled.reader.out_of_range()
    assert (await run(enrolled, after)).outcome == "negative"
    await come_home(enrolled)
    await whole(village)
    results = await recomputed(village, ["DS-ASY-01", "DS-ASY-02"])
    said = {
        specimen: (one["assay"], one["assay_version"], one["outcome"], one["recomputation"], one["illustrative"])
        for specimen, one in results.items()
    }
    assert said == {
        "DS-ASY-01": ("sars2-ag", 1, "positive", "agrees", True),
        "DS-ASY-02": ("sars2-ag", 2, "negative", "agrees", False),
    }
    assert {one["loinc"] for one in results.values()} == {"94558-4"}
