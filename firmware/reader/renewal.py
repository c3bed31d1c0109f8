"""The steps of an update beside receiving it: commanded, switched to at rest, tried, confirmed or given up
(docs/protocol.md section 8.3). Loaded for a step and dropped after; `app` is a `reader.app.App`.
"""

import os
import time

from reader import copies, durable, settings, slots, wire
from reader.identity import is_bytes, is_label, is_uint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value: int) -> int:
        return value


_WELL_MS = const(60000)
_LONGEST_MS = const(172800000)
_UNATTENDED_MS = const(60000)  # since anybody was at the buttons
_SHOWN_MS = const(3000)


def do(app: "Any", step: str, message: "Any" = None) -> "bool | str | None":
    """Do the step of that name, `command` with the message that the downlink brought; `on_trial` tells whether a
    release is. OSError: the flash. BothDamaged."""
    if step == "command":
        app.session.stop_receiving()
        return command(app, message)
    if step == "on_trial":
        return bool(slots.load(app.root).trial)
    return started(app) if step == "started" else look(app)


def started(app: "Any") -> None:
    """At each start: what boot.py chose is made known, and what a power cut or boot.py itself left is told."""
    print("release", settings.RELEASE, settings.FOLDER)
    own = slots.running()
    try:
        state = slots.load(app.root)
    except copies.BothDamaged:
        # What was confirmed is not known any more, so boot.py chose the application that the reader was made with.
        app.fault_event("state of the update")
        state = slots.State()
        state.floor = settings.RELEASE
        slots.keep(app, state)
    if state.trial and own != state.trial:
        state.tell(wire.UPDATE_WENT_BACK, state.release, slots.NOT_STARTED)
        state.settle(state.slot)
        slots.keep(app, state)
    elif own != (state.trial or state.slot):
        app.fault_event("application of slot %d" % state.slot)
    elif state.row and not state.trial:
        state.row = 0  # it loads again (boot.py, `damaged`)
        slots.keep(app, state)
    if state.trial:
        print("on trial, start", state.starts)
    slots.tell(app, state)
    slots.note(app, state)
    if state.awaited is not None:
        _show_progress(app, state)


def _show_progress(app, state):
    folder = slots.folder(app.root, slots.idle(state))
    have = 0
    if state.awaited.whole:
        have = state.awaited.image
    elif durable.content(folder + "/image") == state.awaited.digest:
        have = _bytes_below(folder)
    app.progress = min(100 * have // state.awaited.image, 100)


def _bytes_below(folder):
    """Of what belongs to an image."""
    total = 0
    for name in os.listdir(folder):
        path = folder + "/" + name
        size = slots.size(path)
        if size < 0:
            total += _bytes_below(path)
        elif name not in ("settled", "image"):
            total += size
    return total


def command(app: "Any", message: "Any") -> "bool | str":
    """Take an update of the downlink (docs/protocol.cddl, `update` and `no-update`): True when it is awaited from now
    on, False when it is none, or why it is refused. OSError: it cannot be kept now."""
    wanted = message.get(wire.DOWN_A)
    try:
        state = slots.load(app.root)
    except copies.BothDamaged:
        raise OSError(5) from None  # EIO: the next start makes it anew
    if wanted is None and len(message) == 2 and wire.DOWN_A in message:
        return _await(app, state, None)
    digest, version = message.get(wire.DOWN_B), message.get(wire.DOWN_C)
    if len(message) != 4 or not isinstance(wanted, list) or len(wanted) != 4 or not is_bytes(digest, 32):
        return False
    release, least, manifest, image = wanted
    if not is_uint(release, 0xFFFFFFFF, 1) or not is_uint(least, 0xFFFFFFFF) or not is_label(version):
        return False
    if not is_uint(manifest, wire.MANIFEST_MAX, 1) or not is_uint(image, wire.IMAGE_MAX, manifest):
        return False
    why = slots.refusal(state, release, least)
    if why is not None:
        app.event(wire.EVENT_UPDATE, why, [release, wire.UPDATE_REFUSED])
        return why
    return _await(app, state, slots.Awaited(release, least, manifest, image, digest, version))


def _await(app, state, image):
    before = state.awaited
    if before is not None and image is not None and before.digest == image.digest:
        return True
    if before is None and image is None:
        return True
    slots.tell(app, state)  # what is not told yet, before it is another
    state.awaited = image
    state.drops = 0
    if image is not None:
        state.tell(wire.UPDATE_AWAITED, image.release)
    else:
        state.tell(wire.UPDATE_DROPPED, before.release)
    slots.keep(app, state)
    if image is not None and before is not None:
        app.event(wire.EVENT_UPDATE, None, [before.release, wire.UPDATE_DROPPED])
    slots.tell(app, state)
    if image is not None:
        app.progress = 0
    return True


def look(app: "Any") -> None:
    """Once a minute, while no test runs and nothing is being received, the step that is due now. OSError."""
    try:
        state = slots.load(app.root)
    except copies.BothDamaged:
        return  # the next start says so
    slots.tell(app, state)
    if state.trial:
        _try(app, state)
    elif state.awaited is not None and state.awaited.whole and _at_rest(app):
        _switch(app, state)


def _at_rest(app):
    from reader import power
    from reader.workflow import IDLE

    workflow = app.workflow
    return (
        workflow.state == IDLE
        and app.uptime_ms() - workflow.touched_ms >= _UNATTENDED_MS
        and app.link.connection is None
        and app.parts.battery.percent >= power.LOW_PERCENT
        and not app.parts.battery.low
    )


def _switch(app, state):
    from reader import receiving

    image = state.awaited
    slot = slots.idle(state)
    why = slots.refusal(state, image.release, image.least)
    if why is not None:
        state.tell(wire.UPDATE_REFUSED, image.release)
        state.awaited = None
        slots.keep(app, state)
        slots.tell(app, state, why)
        return
    if receiving.flawed(app.root, slot):
        image.whole = False  # a hub brings what is missing
        slots.keep(app, state)
        return
    state.trial = slot
    state.release = image.release
    state.row = state.starts = state.told = 0
    state.checks = app.check_bits
    state.awaited = None
    slots.keep(app, state)
    _restart(app, "new software")


def _try(app, state):
    if app.watched and app.uptime_ms() >= _WELL_MS and not app.check_bits & ~state.checks:
        if state.row:
            state.row = 0
            slots.keep(app, state)
        if not state.told:
            state.told = app.event(wire.EVENT_UPDATE, settings.FIRMWARE, [state.release, wire.UPDATE_STARTED]) or 0
            if state.told:
                print("update: release", state.release, "is well")
                slots.keep(app, state)
    if state.told and app.journal.released >= state.told:
        release = state.release
        state.settle(state.trial)
        state.floor = max(state.floor, release)
        state.tell(wire.UPDATE_CONFIRMED, release)
        slots.keep(app, state)
        slots.tell(app, state)
    elif app.uptime_ms() >= _LONGEST_MS and _at_rest(app):
        state.tell(wire.UPDATE_WENT_BACK, state.release, slots.TIME)
        state.settle(state.slot)
        slots.keep(app, state)
        _restart(app, "old software")


def _restart(app, body):
    import machine

    screen = app.parts.screen
    app.parts.dark()
    screen.power(True)
    screen.message("updating", body)
    time.sleep_ms(_SHOWN_MS)  # pyright: ignore[reportAttributeAccessIssue]
    machine.reset()
