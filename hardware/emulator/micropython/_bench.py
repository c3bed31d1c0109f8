"""The reader process's end of the bench: the two sockets, virtual time, and the dispatch of what the bench pushes.

Virtual time runs with real time while the firmware computes, less what the host's scheduler takes; a wait of `us` takes
`us / speed` of real time and moves the virtual clock by exactly `us`; a call to the bench takes the time that its
hardware would, not that of the socket. So timings that a driver makes (an exposure, a settling time) hold at any speed
and on a busy host. What the virtual clock gains or loses against its pace is made up at the next wait. All times are
integer microseconds: floats live on the heap.

In step (speed 0) there is no pace: a wait takes no real time, but goes no further than the bench has said that it may.
There the process stands still, tells so, and goes on when the bench lets it.
"""

import gc
import select
import socket
import struct
import sys

import utime
from micropython import const

_HEADER = const(11)  # u16 length of the payload, u8 operation, u64 virtual microseconds
_HELLO = const(1)
_MEMORY = const(133)
_SEEN = const(139)
_STANDSTILL = const(141)
_EVENT_SPEED = const(1)
_EVENT_MEMORY = const(5)
_EVENT_SEE = const(6)
_EVENT_GO_ON = const(7)
_STALL_US = const(200)  # computing for longer than this between two looks at the clock is not counted
_LATEST_US = const(-500000)  # a clock that lags by more does not try to catch up
_POLL_US = const(500)  # how often calls and clock reads look for events, in real time; who reads an input looks at once

out = bytearray(384)
levels = bytearray(49)  # the level of each GPIO as last pushed or driven
handlers = {}  # event kind -> function(payload memoryview, its length)
alarms = {}  # key -> [virtual time due, period or 0, function]
hello = None

_used = 0
_reply = bytearray(4)
_event = bytearray(160)
_event_view = memoryview(_event)
_speed = 1000  # thousandths
_in_step = False
_limit = 0  # how far waiting may bring the virtual clock in step
_heard = 0  # events so far
base = utime.ticks_us()
_offset = 0  # virtual minus real
_owed = 0  # real microseconds by which the virtual clock is ahead of its pace
_last = base  # when the clock was last read, in real time
_busy = False
_polled = 0


def connect(path):
    """Open both sockets at `path` (bytes) and learn the bench's greeting."""
    global calls, events, _poller, hello
    address = struct.pack("H", socket.AF_UNIX) + path + b"\0"
    calls = socket.socket(socket.AF_UNIX)
    calls.connect(address)
    calls.write(b"C")
    events = socket.socket(socket.AF_UNIX)
    events.connect(address)
    events.write(b"E")
    _poller = select.poll()
    _poller.register(events, select.POLLIN)
    handlers[_EVENT_SPEED] = _on_speed
    handlers[_EVENT_MEMORY] = _on_memory
    handlers[_EVENT_SEE] = _on_see
    handlers[_EVENT_GO_ON] = _on_go_on
    hello = ask(_HELLO, "")
    levels[:] = hello[:49]
    _on_speed(memoryview(hello)[49:], 4)


def now():
    """Virtual microseconds since power-up."""
    global _last
    t = utime.ticks_us()
    if t - _last > _STALL_US:
        _uncount(t - _last - _STALL_US)
    _last = t
    return t - base + _offset


def _uncount(us):
    # Real time has passed that did not pass for the firmware.
    global _offset, _owed
    _offset -= us
    _owed = max(_owed - us, _LATEST_US)


def charge(us):
    """Account for time that the hardware takes and this process does not (a bus transfer, a conversion)."""
    global _offset, _owed
    _offset += us
    _owed += us * 1000 // _speed


def room(n):
    """Offset into `out` at which to pack the `n` payload bytes of the next message."""
    if _used + _HEADER + n > len(out):
        flush()
    return _used + _HEADER


def post(operation, n):
    """Queue the message whose `n` payload bytes were packed at room(n); nothing answers it."""
    global _used
    struct.pack_into("<HBQ", out, _used, n, operation, now())
    _used += _HEADER + n


def send(operation, form, *values):
    """Queue the message whose payload is `values` packed as `form`; nothing answers it."""
    n = struct.calcsize(form)
    struct.pack_into(form, out, room(n), *values)
    post(operation, n)


def ask(operation, form, *values, data=None, into=None):
    """Send a message, `values` packed as `form` and then `data`, and wait for its answer (see `call`)."""
    n = struct.calcsize(form)
    struct.pack_into(form, out, room(n), *values)
    return call(operation, n, data, into)


def flush():
    """Send what post() queued."""
    global _used
    if _used:
        n = _used
        _used = 0
        calls.write(out, n)


def call(operation, n, data=None, into=None):
    """Send a message (`n` bytes at room(n), then `data`) and wait for its answer: bytes, or the count put in `into`.

    Raises OSError with the errno that the bench answers.
    """
    global _used, _last
    end = _used + _HEADER + n
    struct.pack_into("<HBQ", out, _used, n if data is None else n + len(data), operation, now())
    _used = 0
    started = utime.ticks_us()
    calls.write(out, end)
    if data is not None:
        calls.write(data)
    if calls.readinto(_reply) != 4:
        sys.exit(0)  # the bench is gone
    n = _reply[0] | _reply[1] << 8
    status = _reply[2] | _reply[3] << 8
    answer = n
    if n:
        if into is not None:
            calls.readinto(into, n)
        else:
            answer = calls.read(n)
    elif into is None:
        answer = b""
    _last = utime.ticks_us()
    _uncount(_last - started)
    tick()
    if status:
        raise OSError(status)
    return answer


def tick():
    """Dispatch events if it is a while since somebody looked; cheap enough for every clock read."""
    global _polled
    if not _busy:
        t = utime.ticks_us()
        if t - _polled > _POLL_US:
            _polled = t
            look()


def look():
    """Dispatch what has come; whether anything was. Handlers are interrupt handlers: they never nest."""
    global _busy, _heard
    if _busy:
        return False
    _busy = True
    any_event = False
    try:
        while _waiting(0):
            if events.readinto(_event, 3) != 3:
                sys.exit(0)
            n = _event[0] | _event[1] << 8
            kind = _event[2]
            if n:
                events.readinto(_event, n)
            any_event = True
            _heard += 1
            handler = handlers.get(kind)
            if handler:
                handler(_event_view, n)
        if alarms:
            any_event = _ring() or any_event
    finally:
        _busy = False
    return any_event


def _waiting(ms):
    for _ in _poller.ipoll(ms):
        return True
    return False


def _ring():
    rang = False
    for key in tuple(alarms):
        alarm = alarms[key]
        if now() >= alarm[0]:
            rang = True
            if alarm[1]:
                alarm[0] += alarm[1]
            else:
                del alarms[key]
            alarm[2]()
    return rang


def wait(us):
    """Let up to `us` virtual microseconds pass (negative: no limit), or less if an event was dispatched."""
    global _offset, _owed, _last
    flush()
    if look():
        return
    if alarms:
        until = min([a[0] for a in alarms.values()]) - now()
        if until < 0:
            until = 0
        if us < 0 or until < us:
            us = until
    if _in_step:
        _step(us)
        return
    now()
    started = _last
    if us < 0:
        _waiting(-1)
        _last = utime.ticks_us()
        took = _last - started
        _owed = max(0, _owed - took)
        _offset += took * (_speed - 1000) // 1000
        look()
        return
    pay = us * 1000 // _speed + _owed
    if pay >= 1000:
        _waiting(pay // 1000)
    elif pay > 0 and _speed == 1000:
        utime.sleep_us(pay)
    _last = utime.ticks_us()
    took = _last - started
    if took >= pay or pay - took < 1000:
        _offset += us - took
        _owed = max(pay - took, _LATEST_US)
    else:  # woken early
        passed = max(0, took - max(0, _owed)) * _speed // 1000
        passed = min(max(passed, took), us)
        _owed = max(0, _owed - took)
        _offset += passed - took
    look()


def _step(us):
    # As far as the bench allows; there it stands still until something comes.
    global _offset, _owed, _last
    _owed = 0
    left = _limit - now()
    if 0 <= us <= left:
        _offset += us
    else:
        if left > 0:
            _offset += left
            if us > 0:
                us -= left
        send(_STANDSTILL, "<Iq", _heard, us)
        flush()
        started = utime.ticks_us()
        _waiting(-1)
        _last = utime.ticks_us()
        _offset -= _last - started
    look()


def pause(us):
    """Let exactly `us` virtual microseconds pass, dispatching what comes meanwhile."""
    if us < 1000 and _owed < 2000:
        charge(us)
        tick()
        return
    end = now() + us
    while True:
        left = end - now()
        if left <= 0:
            return
        wait(left)


def _on_speed(data, n):
    global _speed, _in_step, _owed
    speed = struct.unpack_from("<I", data)[0]
    if _in_step != (not speed):
        _in_step = not speed
        _owed = 0
    _speed = speed or 1000


def _on_go_on(data, n):
    global _limit
    _limit = struct.unpack_from("<Q", data)[0]


def _on_memory(data, n):
    gc.collect()
    send(_MEMORY, "<II", gc.mem_alloc(), gc.mem_free())
    flush()


def _on_see(data, n):
    send(_SEEN, "")
    flush()
