"""Runs an amplification: heats, and samples two wells at fixed times.

Memory does not grow while it runs: samples go into arrays made before the heater is switched on.
"""

import asyncio
import time
from array import array

from micropython import const

import board
from reader import outcome, power
from reader.drivers import as7341
from reader.drivers.ntc import NTCError
from reader.heater import HeaterError

_MAX_SAMPLES = const(480)  # two hours at 15 s; a record of them stays within its 4,096 bytes
_TRIES = const(3)
_CHANNELS = (board.MUX_SAMPLE, board.MUX_CONTROL)


class _LidOpened(Exception):
    pass


class _BatteryLow(Exception):
    pass


class Taken:
    """What a run leaves: `count` samples a well, the reason that ended it early or NONE, and its text."""

    def __init__(self, run):
        self.wells = run.wells
        self.temperatures = run.temperatures
        self.count = run.count
        self.failure = run.failure
        self.fault = run.fault


class Amplification:
    """One run. `progress()` while it goes on; `await run()` returns when it ended, however it ended, with the
    heater off.

    A sample that is taken while the lid is open holds the room's light: the run ends there as *invalid, lid opened*,
    without that sample. A lid that is open between two samples does no harm.

    failure: the reason that ended it early, or NONE. cc: block temperature now. count: samples taken.
    """

    def __init__(self, parts, assay):
        self._parts = parts
        self._assay = assay
        self.planned = assay.duration_s // assay.sample_s
        if not 1 <= self.planned <= _MAX_SAMPLES:
            raise ValueError("the assay asks for more samples than a record holds")
        self.wells = (array("H", bytes(2 * self.planned)), array("H", bytes(2 * self.planned)))
        self.temperatures = array("H", bytes(2 * self.planned))
        self.count = 0
        self.cc = 0
        self.lowest = self.highest = None
        self.failure = outcome.NONE
        self.fault = None
        self.done = False
        self.elapsed_s = 0

    async def run(self):
        parts, assay = self._parts, self._assay
        try:
            self._prepare()
            parts.heater.start(assay.target_cc)
            began = time.ticks_ms()
            second = 0
            while self.count < self.planned:
                # The rest of the charge is for keeping the record and telling of it.
                if parts.battery.percent < power.EMPTY_PERCENT:
                    raise _BatteryLow
                self.cc = parts.heater.step()
                if second and second % assay.sample_s == 0:
                    await self._sample()
                second += 1
                self.elapsed_s = second
                await asyncio.sleep_ms(max(0, time.ticks_diff(time.ticks_add(began, second * 1000), time.ticks_ms())))
        except _LidOpened:
            self.failure = outcome.LID_OPENED
        except _BatteryLow:
            self.failure = outcome.BATTERY_LOW
        except (HeaterError, NTCError) as error:
            self._fail(outcome.HEATER_FAULT, error)
        except OSError as error:
            self._fail(outcome.SENSOR_FAULT, error)
        finally:
            parts.dark()
            self.done = True
            parts.buttons.wake()

    def _fail(self, reason, error):
        self.failure = reason
        self.fault = str(error)

    def _prepare(self):
        for channel in _CHANNELS:
            self._parts.mux.select(channel)
            self._parts.spectral.start()
        self._parts.mux.none()

    async def _sample(self):
        for well, channel in enumerate(_CHANNELS):
            for attempt in range(_TRIES):
                try:
                    self.wells[well][self.count] = await self._read(channel)
                    break
                except OSError:
                    if attempt == _TRIES - 1:
                        raise
        self.temperatures[self.count] = self.cc if self.cc > 0 else 0
        if self.lowest is None or self.cc < self.lowest:
            self.lowest = self.cc
        if self.highest is None or self.cc > self.highest:
            self.highest = self.cc
        self.count += 1

    async def _read(self, channel):
        self._need_darkness()
        mux, sensor = self._parts.mux, self._parts.spectral
        mux.select(channel)
        try:
            with self._parts.well_lamp:
                sensor.begin()
                await asyncio.sleep_ms(as7341.INTEGRATION_MS)
                for _ in range(20):
                    if sensor.finished():
                        self._need_darkness()
                        # F4 (515 nm) sees the dye's emission.
                        return sensor.collect()[as7341.F4]
                    await asyncio.sleep_ms(5)
            raise OSError("AS7341: integration did not finish")
        finally:
            mux.none()

    def _need_darkness(self):
        if not self._parts.buttons.lid_closed:
            raise _LidOpened
