"""Scenarios: which readers stand on the bench, which tests are run on them, and what each must come to.

A scenario is a TOML file. Strips and tubes may name measurements by others (see `measurements`); where those files are
absent, the physical model beside them stands in.

    seed = 7                                   # of everything random
    speed = 200                                # seconds for a reader in one of ours
    [[reader]]
    name = "Village hall"
    enrolled = "hall.json"                     # what `doorstep server enrol-reader --json` printed, beside this file
    [[reader.test]]
    specimen = "SPC-0001"
    operator = "OPKIT1"
    cassette = "(01)02000000000015(17)291231(10)LOT1(21)0001"
    strip = { test = 0.20, control = 0.45, measured = { group = "positive", run = 1 } }
    expect = { outcome = "positive", reason = "none" }
    [[reader.test]]
    specimen = "SPC-0002"
    cassette = "(01)02000000000039(17)291231(10)LOT2(21)0001"
    tube = { positive_min = 16.0, control_min = 14.0, measured = { file = "LAMP", curve = "Normalized.RFU" } }
    expect = { outcome = "positive", reason = "none" }
"""

import secrets
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from .measurements import Measurements
from .physics import Line, Strip, Tube

TEST_LINE_MM = 6.0
CONTROL_LINE_MM = 11.0
_FILE_MAX = 256 * 1024


class ScenarioError(Exception):
    """The scenario cannot be used; the message says where and what to do."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MeasuredStrip(_Part):
    """A row of lateral-flow/taltech.csv."""

    group: Literal["negative", "positive", "weak positive"]
    run: Annotated[int, Field(ge=1)]


class MeasuredCurve(_Part):
    """A column of amplification/FILE.csv."""

    file: Literal["LAMP", "C17", "C67"]
    curve: str


class StripPlan(_Part):
    """Darkening of the lines at their centre, 0 to 1; `test_mm` are the places of the test lines."""

    test: float | list[float] = 0.0
    control: Annotated[float, Field(ge=0, le=1)] = 0.45
    test_mm: list[float] = [TEST_LINE_MM]
    control_mm: float = CONTROL_LINE_MM
    shift_mm: float = 0.0
    measured: MeasuredStrip | None = None

    def build(self, measurements: Measurements, seed: int) -> Strip:
        """The strip; measured darkening where it is asked for and at hand."""
        tests = self.test if isinstance(self.test, list) else [self.test]
        if self.measured is not None and measurements.present:
            tests = [measurements.darkening(self.measured.group, self.measured.run)] * len(self.test_mm)
        lines = [Line(place, max(0.0, dark)) for place, dark in zip(self.test_mm, tests, strict=True)]
        lines.append(Line(self.control_mm, self.control))
        return Strip(lines=lines, shift_mm=self.shift_mm, seed=seed)


class TubePlan(_Part):
    """Minutes at temperature to the middle of the rise; none is a reaction that never rises."""

    positive_min: float | None = None
    control_min: float | None = 14.0
    measured: MeasuredCurve | None = None

    def build(self, measurements: Measurements) -> tuple[Tube, Tube]:
        """The sample's tube and the internal control's."""
        sample = Tube(time_to_positive_min=self.positive_min)
        if self.measured is not None and measurements.present:
            sample = Tube(curve=measurements.curve(self.measured.file, self.measured.curve))
        return sample, Tube(time_to_positive_min=self.control_min)


class Expectation(_Part):
    """What the test must come to."""

    outcome: Literal["positive", "negative", "indeterminate", "invalid", "error"]
    reason: str = "none"


class TestPlan(_Part):
    """One test, as a worker is handed it."""

    __test__ = False

    specimen: str
    cassette: str
    operator: str | None = None
    strip: StripPlan | None = None
    tube: TubePlan | None = None
    expect: Expectation

    @model_validator(mode="after")
    def _one_kind(self) -> "TestPlan":
        if (self.strip is None) == (self.tube is None):
            raise ValueError("a test has either a strip or a tube: give one of them")
        return self


class Identity(BaseModel):
    """A reader as the server has enrolled it; the key is secret."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    reader_id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    generation: Annotated[int, Field(ge=0)]


class ReaderPlan(_Part):
    """One reader and its tests, in order.

    Without `enrolled` it has an identity that nobody else knows, and ends with the run. With it, its flash is kept
    beside that file: a reader that began its numbers anew would look like two under one identity.
    """

    name: Annotated[str, Field(min_length=1, max_length=32)]
    enrolled: Path | None = None
    test: Annotated[list[TestPlan], Field(max_length=1000)] = []

    @field_validator("enrolled")
    @classmethod
    def _beside(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        folder: Path | None = info.context
        return path if path is None or folder is None else folder / path

    @property
    def flash(self) -> Path | None:
        """Where its flash is kept; None for one that ends with the run."""
        return None if self.enrolled is None else self.enrolled.with_suffix(".flash")

    def identity(self) -> Identity:
        """Its identity; a new one without `enrolled`. ScenarioError."""
        if self.enrolled is None:
            return Identity(reader_id=secrets.token_hex(8), key=secrets.token_hex(32), generation=0)
        try:
            return Identity.model_validate_json(self.enrolled.read_bytes())
        except (OSError, ValueError):
            raise ScenarioError(
                f"{self.name}: {self.enrolled} is not what doorstep server enrol-reader --json printed: "
                "write that into this file and try again."
            ) from None


class Scenario(_Part):
    """The whole bench."""

    seed: int = 1
    speed: Annotated[float, Field(ge=0.1, le=1000)] = 200.0
    reader: Annotated[list[ReaderPlan], Field(min_length=1, max_length=10)]


def load(path: Path) -> Scenario:
    """The scenario in a TOML file; ScenarioError names the first thing wrong."""
    try:
        if path.stat().st_size > _FILE_MAX:
            raise ScenarioError(f"{path} is over {_FILE_MAX} bytes: give a scenario file.")
        text = path.read_text(encoding="utf-8")
        return Scenario.model_validate(tomllib.loads(text), context=path.parent)
    except OSError as error:
        raise ScenarioError(f"{path} cannot be read ({error.strerror}): give the path of a scenario file.") from None
    except UnicodeDecodeError:
        raise ScenarioError(f"{path} is not text in UTF-8: give a scenario file.") from None
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{path} is not TOML: {error}. Mend that line and try again.") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"]) or "the file"
        raise ScenarioError(f"{path}: {where}: {first['msg']}. Mend it and try again.") from None
