"""The states of a follow-up: what may be done when, and what never ends one too soon."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.followup import states
from server.followup.states import OPEN, Act, Ending, NotComplete, NotNow, State, Step, TooFewTries

STEPS = st.builds(
    Step,
    act=st.sampled_from(list(Act)),
    note=st.sampled_from(["", "Call in the morning"]),
    ending=st.none() | st.sampled_from(list(Ending)),
)


@given(st.lists(STEPS, max_size=30), st.integers(1, 5))
def test_nobody_is_closed_without_an_outcome_however_the_acts_are_ordered(steps: list[Step], needed: int) -> None:
    state, ending, tries = State.NEW, None, 0
    for step in steps:
        try:
            state = states.following(state, step, tries, needed)
        except (NotNow, NotComplete, TooFewTries):
            continue
        tries += step.act is Act.NOT_REACHED
        if step.act is Act.RECORD:
            ending = step.ending
            # That is what lifting a recall does, and nobody's choice.
            assert ending is not Ending.RECALL_LIFTED
        if step.act is Act.REOPEN:
            ending, tries = None, 0
        assert (state in OPEN) == (ending is None)
        if ending is Ending.COULD_NOT_BE_REACHED:
            assert tries >= needed


def test_every_state_has_a_way_on_to_an_outcome() -> None:
    reached = {State.NEW}
    for _ in State:
        for state, act in itertools.product(list(reached), Act):
            ending = Ending.TREATED if act is Act.RECORD else None
            try:
                reached.add(states.following(state, Step(act, "because", ending), 9, 3))
            except NotNow:
                continue
    assert reached == set(State)


def test_a_person_is_not_given_up_before_the_tries_that_the_policy_asks_for() -> None:
    give_up = Step(Act.RECORD, ending=Ending.COULD_NOT_BE_REACHED)
    with pytest.raises(TooFewTries, match="2 of 3 tries"):
        states.following(State.PLANNED, give_up, 2, 3)
    assert states.following(State.PLANNED, give_up, 3, 3) is State.OUTCOME


@pytest.mark.parametrize("act", [Act.PLAN, Act.HAND_OVER, Act.REOPEN])
def test_what_others_go_on_from_needs_words(act: Act) -> None:
    state = State.CLOSED if act is Act.REOPEN else State.ACKNOWLEDGED
    with pytest.raises(NotComplete):
        states.following(state, Step(act, "   "), 0, 3)


def test_an_outcome_is_chosen_when_one_is_recorded_and_not_otherwise() -> None:
    with pytest.raises(NotComplete, match="Choose how it ended"):
        states.following(State.CONTACTED, Step(Act.RECORD), 0, 3)
    with pytest.raises(NotComplete):
        states.following(State.NEW, Step(Act.ACKNOWLEDGE, ending=Ending.TREATED), 0, 3)


def test_what_can_be_done_in_a_state_is_what_is_not_refused() -> None:
    for state in State:
        offered = states.may(state)
        for act in Act:
            step = Step(act, "because", Ending.TREATED if act is Act.RECORD else None)
            try:
                states.following(state, step, 9, 3)
            except NotNow:
                assert act not in offered
            else:
                assert act in offered


def test_every_state_and_ending_has_words() -> None:
    assert set(states.WORDS) == set(State)
    assert set(states.ENDINGS) == set(Ending)
