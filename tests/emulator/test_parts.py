"""The board as firmware meets it: each part answers on its bus as its datasheet says."""

import ast
import datetime

import pytest

from emulator.physics import Line, Strip, Tube


async def test_the_bus_answers_at_the_addresses_of_the_board_and_nowhere_else(parts):
    async with parts() as console:
        assert ast.literal_eval(await console.ask("scan")) == [0x36, 0x3C, 0x51, 0x70]
        assert await console.ask("nobody") == "19"


@pytest.mark.parametrize("channel", [0, 1])
async def test_a_spectral_sensor_is_behind_either_channel_of_the_multiplexer(parts, channel):
    async with parts() as console:
        assert await console.ask(f"mux {channel}", "mux") == "True"
        assert await console.ask("mux 5", "mux") == "False"


async def test_the_gauge_tells_the_cell(parts):
    async with parts() as console:
        console.reader.circuit.world.battery.percent = 50.0
        millivolts, percent = (int(word) for word in (await console.ask("gauge")).split())
        assert 3780 <= millivolts <= 3860
        assert percent in (49, 50)


async def test_the_clock_part_says_when_its_time_means_nothing_and_keeps_time_through_a_power_cut(parts):
    async with parts() as console:
        reader = console.reader
        assert int((await console.ask("rtc"))[:2], 16) & 0x80
        reader.scan("setrtc 58592331031225")
        shown = await console.ask("rtc")
        assert shown[2:4] in ("59", "00")
        assert not int(shown[:2], 16) & 0x80
        assert reader.circuit.rtc.now.year == 2025
        before = reader.circuit.rtc.now
        await reader.cut_power()
        reader.clock.us += 3600 * 1_000_000
        await reader.power_on()
        await reader.wait_for_console("ready")
        passed = reader.circuit.rtc.now - before
        assert datetime.timedelta(hours=1) <= passed < datetime.timedelta(hours=1, seconds=10)


async def test_the_array_sees_the_strip_and_light_grows_with_time_until_it_saturates(parts):
    async with parts() as console:
        console.reader.insert_strip(Strip([Line(8.0, 0.5)], noise=0.0, gradient=0.0))
        console.reader.close_lid()
        short = ast.literal_eval(await console.ask("array 2", "array"))
        longer = ast.literal_eval(await console.ask("array 4", "array"))
        white = sorted(longer)[64] - 100
        line = min(longer[60:68]) - 100
        assert min(longer[60:68]) == min(longer)
        assert line / white == pytest.approx(0.5, abs=0.05)
        assert white > 1.15 * (sorted(short)[64] - 100)
        full = ast.literal_eval(await console.ask("array 60", "array"))
        assert min(full[:40]) > 2850


async def test_an_open_lid_lets_light_in(parts):
    async with parts() as console:
        console.reader.close_lid()
        dark = ast.literal_eval(await console.ask("array 5", "array"))
        console.reader.circuit.world.ambient_light = 0.2
        console.reader.open_lid()
        lit = ast.literal_eval(await console.ask("array 5", "array"))
        assert sum(lit) > sum(dark) + 128 * 200


async def test_the_thermistor_follows_the_block_and_its_faults_show(parts):
    async with parts(speed=100) as console:
        reader = console.reader
        cold = int(await console.ask("ntc"))
        reader.scan("heat 65535")
        await console.ask("sleep 120000", "slept", timeout=20)
        hot = int(await console.ask("ntc"))
        assert hot < cold / 2
        assert reader.circuit.world.heater.block_c > 50
        reader.circuit.world.thermistor.fault = "short"
        assert int(await console.ask("ntc")) < 100
        reader.circuit.world.thermistor.fault = "open"
        assert int(await console.ask("ntc")) > 65000


async def test_the_thermal_cutout_opens_when_heat_runs_away(parts):
    async with parts(speed=300) as console:
        reader = console.reader
        cutouts: list[int] = []
        drive = reader.circuit._drive
        reader.circuit._drive = lambda pin, level: (cutouts.append(level), drive(pin, level))
        reader.circuit.world.heater.stuck_on = True
        await console.ask("sleep 300000", "slept", timeout=30)
        await console.ask("ntc")
        world = reader.circuit.world
        assert world.heater.block_c < 95
        assert world.heater.cutout_open == bool(reader.circuit.levels[reader.board.HEATER_CUTOUT])
        assert cutouts


async def test_a_well_glows_when_its_reaction_has_run_hot(parts):
    async with parts(speed=10) as console:
        tube = Tube(time_to_positive_min=10, rise=2.0)
        console.reader.insert_tube(tube)
        waited, counts = (await console.ask("glow 29", "glow")).split(" ", 1)
        before = ast.literal_eval(counts)
        assert int(waited) == pytest.approx(83, abs=10)  # 30 x 1000 x 2.78 us
        tube.hot_s = 30 * 60
        after = ast.literal_eval((await console.ask("glow 29", "glow")).split(" ", 1)[1])
        assert after[3] > 2 * before[3]  # F4, the dye's band
        assert before[3] > before[0]


async def test_a_press_is_two_edges(parts):
    async with parts() as console:
        await console.ask("button")
        await console.reader.press("A", 50)
        await console.reader.wait_for_console("edges [0, 1]")


async def test_an_input_is_live_however_soon_it_is_read_again(parts):
    async with parts() as console:
        circuit, lid = console.reader.circuit, console.reader.board.LID
        measured = circuit.adc

        def turned(*conversion):
            circuit.set_input(lid, 1 - circuit.levels[lid])
            return measured(*conversion)

        circuit.set_input(lid, 0)
        circuit.adc = turned
        assert ast.literal_eval(await console.ask("live")) == [1, 0] * 20


async def test_the_status_led_and_the_buzzer_are_seen(parts):
    async with parts() as console:
        await console.ask("lights")
        assert console.reader.status_led == (1, 2, 3)
        assert console.reader.buzzer_hz == 2000


async def test_the_display_is_read_as_a_person_reads_it(parts, tmp_path):
    async with parts() as console:
        console.reader.scan("show Insert|cassette|~65C!")
        await console.reader.wait_for_text("~65C!")
        assert console.reader.screen_text() == "Insert\ncassette\n~65C!"
        console.reader.screen_png(tmp_path / "screen.png")
        assert (tmp_path / "screen.png").read_bytes().startswith(b"\x89PNG")
        await console.reader.cut_power()
        assert console.reader.screen_text() == ""


async def test_the_scanner_engine_acknowledges_settings(parts):
    async with parts() as console:
        sent: list[bytes] = []
        console.reader.circuit.scanner._send = sent.append
        console.reader.circuit.scanner.receive(b"\x7e\x00\x08\x01\x00\x02\x01\xab\xcd")
        assert sent == [b"\x02\x00\x00\x01\x00\x33\x31"]
