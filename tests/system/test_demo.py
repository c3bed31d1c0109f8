"""`doorstep demo --once --json`, as a program runs it: the exact object, and an exit code that can be relied on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

DOORSTEP = [sys.executable, "-c", "from hub.command import main; main()"]
SCENARIO = """
seed = 7
speed = 300
[[reader]]
name = "Hall"
[[reader.test]]
specimen = "DS-DEMO-1"
operator = "OPHALL1"
cassette = "(01)02000000000015(17)291231(10)AG2601(21)0001"
strip = {{ test = 0.30 }}
expect = {{ outcome = "{expected}" }}
[[reader]]
name = "Market"
[[reader.test]]
specimen = "DS-DEMO-2"
cassette = "(01)02000000000015(17)291231(10)AG2601(21)0002"
strip = {{ test = 0.0, control = 0.0 }}
expect = {{ outcome = "invalid", reason = "no-control-line" }}
"""


def demo(folder: Path, expected: str) -> "subprocess.Popen[str]":
    """Start the demonstration with a small scenario; no measurement by others is at hand."""
    scenario = folder / f"{expected}.toml"
    scenario.write_text(SCENARIO.format(expected=expected))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DOORSTEP_")}
    cache = os.environ.get("DOORSTEP_CACHE")
    return subprocess.Popen(
        [*DOORSTEP, "demo", "--once", "--json", "--scenario", str(scenario)],
        env={**kept, "DOORSTEP_DATA": str(folder / "absent"), **({"DOORSTEP_CACHE": cache} if cache else {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def test_it_prints_one_object_and_fails_only_when_an_outcome_is_not_the_expected_one(tmp_path: Path) -> None:
    began = time.monotonic()
    runs = {expected: demo(tmp_path, expected) for expected in ("positive", "negative")}
    try:
        ended = {expected: (*run.communicate(timeout=240), run.returncode) for expected, run in runs.items()}
    finally:
        for run in runs.values():
            if run.poll() is None:
                run.send_signal(signal.SIGINT)  # as Ctrl-C: it takes its server and hub with it
                run.communicate(timeout=60)
    printed, told, code = ended["positive"]
    assert code == 0, told
    assert len(printed.splitlines()) == 1
    said = json.loads(printed)
    assert list(said) == ["readers", "results", "seconds"]
    assert len(said["readers"]) == 2
    for reader in said["readers"]:
        assert list(reader) == ["id", "issued", "stored", "held", "released"]
        assert len(bytes.fromhex(reader["id"])) == 8
        assert reader["issued"] == reader["stored"] == reader["held"] == reader["released"] >= 2
    positive, invalid = said["results"]
    value = positive.pop("value")
    assert positive == {"specimen": "DS-DEMO-1", "assay": "sars2-ag", "outcome": "positive", "reason": "none"}
    assert 200_000 < value < 400_000, "about the darkening of the strip's line, in millionths"
    assert list(invalid) == ["specimen", "assay", "outcome", "reason", "value"]
    assert (invalid["outcome"], invalid["reason"]) == ("invalid", "no-control-line")
    assert 0 < said["seconds"] <= time.monotonic() - began
    for words in ("Clinician's page", "Sign in with", "Password", "POSITIVE", "holds the receipt"):
        assert words in told

    printed, told, code = ended["negative"]
    assert code == 1
    assert json.loads(printed)["results"][0]["outcome"] == "positive", "what came is told as it came"
    assert "a result is not the expected one" in told
    assert "Traceback" not in told
