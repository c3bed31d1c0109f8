"""The process that recomputes: same verdicts as here, and no record or death of it stops the others."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import cbor2
import pytest

from reader import outcome
from server.results import analyst as analysts
from server.results.analyst import Analyst, AnalystLost, Work, verdict_on
from server.results.recomputation import Recomputation
from tests.server import factory

PLAIN = Work(cbor2.dumps(factory.result(trace=factory.strip_trace(factory.strip_samples(test=0))), canonical=True))
DARK = Work(cbor2.dumps(factory.result(trace=factory.strip_trace(factory.strip_samples(test=6_000))), canonical=True))


@pytest.fixture
def analyst() -> Iterator[Analyst]:
    made = Analyst()
    yield made
    made.close()


def process_of(analyst: Analyst) -> int:
    process = analyst._process
    assert process is not None
    return process.pid


def test_it_says_what_would_be_said_here(analyst: Analyst) -> None:
    event = Work(cbor2.dumps(factory.event(), canonical=True))
    batch = [PLAIN, DARK, Work(b""), Work(b"\xff"), event, PLAIN]
    said = analyst.recompute(batch)
    assert said == [verdict_on(one) for one in batch]
    verdicts = [one.verdict for one in said]
    failed = Recomputation.FAILED
    assert verdicts == [Recomputation.AGREES, Recomputation.DIFFERS, failed, failed, failed, Recomputation.AGREES]
    assert said[1].outcome == outcome.POSITIVE
    assert analyst.recompute([]) == []


def test_one_that_was_killed_is_started_again(analyst: Analyst) -> None:
    analyst.recompute([PLAIN])
    first = process_of(analyst)
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert [one.verdict for one in analyst.recompute([PLAIN])] == [Recomputation.AGREES]
    assert process_of(analyst) != first


def test_a_record_that_it_does_not_survive_has_failed_and_the_others_have_not(
    analyst: Analyst, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[Work]] = []
    ask = analyst._ask

    def dies_of_dark(records: list[Work]) -> object:
        asked.append(list(records))
        if DARK in records:
            # Stopped, it dies when it was sent them, as of a record.
            os.kill(process_of(analyst), signal.SIGSTOP)
            killing = threading.Timer(0.2, os.kill, (process_of(analyst), signal.SIGKILL))
            killing.start()
        return ask(records)

    analyst.recompute([PLAIN])
    monkeypatch.setattr(analyst, "_ask", dies_of_dark)
    said = analyst.recompute([PLAIN, PLAIN, DARK, PLAIN])
    assert [one.verdict for one in said] == [
        Recomputation.AGREES,
        Recomputation.AGREES,
        Recomputation.FAILED,
        Recomputation.AGREES,
    ]
    assert [len(batch) for batch in asked] == [4, 1, 1, 1, 1]


def test_one_that_does_not_answer_in_time_is_replaced(analyst: Analyst, monkeypatch: pytest.MonkeyPatch) -> None:
    analyst.recompute([PLAIN])
    monkeypatch.setattr(analysts, "ANSWER_SECONDS_MAX", 10.0)  # a new process starts well within it
    stopped = process_of(analyst)
    os.kill(stopped, signal.SIGSTOP)
    assert [one.verdict for one in analyst.recompute([PLAIN, DARK])] == [Recomputation.AGREES, Recomputation.DIFFERS]
    assert process_of(analyst) != stopped


def test_closing_ends_it_even_while_it_works_and_no_other_is_started(analyst: Analyst) -> None:
    analyst.recompute([PLAIN])
    ended: list[bool] = []

    def works() -> None:
        with pytest.raises(AnalystLost):
            analyst.recompute([PLAIN] * 5_000)
        ended.append(True)

    thread = threading.Thread(target=works)
    thread.start()
    time.sleep(0.2)  # into its work; without it the closing would come first, which is refused too
    analyst.close()
    thread.join(10)
    assert ended == [True]
    with pytest.raises(AnalystLost):
        analyst.recompute([PLAIN])


def test_it_ends_with_the_server_however_that_ends(analyst: Analyst) -> None:
    analyst.recompute([PLAIN])
    process = analyst._process
    assert process is not None
    assert process.stdin is not None
    # What the system does to the pipe of a process that is gone.
    process.stdin.close()
    assert process.wait(10) == 0
