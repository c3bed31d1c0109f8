"""The states of a follow-up, the acts that move it, and what each act needs: one table, no act outside it.

    new -> acknowledged -> planned -> contacted -> outcome recorded -> closed
A person may be reached, or an outcome be known, before anything was planned; every state but *closed* may be handed
over; *outcome recorded* and *closed* are reopened by a correction, a recall or a person, never edited.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from server.problems import Problem


class State(IntEnum):
    """Stored; never renumbered."""

    NEW = 1
    ACKNOWLEDGED = 2
    PLANNED = 3
    CONTACTED = 4
    OUTCOME = 5
    CLOSED = 6


OPEN = (State.NEW, State.ACKNOWLEDGED, State.PLANNED, State.CONTACTED)
"""States in which a person is waited for: an owner and a due time are demanded."""


class Act(StrEnum):
    """What can be done with a follow-up; stored with each event."""

    ACKNOWLEDGE = "acknowledge"
    PLAN = "plan"
    NOT_REACHED = "not-reached"
    CONTACT = "contact"
    RECORD = "record"
    CLOSE = "close"
    HAND_OVER = "hand-over"
    REOPEN = "reopen"


class Ending(StrEnum):
    """How it ended for the person; stored. `COULD_NOT_BE_REACHED` needs the tries that the policy asks for."""

    TREATED = "treated"
    REFERRED = "referred"
    CONFIRMED_NEGATIVE = "confirmed-negative"
    REPEATED = "repeated"
    NO_TREATMENT_NEEDED = "no-treatment-needed"
    DECLINED = "declined"
    TRANSFERRED = "transferred"
    DIED = "died"
    COULD_NOT_BE_REACHED = "could-not-be-reached"
    RECALL_LIFTED = "recall-lifted"
    """Never a person's choice: by lifting the recall that alone had opened it."""


_MOVES: dict[tuple[State, Act], State] = {
    (State.NEW, Act.ACKNOWLEDGE): State.ACKNOWLEDGED,
    (State.ACKNOWLEDGED, Act.PLAN): State.PLANNED,
    (State.PLANNED, Act.PLAN): State.PLANNED,
    (State.CONTACTED, Act.PLAN): State.CONTACTED,
    (State.ACKNOWLEDGED, Act.NOT_REACHED): State.ACKNOWLEDGED,
    (State.PLANNED, Act.NOT_REACHED): State.PLANNED,
    (State.CONTACTED, Act.NOT_REACHED): State.CONTACTED,
    (State.ACKNOWLEDGED, Act.CONTACT): State.CONTACTED,
    (State.PLANNED, Act.CONTACT): State.CONTACTED,
    (State.CONTACTED, Act.CONTACT): State.CONTACTED,
    (State.ACKNOWLEDGED, Act.RECORD): State.OUTCOME,
    (State.PLANNED, Act.RECORD): State.OUTCOME,
    (State.CONTACTED, Act.RECORD): State.OUTCOME,
    (State.OUTCOME, Act.CLOSE): State.CLOSED,
    (State.OUTCOME, Act.REOPEN): State.NEW,
    (State.CLOSED, Act.REOPEN): State.NEW,
    **{(state, Act.HAND_OVER): state for state in OPEN},
}


class NotNow(Problem):
    """The act does not fit the state, most often because somebody else was quicker."""

    status = 409
    code = "follow-up-moved"
    title = "The follow-up has moved on"


class TooFewTries(Problem):
    """A person is given up only after the tries that the policy asks for."""

    status = 422
    code = "too-few-tries"
    title = "Try again before you give up"


class NotComplete(Problem):
    """The act lacks what makes it understood later."""

    status = 422
    code = "follow-up-not-complete"
    title = "Something is missing"


@dataclass(frozen=True, slots=True)
class Step:
    """An act with what it carries. `note` is the person's own words; `ending` only with `Act.RECORD`."""

    act: Act
    note: str = ""
    ending: Ending | None = None


NOTE_MAX = 2_000
# An act whose words are the record of what was decided: without them nobody could go on from there.
_NEEDS_NOTE = {Act.PLAN, Act.HAND_OVER, Act.REOPEN}


def following(state: State, step: Step, tries: int, tries_needed: int) -> State:
    """The state after `step`, with `tries` unanswered contacts so far.

    Raises `NotNow`, `TooFewTries` or `NotComplete`, each with a sentence for the person.
    """
    after = _MOVES.get((state, step.act))
    if after is None:
        raise NotNow(f"It is {WORDS[state].lower()}, so this cannot be done. Look at what has happened, then decide.")
    if len(step.note) > NOTE_MAX:
        raise NotComplete(f"Write at most {NOTE_MAX:,} characters.")
    if step.act in _NEEDS_NOTE and not step.note.strip():
        raise NotComplete("Write what is to be done and why, so that whoever comes next can go on from there.")
    if (step.act is Act.RECORD) != (step.ending is not None) or step.ending is Ending.RECALL_LIFTED:
        raise NotComplete("Choose how it ended.")
    if step.ending is Ending.COULD_NOT_BE_REACHED and tries < tries_needed:
        raise TooFewTries(
            f"{tries} of {tries_needed} tries are recorded. Record each try to reach the person, at different times of "
            "day, before it ends as could not be reached."
        )
    return after


def may(state: State) -> list[Act]:
    """What a person can do in a state, in the order in which it is usually done."""
    return [act for act in Act if (state, act) in _MOVES]


WORDS = {
    State.NEW: "New",
    State.ACKNOWLEDGED: "Acknowledged",
    State.PLANNED: "Action planned",
    State.CONTACTED: "Person contacted",
    State.OUTCOME: "Outcome recorded",
    State.CLOSED: "Closed",
}
ENDINGS = {
    Ending.TREATED: "Treated",
    Ending.REFERRED: "Referred",
    Ending.CONFIRMED_NEGATIVE: "Confirmed negative by another test",
    Ending.REPEATED: "Repeated, and followed up with the new result",
    Ending.NO_TREATMENT_NEEDED: "No treatment needed",
    Ending.DECLINED: "Declined by the person",
    Ending.TRANSFERRED: "Taken over by another service, which confirmed it",
    Ending.DIED: "The person has died",
    Ending.COULD_NOT_BE_REACHED: "Could not be reached",
    Ending.RECALL_LIFTED: "The recall that opened it was lifted",
}
CHOICES = tuple(ending for ending in Ending if ending is not Ending.RECALL_LIFTED)
"""How a person can say that it ended."""
