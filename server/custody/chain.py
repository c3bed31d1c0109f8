"""What becomes of authentic records: which take their place, which are there already, which break the chain.

Pure: it decides from what is held and what is offered, and touches nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum


class Place(Enum):
    """What an authentic record is at its place."""

    TAKEN = "taken"
    """It is new and takes its place."""
    DUPLICATE = "duplicate"
    """The same bytes are held there."""
    CONFLICT = "conflict"
    """Other bytes are held there."""
    FORK = "fork"
    """The record before it is held, and is not the one that this names."""


@dataclass(slots=True)  # made by the thousand, and a frozen one takes five times as long to make
class Link:
    """An authentic record as the chain sees it. `index` is its position in the offer.

    `damages` is the number that it declares damaged, where it is the reader's event of that.
    """

    index: int
    reader_id: bytes
    number: int
    previous: bytes
    chain_hash: bytes
    damages: int | None = None


@dataclass(slots=True)
class Held:
    """How far one reader's chain is held, and what of the numbers in question is held: number to (previous, hash).

    `held_to` is 0 and `held_hash` the hash before record 1 when nothing is held. `damaged` are numbers beyond `held_to`
    that the reader itself has declared damaged: one counts as held once its successor, which names its hash, is held.
    """

    held_to: int
    held_hash: bytes
    at: dict[int, tuple[bytes, bytes]] = field(default_factory=dict[int, tuple[bytes, bytes]])
    damaged: set[int] = field(default_factory=set[int])

    def hash_at(self, number: int) -> bytes | None:
        """The chain hash at `number`, None where nothing is held."""
        if number == self.held_to:
            return self.held_hash
        found = self.at.get(number)
        return found[1] if found else None


@dataclass(frozen=True, slots=True)
class Placing:
    """The decision: what each link is, by index; and readers whose held successors do not follow what came between."""

    places: dict[int, Place]
    broken: dict[bytes, list[int]]


def place(links: Iterable[Link], held: Mapping[bytes, Held]) -> Placing:
    """Decide for every link; `held` is brought up to date with those that take their place.

    `held[reader].at` must know the numbers offered and those declared damaged, there or in the offer, with those before
    and those after, where they are held.
    """
    by_reader: defaultdict[bytes, list[Link]] = defaultdict(list)
    for link in links:
        by_reader[link.reader_id].append(link)
    places: dict[int, Place] = {}
    broken: dict[bytes, list[int]] = {}
    for reader_id, its_links in by_reader.items():
        state = held[reader_id]
        # Lowest number first, so that each is judged by a predecessor of the same offer; of two that claim one place,
        # the first offered is looked at first, and one that does not follow the chain takes no place.
        for link in sorted(its_links, key=lambda link: (link.number, link.index)):
            places[link.index] = _place_one(link, state)
        taken = [link for link in its_links if places[link.index] is Place.TAKEN]
        # What was lost was there before its loss could be journalled.
        state.damaged.update(link.damages for link in taken if link.damages and link.damages < link.number)
        numbers = [number + 1 for number in sorted(link.number for link in taken) if _breaks(number, state)]
        if numbers:
            broken[reader_id] = numbers
        _advance(state)
    return Placing(places, broken)


def _place_one(link: Link, state: Held) -> Place:
    there = state.at.get(link.number)
    if there is not None:
        return Place.DUPLICATE if there[1] == link.chain_hash else Place.CONFLICT
    before = state.hash_at(link.number - 1)
    if before is not None and before != link.previous:
        return Place.FORK
    state.at[link.number] = (link.previous, link.chain_hash)
    return Place.TAKEN


def _breaks(number: int, state: Held) -> bool:
    """True when the record after `number` was held before it came, and does not follow it."""
    after = state.at.get(number + 1)
    return after is not None and after[0] != state.at[number][1]


def _advance(state: Held) -> None:
    """Move `held_to` up while the next record is held and follows, or is declared damaged and its successor held."""
    while True:
        following = state.at.get(state.held_to + 1)
        if following is not None and following[0] == state.held_hash:
            state.held_to += 1
            state.held_hash = following[1]
        elif following is not None or not _pass_damaged(state):
            return


def _pass_damaged(state: Held) -> bool:
    """Move `held_to` over a run of damaged numbers, whose last has the hash that the record after it names."""
    last = state.held_to
    while last + 1 in state.damaged and last + 1 not in state.at:
        last += 1
    successor = state.at.get(last + 1)
    if last == state.held_to or successor is None:
        return False
    state.held_to, state.held_hash = last, successor[0]
    return True


def advance(state: Held, beyond: Iterable[tuple[int, bytes, bytes]]) -> None:
    """Move `held_to` up through records (number, previous, hash) that were held before, as far as they follow."""
    for number, previous, chain_hash in beyond:
        state.at[number] = (previous, chain_hash)
    _advance(state)
