"""The benchmarks' structure, and tiny runs of those that stand on others' work; never a judgement of how fast."""

import json
import subprocess
import sys

import cbor2
import cwt
import pytest

from emulator.benchmark import BENCHMARKS
from emulator.benchmarks import accept, air, analysis, memory, pages
from emulator.benchmarks.figure import Figure
from emulator.benchmarks.sealing import Sealer
from reader import hkdf, wire

COMMAND = [sys.executable, "-c", "from hub.command import main; main()"]
KEYS = {"value", "unit", "limit", "ratio", "target", "better", "rival", "kept", "what"}


def quiet(line: str) -> None:
    assert line


def checked(figures: list[Figure]) -> dict[str, Figure]:
    for figure in figures:
        told = figure.as_json()
        assert told.keys() == KEYS
        assert told["value"] > 0
        assert told["limit"] > 0
        json.dumps(told)
    return {figure.name: figure for figure in figures}


@pytest.mark.parametrize(
    ("figure", "ratio", "target", "kept"),
    [
        (Figure("a", "", 5.0, "s", 10.0, "lower"), 0.5, 1.0, True),
        (Figure("a", "", 15.0, "s", 10.0, "lower"), 1.5, 1.0, False),
        (Figure("a", "", 30.0, "/s", 25.0, "higher", rival=100.0), 0.3, 0.25, True),
        (Figure("a", "", 20.0, "/s", 25.0, "higher", rival=100.0), 0.2, 0.25, False),
    ],
)
def test_a_ratio_is_against_the_rival_or_else_the_limit(figure: Figure, ratio: float, target: float, kept: bool):
    assert (figure.ratio, figure.target, figure.kept) == (ratio, target, kept)


def test_an_unknown_name_gets_the_list_and_exit_2():
    said = subprocess.run([*COMMAND, "bench", "speed"], capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode == 2
    assert "There is no benchmark 'speed'." in said.stderr
    assert all(name in said.stderr for name in BENCHMARKS)


def test_json_is_one_object_of_figures():
    said = subprocess.run(
        [*COMMAND, "bench", "analysis", "--json"], capture_output=True, text=True, timeout=120, check=False
    )
    assert said.returncode == 0, said.stderr
    told = json.loads(said.stdout)
    assert told["problems"] == {}
    assert set(told["figures"]) == {"analysis.strip", "analysis.curve"}
    assert all(figure.keys() == KEYS for figure in told["figures"].values())


async def test_an_analysis_is_measured_beside_the_loop():
    figures = checked(await analysis.measure(quiet, turns=2))
    assert all(figure.rival for figure in figures.values())


def test_a_record_for_the_server_opens_by_another_implementation_and_is_about_a_kilobyte():
    reader_id, key = b"reader-1", bytes(range(32))
    sealer = Sealer(reader_id, key)
    first, second = sealer.result(), sealer.result()
    derived = hkdf.hkdf(key, reader_id, wire.INFO_RECORD)
    opener = cwt.COSEKey.from_symmetric_key(derived, alg="AES-CCM-16-128-256", kid=reader_id)
    _, _, plaintext = cwt.COSE.new().decode_with_headers(second, opener)
    body = cbor2.loads(plaintext)[wire.REC_BODY]
    assert body[wire.RES_OUTCOME] in (wire.OUTCOME_POSITIVE, wire.OUTCOME_NEGATIVE)
    assert 800 < len(first) < 1_200


async def test_a_tiny_run_of_accept_has_its_figures():
    figures = await accept.measure_at(quiet, (1, 2), base=8, batches=1, batch=4, singles=1)
    found = checked(figures)
    assert {"accept", "accept.one", "accept.2x", "accept.one.2x", "accept.busy", "accept.one.busy"} <= set(found)
    assert found["accept"].rival


async def test_a_tiny_collection_costs_more_octets_than_it_carries():
    found = checked(await air.measure(quiet, records=12))
    assert found["air"].value > 1.0
    assert found["air.goodput"].ratio > 0.0


async def test_an_amplification_fits_into_the_heap_while_a_thousand_records_are_held():
    figure = await memory.of_full_journal(quiet, records=1_000)
    assert figure.ratio < 1.0


async def test_a_tiny_run_of_pages_has_its_figures():
    figures = await pages.measure_at(quiet, 40, 60, turns=1, turn_s=3.0)
    found = checked(figures)
    assert set(found) == {f"pages.{kind}{end}" for kind in ("worklist", "result") for end in ("", ".growth")}
    assert found["pages.worklist.growth"].rival
