"""Rollouts by calls: a release goes to readers in waves, and is paused, resumed and stopped once."""

import os

from reader import wire
from server.accounts.models import Role
from server.database import tenancy
from server.updates import service
from tests.server import factory
from tests.server.api.programs import Program, code, program
from tests.server.api.test_calls import pages
from tests.server.running import Organisation, Running
from tests.server.updates import images


def release(organisation: Organisation, bill: bytes | None = None) -> str:
    """A release of a model of its own; its image id."""

    async def add() -> str:
        async with tenancy.transaction(organisation.running.app.state.doorstep.sessions) as session:
            return (await service.add(session, images.image(model=images.model()), bill)).release.image_id.hex()

    return organisation.running.call(add())


def rolled_out(lead: Program, image_id: str, **plan: object) -> str:
    """Start a rollout; its id."""
    made = lead.post("/rollouts", {"image_id": image_id, "soak_hours": 0, **plan}, key=os.urandom(8).hex())
    assert made.status_code == 201, made.text
    return made.json()["rollout"]["id"]


def journal(organisation: Organisation, reader: factory.Reader, *stages: int) -> None:
    organisation.post([images.said(reader, stage) for stage in stages])


def test_a_release_goes_out_and_each_list_is_whole_page_by_page(running: Running) -> None:
    organisation = running.organisation(readers=5)
    lead = program(organisation, Role.LEAD)
    image_id = release(organisation)
    assert image_id in {row["image_id"] for page in pages(lead, "/releases", limit=2) for row in page}
    assert pages(lead, "/rollouts") == [[]]
    rollout_id = rolled_out(lead, image_id, canary=2, shares=[100])
    found = lead.get(f"/rollouts/{rollout_id}").json()
    assert (found["rollout"]["state"], found["rollout"]["wave"]) == ("running", 0)
    assert [(one["readers"], one["open"], one["unsent"]) for one in found["waves"]] == [(2, 2, 0), (3, 0, 3)]
    [whole] = pages(lead, f"/rollouts/{rollout_id}/readers", limit=100)
    assert [one["stage"] for one in whole] == ["sent"] * 2 + ["waiting"] * 3
    by_one = pages(lead, f"/rollouts/{rollout_id}/readers", limit=1)
    assert [row for page in by_one for row in page] == whole
    canaries = {one["reader_id"] for one in whole[:2]}
    for reader in organisation.readers:
        if reader.reader_id.hex() in canaries:
            journal(organisation, reader, *images.ALL_WELL)
    [whole] = pages(lead, f"/rollouts/{rollout_id}/readers", limit=100)
    assert [one["stage"] for one in whole] == ["confirmed"] * 2 + ["waiting"] * 3


def test_it_is_paused_resumed_and_stopped_and_each_only_where_it_stands_so(running: Running) -> None:
    organisation = running.organisation(readers=2)
    lead = program(organisation, Role.LEAD)
    image_id = release(organisation)
    key = os.urandom(8).hex()
    asked = {"image_id": image_id}
    made = lead.post("/rollouts", asked, key=key)
    again = lead.post("/rollouts", asked, key=key)
    assert again.json()["rollout"]["id"] == made.json()["rollout"]["id"]
    other = lead.post("/rollouts", asked, key=os.urandom(8).hex())
    assert (other.status_code, code(other)) == (409, "rollout-under-way")
    path = made.headers["location"].removeprefix("/api/v1")
    assert lead.post(f"{path}/pause", {"why": "Wait"}).json()["rollout"]["state"] == "paused"
    twice = lead.post(f"{path}/pause", {"why": "Wait"})
    assert (twice.status_code, code(twice)) == (409, "rollout-moved")
    assert lead.post(f"{path}/resume").json()["rollout"]["state"] == "running"
    stopped = lead.post(f"{path}/stop", {"why": "It gets warm"}, key="stop").json()["rollout"]
    assert (stopped["state"], stopped["why"]) == ("stopped", "It gets warm")
    # Asked for again under its key it is answered alike.
    assert lead.post(f"{path}/stop", {"why": "It gets warm"}, key="stop").status_code == 200
    rolled_out(lead, release(organisation))
    assert [[one["state"] for one in page] for page in pages(lead, "/rollouts", limit=1)] == [["running"], ["stopped"]]


def test_another_organisation_sees_none_of_it_and_a_clinician_changes_none(running: Running) -> None:
    organisation, elsewhere = running.organisation(), running.organisation()
    rollout_id = rolled_out(program(organisation, Role.LEAD), release(organisation))
    other = program(elsewhere, Role.LEAD)
    for path in (f"/rollouts/{rollout_id}", f"/rollouts/{rollout_id}/readers"):
        assert (other.get(path).status_code, code(other.get(path))) == (404, "not-found")
    assert other.post(f"/rollouts/{rollout_id}/stop", {"why": "No"}).status_code == 404
    clinician = program(organisation, Role.CLINICIAN)
    assert clinician.get(f"/rollouts/{rollout_id}").status_code == 200
    refused = clinician.post(f"/rollouts/{rollout_id}/stop", {"why": "No"})
    assert (refused.status_code, code(refused)) == (403, "not-allowed")


def test_what_cannot_be_rolled_out_is_refused(organisation: Organisation) -> None:
    lead = program(organisation, Role.LEAD)
    unknown = lead.post("/rollouts", {"image_id": "00" * 16}, key="a")
    assert (unknown.status_code, code(unknown)) == (404, "release-unknown")
    image_id = release(organisation)
    falling = lead.post("/rollouts", {"image_id": image_id, "shares": [50, 10, 100]}, key="b")
    assert (falling.status_code, code(falling)) == (422, "rollout-refused")
    booted = factory.event(wire.EVENT_BOOT, moment=organisation.reader.moment())
    booted[wire.REC_FIRMWARE] = "2.0.0"
    organisation.deliver(booted)
    nobody = lead.post("/rollouts", {"image_id": image_id}, key="c")
    assert (nobody.status_code, code(nobody)) == (422, "rollout-refused")
