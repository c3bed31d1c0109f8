"""The picture of what has been scanned so far, ticked, and of what is wanted next; in memory only while it is drawn."""


def draw(screen, specimen, cassette, operator, a, b, badge=False):
    """What has been scanned so far, ticked, and what is wanted next; `badge` when an operator's is wanted."""
    screen.clear()
    screen.sign("ask")
    screen.line(0, screen.text("scan"), 2)
    row = 2
    for key, value in (("specimen", specimen), ("cassette", cassette), ("operator", operator)):
        if value or badge or key != "operator":
            y = row * 8
            screen.fb.rect(0, y, 8, 8, 1)
            if value:
                screen.fb.line(2, y + 3, 3, y + 5, 1)
                screen.fb.line(3, y + 5, 6, y + 1, 1)
                # A code is told from the next by its end.
                screen.line(row, value if len(value) <= 14 else value[:6] + ".." + value[-6:], 2)
            else:
                screen.line(row, screen.text(key), 2)
        row += 1
    wanted = "codes right?"
    if not specimen:
        wanted = "scan specimen"
    elif not cassette:
        wanted = "scan cassette"
    elif badge and not operator:
        wanted = "scan badge"
    screen.lines(5, screen.text(wanted), 2)
    screen.buttons(a, b)
    screen.show()
