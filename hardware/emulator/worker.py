"""A health worker at the bench: does a test by reading the screen, scanning codes and pressing the two buttons.

It knows no more than the screen says, so a screen that misleads fails the test that uses it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from .measurements import Measurements
from .reader import EmulatedReader, ReaderError
from .scenario import TestPlan

# The word in big type, and the outcome it stands for.
OUTCOME_WORDS = {
    "POSITIVE": "positive",
    "NEGATIVE": "negative",
    "UNCLEAR": "indeterminate",
    "INVALID": "invalid",
    "ERROR": "error",
}
# Hands are slower than a busy machine at this speed of the reader's time; only waiting is hurried further.
_HANDS_SPEED = 20.0
_WAITING_SPEED = 200.0
_ASKS_TO_WAIT = "Wait, try again"
_WAIT_S = 300.0  # of the reader's time
_STILL_S = 0.2  # of the reader's time: a picture takes a tenth of it
_PATIENCE = 12
_TEST_S = 240.0
_STEP_S = 30.0
_IGNORE: Callable[[str], None] = lambda step: None  # noqa: E731


@dataclass(frozen=True)
class Shown:
    """What the screen said at the end of a test."""

    outcome: str
    text: str


class Worker:
    """Runs tests on one reader. `say` is told each step in a few words. The reader's speed is that of its waiting."""

    def __init__(
        self, reader: EmulatedReader, measurements: Measurements, say: Callable[[str], None] = _IGNORE
    ) -> None:
        self.reader = reader
        self.measurements = measurements
        self.say = say

    async def ready(self, timeout: float = _STEP_S) -> None:
        """Wait until the reader asks for a test; a notice on the way is read and acknowledged, a dark screen woken."""
        if self.reader.powered and self.reader.running and self.reader.resting:
            await self.reader.press("A")
        await self._until(lambda screen: "START" in screen and "Ready" in screen, timeout, acknowledge=True)

    async def run(self, plan: TestPlan, seed: int = 0) -> Shown:
        """One whole test, from the idle screen back to it; ReaderError when the reader refuses or stops."""
        speed = self.reader.speed
        self.reader.speed = min(speed, _HANDS_SPEED)
        try:
            await self.ready()
            await self.begin(plan, seed)
            self.reader.speed = speed
            shown = await self.outcome()
            self.reader.speed = min(speed, _HANDS_SPEED)
            await self.finish(plan)
        finally:
            self.reader.speed = speed
        return shown

    async def begin(self, plan: TestPlan, seed: int = 0) -> None:
        """From the idle screen until the test has started; a reader that asks to wait is given time and tried again."""
        for _ in range(_PATIENCE):
            if await self._identify(plan):
                await self._start(plan, seed)
                return
            await self._wait_and_go_back()
        raise self._stuck(f"still asks to wait after {_PATIENCE} tries")

    async def _identify(self, plan: TestPlan) -> bool:
        """Scan the codes; False when the reader asks to wait."""
        reader = self.reader
        await reader.press("A")
        await reader.wait_for_text("Scan codes", _STEP_S)
        self.say(f"scans {plan.specimen}")
        for code in (plan.operator, plan.specimen, plan.cassette):
            if code is not None and not await self._scan(code):
                return False
        await self._until(lambda screen: "NEXT" in screen, _STEP_S)
        await reader.press("A")
        return "Insert" in await self._until(lambda screen: "Insert" in screen or _ASKS_TO_WAIT in screen, _STEP_S)

    async def _wait_and_go_back(self) -> None:
        """Go back to the idle screen, as one who waits puts the codes away, and give the reader some minutes."""
        self.say("is asked to wait")
        reader, speed = self.reader, self.reader.speed
        await reader.press("A")
        await self._until(lambda screen: "BACK" in screen or "Ready" in screen, _STEP_S, acknowledge=True)
        if "Ready" not in reader.screen_text():
            await reader.press("B")
            await self.ready()
        reader.speed = max(speed, _WAITING_SPEED)
        await reader.let_pass(_WAIT_S, _STEP_S)
        reader.speed = speed
        await self.ready()  # it may have gone to rest, and the press that wakes it does no more

    async def _start(self, plan: TestPlan, seed: int) -> None:
        reader = self.reader
        reader.open_lid()
        if plan.strip is not None:
            self.say("inserts the cassette")
            reader.insert_strip(plan.strip.build(self.measurements, seed))
        elif plan.tube is not None:
            self.say("inserts two tubes")
            sample, control = plan.tube.build(self.measurements)
            reader.insert_tube(sample, "sample")
            reader.insert_tube(control, "control")
        reader.close_lid()
        await self._until(lambda screen: "START" in screen, _STEP_S)
        await reader.press("A")
        await self._until(lambda screen: "CANCEL" in screen, _STEP_S)
        self.say("starts the test and waits")

    async def outcome(self, timeout: float = _TEST_S) -> Shown:
        """Wait for the outcome in big type."""
        text = await self._until(lambda screen: "OK" in screen and _word(screen) is not None, timeout, never_idle=True)
        word = _word(text)
        assert word is not None
        return Shown(OUTCOME_WORDS[word], text)

    async def finish(self, plan: TestPlan) -> None:
        """Acknowledge, take the test out, back to the idle screen."""
        await self.reader.press("A")
        await self.ready()
        self.reader.open_lid()
        if plan.strip is not None:
            self.reader.remove_strip()
        else:
            self.reader.remove_tube("sample")
            self.reader.remove_tube("control")
        self.reader.close_lid()

    async def _scan(self, code: str) -> bool:
        """Hold a code before the scanner; False when the reader asks to wait before it takes it."""
        before = self.reader.screen_text()
        self.reader.scan(code)
        await self._until(lambda screen: screen != before, _STEP_S, refusals=True)
        after = await self._settled()
        if _ASKS_TO_WAIT in after:
            return False
        if "Not possible" in after:
            raise self._stuck(f"refuses {code}")
        return True

    async def _settled(self) -> str:
        """The screen once it has stood still: a picture is sent piece by piece."""
        reader = self.reader
        while True:
            screen, since = reader.screen_text(), reader.uptime_s
            await reader.wait_for(lambda since=since: reader.uptime_s >= since + _STILL_S, _STEP_S, "a moment")
            if reader.screen_text() == screen:
                return screen

    async def _until(
        self,
        seen: Callable[[str], bool],
        timeout: float,
        acknowledge: bool = False,
        never_idle: bool = False,
        refusals: bool = False,
    ) -> str:
        """The screen once `seen` holds; a notice ("OK" only) is acknowledged if asked, a refusal raises unless
        `refusals` are looked at elsewhere."""
        reader = self.reader
        try:
            async with asyncio.timeout(timeout):
                while not seen(screen := reader.screen_text()):
                    if "Not possible" in screen and not acknowledge and not refusals:
                        raise self._stuck("refuses")
                    if "Ready" in screen and never_idle:
                        raise self._stuck("is idle again without an outcome")
                    if acknowledge and screen.rstrip().endswith("OK"):
                        await reader.press("A")
                    await reader.wait_for(
                        lambda screen=screen: reader.screen_text() != screen, timeout, "another screen"
                    )
                return screen
        except TimeoutError:
            raise self._stuck(f"does not go on within {timeout:.0f} s") from None

    def _stuck(self, how: str) -> ReaderError:
        console = "\n".join(list(self.reader.console)[-20:])
        return ReaderError(f"{self.reader.name} {how}.\nScreen:\n{self.reader.screen_text()}\nConsole:\n{console}")


def _word(screen: str) -> str | None:
    for word in OUTCOME_WORDS:
        if word in screen.split():
            return word
    return None
