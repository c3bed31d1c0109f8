"""The reader's board: each part wired to the pins and addresses of firmware/board.py, and the world around it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import energy
from .parts.as7341 import BANDS, As7341
from .parts.bus import Bus, Clock
from .parts.max17048 import Max17048
from .parts.pcf8563 import Pcf8563
from .parts.scanner import Scanner
from .parts.ssd1306 import Ssd1306
from .parts.tca9548a import Tca9548a
from .parts.tsl1401 import Tsl1401
from .physics import EMPTY_TRAY, Battery, Heater, Strip, Thermistor, Tube, noise

PINS = 49
_ADC_FULL_SCALE_V = (0.95, 1.25, 1.75, 3.10)  # by attenuation (ESP32-S3 datasheet, ADC characteristics)
# Share of a green dye's emission under blue excitation that each band of the AS7341 sees.
_EMISSION = dict(zip(BANDS, (0.02, 0.30, 0.55, 1.00, 0.65, 0.25, 0.08, 0.03, 2.2, 0.05), strict=True))


@dataclass
class Surroundings:
    """What is around and in the reader."""

    strip: Strip | None = None
    sample_tube: Tube | None = None
    control_tube: Tube | None = None
    lid_open: bool = False
    ambient_light: float = 0.02  # of full LED, with the lid open
    light_leak: float = 0.0  # the same with the lid closed
    strip_lamp_dead: bool = False
    heater: Heater = field(default_factory=Heater)
    thermistor: Thermistor = field(default_factory=Thermistor)
    battery: Battery = field(default_factory=Battery)


class Circuit:
    """Answers one reader's pin, bus and converter traffic; `drive(pin, level)` moves one of the reader's inputs."""

    def __init__(
        self, board: Any, clock: Clock, drive: Callable[[int, int], None], uart: Callable[[bytes], None], seed: int
    ) -> None:
        self.board = board
        self._cpu_hz = 240_000_000
        self.advertising_s = 0.0  # the interval; 0 while it does not advertise
        self.clock = clock
        self.world = Surroundings()
        self._drive = drive
        self._noise = noise(seed)
        self._advanced_us = 0
        self._duties: dict[int, float] = {}
        self._led_light = 0.0
        self._ambient_light = 0.0
        self._scene_of: Strip | None = None
        self._scene: list[float] = EMPTY_TRAY
        self.levels = bytearray(PINS)
        self.buzzer_hz = 0
        self.beeps: list[tuple[float, int]] = []
        self.status_led = (0, 0, 0)
        self.on_change: Callable[[], None] = lambda: None
        self.bus = Bus()
        self.display = Ssd1306()
        self.display.on_change = lambda: self.on_change()
        self.mux = Tca9548a()
        self.rtc = Pcf8563(clock)
        self.gauge = Max17048(lambda: (self.world.battery.volts(self._load_w()), self.world.battery.percent))
        self.spectral = {
            "sample": As7341(clock, lambda: self._glow(self.world.sample_tube), self._noise),
            "control": As7341(clock, lambda: self._glow(self.world.control_tube), self._noise),
        }
        self.array = Tsl1401(lambda: (self._led_light, self._ambient_light), self._window)
        self.scanner = Scanner(uart)
        self.bus.attach(board.I2C_OLED, self.display)
        self.bus.attach(board.I2C_MUX, self.mux)
        self.bus.attach(board.I2C_GAUGE, self.gauge)
        self.bus.attach(board.I2C_RTC, self.rtc)
        for well, channel in (("sample", board.MUX_SAMPLE), ("control", board.MUX_CONTROL)):
            self.mux.channels[int(channel)].attach(board.I2C_SPECTRAL, self.spectral[well])
        for pin in (board.BUTTON_A, board.BUTTON_B, board.STRIP_PRESENT):
            self.levels[pin] = 1

    def power_up(self) -> None:
        """What loses its state without power."""
        self._cpu_hz = 240_000_000
        self.advertising_s = 0.0
        self.scanner.asleep = False
        self.display.reset()
        self.mux.reset()
        self.array.reset()
        for sensor in self.spectral.values():
            sensor.reset()
        self._duties.clear()
        self.world.heater.duty = 0.0
        self.buzzer_hz = 0
        self.status_led = (0, 0, 0)

    def power_down(self) -> None:
        """The rails fall: loads go off, the display goes dark."""
        self.advance()
        self.power_up()

    def advance(self) -> None:
        """Bring heat, light, chemistry and charge up to the clock."""
        seconds = (self.clock.us - self._advanced_us) / 1e6
        if seconds <= 0:
            return
        self._advanced_us = self.clock.us
        world = self.world
        if not world.strip_lamp_dead:
            self._led_light += self._duties.get(self.board.STRIP_LED, 0.0) * seconds
        self._ambient_light += (world.ambient_light if world.lid_open else world.light_leak) * seconds
        left = seconds
        while left > 0:  # chemistry follows the block through a long sleep
            step = min(left, 1.0)
            left -= step
            world.heater.advance(step)
            for tube in (world.sample_tube, world.control_tube):
                if tube is not None:
                    tube.advance(step, world.heater.block_c)
        world.battery.advance(seconds, self._load_w())
        self._set(self.board.HEATER_CUTOUT, 1 if world.heater.cutout_open else 0)

    def _load_w(self) -> float:
        lit = self._duties.get(self.board.STRIP_LED, 0.0) + self._duties.get(self.board.WELL_LED, 0.0)
        return energy.watts(self.drawing(lit)) + self.world.heater.power_w

    def drawing(self, lamps: float = 0.0) -> energy.State:
        """What is on now, the heater apart."""
        return energy.State(
            cpu_mhz=self._cpu_hz // 1_000_000,
            advertising_s=self.advertising_s,
            panel=self.display.on,
            scanner_asleep=self.scanner.asleep,
            lamps=lamps,
        )

    def processor(self, hz: int) -> None:
        """The processor's clock is set."""
        self.advance()
        self._cpu_hz = hz

    def _set(self, pin: int, level: int) -> None:
        if self.levels[pin] != level:
            self.levels[pin] = level
            self._drive(pin, level)

    def set_input(self, pin: int, level: int) -> None:
        """Move one of the reader's inputs from outside."""
        self.advance()
        self._set(pin, level)

    def _window(self) -> list[float]:
        strip = self.world.strip
        if strip is None:
            return EMPTY_TRAY
        if strip is not self._scene_of:
            self._scene_of, self._scene = strip, strip.reflectance()
        return self._scene

    def _glow(self, tube: Tube | None) -> dict[str, float]:
        self.advance()
        duty = self._duties.get(self.board.WELL_LED, 0.0)
        leak = 3.0 * self.world.ambient_light if self.world.lid_open else 0.0
        glow = (0.02 if tube is None else tube.fluorescence()) * duty
        return {band: glow * _EMISSION[band] * 0.02 + leak + 0.0005 for band in BANDS}

    # What the firmware does

    def pin(self, pin: int, level: int) -> None:
        """An output is driven."""
        self.advance()
        self.levels[pin] = level
        if pin == self.board.ARRAY_SI:
            self.array.si(level)
        elif pin == self.board.ARRAY_CLK:
            self.array.clk(level)
        elif pin in (self.board.STRIP_LED, self.board.WELL_LED, self.board.HEATER):
            self._duty(pin, float(level))

    def pwm(self, pin: int, frequency: int, duty_u16: int) -> None:
        """A PWM channel is set; frequency 0 ends it."""
        self.advance()
        duty = duty_u16 / 65535.0 if frequency else 0.0
        if pin == self.board.BUZZER:
            hertz = frequency if duty else 0
            if hertz and hertz != self.buzzer_hz:
                self.beeps.append((self.clock.seconds, hertz))
                del self.beeps[:-100]
            self.buzzer_hz = hertz
            self.on_change()
        else:
            self._duty(pin, duty)

    def _duty(self, pin: int, duty: float) -> None:
        self._duties[pin] = duty
        if pin == self.board.HEATER:
            self.world.heater.duty = duty

    def duty(self, pin: int) -> float:
        """The duty that a PWM pin is driven with."""
        return self._duties.get(pin, 0.0)

    def adc(self, pin: int, attenuation: int) -> tuple[int, int]:
        """A conversion: the 12-bit code and the calibrated microvolts."""
        self.advance()
        if pin == self.board.ARRAY_AO:
            volts = self.array.volts()
        elif pin == self.board.NTC:
            volts = self.world.thermistor.volts(self.world.heater.sensor_c, self.world.heater.ambient_c)
        else:
            volts = 0.0
        volts += self._noise() * 0.0015
        full = _ADC_FULL_SCALE_V[attenuation & 3]
        code = max(0, min(4095, round(volts / full * 4095)))
        return code, round(code / 4095 * full * 1e6)

    def i2c(self, address: int, data: bytes, count: int) -> bytes:
        """A bus transaction."""
        self.advance()
        return self.bus.transfer(address, data, count)

    def neopixel(self, pin: int, data: bytes) -> None:
        """The status LED; on the wire green comes first."""
        if pin == self.board.STATUS_LED and len(data) >= 3:
            self.status_led = (data[1], data[0], data[2])
            self.on_change()
