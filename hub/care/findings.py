"""What a check found, for a person and for a program."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from hub.problems import KINDS

State = Literal["well", "note", "unknown", "wrong"]
WORDS: dict[State, str] = {"well": "OK", "note": "NOTE", "unknown": "NOT CHECKED", "wrong": "WRONG"}


@dataclass(frozen=True, slots=True)
class Finding:
    """`code` is of `hub.problems` where it is wrong. A note and what could not be checked make nothing wrong."""

    check: str
    state: State
    sentence: str
    next_step: str = ""
    code: str = ""


def well(check: str, sentence: str) -> Finding:
    return Finding(check, "well", sentence)


def note(check: str, sentence: str, next_step: str = "") -> Finding:
    return Finding(check, "note", sentence, next_step)


def unknown(check: str, sentence: str) -> Finding:
    return Finding(check, "unknown", sentence)


def wrong(check: str, code: str, sentence: str, next_step: str) -> Finding:
    if code not in KINDS:
        raise KeyError(code)
    return Finding(check, "wrong", sentence, next_step, code)


def all_well(findings: list[Finding]) -> bool:
    return all(finding.state != "wrong" for finding in findings)


def as_json(findings: list[Finding]) -> dict[str, Any]:
    return {"well": all_well(findings), "findings": [asdict(finding) for finding in findings]}


def lines(findings: list[Finding]) -> list[str]:
    """Each finding in words: how it stands, the sentence, and under it what to do."""
    width = max(len(word) for word in WORDS.values())
    told = list[str]()
    for finding in findings:
        told.append(f"{WORDS[finding.state]:<{width}}  {finding.check}: {finding.sentence}")
        if finding.next_step:
            code = f" [{finding.code}]" if finding.code else ""
            told.append(f"{'':<{width}}  Next: {finding.next_step}{code}")
    bad = sum(finding.state == "wrong" for finding in findings)
    said = "Nothing is wrong." if not bad else "One thing is wrong." if bad == 1 else f"{bad} things are wrong."
    return [*told, said]
