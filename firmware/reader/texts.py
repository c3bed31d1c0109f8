"""Every sentence the screen shows, by language: tables in flash, languages/en.txt and its translations.

A table is read each time a sentence is wanted, through one small buffer: held in memory, two of them would be a tenth
of the reader's heap. The keys of English are the list; what a language lacks is said in English. An outcome's reason is
said under its name in `reader.outcome`.
"""

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value):
        return value


COLUMNS = 16
BIG_COLUMNS = 8

_WINDOW = const(256)  # bytes read at a time; a row is at most half of it
_FOLDER = __file__.rsplit("/", 1)[0] + "/languages/"


def _find(language, key):
    """The text under `key`, or None. OSError: there is no such table."""
    wanted = b"\n" + key.encode() + b"="
    window = bytearray(_WINDOW)
    view = memoryview(window)
    kept = 0
    with open(_FOLDER + language + ".txt", "rb") as file:
        while True:
            count = file.readinto(view[kept:])
            end = kept + count
            at = window.find(wanted, 0, end)
            stop = window.find(b"\n", at + 1, end) if at >= 0 else -1
            if stop > 0:
                return bytes(view[at + len(wanted) : stop]).decode().replace("/", "\n")
            if not count:
                return None
            # A row that the window's end cut is looked for again with what follows.
            kept = min(end, _WINDOW // 2)
            window[:kept] = window[end - kept : end]


class Texts:
    """The table of one language; `Texts("xx")` is English where there is no xx."""

    def __init__(self, language="en"):
        self._language = language if language.isalpha() else "en"
        try:
            _find(self._language, "")
        except OSError:
            self._language = "en"

    def get(self, key):
        """The sentence of `key`; KeyError for one that English lacks, OSError when the table cannot be read."""
        text = _find(self._language, key)
        if text is None:
            text = _find("en", key)
        if text is None:
            raise KeyError(key)
        return text


def wrap(text, columns, rows):
    """`text` broken at spaces (and line feeds) into at most `rows` lines of at most `columns`; a longer word is
    cut.
    """
    lines = []
    for part in text.split("\n"):
        line = ""
        for word in part.split(" "):
            if line and len(line) + 1 + len(word) > columns:
                lines.append(line)
                line = ""
            line = line + " " + word if line else word
            while len(line) > columns:
                lines.append(line[:columns])
                line = line[columns:]
        lines.append(line)
    return lines[:rows]
