"""What the page shows, made of the hub's state: a headline, problems, and a card for each reader. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hub.advice import Headline, Progress, called, headline, inner, problems_of, span, todo, update_of
from hub.page import words
from reader import wire

NEAR_S = 45.0  # readers advertise each second or so, and their sightings are stored every half minute
_ORDER = ("red", "blue", "yellow", "green", "grey")
_CLOCKS = {
    wire.CLOCK_UNSET: "Not set",
    wire.CLOCK_RTC: "Kept by its own clock",
    wire.CLOCK_HUB: "Set by a hub",
    wire.CLOCK_SERVER: "Set by the server",
}


@dataclass(frozen=True, slots=True)
class Fact:
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """A problem in words. `count` is how often it was met since `since`."""

    sentence: str
    next_step: str
    code: str
    since: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A transfer: `text` says what the bar shows."""

    done: int
    total: int
    text: str


@dataclass(frozen=True, slots=True)
class Card:
    reader_id: str
    name: str
    near: bool
    tag: str
    colour: str
    facts: tuple[Fact, ...]
    todo: str
    troubles: tuple[Trouble, ...]
    bar: Bar | None
    update: Bar | None


@dataclass(frozen=True, slots=True)
class View:
    """`heard` is when the server was last heard."""

    name: str
    headline: Headline
    heard: str
    troubles: tuple[Trouble, ...]
    cards: tuple[Card, ...]
    carried: str
    registrations: str


def view(
    status: Mapping[str, Any], collecting: Mapping[str, Progress], visiting: frozenset[str], now: datetime
) -> View:
    """`status` as `hub.status.read` gives it; `now` carries the zone in which times are shown."""
    top = headline(status, collecting)
    readers = {reader["id"] for reader in status["readers"]}
    return View(
        name=status["name"] or "This laptop",
        headline=top,
        heard=words.when(status["exchanged"], now),
        troubles=tuple(
            _trouble(problem, now)
            for problem in status["problems"]
            if problem["subject"] not in readers and problem["sentence"] != top.text
        ),
        cards=tuple(
            sorted((_card(status, reader, collecting, visiting, now) for reader in status["readers"]), key=_urgency)
        ),
        carried=f"{words.count(status['carried'], 'record')} of another hub" if status["carried"] else "",
        registrations=_registrations(status["registrations"]),
    )


def _registrations(counts: Mapping[str, Any]) -> str:
    said = ((counts["waiting"], "waiting here"), (counts["delivered"], "delivered"), (counts["aside"], "set aside"))
    return ", ".join(f"{number:,} {how}" for number, how in said if number)


def _urgency(card: Card) -> tuple[int, bool, list[tuple[int, str]]]:
    """Cards in the order in which a person needs them; within one, as people count: Reader 2 before Reader 10."""
    counted = [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]{1,9})", card.name)]
    return _ORDER.index(card.colour), not card.near, counted


def _card(
    status: Mapping[str, Any],
    reader: Mapping[str, Any],
    collecting: Mapping[str, Progress],
    visiting: frozenset[str],
    now: datetime,
) -> Card:
    progress = collecting.get(reader["id"])
    near = reader["id"] in visiting or _is_near(reader, now)
    troubles = tuple(_trouble(problem, now) for problem in problems_of(status, reader["id"]))
    tag, colour = _tag(reader, near, progress is not None, bool(troubles))
    return Card(
        reader["id"],
        called(reader),
        near,
        tag,
        colour,
        _facts(reader, near, now),
        todo(status, reader, near, progress is not None),
        troubles,
        _bar(progress) if progress else None,
        _update(reader["update"]) if reader["update"] else None,
    )


def _tag(reader: Mapping[str, Any], near: bool, busy: bool, trouble: bool) -> tuple[str, str]:
    """The card's state in words, and the colour of nhsuk's tag for it."""
    if busy:
        return "Collecting", "blue"
    if trouble:
        return "Needs you", "red"
    if reader["on_reader"]:
        return "Not collected", "yellow"
    if reader["undelivered"]:
        return "Waits for a network", "yellow"
    if not reader["delivered"] and not reader["stored"]:
        return "Nothing yet", "grey"
    return ("Delivered", "green") if near else ("Delivered, away", "green")


def _facts(reader: Mapping[str, Any], near: bool, now: datetime) -> tuple[Fact, ...]:
    low = bool(reader["flags"] & wire.FLAG_LOW_BATTERY)
    delivered = words.count(reader["delivered"], "record") if reader["delivered"] else words.NEVER
    if reader["delivered_at"]:
        delivered += f", {_lower(words.when(reader['delivered_at'], now))}"
    return (
        Fact("Waiting on the reader", words.count(reader["on_reader"], "record")),
        Fact("Waiting here", words.count(reader["undelivered"], "record")),
        Fact("Delivered, by the server’s receipt", delivered),
        Fact("Last seen", "Now" if near else words.when(reader["seen"], now)),
        Fact("Last collected from", words.when(reader["collected"], now)),
        Fact("Battery", words.battery(reader["battery"], low)),
        Fact("Signal", words.signal(reader["rssi"]) if near else "Out of range"),
        Fact("Quality control", _control(reader["flags"])),
        Fact("Clock", _CLOCKS.get(reader["clock"], "Not known")),
        Fact("Firmware", reader["firmware"] or "Not known"),
        Fact("Number", reader["id"]),
    )


def _control(flags: int) -> str:
    if flags & wire.FLAG_CONTROL_DUE:
        return "Failed or due: run the controls"
    return "In order" if flags & wire.FLAG_CONTROL_CLEAR else "Not known"


def _bar(progress: Progress) -> Bar:
    left = "" if progress.left_s is None else f", {span(progress.left_s)} left" if progress.left_s else ""
    return Bar(progress.done, progress.total, f"{progress.done:,} of {progress.total:,} records collected{left}")


def _update(awaited: Mapping[str, Any]) -> Bar:
    update = update_of(awaited)
    return Bar(update.done, update.total, f"Update: {inner(update.text)}")


def _trouble(problem: Mapping[str, Any], now: datetime) -> Trouble:
    since = _lower(words.when(problem["since"], now)) if problem["since"] else ""
    return Trouble(problem["sentence"], problem["next_step"], problem["code"], since)


def _is_near(reader: Mapping[str, Any], now: datetime) -> bool:
    seen = reader["seen"]
    return seen is not None and 0 <= (now - datetime.fromisoformat(seen)).total_seconds() < NEAR_S


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:] if text.startswith(("Just", "Today", "Yesterday")) else text
