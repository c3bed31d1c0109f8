"""Heats the block to its target and holds it, and stops at the first sign that it cannot be trusted.

`Controller` is pure: temperature in, duty out, once a second. `Heater` is its thin edge on the PWM, the thermistor
and the hardware cut-out. Control is proportional-integral with the derivative of the measurement (no kick at a set-
point). Full power until the block would be there within seconds, whatever its rate, so that the warm-up takes hardly
longer than the power itself allows; the integral then starts at the duty that will hold, estimated from how much
slower the block warms there than it did cold: with power P, capacity C and loss L the rates are P/C and (P - L dT)/C,
so the holding duty L dT / P is one minus their ratio. This meets a cold room and a low battery alike without tables.
"""

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value):
        return value


_KP = 0.3  # duty a degree
_KI = 0.0025  # duty a degree second
_KD = 0.9  # duty a degree per second
_BAND_C = 4.0  # full power further below the target than this, while the rate is not known and after the warm-up
_AHEAD_S = (
    9.0  # in the warm-up until the target is this near: the film's heat and the thermistor's lag are still to come
)
_NEAR_C = 0.5
_HOLD_UNKNOWN = 0.3
_SETTLED_RATE = 0.03  # degrees a second
_RATE_S = const(8)  # window over which the rate is measured

# Safety, hundredths of a degree.
_OVER_CC = const(300)  # this far above the target is a runaway
_ABSOLUTE_CC = const(8000)  # the hardware cut-out opens at 85
_STALL_S = const(30)  # at full power this long …
_STALL_CC = const(100)  # … the block must warm by this
_STUCK_S = const(45)  # off this long and above the target, the block must not warm …
_STUCK_CC = const(100)  # … by this
_JUMP_CC = const(1500)  # no block changes this much in a second: a wire came loose

# While no run has the heater. Full power warms the block by 3 to 5 degrees in 15 s, wherever it is; a room 40 degrees
# warmer by 1.6 at most (375 s of time constant), and tubes straight from a 95 degree bath by 5, but once.
_LOOK_MS = const(15000)
_LOOK_CC = const(200)
_LOOKS = const(2)
_COOL_CC = const(3000)  # the least that any assay allows of a room: from here on the block hinders none
_COOLS_MS = const(900000)  # a block at 65 degrees is as cool as that in twelve minutes, or the room is hot itself
_IDLE_CC = const(7500)  # above any run and any room: a heater that leaks warms more slowly than that


class HeaterError(Exception):
    """The heater was stopped for safety; the text says why, in at most 64 characters."""


class Controller:
    """Call `step` once a second with hundredths of a degree; it returns the duty, 0.0 to 1.0, or raises
    HeaterError.
    """

    def __init__(self, target_cc):
        self.target_cc = target_cc
        self._recent = [0] * _RATE_S
        self._seconds = 0
        self._fastest = 0.0
        self._full_s = 0
        self._integral = None
        self._stall_s = 0
        self._stall_from = 0
        self._stuck_s = 0
        self._stuck_from = 0
        self._last = None
        self.duty = 0.0

    def step(self, cc):
        self._guard(cc)
        recent = self._recent
        at = self._seconds % _RATE_S
        rate = (cc - recent[at]) / (100.0 * _RATE_S) if self._seconds >= _RATE_S else 0.0
        recent[at] = cc
        self._seconds += 1
        error = (self.target_cc - cc) / 100.0
        band = _BAND_C
        if self._integral is None and self._seconds > _RATE_S:
            band = min(_BAND_C, max(_NEAR_C, rate * _AHEAD_S))
        if error > band:
            self._full_s += 1
            # The lag of the thermistor hides the first seconds; the fastest rate after them is the cold one.
            if self._full_s > _RATE_S and rate > self._fastest:
                self._fastest = rate
            self._integral = None
            self.duty = 1.0
            return self.duty
        if self._integral is None:
            known = self._fastest > 0.02 and self._full_s > 3 * _RATE_S and rate > 0.0
            self._integral = min(0.95, max(0.05, 1.0 - rate / self._fastest)) if known else _HOLD_UNKNOWN
        duty = _KP * error + self._integral - _KD * rate
        # The climb through the band is left to the estimate: integrating it would be the overshoot. Nor against a
        # limit.
        if abs(rate) < _SETTLED_RATE and (0.0 < duty < 1.0 or (duty <= 0.0) == (error > 0.0)):
            self._integral = min(1.0, max(0.0, self._integral + _KI * error))
        self.duty = min(1.0, max(0.0, duty))
        return self.duty

    def _guard(self, cc):
        if cc > self.target_cc + _OVER_CC or cc > _ABSOLUTE_CC:
            raise HeaterError("too hot")
        if self._last is not None and abs(cc - self._last) > _JUMP_CC:
            raise HeaterError("thermistor jumped")
        self._last = cc
        if self.duty >= 1.0:
            if not self._stall_s:
                self._stall_from = cc
            self._stall_s += 1
            if self._stall_s > _STALL_S:
                if cc - self._stall_from < _STALL_CC:
                    raise HeaterError("does not warm")
                self._stall_s = 0
        else:
            self._stall_s = 0
        if self.duty <= 0.0 and cc > self.target_cc:
            if not self._stuck_s:
                self._stuck_from = cc
            self._stuck_s += 1
            if self._stuck_s > _STUCK_S and cc - self._stuck_from > _STUCK_CC:
                raise HeaterError("warms while off")
        else:
            self._stuck_s = 0


class Heater:
    """`pwm` gates the heater, `ntc` reads hundredths of a degree, `cutout` is high when the hardware opened the
    circuit.
    """

    def __init__(self, pwm, ntc, cutout):
        self._pwm = pwm
        self._ntc = ntc
        self._cutout = cutout
        self._control = None
        self._since = None  # temperature and time of the look before, while no run has the heater
        self._risen = 0
        self._astray = False
        self.cooling = False  # a run has ended, and the block may still be warmer than the room
        self._cools_from: "int | None" = None
        pwm.duty_u16(0)

    def start(self, target_cc):
        self._control = Controller(target_cc)

    def stop(self):
        """Off, at once; safe to call at any time."""
        self._pwm.duty_u16(0)
        if self._control is not None:
            self.cooling = True
            self._cools_from = None
        self._control = None

    def pulse(self, on):
        """Full power for as long as the self-check asks, or off; only while no run has the heater."""
        if self._control is None:
            self._pwm.duty_u16(65535 if on else 0)

    def read(self):
        """Block temperature, hundredths of a degree Celsius; NTCError."""
        return self._ntc.read()

    def astray(self, cc, now_ms):
        """To be asked every few seconds, with the block's temperature (None: it cannot be told) and the time: True,
        once, when the block warms while no run has the heater, which then was switched off for good measure."""
        if self._astray:
            return False
        if self._control is not None or cc is None:
            self._since = None
            return False
        if self.cooling:
            if self._cools_from is None:
                self._cools_from = now_ms
            self.cooling = cc > _COOL_CC and now_ms - self._cools_from < _COOLS_MS
        if self._since is None:
            self._since = (cc, now_ms)
            self._risen = 0
        before, then_ms = self._since
        if now_ms - then_ms >= _LOOK_MS:
            self._since = (cc, now_ms)
            rises = (cc - before) * _LOOK_MS > _LOOK_CC * (now_ms - then_ms)
            self._risen = self._risen + 1 if rises else 0
        self._astray = cc > _IDLE_CC or self._risen >= _LOOKS
        if self._astray:
            self.stop()
        return self._astray

    def step(self):
        """Once a second while started: measure, drive, and return the temperature. Any error leaves the heater off:
        HeaterError, NTCError."""
        try:
            if self._cutout.value():
                raise HeaterError("cut-out opened")
            cc = self._ntc.read()
            duty = self._control.step(cc)
            self._pwm.duty_u16(int(duty * 65535))
            return cc
        except Exception:
            self.stop()
            raise
