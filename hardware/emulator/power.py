"""A reader's power and process: started, restarted, cut, told the time; and what the process says, dispatched."""

import ast
import asyncio
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import screen, wiring
from .antenna import Antenna
from .calls import GREETING, Answer, Event, Operation, ResetCause
from .circuit import Circuit
from .flash import Flash, PowerLost
from .gatt import Peripheral
from .pace import Pace
from .parts.bus import Clock
from .process import ReaderProcess

_GATHER_S = 0.004  # a picture comes in many transfers; it is looked at when they have gone quiet for a moment


@dataclass(frozen=True)
class Memory:
    """Bytes in use and free on the reader's heap, garbage not counted."""

    used: int
    free: int


class ReaderError(Exception):
    """The reader did not do what was waited for; the message shows its screen and the end of its console."""


class PoweredReader:
    """What a reader is without anybody near it. EmulatedReader adds the hands and the eyes."""

    def __init__(
        self,
        *,
        antenna: Antenna,
        name: str,
        flash: Flash,
        address: str,
        firmware: Path,
        heap: str = "256K",
        seed: int = 0,
        speed: float = 1.0,
        in_step: bool = False,
        console_lines: int = 500,
        heap_sample_s: float | None = 2.0,
        terminal: int | None = None,
    ) -> None:
        self._terminal = terminal
        self.name = name
        self.address = address
        self.flash = flash
        self.board = wiring.load(firmware)
        self.clock = Clock()
        self.console: deque[str] = deque(maxlen=console_lines)
        self.boots = 0
        self.exit_code: int | None = None
        self.heap_high_water = 0
        self.memory: Memory | None = None
        self._firmware = firmware
        self._heap = heap
        self._heap_sample_s = heap_sample_s
        self._antenna = antenna
        self._pace = Pace(speed, in_step)
        self._process: ReaderProcess | None = None
        self._radio: Peripheral | None = None
        self._watch: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._seen_us: int | None = None
        self._boot_us = 0
        self._heard_real = 0.0
        self._wall_us: int | None = None  # the MCU's clock less the world's, once somebody has set it
        self._watchdog: asyncio.TimerHandle | None = None
        self._watchdog_s: float | None = None
        self._wake_pins: set[int] = set()
        self._wake: asyncio.Event = asyncio.Event()
        self._near = True
        self._power = False
        self._generation = 0
        self._next: tuple[ResetCause, int] | None = None
        self._cause = ResetCause.PWRON
        self._wake_reason = 0
        self.circuit = Circuit(self.board, self.clock, self._drive, self._uart, seed)
        self.circuit.on_change = self._circuit_changed

    # Power

    async def start(self) -> None:
        """Switch it on; returns when its process runs."""
        await self.power_on()

    async def power_on(self) -> None:
        """Bring the power back. Does nothing if it is on."""
        if self._watch is not None and not self._power:
            # A cut at a flash write comes from the process itself: it has to be gone before its successor starts.
            await asyncio.wait((self._watch,))
        if self._power:
            return
        self._catch_up()
        self._power = True
        self._generation += 1
        self.exit_code = None
        self._watch = asyncio.create_task(self._live(self._generation))
        await self.wait_for(lambda: self._process is not None or not self._power, timeout=30)

    async def cut_power(self) -> None:
        """Take the power away between two instructions; returns when the process is gone."""
        self._lose_power()
        if self._watch is not None:
            await asyncio.wait((self._watch,))

    async def close(self) -> None:
        """Remove it from the bench."""
        await self.cut_power()
        self.flash.close()

    @property
    def powered(self) -> bool:
        """Whether it has power (also while it sleeps)."""
        return self._power

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self._process is not None

    def _lose_power(self) -> None:
        if not self._power:
            return
        self._catch_up()
        self._power = False
        self._wall_us = None
        self._stop_running()
        self.circuit.power_down()
        self._wake.set()
        self._notify()

    def _stop_running(self) -> None:
        self._watchdog_s = None
        self._hold_watchdog()
        self._silence()
        if self._process is not None:
            self._process.kill()

    def _silence(self) -> None:
        if self._radio is not None:
            self._radio.power_off()
            self._radio = None

    def _following(self) -> tuple[ResetCause, int] | None:
        """How it is to start again, and after how many milliseconds of sleep; None if it ended by itself."""
        return self._next

    async def _live(self, generation: int) -> None:
        """Run the process; start it again on a reset or after a deep sleep, until it ends otherwise or power goes."""
        cause, wake = ResetCause.PWRON, 0
        while self._power and generation == self._generation:
            self._next = None
            if cause is not ResetCause.SOFT:
                self.circuit.power_up()
            self._boot_us = self.clock.us
            self._heard_real = asyncio.get_running_loop().time()
            self._cause, self._wake_reason = cause, wake
            self._radio = Peripheral(self._antenna, self.address, self._push, self.links_changed)
            self._radio.set_near(self._near)
            process = ReaderProcess(
                self._firmware, self._heap, self._handle, self._log, self.flash.path, terminal=self._terminal
            )
            try:
                await process.start()
            except BaseException:
                self._power = False
                self._notify()
                raise
            self._process = process
            self._pace.runs()
            self.boots += 1
            self._notify()
            sampling = asyncio.create_task(self._sample_heap(process))
            code = await process.wait()
            sampling.cancel()
            self._catch_up()
            self._process = None
            self._silence()
            following = self._following()
            if following is None:
                self.exit_code = code if self._power else None
                if self._power:
                    self._log(f"[bench] the process ended with code {code}")
                self._notify()
                return
            cause, sleep_ms = following
            wake = 0
            if cause is ResetCause.DEEPSLEEP:
                wake = await self._deep_sleep(sleep_ms)
            self._notify()

    async def _sample_heap(self, process: ReaderProcess) -> None:
        while self._heap_sample_s is not None:
            await asyncio.sleep(self._heap_sample_s)
            process.push(Event.MEMORY, b"")

    async def _deep_sleep(self, ms: int) -> int:
        self._wake.clear()
        self.circuit.power_down()
        try:
            async with asyncio.timeout(ms / 1000 / self.speed if ms else None):
                await self._wake.wait()
        except TimeoutError:
            self._catch_up()
            return 4  # TIMER_WAKE
        self._catch_up()
        return 3  # EXT1_WAKE

    # Time

    @property
    def speed(self) -> float:
        """How many seconds pass for the reader in one of ours, when no hub is connected."""
        return self._pace.speed

    @speed.setter
    def speed(self, value: float) -> None:
        self._catch_up()
        self._pace.speed = value
        self._push_speed()

    @property
    def effective_speed(self) -> float:
        """The speed in force."""
        return self._pace.effective(self.connected)

    @property
    def in_step(self) -> bool:
        """Whether its time stands still but while somebody waits for it (`wait_for`, `let_pass`), and then runs as fast
        as the machine can: what is seen depends on no machine's speed. While a hub is connected it keeps that one's.
        """
        return self._pace.in_step

    @in_step.setter
    def in_step(self, value: bool) -> None:
        self._catch_up()
        self._pace.in_step = value
        self._push_speed()

    @property
    def _stepping(self) -> bool:
        return self._pace.steps(self.connected)

    @property
    def uptime_s(self) -> float:
        """Virtual seconds since it last started."""
        return (self.clock.us - self._boot_us) / 1e6

    def _catch_up(self) -> None:
        """Let the world's clock run to now while nobody tells us the time: power off or asleep."""
        now = asyncio.get_running_loop().time()
        if self._process is None:
            self.clock.us += round((now - self._heard_real) * 1e6 * self.speed) if self._heard_real else 0
        self._heard_real = now

    def _push_speed(self) -> None:
        self._push(Event.SPEED, struct.pack("<I", self._pace.thousandths(self.connected)))

    async def let_pass(self, seconds: float, timeout: float = 90) -> None:
        """Let so many of the reader's seconds go by; ReaderError when they do not within `timeout` of ours."""
        until_us = self.clock.us + round(seconds * 1e6)
        while self._process is not None and not self._stepping and self.clock.us < until_us:
            await asyncio.sleep((until_us - self.clock.us) / 1e6 / self.effective_speed)
            await self.seen(timeout)
        await self.wait_for(
            lambda: self.clock.us >= until_us or self._process is None,
            timeout,
            f"the passing of {seconds:g} s",
            until_us=until_us,
        )

    async def seen(self, timeout: float = 90) -> int | None:
        """The virtual microseconds at which the process has seen all that was pushed so far; None: it is off."""
        if self._process is None:
            return None
        self._seen_us = None
        self._push(Event.SEE, b"")
        await self.wait_for(lambda: self._seen_us is not None or self._process is None, timeout, "a look at its inputs")
        return self._seen_us

    def _stands(self, virtual_us: int, heard: int, us: int) -> None:
        """It says that it stands still after `heard` events, and would wait `us` longer (negative: for no time)."""
        if self._process is None or heard != self._process.pushed:
            return  # what is on its way to it makes it go on by itself
        self._pace.stands(virtual_us, us)
        self._hold_watchdog()
        self._notify()

    def _let_go_on(self, waited_us: int, until_us: int | None) -> None:
        limit = self._pace.limit_us(waited_us, None if until_us is None else until_us - self._boot_us)
        if limit is not None and self._stepping:
            self._push(Event.GO_ON, struct.pack("<Q", limit))

    @property
    def _can_be_looked_at(self) -> bool:
        return self._process is None or self._pace.still or not self._stepping

    def links_changed(self) -> None:
        """The air tells that some link came or went."""
        if self._process is not None:
            self._push_speed()
        self._notify()

    # What the process says

    def _push(self, kind: Event, payload: bytes) -> None:
        if self._process is not None:
            self._pace.runs()
            self._process.push(kind, payload)
            if self._watchdog is None and self._watchdog_s is not None:
                self._arm_watchdog(self._watchdog_s)

    def _drive(self, pin: int, level: int) -> None:
        self._push(Event.PIN, bytes((pin, level)))

    def _uart(self, data: bytes) -> None:
        for at in range(0, len(data), 128):
            self._push(Event.UART, bytes((self.board.SCANNER_UART,)) + data[at : at + 128])

    def _log(self, line: str) -> None:
        self.console.append(line)
        self._notify()

    def _handle(self, operation: Operation, virtual_us: int, payload: bytes) -> Answer:
        self.clock.us = max(self.clock.us, self._boot_us + virtual_us)
        self._heard_real = asyncio.get_running_loop().time()
        circuit = self.circuit
        match operation:
            case Operation.PIN:
                circuit.pin(payload[0], payload[1])
            case Operation.ADC:
                return struct.pack("<HI", *circuit.adc(payload[0], payload[1]))
            case Operation.I2C:
                address, count = struct.unpack_from("<BH", payload)
                return circuit.i2c(address, payload[3:], count)
            case Operation.PWM:
                circuit.pwm(*struct.unpack("<BIH", payload))
            case Operation.FLASH_PROG | Operation.FLASH_ERASE | Operation.FLASH_SYNC:
                self._flash(operation, payload)
            case Operation.UART_TX:
                circuit.scanner.receive(payload[1:])
            case Operation.NEOPIXEL:
                circuit.neopixel(payload[0], payload[1:])
            case Operation.HELLO:
                return self._greet()
            case Operation.RESET | Operation.DEEPSLEEP:
                cause, ms = struct.unpack("<BI", payload)
                self._restart(ResetCause(cause), ms)
            case Operation.MEMORY:
                used, free = struct.unpack("<II", payload)
                self.memory = Memory(used, free)
                self.heap_high_water = max(self.heap_high_water, used)
                self._notify()
            case Operation.SEEN:
                self._seen_us = virtual_us
                self._notify()
            case Operation.STANDSTILL:
                self._stands(virtual_us, *struct.unpack("<Iq", payload))
            case Operation.FREQ:
                circuit.processor(struct.unpack("<I", payload)[0])
            case Operation.WATCHDOG:
                self._feed(struct.unpack("<I", payload)[0])
            case Operation.WALL:
                self._wall_us = struct.unpack("<q", payload)[0] - self._boot_us
            case Operation.WAKE_PIN:
                self._wake_pins = set(payload[1:])
            case Operation.TEMPERATURE:
                return struct.pack("b", round(circuit.world.heater.ambient_c) + 12)
            case Operation.PIN_MODE | Operation.UART_SETUP:
                pass
            case _:
                assert self._radio is not None
                if operation is Operation.ADVERTISE:
                    circuit.advance()
                    circuit.advertising_s = (ast.literal_eval(payload.decode())[0] or 0) / 1e6
                return self._radio.handle(operation, payload)
        return None

    def _greet(self) -> bytes:
        mac = bytes.fromhex(self.address.replace(":", ""))
        wall_us = 0 if self._wall_us is None else self.clock.us + self._wall_us
        return GREETING.pack(
            bytes(self.circuit.levels),
            self._pace.thousandths(self.connected),
            self.flash.blocks,
            self._cause,
            mac,
            wall_us,
            self._wake_reason,
        )

    def _flash(self, operation: Operation, payload: bytes) -> None:
        try:
            if operation is Operation.FLASH_PROG:
                block, offset = struct.unpack_from("<II", payload)
                self.flash.program(block, offset, payload[8:])
            elif operation is Operation.FLASH_ERASE:
                self.flash.erase(struct.unpack("<I", payload)[0])
            else:
                self.flash.sync()
        except PowerLost:
            self._log("[bench] power lost at a flash write")
            self._lose_power()

    def _restart(self, cause: ResetCause, ms: int) -> None:
        self._next = (cause, ms)
        self._stop_running()

    def _feed(self, timeout_ms: int) -> None:
        # The process watches its own virtual time; this is for code that hangs without ever looking at the clock.
        self._hold_watchdog()
        self._watchdog_s = 5 + 3 * timeout_ms / 1000
        self._arm_watchdog(self._watchdog_s)

    def _arm_watchdog(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._watchdog = loop.call_later(seconds, self._restart, ResetCause.WATCHDOG, 0)

    def _hold_watchdog(self) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None

    # The radio

    @property
    def connected(self) -> bool:
        """Whether a hub is connected."""
        return self._radio is not None and self._radio.connected

    @property
    def advertising(self) -> bool:
        """Whether it can be found."""
        return self._radio is not None and self._radio.advertising

    def out_of_range(self) -> None:
        """Carry it away from every hub."""
        self._near = False
        if self._radio is not None:
            self._radio.set_near(False)

    def in_range(self) -> None:
        """Bring it back."""
        self._near = True
        if self._radio is not None:
            self._radio.set_near(True)

    def _notify(self) -> None:
        self._changed.set()

    def _circuit_changed(self) -> None:
        # In step it is looked at when it stands still.
        if not self._stepping:
            self._changed.set()

    async def wait_for(
        self,
        predicate: Callable[[], bool],
        timeout: float = 10,
        what: str = "what was waited for",
        *,
        until_us: int | None = None,
    ) -> None:
        """Wait until `predicate()` holds, looking whenever something about the reader changes; raises ReaderError.

        A reader in step is looked at whenever it has done all there is to do, and goes on if that is not yet it; not
        beyond `until_us` of the world's clock.
        """
        began_us = self.clock.us
        try:
            async with asyncio.timeout(timeout):
                while not (self._can_be_looked_at and predicate()):
                    if self.exit_code is not None:
                        raise self._failure(f"{what} cannot come: its process has ended")
                    self._changed.clear()
                    self._let_go_on(self.clock.us - began_us, until_us)
                    await self._changed.wait()
                    if not self._stepping:
                        await asyncio.sleep(_GATHER_S)
        except TimeoutError:
            raise self._failure(f"{what} did not come within {timeout} s") from None

    def _failure(self, what: str) -> ReaderError:
        tail = "\n".join(list(self.console)[-20:])
        return ReaderError(
            f"{self.name}: {what}.\nScreen:\n{screen.read(self.circuit.display.pixels())}\nConsole:\n{tail}"
        )
