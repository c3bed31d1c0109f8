"""What each state looks like on 128 x 64 pixels: a sign and a title, instructions, and what the two buttons do in the
last row.

Text sits on the 8 x 8 grid (16 columns, 8 rows); an outcome is a word of twice the size with a shape of its own beside
it. The sign says what kind of picture it is (ready, ask, wait, check, refused, fault), and the status light shows the
same in its colour: nothing is told by colour alone, and the light never tells one plain answer from another. Drawing
changes the buffer; `show` sends what changed.
"""

import framebuf
from micropython import const

from reader import memory
from reader import texts as _texts

_CELL = const(8)
_COLUMNS = const(16)

# A nibble with every bit doubled: one column of eight pixels becomes two bytes of sixteen.
_DOUBLED = bytes((sum((n >> b & 1) * (3 << 2 * b) for b in range(4)) for n in range(16)))

# The panel's font is ASCII. An accented letter is its base letter, whose two upper rows are free, under a mark; each is
# the second byte of its UTF-8, the base, and which of the marks, columns of eight pixels. É has no room for one, so its
# base is a space and its mark the whole letter.
_ACCENTED = b"\xa9e\x00\xa8e\x01\xa0a\x01\xb9u\x01\xaae\x02\xa2a\x02\xaei\x02\xb4o\x02\xbbu\x02\xa7c\x03\x89 \x04"
_MARKS = (
    b"\0\0\0\2\3\1\0\0"  # acute
    b"\0\0\1\3\2\0\0\0"  # grave
    b"\0\0\2\1\1\2\0\0"  # circumflex
    b"\0\0\0\x80\x80\0\0\0"  # cedilla
    b"\0\x7c\x7c\x56\x57\x45\x44\0"  # É
)

# Red, green and blue of the status light by sign, dim: it is for a dark room as well.
_LIGHTS = (
    ("ready", b"\0\0\0"),  # the lamp costs the battery while nobody is there
    ("ask", b"\x18\x18\x18"),
    ("wait", b"\0\0\x28"),
    ("check", b"\x28\x14\0"),
    ("refused", b"\x20\0\x20"),
    ("fault", b"\x30\0\0"),
    ("done", b"\0\x18\x18"),
)
_SHAPES = __file__.rsplit("/", 1)[0] + "/shapes.txt"
_RECORD = const(289)  # a line of its name, then 16 of 16 dots


class Screen:
    """`panel` has `buffer` (MONO_VLSB, 1,024 bytes), `start()` and `show()`; its OSError is kept in `failed`, as is
    that of the tables. `light` takes red, green and blue at index 0 and `write()`.

    A panel that does not answer must not stop a test that is under way: `failed` goes into the self-check bits of
    the record.
    """

    def __init__(self, panel, light):
        self._panel = panel
        self._light = light
        self._lit = None
        self.fb = framebuf.FrameBuffer(panel.buffer, 128, 64, framebuf.MONO_VLSB)
        self._glyphs = bytearray(_texts.BIG_COLUMNS * _CELL)
        self._glyph_fb = framebuf.FrameBuffer(self._glyphs, _texts.BIG_COLUMNS * _CELL, _CELL, framebuf.MONO_VLSB)
        self.texts = _texts.Texts()
        self._still = None  # what of a countdown does not run, while one is shown: drawn once, not every second
        self.failed = False

    def start(self):
        """Initialise the panel."""
        try:
            self._panel.start()
        except OSError:
            self.failed = True

    def power(self, on):
        """Light the panel, or let it sleep."""
        try:
            self._panel.power(on)
        except OSError:
            self.failed = True

    def show(self):
        """Send what changed."""
        try:
            self._panel.show()
        except OSError:
            self.failed = True

    def language(self, code):
        """Speak another language; None or an unknown one is English."""
        self.texts = _texts.Texts(code or "en")
        self._still = None

    def text(self, key):
        """The sentence of `key`; without its table the key itself, which is English in short."""
        try:
            return self.texts.get(key)
        except OSError:
            self.failed = True
            return key

    # Building blocks

    def clear(self):
        self._still = None
        self.fb.fill(0)

    def line(self, row, text, column=0):
        """One row of text, cut at the right edge; the rest of the row is left."""
        _write(self.fb, self._panel.buffer, text[: _COLUMNS - column], column * _CELL, row * _CELL)

    def lines(self, row, text, rows=3, columns=_COLUMNS, column=0):
        """Wrapped text from `row` on."""
        for i, part in enumerate(_texts.wrap(text, columns, rows)):
            self.line(row + i, part, column)

    def right(self, row, text):
        """Text that ends at the right edge."""
        text = text[:_COLUMNS]
        self.line(row, text, _COLUMNS - len(text))

    def big(self, row, text):
        """Up to eight characters of 16 x 16 from `row` on, centred."""
        text = text[: _texts.BIG_COLUMNS]
        self._glyph_fb.fill(0)
        _write(self._glyph_fb, self._glyphs, text, 0, 0)
        # Centred on the 8-pixel grid.
        at = row * 128 + (_texts.BIG_COLUMNS - len(text)) * _CELL
        buffer = self._panel.buffer
        for i in range(len(text) * _CELL):
            byte = self._glyphs[i]
            low, high = _DOUBLED[byte & 15], _DOUBLED[byte >> 4]
            for x in (at + 2 * i, at + 2 * i + 1):
                buffer[x] = low
                buffer[x + 128] = high

    def buttons(self, a=None, b=None):
        """The last row: what the left and the right button do, by key, dark on light as a button stands out."""
        if a:
            self._button(0, self.text(a))
        if b:
            text = self.text(b)
            self._button(_COLUMNS - len(text), text)

    def _button(self, column, text):
        self.line(7, text, column)
        buffer = self._panel.buffer
        for x in range(7 * 128 + column * _CELL, 7 * 128 + (column + len(text)) * _CELL):
            buffer[x] ^= 0xFF

    def bar(self, row, part, whole):
        """A progress bar of one row."""
        y = row * _CELL
        self.fb.rect(0, y + 1, 128, 6, 1)
        if whole > 0:
            self.fb.fill_rect(2, y + 3, 124 * min(part, whole) // whole, 2, 1)

    def shape(self, name, row):
        """The 16 x 16 shape of that name, from `row` on at the left edge; one that shapes.txt lacks is left out."""
        try:
            with open(_SHAPES) as file:
                while (head := file.read(17)) and head.strip() != name:
                    file.seek(file.tell() + _RECORD - 17)
                dots = file.read(_RECORD - 17)
        except OSError:
            self.failed = True
            return
        buffer = self._panel.buffer
        for i in range(0, len(dots), 17):
            at = (row + (i // 17 >> 3)) * 128
            bit = 1 << (i // 17 & 7)
            for x in range(16):
                if dots[i + x] == "#":
                    buffer[at + x] |= bit

    def sign(self, name):
        """Show by its shape, in the corner, and by the light what kind of picture this is."""
        self.shape(name, 0)
        self.shine(name)

    def shine(self, name):
        """The status light in the colour of a sign, or of "done"."""
        if name != self._lit:
            self._lit = name
            for known, colour in _LIGHTS:
                if known == name:
                    self._light[0] = tuple(colour)
                    self._light.write()

    # Whole pictures

    def message(self, title, body, a=None, b=None, detail=None, corner=None):
        """A title, up to three lines of instruction, a detail below them, and the buttons; `title` and `body` are
        keys.
        """
        self.clear()
        if title in ("ready", "check", "refused", "fault"):
            self.sign(title)
        elif title in ("cancel?", "power went"):
            self.sign("check")
        else:
            self.sign("ask" if a or (b and b != "CANCEL") else "wait")
        self.line(0, self.text(title), 2)
        if corner:
            self.right(0, corner)
        self.lines(2, self.text(body))
        if detail:
            self.lines(5, detail, 2)
        self.buttons(a, b)
        self.show()

    def codes(self, *what):
        """See `reader.scanned`."""
        from reader import scanned

        try:
            scanned.draw(self, *what)
        finally:
            del scanned
            memory.forget("scanned")

    def countdown(self, title, left_s, part, whole, note, b=None, detail=None):
        """Minutes and seconds left, twice the size, a bar, and one line of what to heed; `note` is a key."""
        still = (title, note, b)
        if still != self._still:
            self.clear()
            self.sign("wait" if note == "keep closed" else "check")
            self.line(0, self.text(title), 2)
            self.lines(5, self.text(note), 2)
            self.buttons(None, b)
            self._still = still
        self.fb.fill_rect(0, 16, 128, 24, 0)
        if detail:
            self.fb.fill_rect(72, 0, 56, 8, 0)
            self.right(0, detail)
        self.big(2, "%02d:%02d" % (left_s // 60, left_s % 60))
        self.bar(4, part, whole)
        self.show()

    def outcome(self, *what):
        """See `reader.verdict`; returns how many pages there are."""
        from reader import verdict

        try:
            return verdict.draw(self, *what)
        finally:
            del verdict
            memory.forget("verdict")


def _write(fb, buffer, text, x, y):
    """Text of French or English at a place of the 8 x 8 grid; any other letter is a question mark."""
    data = text.encode()
    if len(data) == len(text):
        fb.text(text, x, y)
        return
    at = y * 16 + x  # a row of the grid is 128 bytes; the buffer of big letters has one row only
    plain = bytearray()
    lead = 0
    for byte in data:
        if byte >= 0xC0:
            lead = byte
            plain.append(63)
            continue
        if byte >= 0x80:
            i = _ACCENTED.find(bytes((byte,))) if lead == 0xC3 else -1
            if i >= 0:
                plain[-1] = _ACCENTED[i + 1]
                start = at + _CELL * (len(plain) - 1)
                for column in range(_CELL):
                    buffer[start + column] |= _MARKS[_ACCENTED[i + 2] * _CELL + column]
            continue
        plain.append(byte)
    fb.text(bytes(plain), x, y)
