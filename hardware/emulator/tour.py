"""A tour of the screens: the real firmware is driven through every state that a person meets, with a picture of each.

    Tour(folder, "fr", scale, say).run()        # fr/01-starting.png, fr/02-idle.png … and fr.png, all on one sheet

The pictures are what the display's driver was sent, dot for dot; nothing is drawn here. Screens are waited for by the
firmware's own words, so a sentence that is never shown ends the tour.
"""

import asyncio
import hashlib
import secrets
import tempfile
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from . import countdown, screen, words
from .bench import Bench
from .faults import images
from .flash import BLOCK
from .path import provision
from .physics import Line, Strip, Tube
from .reader import EmulatedReader
from .scenario import CONTROL_LINE_MM, TEST_LINE_MM

STRIP = "(01)02000000000015(17)291231(10)LOT1(21){}"
FLU = "(01)02000000000022(17)291231(10)LOT1(21){}"
CRP = "(01)02000000000077(17)291231(10){}(21){}"
TUBES = "(01)02000000000039(17)291231(10)LOT2(21){}"
CRP_CONTROLS = (("(01)02000000001135(17)291231(10)M1", 0.0938), ("(01)02000000001142(17)291231(10)M1", 0.366))
CONTROL = "(01)02000000001029(17)291231(10)MAT1"  # of the antigen strip, positive
BLANK_CONTROL = "(01)02000000001012(17)291231(10)MAT1"  # and negative

_READ_S = 1.0
_STILL_S = 0.06  # a picture is whole when the display has not changed for so long
_NAME = "Village hall"
_WATCHED_S = 15.0
_COOLS_S = 900.0
_SECOND = 2  # a release after this one
_SWITCHES_S = 300.0
_FLASH = 512 * BLOCK
_GREY = 0.0155  # darkening well between the two cut-offs of both assays, on the membrane that is drawn here


class Tour:
    """`taken` are the pictures so far, in order; `say` is told of each."""

    def __init__(self, folder: Path, language: str, scale: int, say: Callable[[str], None]) -> None:
        self.taken: list[Path] = []
        self._out = folder
        self._folder = folder / language
        self._language = language
        self._scale = scale
        self._say = say
        self._specimens = 0

    async def run(self) -> list[Path]:
        """The whole tour. Raises ReaderError when the firmware does not show what is waited for."""
        self._folder.mkdir(exist_ok=True)
        async with Bench(seed=11) as bench:
            await self._failed_starts(bench)
            reader = await self._switched_on(bench)
            await self._refused_codes(reader)
            await self._refused_conditions(reader)
            await self._strip_test(reader)
            await self._new_lot(reader)
            await self._outcomes(reader)
            await self._controls(reader)
            await self._amplification(reader)
            await self._power_cut(reader)
            await self._refused_lists(reader)
            await self._refused_data(reader)
            await self._updated(reader)
            await self._left_alone(reader)
            await self._full(bench)
        screen.sheet(self.taken, self._out / f"{self._language}.png")
        return self.taken

    # Pictures and hands

    def _text(self, key: str) -> str:
        return words.first_line(self._language, key).partition("{")[0]

    def _shows(self, reader: EmulatedReader, *keys: str) -> bool:
        said = " ".join(reader.screen_text().split())  # wherever its lines break
        return all(self._text(key) in said for key in keys)

    async def _see(self, reader: EmulatedReader, *keys: str, timeout: float = 60) -> None:
        what = f"the screen that says {', '.join(self._text(key) for key in keys)}"
        await reader.wait_for(lambda: self._shows(reader, *keys), timeout, what)

    async def _picture(
        self, reader: EmulatedReader, name: str, *keys: str, still: bool = True, timeout: float = 60
    ) -> None:
        """Wait for a screen with the texts of all of `keys`, and save it once it stands still, if it is one that
        stays.
        """
        await self._see(reader, *keys, timeout=timeout)
        while still:
            before = reader.circuit.display.pixels()
            await reader.let_pass(_STILL_S)
            if reader.circuit.display.pixels() == before and self._shows(reader, *keys):
                break
        path = self._folder / f"{len(self.taken) + 1:02d}-{name}.png"
        reader.screen_png(path, self._scale)
        self.taken.append(path)
        self._say(f"{self._language}/{path.name}")

    async def _on(
        self,
        bench: Bench,
        *,
        clock: bool = True,
        prepare: Callable[[EmulatedReader], None] | None = None,
        flash_size: int = _FLASH,
    ) -> EmulatedReader:
        reader = await bench.add_reader(name=_NAME, start=False, in_step=True, flash_size=flash_size)
        await provision(reader, secrets.token_bytes(8), secrets.token_bytes(32), 0, _NAME, self._language)
        if clock:
            reader.circuit.rtc.set_time(datetime.now(UTC))
        reader.close_lid()
        if prepare is not None:
            prepare(reader)
        await reader.start()
        return reader

    async def _scan(self, reader: EmulatedReader, code: str) -> None:
        before = reader.screen_text()
        reader.scan(code)
        await reader.wait_for(lambda: reader.screen_text() != before, 30, f"an answer to the code {code}")
        await reader.let_pass(_READ_S)  # it is read before the next is done

    async def _press_until(self, reader: EmulatedReader, button: str, *keys: str) -> None:
        await reader.press(button)
        await self._see(reader, *keys)

    async def _idle(self, reader: EmulatedReader) -> None:
        """Go back or acknowledge, whatever is shown, until the reader asks for a test."""
        async with asyncio.timeout(90):
            while not self._shows(reader, "ready", "START"):
                before = reader.screen_text()
                if self._shows(reader, "BACK"):
                    await reader.press("B")
                elif before.rstrip().endswith(self._text("OK")) or self._shows(reader, "OK", "MORE"):
                    await reader.press("A")
                await reader.wait_for(lambda before=before: reader.screen_text() != before, 60, "another screen")

    async def _refuse(self, reader: EmulatedReader, name: str, key: str, *codes: str) -> None:
        """A refusal of the last of `codes`, from the idle screen and back to it."""
        await self._idle(reader)
        await self._press_until(reader, "A", "scan", "BACK")
        for code in codes[:-1]:
            await self._scan(reader, code)
        reader.scan(codes[-1])
        await self._picture(reader, f"refused-{name}", "refused", key, "OK")
        await self._idle(reader)

    def _specimen(self) -> str:
        self._specimens += 1
        return f"SPC-{self._specimens:04d}"

    # The stations

    async def _failed_starts(self, bench: Bench) -> None:
        bare = await bench.add_reader(name=_NAME, start=False, in_step=True)
        bare.close_lid()
        await bare.start()
        await bare.wait_for_text(words.first_line("en", "no key"), 60)  # it has no language yet
        self.taken.append(self._folder / "01-not-enrolled.png")
        bare.screen_png(self.taken[0], self._scale)
        await bare.cut_power()

        reader = await self._on(bench, clock=False)
        await self._refuse(reader, "clock-not-set", "clock unset", STRIP.format("0001"))
        await reader.cut_power()

        def spoil(reader: EmulatedReader) -> None:
            reader.circuit.world.thermistor.fault = "open"

        reader = await self._on(bench, prepare=spoil)
        await self._picture(reader, "self-check-failed", "check", "checks failed", "OK")
        await self._refuse(reader, "sensor-bad", "sensor bad", TUBES.format("0001"))
        await reader.cut_power()

        def drain(reader: EmulatedReader) -> None:
            reader.circuit.world.battery.percent = 1.5

        reader = await self._on(bench, prepare=drain)
        await self._idle(reader)
        await reader.press("A")
        await self._picture(reader, "refused-battery-low", "refused", "battery low", "OK")
        await reader.cut_power()

    async def _switched_on(self, bench: Bench) -> EmulatedReader:
        reader = await self._on(bench)
        await self._picture(reader, "starting", "starting", still=False)
        await self._picture(reader, "idle", "ready", "START")
        await reader.press("A")
        await self._picture(reader, "identify-0-codes", "scan", "scan specimen", "BACK")
        await self._scan(reader, "SPC-0001")
        await self._picture(reader, "identify-specimen", "scan cassette", "BACK")
        await self._scan(reader, STRIP.format("0001"))
        await self._picture(reader, "identify-2-codes", "codes right?", "NEXT", "BACK")
        await self._scan(reader, "OPHALL1")
        await self._picture(reader, "identify-with-operator", "codes right?", "NEXT", "BACK")
        return reader

    async def _refused_codes(self, reader: EmulatedReader) -> None:
        await self._refuse(reader, "expired", "expired", "(01)02000000000015(17)200131(10)LOT1(21)0001")
        await self._refuse(reader, "unknown", "unknown", "(01)02000000000992(17)291231(10)LOT1(21)0001")
        await self._refuse(reader, "no-expiry", "no expiry", "(01)02000000000015(10)LOT1(21)0001")
        await self._refuse(reader, "code-not-clear", "not clear", "(01)0200")
        await self._refuse(reader, "no-known-code", "no code", "abc")
        await self._refuse(reader, "lot-without-calibration", "no calibration", CRP.format("NOLOT", "1"))
        await self._refuse(reader, "wrong-control", "wrong control", FLU.format("1"), CONTROL)

    async def _refused_conditions(self, reader: EmulatedReader) -> None:
        world = reader.circuit.world
        heater = world.heater
        # The self-check watches the heater for its first seconds; a room that changes meanwhile is a heater that fails.
        await reader.wait_for(lambda: reader.uptime_s > _WATCHED_S, 60, "the end of the self-check")
        for name, key, celsius in (("cold", "too cold", 7.0), ("warm", "too hot", 43.0), ("hot", "heater hot", 58.0)):
            reader.circuit.advance()
            heater.ambient_c = heater.block_c = heater.film_c = heater.sensor_c = celsius
            await self._refuse(reader, f"too-{name}", key, TUBES.format("0002"))
        reader.circuit.advance()
        heater.ambient_c = heater.block_c = heater.film_c = heater.sensor_c = 22.0
        world.light_leak = 0.5
        await self._refuse(reader, "light-gets-in", "light in", STRIP.format("0003"))
        world.light_leak = 0.0

    async def _strip_test(self, reader: EmulatedReader) -> None:
        await self._press_until(reader, "A", "scan", "BACK")
        for code in (self._specimen(), STRIP.format("0100")):
            await self._scan(reader, code)
        await reader.press("A")
        await self._picture(reader, "insert", "insert", "insert strip", "BACK")
        reader.open_lid()
        reader.insert_strip(_strip(0.25))
        await self._picture(reader, "close-lid", "insert", "close lid", "BACK")
        reader.close_lid()
        await self._picture(reader, "press-start", "insert", "press start now", "START")
        await reader.press("A")
        await self._picture(reader, "incubate", "incubating", "keep closed", "CANCEL")
        reader.remove_strip()
        await self._picture(reader, "incubate-strip-out", "check", "put back", "CANCEL")
        reader.insert_strip(_strip(0.25))
        await self._see(reader, "keep closed")
        await reader.press("B")
        await self._picture(reader, "cancel-confirm", "cancel?", "YES", "NO")
        await self._press_until(reader, "B", "keep closed", "CANCEL")
        await countdown.until(reader, 5)
        reader.open_lid()
        await self._picture(reader, "read-lid-open", "check", "close lid", "CANCEL")
        reader.close_lid()
        await self._picture(reader, "reading", "reading", "hold still", still=False)
        await self._picture(reader, "result-positive", "positive", "OK")
        await self._idle(reader)
        await self._refuse(reader, "used", "used", STRIP.format("0100"))
        await self._press_until(reader, "A", "scan", "BACK")
        for code in (self._specimen(), STRIP.format("0101")):
            await self._scan(reader, code)
        await reader.press("A")
        await self._picture(reader, "take-out", "insert", "take out", "BACK")
        await self._idle(reader)
        reader.remove_strip()

    async def _begin_strip(self, reader: EmulatedReader, cassette: str, strip: Strip, specimen: str = "") -> None:
        await self._idle(reader)
        await self._press_until(reader, "A", "scan", "BACK")
        await self._scan(reader, specimen or self._specimen())
        await self._scan(reader, cassette)
        await self._press_until(reader, "A", "insert strip", "BACK")
        reader.insert_strip(strip)
        await self._see(reader, "press start now")
        await self._press_until(reader, "A", "keep closed", "CANCEL")

    async def _new_lot(self, reader: EmulatedReader) -> None:
        """A lot is due for its controls before its first patient; its own two levels open it."""
        lot = CRP.replace("{}", "CRP001", 1)
        await self._refuse(reader, "control-due", "control due", self._specimen(), lot.format("0300"))
        for at, (material, darkening) in enumerate(CRP_CONTROLS):
            await self._begin_strip(reader, lot.format(f"031{at}"), _quantitative(darkening), material)
            await countdown.until(reader, 2)
            await self._see(reader, "passed", "OK")
            await self._idle(reader)
            reader.remove_strip()

    async def _outcomes(self, reader: EmulatedReader) -> None:
        flu = Strip(lines=[Line(4.0, _GREY), Line(7.5, 0.0), Line(11.5, 0.45)], seed=5)
        for at, (name, word, cassette, strip) in enumerate(
            (
                ("negative", "negative", STRIP, _strip(0.0)),
                ("unclear", "indeterminate", STRIP, _strip(_GREY)),
                ("two-analytes", "indeterminate", FLU, flu),
                ("invalid", "invalid", STRIP, _strip(0.2, control=0.0)),
                ("quantity", "positive", CRP.replace("{}", "CRP001", 1), _strip(0.2)),
                ("cancelled", "error", STRIP, _strip(0.0)),
            )
        ):
            await self._begin_strip(reader, cassette.format(f"02{at:02d}"), strip)
            if name == "cancelled":
                await self._press_until(reader, "B", "cancel?", "YES")
                await reader.press("A")
            else:
                await countdown.until(reader, 2)
            await self._picture(reader, f"result-{name}", word, "OK")
            if self._shows(reader, "MORE"):
                await reader.press("B")
                await self._picture(reader, f"result-{name}-more", word, "grey-zone")
            await self._idle(reader)
            reader.remove_strip()

    async def _controls(self, reader: EmulatedReader) -> None:
        """A control of the positive level, with a strip that fails it and one that passes; then the other level."""
        for name, key, strip, material in (
            ("failed", "failed", _strip(0.0), CONTROL),
            ("passed", "passed", _strip(0.25), CONTROL),
            ("all-passed", "controls done", _strip(0.0), BLANK_CONTROL),
        ):
            await self._begin_strip(reader, STRIP.format(f"03{name}"), strip, material)
            await countdown.until(reader, 2)
            await self._picture(reader, f"control-{name}", key, "OK")
            await self._idle(reader)
            reader.remove_strip()
            if name == "failed":
                await self._refuse(reader, "control-failed", "control failed", self._specimen(), STRIP.format("0301"))

    async def _amplification(self, reader: EmulatedReader) -> None:
        await self._press_until(reader, "A", "scan", "BACK")
        await self._scan(reader, self._specimen())
        await self._scan(reader, TUBES.format("0400"))
        reader.open_lid()
        await reader.press("A")
        await self._picture(reader, "load-lid-open", "tubes", "close lid", "BACK")
        reader.insert_tube(Tube(time_to_positive_min=16.0), "sample")
        reader.insert_tube(Tube(time_to_positive_min=14.0), "control")
        reader.close_lid()
        await self._picture(reader, "load", "tubes", "START", "BACK")
        await reader.press("A")
        await self._picture(reader, "heating", "heating", "CANCEL")
        await self._see(reader, "running")
        await self._picture(reader, "running", "running", "CANCEL")
        await reader.wait_for(lambda: self._shows(reader, "OK") and not self._shows(reader, "CANCEL"), 240, "its end")
        await self._picture(reader, "result-amplification", "positive", "OK")
        await self._idle(reader)
        reader.remove_tube("sample")
        reader.remove_tube("control")
        await reader.let_pass(_COOLS_S)
        await self._press_until(reader, "A", "ready", "START")  # it rests by now

    async def _power_cut(self, reader: EmulatedReader) -> None:
        await self._begin_strip(reader, STRIP.format("0500"), _strip(0.0))
        await reader.cut_power()
        reader.remove_strip()
        await reader.power_on()
        await self._picture(reader, "power-was-lost", "power went", "saved as error", "OK")
        await self._idle(reader)

    async def _refused_lists(self, reader: EmulatedReader) -> None:
        """Lists as the server sends them, already on the flash: a badge that is on none, then a damaged list."""
        somebody = hashlib.sha256(b"OPSOMEBODY").digest()[:8] + bytes(4)  # without a last day
        for name, key, content in (("not-certified", "not certified", somebody), ("list-bad", "list bad", None)):
            await reader.cut_power()
            framed = b"\0" if content is None else _kept(1000, content)
            await reader.write_files({"/operators.a": framed, "/spare/operators.b": framed})
            await reader.power_on()
            await self._idle(reader)
            if content is not None:
                await self._press_until(reader, "A", "scan", "BACK")
                for code in (self._specimen(), STRIP.format("0600")):
                    await self._scan(reader, code)
                await self._picture(reader, "identify-badge-wanted", "scan badge", "BACK")
            await self._refuse(reader, name, key, "OPNOBODY")
        await reader.cut_power()

    async def _refused_data(self, reader: EmulatedReader) -> None:
        """A recalled lot, and an assay's pack damaged in both copies."""
        recalls = _kept(1000, hashlib.sha256(b"02000000000015\0LOT1").digest()[:8])
        nobody = _kept(1001, b"")  # lifts the list of badges
        rotten = dict.fromkeys(("/packs/crp.2.pack", "/spare/crp.2.pack"), b"rot")
        lists = {"recalls": recalls, "operators": nobody}
        copies = {path: kept for name, kept in lists.items() for path in (f"/{name}.a", f"/spare/{name}.b")}
        await reader.write_files({**copies, **rotten})
        await reader.power_on()
        await self._idle(reader)
        await self._refuse(reader, "lot-recalled", "recalled", STRIP.format("0610"))
        await self._refuse(reader, "pack-bad", "pack bad", CRP.format("CRP001", "611"))

    async def _updated(self, reader: EmulatedReader) -> None:
        """An update that has come in part, then whole: the reader switches to it once nobody is there."""
        with tempfile.TemporaryDirectory(prefix="doorstep-tour-") as folder:
            files = images.compiled(images.another(Path(folder) / "second", _SECOND, "0.2.0"))
        for name, key, missing in (("receiving", "update at", len(files) // 2), ("switching", "new software", 0)):
            await reader.cut_power()
            await reader.write_files(images.received(files, _SECOND, missing=missing))
            await reader.power_on()
            await self._picture(reader, f"update-{name}", key, still=name == "receiving", timeout=_SWITCHES_S)
        await reader.wait_for(lambda: images.runs(reader) == (_SECOND, 1), _SWITCHES_S, "the second release")
        await self._idle(reader)

    async def _left_alone(self, reader: EmulatedReader) -> None:
        """Asleep; a heater that sticks meanwhile; and a part that fails in a way that nobody thought of."""
        await reader.wait_for(lambda: reader.resting, 60, "a dark screen")
        await self._picture(reader, "resting")
        reader.circuit.world.heater.stuck_on = True
        await self._picture(reader, "heater-sticks", "heater on", "OK")
        reader.circuit.world.heater.stuck_on = False

        def broken(pin: int, attenuation: int) -> tuple[int, int]:
            raise OSError(5, "the converter does not answer")

        reader.circuit.adc = broken  # type: ignore[method-assign]
        await self._picture(reader, "restarting", "fault", "restarting")
        await reader.cut_power()

    async def _full(self, bench: Bench) -> None:
        reader = await self._on(bench, flash_size=40 * BLOCK)
        await self._idle(reader)
        await self._begin_strip(reader, STRIP.format("0700"), _strip(0.0))
        await reader.cut_power()
        await reader.write_files({"/filler": bytes(16 * BLOCK)})
        await reader.power_on()
        await self._idle(reader)
        await reader.press("A")
        await self._picture(reader, "refused-storage-full", "refused", "storage full", "OK")
        await reader.cut_power()


def _kept(count: int, content: bytes) -> bytes:
    """A list as the reader keeps it, kept for the `count`-th time: later than any that was kept before."""
    counted = count.to_bytes(4, "big") + content
    return zlib.crc32(counted).to_bytes(4, "big") + counted


def _quantitative(darkening: float) -> Strip:
    """The quantitative assay's strip: its lines are as wide as its pack says."""
    width_mm = 0.8 / 2.3548
    lines = [Line(CONTROL_LINE_MM, 0.3, width_mm), Line(TEST_LINE_MM, darkening, width_mm)]
    return Strip(lines=lines, noise=0.002, gradient=0.0, seed=5)


def _strip(test: float, control: float = 0.45) -> Strip:
    return Strip(lines=[Line(TEST_LINE_MM, test), Line(CONTROL_LINE_MM, control)], seed=5)
