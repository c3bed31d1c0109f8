"""The loop through the interface: from a positive to its end, a person registered and linked, lists page by page."""

import threading
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from reader import outcome
from server.accounts.models import Role
from server.accounts.permissions import May
from server.accounts.service import Viewer
from server.corrections import service as corrections
from server.corrections.models import Kind
from server.database import tenancy
from tests.server import factory
from tests.server.api.programs import API, Program, code, program
from tests.server.api.test_tokens import rows
from tests.server.running import Organisation, Running


@pytest.fixture
def lead(organisation: Organisation) -> Program:
    return program(organisation, Role.LEAD)


def deliver(organisation: Organisation, count: int, code_: int = outcome.POSITIVE, specimen: str = "S") -> None:
    """So many results with specimens of their own."""
    reader = organisation.reader
    organisation.deliver(
        *(
            factory.result(specimen=f"{specimen}-{n}", outcome_code=code_, serial=f"{n:04}", moment=reader.moment())
            for n in range(count)
        )
    )


def pages(caller: Program, path: str, **query: Any) -> list[list[dict[str, Any]]]:
    """Every page of a list."""
    found: list[list[dict[str, Any]]] = []
    while True:
        answer = caller.get(path, **query)
        assert answer.status_code == 200, answer.text
        found.append(answer.json()["items"])
        if answer.json()["next_cursor"] is None:
            return found
        query["cursor"] = answer.json()["next_cursor"]


def test_a_positive_is_followed_to_its_end_by_calls(organisation: Organisation, lead: Program) -> None:
    deliver(organisation, 1)
    [waiting] = lead.get("/follow-ups", view="team").json()["items"]
    result = waiting["id"]
    version = waiting["follow_up"]["version"]
    acts = [
        {"act": "acknowledge"},
        {"act": "plan", "note": "Call in the morning"},
        {"act": "contact", "note": "Reached by telephone"},
        {"act": "record", "ending": "treated", "note": "Seen the same day"},
        {"act": "close"},
    ]
    for act in acts:
        answer = lead.post(f"/follow-ups/{result}/acts", {**act, "version": version})
        assert answer.status_code == 200, answer.text
        version = answer.json()["version"]
    whole = lead.get(f"/results/{result}").json()
    following = whole["follow_up"]
    assert following["follow_up"]["state"] == "closed"
    assert following["follow_up"]["ending"] == "treated"
    assert [event["act"] for event in following["events"]] == [act["act"] for act in acts]
    assert whole["outcome"] == "positive"
    assert len(whole["trace"]["samples"]) == 128
    assert (whole["custody"]["chain"], whole["custody"]["receipt"]) == ("first", "issued")
    # The assays of the release are illustrative: a program is told so as a person is.
    assert "Illustrative values: not for clinical use" in [one["heading"] for one in whole["cautions"]]
    assert lead.get("/follow-ups", view="team").json()["items"] == []


def test_what_is_read_and_done_by_a_call_is_in_the_audit_log(organisation: Organisation, lead: Program) -> None:
    deliver(organisation, 1)
    [one] = lead.get("/results").json()["items"]
    lead.get(f"/results/{one['id']}")
    lead.get(f"/follow-ups/{one['id']}")
    found = rows(organisation, "SELECT action FROM audit_entry WHERE actor = :who", who=str(lead.account_id))
    assert {"worklist.read", "result.read", "follow-up.read"} <= {row.action for row in found}


def test_two_who_act_on_one_version_are_told_and_a_key_answers_a_retry(
    organisation: Organisation, lead: Program
) -> None:
    deliver(organisation, 1)
    [one] = lead.get("/follow-ups", view="team").json()["items"]
    path, act = f"/follow-ups/{one['id']}/acts", {"act": "acknowledge", "version": one["follow_up"]["version"]}
    first = lead.post(path, act, key="mine")
    again = lead.post(path, act, key="mine")
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()
    late = program(organisation, Role.CLINICIAN).post(path, act)
    assert (late.status_code, code(late)) == (409, "follow-up-moved")
    assert len(lead.get(f"/follow-ups/{one['id']}").json()["events"]) == 1


def test_a_person_is_registered_once_however_often_the_same_is_asked(organisation: Organisation, lead: Program) -> None:
    entry = {"given": "Ada", "family": "Person", "birth_date": "1980-03-07"}
    made: list[httpx.Response] = []
    asking = [threading.Thread(target=lambda: made.append(lead.post("/patients", entry, key="k1"))) for _ in range(5)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(60)
    assert [answer.status_code for answer in made] == [201] * 5
    assert len({answer.json()["id"] for answer in made}) == 1
    assert {answer.headers["Location"] for answer in made} == {f"{API}/patients/{made[0].json()['id']}"}
    assert len(rows(organisation, "SELECT id FROM patient")) == 1
    other = lead.post("/patients", {**entry, "given": "Eve"}, key="k1")
    assert (other.status_code, code(other)) == (422, "idempotency-key-reused")
    # A key is a person's own: another's is another.
    theirs = program(organisation, Role.CLINICIAN).post("/patients", entry, key="k1")
    assert theirs.json()["id"] != made[0].json()["id"]


def test_an_act_that_failed_leaves_its_key_free(organisation: Organisation, lead: Program) -> None:
    refused = lead.post("/patients", {"given": "Ada", "nhs_number": "999 000 0019"}, key="k2")
    assert (refused.status_code, code(refused)) == (422, "nhs-number-refused")
    assert lead.post("/patients", {"given": "Ada", "nhs_number": "999 000 0018"}, key="k2").status_code == 201


def test_without_a_key_nobody_is_registered_and_nothing_recalled(lead: Program) -> None:
    for path, body in (("/patients", {"given": "Ada"}), ("/recalls", {"scope": {"lot": "L"}, "reason": "Wrong"})):
        answer = lead.post(path, body)
        assert (answer.status_code, code(answer)) == (422, "not-valid")
        assert answer.json()["errors"] == [{"where": "header/Idempotency-Key", "why": "Field required"}]


def test_a_specimen_is_linked_found_and_taken_away_and_two_people_are_merged_and_parted(
    organisation: Organisation, lead: Program
) -> None:
    deliver(organisation, 1)
    [unmatched] = lead.get("/specimens/unmatched").json()["items"]
    one = lead.post("/patients", {"given": "Ada", "family": "Person", "birth_date": "1980-03-07"}, key="a").json()
    two = lead.post("/patients", {"given": "Adah", "family": "Person", "birth_date": "1980-03-07"}, key="b").json()
    asked = {"given": "Ada", "family": "Person", "birth_date": "1980-03-07"}
    found = lead.post("/patients/candidates", asked).json()["items"]
    assert found[0]["patient"]["id"] == one["id"]
    alone = {"specimen": unmatched["specimen"], "patient": one["id"], "compared": ["name", "name"]}
    refused = lead.post("/specimens/link", alone)
    assert (refused.status_code, code(refused)) == (422, "one-is-not-enough")
    linked = lead.post("/specimens/link", {**alone, "compared": ["name", "birth-date"]})
    assert linked.status_code == 200
    assert lead.post("/specimens/link", {**alone, "compared": ["name", "birth-date"]}).json() == linked.json()
    assert lead.get("/specimens/unmatched").json()["items"] == []
    assert lead.get(f"/results/{unmatched['id']}").json()["patient"]["id"] == one["id"]
    merged = lead.post(f"/patients/{one['id']}/merge", {"into": two["id"]})
    assert merged.json()["id"] == two["id"]
    assert lead.post("/specimens/find", {"specimen": unmatched["specimen"]}).json()["patient"]["id"] == two["id"]
    assert lead.post(f"/patients/{one['id']}/unmerge").json()["id"] == one["id"]
    whole = lead.get(f"/patients/{one['id']}").json()
    assert [result["id"] for result in whole["results"]] == [unmatched["id"]]
    assert [change["what"] for change in whole["changes"]] == ["registered", "merged", "unmerged"]
    gone = lead.post("/specimens/unlink", {"specimen": unmatched["specimen"], "why": "The label was swapped"}, key="u")
    assert gone.json() == {"id": linked.json()["id"]}
    assert lead.post("/specimens/find", {"specimen": unmatched["specimen"]}).status_code == 404


def test_an_entry_that_moved_on_is_not_overwritten(lead: Program) -> None:
    made = lead.post("/patients", {"given": "Ada"}, key="c").json()
    changed = lead.put(f"/patients/{made['id']}", {"version": 0, "entry": {"given": "Ada", "phone": "07700 900001"}})
    assert changed.json()["version"] == 1
    late = lead.put(f"/patients/{made['id']}", {"version": 0, "entry": {"given": "Eve"}})
    assert (late.status_code, code(late)) == (409, "person-changed")
    assert lead.get(f"/patients/{made['id']}").json()["patient"]["phone"] == "07700 900001"


def test_a_token_narrowed_to_results_reads_no_person(organisation: Organisation, lead: Program) -> None:
    deliver(organisation, 1)
    made = lead.post("/patients", {"given": "Ada", "family": "Person"}, key="d").json()
    lead.post("/specimens/link", {"specimen": "S-0", "patient": made["id"], "compared": ["name", "phone"]})
    [one] = lead.get("/results").json()["items"]
    narrow = program(organisation, Role.LEAD, [May.READ_RESULTS]).get(f"/results/{one['id']}")
    assert narrow.status_code == 200
    assert (narrow.json()["patient"], narrow.json()["earlier"]) == (None, [])
    assert "Ada" not in narrow.text


LISTS = {
    "/results": {},
    "/follow-ups": {"view": "team"},
    "/specimens/unmatched": {},
}


@pytest.mark.parametrize("path", LISTS)
def test_a_list_is_whole_page_by_page_while_results_arrive(
    organisation: Organisation, lead: Program, path: str
) -> None:
    deliver(organisation, 7)
    there = {row["id"] for page in pages(lead, path, **LISTS[path]) for row in page}
    assert len(there) == 7
    first = lead.get(path, limit=3, **LISTS[path]).json()
    deliver(organisation, 4, specimen="New")
    rest = pages(lead, path, limit=3, cursor=first["next_cursor"], **LISTS[path])
    seen = [row["id"] for page in (first["items"], *rest) for row in page]
    assert len(seen) == len(set(seen)), "nothing is shown twice"
    assert there <= set(seen), "nothing that was there is left out"
    assert max(len(page) for page in rest) <= 3


def test_lists_of_custody_audit_and_staff_go_on_page_by_page(running: Running) -> None:
    organisation = running.organisation(readers=5)
    admin, auditor = program(organisation, Role.ADMINISTRATOR), program(organisation, Role.AUDITOR)
    for _ in range(4):
        program(organisation, Role.CLINICIAN)
    organisation.post([b"junk 1", b"junk 2", b"junk 3"])
    made = {"action": "token.make"}
    for caller, path, query, number in (
        (admin, "/custody/readers", {}, 5),
        (admin, "/quarantine", {}, 3),
        (admin, "/staff", {}, 7),
        (auditor, "/audit", made, 6),
    ):
        [whole] = pages(caller, path, limit=100, **query)
        seen = [row for page in pages(caller, path, limit=2, **query) for row in page]
        assert seen == whole, path
        assert len(whole) == number, path
    assert auditor.get("/audit/proof").json()["whole"] is True


def test_recalls_are_made_once_listed_shown_and_lifted(organisation: Organisation, lead: Program) -> None:
    deliver(organisation, 3, outcome.NEGATIVE)
    scope = {"lot": "LOT1", "tested_from": "2020-01-01T00:00:00Z"}
    assert lead.post("/recalls/preview", scope).json()["negative"] == 3
    asked = {"scope": scope, "reason": "The control line fades"}
    made = [lead.post("/recalls", asked, key="r1") for _ in range(2)]
    assert [answer.status_code for answer in made] == [201, 201]
    recall = made[0].json()["recall"]
    assert made[1].json()["recall"]["id"] == recall["id"]
    assert (recall["results"], recall["whole_at"] is not None) == (3, True)
    affected = [row for page in pages(lead, f"/recalls/{recall['id']}/people", limit=2) for row in page]
    assert [row["did"] for row in affected] == ["opened"] * 3
    lead.post("/recalls", {"scope": {"lot": "LOT2"}, "reason": "Another"}, key="r2")
    assert [[one["scope"]["lot"] for one in page] for page in pages(lead, "/recalls", limit=1)] == [["LOT2"], ["LOT1"]]
    lifted = lead.post(f"/recalls/{recall['id']}/lift", {"why": "It was another lot"}, key="l")
    assert lifted.json()["recall"]["why_lifted"] == "It was another lot"
    assert lead.post(f"/recalls/{recall['id']}/lift", {"why": "It was another lot"}, key="l").json() == lifted.json()
    again = lead.post(f"/recalls/{recall['id']}/lift", {"why": "Once more"})
    assert (again.status_code, code(again)) == (409, "recall-already-lifted")


def test_lifting_a_recall_may_close_what_it_alone_opened(organisation: Organisation, lead: Program) -> None:
    deliver(organisation, 2, outcome.NEGATIVE)
    made = lead.post("/recalls", {"scope": {"lot": "LOT1"}, "reason": "The control line fades"}, key="r")
    recall = made.json()["recall"]["id"]
    assert len(lead.get("/follow-ups", view="team").json()["items"]) == 2
    assert lead.post(f"/recalls/{recall}/lift", {"why": "It was another lot", "close": True}).status_code == 200
    assert lead.get("/follow-ups", view="team").json()["items"] == []


def test_a_result_that_was_corrected_or_withdrawn_says_so_in_every_list_and_alone(
    organisation: Organisation, lead: Program
) -> None:
    deliver(organisation, 3)
    ids = {row["specimen"]: row["id"] for row in lead.get("/results").json()["items"]}
    chosen = ("S-0", Kind.CORRECTED, outcome.NEGATIVE), ("S-1", Kind.WITHDRAWN, None)
    for specimen, kind, is_now in chosen:
        organisation.running.call(correct(organisation, lead, UUID(ids[specimen]), kind, is_now))
    told = {
        "S-0": {"kind": "corrected", "outcome": "negative"},
        "S-1": {"kind": "withdrawn", "outcome": None},
        "S-2": None,
    }
    for path, query in (("/results", {}), ("/follow-ups", {"view": "team"}), ("/specimens/unmatched", {})):
        rows_ = lead.get(path, **query).json()["items"]
        assert {row["specimen"]: row["afterwards"] for row in rows_} == told, path
        assert {row["outcome"] for row in rows_} == {"positive"}, "beside it stands what the reader said"
    for specimen, result in ids.items():
        assert lead.get(f"/results/{result}").json()["afterwards"] == told[specimen]


async def correct(organisation: Organisation, lead: Program, result: UUID, kind: Kind, is_now: int | None) -> None:
    viewer = Viewer(lead.account_id, organisation.id, "", "A lead", lead.email, Role.LEAD, "csrf", b"a session")
    async with tenancy.transaction(organisation.running.app.state.doorstep.sessions, organisation.id) as session:
        await corrections.correct(session, viewer, result, 0, kind, is_now, "Labels were swapped")


def test_negatives_are_acknowledged_together_and_a_positive_is_not(organisation: Organisation, lead: Program) -> None:
    deliver(organisation, 1)
    [positive] = lead.get("/results").json()["items"]
    answer = lead.post("/results/acknowledge", {"results": [positive["id"], str(uuid4())]}).json()
    assert answer["acknowledged"] == []
    assert answer["refused"] == [{"result": positive["id"], "why": "It is not plainly negative."}]


def test_rules_and_hours_are_set_on_what_was_seen(lead: Program) -> None:
    rule = {"urgency": "now", "acknowledge_min": 30, "act_min": 120, "working_hours": False, "tries": 4}
    seen = lead.get("/policies/sars2-ag/positive").json()
    assert seen["version"] == 0
    made = lead.put("/policies/sars2-ag/positive", {"version": 0, "rule": rule})
    assert (made.json()["version"], made.json()["rule"]["tries"]) == (1, 4)
    late = lead.put("/policies/sars2-ag/positive", {"version": 0, "rule": rule})
    assert (late.status_code, code(late)) == (409, "policy-moved")
    every = lead.put("/policies/*/error", {"version": 0, "rule": rule})
    assert every.json()["assay"] == "*"
    assert len(lead.get("/policies/sars2-ag/positive/versions").json()["items"]) == 1
    assert lead.get("/policies/nothing/positive").status_code == 404
    before = lead.get("/working-hours")
    hours = {**before.json(), "opens": "09:00", "closes": "17:30"}
    set_ = lead.put("/working-hours", hours, **{"If-Match": before.headers["ETag"]})
    assert set_.status_code == 200
    assert set_.headers["ETag"] != before.headers["ETag"]
    late = lead.put("/working-hours", {**hours, "opens": "07:00"}, **{"If-Match": before.headers["ETag"]})
    assert (late.status_code, code(late)) == (412, "hours-moved")
    assert lead.get("/working-hours").json() == hours


def test_custody_is_proved_and_quarantine_processed_by_calls(organisation: Organisation, lead: Program) -> None:
    deliver(organisation, 2)
    organisation.post([b"junk"])
    [reader] = lead.get("/custody/readers").json()["items"]
    assert (reader["held"], reader["gaps"]) == (2, 0)
    proof = lead.post(f"/custody/readers/{reader['reader_id']}/proof").json()
    assert (proof["whole"], proof["held"]) == (True, 2)
    assert lead.post("/custody/readers/0000000000000000/proof").status_code == 404
    assert lead.get("/custody/alerts").json() == {"items": [], "next_cursor": None}
    [item] = lead.get("/quarantine").json()["items"]
    assert (item["code"], item["remedy"] != "") == ("malformed", True)
    assert lead.post("/quarantine/process").json() == {"tried": 1, "processed": 0}
    board = lead.get("/board").json()
    assert board["parts"][0]["positive"] == 2


def test_another_organisation_sees_none_of_it(running: Running, organisation: Organisation, lead: Program) -> None:
    deliver(organisation, 3)
    [one, *_] = lead.get("/results").json()["items"]
    made = lead.post("/patients", {"given": "Ada"}, key="k").json()
    cursor = lead.get("/results", limit=1).json()["next_cursor"]
    stranger = program(running.organisation(), Role.LEAD)
    assert stranger.get("/results").json()["items"] == []
    for path in (f"/results/{one['id']}", f"/follow-ups/{one['id']}", f"/patients/{made['id']}"):
        assert stranger.get(path).status_code == 404
    refused = stranger.get("/results", cursor=cursor)
    assert (refused.status_code, code(refused)) == (422, "cursor-refused")


@pytest.mark.parametrize("change", [lambda c: c[:-1] + ("A" if c[-1] != "A" else "B"), lambda c: c[4:], lambda _: "A"])
def test_a_cursor_that_was_altered_or_is_another_list_s_is_refused(
    organisation: Organisation, lead: Program, change: Any
) -> None:
    deliver(organisation, 3)
    cursor = lead.get("/results", limit=1).json()["next_cursor"]
    for path, query in (
        ("/results", {"cursor": change(cursor)}),
        ("/results", {"cursor": cursor, "outcome": "positive"}),
        ("/specimens/unmatched", {"cursor": cursor}),
    ):
        answer = lead.get(path, **query)
        assert (answer.status_code, code(answer)) == (422, "cursor-refused"), path


def test_a_misspelt_filter_is_refused_and_never_overlooked(lead: Program) -> None:
    for query in ({"outcom": "positive"}, {"outcome": "pos"}, {"limit": 0}, {"limit": 101}, {"limit": "many"}):
        answer = lead.get("/results", **query)
        assert (answer.status_code, code(answer)) == (422, "not-valid")
        assert answer.json()["errors"][0]["where"] == f"query/{next(iter(query))}"


def test_every_error_is_a_problem_whatever_the_caller_accepts(lead: Program) -> None:
    lead.client.headers["Accept"] = "text/html"
    missing = lead.get("/nothing")
    assert (missing.status_code, code(missing)) == (404, "not-found")
    wrong = lead.delete(f"/patients/{uuid4()}")
    assert (wrong.status_code, code(wrong)) == (405, "method-not-allowed")
    assert wrong.headers["Allow"] == "GET, PUT"
    for content in (b"{", b"\xff", b'{"given": "\\ud800"}', b"[]", b'{"given": "a\\u0000b"}'):
        headers = {"Content-Type": "application/json", "Idempotency-Key": "x"}
        bad = lead.client.post(f"{API}/patients", content=content, headers=headers)
        assert (bad.status_code, code(bad)) in {(422, "not-valid"), (400, "not-readable")}, content
    large = lead.client.post(f"{API}/patients", content=b" " * 70_000, headers={"Content-Type": "application/json"})
    assert (large.status_code, code(large)) == (413, "too-large")
    nobody = httpx.get(f"{lead.client.base_url}{API}/results", headers={"Accept": "text/html"}, timeout=30)
    assert (nobody.status_code, code(nobody)) == (401, "sign-in-needed")
    assert nobody.headers["Cache-Control"] == "no-store"


def test_alerts_go_on_page_by_page_open_ones_first(running: Running) -> None:
    organisation = running.organisation(readers=4)
    lead = program(organisation, Role.LEAD)
    later: list[tuple[factory.Reader, bytes]] = []
    for reader in organisation.readers:
        first, second = (reader.seal(factory.result(moment=reader.moment())) for _ in range(2))
        organisation.post([second])
        later.append((reader, first))
    assert [one["kind"] for page in pages(lead, "/custody/alerts") for one in page] == ["gap"] * 4
    organisation.post([later[0][1]])
    [whole] = pages(lead, "/custody/alerts", cleared=True)
    seen = [one for page in pages(lead, "/custody/alerts", cleared=True, limit=1) for one in page]
    assert seen == whole
    assert [one["cleared_at"] is None for one in whole] == [True, True, True, False]


def test_a_token_that_may_only_write_reads_nothing_by_writing(organisation: Organisation, lead: Program) -> None:
    deliver(organisation, 1)
    one = lead.post("/patients", {"given": "Ada", "phone": "07700 900001"}, key="w1").json()
    two = lead.post("/patients", {"given": "Eve"}, key="w2").json()
    writer = program(organisation, Role.LEAD, [May.WRITE_PATIENTS, May.FOLLOW_UP])
    assert writer.get(f"/patients/{one['id']}").status_code == 403
    merged = writer.post(f"/patients/{two['id']}/merge", {"into": one["id"]})
    assert merged.json() == {"id": one["id"], "version": 0}
    [waiting] = lead.get("/follow-ups", view="team").json()["items"]
    path, act = f"/follow-ups/{waiting['id']}/acts", {"act": "acknowledge", "version": 0}
    lead.post(path, act)
    planned = lead.post(path, {"act": "plan", "version": 1, "note": "Call her at her sister's"})
    assert planned.status_code == 200
    reached = writer.post(path, {"act": "contact", "version": 2})
    assert reached.status_code == 200
    assert "sister" not in reached.text
