"""The catalogue of assays: what the release brings and what an organisation loads, and sending either to readers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlmodel.ext.asyncio.session import AsyncSession

from reader import assays, packfile, wire
from server.assays import repository
from server.assays.models import AssayPack, AssaySending
from server.assays.repository import Sent
from server.audit import service as audit
from server.audit.service import Actor
from server.custody import queueing
from server.organisations.models import Organisation
from server.problems import Problem
from server.readers.keys import Keyring
from server.readers.service import ReaderUnknown

Assay = assays.StripAssay | assays.AmplificationAssay


class PackUnusable(Problem):
    """The file is no pack that may be used; the detail names the field."""

    status = 422
    code = "assay-pack-unusable"
    title = "That is no assay pack that may be used"


class VersionFixed(Problem):
    """There is another definition under that id and version."""

    status = 409
    code = "assay-version-fixed"
    title = "That version of the assay is another definition"


class TradeItemTaken(Problem):
    """Another assay has one of the GTINs."""

    status = 409
    code = "trade-item-taken"
    title = "A trade item number is another assay's"


class AssayUnknown(Problem):
    """The catalogue has no such assay or version."""

    status = 404
    code = "assay-unknown"
    title = "There is no such assay"


class VersionLowered(Problem):
    """A reader was given a higher version: it would refuse this one."""

    status = 409
    code = "assay-version-lowered"
    title = "The reader was given a higher version"


class Origin(StrEnum):
    """Where a pack is from."""

    RELEASE = "release"
    LOADED = "loaded"


@dataclass(frozen=True, slots=True)
class Known:
    """One version of an assay in the catalogue."""

    assay: Assay
    pack: bytes
    digest: str
    origin: Origin
    loaded_at: datetime | None = None


async def catalogue(session: AsyncSession) -> list[Known]:
    """Every pack of the release and of the organisation that is entered, by id and version."""
    found = [
        Known(assays.decode(pack), pack, packfile.digest(pack), Origin.RELEASE) for pack in packfile.built_in().values()
    ]
    found.extend(
        Known(assays.decode(one.pack), one.pack, one.digest, Origin.LOADED, one.loaded_at)
        for one in await repository.loaded(session)
    )
    return sorted(found, key=lambda known: (known.assay.id, known.assay.version))


async def definition(session: AsyncSession, assay_id: str, version: int) -> Assay | None:
    """The assay of that id and that very version, or None: another version is another definition."""
    known = packfile.find(assay_id, version)
    if known is None:
        one = await repository.find(session, assay_id, version)
        known = assays.decode(one.pack) if one else None
    return known


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of loading a pack. `added` is False when the same was there; `again` results wait for recomputation."""

    assay: Assay
    digest: str
    added: bool
    again: int


async def load(session: AsyncSession, organisation: Organisation, pack: bytes, actor: Actor) -> Loaded:
    """Add a checked pack to the organisation's catalogue. Raises `VersionFixed`, `TradeItemTaken`."""
    assay, digest = assays.decode(pack), packfile.digest(pack)
    known = await catalogue(session)
    for one in known:
        if (one.assay.id, one.assay.version) == (assay.id, assay.version):
            if one.digest != digest:
                raise VersionFixed(_fixed(assay, one.digest))
            return Loaded(assay, digest, False, 0)
    _claim(assay, known)
    await audit.record(
        session,
        organisation_id=organisation.id,
        actor=actor,
        action="assay.load",
        subject_kind="assay",
        subject=f"{assay.id} {assay.version}",
        detail={"digest": digest, "illustrative": assay.illustrative},
    )
    row = AssayPack(
        organisation_id=organisation.id, assay=assay.id, version=assay.version, pack=pack, digest=digest,
        actor_kind=actor.kind, actor=actor.name,
    )  # fmt: skip
    if not await repository.add(session, row):
        other = await repository.find(session, assay.id, assay.version)
        if other is None or other.digest != digest:
            raise VersionFixed(_fixed(assay, other.digest if other else "unknown"))
        return Loaded(assay, digest, False, 0)
    return Loaded(assay, digest, True, await repository.recompute_again(session, assay.id, assay.version))


def _fixed(assay: Assay, digest: str) -> str:
    return (
        f"{assay.id} version {assay.version} is there with another content (SHA-256 {digest[:16]}…). A version is never"
        " changed: give the new definition a higher one."
    )


def _claim(assay: Assay, known: Sequence[Known]) -> None:
    """A cassette must never be two tests: no GTIN may be another assay's, its control materials' included."""
    wanted = {*assay.gtins, *(material[0] for material in assay.controls)}
    for one in known:
        if one.assay.id == assay.id:
            continue
        taken = wanted & {*one.assay.gtins, *(material[0] for material in one.assay.controls)}
        if taken:
            raise TradeItemTaken(f"The trade item number {min(taken)} is {one.assay.id}'s. Correct the file.")


class State(StrEnum):
    """How far a pack that was sent to a reader is."""

    WAITING = "waiting"
    """No hub has brought it yet, or the reader could not take it yet."""
    TAKEN = "taken"
    REFUSED = "refused"
    """The reader could not follow it; its event says why."""


def state_of(sent: Sent) -> State:
    """From what the reader said of the command."""
    if sent.taken_at is None:
        return State.WAITING
    return State.TAKEN if sent.refusal is None else State.REFUSED


@dataclass(frozen=True, slots=True)
class Sending:
    """What was done for one reader. `number` is the command's; None when the reader has that version or it waits."""

    reader_id: bytes
    reader: str
    number: int | None


@dataclass(frozen=True, slots=True)
class SendingAll:
    """The version that was sent, and to which readers; `higher` were given a higher one and are left alone."""

    version: int
    digest: str
    readers: list[Sending]
    higher: list[str]


async def send(
    session: AsyncSession,
    keyring: Keyring,
    organisation: Organisation,
    assay_id: str,
    version: int | None,
    reader_id: bytes | None,
    actor: Actor,
) -> SendingAll:
    """Queue a version (the newest without one) for one reader, or for all that are not revoked.

    Raises `AssayUnknown`, `ReaderUnknown`, `VersionLowered` (for one reader), `KeyUnreadable`, `QueueBusy`.
    """
    known = _chosen(await catalogue(session), assay_id, version)
    chosen = known.assay.version
    readers = await repository.readers(session)
    if reader_id is not None:
        readers = [one for one in readers if one[0] == reader_id]
        if not readers:
            raise ReaderUnknown(f"{organisation.name} has no reader {reader_id.hex()} that is not revoked.")
    given = _given(await repository.sent(session, assay_id))
    higher = [one for one in readers if given.get(one[0], 0) > chosen]
    if higher and reader_id is not None:
        raise VersionLowered(
            f"Reader {reader_id.hex()} was given {assay_id} version {given[reader_id]}. A reader never goes back: send"
            " that definition as a higher version."
        )
    todo = [one for one in readers if given.get(one[0], 0) < chosen]
    await audit.record(
        session,
        organisation_id=organisation.id,
        actor=actor,
        action="assay.send",
        subject_kind="assay",
        subject=f"{assay_id} {chosen}",
        detail={"digest": known.digest, "readers": [one.hex() for one, _ in todo]},
    )
    message = {wire.DOWN_TYPE: wire.DOWN_ASSAY, wire.DOWN_A: known.pack}
    numbers = await queueing.queue(session, keyring, organisation.id, [one for one, _ in todo], message)
    for one, number in numbers.items():
        repository.note(
            session,
            AssaySending(
                reader_id=one, number=number, organisation_id=organisation.id, assay=assay_id, version=chosen,
                digest=known.digest,
            ),
        )  # fmt: skip
    await session.flush()
    left = {one for one, _ in higher}
    sendings = [Sending(one, name, numbers.get(one)) for one, name in readers if one not in left]
    return SendingAll(chosen, known.digest, sendings, [name for _, name in higher])


def _chosen(known: Sequence[Known], assay_id: str, version: int | None) -> Known:
    found = [one for one in known if one.assay.id == assay_id and version in (None, one.assay.version)]
    if not found:
        which = f"{assay_id} version {version}" if version else assay_id
        raise AssayUnknown(f"There is no {which}. See what there is with: doorstep server assay list")
    return max(found, key=lambda one: one.assay.version)


def _given(sent: Sequence[Sent]) -> dict[bytes, int]:
    """The highest version that each reader was given and has not refused."""
    given: dict[bytes, int] = {}
    for one in sent:
        if state_of(one) is not State.REFUSED:
            given[one.reader_id] = max(one.version, given.get(one.reader_id, 0))
    return given


@dataclass(frozen=True, slots=True)
class Held:
    """What a reader is known to have of an assay, and what was sent to it last."""

    reader_id: bytes
    reader: str
    assay: str
    taken: int | None
    sent: int
    state: State


async def held(session: AsyncSession) -> list[Held]:
    """What each reader was sent of each assay. A reader without a line has the packs of its firmware only."""
    by_reader: dict[tuple[str, bytes], list[Sent]] = {}
    for one in await repository.sent(session):
        by_reader.setdefault((one.assay, one.reader_id), []).append(one)
    lines: list[Held] = []
    for (assay_id, reader_id), sent in by_reader.items():
        taken = [one.version for one in sent if state_of(one) is State.TAKEN]
        last = sent[-1]
        lines.append(Held(reader_id, last.reader, assay_id, max(taken, default=None), last.version, state_of(last)))
    return lines
