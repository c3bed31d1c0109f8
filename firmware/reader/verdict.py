"""The picture of an outcome, or of the verdict on a control; in memory only while it is drawn."""

from micropython import const

from reader import texts

_BESIDE = const(13)  # columns beside the shape
_ROOM = const(4)  # rows below the word


def draw(screen, name, heading, analytes, sentence, a=None, page=0):
    """An outcome, or the verdict on a control, in a word and a shape; below it each analyte, and what happened and
    is to be done. Returns how many pages that takes; the right button goes on to the next.

    `heading` (the specimen) and `sentence` are text, `analytes` are (text, sign, value or None).
    """
    rows = []
    for label, sign, value in analytes:
        rows.append((label[: _BESIDE - 2], sign))
        if value:
            rows.append(("", value))
    if sentence:
        told = texts.wrap(sentence, _BESIDE, _ROOM)
        if len(rows) + len(told) > _ROOM:
            rows += [("", "")] * (-len(rows) % _ROOM)
        rows += [(line, "") for line in told]
    pages = (len(rows) + _ROOM - 1) // _ROOM
    screen.clear()
    screen.shine("fault" if name == "error" else "done" if name in ("positive", "negative", "passed") else "check")
    screen.line(0, heading)
    screen.big(1, screen.text(name))
    screen.shape("fault" if name == "error" else name, 4)
    for i, (left, right) in enumerate(rows[page * _ROOM : page * _ROOM + _ROOM]):
        screen.line(3 + i, left, 3)
        screen.right(3 + i, right)
    screen.buttons(a, "MORE" if pages > 1 else None)
    screen.show()
    return pages
