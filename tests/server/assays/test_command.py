"""`doorstep server assay`, as a person types it: real processes on an embedded database of their own."""

import subprocess
from pathlib import Path

import pytest

from reader import packfile
from tests.server.test_command import doorstep, environment, said

__all__ = ["environment"]  # the fixture


def written(folder: Path, *changes: tuple[str, str]) -> str:
    text = (packfile.BUILT_IN / "crp.toml").read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = folder / "crp.toml"
    file.write_text(text, "utf-8")
    return str(file)


def test_a_pack_is_loaded_listed_and_sent(environment: dict[str, str], tmp_path: Path) -> None:
    said(doorstep(environment, "create-organisation", "--name", "Assays", "--json"))
    here = ("--organisation", "Assays")
    reader = said(doorstep(environment, "enrol-reader", *here, "--site", "Clinic", "--name", "R1", "--json"))
    file = written(tmp_path, ("version = 1", "version = 2"), ("illustrative = true", "illustrative = false"))
    made = said(doorstep(environment, "assay", "load", file, "--json"))
    assert (made["id"], made["version"], made["added"]) == ("crp", 2, True)
    again = doorstep(environment, "assay", "load", file)
    assert (again.returncode, "was there already" in again.stdout) == (0, True)

    other = written(tmp_path, ("version = 1", "version = 2"), ("decision = 20", "decision = 25"))
    refused = doorstep(environment, "assay", "load", other)
    assert (refused.returncode, "give the new definition a higher one" in refused.stderr) == (2, True)

    sent = said(doorstep(environment, "assay", "send", "crp", "--all", "--json"))
    assert (sent["version"], [one["reader_id"] for one in sent["readers"]]) == (2, [reader["reader_id"]])
    listed = said(doorstep(environment, "assay", "list", "--json"))
    known = {(one["id"], one["version"]): one for one in listed["assays"]}
    assert known["crp", 2]["origin"] == "loaded"
    assert known["crp", 1]["origin"] == "release"
    assert known["fit", 1]["codes"] == [{"analyte": "Haemoglobin", "loinc": None}]
    assert [(one["assay"], one["sent"], one["state"]) for one in listed["readers"]] == [("crp", 2, "waiting")]
    shown = doorstep(environment, "assay", "list")
    assert shown.returncode == 0
    assert "no code" in "".join(shown.stdout.split("\n")).replace("│", " ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("send", "crp"), "Say which readers"),
        (("send", "crp", "--all", "--reader", "00" * 8), "Say which readers"),
        (("send", "crp", "--reader", "xyz"), "is not the id of a reader"),
        (("load", "nothing-here.toml"), "nothing-here.toml cannot be read"),
    ],
)
def test_a_wrong_argument_gets_a_sentence_and_exit_2(
    environment: dict[str, str], arguments: tuple[str, ...], sentence: str
) -> None:
    done: subprocess.CompletedProcess[str] = doorstep(environment, "assay", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr


def test_a_pack_that_may_not_be_used_is_refused_by_its_field(environment: dict[str, str], tmp_path: Path) -> None:
    done = doorstep(environment, "assay", "load", written(tmp_path, ("grey = 18", "grey = 21")))
    assert done.returncode == 2
    assert "grey_milli: not below decision_milli" in done.stderr
    assert "Correct it and load it again." in done.stderr
