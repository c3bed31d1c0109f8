"""`doorstep server retention` and `webhook`, as a person types them: real processes on an embedded database."""

import json
from pathlib import Path

from tests.server.test_command import doorstep, environment, said

__all__ = ["environment"]


def test_rules_are_set_run_and_certified_from_the_command_line(environment: dict[str, str], tmp_path: Path) -> None:
    said(doorstep(environment, "create-organisation", "--name", "Gulu", "--json"))
    assert doorstep(environment, "retention", "run", "--yes").returncode == 2
    kept = said(doorstep(environment, "retention", "rules", "--results", "96", "--people", "120", "--json"))
    assert [(one["kind"], one["months"]) for one in kept["rules"]] == [  # type: ignore[attr-defined]
        ("results", 96), ("people", 120), ("set-aside", None),
    ]  # fmt: skip
    assert kept["monthly"] is False
    assert said(doorstep(environment, "retention", "rules", "--monthly", "--json"))["monthly"] is True
    assert said(doorstep(environment, "retention", "rules", "--json"))["monthly"] is True, "left as it is"
    assert said(doorstep(environment, "retention", "rules", "--no-monthly", "--json"))["monthly"] is False
    assert doorstep(environment, "retention", "rules", "--results", "soon").returncode == 2
    # Nothing is erased without a yes.
    assert doorstep(environment, "retention", "run", typed="n\n").returncode == 1
    made = said(doorstep(environment, "retention", "run", "--yes", "--json"))
    assert (made["results"], made["people_erased"], made["whole"]) == (0, 0, True)
    which = str(made["certificate"])
    shown = doorstep(environment, "retention", "certificate", which)
    assert "It is what was certified" in shown.stdout
    listed = said(doorstep(environment, "retention", "certificates", "--json"))
    assert [one["certificate"] for one in listed["certificates"]] == [which]  # type: ignore[attr-defined]
    file = tmp_path / "certificate.json"
    file.write_text(doorstep(environment, "retention", "certificate", which, "--json").stdout)
    assert said(doorstep(environment, "retention", "again", str(file), "--json"))["because"] == "again"
    file.write_text(json.dumps({**json.loads(file.read_text()), "results": 5}))
    assert doorstep(environment, "retention", "again", str(file)).returncode == 2
    assert doorstep(environment, "retention", "erase", "nobody").returncode == 2

    set_ = said(doorstep(environment, "webhook", "set", "https://alerts.example.org/x", "--json"))
    assert len(str(set_["secret"])) == 44
    assert said(doorstep(environment, "webhook", "show", "--json"))["url"] == "https://alerts.example.org/x"
    refused = doorstep(environment, "webhook", "set", "http://alerts.example.org/x")
    assert (refused.returncode, "https://" in refused.stderr) == (2, True)
    said(doorstep(environment, "webhook", "off", "--json"))
    assert said(doorstep(environment, "webhook", "show", "--json"))["url"] is None
