"""Retention by calls: what is due is looked at first, a run erases that and never more, no token erases a person."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from reader import outcome
from server.accounts.models import Role
from server.accounts.permissions import May
from server.audit.service import Actor
from server.database import tenancy
from server.retention import proposals, service
from server.retention.models import Kind
from tests.server.api.programs import API, Program, code, program
from tests.server.api.test_calls import deliver, pages
from tests.server.api.test_tokens import rows
from tests.server.running import Organisation, Running
from tests.server.test_routes import signed_in


@pytest.fixture
def lead(organisation: Organisation) -> Program:
    return program(organisation, Role.LEAD)


def keep(organisation: Organisation, **months: int | None) -> None:
    """Set rules as a person would on the page."""

    async def work() -> None:
        async with tenancy.transaction(organisation.running.app.state.doorstep.sessions, organisation.id) as session:
            kinds: dict[Kind, int | None] = {Kind(name): number for name, number in months.items()}
            await service.set_rules(session, Actor("command", "test"), organisation.id, kinds)

    organisation.running.call(work())


def age(organisation: Organisation, months: int) -> None:
    """Let the results of the organisation have come so long ago."""
    with psycopg.connect(organisation.running.owner_url) as link:
        link.execute("SET LOCAL session_replication_role = replica")
        link.execute(
            "UPDATE result SET received_at = received_at - make_interval(months => %s) WHERE organisation_id = %s",
            (months, organisation.id),
        )


def proposed(caller: Program) -> dict[str, Any]:
    answer = caller.post("/erasures/preview")
    assert answer.status_code == 200, answer.text
    return answer.json()


def results_of(organisation: Organisation) -> list[str]:
    return [row.specimen for row in rows(organisation, "SELECT specimen FROM result ORDER BY specimen")]


def test_what_a_preview_says_is_erased_once_and_what_somebody_waits_for_stays(
    organisation: Organisation, lead: Program
) -> None:
    deliver(organisation, 3, outcome.NEGATIVE, "Old")
    deliver(organisation, 1, outcome.POSITIVE, "Waits")
    age(organisation, 30)
    deliver(organisation, 2, outcome.NEGATIVE, "New")
    keep(organisation, results=24)
    due = {one["kind"]: one for one in lead.get("/retention/rules").json()["items"]}
    assert (due["results"]["months"], due["results"]["due"]) == (24, {"erased": 3, "held_back": 1})
    assert due["people"] == {"kind": "people", "months": None, "before": None, "due": None}
    preview = proposed(lead)
    assert {one["kind"]: one for one in preview["items"]}["results"]["due"] == {"erased": 3, "held_back": 1}
    assert len(results_of(organisation)) == 6, "a preview erases nothing"
    asked = {"proposal": preview["proposal"]}
    first, again = (lead.post("/erasures", asked, key="e1") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    one = first.json()
    assert first.headers["Location"] == f"{API}/erasures/{one['id']}"
    assert (one["because"], one["results"], one["held_back"], one["by"]) == ("rule", 3, 1, "A lead")
    assert one["finished_at"] is not None
    assert results_of(organisation) == ["New-0", "New-1", "Waits-0"]
    assert lead.get(f"/erasures/{one['id']}").json() == one
    assert [row["id"] for page in pages(lead, "/erasures", limit=1) for row in page] == [one["id"]]


def test_nothing_becomes_due_between_the_preview_and_the_run(organisation: Organisation, lead: Program) -> None:
    deliver(organisation, 1, outcome.NEGATIVE, "Due")
    age(organisation, 30)
    keep(organisation, results=24)
    preview = proposed(lead)
    deliver(organisation, 1, outcome.NEGATIVE, "Late")
    before = datetime.fromisoformat(preview["items"][0]["before"])
    with psycopg.connect(organisation.running.owner_url) as link:
        link.execute("SET LOCAL session_replication_role = replica")
        moved = "UPDATE result SET received_at = %s WHERE organisation_id = %s AND specimen = 'Late-0'"
        link.execute(moved, (before, organisation.id))
    assert lead.post("/erasures", {"proposal": preview["proposal"]}, key="e2").json()["results"] == 1
    assert results_of(organisation) == ["Late-0"]
    # A preview of now has it.
    assert proposed(lead)["items"][0]["due"] == {"erased": 1, "held_back": 0}


def test_a_proposal_ends_with_its_time_and_with_the_rule_it_was_of(
    organisation: Organisation, lead: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = lead.post("/erasures/preview")
    assert (none.status_code, code(none)) == (409, "not-erased")
    keep(organisation, results=24)
    changed = {"proposal": proposed(lead)["proposal"]}
    keep(organisation, results=12)
    monkeypatch.setattr(proposals, "LASTS", -proposals.LASTS)
    late = {"proposal": proposed(lead)["proposal"]}
    for asked in (changed, late):
        refused = lead.post("/erasures", asked, key=str(uuid4()))
        assert (refused.status_code, code(refused)) == (409, "proposal-ended")
    assert lead.get("/erasures").json()["items"] == []


def test_a_proposal_of_another_organisation_or_of_one_s_own_making_is_refused(
    running: Running, organisation: Organisation, lead: Program
) -> None:
    stranger = running.organisation()
    for one in (organisation, stranger):
        keep(one, results=24)
    theirs = proposed(program(stranger, Role.LEAD))["proposal"]
    for made_up in (theirs, proposed(lead)["proposal"][:-2], "A" * 80):
        refused = lead.post("/erasures", {"proposal": made_up}, key=str(uuid4()))
        assert (refused.status_code, code(refused)) == (422, "proposal-refused")


def test_a_certificate_by_call_is_the_page_s_and_erases_the_same_after_a_restore(
    organisation: Organisation, lead: Program
) -> None:
    deliver(organisation, 2, outcome.NEGATIVE)
    age(organisation, 30)
    keep(organisation, results=24)
    made = lead.post("/erasures", {"proposal": proposed(lead)["proposal"]}, key="e3").json()
    auditor = program(organisation, Role.AUDITOR)
    answer = auditor.get(f"/erasures/{made['id']}/certificate")
    assert answer.status_code == 200, answer.text
    client, _ = signed_in(organisation, Role.AUDITOR)
    assert answer.json() == client.get(f"/retention/{made['id']}/certificate.json").json()
    assert (answer.json()["digest"], answer.json()["whole"]) == (made["digest"], True)
    assert [record["number"] for record in answer.json()["records"]] == [1, 2]

    async def again() -> str:
        async with tenancy.transaction(organisation.running.app.state.doorstep.sessions, organisation.id) as session:
            kept = json.loads(answer.text)
            begun = await service.begin_again(session, Actor("command", "test"), organisation.id, kept)
            return begun.because

    assert organisation.running.call(again()) == "again"
    under_way, done = lead.get("/erasures").json()["items"]
    assert (under_way["finished_at"], under_way["held_back"], under_way["digest"]) == (None, None, None)
    assert done["id"] == made["id"]
    refused = auditor.get(f"/erasures/{under_way['id']}/certificate")
    assert (refused.status_code, code(refused)) == (409, "not-erased")


def test_erasures_go_on_page_by_page_and_are_nobody_else_s(
    running: Running, organisation: Organisation, lead: Program
) -> None:
    keep(organisation, results=24)
    made = [lead.post("/erasures", {"proposal": proposed(lead)["proposal"]}, key=f"p{n}").json() for n in range(3)]
    listed = pages(lead, "/erasures", limit=2)
    assert [[row["id"] for row in page] for page in listed] == [[made[2]["id"], made[1]["id"]], [made[0]["id"]]]
    stranger = program(running.organisation(), Role.LEAD)
    assert stranger.get("/erasures").json()["items"] == []
    for path in ("", "/certificate"):
        refused = stranger.get(f"/erasures/{made[0]['id']}{path}")
        assert (refused.status_code, code(refused)) == (404, "not-found")


def test_no_token_erases_a_person_and_a_session_does_once_nobody_waits_for_them(
    organisation: Organisation, lead: Program
) -> None:
    deliver(organisation, 1)
    patient = lead.post("/patients", {"given": "Ada", "family": "Person"}, key="a").json()["id"]
    linking = {"specimen": "S-0", "patient": patient, "compared": ["name", "phone"]}
    assert lead.post("/specimens/link", linking).status_code == 200
    path, asked = f"/patients/{patient}/erasure", {"because": "asked"}
    found = lead.get(path).json()
    assert {name: found[name] for name in ("patient", "results", "specimens", "open_follow_ups")} == {
        "patient": patient, "results": 1, "specimens": 1, "open_follow_ups": 1,
    }  # fmt: skip
    assert found["why_not"] == "One follow-up is open: the person is waited for. Record its outcome first."
    by_token = lead.post(path, asked, key="b")
    assert (by_token.status_code, code(by_token)) == (403, "session-needed")
    client, csrf = signed_in(organisation, Role.LEAD)

    def erase(key: str) -> httpx.Response:
        return client.post(API + path, json=asked, headers={"X-CSRF-Token": csrf, "Idempotency-Key": key})

    waited_for = erase("c")
    assert (waited_for.status_code, code(waited_for)) == (409, "not-erased")
    [one] = lead.get("/follow-ups", view="team").json()["items"]
    version = one["follow_up"]["version"]
    for step in ({"act": "acknowledge"}, {"act": "record", "ending": "treated", "note": "Seen"}):
        version = lead.post(f"/follow-ups/{one['id']}/acts", {**step, "version": version}).json()["version"]
    assert lead.get(path).json()["why_not"] is None
    first, again = erase("d"), erase("d")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert (first.json()["because"], first.json()["people"], first.json()["results"]) == ("asked", 1, 1)
    assert first.headers["Location"] == f"{API}/erasures/{first.json()['id']}"
    assert lead.get(f"/patients/{patient}").status_code == 404
    gone = erase("e")
    assert (gone.status_code, code(gone)) == (404, "not-found")
    assert lead.get(f"/erasures/{first.json()['id']}/certificate").json()["people"] == [patient]


def test_a_look_at_what_is_due_and_an_erasure_are_in_the_audit_log(organisation: Organisation, lead: Program) -> None:
    keep(organisation, results=24)
    made = lead.post("/erasures", {"proposal": proposed(lead)["proposal"]}, key="e4").json()
    lead.get(f"/erasures/{made['id']}/certificate")
    who = str(lead.account_id)
    found = rows(organisation, "SELECT action FROM audit_entry WHERE actor = :who ORDER BY id", who=who)
    acts = [row.action for row in found if row.action.startswith(("retention", "erasure"))]
    assert acts == ["retention.dry-run", "erasure.begin", "erasure.done", "erasure.certificate"]


def test_a_token_that_only_sees_erasures_begins_none(organisation: Organisation) -> None:
    keep(organisation, results=24)
    seeing = program(organisation, Role.LEAD, [May.SEE_ERASURES])
    assert seeing.get("/retention/rules").status_code == 200
    refused = seeing.post("/erasures/preview")
    assert (refused.status_code, code(refused)) == (403, "not-allowed")


def test_the_last_monthly_look_is_told(organisation: Organisation, lead: Program) -> None:
    assert lead.get("/retention/rules").json()["last_look"] is None
    at = datetime(2026, 8, 1, tzinfo=UTC)
    look = (
        "INSERT INTO retention_look (id, organisation_id, month, made_at, due)"
        """ VALUES (gen_random_uuid(), :here, '2026-08-01', :at, '{"results": {"erased": 4, "held_back": 1}}')"""
    )
    rows(organisation, look, here=organisation.id, at=at)
    told = lead.get("/retention/rules").json()
    assert told["last_look"] == {
        "made_at": "2026-08-01T00:00:00Z",
        "due": {"results": {"erased": 4, "held_back": 1}},
    }
    assert told["monthly"] is False
