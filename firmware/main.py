"""Starts the application that boot.py chose; never replaced over the air."""
# ruff: noqa: F821  what boot.py leaves is here, as MicroPython runs both
# pyright: reportUndefinedVariable=false

import gc
import sys

import machine

gc.threshold(2048)  # what stays is loaded now, and garbage in between would split the heap for ever

try:
    from reader import app
except Exception as error:
    if not slot:
        raise
    sys.print_exception(error)
    if not trial:
        damaged()
    machine.reset()

del choose, damaged, kept, keep
try:
    app.main()
except Exception as error:
    if not slot:
        raise
    sys.print_exception(error)
if slot:
    machine.reset()
