"""Starts the reader."""

import gc

gc.threshold(2048)  # what stays is loaded now, and garbage in between would split the heap for ever

from reader import app  # noqa: E402

app.main()
