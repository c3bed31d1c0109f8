"""One module a benchmark, each with `async def measure(say, full) -> list[Figure]`; `emulator.benchmark` runs them.

A benchmark measures in this run, on this machine, over the real programs; nothing is compared with a number from
another day.
"""
