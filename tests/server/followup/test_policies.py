"""A lead changes rules and hours: versions stand, what follows is opened by them, nothing unreadable is stored."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from reader import outcome
from server.accounts.permissions import NotAllowed
from server.accounts.service import Viewer
from server.database import tenancy
from server.followup import policies
from server.followup.policies import PolicyMoved, PolicyRefused, Standing
from server.followup.policy import Rule, Urgency
from tests.server.conftest import Ward
from tests.server.followup.test_follow_up import arrive, follow_up, person

RULE = Rule("sars2-ag", outcome.POSITIVE, Urgency.SOON, 90, 300, working_hours=False, tries=4)
WEEK = {0, 1, 2, 3, 4}


async def save(ward: Ward, viewer: Viewer, seen: int, rule: Rule = RULE, owner: Viewer | None = None) -> None:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await policies.save(session, viewer, seen, Standing(rule, 0, owner.account_id if owner else None))


async def test_a_new_version_holds_for_what_arrives_next_and_the_earlier_ones_stay(ward: Ward) -> None:
    lead, owner = await person(ward, "lead", "A Lead"), await person(ward)
    before = await arrive(ward, assay="sars2-ag")
    await save(ward, lead, 0, owner=owner)
    await save(ward, lead, 1, Rule("sars2-ag", outcome.POSITIVE, Urgency.NOW, 30, 60, working_hours=False))
    after = await arrive(ward, assay="sars2-ag")
    first, second = await follow_up(ward, before), await follow_up(ward, after)
    assert first
    assert second
    assert (first.rule, second.rule) == (0, 2)
    assert second.acknowledge_by - second.opened_at == timedelta(minutes=30)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        found = await policies.versions(session, "sars2-ag", outcome.POSITIVE)
        standing = await policies.standing(session, "sars2-ag", outcome.POSITIVE)
    assert [(one.policy.version, one.policy.current, one.made_by) for one in found] == [
        (2, True, "A Lead"),
        (1, False, "A Lead"),
    ]
    assert standing.version == 2
    actions = await ward.rows("SELECT action FROM audit_entry WHERE action = 'policy.change'")
    assert len(actions) == 2


async def test_two_leads_who_change_the_same_rule_are_told(ward: Ward) -> None:
    lead = await person(ward, "lead")
    await save(ward, lead, 0)
    with pytest.raises(PolicyMoved):
        await save(ward, lead, 0)


@pytest.mark.parametrize(
    "rule",
    [
        Rule("no-such-assay", outcome.POSITIVE, Urgency.NOW, 60, 120, working_hours=False),
        Rule("sars2-ag", outcome.NEGATIVE, Urgency.NOW, 60, 120, working_hours=False),
        Rule("sars2-ag", outcome.POSITIVE, Urgency.NOW, 0, 120, working_hours=False),
        Rule("sars2-ag", outcome.POSITIVE, Urgency.NOW, 120, 120, working_hours=False),
        Rule("sars2-ag", outcome.POSITIVE, Urgency.NOW, 60, 200_000, working_hours=False),
        Rule("sars2-ag", outcome.POSITIVE, Urgency.NOW, 60, 120, working_hours=False, tries=0),
    ],
)
async def test_a_rule_that_makes_no_sense_is_not_kept(ward: Ward, rule: Rule) -> None:
    lead = await person(ward, "lead")
    with pytest.raises(PolicyRefused):
        await save(ward, lead, 0, rule)
    assert await ward.rows("SELECT 1 FROM follow_up_policy") == []


async def test_only_a_lead_may_and_only_somebody_who_follows_up_may_own(ward: Ward) -> None:
    lead, auditor = await person(ward, "lead"), await person(ward, "auditor")
    with pytest.raises(NotAllowed):
        await save(ward, await person(ward), 0)
    with pytest.raises(PolicyRefused):
        await save(ward, lead, 0, owner=auditor)


@pytest.mark.parametrize(
    ("zone", "days", "opens", "closes", "field"),
    [
        ("Europe/Nowhere", WEEK, "08:00", "18:00", "zone"),
        ("../../etc/passwd", WEEK, "08:00", "18:00", "zone"),
        ("", WEEK, "08:00", "18:00", "zone"),
        ("Europe/London", set[int](), "08:00", "18:00", "days"),
        ("Europe/London", {7}, "08:00", "18:00", "days"),
        ("Europe/London", WEEK, "18:00", "08:00", "closes"),
        ("Europe/London", WEEK, "25:00", "26:00", "opens"),
        ("Europe/London", WEEK, "8", "18:00", "opens"),
    ],
)
async def test_hours_that_an_exchange_could_not_read_are_never_stored(
    ward: Ward, zone: str, days: set[int], opens: str, closes: str, field: str
) -> None:
    lead = await person(ward, "lead")
    with pytest.raises(PolicyRefused) as refused:
        async with tenancy.transaction(ward.sessions, ward.id) as session:
            await policies.save_hours(session, lead, zone, days, opens, closes, None)
    assert refused.value.extra["field"] == field
    assert await ward.rows("SELECT 1 FROM working_hours") == []


async def test_hours_that_are_kept_are_those_of_the_next_result(ward: Ward) -> None:
    lead, on_call = await person(ward, "lead"), await person(ward)
    for closes in ("17:00", "16:00"):
        async with tenancy.transaction(ward.sessions, ward.id) as session:
            await policies.save_hours(session, lead, "Asia/Kathmandu", {6}, "15:00", closes, on_call.account_id)
    opened = await follow_up(ward, await arrive(ward, outcome.INVALID, outcome.NO_CONTROL_LINE))
    assert opened
    due = opened.act_by.astimezone(ZoneInfo("Asia/Kathmandu"))
    assert due.weekday() == 6
    assert 15 <= due.hour <= 16
    entries = await ward.rows("SELECT detail FROM audit_entry WHERE action = 'hours.change' ORDER BY id")
    assert [entry.detail["after"]["closes"] for entry in entries] == ["17:00:00", "16:00:00"]
    assert entries[1].detail["before"]["closes"] == "17:00:00"
