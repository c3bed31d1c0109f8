"""`doorstep server release` and `rollout`, as a person types them."""

import json
from pathlib import Path

import pytest

from tests.server.test_command import doorstep, environment, said
from tests.server.updates.images import FILES, image

__all__ = ["environment"]  # the fixture


def test_a_release_is_added_rolled_out_paused_resumed_and_stopped(environment: dict[str, str], tmp_path: Path) -> None:
    said(doorstep(environment, "create-organisation", "--name", "Kisumu", "--json"))
    reader = said(
        doorstep(environment, "enrol-reader", "--organisation", "Kisumu", "--site", "Clinic", "--name", "R1", "--json")
    )
    file, bill = tmp_path / "image", tmp_path / "sbom.json"
    file.write_bytes(image())
    bill.write_text(json.dumps({"bomFormat": "CycloneDX"}))
    added = said(doorstep(environment, "release", "add", str(file), "--sbom", str(bill), "--json"))
    assert (added["release"], added["sbom"], added["added"]) == (2, True, True)
    assert said(doorstep(environment, "release", "add", str(file), "--json"))["added"] is False
    file.write_bytes(image({**FILES, "reader/app.py": b"other"}))
    refused = doorstep(environment, "release", "add", str(file))
    assert (refused.returncode, "A release is never changed" in refused.stderr) == (2, True)
    [listed] = json.loads(doorstep(environment, "release", "list", "--json").stdout)["releases"]
    assert listed["image_id"] == added["image_id"]
    assert doorstep(environment, "release", "list").returncode == 0

    started = said(doorstep(environment, "rollout", "start", "2", "--wave", "50", "--wave", "100", "--json"))
    assert started["state"] == "running"
    assert started["readers"] == [
        {
            "reader_id": reader["reader_id"], "name": "R1", "wave": 1, "stage": "sent", "detail": "",
            "changed_at": started["readers"][0]["changed_at"],
        }
    ]  # fmt: skip
    twice = doorstep(environment, "rollout", "start", "2")
    assert (twice.returncode, "Stop the one that is under way" in twice.stderr) == (2, True)
    assert said(doorstep(environment, "rollout", "pause", "--why", "Wait", "--json"))["state"] == "paused"
    assert said(doorstep(environment, "rollout", "resume", "--json"))["state"] == "running"
    stopped = said(doorstep(environment, "rollout", "stop", "--why", "It gets warm", "--json"))
    assert (stopped["state"], stopped["why"]) == ("stopped", "It gets warm")
    shown = doorstep(environment, "rollout", "status")
    assert (shown.returncode, "It gets warm" in shown.stdout) == (0, True)
    none = doorstep(environment, "rollout", "stop", "--why", "Again")
    assert (none.returncode, "No rollout is under way" in none.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("release", "add", "nothing-here"), "nothing-here cannot be read"),
        (("release", "add", "/dev/null"), "Line 1 of its manifest"),
        (("rollout", "start", "77"), "There is no release 77"),
        (("rollout", "pause", "xyz", "--why", "Wait"), "is not the id of a rollout"),
    ],
)
def test_a_wrong_argument_gets_a_sentence_and_exit_2(
    environment: dict[str, str], arguments: tuple[str, ...], sentence: str
) -> None:
    doorstep(environment, "create-organisation", "--name", "Kisumu")
    done = doorstep(environment, *arguments)
    assert (done.returncode, sentence in done.stderr) == (2, True), done.stderr
