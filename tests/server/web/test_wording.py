"""The words and drawings of the pages, without a browser."""

import ast
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from reader import outcome as outcomes
from reader import packfile
from server.accuracy.simulated_strips import Strip
from server.results.trace import CurveTrace, StripTrace
from server.web import assets, formatting
from server.web.environment import environment
from server.web.forms import local_path
from server.web.plot import Plot, Series, draw
from server.worklist import result_view, traces, wording
from server.worklist.repository import RANKS, Cursor, CursorError
from server.worklist.views import Flag
from tests.server import factory
from tests.server.web.specimens import LAMP, STRIP

LONDON = ZoneInfo("Europe/London")
CHECKS = Path(__file__).resolve().parents[3] / "firmware" / "reader" / "checks.py"


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 8, 6, 16, 30, tzinfo=UTC), "6 August 2026 at 5:30pm"),
        (datetime(2026, 1, 6, 16, 0, tzinfo=UTC), "6 January 2026 at 4pm"),
        (datetime(2026, 1, 6, 12, 0, tzinfo=UTC), "6 January 2026 at midday"),
        (datetime(2026, 8, 5, 23, 0, tzinfo=UTC), "6 August 2026 at midnight"),
        (datetime(2026, 1, 6, 0, 5, tzinfo=UTC), "6 January 2026 at 12:05am"),
        (None, "Not known"),
    ],
)
def test_a_moment_is_said_as_people_say_it(moment: datetime | None, text: str) -> None:
    assert formatting.date_and_time(moment, LONDON) == text


def test_a_moment_without_a_zone_is_never_shown() -> None:
    with pytest.raises(ValueError, match="zone"):
        formatting.date_and_time(datetime(2026, 8, 6), LONDON)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1 second"), (5.2, "6 seconds"), (60, "1 minute"), (61, "2 minutes"), (3601, "2 hours"), (86_401, "2 days")],
)
def test_an_uncertainty_is_never_said_smaller_than_it_is(seconds: float, text: str) -> None:
    assert formatting.uncertainty(timedelta(seconds=seconds)) == f"within {text}"


@given(st.floats(0, 10**9))
def test_every_uncertainty_covers_what_is_not_known(seconds: float) -> None:
    sizes = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
    number, unit = formatting.uncertainty(timedelta(seconds=seconds)).removeprefix("within ").split()
    assert int(number.replace(",", "")) * sizes[unit.rstrip("s")] >= timedelta(seconds=seconds).total_seconds()


def test_a_value_that_is_not_zero_never_reads_as_zero() -> None:
    assert formatting.measure(4_200, "mg/L", 300) == "4.2 mg/L (standard error 0.3)"
    assert formatting.measure(7, None) == "0.007"
    assert formatting.measure(1_234_000, "ppm") == "1,234 ppm"
    assert formatting.measure(0, "mg/L") == "0.0 mg/L"


def test_every_outcome_has_its_own_word_shape_and_colour() -> None:
    words = [wording.outcome(code) for code in outcomes.OUTCOMES]
    for field in ("word", "shape", "colour", "name"):
        assert len({getattr(one, field) for one in words}) == len(outcomes.OUTCOMES)
    assert [one.name for one in words] == [outcomes.outcome_name(code) for code in outcomes.OUTCOMES]
    with pytest.raises(KeyError):
        wording.outcome(0)


def test_every_outcome_has_a_place_in_the_list() -> None:
    assert set(RANKS) == set(outcomes.OUTCOMES)


def test_the_self_check_is_worded_bit_for_bit_as_the_reader_defines_it() -> None:
    bits = {
        node.targets[0].id: node.value.args[0].value
        for node in ast.parse(CHECKS.read_text("utf-8")).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and not node.targets[0].id.startswith("_")
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.args[0], ast.Constant)
    }
    assert {name: bit for name, (bit, _) in wording.CHECKS.items()} == bits
    assert wording.checks(1 | 1024 | 1 << 20) == ["screen", "thermal cut-out", "check 20"]


def test_a_field_that_a_view_lacks_stops_the_page_instead_of_printing_nothing() -> None:
    with pytest.raises(UndefinedError, match="Flag has no txet"):
        environment().from_string("{{ flag.txet }}").render(flag=Flag("a", "red"))


@pytest.mark.parametrize(
    "path", ["", "1-2", "1-2-3-4", "9-1-00000000000000000000000000000000", "1-x-y", "1-99999999999999999999-0" * 3]
)
def test_a_place_in_the_list_that_no_page_made_is_refused(path: str) -> None:
    with pytest.raises(CursorError):
        Cursor.parse(path)


@given(st.text())
def test_whatever_follows_signing_in_is_a_path_of_this_server(wanted: str) -> None:
    assert local_path(wanted).startswith("/")
    assert not local_path(wanted).startswith(("//", "/\\"))


def test_a_style_sheet_that_asks_another_host_is_refused() -> None:
    assert assets.style_sheet("@font-face{src:url(https://x.example/f)}a{font-family:Frutiger W01,arial}") == (
        "a{font-family:arial}"
    )
    with pytest.raises(ValueError, match="another host"):
        assets.style_sheet("a{background:url(//x.example/i.png)}")


def test_the_lock_file_names_no_registry() -> None:
    lock = (assets.NODE_MODULES.parent / "package-lock.json").read_text("utf-8")
    assert '"resolved"' not in lock
    assert all("integrity" in package for name, package in json.loads(lock)["packages"].items() if name)


@given(st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9)), min_size=2, max_size=40))
def test_a_plot_keeps_every_point_inside_its_frame(values: list[float | None]) -> None:
    if all(value is None for value in values):
        values[0] = 1.0
    drawing = draw(Plot("", "", "", "", list(range(len(values))), [Series("", "profile", values)]))
    numbers = [float(part) for part in drawing.paths[0][0].replace("M", " ").replace("L", " ").split()]
    assert all(drawing.left <= x <= drawing.right for x in numbers[::2])
    assert all(drawing.top <= y <= drawing.bottom for y in numbers[1::2])
    assert len(numbers) == 2 * sum(value is not None for value in values)


def test_a_missing_sample_leaves_a_hole_in_the_line() -> None:
    drawing = draw(Plot("", "", "", "", [0, 1, 2, 3], [Series("", "sample", [1.0, 2.0, None, 4.0])]))
    assert drawing.paths[0][0].count("M") == 2


def test_plot_data_cannot_close_the_script_element_that_holds_it() -> None:
    plot = Plot("</script><script>", "", "", "", [0, 1], [Series("<!--", "profile", [0, 1])])
    assert "<" not in plot.data()
    assert json.loads(plot.data())["title"] == "</script><script>"


@pytest.mark.parametrize(
    "samples", [[0] * 128, [65_535] * 128, [400] * 128, list(range(128)), [40_000] * 128], ids=lambda s: str(s[:2])
)
def test_any_strip_trace_is_drawn_or_said_not_to_be_one(samples: list[int]) -> None:
    shown = traces.shown(StripTrace(125, samples, 40_000, 400), STRIP)
    assert shown is not None
    assert draw(shown.plot).paths
    assert len(shown.samples.rows) == 128


def test_a_strip_without_control_line_is_never_said_to_have_no_test_line() -> None:
    shown = traces.shown(StripTrace(125, factory.strip_samples(control=0, test=0), 40_000, 400), STRIP)
    assert shown
    assert "SARS-CoV-2" not in shown.plot.summary
    assert "There is no control line" in shown.plot.summary


@pytest.mark.parametrize(
    "well", [[0] * 12, [5], list(range(200)), [2**31 - 1, -(2**31)] * 10], ids=lambda well: str(well[:2])
)
def test_any_curve_is_drawn(well: list[int]) -> None:
    shown = traces.shown(CurveTrace(10_000, 10_000, [well, well], [6_500] * len(well)), LAMP)
    assert shown is not None
    assert len(draw(shown.plot).paths) == 2


def test_a_trace_of_an_unknown_assay_is_not_interpreted() -> None:
    assert traces.shown(StripTrace(125, [1] * 128, 2, 0), None) is None
    assert traces.shown(StripTrace(125, [1] * 128, 2, 0), LAMP) is None


@pytest.mark.parametrize(
    ("value", "unit", "error", "beyond", "said"),
    [
        (12_340, "mg/L", 510, 0, "12.3 mg/L (standard error 0.5)"),
        (5_000, "mg/L", None, 1, "Below 5.0 mg/L (the lowest reportable)"),
        (150_000, "mg/L", None, 2, "Above 150 mg/L (the highest reportable)"),
        (24_000, "ug/g", 900, 0, "24.0 µg/g (standard error 0.9)"),
        (None, "mg/L", None, 0, ""),
        (14_500, "min", 300, 0, "Rose after 14 minutes 30 seconds (standard error 18 seconds)"),
    ],
)
def test_what_was_measured_is_said_with_its_unit_its_error_and_what_is_beyond_its_range(
    value: int | None, unit: str, error: int | None, beyond: int, said: str
) -> None:
    analyte = {"name": "A", "outcome": 1, "reason": 0, "value": value, "unit": unit, "error": error}
    assert result_view.in_words(analyte | ({"beyond": beyond} if beyond else {})) == said


def test_a_value_that_the_server_does_not_find_again_is_said_apart_from_an_outcome() -> None:
    text, look = wording.recomputation("differs", outcomes.POSITIVE, outcomes.NONE, (outcomes.POSITIVE, outcomes.NONE))
    assert look
    assert "another value" in text
    text, look = wording.recomputation("differs", outcomes.POSITIVE, outcomes.NONE, (outcomes.NEGATIVE, outcomes.NONE))
    assert look
    assert "different outcome: positive" in text


def test_the_drawing_of_a_quantitative_strip_has_its_decision_limit_and_says_the_concentration() -> None:
    crp = packfile.strip_assay("crp")
    calibration = crp.calibration("CRP001")
    assert calibration is not None
    simulated = Strip(seed=3, lines_ppm={11000: 200_000.0, 6000: 250_000.0}, noise_ppm=500.0)
    trace = StripTrace(125, list(simulated.pixels()), simulated.white_counts, simulated.dark())
    shown = traces.shown(trace, crp, "CRP001")
    assert shown is not None
    assert any("Decision limit of 20.0 mg/L" in rule.legend for rule in shown.plot.rules)
    assert "mg/L by the lot's calibration, at or above the decision limit of 20.0 mg/L." in shown.plot.summary
    assert traces.shown(trace, crp, "OTHER") is None
