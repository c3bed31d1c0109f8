"""A result is corrected, withdrawn and restored by calls: version on version, once under a key, by its own lead."""

from typing import Any

import pytest

from server.accounts.models import Role
from tests.server.api.programs import Program, code, program
from tests.server.api.test_calls import deliver
from tests.server.api.test_tokens import rows
from tests.server.running import Organisation, Running


@pytest.fixture
def lead(organisation: Organisation) -> Program:
    return program(organisation, Role.LEAD)


def test_a_result_is_corrected_withdrawn_and_restored_by_calls(organisation: Organisation, lead: Program) -> None:
    deliver(organisation, 1)
    [one] = lead.get("/results").json()["items"]
    path = f"/results/{one['id']}/corrections"
    assert lead.get(path).json() == {"items": [], "whole": True}
    asked = {"version": 0, "kind": "corrected", "outcome": "negative", "why": " Labels were swapped "}
    first, again = (lead.post(path, asked, key="c1") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    made = first.json()
    assert (made["version"], made["kind"], made["outcome"]) == (1, "corrected", "negative")
    assert (made["why"], made["by"]["id"]) == ("Labels were swapped", str(lead.account_id))
    whole = lead.get(f"/results/{one['id']}").json()
    assert (whole["outcome"], whole["afterwards"]) == ("positive", {"kind": "corrected", "outcome": "negative"})
    assert whole["follow_up"]["events"][-1]["act"] == "reopen"
    # The key answers the first act also when others came after it.
    assert lead.post(path, {"version": 1, "kind": "withdrawn", "why": "The strip was out of date"}).status_code == 201
    assert lead.post(path, asked, key="c1").json() == made
    restored = lead.post(path, {"version": 2, "kind": "restored", "why": "It was in date after all"}).json()
    history = lead.get(path).json()
    assert [row["kind"] for row in history["items"]] == ["corrected", "withdrawn", "restored"]
    assert (history["items"][-1], history["whole"]) == (restored, True)
    assert [row["previous"] for row in history["items"]][1:] == [row["hash"] for row in history["items"]][:-1]
    assert lead.get(f"/results/{one['id']}").json()["afterwards"] is None
    found = rows(organisation, "SELECT action FROM audit_entry WHERE subject = :id", id=one["id"])
    assert {"result.correct", "result.withdraw", "result.restore", "result.read"} <= {row.action for row in found}


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({"version": 1, "kind": "withdrawn", "why": "Late"}, 409, "corrected-meanwhile"),
        ({"version": 0, "kind": "corrected", "outcome": "positive", "why": "It is so"}, 422, "correction-refused"),
        ({"version": 0, "kind": "corrected", "why": "No outcome"}, 422, "correction-refused"),
        ({"version": 0, "kind": "withdrawn", "outcome": "negative", "why": "Both"}, 422, "correction-refused"),
        ({"version": 0, "kind": "restored", "why": "Nothing to restore"}, 422, "correction-refused"),
        ({"version": 0, "kind": "withdrawn", "why": "  "}, 422, "correction-refused"),
        ({"version": 0, "kind": "corrected", "outcome": "error", "why": "A reader's word"}, 422, "not-valid"),
        ({"version": 0, "kind": "withdrawn"}, 422, "not-valid"),
    ],
)
def test_what_is_no_correction_is_refused_and_changes_nothing(
    organisation: Organisation, lead: Program, asked: dict[str, Any], status: int, said: str
) -> None:
    deliver(organisation, 1)
    [one] = lead.get("/results").json()["items"]
    path = f"/results/{one['id']}/corrections"
    refused = lead.post(path, asked, key="c2")
    assert (refused.status_code, code(refused)) == (status, said)
    assert lead.get(path).json()["items"] == []
    assert lead.post(path, {"version": 0, "kind": "withdrawn", "why": "Right"}, key="c2").status_code == 201


def test_a_stranger_s_result_is_neither_corrected_nor_seen_to_be(
    running: Running, organisation: Organisation, lead: Program
) -> None:
    deliver(organisation, 1)
    [one] = lead.get("/results").json()["items"]
    stranger = program(running.organisation(), Role.LEAD)
    path = f"/results/{one['id']}/corrections"
    assert stranger.get(path).status_code == 404
    refused = stranger.post(path, {"version": 0, "kind": "withdrawn", "why": "Mischief"})
    assert (refused.status_code, code(refused)) == (404, "not-found")
    assert lead.get(path).json()["items"] == []
