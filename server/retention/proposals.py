"""What a run would erase, said first, and the run that erases that and never more.

A proposal is kept nowhere: whoever asked carries it, signed. It holds the moments before which each kind goes, and its
run goes by these and not by the clock, so that nothing becomes due between the look and the yes. It ends after `LASTS`,
and when a rule is changed.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from server.api.cursors import CursorRefused, Cursors
from server.audit.service import Actor
from server.database.columns import now
from server.problems import Problem
from server.retention import repository, service
from server.retention.models import Erasure, Kind
from server.retention.service import Rule

LASTS = timedelta(minutes=30)


class ProposalRefused(Problem):
    """The proposal was not made by this server for this organisation."""

    status = 422
    code = "proposal-refused"
    title = "That is no proposal of a run"

    def __init__(self) -> None:
        super().__init__("Send `proposal` of a preview unchanged.")


class ProposalEnded(Problem):
    """It was looked at too long ago, or a rule is another one now."""

    status = 409
    code = "proposal-ended"
    title = "The proposal holds no more"

    def __init__(self) -> None:
        super().__init__("Ask for another preview, and look at what it would erase.")


@dataclass(frozen=True, slots=True)
class Proposed:
    """What a run would erase by each rule, and the proposal of it, to be sent back until `ends_at`."""

    rules: list[Rule]
    proposal: str
    ends_at: datetime


async def propose(session: AsyncSession, actor: Actor, organisation_id: UUID, secret: bytes) -> Proposed:
    """Look at what is due. Raises `NotErased` where no rule says that anything ever is."""
    rules = await service.dry_run(session, actor, organisation_id)
    if all(one.before is None for one in rules):
        raise service.no_rule()
    ends_at = now() + LASTS
    said: dict[str, Any] = {
        "ends": ends_at.isoformat(),
        "months": {one.kind: one.months for one in rules if one.months is not None},
        "before": {one.kind: one.before.isoformat() for one in rules if one.before is not None},
    }
    return Proposed(rules, _signed(organisation_id, secret).write(json.dumps(said, separators=(",", ":"))), ends_at)


async def begin(session: AsyncSession, actor: Actor, organisation_id: UUID, secret: bytes, proposal: str) -> Erasure:
    """Begin the run that was proposed; `service.go_on` does it. Raises `ProposalRefused`, `ProposalEnded`."""
    try:
        text = _signed(organisation_id, secret).read(proposal)
    except CursorRefused:
        raise ProposalRefused from None
    assert text is not None, "there was one to read"
    said = json.loads(text)
    kept = await repository.rules(session)
    months = {kind: rule.months for kind, rule in kept.items() if rule.months is not None}
    if datetime.fromisoformat(said["ends"]) <= now() or said["months"] != months:
        raise ProposalEnded
    cutoffs = {Kind(kind): datetime.fromisoformat(before) for kind, before in said["before"].items()}
    return await service.begin_until(session, actor, organisation_id, cutoffs)


def _signed(organisation_id: UUID, secret: bytes) -> Cursors:
    return Cursors(secret, organisation_id, "proposal of a run")
