"""`doorstep emulator` as a person uses it: exit codes, sentences, what is printed, and pictures of the screens."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

COMMAND = [sys.executable, "-c", "from hub.command import main; main()"]
SCENARIO = """
speed = 300
[[reader]]
name = "Village hall"
[[reader.test]]
specimen = "SPC-0001"
operator = "OPKIT1"
cassette = "(01)02000000000015(17)291231(10)LOT1(21)0001"
strip = {{ test = 0.25 }}
expect = {{ outcome = "{outcome}" }}
"""


def doorstep(*arguments: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, check=False
    )


def scenario(folder: Path, outcome: str) -> Path:
    file = folder / f"{outcome}.toml"
    file.write_text(SCENARIO.format(outcome=outcome))
    return file


def test_help_loads_neither_radio_nor_pictures_nor_validation():
    loaded = subprocess.run(
        [sys.executable, "-c", "import emulator.command, emulator.benchmark, sys; print('\\n'.join(sys.modules))"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.splitlines()
    assert not {"bumble", "bleak", "PIL", "pydantic", "asyncio", "psycopg"} & set(loaded)
    said = doorstep("emulator", "--help")
    assert said.returncode == 0
    assert "screens" in said.stdout


def test_a_scenario_is_told_step_by_step_with_its_screens(tmp_path: Path):
    said = doorstep("emulator", "run", scenario(tmp_path, "positive"))
    assert said.returncode == 0, said.stderr
    assert "Village hall    scans SPC-0001" in said.stdout
    assert "│ Keep lid closed. │" in said.stdout
    assert "shows POSITIVE for SPC-0001, as expected" in said.stdout


def test_an_outcome_that_was_not_expected_is_exit_1_and_json_says_which(tmp_path: Path):
    said = doorstep("emulator", "run", scenario(tmp_path, "negative"), "--json")
    assert said.returncode == 1
    told = json.loads(said.stdout)
    (test,) = told["readers"][0]["tests"]
    assert (test["specimen"], test["expected"], test["shown"]) == ("SPC-0001", "negative", "positive")
    assert (test["agrees"], told["agree"]) == (False, False)
    assert "POSITIVE" in test["screen"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("speed = ", "is not TOML"),
        ("[[reader]]\nname = ''\n", "reader.0.name"),
        (SCENARIO.format(outcome="positive").replace("test = 0.25", "test = [0.1, 0.2]"), "test 1 (SPC-0001)"),
        (None, "cannot be read"),
    ],
)
def test_a_scenario_that_cannot_be_used_is_one_sentence_and_exit_2(content: str | None, sentence: str, tmp_path: Path):
    file = tmp_path / "bad.toml"
    if content is not None:
        file.write_text(content)
    said = doorstep("emulator", "run", file)
    assert said.returncode == 2
    assert sentence in said.stderr
    assert "Traceback" not in said.stderr
    assert said.stdout == ""


def test_a_folder_that_cannot_be_written_is_one_sentence_and_exit_2(tmp_path: Path):
    (tmp_path / "file").write_text("")
    said = doorstep("emulator", "screens", "--out", tmp_path / "file" / "deeper")
    assert said.returncode == 2
    assert "cannot be written to" in said.stderr


def test_a_language_without_a_table_is_one_sentence_that_names_those_there_are(tmp_path: Path):
    said = doorstep("emulator", "screens", "--out", tmp_path, "--language", "tlh")
    assert said.returncode == 2
    assert "en, fr" in said.stderr


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_tour_takes_a_picture_of_every_screen(language: str, tmp_path: Path):
    said = doorstep(
        "emulator", "screens", "--out", tmp_path / "out", "--scale", "2", "--language", language, timeout=900
    )
    assert said.returncode == 0, said.stderr
    assert (tmp_path / "out" / f"{language}.png").exists(), "all of them on one sheet"
    pictures = sorted((tmp_path / "out" / language).glob("*.png"))
    names = {picture.stem[3:] for picture in pictures}
    assert {"starting", "idle", "cancel-confirm", "reading", "result-positive", "result-amplification"} <= names
    assert {"refused-used", "control-failed", "control-passed", "power-was-lost", "take-out"} <= names
    seen: set[bytes] = set()
    for picture in pictures:
        with Image.open(picture) as image:
            assert image.size == (256, 128)
            seen.add(image.tobytes())
    assert len(seen) == len(pictures), "two screens that a person must tell apart look the same"
