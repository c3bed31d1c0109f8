"""What pages and the command line show of retention, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from server.retention.models import Because, Erasure, Kind, RetentionLook
from server.retention.service import Rule
from server.web import formatting

KINDS = {
    Kind.RESULTS: "Results and their follow-up",
    Kind.PEOPLE: "People and all that is theirs",
    Kind.SET_ASIDE: "Bytes that left quarantine",
}
SINCE = {
    Kind.RESULTS: "Counted from when the result came, or its follow-up ended if that was later.",
    Kind.PEOPLE: "Counted from the last result, follow-up or change of the person.",
    Kind.SET_ASIDE: "Counted from when they were dealt with. What is open in quarantine stays.",
}
WHY = {
    Because.RULE: "By the rules of retention",
    Because.ASKED: "The person asked for it",
    Because.ORDERED: "A court or an authority ordered it",
    Because.MISTAKE: "It should never have been recorded",
    Because.AGAIN: "Erased before, and brought back by a restored backup",
}


def kept_for(months: int | None) -> str:
    """`2 years 1 month`, `No limit`."""
    if months is None:
        return "No limit"
    years, rest = divmod(months, 12)
    said = [formatting.count(years, "year")] if years else []
    return " ".join([*said, formatting.count(rest, "month")] if rest else said)


def erased(counts: Mapping[str, Any]) -> str:
    """`5 results and 2 people erased, bytes of 3 items destroyed`, of a certificate's counts."""
    people = formatting.count(counts["people_erased"], "entry of a person", "entries of people")
    said = f"{formatting.count(counts['results'], 'result')} and {people} erased"
    if counts["set_aside"]:
        said += f", bytes of {formatting.count(counts['set_aside'], 'item')} destroyed"
    return said


@dataclass(frozen=True, slots=True)
class RuleView:
    """A rule; `due` and `held` say what it would do now."""

    kind: str
    what: str
    since: str
    kept: str
    months: str
    due: str
    held: str


@dataclass(frozen=True, slots=True)
class Line:
    """An erasure in the list of them."""

    href: str
    why: str
    when: str
    by: str
    what: str
    done: bool


def rule(found: Rule) -> RuleView:
    """How long a kind is kept, and what is due."""
    due = found.due
    return RuleView(
        kind=str(found.kind),
        what=KINDS[found.kind],
        since=SINCE[found.kind],
        kept=kept_for(found.months),
        months="" if found.months is None else str(found.months),
        due="Nothing" if due is None else f"{due.erased:,}",
        held="" if due is None or not due.held_back else f"{due.held_back:,} more held back: a follow-up is open",
    )


def looked(look: RetentionLook, zone: ZoneInfo) -> str:
    """When a monthly look was made."""
    return formatting.date_and_time(look.made_at, zone)


def any_due(look: RetentionLook) -> bool:
    """Whether anything was due, and not only held back."""
    return any(counts["erased"] for counts in look.due.values())


def due_lines(look: RetentionLook) -> list[tuple[str, str]]:
    """(what, how many were due) of a monthly look, for each kind that had a rule."""
    return [(KINDS[kind], _due(look.due[kind])) for kind in Kind if kind in look.due]


def _due(counts: Mapping[str, int]) -> str:
    held = f", {counts['held_back']:,} more held back: a follow-up is open" if counts["held_back"] else ""
    return f"{counts['erased']:,} due{held}"


def line(erasure: Erasure, by: str, zone: ZoneInfo) -> Line:
    """An erasure, done or under way."""
    counts = {"results": erasure.results, "people_erased": erasure.people, "set_aside": erasure.bytes_set_aside}
    return Line(
        href=f"/retention/{erasure.id}",
        why=WHY[Because(erasure.because)],
        when=formatting.date_and_time(erasure.finished_at or erasure.made_at, zone),
        by=by,
        what=erased(counts),
        done=erasure.finished_at is not None,
    )


def certificate(erasure: Erasure, by: str, made: dict[str, Any], zone: ZoneInfo) -> list[tuple[str, str]]:
    """(key, value) of a certificate; nothing in it says who anybody was."""
    before = {Kind(kind): datetime.fromisoformat(when) for kind, when in erasure.cutoffs.items()}
    return [
        ("Certificate", str(erasure.id)),
        ("Why", WHY[Because(erasure.because)]),
        ("Had done by", by),
        ("Begun", formatting.date_and_time(erasure.made_at, zone)),
        ("Done", formatting.date_and_time(erasure.finished_at, zone)),
        *((KINDS[kind], f"From before {formatting.date(moment, zone)}") for kind, moment in before.items()),
        ("Results erased", f"{erasure.results:,}"),
        ("Entries of people erased", f"{erasure.people:,}"),
        ("Items whose bytes were destroyed", f"{erasure.bytes_set_aside:,}"),
        ("Held back", f"{erasure.held_back:,}"),
        ("SHA-256", formatting.hexadecimal(bytes.fromhex(made["digest"]))),
    ]
