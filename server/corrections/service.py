"""Correcting, withdrawing and restoring a result: a new version each time, and its follow-up opened again.

The reader's own record is evidence and is never edited. Whoever was told what it said has to be told otherwise, so that
each version opens the follow-up again, however far it had come, under the rule for what the result is now.
"""

import hashlib
import json
from dataclasses import dataclass
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from reader import outcome as outcomes
from server.accounts.permissions import May, require
from server.accounts.service import Viewer
from server.audit import service as audit
from server.corrections import repository
from server.corrections.models import Correction, Kind
from server.database.columns import now
from server.followup import reopening
from server.problems import NotFound, Problem
from server.results import repository as results
from server.results.models import Result

WHY_MAX = 2_000
CHOICES = (outcomes.POSITIVE, outcomes.NEGATIVE, outcomes.INDETERMINATE, outcomes.INVALID)
"""What a result can be corrected to; an error is a reader's word only."""


class CorrectionRefused(Problem):
    """What was asked for is no correction; `extra["field"]` names the field that is wrong."""

    status = 422
    code = "correction-refused"
    title = "The result was not changed"


class CorrectedMeanwhile(Problem):
    """Somebody else was quicker."""

    status = 409
    code = "corrected-meanwhile"
    title = "The result has another version by now"


@dataclass(frozen=True, slots=True)
class History:
    """The versions of a result after the reader's, and whether each is what it was when it was written."""

    versions: list[tuple[Correction, str]]
    whole: bool

    @property
    def current(self) -> Correction | None:
        return self.versions[-1][0] if self.versions else None


async def correct(
    session: AsyncSession, viewer: Viewer, result_id: UUID, version: int, kind: Kind, outcome: int | None, why: str
) -> Correction:
    """Add a version; `version` is the one that the person saw last, 0 for the reader's own.

    Raises `CorrectionRefused`, `CorrectedMeanwhile`, `NotFound`, `NotAllowed`.
    """
    require(viewer, May.CORRECT)
    why = why.strip()
    if not 0 < len(why) <= WHY_MAX or "\x00" in why:
        raise CorrectionRefused(f"Write why, in at most {WHY_MAX:,} characters.", extra={"field": "why"})
    await _audited(session, viewer, f"result.{_VERBS[kind]}", result_id)
    found = await repository.take(session, result_id)
    if found is None:
        raise NotFound("There is no such result in your organisation.")
    result, record_hash = found
    earlier = [one for one, _ in await repository.versions(session, result_id)]
    if len(earlier) != version:
        raise CorrectedMeanwhile("Look at what it is now, then decide.")
    _check(result, earlier[-1] if earlier else None, kind, outcome)
    made = Correction(
        organisation_id=viewer.organisation_id,
        result_id=result_id,
        version=version + 1,
        kind=kind,
        outcome=outcome,
        why=why,
        at=now(),
        account_id=viewer.account_id,
        previous=earlier[-1].hash if earlier else record_hash,
        hash=b"",
    )
    made.hash = hash_of(made)
    await repository.add(session, made)
    is_now = outcome if outcome is not None else result.outcome
    doubtful = kind is Kind.WITHDRAWN or is_now == outcomes.NEGATIVE
    await reopening.reopen(
        session,
        viewer,
        result,
        outcome=is_now,
        as_for=outcomes.INDETERMINATE if doubtful else is_now,
        note=f"{_SAID[kind]}: {why}"[:2_000],
        at=made.at,
    )
    told = results.notifications(viewer.organisation_id, [result_id])
    await results.notify(await session.connection(), told)
    return made


_VERBS = {Kind.CORRECTED: "correct", Kind.WITHDRAWN: "withdraw", Kind.RESTORED: "restore"}
_SAID = {Kind.CORRECTED: "Corrected", Kind.WITHDRAWN: "Withdrawn", Kind.RESTORED: "Restored"}


def _check(result: Result, last: Correction | None, kind: Kind, outcome: int | None) -> None:
    """Raises `CorrectionRefused` for a version that would say what is so already."""
    if kind is Kind.CORRECTED:
        if outcome not in CHOICES:
            raise CorrectionRefused("Choose what the outcome is.", extra={"field": "kind"})
        stands = last is None or last.kind == Kind.RESTORED
        if outcome == (result.outcome if stands or last is None else last.outcome):
            raise CorrectionRefused("That is its outcome already. Choose another.", extra={"field": "kind"})
    elif outcome is not None:
        raise CorrectionRefused("Only a correction names another outcome.", extra={"field": "kind"})
    elif kind is Kind.WITHDRAWN and last is not None and last.kind == Kind.WITHDRAWN:
        raise CorrectionRefused("It is withdrawn already.", extra={"field": "kind"})
    elif kind is Kind.RESTORED and (last is None or last.kind == Kind.RESTORED):
        raise CorrectionRefused("It is what the reader said already.", extra={"field": "kind"})


def hash_of(one: Correction) -> bytes:
    """SHA-256 (32 bytes) over `previous` and the version's own words, as JSON with nothing between."""
    said = [
        str(one.result_id), one.version, str(one.kind), one.outcome, one.why,
        one.at.isoformat(timespec="microseconds"), str(one.account_id),
    ]  # fmt: skip
    return hashlib.sha256(one.previous + json.dumps(said, separators=(",", ":")).encode()).digest()


async def history(session: AsyncSession, result_id: UUID, record_hash: bytes) -> History:
    """The versions of a result, each hashed anew. The caller has audited that the result is read."""
    found = await repository.versions(session, result_id)
    before, whole = record_hash, True
    for number, (one, _) in enumerate(found, start=1):
        whole = whole and one.version == number and one.previous == before and one.hash == hash_of(one)
        before = one.hash
    return History(found, whole)


async def _audited(session: AsyncSession, viewer: Viewer, action: str, result_id: UUID) -> None:
    await audit.record(
        session,
        organisation_id=viewer.organisation_id,
        actor=audit.Actor("account", str(viewer.account_id)),
        action=action,
        purpose="care",
        subject_kind="result",
        subject=str(result_id),
    )
