"""A reader's life from a seed: every operation that writes to its flash, and what the caller was told of it.

`Known` is what a restart must find: what was acknowledged, and of the one operation that was under way either its old
state or its new.
"""

import os

from reader import assays, cassettes, cbor, copies, durable, lists, packs, quality, settings, wire
from reader.custody import Recorder, chain_hash, genesis
from reader.identity import Identity
from reader.journal import Journal, JournalFull

from nor import Chance

READER = b"reader-1"
EPOCH = b"epoch--1"
SEGMENT_BYTES = 6000  # small, so that files are begun and discarded often
# What seed 1 does; the other seeds draw theirs.
FIXED = """
    append append append append pend event pend result command release append append append append append
    release-all clock restart append append command pend result release key floor clock append restart append
    pack use test recalls control fault operators use pack test restart recalls use append
"""
_DRAWN = """
    append append append append append pend event result release release-all command clock key floor restart abandon
    pack use test control fault operators recalls
"""
_STEPS = 34
_VERSION = 3  # the key of a pack's version (reader.assays.FIELDS)


class Known:
    """`facts` by name, as `facts` reads them from the flash. `doing`: what is under way and not yet told."""

    def __init__(self):
        self.next = 1
        self.pending = None
        self.facts = {}
        self.doing = None

    def copy(self):
        other = Known()
        other.next = self.next
        other.pending = self.pending
        other.facts = dict(self.facts)
        other.doing = self.doing
        return other


def provision():
    """What an engineer puts on a new reader."""
    with open("/identity.cbor", "wb") as file:
        file.write(cbor.encode({1: READER, 2: [[0, bytes(32)]], 3: "reader", 4: 0}))
        durable.sync(file)


def open_all():
    """(identity, journal) as a start of the firmware opens them."""
    return Identity("/"), Journal("/journal", genesis(READER), SEGMENT_BYTES)


def facts(identity, journal):
    """What the flash says of everything that `Known.facts` names."""
    return {
        "released": journal.released,
        "identity": (identity.down, identity.name, identity.floor_ms, identity.generation),
        "clock": settings.clock_note(),
        "pack": pack_kept(),
        "operators": copies.kept("", "operators"),
        "recalls": copies.kept("", "recalls"),
        "quality": quality_kept(),
        "used": used(),
    }


def pack_kept():
    """The version of the pack, 0 for none; the one used must be the one that was sent under that version."""
    assay = packs.newest(Test.assay.id)
    return 0 if assay is None else assay.version


def quality_kept():
    """Whether the assay is closed, the tests it counted, and the faults of the reader."""
    kept = quality.Quality("")
    state = kept.state(Test.assay.id)
    return state and (state.block, state.tests, tuple(kept.reader()))


def used():
    """How many cassettes are known as used, from the first on."""
    count = 0
    while cassettes.used("", cassette(count + 1)):
        count += 1
    return count


def cassette(serial):
    return cassettes.key("02000000000015", "LOT7", str(serial))


def use_on():
    """After a cut, use one more cassette; the ring is there since the first."""
    count = used()
    if count:
        cassettes.mark("", cassette(count + 1))
        _hold(used() == count + 1, "a cassette that was used after the cut is not known")


class Test:
    """What quality control wants to know of a test."""

    assay = None  # of the pack
    control = None

    def __init__(self, control):
        self.control = control


def take_pack(pack):
    """The bytes of a pack (`reader.packfile`), of which the lives install version after version."""
    Test.pack = cbor.decode(pack)
    Test.assay = assays.decode(pack)


class Life:
    """Runs the operations on the mounted flash. `moments`: (length of the log, Known), valid from there on."""

    def __init__(self, seed, log):
        self.chance = Chance(seed)
        self.log = log
        self.known = Known()
        self.sealed = {}
        self.moments = []
        self.refused = 0
        drawn = _DRAWN.split()
        self.steps = FIXED.split() if seed == 1 else [drawn[self.chance.below(len(drawn))] for _ in range(_STEPS)]
        self._start()
        self.known.facts = facts(self.identity, self.journal)
        self._note()

    def run(self):
        for step in self.steps:
            getattr(self, "_" + step.replace("-", "_"))()

    def _start(self):
        self.identity, self.journal = open_all()
        self.recorder = Recorder(self.identity, self.journal, self.chance.bytes)

    def _note(self):
        self.moments.append((len(self.log), self.known.copy()))

    def _do(self, *doing):
        self.known.doing = doing
        self._note()

    def _done(self):
        self.known.doing = None
        self._note()

    def _write(self, size, closes):
        self._do("append", closes)
        try:
            number = self.recorder.write(bytes([size & 0xFF]) * size, closes)
        except JournalFull:
            self.refused += 1
            self._done()
            return
        if number != self.known.next:
            raise ValueError("the journal skipped or repeated a number: %d after %d" % (number, self.known.next - 1))
        self.sealed[number] = self.journal.read(number)
        self.known.next = number + 1
        if closes:
            self.known.pending = None
        self._done()

    def _append(self):
        self._write((60, 200, 300, 700, 900, 1000, 1500, 3000, 3900, 4000)[self.chance.below(10)], False)

    def _event(self):
        self._write(100, False)

    def _result(self):
        self._write(2000 + self.chance.below(600), True)

    def _pend(self):
        data = self.chance.bytes(8 + self.chance.below(40))
        self._do("pending", data)
        self.journal.pending_set(data)
        self.known.pending = data
        self._done()

    def _abandon(self):
        self._do("pending", None)
        self.journal.pending_clear()
        self.known.pending = None
        self._done()

    def _release(self):
        held = self.known.next - 1 - self.known.facts["released"]
        if held > 0:
            self._release_to(self.known.facts["released"] + 1 + self.chance.below(held))

    def _release_all(self):
        if self.known.next - 1 > self.known.facts["released"]:
            self._release_to(self.known.next - 1)  # the last file must carry number and chain on

    def _release_to(self, number):
        self._fact("released", number, lambda: self.journal.release(number, chain_hash(self.sealed[number]), EPOCH))

    def _fact(self, name, value, act):
        self._do("fact", name, value)
        act()
        self.known.facts[name] = value
        self._done()

    def _change(self, **changes):
        down, name, floor_ms, generation = self.known.facts["identity"]
        down += 1
        after = (
            down,
            changes.get("name", name),
            changes.get("floor_ms", floor_ms),
            changes["key"][0] if "key" in changes else generation,
        )
        self._fact("identity", after, lambda: self.identity.apply(down, **changes))

    def _command(self):
        self._change(name="name %d" % self.chance.below(1000))

    def _floor(self):
        self._change(floor_ms=self.known.facts["identity"][2] + 1000)

    def _key(self):
        generation = self.known.facts["identity"][3] + 1
        self._change(key=(generation, bytes([generation & 0xFF]) * 32))

    def _clock(self):
        note = (1_700_000_000_000 + self.chance.below(1_000_000), 1 + self.chance.below(500))
        self._fact("clock", note, lambda: settings.keep_clock_note(*note))

    def _pack(self):
        version = self.known.facts["pack"] + 1
        pack = dict(Test.pack)
        pack[_VERSION] = version
        self._fact("pack", version, lambda: packs.store(cbor.encode(pack)))

    def _operators(self):
        self._list(wire.DOWN_OPERATORS, "operators", lambda: "OP%d" % self.chance.below(1000))

    def _recalls(self):
        self._list(wire.DOWN_RECALLS, "recalls", lambda: "%014d" % self.chance.below(1000))

    def _list(self, kind, name, drawn):
        content = lists.encode(kind, [[drawn(), None] for _ in range(self.chance.below(129))])
        self._fact(name, content, lambda: lists.keep("", kind, content))

    def _test(self):
        block, tests, reader = self.known.facts["quality"]
        self._fact("quality", (block, tests + 1, reader), lambda: quality.Quality("").begin(Test(None)))

    def _control(self):
        _, tests, reader = self.known.facts["quality"]
        after = (quality.OPEN, tests, reader)
        self._fact("quality", after, lambda: quality.Quality("").begin(Test("a control")))

    def _fault(self):
        block, tests, (first, strips, amplifications) = self.known.facts["quality"]
        after = (block, tests, (first, strips + 1, amplifications))
        self._fact("quality", after, lambda: quality.Quality("").fault(assays.STRIP))

    def _use(self):
        serial = self.known.facts["used"] + 1
        self._fact("used", serial, lambda: cassettes.mark("", cassette(serial)))

    def _restart(self):
        self._start()


def check(known, sealed):
    """Compare what a restart finds on the mounted flash with what was promised; (identity, journal), or ValueError."""
    identity, journal = open_all()
    kind, *rest = known.doing or ("nothing",)
    _hold(journal.lost is None, "the journal's end is lost")
    more = kind == "append" and journal.next == known.next + 1
    _hold(journal.next == known.next or more, "the next number is %d, promised %d" % (journal.next, known.next))
    _hold(identity.reader_id == READER, "it is another reader")
    _check_facts(known, identity, journal)
    _check_records(journal, sealed)
    _check_pending(known, journal, kind, rest, more)
    return identity, journal


def _check_facts(known, identity, journal):
    found = facts(identity, journal)
    for name, value in known.facts.items():
        allowed = [value]
        if known.doing is not None and known.doing[:2] == ("fact", name):
            allowed.append(known.doing[2])
        _hold(found[name] in allowed, "%s is %r, promised %r" % (name, found[name], allowed))


def _check_records(journal, sealed):
    _hold(journal.first <= journal.released + 1, "a record was discarded without a receipt")
    before = journal.chain_hash(journal.first - 1)
    for number in range(journal.first, journal.next):
        held = journal.read(number)
        _hold(number not in sealed or held == sealed[number], "record %d is another" % number)
        _hold(before in held, "the chain is broken at %d" % number)
        before = chain_hash(held)
        _hold(journal.chain_hash(number) == before, "the chain hash at %d is another" % number)
    _hold(journal.tail_hash == before, "the chain's end is another")
    if journal.released in sealed:
        there = journal.chain_hash(journal.released) == chain_hash(sealed[journal.released])
        _hold(there, "the chain hash at the receipt is another")


def _check_pending(known, journal, kind, rest, more):
    found = journal.pending()
    allowed = [known.pending]
    if kind == "pending":
        allowed.append(rest[0])
    if kind == "append" and rest[0]:
        # The result and the end of its pending test are one step.
        allowed = [None] if more else [known.pending]
    _hold(found in allowed, "the test under way is %r, promised %r" % (found, allowed))


def _hold(condition, sentence):
    if not condition:
        raise ValueError(sentence)


def live_on(identity, journal, chance):
    """Append one record after a cut; (its number, its bytes)."""
    number = journal.next
    got = Recorder(identity, journal, chance.bytes).write(b"after the cut", closes=True)
    _hold(got == number, "numbering did not go on at %d but at %d" % (number, got))
    journal.tidy()
    damaged = packs.inspect()
    _hold(damaged in ([], [("index", 0)]), "a pack is called damaged: %r" % (damaged,))  # no index: it is no image
    return number, journal.read(number)


def check_restart(number, sealed, down):
    """Once more, after `live_on`: what it wrote is there."""
    identity, journal = open_all()
    _hold(journal.next == number + 1, "the next number after a life after a cut is %d" % journal.next)
    _hold(journal.read(number) == sealed, "the record written after the cut is another")
    _hold(journal.pending() is None, "a test is still under way")
    _hold(identity.down == down, "the last command is another")
    _hold("identity.cbor" in os.listdir("/"), "the provisioned file is gone")
