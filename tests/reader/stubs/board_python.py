"""Runs a few lines in MicroPython with the firmware on its path and no bench; gives back the JSON it prints.

`assay(id)` is there for the lines: an assay of this release.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from reader import packfile

FIRMWARE = Path(__file__).resolve().parents[3] / "firmware"


def run(script: str) -> Any:
    """The JSON that `script` prints last; its errors are the test's."""
    interpreter = Path(sys.executable).parent / "micropython"
    start = f"import sys, json\nsys.path.insert(0, {str(FIRMWARE)!r})\n"
    packs = {assay_id: pack for (assay_id, _), pack in packfile.built_in().items()}
    start += f"from reader import assays\ndef assay(id): return assays.decode({packs!r}[id])\n"
    done = subprocess.run(
        [str(interpreter), "-c", start + script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])
