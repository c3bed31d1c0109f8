"""Faults injected on purpose into every part of the path, enumerated where the space is small and seeded where it is
large, and the count of what was lost, duplicated or passed undetected.

**A class of faults** is a module of this package that is named in `campaign.CLASSES` and has

    PARTS: tuple[Part, ...]

A `Part` (campaign.py) is one thing that is tried with many seeds: its `name` and `what`, the number of `seeds` of a
whole campaign, the `few` that the test suite runs, and `open(say)`: an async context manager that sets up whatever the
trials share (a server, a hub, nothing) and gives the trial,

    async def trial(seed: int) -> Tally

which injects the faults of one seed and returns what it counted. The same seed does the same again. A trial says
what broke by raising `BrokenPromise(sentence, tally)`, or by a `Tally` with `lost`, `duplicated` or `undetected` above
zero; any other exception is a failure too: the trial could not be carried through, and that is never a pass. A `note`
of a Tally is one line of figures that is printed under the table (the last one of a part is kept).

    PARTS = (Part("power-cut", "power is cut at every write", seeds=8, few=1, open=_cuts),)

    @asynccontextmanager
    async def _cuts(say: Say) -> AsyncGenerator[Trial]:
        async def trial(seed: int) -> Tally: ...
        yield trial

`doorstep faults --class NAME --part PART --seed S` replays one trial; `tests/emulator/test_faults.py` runs the few of
every part that it is told to. This package is the one place where the reader's modules and the hub's meet in one
process: tests/test_rooms.py names the exception and its reason.
"""
