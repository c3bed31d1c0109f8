"""Starts the reader and keeps it going: what the workflow, the link and the session share, and what is done on a
fault.

Nothing here continues after an error that it does not understand: the heater goes off, the fault is journalled,
and the chip is reset. A test that was under way then ends as *error, power lost* at the next start.
"""

import asyncio
import gc
import os
import sys
import time

import machine
from micropython import const

from reader import memory, results, settings, wire
from reader.clock import Clock
from reader.custody import Recorder, genesis
from reader.drivers import buzzer
from reader.drivers.ntc import NTCError
from reader.identity import Identity, IdentityError, NotProvisioned
from reader.journal import Journal, JournalError, JournalFull
from reader.parts import Parts
from reader.session import Session
from reader.workflow import Workflow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WATCHDOG_MS = const(30000)  # far above the longest analysis, some seconds on this chip
_TICK_MS = const(5000)
_BATTERY_TICKS = const(12)
_CONTROL_TICKS = const(720)
_EVENT_KEEP = const(2)  # results that must still fit after an event: events never take the last room
_CLOCK_MOVED_MS = const(2000)
_GC_THRESHOLD = const(16384)
_LOUD_MS = const(3000)
_HALT_MS = const(10000)
_RESETS = {
    machine.PWRON_RESET: "power on",
    machine.HARD_RESET: "reset",
    machine.WDT_RESET: "watchdog",
    machine.DEEPSLEEP_RESET: "deep sleep",
    machine.SOFT_RESET: "soft reset",
}


class App:
    """The reader. It is also the `device` of `reader.session`."""

    firmware = settings.FIRMWARE
    root = settings.ROOT

    def __init__(self):
        self.boot_id = os.urandom(wire.BOOT_ID_BYTES)
        self.parts = Parts()
        self.faulty = False
        self.check_bits = 0
        self.watched = False  # the checks that take some seconds are done
        self.untold: "Any" = None  # the text of a fault that no picture has told of yet
        self.lost_specimen: "Any" = None  # of the test that the last power cut ended, until a person has seen it
        self.controls_changed = True  # a test may have changed how quality control stands
        self._controls = 0  # a FLAG_CONTROL_* of quality control; 0: not known
        self.workflow = None
        self.link = None
        self.renewing = False  # a step of an update is looked for once a minute
        self.progress: "Any" = None  # percent that is there of the update awaited
        self._orphan = None
        self._starting = True  # what is pending is from before this start
        self._beep = None
        # Once started it cannot be stopped: whatever hangs from here on ends in a reset.
        self.watchdog = machine.WDT(timeout=_WATCHDOG_MS)

    def start(self):
        """Everything up to the first picture that asks for something. IdentityError, JournalError, OSError."""
        parts = self.parts
        parts.screen.start()
        self.identity = Identity(settings.ROOT)
        parts.screen.language(self.identity.language)
        parts.screen.message("doorstep", "starting")
        self.clock = parts.clock = Clock(parts.chip, self.boot_id, settings.clock_note(), self._keep_clock_note)
        self.journal = Journal(settings.JOURNAL, genesis(self.identity.reader_id))
        self._recorder = Recorder(self.identity, self.journal, os.urandom)
        self.finish_lost_test()
        from reader import faults

        wall_ms = self.wall_ms()
        if wall_ms is not None:
            # Quality control counts its hours from the first start with a clock.
            faults.tell_quality(self, lambda kept: kept.clock_known(wall_ms))
        del faults
        cause = machine.reset_cause()
        self.event(wire.EVENT_BOOT, _RESETS.get(cause, "other"), [cause])
        if self.identity.floor_ms and (self.wall_ms() or 0) < self.identity.floor_ms:
            self.set_clock(self.identity.floor_ms, None, wire.CLOCK_SERVER)
        self._check()
        self.renew("started")
        memory.forget(*memory.FOR_A_TEST)
        self.session = Session(self.identity, self.journal, self)
        self.workflow = Workflow(self)
        gc.collect()

    def _keep_clock_note(self, unix_ms, uncertainty_ms):
        # Without the note the clock is only less sure after the next start; that must not stop anything.
        try:
            settings.keep_clock_note(unix_ms, uncertainty_ms)
        except OSError as error:
            sys.print_exception(error)
            self.faulty = True

    def finish_lost_test(self):
        """A test that a power cut, a reset or the storage ended becomes its record before anything else may happen.

        False while there is no room for that record, None while the storage fails: no test may begin, or this one would
        be forgotten.
        """
        note = self.journal.pending()
        finished = True
        if note is not None:
            from reader import faults

            finished = faults.record_lost_test(self, note, self._starting)
            del faults
            memory.forget(*memory.FOR_A_TEST)
        if finished:
            self._starting = False
        return finished

    def _check(self):
        from reader import checks

        self.check_bits = checks.run(self.parts)
        self.calibration = settings.calibration()
        if self.calibration[1] is None:
            self.check_bits |= checks.CALIBRATION
        if self.journal.lost is not None or self.faulty:
            self.check_bits |= checks.STORAGE
        self.measure_battery()
        self._check_packs()
        if self.check_bits:
            self.event(wire.EVENT_FAULT, "self-check", [self.check_bits])
            self.faulty = True
            self._note_parts(self.check_bits)

    def _check_packs(self):
        from reader import packs

        for assay_id, version in packs.inspect():
            # Its own tests are refused until the server sends it anew; the others go on.
            self.event(wire.EVENT_FAULT, "assay pack " + assay_id, [version])

    def check_again(self, mask, bits):
        """Take `bits` as what is now known of the parts in `mask`; an event tells of each new fault. Returns `bits`."""
        news = bits & ~self.check_bits
        self.check_bits = self.check_bits & ~mask | bits
        if news:
            self.event(wire.EVENT_FAULT, "self-check", [self.check_bits])
            self.faulty = True
            self._note_parts(news)
        return bits

    def _note_parts(self, bits):
        from reader import faults

        faults.note_parts(self, bits)
        del faults
        memory.forget("faults")

    async def run(self):
        """Never returns; any exception is a fault."""
        from reader.link import Link

        asyncio.get_event_loop().set_exception_handler(self._on_orphan)
        self.link = Link(self)
        await asyncio.gather(self.workflow.go(), self.link.run(), self._supervise(), self._watch())

    def _on_orphan(self, loop, context):
        # A task that nobody awaits has failed; the supervisor makes it the app's failure.
        self._orphan = context["exception"]

    async def _watch(self):
        """The checks that take some seconds, while the reader already waits for a person."""
        from reader import checks

        bits = await checks.watch(self.parts, lambda: not self.workflow.testing)
        if bits is not None:
            before = self.check_bits
            if bits & checks.CLOCK_CHIP:
                self.clock.doubt_chip()
            # A chip that did not answer at the start is not well for answering now.
            self.check_again(checks.HEATER, bits & checks.HEATER)
            self.check_again(checks.CLOCK_CHIP, (bits | self.check_bits) & checks.CLOCK_CHIP)
            if self.check_bits & ~before:
                self._alarm("checks failed")
        self.watched = True
        self.changed()

    def _alarm(self, text):
        self.untold = text
        self.workflow.alarm()

    def _watch_block(self):
        """No test looks at the heater while it has none; one that cannot be switched off must not wait for it."""
        if self.parts.heater.astray(self.temperature(), self.clock.uptime_ms()):
            from reader import checks

            self.fault_event("warms while off")
            self.check_again(checks.HEATER, checks.HEATER)
            self._alarm("heater on")

    async def _supervise(self):
        ticks = 0
        while True:
            self.watchdog.feed()
            if self._orphan is not None:
                raise self._orphan
            self.clock.uptime_ms()  # so that the counter never misses a wrap
            if self.watched:
                self._watch_block()
            if ticks % _BATTERY_TICKS == 0:
                self.measure_battery()
                if self.renewing and not self.workflow.testing and not self.session.receiving:
                    self.renew("look")
            if self.journal.tidy():
                self.changed()
            if self.workflow.resting and (self.controls_changed or ticks % _CONTROL_TICKS == 0):
                self._look_at_controls()
            ticks += 1
            gc.collect()
            await asyncio.sleep_ms(_TICK_MS)

    def _look_at_controls(self):
        from reader import standing

        before = self._controls
        self.controls_changed = False
        try:
            self._controls = standing.flag(self.wall_ms())
        except MemoryError:
            self._controls = 0
        finally:
            del standing
            memory.forget("standing", "quality", "packs", "assays", "copies")
        if self._controls != before:
            self.changed()

    # What the workflow asks for

    def changed(self):
        """Something that the hub can see is another."""
        if self.link is not None:
            self.link.refresh()

    def measure_battery(self):
        """Look at the battery now, and tell of it when it has just become low."""
        battery = self.parts.battery
        before = battery.percent
        if battery.measure():
            self.event(wire.EVENT_LOW_BATTERY, None, [battery.percent, battery.millivolts or 0])
        if battery.percent != before:
            self.changed()

    def record_result(self, test):
        """Store the test's record, which ends it; returns once it is durable. JournalError, OSError: not stored."""
        self._recorder.write(results.result(test, self.clock.moment(), settings.FIRMWARE), True)
        gc.collect()
        self.changed()

    def temperature(self):
        """Of the block, hundredths of a degree; None when the thermistor is faulty."""
        try:
            return self.parts.ntc.read()
        except NTCError:
            return None

    def fault_event(self, detail):
        self.faulty = True
        self.event(wire.EVENT_FAULT, detail, ())

    # What the session asks for (see reader.session)

    def uptime_ms(self):
        return self.clock.uptime_ms()

    def wall_ms(self):
        return self.clock.wall()[0]

    def clock_source(self):
        return self.clock.wall()[1]

    def set_clock(self, unix_ms, uncertainty_ms, source):
        before = self.clock.wall()[0]
        self.clock.set(unix_ms, uncertainty_ms, source)
        # A hub sets the clock at every visit; only a step that matters is worth a record.
        if before is None or abs(unix_ms - before) > _CLOCK_MOVED_MS:
            self.event(wire.EVENT_CLOCK_SET, None, [before or 0, unix_ms, source])
        self.changed()

    def battery(self):
        return self.parts.battery.percent

    def flags(self):
        flags = 0
        if self.clock.wall()[0] is None:
            flags |= wire.FLAG_CLOCK_UNSET
        if self.workflow is not None and self.workflow.testing:
            flags |= wire.FLAG_TEST_RUNNING
        if self.parts.battery.low:
            flags |= wire.FLAG_LOW_BATTERY
        if self.faulty:
            flags |= wire.FLAG_FAULT
        if self.journal.lost is not None or self.journal.room_for() < 2:
            flags |= wire.FLAG_STORAGE_FULL
        return flags | self._controls

    def random(self, n):
        return os.urandom(n)

    def identify(self):
        """Beep and show the name, unless the screen is needed for a test."""
        self._beep = asyncio.create_task(self.parts.buzzer.play(buzzer.HERE))
        self.workflow.show_name()

    def event(self, code, detail, numbers):
        """Journal an event; its number, or None. A failure is kept in `faulty`: an event must never stop what it tells
        of."""
        number = None
        try:
            number = self._recorder.write(
                results.event(code, self.clock.moment(), settings.FIRMWARE, detail, numbers), False, _EVENT_KEEP
            )
        except JournalFull:
            pass  # no fault: what matters less gives way to results, and the status says that storage is full
        except (JournalError, OSError) as error:
            sys.print_exception(error)
            self.faulty = True
        self.changed()
        return number

    def settings_changed(self):
        self.parts.screen.language(self.identity.language)
        self.changed()

    def store_assay(self, pack):
        """Keep an assay pack; None, or why it may not be kept. OSError: it cannot be now."""
        if self.workflow.testing:
            raise OSError(16)  # EBUSY: a test needs the memory, and the hub offers the pack again
        from reader import packs

        try:
            packs.store(pack)
        except packs.PackError as error:
            return str(error)
        except MemoryError:
            raise OSError(12) from None  # ENOMEM
        finally:
            del packs
            memory.forget("packs", "packrules", "assays")
        return None

    def store_list(self, kind, rows):
        """Keep a list of operators or recalls; False when it is none. OSError: it cannot be kept now."""
        if self.workflow.testing:
            raise OSError(16)  # EBUSY: a test needs the memory, and the hub offers the list again
        from reader import lists

        try:
            content = lists.encode(kind, rows)
            if content is None:
                return False
            lists.keep(settings.ROOT, kind, content)
            return True
        except MemoryError:
            raise OSError(12) from None  # ENOMEM
        finally:
            del lists
            memory.forget("lists", "cassettes", "copies")

    def renew(self, step, message=None):
        """As `reader.renewal.do`. OSError: the command in `message` cannot be kept now."""
        if message is not None and self.workflow.testing:
            raise OSError(16)  # EBUSY: a test needs the memory, and the hub offers the command again
        try:
            from reader import renewal

            return renewal.do(self, step, message)
        except Exception as error:
            # Whatever is wrong with an update, the application that runs must go on: nothing else would.
            sys.print_exception(error)
            if message is not None:
                raise OSError(5) from None  # EIO: the hub offers it again
            self.faulty = True
        finally:
            memory.forget(*memory.FOR_AN_UPDATE)

    # The end

    def fail(self, error):
        """Tell of a fault that nothing handled, and start again. Does not return."""
        try:
            self.parts.dark()
            sys.print_exception(error)
            gc.collect()  # it may have been memory that was wanting
            self.event(wire.EVENT_FAULT, "%s: %s" % (type(error).__name__, error), ())
        finally:
            _restart(self.parts)


def main():
    """Run the reader for ever."""
    app = App()
    try:
        app.start()
    except (IdentityError, JournalError) as error:
        _halt(app, error)
    except Exception as error:
        _start_failed(app, error)
    gc.threshold(_GC_THRESHOLD)
    try:
        asyncio.run(app.run())
    except Exception as error:
        app.fail(error)


def _halt(app, error):
    """Nothing can be recorded, so nothing can be tested; say so until somebody does something about it. A release that
    is new gives way to the one before: it may be its fault.
    """
    sys.print_exception(error)
    app.parts.dark()
    if "/slot_" in settings.FOLDER and app.renew("on_trial"):
        _restart(app.parts)
    if isinstance(error, NotProvisioned):
        body = "no key"
    else:
        body = "bad key" if isinstance(error, IdentityError) else "storage bad"
    app.parts.screen.message("fault", body)
    app.parts.buzzer.alarm()
    while True:
        app.watchdog.feed()
        machine.lightsleep(_HALT_MS)


def _start_failed(app, error):
    try:
        app.parts.dark()
        sys.print_exception(error)
    finally:
        _restart(app.parts)


def _restart(parts):
    try:
        parts.screen.message("fault", "restarting")
        parts.buzzer.alarm()
        time.sleep_ms(_LOUD_MS)
    finally:
        machine.reset()
