"""The analysis gives the same answers under MicroPython, and in the 32-bit floats of a board."""

import csv
import json
import math
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reader import amplification, outcome, packfile, strip
from server.accuracy.simulated_curves import FAMILIES
from server.accuracy.simulated_strips import disturbed
from tests.reader.float32_twin import twin

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("DOORSTEP_DATA") or ROOT.parent / "shared" / "data") / "amplification"
ONE = packfile.strip_assay("sars2-ag")

PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
from reader import amplification, assays, gs1, outcome, strip
ONE = assays.decode(open(sys.argv[2], "rb").read())
answers = []
for line in sys.stdin:
    job = json.loads(line)
    if "pixels" in job:
        reading = strip.analyse(job["pixels"], job["white"], job["dark"], ONE)
        lines = [[l.outcome, l.reason, l.position_um, l.signal_ppm, l.se_ppm, l.ratio_ppm] for l in reading.lines]
        answer = [reading.outcome, reading.reason, reading.noise_ppm, reading.shift_um, lines, list(reading.baseline)]
    elif "code" in job:
        try:
            found = gs1.parse(job["code"])
            answer = [found.gtin, found.lot, list(found.expiry or []), found.serial]
        except gs1.Gs1Error as problem:
            answer = problem.code
    else:
        r = amplification.analyse(job["times"], [value / 1024 for value in job["values"]])
        answer = [r.outcome, r.reason, r.final, r.ttp_ms, r.ttp_se_ms, r.snr_milli, r.share_milli, r.steep_milli,
                  r.long_milli, r.stay_milli]
    print(json.dumps(answer))
"""


def strips(seeds: range) -> list[dict]:
    jobs = []
    for seed in seeds:
        chance = random.Random(seed)
        height = chance.choice([0.0, 0.0, 8_000.0, 12_000.0, 16_000.0, 30_000.0, 300_000.0])
        simulated = disturbed(seed, height, chance.choice([500.0, 2000.0, 5000.0, 20_000.0]))
        jobs.append(
            {"pixels": list(simulated.pixels()), "white": simulated.white_counts, "dark": simulated.dark()},
        )
    return jobs


def curves(seeds: range) -> list[dict]:
    jobs = []
    for seed in seeds:
        chance = random.Random(seed)
        count, middle = chance.choice([20, 40, 120, 270, 400]), chance.uniform(0.1, 1.3)
        drift, noise = chance.uniform(-0.3, 0.5), chance.choice([0.002, 0.01, 0.05])
        scale, offset = 10 ** chance.uniform(0, 6), 10 ** chance.uniform(0, 6)
        values = []
        for i in range(count):
            u = i / count
            value = 1 / (1 + math.exp(-(u - middle) / 0.03)) + drift * u + chance.gauss(0, noise)
            values.append(round((offset + scale * value) * 1024))
        jobs.append({"times": [i * 10_000 for i in range(count)], "values": values})
    return jobs


def family_curves(count: int) -> list[dict]:
    jobs = []
    for family in FAMILIES:
        for seed in range(count):
            curve = family.curve(seed)
            values = [value for value in curve.values if not math.isnan(value)]
            span = (max(values) - min(values)) or 1.0
            scaled = [round(value / span * 2**24) for value in values]
            jobs.append({"times": curve.times_ms[: len(values)], "values": scaled})
    return jobs


def measured_curves() -> list[dict]:
    if not DATA.is_dir():
        return []
    jobs = []
    for file in ("C17.csv", "C67.csv", "LAMP.csv", "RAS002.csv"):
        with (DATA / file).open(newline="") as stream:
            columns = list(zip(*list(csv.reader(stream))[1:], strict=True))
        times = [round(float(cell) * 1000) for cell in columns[0]]
        jobs += [{"times": times, "values": [round(float(c) * 1024) for c in column]} for column in columns[1:]]
    return jobs


def codes() -> list[dict]:
    good = ["01020000000000151727123110LOT7\x1d21SER9", "(01)02000000000015(17)270200(10)A(B)C"]
    return [{"code": code} for code in [*good, "0102000000000016", "hello", "", "01020000000000151727133110A", "é" * 9]]


def answers_under(interpreter: str, jobs: list[dict], tmp_path: Path) -> list:
    program = tmp_path / "answers.py"
    program.write_text(PROGRAM)
    pack = tmp_path / "sars2-ag.pack"
    pack.write_bytes(packfile.built_in()["sars2-ag", 1])
    heap = ["-X", "heapsize=2M"] if "micropython" in interpreter else []
    finished = subprocess.run(
        [interpreter, *heap, str(program), str(ROOT / "firmware"), str(pack)],
        input="".join(json.dumps(job) + "\n" for job in jobs),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-2000:] or finished.stdout[-2000:]
    return [json.loads(line) for line in finished.stdout.splitlines()]


def test_micropython_gives_the_very_numbers_that_cpython_gives(tmp_path: Path):
    micropython = shutil.which("micropython", path=str(Path(sys.executable).parent)) or shutil.which("micropython")
    if micropython is None:
        pytest.skip("MicroPython is not installed: run make setup")
    jobs = strips(range(40)) + curves(range(60)) + family_curves(2) + measured_curves() + codes()
    there, here = answers_under(micropython, jobs, tmp_path), answers_under(sys.executable, jobs, tmp_path)
    assert len(there) == len(here) == len(jobs)
    for job, a, b in zip(jobs, there, here, strict=True):
        assert a == b, str(job)[:300]


def test_outcomes_agree_between_the_boards_32_bit_floats_and_64_bit_ones():
    profile32 = twin("reader.profile")
    strip32 = twin("reader.strip", using={"reader.profile": profile32})
    assert strip32.Profile is profile32.Profile
    seen = set()
    for seed, job in enumerate(strips(range(250))):
        wide = strip.analyse(job["pixels"], job["white"], job["dark"], ONE)
        narrow = strip32.analyse(job["pixels"], job["white"], job["dark"], ONE)
        assert (narrow.outcome, narrow.reason) == (wide.outcome, wide.reason), f"seed {seed}"
        for one, other in zip(narrow.lines, wide.lines, strict=True):
            assert abs(one.signal_ppm - other.signal_ppm) < 100, f"seed {seed}"
        seen.add(wide.outcome)
    assert {outcome.POSITIVE, outcome.NEGATIVE, outcome.INDETERMINATE, outcome.INVALID} <= seen

    amplification32 = twin("reader.amplification")
    jobs = curves(range(250)) + family_curves(15) + measured_curves()
    seen = set()
    for number, job in enumerate(jobs):
        values = [value / 1024 for value in job["values"]]
        wide = amplification.analyse(job["times"], values)
        narrow = amplification32.analyse(job["times"], values)
        assert (narrow.outcome, narrow.reason) == (wide.outcome, wide.reason), f"curve {number}"
        if wide.ttp_ms is not None:
            assert abs(narrow.ttp_ms - wide.ttp_ms) <= 0.005 * (job["times"][-1] - job["times"][0]), f"curve {number}"
        seen.add(wide.outcome)
    assert {outcome.POSITIVE, outcome.NEGATIVE, outcome.INDETERMINATE} <= seen
