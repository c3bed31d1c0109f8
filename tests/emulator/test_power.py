"""Power, time, restarts and what outlives them."""

import re
import shutil
from pathlib import Path

import pytest

from emulator.flash import BLOCK, Flash, Tear
from emulator.reader import ReaderError

JOURNAL = Path(__file__).parent / "firmware_journal"


async def test_the_clock_of_the_chip_starts_at_2000_and_keeps_what_was_set_through_a_reset_not_a_power_cut(parts):
    async with parts() as console:
        reader = console.reader
        assert "(2000, 1, 1, 0, 0," in await console.ask("clock")
        assert (await console.ask("clock")).endswith(" 8")
        assert "(2026, 3, 4, 2, 5, 6, 7)" in await console.ask("setclock", "set")
        reader.console.clear()
        reader.scan("reset")
        await reader.wait_for_console("ready 2")
        assert "(2026, 3, 4, 5, 6" in await console.ask("clock")
        await reader.cut_power()
        reader.console.clear()
        await reader.power_on()
        await reader.wait_for_console("ready 1")
        assert "(2000, 1, 1, 0, 0," in await console.ask("clock")


@pytest.mark.parametrize("speed", [1.0, 20.0, 600.0])
async def test_a_sleep_is_as_long_as_asked_at_any_speed(parts, speed):
    async with parts(speed=speed) as console:
        ms = int(min(2000 * speed, 600_000) / 4)
        slept = int(await console.ask(f"sleep {ms}", "slept"))
        assert slept == pytest.approx(ms * 1000, abs=5000)


async def test_the_speed_can_change_in_the_middle_of_a_sleep(parts):
    async with parts(speed=1) as console:
        reader = console.reader
        reader.scan("sleep 60000")
        await reader.wait_for(lambda: reader.uptime_s >= 0)
        reader.speed = 600
        await reader.wait_for_console("slept", timeout=5)
        slept = int(next(line for line in reader.console if line.startswith("slept")).split()[1])
        assert slept == pytest.approx(60_000_000, abs=20_000)


async def test_a_timer_rings_on_time(parts):
    async with parts(speed=10) as console:
        assert await console.ask("timer") == "10"


async def test_a_watchdog_that_is_not_fed_resets_the_reader(parts):
    async with parts(speed=20) as console:
        console.reader.scan("watchdog")
        await console.reader.wait_for_console("ready 3")
        assert console.reader.boots == 2


async def test_deep_sleep_ends_by_its_timer_with_the_cause_told(parts):
    async with parts(speed=60) as console:
        before = console.reader.clock.us
        console.reader.scan("deepsleep 30000")
        await console.reader.wait_for_console("ready 4")
        assert console.reader.clock.us - before == pytest.approx(30_000_000, rel=0.2)


async def test_an_uncaught_exception_ends_the_process_with_its_traceback_on_the_console(parts):
    async with parts() as console:
        console.reader.scan("boom")
        assert await console.reader.wait_for_exit() == 1
        assert any("ValueError: boom" in line for line in console.reader.console)
        with pytest.raises(ReaderError, match="its process has ended"):
            await console.reader.wait_for_text("anything", timeout=5)


async def test_a_file_outlives_a_power_cut_and_a_file_from_outside_is_there_at_the_start(parts):
    async with parts() as console:
        await console.ask("write /kept.txt", "written")
        await console.reader.cut_power()
        await console.reader.write_files({"/provision/identity.txt": b"who I am"})
        console.reader.console.clear()
        await console.reader.power_on()
        await console.reader.wait_for_console("ready")
        assert await console.ask("read /kept.txt", "read") == "kept"
        assert await console.ask("read /provision/identity.txt", "read") == "who I am"


async def _run(bench, path, cut: int | None = None, tear: Tear = Tear.NONE) -> tuple[list[str], int, bool]:
    """One run of the journal firmware: its console, the writes it made, whether it lost power."""
    reader = await bench.add_reader(firmware=JOURNAL, flash=path, flash_size=64 * BLOCK, start=False)
    if cut is not None:
        reader.cut_power_after(cut, tear)
    await reader.power_on()
    await reader.wait_for(lambda: not reader.powered or reader.exit_code is not None, 20)
    lost = not reader.powered
    lines, writes = list(reader.console), reader.flash.counts.writes
    await reader.close()
    bench.readers.remove(reader)
    assert not any("Traceback" in line for line in lines), lines
    return lines, writes, lost


def _found(lines: list[str]) -> int:
    number, good = re.match(r"found (\d+) (\w+)", lines[0]).groups()
    assert good == "True", lines
    return int(number)


@pytest.mark.parametrize("tear", list(Tear))
async def test_nothing_flushed_is_lost_when_power_goes_at_any_write(bench, tmp_path, tear):
    """A run that appends is cut once at each of its writes; after each the flash mounts and holds what was flushed."""
    base = tmp_path / "base.bin"
    await _run(bench, base)
    shutil.copy(base, tmp_path / "whole.bin")
    lines, total, lost = await _run(bench, tmp_path / "whole.bin")
    assert (lines[-2], lost) == ("main.py has returned", False)
    assert total >= 20
    for cut in range(total):
        path = tmp_path / "cut.bin"
        shutil.copy(base, path)
        lines, _, lost = await _run(bench, path, cut, tear)
        assert lost, f"write {cut} never came"
        shown = sum(line.startswith("shown") for line in lines)
        after, _, _ = await _run(bench, path)
        assert _found(after) >= 6 + shown, (cut, lines, after)


def test_flash_can_only_clear_bits_until_it_is_erased(tmp_path):
    flash = Flash(tmp_path / "flash.bin", 4 * BLOCK)
    assert flash.read(1, 0, 4) == b"\xff\xff\xff\xff"
    flash.program(1, 0, b"\x0f\xf0")
    flash.program(1, 0, b"\xff\x00")
    assert flash.read(1, 0, 3) == b"\x0f\x00\xff"
    flash.erase(1)
    assert flash.read(1, 0, 2) == b"\xff\xff"
    assert flash.erases_of == {1: 1}
    with pytest.raises(OSError, match="beyond its end"):
        flash.read(4, 0, 1)
