"""Handing a reader to another organisation, once nothing of it is owed to anybody in the first.

The reader does not move with its history: that stays where it is, and whoever gets the reader can see none of it. It is
revoked here, and begins there under another id, with another key and at record 1; whoever holds it writes both into it
by USB (`doorstep reader provision`).
"""

from sqlmodel.ext.asyncio.session import AsyncSession

from server.audit import service as audit
from server.audit.service import Actor
from server.custody import commands
from server.database import tenancy
from server.database.columns import now
from server.organisations import service as organisations
from server.organisations.models import Organisation
from server.problems import Problem
from server.readers import repository, service
from server.readers.keys import Keyring
from server.readers.repository import Owed
from server.readers.service import EnrolledReader, ReaderRevoked, ReaderUnknown


class SameOrganisation(Problem):
    """It is to stay in its organisation."""

    status = 409
    code = "same-organisation"
    title = "The reader is in that organisation already"


class ReaderOwes(Problem):
    """Something of this reader's is not finished in its organisation."""

    status = 409
    code = "reader-owes"
    title = "The reader cannot be handed over yet"


async def hand_over(
    session: AsyncSession,
    keyring: Keyring,
    giving: Organisation,
    taking: Organisation,
    reader_id: bytes,
    site: str,
    name: str | None,
    actor: Actor,
) -> EnrolledReader:
    """Revoke a reader in `giving` and make its new identity in `taking`, in one transaction; leaves `taking` entered.

    `name` None: it keeps its name. Raises `SameOrganisation`, `ReaderUnknown`, `ReaderRevoked`, `ReaderOwes`,
    `NameUnusable`.
    """
    if giving.id == taking.id:
        raise SameOrganisation("Hubs of one organisation share its readers: nothing has to be done.")
    await tenancy.enter(session, giving.id)
    reader = await repository.find(session, reader_id)
    if reader is None:
        raise ReaderUnknown(f"{giving.name} has no reader {reader_id.hex()}.")
    if reader.revoked_at is not None:
        raise ReaderRevoked("It was taken out of use here. Provision it anew with: doorstep server enrol-reader")
    # No record of it is accepted between this look and the commit.
    await commands.lock(session, reader_id)
    reasons = _reasons(await repository.owed(session, reader_id))
    if reasons:
        raise ReaderOwes(f"{' '.join(reasons)} Nothing was changed.")
    kept_name = reader.name
    await audit.record(
        session,
        organisation_id=giving.id,
        actor=actor,
        action="reader.hand-over",
        subject_kind="reader",
        subject=reader_id.hex(),
        detail={"to": str(taking.id)},
    )
    await repository.revoke(session, reader_id, now())
    await tenancy.enter(session, taking.id)
    place = await organisations.site(session, taking, site)
    return await service.enrol(session, keyring, taking, place, name or kept_name, actor)


def _reasons(owed: Owed) -> list[str]:
    """Why it cannot go yet, each with what to do."""
    reasons = list[str]()
    if owed.undelivered:
        reasons.append(
            f"The reader or a hub still carries {owed.undelivered} of its records: let a hub with a network collect it."
        )
    if owed.unreleased:
        reasons.append("The reader has not taken its last receipt: let a hub collect it once more.")
    if owed.quarantined:
        reasons.append(f"{owed.quarantined} of its records are in quarantine: see doorstep server quarantine list.")
    if owed.follow_ups:
        reasons.append(f"{owed.follow_ups} follow-ups of its results are open: let their owners finish them.")
    return reasons
