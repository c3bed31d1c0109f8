"""Every sentence exists in every language and fits the screen, and every picture can be read back from its pixels."""

import functools
import re

import pytest

from emulator import screen as eyes
from reader import outcome, texts
from tests.reader.conftest import FIRMWARE
from tests.reader.stubs.board_python import run
from tests.reader.stubs.hands import reader_at_hand

OUTCOMES = ("positive", "negative", "indeterminate", "invalid", "error", "passed", "failed")
TITLES = (
    "doorstep", "ready", "scan", "insert", "tubes", "incubating", "heating", "running", "reading", "saving", "refused",
    "cancel?", "check", "fault", "identify", "updating",
)  # fmt: skip
LINES = ("update at",)
FIELDS = ("specimen", "cassette", "operator")
BUTTONS = ("START", "NEXT", "BACK", "CANCEL", "YES", "NO", "OK", "MORE")
ROW = re.compile(r"([^=\s#][^=]*)=(.+)")
LANGUAGES = {path.stem: path.read_text(encoding="utf-8") for path in (FIRMWARE / "reader" / "languages").glob("*.txt")}
REASONS = {outcome.reason_name(code) for code in outcome.reasons() if code}


@functools.cache
def table(language: str) -> dict[str, str]:
    """Key to sentence, as a person reads the file; what is neither a row nor a comment fails."""
    rows = [line for line in LANGUAGES[language].splitlines() if not line.startswith("#")]
    found = [ROW.fullmatch(row) for row in rows]
    assert all(found), [row for row, match in zip(rows, found, strict=True) if not match]
    pairs = [match.groups() for match in found if match]
    assert len(dict(pairs)) == len(pairs), "a key stands twice"
    return dict(pairs)


def columns(key: str) -> tuple[int, int]:
    """How many columns and rows the screen has for the text of that key."""
    if key in OUTCOMES:
        return texts.BIG_COLUMNS, 1
    if key in REASONS:
        return 13, 4
    if key in TITLES:
        return {"ready": 9, "heating": 7, "running": 7}.get(key, 14), 1
    if key in FIELDS:
        return 14, 1
    if key in LINES:
        return texts.COLUMNS, 1
    return (7, 1) if key in BUTTONS else (texts.COLUMNS, 3)


def test_english_and_french_say_the_same_things_and_every_reason_of_an_outcome() -> None:
    assert {"en", "fr"} <= set(LANGUAGES)
    for language in LANGUAGES:
        assert table(language).keys() == table("en").keys(), language
        assert table(language).keys() >= REASONS
        assert {*OUTCOMES, *TITLES, *FIELDS, *BUTTONS} <= table(language).keys()


def test_every_key_that_the_firmware_shows_is_in_the_tables() -> None:
    asked: set[str] = set()
    for source in (FIRMWARE / "reader").glob("*.py"):
        text = source.read_text(encoding="utf-8")
        asked |= set(re.findall(r"\.text\(\"([^\"]+)\"\)", text))
        for pair in re.findall(r"\.message\(\"([^\"]+)\", \"([^\"]+)\"", text):
            asked |= set(pair)
        asked |= set(re.findall(r"_refuse\(\"([^\"]+)\"", text))
    assert len(asked) > 20
    assert asked <= table("en").keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_fits_its_place_whole_in_at_most_six_words_that_the_panel_can_show(language: str) -> None:
    can = set(eyes.glyphs().values())
    for key, text in table(language).items():
        wide, rows = columns(key)
        lines = text.replace("/", "\n").replace("{}", "65535" if key == "waiting" else "120")
        shown = texts.wrap(lines, wide, 99)
        assert len(shown) <= rows, (key, shown)
        assert " ".join(shown).split() == lines.split(), (key, shown)
        assert len([word for word in lines.split() if word not in "?!:;"]) <= 6, key
        assert set(text) <= can, (key, set(text) - can)
        assert len(f"{key}={text}\n".encode()) <= 120, key


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_reader_finds_each_sentence_in_its_table_and_says_what_is_missing_in_english(language: str) -> None:
    spoken = texts.Texts(language)
    for key, text in table(language).items():
        assert spoken.get(key) == text.replace("/", "\n")
    with pytest.raises(KeyError):
        spoken.get("no such key")
    for unknown in ("xx", "", "../en"):
        assert texts.Texts(unknown).get("close lid") == table("en")["close lid"]


DRAW = """
from reader.screen import Screen
class Panel:
    def __init__(self): self.buffer = bytearray(1024)
    def start(self): pass
    def show(self): pass
class Light(list):
    def write(self): pass
p = Panel(); light = Light([0]); s = Screen(p, light)
"""


def picture(call: str, language: str = "en") -> bytes:
    """The pixels of one picture, one byte each."""
    script = f"{DRAW}s.language({language!r})\n{call}\nprint(json.dumps(bytes(p.buffer).hex()))"
    pages = bytes.fromhex(run(script))
    return bytes(pages[(y // 8) * 128 + x] >> y % 8 & 1 for y in range(64) for x in range(128))


def light(call: str) -> tuple[int, ...]:
    """Red, green and blue that the status light is left with."""
    return tuple(run(f"{DRAW}{call}\nprint(json.dumps(light[0]))"))


def corner(pixels: bytes, top: int = 0) -> bytes:
    """The 16 x 16 dots at the left edge."""
    return b"".join(pixels[y * 128 : y * 128 + 16] for y in range(top, top + 16))


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_outcome_has_its_word_and_a_shape_that_no_other_has(language: str) -> None:
    shapes: set[bytes] = set()
    for name in OUTCOMES:
        pixels = picture(f"s.outcome({name!r}, 'SPEC-0001', [('SARS-CoV-2', '+', None)], '', 'OK')", language)
        read = eyes.read(pixels)
        assert table(language)[name] in read
        assert "SPEC-0001" in read
        assert "OK" in read
        shapes.add(corner(pixels, 32))
        assert any(corner(pixels, 32))
    assert len(shapes) == len(OUTCOMES)


KINDS = {
    "ready": "s.message('ready', 'press start', 'START')",
    "ask": "s.message('insert', 'insert strip', None, 'BACK')",
    "wait": "s.message('reading', 'hold still')",
    "check": "s.message('check', 'close lid', None, 'CANCEL')",
    "refused": "s.message('refused', 'expired', 'OK')",
    "fault": "s.message('fault', 'restarting')",
}


def test_what_the_light_tells_by_its_colour_the_picture_tells_by_a_shape_of_its_own() -> None:
    shapes = {corner(picture(call)) for call in KINDS.values()}
    assert len(shapes) == len(KINDS)
    assert bytes(256) not in shapes
    assert len({light(call) for call in KINDS.values()}) == len(KINDS)


def test_each_meaning_has_a_sound_of_its_own_that_differs_by_its_rhythm() -> None:
    source = (FIRMWARE / "reader" / "drivers" / "buzzer.py").read_text(encoding="utf-8")
    found = re.findall(r"^([A-Z]+) = \(([\d, ]+)\)", source, re.MULTILINE)
    patterns = {name: tuple(int(ms) for ms in numbers.split(",") if ms.strip()) for name, numbers in found}
    assert {"CLICK", "DONE", "ATTENTION", "WARN", "FAULT", "HERE"} == patterns.keys()
    assert all(len(pattern) % 2 for pattern in patterns.values()), "it ends with a tone"
    # As an ear has it: how many tones, and whether they are short or long.
    rhythms = {(len(pattern), pattern[0] >= 200, pattern[0] >= 50) for pattern in patterns.values()}
    assert len(rhythms) == len(patterns)


async def test_a_refusal_is_told_by_a_sign_a_colour_and_a_sound() -> None:
    async with reader_at_hand() as hands:
        circuit = hands.reader.circuit
        await hands.reader.press("A")
        await hands.see("Scan specimen")
        circuit.beeps.clear()
        hands.reader.scan("(01)0200")
        await hands.see("Not possible")
        await hands.reader.wait_for(lambda: len(circuit.beeps) == 2 and not circuit.buzzer_hz, 20, "two tones")
        assert circuit.beeps[1][0] - circuit.beeps[0][0] == pytest.approx(0.37, abs=0.05)
        assert circuit.status_led == light(KINDS["refused"])
        assert corner(circuit.display.pixels()) == corner(picture(KINDS["refused"]))


def test_the_light_does_not_tell_a_positive_from_a_negative_across_the_room() -> None:
    told = {name: light(f"s.outcome({name!r}, 'S', [], '', 'OK')") for name in OUTCOMES}
    assert told["positive"] == told["negative"]
    assert told["positive"] not in (told["invalid"], told["error"])


def test_a_countdown_that_asks_for_something_has_another_sign_than_one_that_only_runs() -> None:
    runs, asks = (
        corner(picture(f"s.countdown('incubating', 899, 1, 900, {note!r})")) for note in ("keep closed", "put back")
    )
    assert runs != asks


@pytest.mark.parametrize(("language", "words"), [("en", "Keep lid closed."), ("fr", "Laissez fermé.")])
def test_the_countdown_is_read_from_afar_and_says_what_to_heed(language: str, words: str) -> None:
    read = eyes.read(picture("s.countdown('incubating', 899, 1, 900, 'keep closed', 'CANCEL')", language))
    assert "14:59" in read
    assert words in read
    assert read.rstrip().endswith(table(language)["CANCEL"])


def test_letters_with_accents_are_drawn_whole_small_and_large_and_no_two_alike() -> None:
    small = eyes.read(picture("s.line(3, 'Éàâçèéêîôùû')"))
    assert small.strip() == "Éàâçèéêîôùû"
    assert eyes.read(picture("s.big(1, 'NÉGATIF')")).strip() == "NÉGATIF"
    assert eyes.read(picture("s.line(3, 'Łódź 1')")).strip() == "??d? 1", "a name in letters that the panel lacks"
    assert len(set(eyes.glyphs().values())) == len(eyes.glyphs()) == 95 + 11


def test_a_reader_without_its_tables_still_shows_what_it_wants_and_tells_of_the_fault() -> None:
    call = "import reader.texts as t\nt._FOLDER = '/nowhere/'\n"
    assert "close lid" in eyes.read(picture(call + "s.message('check', 'close lid', None, 'CANCEL')"))
    assert run(f"{DRAW}{call}s.message('check', 'close lid')\nprint(json.dumps(s.failed))") is True


def test_a_result_too_long_for_one_picture_goes_on_over_a_button_and_loses_no_word() -> None:
    analytes = [("Influenza A", "?", None), ("Influenza B", "-", None)]
    call = f"s.outcome('indeterminate', 'S-1', {analytes}, 'Line unclear. Test once more.', 'OK', %d)"
    pages = [eyes.read(picture(call % page)) for page in (0, 1)]
    assert "Influenza A" in pages[0]
    assert "Influenza B" in pages[0]
    assert " ".join(pages[1].split()).count("Line unclear. Test once more.") == 1
    assert all("MORE" in page and "UNCLEAR" in page for page in pages)
    one = eyes.read(picture("s.outcome('positive', 'S-1', [('SARS-CoV-2', '+', 'after 14 min')], '', 'OK')"))
    assert "after 14 min" in one
    assert "MORE" not in one


def test_scanned_codes_longer_than_a_row_do_not_spill_into_another_and_show_their_end() -> None:
    read = eyes.read(picture("s.codes('S' * 26 + '000042', 'C' * 60, 'O' * 16, 'NEXT', 'BACK')")).splitlines()
    assert read[0].strip() == "Scan codes"
    assert [line.strip() for line in read[1:4]] == ["SSSSSS..000042", "CCCCCC..CCCCCC", "OOOOOO..OOOOOO"]
    assert read[-1].split() == ["NEXT", "BACK"]


def test_what_is_not_scanned_yet_is_named_and_what_is_scanned_is_ticked() -> None:
    before, after = (picture(f"s.codes({specimen!r}, None, None, None, 'BACK')") for specimen in (None, "S-1"))
    assert "Specimen" in eyes.read(before)
    assert "Scan specimen" in eyes.read(before)
    assert "S-1" in eyes.read(after)
    assert "Scan cassette" in eyes.read(after)
    box = slice(16 * 128, 24 * 128)
    assert [row[:8] for row in _rows(before[box])] != [row[:8] for row in _rows(after[box])]


def _rows(pixels: bytes) -> list[bytes]:
    return [pixels[at : at + 128] for at in range(0, len(pixels), 128)]


def test_a_countdown_that_goes_on_looks_as_one_that_is_drawn_anew() -> None:
    last = "s.countdown('running', 59, 50, 99, 'keep closed', 'CANCEL', '64.9 C')"
    before = "s.countdown('running', 600, 1, 99, 'keep closed', 'CANCEL', '165.8 C')\n"
    assert picture(before + last) == picture(last)
    assert picture(before.replace("keep closed", "close lid") + last) == picture(last)
    asks = "s.countdown('check', 59, 50, 99, 'put back', 'CANCEL')"
    assert table("en")["check"] in eyes.read(picture(asks + "\n" + asks))
    assert picture(before + "s.language('fr')\n" + last) == picture(last, "fr")
    assert picture(before + "s.message('cancel?', 'really cancel', 'YES', 'NO')\n" + last) == picture(last)
