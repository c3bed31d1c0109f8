"""`doorstep accuracy`: what the reader's analysis says of traces that people have judged, and how often it differs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from reader import amplification, strip
from server.accuracy.files import FileError, read_curves, read_ratings, read_strips
from server.accuracy.reports import INTERVAL, Call, Report, judge_curves, judge_strips

app = typer.Typer(help="Compare the analysis with what people said of the same traces.", add_completion=False)


def report_curves(file: Path, ratings: Path | None) -> Report:
    """The report on one file of curves, with the ratings where there are any."""
    curves = read_curves(file)
    if ratings is None:
        return judge_curves(curves, {})
    rated = read_ratings(ratings, [name for name, _ in curves.columns])
    report = judge_curves(curves, rated.verdicts)
    report.notes += [f"ratings: {note}" for note in rated.notes]
    return report


def report_strips(file: Path) -> Report:
    """The report on one file of strips."""
    rows, notes = read_strips(file)
    return judge_strips(file.name, rows, notes)


def data_folder() -> Path:
    """Where the measured data lie: DOORSTEP_DATA, or shared/data beside the repository."""
    named = os.environ.get("DOORSTEP_DATA")
    return Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "data"


def measured_reports() -> list[Report]:
    """Every data set of the data folder; `FileError` when it is not there."""
    folder = data_folder()
    curves = folder / "amplification"
    if not curves.is_dir() or not (folder / "lateral-flow").is_dir():
        raise FileError(
            "The data folder is not there: set DOORSTEP_DATA to the folder that holds amplification/ and lateral-flow/,"
            " or name files with --amplification and --strips."
        )
    reports = [report_curves(curves / "RAS002.csv", curves / "RAS002-ratings.csv")]
    reports += [report_curves(curves / name, None) for name in ("C17.csv", "C67.csv", "LAMP.csv")]
    return [*reports, report_strips(folder / "lateral-flow" / "taltech.csv")]


@app.callback(invoke_without_command=True)
def accuracy(
    amplification_csv: Annotated[
        Path | None, typer.Option("--amplification", help="Curves: first column cycle or time, one curve a column.")
    ] = None,
    ratings_csv: Annotated[
        Path | None, typer.Option("--ratings", help="Ratings: curve name, then one y, n or a column a rater.")
    ] = None,
    strips_csv: Annotated[
        Path | None, typer.Option("--strips", help="Strips: group, run, then darkening counts of each zone.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    document: Annotated[
        Path | None,
        typer.Option("--report", help="Write the page of figures, from simulations and the data folder, to this file."),
    ] = None,
) -> None:
    """Sensitivity, specificity, invalid rate and every disagreement of the reader's analysis.

    Without a file it takes the data folder. It ends with 0 whatever the figures are, and with 2 where a file cannot be
    used.
    """
    try:
        if ratings_csv and not amplification_csv:
            raise FileError("--ratings needs --amplification: name the file of curves that were rated.")
        if document:
            if amplification_csv or strips_csv or as_json:
                raise FileError("--report goes with no other option: its figures are of the project's own data.")
            _write(document)
            return
        reports: list[Report] = []
        if amplification_csv:
            reports.append(report_curves(amplification_csv, ratings_csv))
        if strips_csv:
            reports.append(report_strips(strips_csv))
        reports = reports or measured_reports()
    except FileError as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(2) from None
    if as_json:
        versions = {"amplification": amplification.ALGORITHM, "strip": strip.ALGORITHM}
        typer.echo(json.dumps({"algorithms": versions, "reports": [report.as_json() for report in reports]}, indent=2))
    else:
        typer.echo("\n\n".join(as_text(report) for report in reports))


def _write(document: Path) -> None:
    from server.accuracy import page

    if not document.parent.is_dir():
        raise FileError(f"There is no folder {document.parent}: name another file.")
    try:
        measured = measured_reports()
    except FileError:
        measured = []
    try:
        document.write_text(page.made(measured))
    except OSError as problem:
        raise FileError(f"{document} cannot be written ({problem.strerror}): name another file.") from None


def as_text(report: Report) -> str:
    """A report for a person: the proportions, then every disagreement, then every call where nothing was rated."""
    lines = [f"{report.file}: {len(report.calls)} traces"]
    lines += [f"  {note}" for note in report.notes]
    majority_differs = any(call.truth == "disputed" for call in report.calls)
    shares = [("sensitivity", report.proportion("positive")), ("specificity", report.proportion("negative"))]
    if majority_differs:
        shares += [("  by majority", report.by_majority("positive")), ("  by majority", report.by_majority("negative"))]
    for name, share in shares:
        if share.value is not None:
            reach = f"{INTERVAL}: {share.low:.4f} to {share.high:.4f}"
            lines.append(f"  {name:13} {share.value:.4f}  ({reach};  {share.right} of {share.of})")
    for name in ("invalid", "indeterminate"):
        count = report.count(name)
        lines.append(f"  {name:13} {count / len(report.calls):.4f}  ({count} of {len(report.calls)})")
    rated = any(call.truth in ("positive", "negative") for call in report.calls)
    disagreements = [call for call in report.calls if call.disagrees]
    if rated:
        lines.append(f"  disagreements {len(disagreements)}")
    shown = disagreements if rated else report.calls
    lines += [_call_text(call, report) for call in shown]
    return "\n".join(lines)


def _call_text(call: Call, report: Report) -> str:
    said = call.outcome if call.reason == "none" else f"{call.outcome} ({call.reason})"
    rated = "" if call.truth == "unrated" else f", rated {call.truth}"
    value = "" if call.value is None else f", {call.value:.4g} ± {call.error:.2g} {report.unit}"
    return f"    {call.name}: {said}{rated}{value}"
