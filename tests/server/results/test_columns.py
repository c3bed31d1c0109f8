"""The strip's analysis by columns, which judges nearly every result here, beside the reader's own arithmetic."""

import random
from collections.abc import Sequence

import pytest

from reader import packfile, strip
from reader.profile import Profile
from server.accuracy.simulated_strips import Strip, disturbed
from server.results import recomputation
from server.results.columns import Columns
from server.results.recomputation import Recomputation, recompute
from tests.server.results.test_recomputation import crp

ONE = packfile.strip_assay("sars2-ag")
STRIPS = 400


def read(simulated: Strip, profile_of: type[Profile]) -> strip.StripReading:
    return strip.analyse(list(simulated.pixels()), simulated.white_counts, simulated.dark(), ONE, profile_of=profile_of)


def test_strips_as_the_field_gives_them_come_out_as_by_the_readers_own_arithmetic_to_two_parts_per_million():
    chance = random.Random(1)
    for seed in range(STRIPS):
        height = chance.choice([0.0, 8_000.0, 15_000.0, 20_000.0, 30_000.0, 250_000.0])
        simulated = disturbed(seed, height, chance.choice([500.0, 1_500.0, 4_000.0, 12_000.0]))
        own, here = read(simulated, Profile), read(simulated, Columns)
        assert (here.outcome, here.reason) == (own.outcome, own.reason), seed
        for mine, theirs in zip([here.control, *here.lines], [own.control, *own.lines], strict=True):
            assert (mine is None) == (theirs is None)
            if mine is not None and theirs is not None:
                assert abs(mine.signal_ppm - theirs.signal_ppm) <= 2, seed
                assert abs(mine.position_um - theirs.position_um) <= 1, seed


def test_a_strip_that_only_the_columns_would_flag_is_judged_by_the_readers_own_arithmetic(
    monkeypatch: pytest.MonkeyPatch,
):
    class Wrong(Columns):
        def _darken(self, coefficients: Sequence[float]) -> None:
            super()._darken([2.0 * one for one in coefficients])

    record = crp(250_000.0)
    monkeypatch.setattr(recomputation, "Columns", Wrong)
    assert recompute(record).verdict == Recomputation.AGREES
    monkeypatch.setattr(recomputation, "Profile", Wrong)
    assert recompute(record).verdict != Recomputation.AGREES
