"""What pages show of a follow-up, in words: where it stands, whose it is, when it is due, and what was done."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from server.followup import states
from server.followup.models import FollowUp
from server.followup.policy import Urgency
from server.followup.service import Standing
from server.followup.states import Act, Ending, State
from server.web import formatting

URGENCIES = {Urgency.NOW: "Act now", Urgency.SOON: "Act soon", Urgency.ROUTINE: "Routine"}
NOBODY = "Nobody yet"


@dataclass(frozen=True, slots=True)
class ActWords:
    """What an act is called: on a button, as a heading with what it means, and in the history."""

    button: str
    heading: str
    hint: str
    done: str
    risky: bool = False


ACTS = {
    Act.ACKNOWLEDGE: ActWords("Acknowledge", "Acknowledge this result", "You take it over.", "Acknowledged"),
    Act.PLAN: ActWords(
        "Plan what to do",
        "Plan what to do",
        "Say what is to be done, by whom and by when, so that anybody could go on from there.",
        "Planned what to do",
    ),
    Act.NOT_REACHED: ActWords(
        "Record a try",
        "Record a try to reach the person",
        "Say how you tried. A person who cannot be reached is given up only after several tries.",
        "Tried to reach the person",
    ),
    Act.CONTACT: ActWords(
        "Record a contact",
        "Record that the person was reached",
        "Say how, and what was agreed.",
        "Reached the person",
    ),
    Act.RECORD: ActWords(
        "Record the outcome",
        "Record the outcome for the person",
        "This ends the follow-up: nobody is reminded of it any more.",
        "Recorded the outcome",
        risky=True,
    ),
    Act.CLOSE: ActWords("Close", "Close the follow-up", "Nothing more is to be done.", "Closed", risky=True),
    Act.HAND_OVER: ActWords(
        "Hand over", "Hand over to somebody else", "They answer for it from now on.", "Handed over"
    ),
    Act.REOPEN: ActWords(
        "Open again", "Open the follow-up again", "It becomes due again, as a new result would.", "Opened again"
    ),
}


_OPENED_FOR = {
    "recomputation": "The server's own analysis came to another outcome than the reader.",
    "recall": "The result was recalled.",
}


@dataclass(frozen=True, slots=True)
class Due:
    """When something is due: in words, and whether that is past."""

    words: str
    overdue: bool


@dataclass(frozen=True, slots=True)
class Done:
    """One act in the history."""

    what: str
    who: str
    when: str
    note: str


@dataclass(frozen=True, slots=True)
class Offer:
    """An act that can be done now; `plain` ones need no words and are done by their button."""

    act: str
    button: str
    href: str
    plain: bool


@dataclass(frozen=True, slots=True)
class FollowUpView:
    state: str
    urgency: str
    owner: str
    due: Due | None
    ending: str
    tries: str
    version: int
    offers: list[Offer]
    history: list[Done]


@dataclass(frozen=True, slots=True)
class Brief:
    """A follow-up in a line of the worklist."""

    state: str
    owner: str
    due: Due | None


def brief(follow_up: FollowUp, owner: str | None, zone: ZoneInfo, now: datetime) -> Brief:
    """In the worklist."""
    state = State(follow_up.state)
    ended = states.ENDINGS[Ending(follow_up.ending)] if follow_up.ending else ""
    return Brief(ended or states.WORDS[state], owner or NOBODY, due(follow_up.due_at, zone, now))


def view(standing: Standing, zone: ZoneInfo, now: datetime, *, may_act: bool) -> FollowUpView:
    """On the page of its result."""
    follow_up, owner = standing.follow_up, standing.owner
    state = State(follow_up.state)
    return FollowUpView(
        state=states.WORDS[state],
        urgency=URGENCIES[Urgency(follow_up.urgency)],
        owner=owner or NOBODY,
        due=due(follow_up.due_at, zone, now),
        ending=states.ENDINGS[Ending(follow_up.ending)] if follow_up.ending else "",
        tries=f"{follow_up.tries} of {follow_up.tries_needed}" if follow_up.tries else "",
        version=follow_up.version,
        offers=[_offer(act, follow_up.result_id) for act in states.may(state)] if may_act else [],
        history=_history(standing, zone),
    )


def _history(standing: Standing, zone: ZoneInfo) -> list[Done]:
    """What people did and whom Doorstep told, in the order of time."""
    done = [(event.at, ACTS[Act(event.act)].done, who or "Doorstep", event.note) for event, who in standing.events]
    told: dict[datetime, list[str]] = {}
    for notice, name in standing.told:
        told.setdefault(notice.created_at, []).append(name)
    done += [(at, f"Overdue: told {', '.join(names)}", "Doorstep", "") for at, names in told.items()]
    why = _OPENED_FOR.get(standing.follow_up.opened_for)
    if why:
        done.append((standing.follow_up.opened_at, "Opened", "Doorstep", why))
    done.sort(key=lambda one: one[0])
    return [Done(what, who, formatting.date_and_time(at, zone), note) for at, what, who, note in done]


def _offer(act: Act, result_id: UUID) -> Offer:
    return Offer(act, ACTS[act].button, f"/results/{result_id}/follow-up/{act}", plain=act is Act.ACKNOWLEDGE)


def due(at: datetime | None, zone: ZoneInfo, now: datetime) -> Due | None:
    """`By today at 5:30pm`, `Overdue since 6 August 2026 at 5pm`; None when nothing is due."""
    if at is None:
        return None
    when = formatting.day_and_time(at, zone, now)
    when = when[0].lower() + when[1:] if when[0] in "TY" and not when[1].isdigit() else when
    return Due(f"Overdue since {when}", True) if at < now else Due(f"By {when}", False)
