"""`doorstep accuracy`: its numbers on the measured data, the files it takes, and what it says of those it cannot."""

import json
import math
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from server.accuracy import app, page
from server.accuracy.command import data_folder, measured_reports
from server.accuracy.reports import wilson

DATA = Path(os.environ.get("DOORSTEP_DATA") or Path(__file__).parents[3] / "shared" / "data")
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the measured data are not here: set DOORSTEP_DATA")


def run(*arguments: str | Path, expect: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == expect, result.output
    return result


def reports(*arguments: str | Path) -> list[dict]:
    return json.loads(run(*arguments, "--json").stdout)["reports"]


def refusal(*arguments: str | Path) -> str:
    result = run(*arguments, expect=2)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.fixture
def write(tmp_path: Path):
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def rising(row: int) -> float:
    return 100 + 900 / (1 + math.exp(-(row - 20) / 1.5)) + (row * 7 % 5) * 0.5


def flat(row: int) -> float:
    return 100 + row + (row * 7 % 5) * 0.5


def table(*names: str, cells: dict[str, object], rows: int = 40, separator: str = ",") -> str:
    lines = [separator.join(names)]
    for row in range(1, rows + 1):
        lines.append(separator.join(str(cells[name](row)) for name in names))
    return "\n".join(lines) + "\n"


@needs_data
def test_the_measured_data_meet_what_is_demanded_of_the_shipped_parameters():
    found = {report["file"]: report for report in reports()}
    ras = found["RAS002.csv"]
    assert (ras["traces"], ras["rated"]) == (192, 192)
    assert ras["sensitivity"]["value"] >= 0.98
    assert ras["specificity"]["value"] >= 0.98
    assert ras["sensitivity"]["low"] < ras["sensitivity"]["value"]
    assert len(ras["disagreements"]) == sum(
        share["of"] - share["right"] for share in (ras["sensitivity"], ras["specificity"])
    )
    assert {call["name"] for call in found["C17.csv"]["calls"]} == {"C17.T55", "C17.T60", "C17.T65"}
    assert all(call["value"] > 300 for call in found["C17.csv"]["calls"])
    assert [(call["name"], call["outcome"]) for call in found["C67.csv"]["calls"]] == [
        (name, "positive") for name in ("D1", "D2", "D3", "D4")
    ]
    assert 14.5 <= found["LAMP.csv"]["calls"][0]["value"] <= 18.5
    strips = found["taltech.csv"]
    assert (strips["sensitivity"]["value"], strips["specificity"]["value"]) == (1, 1)
    assert (strips["sensitivity"]["of"], strips["specificity"]["of"]) == (6, 2)


@needs_data
def test_naming_the_files_gives_what_the_folder_gives():
    curves = data_folder() / "amplification"
    (named,) = reports("--amplification", curves / "RAS002.csv", "--ratings", curves / "RAS002-ratings.csv")
    assert named == reports()[0]
    text = run("--amplification", curves / "RAS002.csv", "--ratings", curves / "RAS002-ratings.csv").stdout
    assert "sensitivity" in text
    assert "41 of 41" in text


def test_ratings_find_their_curves_whatever_was_done_to_the_names(write):
    names = ("cycle", "A1 (gene-X)", "2 b", "plain")
    cells = {"cycle": lambda row: row, "A1 (gene-X)": rising, "2 b": flat, "plain": rising}
    curves = write("curves.csv", table(*names, cells=cells))
    ratings = write(
        "ratings.csv", "x,r1,r2,conformity\nA1..gene.X.,y,y,TRUE\nX2.b,n,n,TRUE\nplain,y,n,FALSE\nZ,n,n,TRUE\n"
    )
    (report,) = reports("--amplification", curves, "--ratings", ratings)
    assert [call["truth"] for call in report["calls"]] == ["positive", "negative", "disputed"]
    assert report["sensitivity"]["of"] == report["specificity"]["of"] == 1
    assert report["disagreements"] == []
    assert any("Z" in note for note in report["notes"])


@pytest.mark.parametrize("ratings", ["r1,r2\ny,y\nn,n\n", "name,r1,r2\n1,y,y\n2,n,n\n"])
def test_ratings_without_names_are_taken_in_the_order_of_the_curves(write, ratings: str):
    curves = write("c.csv", table("t", "a", "b", cells={"t": lambda row: row * 30, "a": rising, "b": flat}))
    (report,) = reports("--amplification", curves, "--ratings", write("r.csv", ratings))
    assert [call["truth"] for call in report["calls"]] == ["positive", "negative"]


def test_an_opposite_rating_is_listed_as_a_disagreement(write):
    curves = write("c.csv", table("t", "a", "b", cells={"t": lambda row: row * 30, "a": rising, "b": flat}))
    ratings = write("r.csv", "name,r1,r2\na,n,n\nb,y,y\n")
    (report,) = reports("--amplification", curves, "--ratings", ratings)
    assert [call["name"] for call in report["disagreements"]] == ["a", "b"]
    assert (report["sensitivity"]["value"], report["specificity"]["value"]) == (0, 0)


@pytest.mark.parametrize("scale", [1 / 60, 1 / 3600, 1, 60, 60_000])
def test_the_unit_of_the_axis_does_not_matter_and_is_the_unit_of_the_answer(write, scale: float):
    curves = write("c.csv", table("time", "a", cells={"time": lambda row: row * 30 * scale, "a": rising}, rows=80))
    (report,) = reports("--amplification", curves)
    assert report["calls"][0]["outcome"] == "positive"
    assert 15.5 < report["calls"][0]["value"] / (30 * scale) < 19


def test_a_second_axis_is_no_curve_and_time_is_preferred_to_cycles(write):
    cells = {"cycle": lambda row: row, "time.s": lambda row: row * 30, "a": rising}
    (report,) = reports("--amplification", write("c.csv", table("cycle", "time.s", "a", cells=cells)))
    assert [call["name"] for call in report["calls"]] == ["a"]
    assert report["unit"] == "time.s"


def test_semicolons_decimal_commas_and_missing_values_are_read(write):
    def comma(row: int) -> str:
        return "NA" if row in (3, 30) else str(rising(row)).replace(".", ",")

    curves = write("c.csv", table("cycle", "a", cells={"cycle": lambda row: row, "a": comma}, separator=";"))
    (report,) = reports("--amplification", curves)
    assert report["calls"][0]["outcome"] == "positive"


def test_strips_are_judged_by_the_mean_of_their_zones(write):
    rows = "group,run,d1,d2\nnegative,1,0.5,1\nweak positive,1,9,11\npositive,1,3,3.2\nother,1,50,50\n"
    (report,) = reports("--strips", write("s.csv", rows))
    assert [call["outcome"] for call in report["calls"]] == ["negative", "positive", "indeterminate", "positive"]
    assert [call["truth"] for call in report["calls"]] == ["negative", "positive", "positive", "unrated"]
    assert [call["name"] for call in report["disagreements"]] == ["positive 1"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "header"),
        ("only\n1\n", "two columns"),
        ("t,a\n", "no row"),
        ("t,a\n1,2\n2,3,4\n", "row 2"),
        ("t,a\n1,x\n", "no curve"),
        ("t,a\nx,y\n", "not a number"),
        ("t,a\n2,1\n1,1\n", "rises"),
        ("t,cycle\n1,1\n2,2\n", "no curve"),
        ("t,a\n1,\x00\n", "UTF-8"),
        ('t,a\n1,"2\n', "CSV"),
        ("t,a\n1,2\n2," + "9" * 2000 + "\n", "characters"),
    ],
)
def test_a_file_of_curves_that_cannot_be_used_gets_one_sentence(write, text: str, says: str):
    assert says in refusal("--amplification", write("c.csv", text))


def test_files_that_do_not_fit_together_or_are_not_there_get_one_sentence(write, tmp_path: Path, monkeypatch):
    curves = write("c.csv", table("t", "a", cells={"t": lambda row: row, "a": rising}))
    assert "names no curve" in refusal("--amplification", curves, "--ratings", write("r.csv", "n,r\nzz,y\n"))
    assert "without naming" in refusal("--amplification", curves, "--ratings", write("q.csv", "r,s\ny,y\nn,n\n"))
    assert "no column of ratings" in refusal("--amplification", curves, "--ratings", write("p.csv", "n,r\na,7\n"))
    assert "needs --amplification" in refusal("--ratings", curves)
    assert "no file" in refusal("--strips", tmp_path / "absent.csv")
    assert "no file" in refusal("--amplification", tmp_path)
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00\x00")
    assert "UTF-8" in refusal("--strips", tmp_path / "b.csv")
    monkeypatch.setenv("DOORSTEP_DATA", str(tmp_path))
    assert "DOORSTEP_DATA" in refusal()


def test_a_file_beyond_the_bounds_is_refused(write, monkeypatch):
    monkeypatch.setattr("server.accuracy.table.LARGEST_FILE", 1000)
    assert "MiB" in refusal("--strips", write("s.csv", "group,run,d1\n" + "negative,1,0\n" * 200))
    monkeypatch.setattr("server.accuracy.table.MOST_ROWS", 10)
    assert "rows" in refusal("--strips", write("t.csv", "group,run,d1\n" + "negative,1,0\n" * 20))


def test_the_confidence_interval_is_wilsons():
    low, high = wilson(8, 10)
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)
    assert wilson(0, 5)[0] == 0
    assert wilson(5, 5)[1] == 1


def dialect(rows: list[list[str]], delimiter: str, *, quote: bool = False, end: str = "\n") -> str:
    return end.join(delimiter.join(f'"{cell}"' if quote else cell for cell in row) for row in rows) + end


ROWS = [["Cycle", "A1", "B 2"], *[[str(row), f"{rising(row):.4f}", f"{flat(row):.4f}"] for row in range(1, 41)]]


def comma(rows: list[list[str]]) -> list[list[str]]:
    return [rows[0], *[[cell.replace(".", ",") for cell in row] for row in rows[1:]]]


DIALECTS = {
    "commas": dialect(ROWS, ",").encode(),
    "commas and quotes": dialect(ROWS, ",", quote=True).encode(),
    "semicolons and decimal commas": dialect(comma(ROWS), ";").encode(),
    "quoted decimal commas between commas": dialect(comma(ROWS), ",", quote=True).encode(),
    "tabs and decimal commas": dialect(comma(ROWS), "\t").encode(),
    "bars": dialect(ROWS, "|").encode(),
    "spaces": dialect([[cell.replace(" ", "") for cell in row] for row in ROWS], "  ").encode(),
    "a byte-order mark and returns": b"\xef\xbb\xbf" + dialect(ROWS, ",", end="\r\n").encode(),
    "UTF-16": dialect(ROWS, "\t").encode("utf-16"),
    "Windows' Latin letters": dialect([["Cycle", "A\u00b5", "B"], *ROWS[1:]], ",").encode("cp1252"),
    "Excel's first line": ("sep=;\n" + dialect(comma(ROWS), ";")).encode(),
    "blank lines and comments": ("# exported\n\n" + dialect(ROWS, ",", end="\n\n")).encode(),
    "blank cells at the end of every line": dialect([[*row, ""] for row in ROWS], ",").encode(),
    "row names as R writes them": dialect(
        [ROWS[0], *[[f"r{i}", *row] for i, row in enumerate(ROWS[1:])]], ","
    ).encode(),
    "no header": dialect(ROWS[1:], ",").encode(),
    "times of day": dialect([ROWS[0], *[[f"0:{int(row[0]):02d}:30", *row[1:]] for row in ROWS[1:]]], ",").encode(),
}


@pytest.mark.parametrize("how", DIALECTS)
def test_a_file_of_curves_is_read_however_it_was_exported(tmp_path: Path, how: str):
    file = tmp_path / "c.csv"
    file.write_bytes(DIALECTS[how])
    (report,) = reports("--amplification", file)
    assert [call["outcome"] for call in report["calls"]] == ["positive", "negative"], report["notes"]
    expected = (report["calls"][0]["value"] - 30) / 60 if how == "times of day" else report["calls"][0]["value"]
    assert 15.5 < expected < 19


def test_what_is_passed_over_is_named(write):
    text = "Cycle,well,A1,empty,B2\n" + "".join(
        f"{row},C{row},{'NA' if row == 5 else rising(row)},NA,{'n/a' if row == 7 else flat(row)}\n"
        for row in range(1, 41)
    )
    text += "end of run,,,,\n41\n"
    (report,) = reports("--amplification", write("c.csv", text))
    assert [call["name"] for call in report["calls"]] == ["A1", "B2"]
    notes = " / ".join(report["notes"])
    for said in (
        "well, empty",
        "rows without a place on the axis, passed over: 1",
        "missing values: 4 of 82",
        "shorter",
    ):
        assert said in notes, notes


def test_thousands_are_not_taken_for_decimals(write):
    rows = [["t", "a"], *[[str(row), f"{1000 * rising(row):,.0f}"] for row in range(1, 41)]]
    (report,) = reports("--amplification", write("c.csv", dialect(rows, ",", quote=True)))
    assert report["calls"][0]["outcome"] == "positive"


def test_raters_who_differ_are_left_out_of_the_first_figures_and_counted_by_majority(write):
    names = ("t", "a", "b", "c")
    curves = write("c.csv", table(*names, cells={"t": lambda row: row, "a": rising, "b": flat, "c": rising}))
    ratings = write("r.csv", "a,yes,y,n\nb,neg,n,a\nc,y,NA,y\n")
    (report,) = reports("--amplification", curves, "--ratings", ratings)
    assert [call["truth"] for call in report["calls"]] == ["disputed", "disputed", "positive"]
    assert (report["sensitivity"]["of"], report["specificity"]["of"], report["disputed"]) == (1, 0, 2)
    assert report["by_majority"]["sensitivity"]["of"] == 2
    assert report["by_majority"]["specificity"]["right"] == 1
    assert "by majority" in run("--amplification", curves, "--ratings", ratings).stdout


def test_strips_are_read_with_any_number_of_zones_without_a_header_and_on_no_other_scale(write):
    rows = "negative;1;0,5;1;0,2\npositive;1;40,5;41;39\nNTC;2;0;;-0,4\nweak positive;2;;;\n"
    (report,) = reports("--strips", write("s.csv", rows))
    assert [call["outcome"] for call in report["calls"]] == ["negative", "positive", "negative"]
    assert [call["truth"] for call in report["calls"]] == ["negative", "positive", "negative"]
    assert any("weak positive 2" in note for note in report["notes"])
    assert "8-bit" in refusal("--strips", write("t.csv", "group,run,d1\nnegative,1,4000\n"))


def test_the_page_of_figures_is_what_the_command_makes_now_and_meets_what_is_demanded():
    kept = (Path(__file__).parents[2] / "docs" / "accuracy.md").read_text()
    for section in page.SECTIONS:
        assert section() in kept, f"run doorstep accuracy --report docs/accuracy.md: {section.__name__} differs"
    if DATA.is_dir():
        assert page.opening(measured_reports()) in kept
    at_three = next(line for line in kept.splitlines() if line.startswith("| 3.0 |"))
    assert float(at_three.split("|")[4]) >= 0.95


def test_the_page_goes_with_no_other_option_and_needs_a_place_to_be(tmp_path: Path):
    assert "no other option" in refusal("--report", tmp_path / "p.md", "--json")
    assert "no folder" in refusal("--report", tmp_path / "nowhere" / "p.md")


CELLS = st.sampled_from(
    ["1", "2", "3.5", "0,7", "1.234,5", "NA", "", "y", "n", "a", "x", '"', "t", "1e999", "-", "0:01:02"]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=60)
    | st.lists(st.lists(CELLS, max_size=5), max_size=14).flatmap(
        lambda rows: st.sampled_from([",", ";", "\t", "|", " "]).map(
            lambda cut: "\n".join(cut.join(row) for row in rows).encode()
        )
    )
)
def test_any_bytes_are_either_read_or_refused_in_a_sentence(tmp_path: Path, content: bytes):
    file = tmp_path / "any.csv"
    file.write_bytes(content)
    for arguments in (("--amplification", file), ("--strips", file), ("--amplification", file, "--ratings", file)):
        result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
        assert result.exit_code in (0, 2), result.output
        if result.exit_code == 2:
            assert result.stderr.strip()
            assert "Traceback" not in result.stderr
        else:
            assert json.loads(result.stdout)["reports"]
