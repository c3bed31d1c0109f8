"""The person's path through a test: an explicit state machine, one coroutine a state, each returning the next state.

    starting -> idle -> identify -> insert -> incubate -> read ----> save -> result -> idle
                                 -> load   -> run ------------------>
A refusal shows what to do and goes back. A cancel is confirmed, and leaves an error record. An outcome is shown
only after its record is durable. `MOVES` is the whole of what may follow what; any other move raises.

The states before a test are in `reader.preparation`, those from its start to its outcome in `reader.course`; only one
of the two is in memory at a time.
"""

import asyncio
import time

from micropython import const

from reader import memory
from reader.drivers import buzzer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STARTING = const(0)
IDLE = const(1)
IDENTIFY = const(2)
REFUSED = const(3)
INSERT = const(4)
INCUBATE = const(5)
READ = const(6)
LOAD = const(7)
RUN = const(8)
CANCELLING = const(9)
SAVE = const(10)
RESULT = const(11)
FAULT = const(12)

NAMES = (
    "starting", "idle", "identify", "refused", "insert", "incubate", "read", "load", "run", "cancelling", "save",
    "result", "fault",
)  # fmt: skip

MOVES = {
    STARTING: (IDLE,),
    IDLE: (IDENTIFY, REFUSED),
    IDENTIFY: (INSERT, LOAD, REFUSED, IDLE),
    REFUSED: (IDLE, IDENTIFY),
    INSERT: (INCUBATE, REFUSED, IDLE),
    INCUBATE: (READ, CANCELLING, SAVE),
    READ: (SAVE, CANCELLING),
    LOAD: (RUN, REFUSED, IDLE),
    RUN: (SAVE, CANCELLING),
    CANCELLING: (INCUBATE, READ, RUN, SAVE),
    SAVE: (RESULT, FAULT),
    RESULT: (IDLE,),
    FAULT: (IDLE,),
}

_BEFORE = (STARTING, IDLE, IDENTIFY, REFUSED, INSERT, LOAD)
_LEFT = (IDLE, IDENTIFY, INSERT, LOAD)  # what gives way to a fault


class IllegalMove(Exception):
    """A state was followed by one that `MOVES` does not allow: a fault of the firmware."""


class Workflow:
    """`app` is a `reader.app.App`. `test` is the reader.results.Test that is prepared or under way, or None."""

    def __init__(self, app):
        self.app = app
        self.state = STARTING
        self.test: "Any" = None
        self.touched_ms = 0  # uptime when somebody last used the reader
        self._part: "Any" = None  # what has the state's coroutine, under the state's name
        self._sounding = None

    @property
    def testing(self):
        """True from the start of a test until its record is kept."""
        return self.state in (INCUBATE, READ, RUN, CANCELLING, SAVE)

    @property
    def resting(self):
        """Whether the reader waits for a person to begin."""
        return self.state == IDLE

    def show_name(self):
        """Show which reader this is, for somebody who stands before several; not while a test needs the screen."""
        if self.state == IDLE:
            self.app.parts.screen.message("identify", "this one", "START", detail=self.app.identity.name)
            self._part.shown = None

    async def go(self):
        """Never returns."""
        while True:
            self._enter()
            following = await getattr(self._part, NAMES[self.state])()
            if following not in MOVES[self.state]:
                raise IllegalMove("%s to %s" % (NAMES[self.state], NAMES[following]))
            self.state = following
            self.app.changed()
            # A press belongs to the picture that the person saw; what comes from now on is for the next one.
            self.app.parts.buttons.forget()

    def _enter(self):
        """Have the part of the workflow that the state is of, and only that one, in memory."""
        if hasattr(self._part, NAMES[self.state]):
            return
        self._part = None
        memory.forget("preparation", "course", "checks")
        if self.state in _BEFORE:
            from reader.preparation import Preparation as Part
        else:
            self.app.session.stop_receiving()
            from reader.course import Course as Part
        self._part = Part(self)

    def sound(self, pattern):
        """Sound a pattern while the person may already press."""
        self._sounding = asyncio.create_task(self.app.parts.buzzer.play(pattern))

    def alarm(self):
        """A fault that its picture tells of is to be told now, or once the person has seen what is shown."""
        if self.state in _LEFT:
            self.app.parts.buttons.wake()
        else:
            self.sound(buzzer.FAULT)

    async def press(self, ms):
        """A or B, or 0 after `ms` milliseconds; lid and tray do not count."""
        end = time.ticks_add(time.ticks_ms(), ms)
        while True:
            left = time.ticks_diff(end, time.ticks_ms())
            if left <= 0:
                return 0
            press = await self.app.parts.buttons.wait(left)
            if press:
                return press
