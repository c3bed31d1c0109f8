"""What must be so before a board is written: nothing that a reader still owes is ever lost to it."""

from emulator.provision.board import MPY, Board, BoardError, Found, Reader


def may_be_emptied(board: Board, found: Found, replace: bool) -> None:
    """BoardError where the board holds results that no receipt covers, or is a reader and may not be `replace`d."""
    if not found.reader or found.half_done:
        return
    if found.half_deployed:
        raise BoardError(
            "This board is a reader whose application was being replaced when it was unplugged. Finish that first, "
            "with doorstep reader deploy; nothing was changed."
        )
    reader = board.reader()
    if reader.owed:
        raise owing(reader)
    if not replace:
        raise BoardError(
            f"This board is reader {reader.reader_id.hex()} ({reader.name}) already. To make it another, add --replace."
        )


def runs_this_release(found: Found) -> None:
    """BoardError where the MicroPython on the board does not run the bytecode of this release."""
    if found.mpy != MPY:
        said = ".".join(map(str, found.version))
        raise BoardError(f"MicroPython {said} on this board does not run this release. Write a newer one to it first.")


def owing(reader: Reader) -> BoardError:
    """That the board is a reader whose results are still its own."""
    return BoardError(
        f"This board is reader {reader.reader_id.hex()} and holds {reader.owed} results that no receipt covers. "
        "Let a hub collect it first; nothing was changed."
    )
