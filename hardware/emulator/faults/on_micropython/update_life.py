"""An update's life on the mounted flash, by the reader's own code: commanded, received, switched to, tried, confirmed;
and the next one, which goes back. `moments` say which states a power cut may leave at each write.
"""

import hashlib
import sys

from reader import cbor, copies, durable, receiving, renewal, slots, wire

from nor import Chance

MODEL = "Doorstep R1"
PIECE = 300
FOLDERS = ("reader", "reader/drivers", "packs")


class Restart(Exception):
    """The reader resets itself."""


class _Watchdog:
    def __init__(self, timeout):
        pass


class _Machine:
    WDT = _Watchdog


sys.modules["machine"] = _Machine  # boot.py starts the watchdog, which has its own trials


def _restart(app, body):
    raise Restart


renewal._restart = _restart
renewal._at_rest = lambda app: True
receiving._free_blocks = lambda root: 1000  # what is here is too small for a whole firmware's folders


def hold(condition, sentence):
    if not condition:
        raise ValueError(sentence)


class Image:
    """A release: a few files drawn from its number, under their manifest."""

    def __init__(self, release):
        chance = Chance(release)
        self.release = release
        names = ("packs/index", "reader/app.mpy", "reader/drivers/lamp.mpy", "reader/empty.txt")
        self.files = {name: chance.bytes(chance.below(700)) for name in names[:3]}
        self.files[names[3]] = b""
        lines = ["doorstep-image 1", "model " + MODEL, "version 0.%d.0" % release, "release %d" % release, "from 1"]
        for name in names:
            digest = "".join(["%02x" % byte for byte in hashlib.sha256(self.files[name]).digest()])
            lines.append("file %s %d %s" % (name, len(self.files[name]), digest))
        self.manifest = ("\n".join(lines) + "\n").encode()
        self.digest = hashlib.sha256(self.manifest).digest()
        self.bytes = self.manifest + b"".join([self.files[name] for name in names])

    def command(self):
        numbers = [self.release, 1, len(self.manifest), len(self.bytes)]
        return {wire.DOWN_TYPE: wire.DOWN_UPDATE, 2: numbers, 3: self.digest, 4: "0.%d.0" % self.release}


class Journal:
    """What an update asks of it."""

    released = 0

    def room_for(self):
        return 100

    def spend(self, blocks):
        pass


class App:
    """What an update asks of the reader, which is well and at rest. `events` are (number, stage, detail)."""

    root = ""
    watched = True
    check_bits = 0

    def __init__(self):
        self.journal = Journal()
        self.progress = None
        self.renewing = False
        self.events = []

    def flags(self):
        return 0

    def uptime_ms(self):
        return 100000

    def event(self, code, detail, numbers):
        self.events.append((numbers[0], numbers[1], detail))
        return len(self.events)

    def fault_event(self, detail):
        raise ValueError("a fault is told: " + detail)


def settle():
    """What a reader has since its first start and first update: thousands of writes that say nothing of either."""
    durable.folder("/spare")
    durable.settle("")
    for slot in (1, 2):
        durable.folder(slots.folder("", slot))
        for name in FOLDERS:
            durable.folder(slots.folder("", slot) + "/" + name)


def boot():
    """Start as the chip does; (slot chosen, whether on trial)."""
    before = list(sys.path)
    names = {"__name__": "__main__"}
    execfile("/.firmware/boot.py", names)  # noqa: F821  MicroPython's
    added = sys.path[: len(sys.path) - len(before)]
    sys.path[:] = before
    slot, trial = names["slot"], names["trial"]
    hold(added == ([slots.folder("", slot)] if slot else []), "slot %d is on the path as %r" % (slot, added))
    slots.running = lambda: slot
    return slot, trial


def receive(app, image, pieces=None):
    """Bring the image, or so many pieces of it; the last answer."""
    receiver = receiving.Receiver(app)
    receiver.take([wire.OP_IMAGE, image.digest[:16]])
    answer = _stepped(receiver)
    while not answer[0] and answer[1] < answer[2] and pieces != 0:
        data = image.bytes[answer[1] : answer[1] + PIECE]
        hold(not receiver.take(cbor.encode([wire.OP_PIECE, answer[1], data])), "a piece is an error")
        answer = _stepped(receiver)
        pieces = None if pieces is None else pieces - 1
    receiver.close()
    return answer


def _stepped(receiver):
    while True:
        answer = receiver.step()
        if answer:
            return answer[1:]


class Life:
    """Runs the life. `moments`: (length of the log, states that a start may find there), in order."""

    def __init__(self, log):
        self.log = log
        self.moments = []
        self.now = copies.kept("", "slots")
        self.app = App()
        self._allow(self.now)

    def _allow(self, *states):
        self.moments.append((len(self.log), states))

    def _keep(self, root, name, data):
        self._allow(self.now, data)
        self._real(root, name, data)
        self.now = data
        self._allow(data)

    def run(self):
        self._real, copies.keep = copies.keep, self._keep
        try:
            self._live()
        finally:
            copies.keep = self._real

    def _live(self):
        app = self.app
        first, second, third = Image(2), Image(3), Image(4)
        self._update(first, 1)
        self._boot(1)
        self._boot(1)
        app.journal.released = 0
        renewal.look(app)  # well, and told
        app.journal.released = len(app.events)
        renewal.look(app)  # confirmed
        hold(slots.load("").slot == 1, "it is not confirmed")
        self._boot(1)
        self._update(second, 2)
        for _ in range(3):
            self._boot(2)
        self._boot(1)  # gone back
        renewal.started(app)
        hold(app.events[-1] == (3, wire.UPDATE_WENT_BACK, "three starts"), "it is not told that it went back")
        renewal.command(app, third.command())
        receive(app, third, 3)
        renewal.command(app, {wire.DOWN_TYPE: wire.DOWN_UPDATE, 2: None})
        stages = [stage for _, stage, _ in app.events]
        hold(stages == [1, 2, 3, 4, 1, 2, 5, 1, 7], "the events tell of %r" % stages)

    def _update(self, image, slot):
        app = self.app
        hold(renewal.command(app, image.command()) is True, "the command is refused")
        hold(receive(app, image)[1] == len(image.bytes), "it is not whole")
        try:
            renewal.look(app)
            hold(False, "it does not switch")
        except Restart:
            hold(slots.load("").trial == slot, "it is on trial in another slot")

    def _boot(self, slot):
        before = self.now
        at = len(self.moments)
        self.moments.append((len(self.log), (before,)))
        found, _ = boot()
        hold(found == slot, "slot %d starts, not %d" % (found, slot))
        self.now = copies.kept("", "slots")
        self.moments[at] = (self.moments[at][0], (before, self.now))
        self._allow(self.now)


def chosen(state):
    """The slot that must start from a state, by docs/protocol.md section 8.3; 0 where there is none."""
    if not state:
        return 0
    if state[1] and state[2] < 3 and state[3] < 30:
        return state[1]
    return state[0]


def check(allowed):
    """Start on the mounted flash: the state is one of `allowed`, and what starts is whole."""
    state = copies.kept("", "slots")
    hold(state in allowed, "the state is %r, allowed %r" % (state, allowed))
    slot, trial = boot()
    hold(slot == chosen(state), "slot %d starts, not %d" % (slot, chosen(state)))
    if slot:
        now = slots.load("")
        release = now.release if trial else now.floor
        with open(slots.folder("", slot) + "/manifest", "rb") as file:
            hold(file.read() == Image(release).manifest, "slot %d holds another release than %d" % (slot, release))
        hold(not receiving.flawed("", slot), "a file of slot %d does not stand its manifest" % slot)
    app = App()
    renewal.started(app)
    return app


def go_on(app):
    """After a cut, the next release can still be commanded and brought, once no trial is under way."""
    state = slots.load("")
    if state.trial:
        return False
    image = Image(9)
    hold(renewal.command(app, image.command()) is True, "after the cut a command is refused")
    hold(receive(app, image)[:2] == [0, len(image.bytes)], "after the cut an image does not become whole")
    hold(not receiving.flawed("", slots.idle(state)), "after the cut an image is called whole that is not")
    return True
