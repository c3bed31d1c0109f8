"""How long the reader's analyses take under MicroPython (the unix port), beside a fixed loop in the same process.

The loop is 10,000 turns of float arithmetic and array access, what the analyses are made of, so that the ratio says how
many such loops an analysis costs on any machine; on the board it is the ratio, not the milliseconds, that carries over.
The limits are three times what the analyses cost when they were set: they catch an analysis that has become slow.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from reader import wire

from .. import image
from ..physics import Line, Strip, Tube
from ..power import ReaderError
from ..process import LAUNCH, module_folder
from ..scenario import CONTROL_LINE_MM, TEST_LINE_MM
from ..wiring import FIRMWARE
from .figure import Figure, Say

TURNS = 15
_STRIP_LOOPS, _CURVE_LOOPS = 34.0, 2.5
_WHITE, _DARK = 55_400, 400
_SAMPLES, _STEP_S = 270, 10
_HEAP = "256K"
_PROGRAM = """
import gc, json, time
from array import array
from reader import amplification, packs, strip
job = json.loads({job!r})
pixels = array("H", job["pixels"])
well = array("H", job["well"])
assay = packs.newest("sars2-ag")
def loop():
    a = array("f", bytes(4 * 100))
    x = 0.5
    for turn in range(100):
        for i in range(100):
            x = x * 0.999 + a[i] * 0.001 + 0.25
            a[i] = x
    return x
def of_strip():
    return strip.analyse(pixels, job["white"], job["dark"], assay, 125).outcome
def of_curve():
    curve = amplification.Curve()
    for i in range(len(well)):
        curve.add((i + 1) * job["step_ms"], well[i])
    return curve.result().outcome
times = {{"loop": [], "strip": [], "curve": []}}
said = {{}}
for turn in range({turns}):
    for name, work in (("loop", loop), ("strip", of_strip), ("curve", of_curve)):
        gc.collect()
        began = time.ticks_us()
        said[name] = work()
        times[name].append(time.ticks_diff(time.ticks_us(), began))
print(json.dumps([times, said]))
"""


async def measure(say: Say, full: bool = False, turns: int = TURNS) -> list[Figure]:
    """Medians of `turns` analyses."""
    say(f"analyses a strip and a curve {turns} times")
    times, said = await asyncio.to_thread(_run, turns)
    if (said["strip"], said["curve"]) != (wire.OUTCOME_POSITIVE, wire.OUTCOME_POSITIVE):
        raise ReaderError(f"The analyses did not say positive but {said}.")
    loop = _median(times["loop"])
    return [
        Figure(
            "analysis.strip", "one strip analysed, beside the fixed loop", _median(times["strip"]), "ms",
            _STRIP_LOOPS * loop, "lower", rival=loop,
        ),
        Figure(
            "analysis.curve", f"one curve of {_SAMPLES} samples analysed, beside the fixed loop",
            _median(times["curve"]), "ms", _CURVE_LOOPS * loop, "lower", rival=loop,
        ),
    ]  # fmt: skip


def _median(us: list[int]) -> float:
    return sorted(us)[len(us) // 2] / 1000


def _run(turns: int) -> tuple[dict[str, list[int]], dict[str, int]]:
    profile = Strip(lines=[Line(TEST_LINE_MM, 0.25), Line(CONTROL_LINE_MM, 0.45)], seed=5).reflectance()
    job = {
        "pixels": [round(_DARK + value * (_WHITE - _DARK)) for value in profile],
        "white": _WHITE,
        "dark": _DARK,
        "well": _well(),
        "step_ms": _STEP_S * 1000,
    }
    with tempfile.TemporaryDirectory(prefix="doorstep-bench-") as folder:
        program = Path(folder) / "analysis.py"
        program.write_text(_PROGRAM.format(job=json.dumps(job), turns=turns), encoding="utf-8")
        setup = f"import sys;sys.path[:]=[{str(image.build(FIRMWARE))!r},'.frozen'];exec(open({str(program)!r}).read())"
        done = subprocess.run(
            [sys.executable, "-S", "-c", LAUNCH, module_folder(), "-X", f"heapsize={_HEAP}", "-c", setup],
            capture_output=True,
            text=True,
            timeout=300,
        )
    if done.returncode:
        raise ReaderError(f"MicroPython did not analyse: {done.stderr or done.stdout}")
    times, said = json.loads(done.stdout.strip().splitlines()[-1])
    return times, said


def _well() -> list[int]:
    tube = Tube(time_to_positive_min=15.0)
    values: list[int] = []
    for at in range(_SAMPLES):
        tube.hot_s = at * _STEP_S
        # A fixed unevenness of a few counts stands for the sensor's noise.
        values.append(round(tube.fluorescence() * 2000) + at * 7919 % 11)
    return values
