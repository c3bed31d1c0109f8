"""Rules of retention, what they would erase, and erasing: in portions, each one transaction, cut off anywhere.

Sealed bytes are destroyed where they lie, rather than a key of theirs: a key beside them in the same database would be
in the same backups. What is left of a record is its place and its hash, so that every chain is still proved
(`server.custody.ledger`); what an erasure destroyed is listed by reference in its certificate, from which it is done
again after a restore.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.permissions import May, require
from server.accounts.service import Viewer
from server.audit import service as audit
from server.audit.service import Actor
from server.database import tenancy
from server.database.columns import now
from server.database.engine import Sessions
from server.patients import repository as people
from server.patients import service as patients
from server.patients.models import Patient
from server.problems import NotFound, Problem
from server.retention import repository
from server.retention.models import Because, Erasure, Kind
from server.retention.repository import Due, Named, OfPerson

RESULTS_AT_ONCE, PEOPLE_AT_ONCE, ITEMS_AT_ONCE = 200, 20, 500
MONTHS_MAX = 1_200
NAMED_MAX = 1_000_000


class RuleRefused(Problem):
    """What was given is no length of time."""

    status = 422
    code = "retention-rule-refused"
    title = "The rule cannot be kept"


class NotErased(Problem):
    """The person, or whatever was named, may not be erased now."""

    status = 409
    code = "not-erased"
    title = "Nothing was erased"


class CertificateRefused(Problem):
    """What was given is no certificate of this organisation."""

    status = 422
    code = "certificate-refused"
    title = "This is not a certificate of deletion"


@dataclass(frozen=True, slots=True)
class Rule:
    """How long a kind is kept: `months`, None for ever; what is due now, None where nothing ever is."""

    kind: Kind
    months: int | None
    before: datetime | None
    due: Due | None


_COUNTS = {
    Kind.RESULTS: repository.count_results,
    Kind.PEOPLE: repository.count_people,
    Kind.SET_ASIDE: repository.count_set_aside,
}


async def dry_run(session: AsyncSession, actor: Actor, organisation_id: UUID) -> list[Rule]:
    """Every rule with what it would erase now. Nothing is erased; that it was looked at is in the audit log."""
    await _audit(session, organisation_id, actor, "retention.dry-run", "organisation", str(organisation_id))
    at, kept = now(), await repository.rules(session)
    found: list[Rule] = []
    for kind in Kind:
        months = kept[kind].months if kind in kept else None
        before = months_before(at, months) if months is not None else None
        due = await _COUNTS[kind](session, before) if before is not None else None
        found.append(Rule(kind, months, before, due))
    return found


async def set_rules(session: AsyncSession, actor: Actor, organisation_id: UUID, months: dict[Kind, int | None]) -> None:
    """Keep each kind for so many months, None for ever. Raises `RuleRefused`."""
    for kind, number in months.items():
        if number is not None and not 0 < number <= MONTHS_MAX:
            raise RuleRefused(
                f"Give a number of months from 1 to {MONTHS_MAX:,}, or nothing to keep it for ever.",
                extra={"field": str(kind)},
            )
    before = await repository.rules(session)
    for kind, number in months.items():
        was = before[kind].months if kind in before else None
        if was != number:
            detail = {"kind": str(kind), "from": was, "to": number}
            await _audit(
                session, organisation_id, actor, "retention.rule", "organisation", str(organisation_id), detail
            )
            await repository.set_rule(session, organisation_id, kind, number, now())


def months_before(at: datetime, months: int) -> datetime:
    """The same day and time that many months before, or the last day of that month where it is shorter."""
    whole = at.year * 12 + at.month - 1 - months
    year, month = divmod(whole, 12)
    for day in range(at.day, 27, -1):
        try:
            return at.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    return at.replace(year=year, month=month + 1)


async def begin_run(session: AsyncSession, actor: Actor, organisation_id: UUID) -> Erasure:
    """Begin to erase what the rules say, as of now; `go_on` does it. Raises `NotErased` where there is no rule."""
    cutoffs = {one.kind: one.before for one in await dry_run(session, actor, organisation_id) if one.before}
    if not cutoffs:
        raise no_rule()
    return await begin_until(session, actor, organisation_id, cutoffs)


async def begin_until(
    session: AsyncSession, actor: Actor, organisation_id: UUID, cutoffs: dict[Kind, datetime]
) -> Erasure:
    """Begin to erase each kind from before its moment; `go_on` does it."""
    said = {str(kind): before for kind, before in cutoffs.items()}
    return await _begin(session, actor, organisation_id, Because.RULE, cutoffs=said)


def no_rule() -> NotErased:
    """There is nothing that a run could go by."""
    return NotErased("No rule says that anything is to be erased. Set how long what is kept first.")


async def of_person(session: AsyncSession, viewer: Viewer, patient_id: UUID) -> tuple[Patient, OfPerson]:
    """Somebody, and what there is of them, before they are erased. Raises `NotFound`, `NotAllowed`."""
    require(viewer, May.ERASE_PERSON)
    patient = await patients.read(session, viewer, patient_id)
    return patient, await repository.of_person(session, patient.id)


async def begin_person(
    session: AsyncSession, actor: Actor, organisation_id: UUID, patient_id: UUID, because: Because
) -> Erasure:
    """Begin to erase somebody with all that is theirs; `go_on` does it. Raises `NotErased`, which says why not."""
    person = await people.whole(session, patient_id)
    if person is None:
        raise NotFound("There is no such person in your organisation.")
    if why := why_not(await repository.of_person(session, person.id)):
        raise NotErased(why)
    return await _begin(session, actor, organisation_id, because, named={"people": [str(person.id)], "records": []})


def why_not(found: OfPerson) -> str:
    """Why somebody cannot be erased now, in words; empty where they can."""
    if found.open:
        many = "One follow-up is" if found.open == 1 else f"{found.open} follow-ups are"
        return f"{many} open: the person is waited for. Record its outcome first."
    if found.unproved:
        many = "One record" if found.unproved == 1 else f"{found.unproved} records"
        return f"{many} of theirs cannot be proved yet. Look at custody, and resolve what is wrong there first."
    return ""


async def begin_again(session: AsyncSession, actor: Actor, organisation_id: UUID, certificate: object) -> Erasure:
    """Begin to erase once more what a certificate lists: a restored backup has brought it back.

    Raises `CertificateRefused` for what is none of this organisation's.
    """
    named = _named_by(certificate, organisation_id)
    return await _begin(session, actor, organisation_id, Because.AGAIN, named=named)


def _named_by(certificate: object, organisation_id: UUID) -> dict[str, Any]:
    refused = CertificateRefused("Give a file that `doorstep server retention certificate --json` wrote, as it was.")
    if not isinstance(certificate, dict):
        raise refused
    given = cast("dict[str, Any]", certificate)
    if given.get("digest") != digest_of(given).hex():
        raise refused
    if given.get("organisation") != str(organisation_id):
        raise CertificateRefused("It is of another organisation.")
    records = [[one["reader"], one["number"]] for one in given["records"]]
    if len(records) > NAMED_MAX:
        raise CertificateRefused(f"It lists more than {NAMED_MAX:,} records.")
    return {"people": list(given["people"]), "records": records}


async def _begin(
    session: AsyncSession,
    actor: Actor,
    organisation_id: UUID,
    because: Because,
    *,
    cutoffs: dict[str, datetime] | None = None,
    named: dict[str, Any] | None = None,
) -> Erasure:
    erasure = Erasure(
        organisation_id=organisation_id,
        actor_kind=actor.kind,
        actor=actor.name,
        because=because,
        cutoffs={kind: before.isoformat() for kind, before in (cutoffs or {}).items()},
        named=named or {},
    )
    detail = {"because": str(because), "cutoffs": erasure.cutoffs}
    await _audit(session, organisation_id, actor, "erasure.begin", "erasure", str(erasure.id), detail)
    await repository.add(session, erasure)
    return erasure


async def go_on(sessions: Sessions, organisation_id: UUID, erasure_id: UUID, portions: int | None = None) -> bool:
    """Erase in portions, at most so many; whether it is done. Where another is just at it, that one goes on.

    Safe to be cut off anywhere, and to be run by several at once.
    """
    while portions is None or portions > 0:
        portions = None if portions is None else portions - 1
        async with tenancy.transaction(sessions, organisation_id) as session:
            erasure = await repository.take(session, erasure_id)
            if erasure is None:
                return False
            if erasure.finished_at is not None:
                return True
            if not await _portion(session, erasure):
                await _finish(session, erasure)
                return True
    return False


async def go_on_with_all(sessions: Sessions, organisation_id: UUID) -> None:
    """Every erasure that is under way."""
    async with tenancy.transaction(sessions, organisation_id) as session:
        found = await repository.under_way(session)
    for erasure_id in found:
        await go_on(sessions, organisation_id, erasure_id)


async def _portion(session: AsyncSession, erasure: Erasure) -> bool:
    """One portion; whether there was any."""
    named, before = _named(erasure), _cutoffs(erasure)
    results: list[UUID] = []
    persons = await repository.people_there(session, named, PEOPLE_AT_ONCE) if named.people else []
    if not persons and Kind.PEOPLE in before:
        persons = await repository.people_due(session, before[Kind.PEOPLE], PEOPLE_AT_ONCE)
    if not persons and named.records:
        results = await repository.results_there(session, named, RESULTS_AT_ONCE)
    if not persons and not results and Kind.RESULTS in before:
        results = await repository.results_due(session, before[Kind.RESULTS], RESULTS_AT_ONCE)
    if persons or results:
        await _audit_portion(session, erasure, {"results": len(results), "people": len(persons)})
        erased = await repository.erase(session, erasure.id, results, persons)
        erasure.results, erasure.people = erasure.results + erased[0], erasure.people + erased[1]
    elif Kind.SET_ASIDE in before:
        await _audit_portion(session, erasure, {"set_aside": ITEMS_AT_ONCE})
        cleared = await repository.clear(session, erasure.id, before[Kind.SET_ASIDE], ITEMS_AT_ONCE)
        if not cleared:
            return False
        erasure.bytes_set_aside += cleared
    else:
        return False
    await repository.add(session, erasure)
    return True


async def _finish(session: AsyncSession, erasure: Erasure) -> None:
    """Count what was held back, and make the certificate, whose digest the audit log's chain holds from now on."""
    held = await repository.count_there(session, _named(erasure))
    for kind, before in _cutoffs(erasure).items():
        left = await _COUNTS[kind](session, before)
        held += left.erased + left.held_back
    erasure.held_back = held
    finished_at = now()
    digest = digest_of(await _certificate(session, erasure, finished_at))
    detail: dict[str, object] = {
        "results": erasure.results, "people": erasure.people, "set_aside": erasure.bytes_set_aside,
        "held_back": held, "digest": digest.hex(),
    }  # fmt: skip
    await _audit(session, erasure.organisation_id, _actor(erasure), "erasure.done", "erasure", str(erasure.id), detail)
    erasure.finished_at, erasure.digest = finished_at, digest
    await repository.add(session, erasure)


async def certificate(session: AsyncSession, actor: Actor, erasure_id: UUID) -> dict[str, Any]:
    """The certificate of an erasure that is done, made anew from what stands in the database.

    `whole` says whether it still is what was certified. Raises `NotFound`, and `NotErased` while it is under way.
    """
    found = await repository.listed(session, erasure_id)
    if not found:
        raise NotFound("There is no such erasure in your organisation.")
    erasure = found[0][0]
    if erasure.finished_at is None or erasure.digest is None:
        raise NotErased("It is under way. Look again in a few minutes.")
    await _audit(session, erasure.organisation_id, actor, "erasure.certificate", "erasure", str(erasure_id))
    made = await _certificate(session, erasure, erasure.finished_at)
    return {**made, "digest": digest_of(made).hex(), "whole": digest_of(made) == erasure.digest}


async def _certificate(session: AsyncSession, erasure: Erasure, finished_at: datetime) -> dict[str, Any]:
    """What a certificate says: references only, nothing by which anybody is known."""
    return {
        "certificate": str(erasure.id),
        "organisation": str(erasure.organisation_id),
        "begun_at": erasure.made_at.isoformat(),
        "finished_at": finished_at.isoformat(),
        "by": f"{erasure.actor_kind} {erasure.actor}",
        "because": erasure.because,
        "before": erasure.cutoffs,
        "results": erasure.results,
        "people_erased": erasure.people,
        "set_aside": erasure.bytes_set_aside,
        "held_back": erasure.held_back,
        "people": [str(one) for one in await repository.erased_people(session, erasure.id)],
        "records": [
            {
                "reader": one.reader_id.hex(),
                "number": one.number,
                "chain_hash": one.chain_hash.hex(),
                "result": str(one.result_id),
            }
            for one in await repository.erased_records(session, erasure.id)
        ],
    }


def digest_of(certificate: dict[str, Any]) -> bytes:
    """SHA-256 of a certificate as JSON with sorted keys and no spaces, without its own `digest` and `whole`."""
    said = {name: value for name, value in certificate.items() if name not in ("digest", "whole")}
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).digest()


def _named(erasure: Erasure) -> Named:
    records = tuple((str(reader), int(number)) for reader, number in erasure.named.get("records", ()))
    return Named(tuple(erasure.named.get("people", ())), records)


def _cutoffs(erasure: Erasure) -> dict[Kind, datetime]:
    return {Kind(kind): datetime.fromisoformat(before) for kind, before in erasure.cutoffs.items()}


def _actor(erasure: Erasure) -> Actor:
    return Actor(erasure.actor_kind, erasure.actor)


async def _audit_portion(session: AsyncSession, erasure: Erasure, detail: dict[str, object]) -> None:
    await _audit(
        session, erasure.organisation_id, _actor(erasure), "erasure.portion", "erasure", str(erasure.id), detail
    )


async def _audit(
    session: AsyncSession,
    organisation_id: UUID,
    actor: Actor,
    action: str,
    subject_kind: str,
    subject: str,
    detail: dict[str, object] | dict[str, Any] | None = None,
) -> None:
    await audit.record(
        session,
        organisation_id=organisation_id,
        actor=actor,
        action=action,
        purpose="retention",
        subject_kind=subject_kind,
        subject=subject,
        detail=detail,
    )
