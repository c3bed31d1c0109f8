"""From the start of a test to its outcome on the screen: incubating and reading a strip, or running an amplification.

One coroutine a state of `reader.workflow`, under the state's name.
"""

import asyncio
import sys

from micropython import const

from reader import buttons, memory, settings
from reader.drivers import buzzer
from reader.journal import JournalError
from reader.workflow import CANCELLING, FAULT, IDLE, INCUBATE, READ, RESULT, RUN, SAVE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_RESULT_MS = const(900000)
_CONFIRM_MS = const(20000)
_LOOK_MS = const(5000)
_OUTSIDE_MS = const(60000)  # a warm hand or a door that is opened is shorter
# Reasons of reader.outcome that are the instrument's: quality control may be due after them.
_FAULTS = (13, 15, 41, 42, 45)  # lamp, white reference, sensor, heater, analysis


class Course:
    """`workflow` gives `app`, `test`, `sound(pattern)` and `press(ms)`."""

    def __init__(self, workflow):
        self._workflow = workflow
        self._app = workflow.app
        self._parts = workflow.app.parts
        self._screen = workflow.app.parts.screen
        self._test = workflow.test
        self._run: "Any" = None  # the amplification under way, and its task
        self._task: "Any" = None
        self._resume = IDLE
        self._looked: "Any" = None  # when the room's temperature was last looked at, and last found as it must be
        self._inside: "Any" = None

    async def incubate(self):
        test = self._test
        pins = self._parts.buttons
        self._resume = INCUBATE
        whole = test.assay.incubation_s
        heeded = True
        while True:
            left_ms = test.due - self._parts.clock.uptime_ms()
            if left_ms <= 0:
                return READ
            reason = self._left_range(test)
            if reason:
                test.read = self._parts.clock.uptime_ms()
                test.fail(reason)
                return SAVE
            left_s = (left_ms + 999) // 1000
            # Light does a strip no harm before it is read, nor does a cassette that is taken out and put back.
            note = "put back" if not pins.strip_in else "keep closed" if pins.lid_closed else "close lid"
            title = "incubating" if pins.strip_in else "check"
            heeded = self._remind(note, heeded)
            self._screen.countdown(title, left_s, whole - left_s, whole, note, "CANCEL")
            press = await self._parts.buttons.wait(left_ms % 1000 or 1000)
            if press == buttons.B:
                return CANCELLING

    def _left_range(self, test):
        """Why the strip cannot be trusted any more: the room has been outside the assay's temperatures for a while, or
        nothing has told; NONE while it is well. Notes the lowest and the highest."""
        from reader import outcome

        now = self._parts.clock.uptime_ms()
        if self._looked is not None and now - self._looked < _LOOK_MS:
            return outcome.NONE
        self._looked = now
        cc = self._app.temperature()
        if cc is not None:
            test.lowest = cc if test.lowest is None else min(cc, test.lowest)
            test.highest = cc if test.highest is None else max(cc, test.highest)
        if self._inside is None or (cc is not None and test.assay.ambient_low_cc <= cc <= test.assay.ambient_high_cc):
            self._inside = now
        if now - self._inside < _OUTSIDE_MS:
            return outcome.NONE
        return outcome.SENSOR_FAULT if cc is None else outcome.AMBIENT_TEMPERATURE

    async def read(self):
        from reader import outcome

        test = self._test
        pins = self._parts.buttons
        self._resume = READ
        shown = None
        until = test.started + test.assay.latest_s * 1000
        while True:
            if pins.strip_in and pins.lid_closed:
                self._screen.message("reading", "hold still")
                shown = None
                if await self._read_strip(test):
                    return SAVE
                continue
            wanted = "close lid" if pins.strip_in else "put back"
            if wanted != shown:
                shown = wanted
                self._screen.message("check", wanted, None, "CANCEL")
                self._workflow.sound(buzzer.ATTENTION)
            if self._parts.clock.uptime_ms() >= until:
                test.read = self._parts.clock.uptime_ms()
                test.fail(outcome.LID_OPENED if pins.strip_in else outcome.NO_STRIP)
                return SAVE
            press = await self._parts.buttons.wait(1000)
            if press == buttons.B:
                return CANCELLING

    async def _read_strip(self, test):
        """Read and judge the strip; False when the lid or the tray was opened meanwhile, and nothing was judged."""
        from reader import striptest

        pins = self._parts.buttons
        test.ambient = self._app.temperature()
        lit, dark = await striptest.measure(self._parts)
        if not (pins.strip_in and pins.lid_closed):
            return False
        white, name = self._app.calibration
        striptest.judge(self._parts, test, lit, dark, white, name)
        return True

    async def run(self):
        self._resume = RUN
        run = self._run
        if run is None:
            run = self._start_run()
        whole = self._test.assay.duration_s
        heeded = True
        while not run.done:
            left = max(0, whole - run.elapsed_s)
            note = "keep closed" if self._parts.buttons.lid_closed else "close lid"
            heeded = self._remind(note, heeded)
            warm = run.cc > self._test.assay.target_cc - 100
            self._screen.countdown(
                "running" if warm else "heating",
                left,
                run.elapsed_s,
                whole,
                note,
                "CANCEL",
                "%d.%d C" % (run.cc // 100, run.cc % 100 // 10),
            )
            press = await self._parts.buttons.wait(1000)
            if press == buttons.B:
                return CANCELLING
        del run  # `_end_run` makes room for the analysis
        await self._end_run(None)
        return SAVE

    def _remind(self, note, heeded):
        """Call the person once when something is to be done; whether nothing is."""
        if heeded and note != "keep closed":
            self._workflow.sound(buzzer.ATTENTION)
        return note == "keep closed"

    def _start_run(self):
        from reader import heattest

        self._run = heattest.Amplification(self._parts, self._test.assay)
        self._task = asyncio.create_task(self._run.run())
        return self._run

    async def _end_run(self, reason):
        """Conclude the run; `reason` when a person ended it."""
        from reader import heattest

        run, task = self._run, self._task
        if not run.done:
            task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        self._run = self._task = None
        self._screen.message("reading", "storing")
        if reason:
            run.failure = reason
        taken = heattest.Taken(run)
        del run, task, heattest
        memory.forget("heattest")  # the analysis needs its room
        from reader import curvetest

        curvetest.conclude(self._parts, self._test, taken)
        if taken.fault:
            self._app.fault_event(taken.fault)

    async def cancelling(self):
        from reader import outcome

        self._screen.message("cancel?", "really cancel", "YES", "NO")
        wait = _CONFIRM_MS
        if self._resume == INCUBATE:
            wait = max(1, min(wait, self._test.due - self._parts.clock.uptime_ms()))
        press = await self._workflow.press(wait)
        if press != buttons.A:
            return self._resume
        if self._run is not None:
            await self._end_run(outcome.CANCELLED)
        else:
            self._test.read = self._parts.clock.uptime_ms()
            self._test.fail(outcome.CANCELLED)
        return SAVE

    async def save(self):
        test = self._test
        self._screen.message("saving", "storing")
        memory.forget(*memory.FOR_A_TEST)  # the record needs its room
        if test.reason in _FAULTS:
            _note_fault(self._app, test.assay.kind)
        if test.control is not None:
            test.passed = _verdict(test)
        try:
            self._app.record_result(test)
            test.trace = None  # it is in the journal; the screen does not need it
            if test.control is not None:
                _conclude(test, self._app.wall_ms())
        except (JournalError, OSError) as error:
            sys.print_exception(error)
            return FAULT
        return RESULT

    async def result(self):
        from reader import outcome

        test = self._test
        name = outcome.outcome_name(test.outcome)
        sentence = self._screen.text(outcome.reason_name(test.reason)) if test.reason else ""
        if test.control is not None:
            name = "passed" if test.passed else "failed"
            sentence = self._screen.text(_after_control(test))
        rows = _lines(test, self._screen.text("after min"))
        plain = test.passed if test.control is not None else test.reason == outcome.NONE
        self._workflow.sound(buzzer.DONE if plain else buzzer.ATTENTION)
        page = 0
        while True:
            pages = self._screen.outcome(name, test.specimen or "", rows, sentence, "OK", page)
            if await self._workflow.press(_RESULT_MS) != buttons.B:
                # What is in the tray now is used: it must come out before it can be taken for the next one.
                self._parts.buttons.emptied = not self._parts.buttons.strip_in
                return IDLE
            page = (page + 1) % pages

    async def fault(self):
        # Nothing of the test is shown: it is not kept. What is pending becomes a record, as a storage fault,
        # before the next test may begin.
        self._screen.message("fault", "storage bad", "OK")
        self._workflow.sound(buzzer.FAULT)
        await self._workflow.press(_RESULT_MS)
        return IDLE


def _note_fault(app, kind):
    from reader import faults

    faults.note_kind(app, kind)
    del faults
    memory.forget("copies", "faults", "quality")


def _verdict(test):
    from reader import quality

    try:
        return quality.verdict(test)
    finally:
        del quality
        memory.forget("copies", "quality")


def _conclude(test, now_ms):
    from reader import quality

    try:
        quality.Quality(settings.ROOT).conclude(test, now_ms)
    finally:
        del quality
        memory.forget("copies", "quality")


def _after_control(test):
    """The key of what to do after a test of control material."""
    if not test.passed:
        return "run controls"
    from reader import quality

    return "control next" if quality.Quality(settings.ROOT).missing(test.assay) else "controls done"


def _lines(test, after_min):
    """Text, sign and value of each analyte for the result's picture; a plus and a minus are told apart by shape."""
    from reader import outcome

    if test.outcome not in (outcome.POSITIVE, outcome.NEGATIVE, outcome.INDETERMINATE):
        return ()
    sign = {outcome.POSITIVE: "+", outcome.NEGATIVE: "-"}
    return [(analyte[0], sign.get(analyte[1], "?"), _value(analyte, after_min)) for analyte in test.analytes]


def _value(analyte, after_min):
    """What was measured in words; None where nothing was, or only how dark a line is. A seventh element says that it is
    1 below, 2 above the range that can be reported. Cut and not rounded, so that 9.97 under a limit of 10 is 9.9."""
    thousandths, unit = analyte[3], analyte[4]
    if thousandths is None or unit == "ppm":
        return None
    if unit == "min":
        return after_min.format((thousandths + 500) // 1000)
    beyond = ("", "<", ">")[analyte[6]] if len(analyte) > 6 else ""
    return "%s%d.%d %s" % (beyond, thousandths // 1000, thousandths % 1000 // 100, unit)
