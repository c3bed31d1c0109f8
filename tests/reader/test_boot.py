"""boot.py on real littlefs: which application starts from which state, and what a start is counted as."""

from typing import Any

from emulator.faults.interpreter import SCRIPTS

# Slot that starts, whether on trial, whether watched; then slot, trial, row, starts, untold and its release.
CASES = """
never updated | 0 False False | 0 0 0 0 00 0
confirmed | 1 False False | 1 0 0 0 00 0
on trial | 2 True True | 1 2 1 1 00 0
on trial after the first application | 1 True True | 0 1 1 1 00 0
second start | 2 True True | 1 2 2 8 00 0
third start | 2 True True | 1 2 3 9 00 0
three starts not well | 1 False False | 1 0 0 0 15 3
thirtieth start | 2 True True | 1 2 1 30 00 0
thirty starts | 1 False False | 1 0 0 0 25 3
first copy rotten | 1 False False | 1 0 0 0 00 0
second copy rotten | 2 True True | 1 2 1 1 00 0
both copies rotten | 0 False False | damaged
first copy is later | 1 False False | 1 0 0 0 00 0
second copy is later | 1 False False | 1 0 0 0 00 0
start cannot be counted | 1 False False | 1 2 0 0 00 0
start is counted in one copy | 1 False False | 1 2 1 1 00 0
set up anew | 0 False False | 1 2 0 0 00 0
too short | 0 False False | damaged
no such slot | 0 False False | 7 0 0 0 00 0
no such slot on trial | 1 False False | 1 7 0 0 00 0
damaged | 1 | 1 00 0
damaged | 1 | 1 00 0
damaged | 1 | 0 45 2
"""


def test_boot_starts_what_the_state_says_and_in_doubt_the_application_before(micropython: Any) -> None:
    said = micropython("boot_cases.py", str(SCRIPTS), heap="4M").splitlines()
    assert [line for line in said if " | " in line] == CASES.strip().splitlines()  # the others tell of the flash
