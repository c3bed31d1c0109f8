"""What the state of the hub means for the person in front of it: one sentence, and what to do with each reader. Pure.

It speaks of records, because the hub cannot know which of the sealed records are results.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from reader import wire

State = Literal["safe", "busy", "wait", "act"]

# What stops collecting, the worst first.
_BLOCKS = (
    "not-enrolled", "disk-full", "store-read-only", "no-adapter", "adapter-off", "no-permission", "radio-failed",
)  # fmt: skip
# The server is not reached, and will be by itself once there is a way to it.
_NO_WAY = ("server-unreachable", "network-in-the-way", "certificate", "server-busy", "server-failed")
_REFUSED = ("server-refused", "version-too-old", "answer-not-understood")
_NOTHING_TO_DO = "Nothing to do."


@dataclass(frozen=True, slots=True)
class Progress:
    """Records of one reader: taken of those it had when the visit began; `left_s` when it can be told."""

    done: int
    total: int
    left_s: float | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """The update of one reader: `text` says where it is, `done` of `total` bytes are there. `idle`: nobody here can do
    anything for it."""

    text: str
    done: int
    total: int
    idle: bool = False


@dataclass(frozen=True, slots=True)
class Headline:
    """`text` is one sentence; `detail` says what it means for the lid, or is empty."""

    state: State
    text: str
    detail: str = ""


def headline(status: Mapping[str, Any], collecting: Mapping[str, Progress] | None = None) -> Headline:
    """The one sentence over everything; `status` as `hub.status.read` gives it, `collecting` by reader id in hex."""
    problems = {problem["code"]: problem for problem in reversed(status["problems"])}
    block = _first(problems, _BLOCKS)
    if block is not None:
        return Headline("act", problems[block]["sentence"], problems[block]["next_step"])
    if collecting:
        return Headline("busy", _collecting(collecting), "Keep the lid open and the readers near.")
    here, there = status["undelivered"] + status["carried"], status["on_readers"]
    forms = status["registrations"]["waiting"]
    if (here or there or forms) and not status["running"]:
        return Headline("act", f"Doorstep is not running; {_left(here, there, forms)}.", "Run: doorstep hub.")
    if here or forms:
        return _waiting(here, forms, problems)
    weak = [reader for reader in status["readers"] if _problem(problems_of(status, reader["id"]), "reader-battery")]
    if weak:
        names = _names(weak)
        return Headline("act", f"{names} {'needs' if len(weak) == 1 else 'need'} charging.", _closing(there))
    if there:
        holders = [reader for reader in status["readers"] if reader["on_reader"]]
        are = "record is" if there == 1 else "records are"
        return Headline("wait", f"{there:,} {are} still on {_names(holders)}.", _closing(there))
    if not status["readers"]:
        return Headline("wait", "No reader has been seen yet.", "Switch a reader on and bring it near.")
    return Headline("safe", "Safe to close.", "Everything collected is delivered.")


def todo(status: Mapping[str, Any], reader: Mapping[str, Any], near: bool, busy: bool) -> str:
    """What to do with one reader."""
    problems = problems_of(status, reader["id"])
    if problems:
        return problems[0]["next_step"]
    if busy:
        return "Keep it near until everything is collected."
    if reader["on_reader"]:
        return "Keep it near: it is collected next." if near else "Bring it near, to collect what it holds."
    if reader["released"] < reader["delivered"]:
        return "Keep it near: it gets its receipt next." if near else "Bring it near once more, to give it its receipt."
    if reader["update"] is not None and not update_of(reader["update"]).idle:
        return _todo_of_update(reader["update"], near)
    if reader["flags"] & wire.FLAG_CONTROL_DUE:
        return "Run its quality control before the next test."
    if reader["undelivered"]:
        return "Nothing to do: what it held is here and waits for the server."
    return _NOTHING_TO_DO


def update_of(update: Mapping[str, Any]) -> Update:
    """How far the update of a reader is, as `hub.status.read` gives it."""
    size, held, offset, code = update["size"], update["held"], update["offset"], update["code"]
    if offset == size:
        return Update("On the reader", size, size)
    if held < size:
        return Update(f"On its way from the server, {_percent(held, size)}", held, size, idle=True)
    if code == wire.ERR_UNKNOWN_OP:
        return Update("This reader cannot be updated without a cable", offset, size, idle=True)
    if code == wire.ERR_BATTERY:
        return Update(f"Waits for a charged battery, {_percent(offset, size)}", offset, size)
    if code == wire.ERR_STORAGE:
        return Update(f"Waits until no test runs, {_percent(offset, size)}", offset, size)
    if offset == 0:
        return Update("Waits here", 0, size)
    return Update(_percent(offset, size), offset, size)


def _todo_of_update(update: Mapping[str, Any], near: bool) -> str:
    if update["offset"] == update["size"]:
        return "Leave it switched on and charged: it starts its update by itself when nobody uses it."
    if update["code"] == wire.ERR_BATTERY:
        return "Charge it, and keep it near: its update goes on then."
    if near:
        return "Keep it near: it is getting an update. It can be used meanwhile."
    return "Bring it near for ten minutes, to give it an update."


def _percent(done: int, total: int) -> str:
    """Rounded down, so that 100% is all."""
    return f"{100 * done // total}%"


def problems_of(status: Mapping[str, Any], reader_id: str) -> list[Mapping[str, Any]]:
    """The problems that speak of one reader, the oldest first."""
    return [problem for problem in status["problems"] if problem["subject"] == reader_id]


def seconds_left(done: int, total: int, elapsed_s: float) -> float | None:
    """How long the rest takes at the pace so far; None until there is a pace to go by."""
    if done <= 0 or elapsed_s < 1:
        return None
    return (total - done) * elapsed_s / done


def _waiting(here: int, forms: int, problems: Mapping[str, Any]) -> Headline:
    what = f"{_counted(here, forms)} {'waits' if here + forms == 1 else 'wait'}"
    closing = "All is kept on this laptop: you may close the lid. It goes when the lid is open and there is a network."
    refused = _first(problems, _REFUSED)
    if refused is not None:
        why = problems[refused]
        return Headline("act", f"{what} here: {inner(why['sentence'])}", why["next_step"])
    if _first(problems, _NO_WAY) == "server-busy":
        return Headline("busy", f"{what} for the server, which is busy.", closing)
    if _first(problems, _NO_WAY) is not None:
        return Headline("wait", f"{what} for a network.", closing)
    return Headline(
        "busy",
        f"{_counted(here, forms)} {'is' if here + forms == 1 else 'are'} not delivered yet.",
        "Keep the lid open until the server has given its receipt.",
    )


def _counted(records: int, forms: int) -> str:
    parts = [(records, "record"), (forms, "registration")]
    return " and ".join(f"{number:,} {noun if number == 1 else noun + 's'}" for number, noun in parts if number)


def _left(here: int, there: int, forms: int) -> str:
    what = f"{_counted(here + there, forms)} {'waits' if here + there + forms == 1 else 'wait'}"
    return what + " " + " and ".join([*(["here"] if here or forms else []), *(["on readers"] if there else [])])


def _collecting(collecting: Mapping[str, Progress]) -> str:
    readers = "1 reader" if len(collecting) == 1 else f"{len(collecting)} readers"
    left = [progress.left_s for progress in collecting.values()]
    known = [seconds for seconds in left if seconds is not None]
    if not known or len(known) < len(left):
        return f"Collecting from {readers}."
    return f"Collecting from {readers}, {span(max(known))} left."


def span(seconds: float) -> str:
    """A time to wait, rounded up to what a person waits by: `10 s`, `40 s`, `3 minutes`."""
    if seconds <= 90:
        return f"{max(1, -(-int(seconds + 0.999) // 10)) * 10} s"
    minutes = -(-int(seconds) // 60)
    return f"{minutes} minutes" if minutes < 120 else f"{-(-minutes // 60)} hours"


def _closing(there: int) -> str:
    return "All is safe there. Bring the readers near to collect it." if there else "Everything is delivered."


def _names(readers: Iterable[Mapping[str, Any]]) -> str:
    names = [called(reader) for reader in readers]
    if len(names) > 3:
        return f"{len(names)} readers"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def called(reader: Mapping[str, Any]) -> str:
    """The name a reader has been given, or its id."""
    return reader["name"] or f"Reader {reader['id']}"


def inner(sentence: str) -> str:
    """A sentence as the second part of another."""
    return sentence[:1].lower() + sentence[1:]


def _first(problems: Mapping[str, Any], codes: Iterable[str]) -> str | None:
    return next((code for code in codes if code in problems), None)


def _problem(problems: Iterable[Mapping[str, Any]], code: str) -> bool:
    return any(problem["code"] == code for problem in problems)
