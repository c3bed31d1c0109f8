"""What holds the bench together: one vocabulary on both sides, honest physics, a heap that is left to the firmware."""

import re

import pytest

from emulator import image, screen, wiring
from emulator.calls import Event, Operation
from emulator.physics import Battery, Heater, Line, Strip, Thermistor, Tube

STANDINS = image.STANDINS


def test_both_sides_of_the_sockets_use_the_same_numbers():
    checked = 0
    for path in STANDINS.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        own = dict(re.findall(r"^_([A-Z0-9_]+) = const\((\d+)\)", text, re.MULTILINE))
        for name, number in own.items():
            if name.startswith("EVENT_"):
                assert Event[name.removeprefix("EVENT_")] == int(number), path
                checked += 1
            elif name in Operation.__members__ and re.search(rf"(?:call|post|send|ask|end)\(\s*_{name}\b", text):
                assert Operation[name] == int(number), (path, name)
                checked += 1
    assert checked >= 25


def test_the_wiring_is_the_firmware_s_own():
    board = wiring.load()
    assert (board.I2C_OLED, board.HEATER) == (0x3C, 17)


def test_firmware_that_does_not_compile_is_refused_with_the_compiler_s_words(tmp_path, monkeypatch):
    monkeypatch.setenv("DOORSTEP_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "firmware"
    source.mkdir()
    (source / "bad.py").write_text("def broken(:\n")
    with pytest.raises(image.ImageError, match=r"bad\.py does not compile"):
        image.build(source)
    with pytest.raises(image.ImageError, match=r"no \.py file"):
        image.build(tmp_path / "nothing")


def test_an_image_is_built_once_for_the_same_bytes_and_anew_for_others(tmp_path, monkeypatch):
    monkeypatch.setenv("DOORSTEP_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "firmware"
    source.mkdir()
    (source / "main.py").write_text("print(1)\n")
    (source / "part.py").write_text("X = 1\n")
    first = image.build(source)
    assert sorted(p.name for p in first.iterdir()) == ["main.py", "part.mpy"]
    assert image.build(source) == first
    (source / "part.py").write_text("X = 2\n")
    assert image.build(source) != first


async def test_the_stand_ins_leave_the_firmware_most_of_a_256_kb_heap(bench, tmp_path):
    firmware = tmp_path / "empty"
    firmware.mkdir()
    modules = "machine, bluetooth, asyncio, neopixel, esp32, time"
    (firmware / "main.py").write_text(f"import {modules}\nprint('up')\ntime.sleep(60)\n")
    reader = await bench.add_reader(firmware=firmware, heap="256K", heap_sample_s=0.05)
    await reader.wait_for_console("up")
    memory = await reader.measure_heap()
    print(f"heap left to the firmware: {memory.free} of {memory.used + memory.free}")
    assert memory.free >= 205_000
    reader.heap_high_water = 0
    await reader.wait_for(lambda: reader.heap_high_water > 0, 5, "a sample of its heap")
    assert reader.heap_high_water < memory.used + 2000


def test_the_heater_reaches_65_degrees_in_time_from_a_cold_room_and_no_less_is_physics():
    heater = Heater(ambient_c=5.0)
    heater.duty = 1.0
    heater.advance(300.0)
    assert heater.block_c > 65.0
    idle = Heater(ambient_c=20.0)
    idle.advance(3600.0)
    assert idle.block_c == pytest.approx(20.0)
    hot = Heater(ambient_c=20.0)
    hot.block_c = hot.film_c = 65.0
    hot.advance(60.0)
    assert 50.0 < hot.block_c < 65.0


def test_a_stuck_heater_is_stopped_by_its_cutout():
    heater = Heater(stuck_on=True)
    for _ in range(600):
        heater.advance(1.0)
        assert heater.block_c < heater.cutout_c + 3.0
    opened = Heater(open_circuit=True)
    opened.duty = 1.0
    opened.advance(60.0)
    assert opened.block_c == pytest.approx(opened.ambient_c)


def test_the_thermistor_is_10_kohm_at_25_degrees():
    assert Thermistor().volts(25.0) == pytest.approx(1.65)
    assert Thermistor().volts(65.0) < 0.8
    assert Thermistor("open").volts(25.0) == 3.3
    assert Thermistor("short").volts(25.0) == 0.0


def test_a_reaction_runs_only_when_it_is_hot():
    tube = Tube(time_to_positive_min=12.0)
    cold = tube.fluorescence()
    tube.advance(3600.0, 22.0)
    assert tube.fluorescence() == cold
    tube.advance(12 * 60.0, 65.0)
    middle = tube.fluorescence()
    tube.advance(20 * 60.0, 65.0)
    assert cold < middle < tube.fluorescence()
    assert middle - cold == pytest.approx(tube.rise / 2, rel=0.1)


def test_a_measured_curve_is_replayed_at_its_own_times():
    tube = Tube(curve=[(0.0, 10.0), (60.0, 10.0), (120.0, 30.0)], baseline=1.0, rise=2.0)
    tube.advance(90.0, 65.0)
    assert tube.fluorescence() == pytest.approx(2.0)
    tube.advance(900.0, 65.0)
    assert tube.fluorescence() == pytest.approx(3.0)


def test_a_strip_darkens_where_its_lines_are_and_is_the_same_for_the_same_seed():
    strip = Strip([Line(5.0, 0.4), Line(11.0, 0.1)], noise=0.0, gradient=0.0)
    profile = strip.reflectance()
    assert profile.index(min(profile)) in (39, 40)
    assert profile[88] == pytest.approx(strip.membrane * 0.9, abs=0.01)
    assert Strip(seed=4).reflectance() == Strip(seed=4).reflectance() != Strip(seed=5).reflectance()
    measured = Strip.from_counts([25.5, 0.0], [4.0, 8.0])
    assert [line.darkening for line in measured.lines] == [0.1, 0.0]


def test_a_battery_empties_with_what_is_drawn():
    battery = Battery(percent=100.0)
    full = battery.volts(0.0)
    battery.advance(3600.0, 4.0)
    assert 50.0 < battery.percent < 70.0  # 4 W is about 1.2 A at the cell
    assert battery.volts(4.0) < battery.volts(0.0) < full
    battery.advance(36000.0, 4.0)
    assert battery.percent == 0.0


def _picture(draw) -> bytes:
    pixels = bytearray(128 * 64)
    letters = {character: rows for rows, character in screen.glyphs().items()}
    for text, x, y, scale, inverse in draw:
        for i, character in enumerate(text):
            for row in range(8 * scale):
                for column in range(8 * scale):
                    lit = letters[character][row // scale] >> (7 - column // scale) & 1
                    pixels[(y + row) * 128 + x + i * 8 * scale + column] = lit ^ inverse
    return bytes(pixels)


def test_text_is_read_at_any_place_at_twice_the_size_and_inverse():
    drawn = [("Positive", 0, 3, 2, 0), (" Next ", 40, 50, 1, 1), ("65.0 C", 5, 30, 1, 0)]
    assert [line.strip() for line in screen.read(_picture(drawn)).split("\n")] == ["Positive", "65.0 C", "Next"]


def test_a_full_screen_of_text_is_read_whole():
    rows = ["".join(chr(33 + (row * 16 + i) % 94) for i in range(16)) for row in range(8)]
    assert screen.read(_picture([(text, 0, 8 * i, 1, 0) for i, text in enumerate(rows)])) == "\n".join(rows)


def test_the_glyphs_come_from_micropython():
    assert len(screen.glyphs()) >= 94
