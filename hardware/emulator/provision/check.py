"""`doorstep reader check`: the production test of a board, told to a person or a program."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from emulator.provision.stop import FAILED, stop

if TYPE_CHECKING:
    from emulator.production.lines import Line


class _AtTheTerminal:
    """Asks whoever started the command."""

    def do(self, request: str) -> None:
        typer.prompt(f"{request} Then press Enter", default="", show_default=False, err=True)

    def begin(self, request: str) -> None:
        print(request, file=sys.stderr)

    def sees(self, question: str) -> bool:
        return typer.confirm(question, err=True)


def check(
    port: Annotated[str, typer.Option("--port", help="Where the board is, such as /dev/ttyACM0 or COM5.")],
    person: Annotated[bool, typer.Option("--person/--no-person", help="Ask for what only a person can do.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="For a program, on standard output.")] = False,
) -> None:
    """Test every part of the board at PORT: what was measured, its limits, and what to do about what failed.

    Have the tray empty, the wells empty and the lid closed. The block gets a few degrees warmer. Not while a test runs:
    connecting breaks it off. Exits 1 when a line failed.
    """
    from emulator.production.lines import Verdict
    from emulator.production.run import check as lines
    from emulator.provision.board import Board, BoardError
    from emulator.provision.guard import runs_this_release

    said: list[Line] = []
    try:
        with Board(port) as board:
            found = board.look()
            runs_this_release(found)
            if found.half_done or found.half_deployed:
                raise BoardError("This board's application is not whole. Finish that first: run what was interrupted.")
            for line in lines(board, _AtTheTerminal() if person else None):
                said.append(line)
                if not as_json:
                    print(line.as_text(), flush=True)
            board.start()
    except BoardError as error:
        stop(str(error), FAILED)
    wrong = sum(line.verdict is Verdict.FAIL for line in said)
    left = sum(line.verdict is Verdict.SKIPPED for line in said)
    if as_json:
        print(json.dumps({"passed": not wrong, "skipped": left, "lines": [line.as_json() for line in said]}, indent=1))
    else:
        print(f"{'PASS' if not wrong else f'FAIL: {wrong} to fix'}" + (f", {left} not looked at" if left else ""))
    if wrong:
        raise typer.Exit(FAILED)
