"""How a reader's time runs against ours: by a speed, or in step with who watches it. Arithmetic alone."""

# What a reader in step is given at once, if it does not wait for something later: one who has waited for long looks
# less often.
_STEP_US = 100_000
_LONGEST_STEP_US = 3_000_000
_STEPS = 50


class Pace:
    """`speed` is how many seconds pass for the reader in one of ours; `in_step`, its time stands still between two
    looks. While a hub is connected neither holds: it keeps the hub's time, or is slower.
    """

    def __init__(self, speed: float, in_step: bool) -> None:
        self.in_step = in_step
        self._speed = speed
        self._still: tuple[int, int] | None = None  # where it stands still, and until when it would wait

    @property
    def speed(self) -> float:
        """From 0.01 to 10,000; ValueError."""
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        if not 0.01 <= value <= 10_000:
            raise ValueError(f"A speed is from 0.01 to 10000; {value} is not.")
        self._speed = value

    def effective(self, connected: bool) -> float:
        """The speed in force."""
        return min(1.0, self._speed) if connected else self._speed

    def steps(self, connected: bool) -> bool:
        """Whether it is in step now."""
        return self.in_step and not connected

    def thousandths(self, connected: bool) -> int:
        """As its process is told: thousandths of the speed in force, 0 in step."""
        return 0 if self.steps(connected) else round(self.effective(connected) * 1000)

    # In step: where it stands. Virtual microseconds since its start

    @property
    def still(self) -> bool:
        """Whether it stands still, all done that there was to do."""
        return self._still is not None

    def stands(self, at_us: int, for_us: int) -> None:
        """It stands still at `at_us` and would wait `for_us` longer; negative, for no time."""
        self._still = (at_us, at_us + for_us)

    def runs(self) -> None:
        """It does not stand still any more."""
        self._still = None

    def limit_us(self, waited_us: int, until_us: int | None) -> int | None:
        """How far one who has waited for `waited_us` lets it go, never past `until_us`; None if it does not stand
        still.
        """
        if self._still is None:
            return None
        now, wakes = self._still
        limit = max(wakes, now + min(max(_STEP_US, waited_us // _STEPS), _LONGEST_STEP_US))
        return max(now, limit if until_us is None else min(limit, until_us))
