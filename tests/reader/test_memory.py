"""The largest record is sealed and opened in a heap half of the board's, and quickly."""

import re
from pathlib import Path
from typing import Any


def test_a_record_of_four_kilobytes_is_sealed_in_128_kilobytes_of_heap(
    micropython: Any, compiled: Path, capsys: Any
) -> None:
    said = micropython("memory.py", heap="128K", firmware=compiled)
    with capsys.disabled():
        print(f"\n{said.strip()}")
    found = {name: int(value) for name, value in re.findall(r"(\w+) (\d+)", said)}
    # Allocated in all, nothing collected: the record itself, the key stream of each chunk, and the headers.
    assert found["seal_4k_bytes"] < 32_000
    assert found["open_4k_bytes"] < 32_000
    assert found["session_bytes"] < 16_000
    assert found["seal_1k_us"] < 20_000
