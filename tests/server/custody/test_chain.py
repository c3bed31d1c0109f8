"""Any offers, in any order, however often: the places they end in are those of the reader's own chain."""

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from server.custody.chain import Held, Link, Place, advance, place

READER = bytes(8)
ROOT = b"root"


def chain(length: int, seed: str) -> list[tuple[int, bytes, bytes]]:
    """(number, previous, hash) of a reader's records; chains of one seed agree, others part at record 1."""
    links: list[tuple[int, bytes, bytes]] = []
    before = ROOT
    for number in range(1, length + 1):
        after = hashlib.sha256(f"{seed}{number}".encode() + before).digest()
        links.append((number, before, after))
        before = after
    return links


class Model:
    """What the database holds, offered in batches as the server does it."""

    def __init__(self) -> None:
        self.rows: dict[int, tuple[bytes, bytes]] = {}
        self.held_to, self.held_hash = 0, ROOT

    def offer(self, batch: list[tuple[int, bytes, bytes]]) -> list[Place]:
        wanted = {number + step for number, _, _ in batch for step in (-1, 0, 1)}
        held = {READER: Held(self.held_to, self.held_hash, {n: self.rows[n] for n in wanted if n in self.rows})}
        links = [Link(i, READER, number, previous, after) for i, (number, previous, after) in enumerate(batch)]
        placing = place(links, held)
        for link in links:
            if placing.places[link.index] is Place.TAKEN:
                assert link.number not in self.rows, "a place is never given twice"
                self.rows[link.number] = (link.previous, link.chain_hash)
        advance(held[READER], [(n, *self.rows[n]) for n in sorted(self.rows) if n > held[READER].held_to])
        assert held[READER].held_to >= self.held_to
        self.held_to, self.held_hash = held[READER].held_to, held[READER].held_hash
        return [placing.places[i] for i in range(len(batch))]

    def is_sound(self) -> None:
        """1 … held_to are all there and follow one another, and what comes after does not."""
        before = ROOT
        for number in range(1, self.held_to + 1):
            assert self.rows[number][0] == before
            before = self.rows[number][1]
        assert before == self.held_hash
        following = self.rows.get(self.held_to + 1)
        assert following is None or following[0] != before


MINE, CLONE = chain(8, "mine"), chain(8, "clone")


@settings(max_examples=400, deadline=None)
@given(st.lists(st.lists(st.sampled_from(MINE), max_size=6), max_size=8))
def test_an_honest_chain_is_held_to_its_longest_beginning(batches: list[list[tuple[int, bytes, bytes]]]) -> None:
    model = Model()
    offered: set[int] = set()
    for batch in batches:
        for (number, _before, _after), found in zip(batch, model.offer(batch), strict=True):
            assert found is (Place.DUPLICATE if number in offered else Place.TAKEN)
            offered.add(number)
        model.is_sound()
        expected = next(n for n in range(10) if n + 1 not in offered)
        assert model.held_to == expected


@settings(max_examples=600, deadline=None)
@given(st.lists(st.lists(st.sampled_from(MINE + CLONE), max_size=6), max_size=8))
def test_with_a_clone_what_is_held_is_still_one_chain_and_every_dispute_is_seen(
    batches: list[list[tuple[int, bytes, bytes]]],
) -> None:
    model = Model()
    for batch in batches:
        for (number, _, after), found in zip(batch, model.offer(batch), strict=True):
            if found is Place.TAKEN:
                assert model.rows[number][1] == after
            elif found in (Place.DUPLICATE, Place.CONFLICT):
                assert (model.rows[number][1] == after) is (found is Place.DUPLICATE)
        model.is_sound()


def declared(number: int, index: int, damages: int | None = None) -> Link:
    before, after = MINE[number - 1][1:]
    return Link(index, READER, number, before, after, damages)


def test_a_number_declared_damaged_is_passed_with_the_hash_that_its_successor_names() -> None:
    held = {READER: Held(2, MINE[1][2], {2: MINE[1][1:]})}
    place([declared(5, 0), declared(8, 1, damages=3), declared(7, 2, damages=4)], held)
    # 3 and 4 are lost, 5 is there; 6 is not, and nobody says why.
    assert (held[READER].held_to, held[READER].held_hash) == (5, MINE[4][2])


def test_a_number_declared_damaged_waits_for_its_successor() -> None:
    held = {READER: Held(2, MINE[1][2], {})}
    place([declared(5, 0, damages=3)], held)
    assert held[READER].held_to == 2
    place([declared(4, 0)], held)
    assert (held[READER].held_to, held[READER].held_hash) == (5, MINE[4][2])


def test_a_record_can_only_declare_an_earlier_one_damaged() -> None:
    held = {READER: Held(0, ROOT, {})}
    place([declared(1, 0, damages=2), declared(3, 1, damages=3)], held)
    assert held[READER].held_to == 1


def test_a_forked_event_declares_nothing() -> None:
    held = {READER: Held(2, MINE[1][2], {})}
    placing = place([Link(0, READER, 3, CLONE[2][1], CLONE[2][2], damages=2), declared(5, 1)], held)
    assert placing.places[0] is Place.FORK
    assert held[READER].held_to == 2


def test_a_damaged_record_that_turns_up_takes_its_place_when_it_follows_and_is_shown_when_it_does_not() -> None:
    held = {READER: Held(2, MINE[1][2], {})}
    place([declared(4, 0), declared(5, 1, damages=3)], held)
    assert held[READER].held_to == 5
    held[READER].at[2] = MINE[1][1:]
    assert place([declared(3, 0)], held).places[0] is Place.TAKEN
    other = {READER: Held(5, MINE[4][2], {2: MINE[1][1:], 4: MINE[3][1:]})}
    placing = place([Link(0, READER, 3, MINE[1][2], b"another")], other)
    assert placing.broken == {READER: [4]}


@settings(max_examples=300, deadline=None)
@given(st.permutations([1, 2, 5, 7, 8]), st.lists(st.integers(1, 5), min_size=0, max_size=4))
def test_in_whatever_order_it_comes_all_is_held_behind_what_is_damaged(order: list[int], cuts: list[int]) -> None:
    # Events 7 and 8 declare 3 and 4 damaged.
    says = {7: 3, 8: 4, 5: None, 2: None, 1: None}
    links = {number: MINE[number - 1] for number in order}
    state = Held(0, ROOT, {})
    held = {READER: state}
    at = 0
    for cut in [*cuts, len(order)]:
        batch, at = order[at : at + cut], at + cut
        place([Link(i, READER, n, *links[n][1:], says[n]) for i, n in enumerate(batch)], held)
    if at < len(order):
        place([Link(i, READER, n, *links[n][1:], says[n]) for i, n in enumerate(order[at:])], held)
    # 6 was never declared: all before it is held, nothing after.
    assert state.held_to == 5
