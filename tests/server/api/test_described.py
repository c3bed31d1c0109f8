"""The description of the interface holds: every call, made from it by schemathesis, is answered as it says.

Each call is asked with what the description allows and with what it forbids, as somebody who may do it, in an
organisation with results, people, recalls and more; ids of what is there take the place of made-up ones in half of the
calls.
The seed is printed with a failure; DOORSTEP_SEED repeats a run.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import CHECKS
from schemathesis.generation import GenerationMode

from reader import outcome
from server.accounts.models import Role
from tests.server import factory
from tests.server.accounts.people import browser_of, made, post
from tests.server.api.programs import API, program
from tests.server.api.test_emergency_uses import end, use
from tests.server.api.test_retention import keep, proposed
from tests.server.api.test_updates import release, rolled_out
from tests.server.conftest import Database
from tests.server.running import Organisation, run
from tests.server.test_routes import signed_in

SEED = int(os.environ.get("DOORSTEP_SEED") or random.SystemRandom().randrange(2**32))
EXAMPLES = 5
# Processor time of the whole file, server and all: about a minute, whatever else the machine does. A call that is not
# reached in it fails, so that none goes unseen.
PROCESSOR_SECONDS_MAX = 150
# All of schemathesis's checks of one answer but one: that whatever fits the schema is accepted. An NHS number has a
# check digit, a cursor a signature, a rule two times of which one is the longer.
NAMES = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "missing_required_header", "unsupported_method",
    "allow_header_conformance", "ignored_auth",
)  # fmt: skip


@dataclass
class Filled:
    """The description, what is there by the name of its parameter, and how each role calls."""

    schema: Any
    there: dict[str, str]
    headers: dict[str, dict[str, str]]
    began: float
    seen: Counter[int]


@pytest.fixture(scope="module")
def filled(database: Database) -> Iterator[Filled]:
    with run(database.owner, database.app) as running:
        organisation = running.organisation()
        there = fill(organisation)
        programs = {role: program(organisation, role) for role in (Role.LEAD, Role.AUDITOR, Role.ADMINISTRATOR)}
        headers = {str(role): {"Authorization": f"Bearer {one.secret}"} for role, one in programs.items()}
        for role in (Role.LEAD, Role.AUDITOR):
            client, csrf = signed_in(organisation, role)
            cookie = f"doorstep-session={client.cookies['doorstep-session']}"
            headers[by_session(role)] = {"Cookie": cookie, "X-CSRF-Token": csrf}
        # Nobody who calls: what is asked of an account ends its tokens.
        there["account_id"] = str(program(organisation, Role.CLINICIAN).account_id)
        schema = schemathesis.openapi.from_url(f"{running.url}{API}/openapi.json")
        yield Filled(schema, there, headers, time.process_time(), Counter())


def fill(organisation: Organisation) -> dict[str, str]:
    """Results of each outcome, a person, a recall, an erasure, a use of emergency access, something in quarantine.

    Ids of them by the names of parameters.
    """
    reader = organisation.reader
    bodies = [
        factory.result(specimen=f"S-{code}", outcome_code=code, reason=reason, moment=reader.moment())
        for code, reason in (
            (outcome.POSITIVE, outcome.NONE), (outcome.NEGATIVE, outcome.NONE),
            (outcome.INDETERMINATE, outcome.GREY_ZONE), (outcome.INVALID, outcome.NO_CONTROL_LINE),
        )
    ]  # fmt: skip
    organisation.deliver(*bodies)
    organisation.post([b"junk"])
    lead = program(organisation, Role.LEAD)
    [positive] = lead.get("/results", outcome="positive").json()["items"]
    patient = lead.post("/patients", {"given": "Ada", "family": "Person"}, key="fill-1").json()
    compared = {"specimen": "S-1", "patient": patient["id"], "compared": ["name", "address"]}
    assert lead.post("/specimens/link", compared).status_code == 200
    recall = lead.post("/recalls", {"scope": {"lot": "LOT1"}, "reason": "The control line fades"}, key="fill-2")
    keep(organisation, results=24)
    erasure = lead.post("/erasures", {"proposal": proposed(lead)["proposal"]}, key="fill-3")
    administrator = browser_of(organisation, made(organisation, "administrator")[0])
    assert post(administrator, "/staff/privacy-lead", lead=str(lead.account_id)).status_code == 303
    end(use(organisation))
    [emergency] = program(organisation, Role.AUDITOR).get("/emergency-uses").json()["items"]
    return {
        "result_id": positive["id"],
        "patient_id": patient["id"],
        "recall_id": recall.json()["recall"]["id"],
        "erasure_id": erasure.json()["id"],
        "use_id": emergency["id"],
        "rollout_id": rolled_out(lead, release(organisation)),
        "reader_id": reader.reader_id.hex(),
        "assay": "sars2-ag",
    }


def by_session(role: Role) -> str:
    """The name of how somebody of that role calls with the session of a browser."""
    return f"session of a {role}"


SESSION_ONLY = {
    ("post", f"{API}/tokens"): Role.LEAD,
    ("post", f"{API}/patients/{{patient_id}}/erasure"): Role.LEAD,
    ("post", f"{API}/emergency-uses/{{use_id}}/review"): Role.AUDITOR,
}
OF_ROLE = {"audit": Role.AUDITOR, "emergency-uses": Role.AUDITOR, "staff": Role.ADMINISTRATOR}


def caller(method: str, path: str) -> str:
    """Who may make the call."""
    if (method, path) in SESSION_ONLY:
        return by_session(SESSION_ONLY[method, path])
    part = path.removeprefix(API).split("/")[1]
    return str(OF_ROLE.get(part, Role.LEAD))


def every_call() -> list[tuple[str, str]]:
    from server.api.routes import document

    found = [(method, path) for path, calls in document("doorstep-session")["paths"].items() for method in calls]
    assert len(found) > 40
    return found


@pytest.mark.parametrize(("method", "path"), every_call(), ids=lambda one: one.removeprefix(API))
def test_a_call_is_answered_as_it_is_described(filled: Filled, method: str, path: str) -> None:
    operation = filled.schema[path][method]
    session = requests.Session()
    headers = filled.headers[caller(method, path)]
    # A session's cookie and its token are sent whatever was made of them: that they are needed is shown elsewhere.
    left_out = {"negative_data_rejection"} if "Cookie" in headers else set[str]()
    chosen = CHECKS.get_by_names([name for name in NAMES if name not in left_out])
    names = {one["name"] for one in operation.definition.raw.get("parameters", []) if one["in"] == "path"}
    there = {name: value for name, value in filled.there.items() if name in names}
    ways: list[tuple[GenerationMode, dict[str, str] | None]] = [
        (GenerationMode.POSITIVE, None),
        (GenerationMode.NEGATIVE, None),
    ]
    if names and there.keys() | {"outcome"} >= names:
        given_outcome = {"outcome": "positive"} if "outcome" in names else {}
        ways.append((GenerationMode.POSITIVE, there | given_outcome))
    for mode, known in ways:
        strategy = operation.as_strategy(generation_mode=mode, path_parameters=known)

        @seed(SEED)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=strategy)
        def ask(case: Any) -> None:
            assert time.process_time() - filled.began < PROCESSOR_SECONDS_MAX, (
                "these calls take too long: look for what is slow"
            )
            answer = case.call(headers=headers, session=session)
            filled.seen[answer.status_code] += 1
            case.validate_response(answer, checks=chosen, headers=headers, transport_kwargs={"session": session})

        print(f"DOORSTEP_SEED={SEED}")
        ask()


def test_what_no_token_does_is_described_so() -> None:
    from server.api.routes import document

    calls = document("doorstep-session")["paths"].items()
    alone = {
        (method, path) for path, ways in calls for method, way in ways.items() if {"token": []} not in way["security"]
    }
    assert alone == set(SESSION_ONLY)


def test_the_calls_were_answered_in_many_ways(filled: Filled) -> None:
    # What was only ever refused would show nothing of what is answered.
    assert filled.seen[200] > 50, filled.seen
    assert filled.seen[422] > 50, filled.seen
    assert filled.seen[404] > 5, filled.seen
