"""Changes to a source text, by the positions of its syntax tree, that leave every line where it is."""

import ast


class Edits:
    """Changes to one text that leave every line where it is."""

    def __init__(self, text: str) -> None:
        self._lines = text.encode().splitlines(keepends=True)
        self._replaced: dict[tuple[int, int], tuple[int, int, str]] = {}
        self._dropped: list[ast.stmt] = []
        self._names: dict[ast.stmt, set[str]] = {}

    # Each takes a node of the tree of this text; a change inside a statement that goes is lost with it.

    def replace(self, node: ast.expr, text: str) -> None:
        self._replaced[_start(node)] = (*_end(node), text)

    def drop(self, statement: ast.stmt) -> None:
        self._dropped.append(statement)

    def drop_name(self, statement: ast.stmt, name: str) -> None:
        self._names.setdefault(statement, set()).add(name)

    def covers(self, node: ast.expr) -> bool:
        """Whether `node` is in a statement that goes."""
        return any(_within(node, statement) for statement in self._dropped)

    def text(self) -> str:
        for statement, names in self._names.items():
            rest = _without(statement, names)
            if rest is None:
                self.drop(statement)
            else:
                self._put(statement, rest)
        edits = {k: v for k, v in self._replaced.items() if not any(_holds(s, k) for s in self._dropped)}
        for statement in self._dropped:
            edits[_start(statement)] = (*_end(statement), "pass" + _lines(statement))
        lines = list(self._lines)
        for (row, column), (end_row, end_column, text) in sorted(edits.items(), reverse=True):
            lines[row - 1 : end_row] = [lines[row - 1][:column] + text.encode() + lines[end_row - 1][end_column:]]
        return b"".join(lines).decode()

    def _put(self, statement: ast.stmt, text: str) -> None:
        self._replaced[_start(statement)] = (*_end(statement), text + _lines(statement))


def _without(statement: ast.stmt, names: set[str]) -> str | None:
    """An import or `del` without some of its names; None when none is left."""
    if isinstance(statement, ast.Delete):
        left = [target for target in statement.targets if not (isinstance(target, ast.Name) and target.id in names)]
        return ast.unparse(ast.Delete(left)) if left else None
    assert isinstance(statement, ast.Import | ast.ImportFrom)
    kept = [a for a in statement.names if (a.asname or a.name.split(".")[0]) not in names]
    if not kept:
        return None
    if isinstance(statement, ast.Import):
        return ast.unparse(ast.Import(kept))
    return ast.unparse(ast.ImportFrom(statement.module, kept, statement.level))


def _within(node: ast.expr, statement: ast.stmt) -> bool:
    return _holds(statement, _start(node))


def _holds(statement: ast.stmt, at: tuple[int, int]) -> bool:
    return _start(statement) <= at < _end(statement)


def _lines(statement: ast.stmt) -> str:
    return "\n" * (_end(statement)[0] - statement.lineno)


def _start(node: ast.expr | ast.stmt) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _end(node: ast.expr | ast.stmt) -> tuple[int, int]:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return node.end_lineno, node.end_col_offset
