"""Nothing that a trial started outlives it, also when the trial is killed and can put nothing away."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import psutil
import pytest

TRIAL = """
import subprocess, sys, time
from pathlib import Path
from emulator.guardian import Guardian
folder = Path(sys.argv[1])
with Guardian(folder, remove=True):
    command = [sys.executable, "-c", sys.argv[2], str(folder / "data")]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    print(child.pid, flush=True)
    sys.stdin.readline()
print("in order", flush=True)
"""
SLEEPS = "import time; time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPS}"
PROGRAMME = """
import asyncio
from emulator.faults.programme import programme
async def main():
    async with programme(lambda line: None) as made:
        postmaster = (made.cluster / "postmaster.pid").read_text().splitlines()[0]
        print(made.server.pid, postmaster, made.folder, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


def started(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def said(trial: subprocess.Popen[str]) -> list[str]:
    assert trial.stdout is not None
    return trial.stdout.readline().split()


def until_gone(*pids: int) -> None:
    deadline = time.monotonic() + 90
    while left := [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]:
        assert time.monotonic() < deadline, f"{left} live on"
        time.sleep(0.1)


@pytest.fixture
def bystander(tmp_path: Path) -> Generator[subprocess.Popen[bytes]]:
    """A process of another folder, whose name begins as the trial's does."""
    process = subprocess.Popen([sys.executable, "-c", SLEEPS, str(tmp_path / "trial-2")])
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("child", [SLEEPS, STUBBORN])
def test_what_a_killed_trial_started_ends_with_it_and_nothing_else_does(
    tmp_path: Path, bystander: subprocess.Popen[bytes], child: str
) -> None:
    folder = tmp_path / "trial"
    folder.mkdir()
    trial = started(TRIAL, str(folder), child)
    (pid,) = said(trial)
    trial.send_signal(signal.SIGKILL)
    trial.communicate()
    until_gone(int(pid))
    deadline = time.monotonic() + 30
    while folder.exists():
        assert time.monotonic() < deadline, "its folder stays"
        time.sleep(0.1)
    assert bystander.poll() is None


def test_a_trial_that_ends_in_order_is_left_to_put_away_its_own(tmp_path: Path) -> None:
    trial = started(TRIAL, str(tmp_path), SLEEPS)
    (pid,) = said(trial)
    try:
        out, _ = trial.communicate("end\n", timeout=60)
        assert out == "in order\n"
        assert psutil.Process(int(pid)).is_running()
        assert tmp_path.exists()
    finally:
        os.kill(int(pid), signal.SIGKILL)


def test_a_campaign_that_is_killed_leaves_no_server_and_no_postgresql() -> None:
    trial = started(PROGRAMME)
    server, postmaster, folder = said(trial)
    assert psutil.pid_exists(int(postmaster))
    trial.send_signal(signal.SIGKILL)
    trial.communicate()
    until_gone(int(server), int(postmaster))
    deadline = time.monotonic() + 30
    while Path(folder).exists():
        assert time.monotonic() < deadline, "its folder stays"
        time.sleep(0.1)
