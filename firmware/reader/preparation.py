"""Before a test: waiting, identifying specimen and cassette, putting them in; and every refusal to begin.

One coroutine a state of `reader.workflow`, under the state's name.
"""

import asyncio
import sys
import time

from micropython import const

from reader import buttons, checks, memory, power, results, wire
from reader.drivers import buzzer
from reader.workflow import IDENTIFY, IDLE, INCUBATE, INSERT, LOAD, REFUSED, RUN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SCAN_MS = const(50)
_IDLE_MS = const(250)
_REST_MS = const(600000)
_GIVE_UP_MS = const(180000)  # an unfinished identification
_NOTICE_MS = const(20000)
_WATCHING_MS = const(200)


class Preparation:
    """`workflow` gives `app`, `test`, `sound(pattern)` and `press(ms)`."""

    def __init__(self, workflow):
        self._workflow = workflow
        self._app = workflow.app
        self._parts = workflow.app.parts
        self._screen = workflow.app.parts.screen
        self._refusal: "Any" = None
        self._code: "Any" = None
        self.shown: "Any" = None  # what the idle picture was drawn from

    async def starting(self):
        if self._app.check_bits:
            await self._tell("checks failed")
        lost = self._app.lost_specimen
        if lost is not None:
            # Whoever comes to the reader next must know of it, so it stays until somebody has seen it.
            self._screen.message("power went", "saved as error", "OK", detail=lost)
            self._workflow.sound(buzzer.ATTENTION)
            while not await self._workflow.press(_GIVE_UP_MS):
                pass
            self._app.lost_specimen = None
        return IDLE

    async def _tell(self, text):
        """Tell of a fault of the reader's own parts; one that goes on until it is switched off, until it is seen."""
        self._app.untold = None
        detail = self._screen.text("code").format(self._app.check_bits)
        self._screen.message("check" if text == "checks failed" else "fault", text, "OK", detail=detail)
        self._workflow.sound(buzzer.FAULT)
        while not await self._workflow.press(_NOTICE_MS) and text != "checks failed":
            self._workflow.sound(buzzer.FAULT)

    async def idle(self):
        self._workflow.test = None
        self._app.controls_changed = True
        memory.forget(*memory.FOR_A_TEST)
        if self._app.watched:  # until then the self-check has the heater, and would take a short pulse for a fault
            self._parts.dark()
        self._parts.scanner.discard()
        self._parts.buttons.forget()
        self.shown = None
        self._touched()
        while True:
            if self._app.untold:
                await self._tell(self._app.untold)
                self.shown = None
            now = (self._app.identity.name, self._parts.battery.percent, self._app.progress)
            if now != self.shown:
                self.shown = now
                self._screen.message("ready", "press start", "START", detail=now[0], corner="%d%%" % now[1])
                if now[2] is not None:
                    self._screen.line(4, self._screen.text("update at").format(now[2]))
                    self._screen.show()
            press, self._code = await self._input(_IDLE_MS)
            if press == buttons.A or self._code:
                return self._refuse_start() or IDENTIFY
            if press:
                self._touched()
            elif self._app.uptime_ms() - self._workflow.touched_ms > _REST_MS:
                from reader import rest

                self._code = await rest.until_wanted(self._app)
                memory.forget("rest")
                if self._code:
                    return self._refuse_start() or IDENTIFY
                self._touched()

    def _touched(self):
        self._workflow.touched_ms = self._app.uptime_ms()

    def _refuse_start(self):
        """REFUSED when no test of any kind may begin now."""
        app = self._app
        if app.check_bits & checks.STORAGE:
            return self._refuse("storage bad")
        finished = app.finish_lost_test()
        if app.journal.lost is not None or finished is None:
            return self._refuse("storage bad")
        if not finished or app.journal.room_for() < 2:
            waiting = app.journal.next - 1 - app.journal.released
            return self._refuse("storage full", self._screen.text("waiting").format(waiting))
        app.measure_battery()
        if self._parts.battery.percent < power.EMPTY_PERCENT:
            return self._refuse("battery low")
        return None

    def _refuse(self, key, detail=None, back=IDLE):
        self._refusal = (key, detail, back)
        return REFUSED

    async def refused(self):
        key, detail, back = self._refusal
        self._screen.message("refused", key, "OK", detail=detail)
        self._workflow.sound(buzzer.WARN)
        await self._workflow.press(_NOTICE_MS)
        return back

    async def identify(self):
        from reader import identify

        if self._workflow.test is None:
            self._workflow.test = results.Test()
        test = self._workflow.test
        code, self._code = self._code, None
        badge = identify.badge_needed()
        last = time.ticks_ms()
        changed = True
        while True:
            if code:
                refused = identify.take(self._app, test, code)
                if refused:
                    if refused == "pack bad":
                        self._app.event(wire.EVENT_FAULT, "assay pack", ())
                    return self._refuse(refused, None, IDENTIFY)
                self._workflow.sound(buzzer.CLICK)
                last = time.ticks_ms()
                changed = True
            ready = bool(test.specimen and test.assay and (test.operator or not badge))
            if changed:
                cassette = test.assay.short if test.assay else None
                self._screen.codes(test.specimen, cassette, test.operator, "NEXT" if ready else None, "BACK", badge)
                self._parts.scanner.trigger()
                changed = False
            press, code = await self._input(_SCAN_MS)
            if press == buttons.B or self._app.untold:
                return IDLE
            if press == buttons.A and ready:
                strip = hasattr(test.assay, "test_um")
                del identify
                self._forget()
                return INSERT if strip else LOAD
            if time.ticks_diff(time.ticks_ms(), last) > _GIVE_UP_MS:
                return IDLE

    def _forget(self):
        # The test keeps the one assay that it needs.
        memory.forget("assays", "packs", "gs1", "identify", "lists", "cassettes", "copies", "quality")

    async def insert(self):
        shown = None
        pins = self._parts.buttons
        while True:
            ready = pins.strip_in and pins.lid_closed
            body = "press start now" if ready else "close lid" if pins.strip_in else "insert strip"
            if pins.strip_in and not pins.emptied:
                ready, body = False, "take out"
            if body != shown:
                shown = body
                self._screen.message("insert", body, "START" if ready else None, "BACK")
            press = await self._parts.buttons.wait(_GIVE_UP_MS)
            if press == buttons.B or self._app.untold:
                return IDLE
            if press == buttons.A and pins.strip_in and pins.lid_closed and pins.emptied:
                return self._begin(self._workflow.test.assay.incubation_s, INCUBATE)

    def _begin(self, seconds, following):
        """The test starts here: once the note of it is kept it ends with a record, whatever happens. REFUSED when what
        was well at the scan is not any more, and nothing has started."""
        from reader import identify

        app = self._app
        test = self._workflow.test
        parts = self._parts
        refused = identify.refused_start(app, test)
        if refused:
            return self._refuse(refused, None, IDLE if refused == "sensor bad" else IDENTIFY)
        test.checks = app.check_bits
        test.battery_mv = parts.battery.millivolts
        test.started = parts.clock.uptime_ms()
        test.due = test.started + seconds * 1000
        test.ambient = app.temperature()
        try:
            app.journal.pending_set(results.pending_note(test))
            identify.begin(test)
        except OSError as error:
            # If the note is kept, it becomes a record, as a storage fault, before the next test may begin.
            sys.print_exception(error)
            app.fault_event("test not begun: %s" % error)
            return self._refuse("storage bad")
        finally:
            del identify
            self._forget()
        return following

    async def load(self):
        pins = self._parts.buttons
        shown = None
        while not self._app.watched:  # the self-check has the heater for its first seconds
            await asyncio.sleep_ms(_WATCHING_MS)
        if self._app.check_bits & checks.HEATER:
            return self._refuse("sensor bad")
        while True:
            closed = pins.lid_closed
            if closed != shown:
                shown = closed
                note = self._screen.text("press start now" if closed else "close lid")
                self._screen.message("tubes", "insert tubes", "START" if closed else None, "BACK", detail=note)
            press = await self._parts.buttons.wait(_GIVE_UP_MS)
            if press == buttons.B or self._app.untold:
                return IDLE
            if press == buttons.A and pins.lid_closed:
                return self._begin(self._workflow.test.assay.duration_s, RUN)

    async def _input(self, ms):
        """(press or 0, scanned code or None) after at most `ms` milliseconds."""
        code = self._parts.scanner.poll()
        if code:
            return 0, code
        press = await self._parts.buttons.wait(ms)
        return press, self._parts.scanner.poll()
