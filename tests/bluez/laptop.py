"""The whole path, with its hub in the guest: stock bleak on the guest's BlueZ, and no emulated radio of ours."""

import asyncio
import json
from pathlib import Path

from emulator.path import ORGANISATION, Enrolled, WholePath
from tests.bluez.guest import Guest, GuestProgram
from tests.system.village import Event, Village


class LaptopPath(WholePath):
    """Server and readers on this machine, the hub in the guest."""

    def __init__(self, folder: Path, guest: Guest, seed: int, told: object) -> None:
        self.guest = guest
        super().__init__(folder, seed=seed, told=told)  # type: ignore[arg-type]

    async def __aenter__(self) -> "LaptopPath":
        await self.guest.relay(self.place.port)
        await super().__aenter__()
        await self.guest.plug_in(self.bench.radio)
        await self.guest.start_bluez()
        await self.guest.power(on=True)
        return self

    def _hub(self) -> GuestProgram:  # type: ignore[override]
        return GuestProgram("hub", self.guest, self.place, "hub", "run", "--json-events", told=self._event)

    async def command(self, *arguments: str, given: str | None = None) -> str:
        if arguments[0] == "hub":
            return await self.guest.command(self.place, *arguments)
        return await super().command(*arguments, given=given)


class LaptopVillage(Village):
    """A village whose laptop is the guest."""

    def __init__(self, folder: Path, guest: Guest, seed: int) -> None:
        super().__init__(folder, seed)
        self.path = LaptopPath(folder, guest, seed, self._told)

    async def until_told(self, kind: str, since: int, timeout: float = 240, **fields: object) -> Event:
        """Wait for an event of that kind with those fields among the hub's events after the first `since`."""

        def found(events: list[Event]) -> list[Event]:
            wanted = {"event": kind, **fields}
            return [event for event in events if wanted.items() <= event.items()]

        await self.until(found, since, timeout)
        return found(self.events[since:])[0]


async def arrived(village: Village, since: int, timeout: float = 240) -> dict[str, int]:
    """Wait until every reader has its receipts: how many records each issued.

    Each is held by the server in a whole chain, and was collected once: so say the events after the first `since`.
    """
    custody = await village.path.settled(timeout)
    ledger = json.loads(await village.path.command("custody", "--organisation", ORGANISATION, "--prove", "--json"))
    proofs = {line["reader_id"]: line["proof"] for line in ledger["readers"]}
    issued: dict[str, int] = {}
    for enrolled in village.path.readers:
        counts = custody[enrolled.reader_id]
        assert len(set(counts.values())) == 1, counts
        issued[enrolled.reader_id] = counts["issued"]
        assert proofs[enrolled.reader_id]["whole"]
        assert proofs[enrolled.reader_id]["held"] == counts["issued"]
        assert sum(collected(village.events[since:], enrolled)) == counts["issued"]
    return issued


def collected(events: list[Event], enrolled: Enrolled) -> list[int]:
    """How many records each store of this reader's took."""
    return [
        event["count"] for event in events if event["event"] == "collected" and event["reader"] == enrolled.reader_id
    ]


async def both_connected(first: Enrolled, second: Enrolled, timeout: float = 120) -> None:
    """Wait until both readers have their links at the same moment."""
    readers = (first.reader, second.reader)
    async with asyncio.timeout(timeout):
        while not all(reader.connected for reader in readers):
            waiting = next(reader for reader in readers if not reader.connected)
            await waiting.wait_for(lambda waiting=waiting: waiting.connected, timeout, "a link")
