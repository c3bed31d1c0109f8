"""The campaign of faults counts what it finds, fails when anything is lost, and repeats a trial from its seed."""

import contextlib
import json
import shlex
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from typer.testing import CliRunner

from emulator.air import LinkModel
from emulator.faults import campaign, channel, command, goodput, journal, link, update
from emulator.faults.campaign import BrokenPromise, Part, Row, Say, Tally, Trial
from hub.store import Store


def part(trial: Callable[[int], Tally]) -> Part:
    @asynccontextmanager
    async def opened(say: Say) -> AsyncGenerator[Trial]:
        async def run(seed: int) -> Tally:
            return trial(seed)

        yield run

    return Part("part", "a part", 3, 1, opened)


def whole(seed: int) -> Tally:
    return Tally(faults=2, issued=5, held=5)


def loses_at_2(seed: int) -> Tally:
    return Tally(faults=2, issued=5, held=5 - (seed == 2), lost=int(seed == 2))


def breaks_at_3(seed: int) -> Tally:
    if seed == 3:
        raise BrokenPromise("a number was used again", Tally(faults=1, issued=2))
    return whole(seed)


def crashes(seed: int) -> Tally:
    raise OSError("no such thing")


async def run(trial: Callable[[int], Tally], seeds: range = range(1, 5)) -> Row:
    return await campaign.run_part("class", part(trial), seeds, lambda line: None)


async def test_what_holds_for_every_seed_passes_and_is_added_up() -> None:
    row = await run(whole)
    assert row.passed
    assert (row.seeds, row.tally.faults, row.tally.issued, row.tally.held) == (4, 8, 20, 20)


@pytest.mark.parametrize(
    ("trial", "seed", "sentence"),
    [
        (loses_at_2, 2, "1 lost, 0 duplicated, 0 undetected"),
        (breaks_at_3, 3, "a number was used again"),
        (crashes, 1, "could not be carried through: OSError: no such thing"),
    ],
)
async def test_a_seed_that_does_not_hold_fails_and_is_told_with_its_replay(
    trial: Callable[[int], Tally], seed: int, sentence: str
) -> None:
    row = await run(trial)
    assert not row.passed
    assert row.failures[0].seed == seed
    assert sentence in row.failures[0].sentence
    assert row.failures[0].replay == f"doorstep faults --class class --part part --seed {seed}"
    assert row.seeds == 4, "the other seeds are tried all the same"


async def test_a_part_of_which_nothing_ran_has_shown_nothing() -> None:
    assert not (await run(whole, range(0))).passed


class Class:
    def __init__(self, trial: Callable[[int], Tally]) -> None:
        self.PARTS = (part(trial),)


@pytest.fixture
def classes(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command with classes of its own: `whole` and `broken`."""
    made = {"whole": Class(whole), "broken": Class(breaks_at_3)}
    monkeypatch.setattr(campaign, "CLASSES", dict.fromkeys(made, "a class"))
    monkeypatch.setattr(campaign, "parts", lambda klass: made[klass].PARTS)


def test_the_command_exits_by_what_held_and_its_replay_line_repeats_the_failure(classes: Any) -> None:
    run = CliRunner().invoke
    assert run(command.app, ["--class", "whole"]).exit_code == 0
    failed = run(command.app, ["--class", "broken"])
    assert failed.exit_code == 1
    replay = next(line for line in failed.stdout.splitlines() if "replay:" in line).partition("replay:")[2]
    again = run(command.app, [*shlex.split(replay)[2:], "--json"])
    assert again.exit_code == 1
    told = json.loads(again.stdout)
    assert told["passed"] is False
    assert [(one["seeds"], one["first_seed"], one["failures"][0]["seed"]) for one in told["parts"]] == [(1, 3, 3)]
    assert run(command.app, ["--class", "all", "--seeds", "2"]).exit_code == 0


@pytest.mark.parametrize("asked", [["--class", "nothing"], ["--class", "journal", "--part", "nothing"]])
def test_a_class_or_part_that_there_is_not_is_named_with_those_there_are(asked: list[str]) -> None:
    found = CliRunner().invoke(command.app, asked)
    assert found.exit_code == 2
    assert "journal" in found.stderr or "power-cut" in found.stderr


# The few seeds of each class. `make soak` runs them all.


@pytest.mark.parametrize("name", ["power-cut", "rot"])
async def test_the_journal_keeps_its_promises_under(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (one,) = [one for one in journal.PARTS if one.name == name]
    row = await campaign.run_part("journal", one, range(1, 1 + one.few), lambda line: None)
    with capsys.disabled():
        print(f"\n{row.tally.note}")
    assert row.passed, [failure.sentence for failure in row.failures]
    assert row.tally.faults > 1000


@pytest.mark.parametrize("name", ["power-cut", "rot"])
async def test_an_update_leaves_one_whole_application_under(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (one,) = [one for one in update.PARTS if one.name == name]
    row = await campaign.run_part("update", one, range(1, 1 + one.few), lambda line: None)
    with capsys.disabled():
        print(f"\n{row.tally.note}")
    assert row.passed, [failure.sentence for failure in row.failures]
    assert row.tally.faults > 200


@pytest.mark.parametrize("seed", [1, 3])
async def test_a_bad_release_goes_back_by_itself(seed: int) -> None:
    (one,) = [one for one in update.PARTS if one.name == "bad-release"]
    row = await campaign.run_part("update", one, [seed], lambda line: None)
    assert row.passed, [failure.sentence for failure in row.failures]


async def test_a_full_journal_starts_quickly_and_refuses_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    tally = await journal.capacity(2_000, 800)
    with capsys.disabled():
        print(f"\n{tally.note}")
    assert tally.held > 2_000


async def test_both_ends_of_the_link_deliver_each_record_once_whatever_the_radio_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (fast,) = [one for one in link.PARTS if one.name == "fast"]
    row = await campaign.run_part("link", fast, range(1, 1 + fast.few), lambda line: None)
    with capsys.disabled():
        print(f"\n{row.tally}")
    assert row.passed, [(failure.seed, failure.sentence) for failure in row.failures]
    assert row.tally.faults > 10_000
    assert row.tally.issued > 100


def test_the_same_seed_does_the_same_again() -> None:
    assert link.meet(2) == link.meet(2)


def test_a_hub_that_forgets_a_window_it_credited_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    keep = Store.keep_records

    def forgets(store: Store, reader_id: bytes, items: Any, now_ms: int) -> None:
        keep(store, reader_id, items[:-1] if len(items) > 2 else items, now_ms)

    monkeypatch.setattr(Store, "keep_records", forgets)
    with pytest.raises(BrokenPromise, match="not everything was delivered"):
        link.meet(3, limit_s=120)


def test_a_reader_whose_radio_swallows_what_it_refuses_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    notify = channel.Peripheral.gatts_notify

    def careless(peripheral: Any, handle: int, value: int, data: bytes) -> None:
        with contextlib.suppress(OSError):
            notify(peripheral, handle, value, data)

    monkeypatch.setattr(channel.Peripheral, "gatts_notify", careless)
    with pytest.raises(BrokenPromise, match="reader-misbehaved"):
        link.meet(1)


# What the transfer makes of the radio, in simulated time: no machine's speed is in these figures.


def test_a_thousand_records_are_drained_at_eighty_percent_of_what_notifications_could_carry() -> None:
    drained = goodput.drain(LinkModel(), 1_000)
    assert drained.share >= 0.8
    assert drained.requests_per_record < 0.1


@pytest.mark.parametrize("model", [LinkModel(loss=0.1), LinkModel(loss=0.1, packets_per_event=None, phy_mbit=1)])
def test_one_packet_in_ten_lost_leaves_sixty_percent(model: LinkModel) -> None:
    assert goodput.drain(model, 500).share >= 0.6


def test_a_packet_takes_the_airtime_of_the_specification() -> None:
    # Core 5.4 Vol 6 Part B 2.1 and 4.1: an empty packet is 80 us on LE 1M and 44 us on LE 2M; 251 bytes are 2,088 and
    # 1,048 us; T_IFS is 150 us.
    assert LinkModel(phy_mbit=1).packet_s(0) == pytest.approx(230e-6)
    assert LinkModel(phy_mbit=2).packet_s(0) == pytest.approx(194e-6)
    assert LinkModel(phy_mbit=1).packet_s(251) == pytest.approx(2238e-6)
    assert LinkModel(phy_mbit=2).packet_s(251) == pytest.approx(1198e-6)
