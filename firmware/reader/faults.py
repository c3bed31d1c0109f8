"""What a fault leaves to be done: the record of a test that it ended, and a note of it for quality control.

Loaded when there is something to do, and dropped after. `app` is a `reader.app.App`.
"""

import sys

from reader import results, settings
from reader.journal import JournalError, JournalFull

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def record_lost_test(app: "Any", note: bytes, starting: bool) -> "bool | None":
    """Make of the note of a test that outlived it the test's record: *power lost* as the reader starts, later *storage
    fault*. True when it is durable, False while there is no room for it, None while the storage fails."""
    from reader import identify, outcome

    try:
        lost = results.lost_test(note, outcome.POWER_LOST if starting else outcome.STORAGE_FAULT)
        identify.lost(lost)
        app.record_result(lost)
    except JournalFull:
        # The radio must still run, so that what is held can be collected.
        return False
    except (JournalError, OSError) as error:
        sys.print_exception(error)  # pyright: ignore[reportAttributeAccessIssue]
        app.faulty = True
        return None
    if starting:
        app.lost_specimen = lost.specimen
    return True


def note_parts(app: "Any", bits: int) -> None:
    """Quality control may be due after a fault of the parts in `bits` (reader.checks), by what they measure."""
    from reader import assays, checks

    if bits & checks.ARRAY_LIT:
        note_kind(app, assays.STRIP)
    if bits & checks.FOR_AMPLIFICATION:
        note_kind(app, assays.AMPLIFICATION)


def note_kind(app: "Any", kind: int) -> None:
    """Keep for quality control that tests of that kind (reader.assays) had a fault."""
    tell_quality(app, lambda kept: kept.fault(kind))


def tell_quality(app: "Any", tell: "Callable[[Any], None]") -> None:
    """Have `tell` keep something in quality control's state. A failure of the flash makes the reader `faulty`."""
    from reader import quality

    try:
        tell(quality.Quality(settings.ROOT))
    except OSError as error:
        sys.print_exception(error)  # pyright: ignore[reportAttributeAccessIssue]
        app.faulty = True
