"""What quality control says beside one result, in words: how its reader stood then, and where its cassette was used."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from server.quality import service
from server.quality.repository import LevelTest, SameCassette
from server.quality.service import Beside, Standing, State
from server.web import formatting
from server.worklist.views import Alert

_NONE = "No quality control on record"
_SHOWN = 5


def facts(beside: Beside, zone: ZoneInfo) -> list[tuple[str, str, str]]:
    """(key, value, note) of quality control of this reader at the test: its lot, then the assay on any lot."""
    return [
        ("Quality control of this lot", *_state(beside.lot, zone)),
        ("Quality control of this assay", *_state(beside.assay, zone)),
    ]


def _state(state: State, zone: ZoneInfo) -> tuple[str, str]:
    last = state.last
    if last is None:
        return f"{_NONE} when it was tested", ""
    if state.standing is Standing.FAILED:
        failed = " and ".join(one.level for one in state.levels if not one.passed)
        return f"Failed when it was tested: level {failed}", _last(last, zone)
    if state.standing is Standing.IN_DOUBT:
        doubted = " and ".join(one.level for one in state.levels if service.doubted(one))
        said = f"In doubt: level {doubted} passed on the reader, but its trace does not bear that out"
        return said, _last(last, zone)
    return f"Passed: level {' and '.join(one.level for one in state.levels)}", _last(last, zone)


def _last(last: LevelTest, zone: ZoneInfo) -> str:
    if last.tested_at is None:
        return f"Record {last.number:,}, received {formatting.date_and_time(last.received_at, zone)}"
    return f"Record {last.number:,}, tested {formatting.date_and_time(last.tested_at, zone)}"


def warnings(beside: Beside) -> list[Alert]:
    """What must be seen before the outcome is relied on."""
    made: list[Alert] = []
    if Standing.FAILED in (beside.lot.standing, beside.assay.standing):
        made.append(
            Alert(
                "Quality control had failed",
                "The last quality control of this assay on this reader before the test did not pass. Do not rely on"
                " this result until that has been looked into.",
                "/quality",
                "See quality control",
            )
        )
    elif Standing.IN_DOUBT in (beside.lot.standing, beside.assay.standing):
        made.append(
            Alert(
                "Quality control is in doubt",
                "The last quality control of this assay on this reader before the test passed on the reader, but its"
                " trace does not bear that out. Do not rely on this result until that has been looked into.",
                "/quality",
                "See quality control",
            )
        )
    if beside.same_cassette:
        made.append(_twice(beside.same_cassette))
    return made


def _twice(others: Sequence[SameCassette]) -> Alert:
    said = [_where(one) for one in others[:_SHOWN]]
    if len(others) > _SHOWN:
        said.append(f"{len(others) - _SHOWN} more")
    first = next((one for one in others if one.result_id is not None), None)
    return Alert(
        "The same cassette is in more than one test",
        f"A cassette can be used once. This one is also in {', '.join(said)}. Find out which specimen it held.",
        f"/results/{first.result_id}" if first else "",
        "See the other result" if first else "",
    )


def _where(one: SameCassette) -> str:
    kind = "a quality-control test" if one.result_id is None else "a result"
    return f"{kind} on reader {one.reader}, record {one.number:,}"
