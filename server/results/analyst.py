"""Recomputes in a process of its own, so that no request waits for the interpreter while a trace is analysed.

`python -m server.results.analyst` is that process: it reads batches of plaintexts from its input and writes their
verdicts to its output, until its input ends - as it does when the server ends, however that ends. It sees no key and
no database. A batch is four bytes of length, then a CBOR array; each item is a plaintext and the pack of its assay
where the organisation loaded that, else null.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import IO

import cbor2

from server.results.recomputation import Recomputation, Recomputed, recompute, recompute_control
from server.results.record import NotUnderstood, QcRecord, ResultRecord, understand

log = logging.getLogger("doorstep.results")

# A trace takes a few milliseconds; a process that has not answered for so long never will.
ANSWER_SECONDS_MAX = 60
_LENGTH_BYTES = 4
_NICENESS = 5


@dataclass(frozen=True, slots=True)
class Work:
    """A record to recompute: its plaintext, and its assay's pack where the organisation loaded it."""

    plaintext: bytes
    pack: bytes | None = None


class AnalystLost(Exception):
    """The process ended or did not answer in time."""


class Analyst:
    """The process, started when it is first needed and again after it was lost. One batch at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()
        self._closed = False

    def recompute(self, records: Sequence[Work]) -> list[Recomputed]:
        """The verdict on each record; blocks until it is there. A record that the process is lost over has failed.

        Raises `AnalystLost` once closed.
        """
        if not records:
            return []
        try:
            return self._ask(records)
        except AnalystLost:
            if self._closed:
                raise
        if len(records) == 1:
            log.error("the analysis of a record was lost; it counts as failed")
            return [Recomputed(Recomputation.FAILED)]
        log.warning("the process that recomputes was lost; the batch is tried again one by one")
        return [verdict for one in records for verdict in self.recompute([one])]

    def close(self) -> None:
        """End the process; whoever waits for it is told."""
        self._closed = True
        process = self._process
        if process is not None:
            process.kill()
        with self._turn:
            self._let_go()

    def _ask(self, records: Sequence[Work]) -> list[Recomputed]:
        with self._turn:
            process = self._started()
            watch = threading.Timer(ANSWER_SECONDS_MAX, process.kill)
            watch.daemon = True
            watch.start()
            try:
                assert process.stdin is not None
                assert process.stdout is not None
                _write(process.stdin, cbor2.dumps([[one.plaintext, one.pack] for one in records]))
                answer = _read(process.stdout)
            except OSError:
                answer = None
            finally:
                watch.cancel()
            if answer is None:
                self._let_go()
                raise AnalystLost
        return [Recomputed(Recomputation(verdict), said, why) for verdict, said, why in cbor2.loads(answer)]

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._closed:
            raise AnalystLost
        if self._process is not None and self._process.poll() is not None:
            # It was killed while it had nothing to do: no record is to blame.
            self._let_go()
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "server.results.analyst"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            if self._closed:
                self._process.kill()
        return self._process

    def _let_go(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for end in (process.stdin, process.stdout):
            if end is not None:
                try:
                    end.close()
                except BrokenPipeError:
                    log.debug("what was left to send to the process that recomputes is dropped")


def verdict_on(work: Work) -> Recomputed:
    """Recompute one record. Whatever goes wrong with it is a verdict too, and stops no other."""
    try:
        content = understand(work.plaintext)
        if isinstance(content, QcRecord):
            return recompute_control(content, work.pack)
        return recompute(content, work.pack) if isinstance(content, ResultRecord) else Recomputed(Recomputation.FAILED)
    except NotUnderstood:
        return Recomputed(Recomputation.FAILED)
    except Exception:  # noqa: BLE001 - the process must go on with the next
        # The text of an error may hold what was in the record, so only its place is logged.
        log.error("a trace could not be analysed: %s", _place(sys.exc_info()[2]))
        return Recomputed(Recomputation.FAILED)


def _place(trace: TracebackType | None) -> str:
    last = traceback.extract_tb(trace)[-1]
    return f"{last.name}, line {last.lineno}"


def _write(end: IO[bytes], batch: bytes) -> None:
    end.write(len(batch).to_bytes(_LENGTH_BYTES, "big") + batch)
    end.flush()


def _read(end: IO[bytes]) -> bytes | None:
    """One batch, None at the end."""
    head = end.read(_LENGTH_BYTES)
    length = int.from_bytes(head, "big")
    batch = end.read(length) if len(head) == _LENGTH_BYTES else b""
    return batch if batch and len(batch) == length else None


def main() -> None:
    """Answer batches until the input ends."""
    # Ctrl-C goes to every process of the terminal; the server decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    while (batch := _read(sys.stdin.buffer)) is not None:
        verdicts = [verdict_on(Work(plaintext, pack)) for plaintext, pack in cbor2.loads(batch)]
        _write(sys.stdout.buffer, cbor2.dumps([[str(one.verdict), one.outcome, one.reason] for one in verdicts]))


if __name__ == "__main__":
    main()
