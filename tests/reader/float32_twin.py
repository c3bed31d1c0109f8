"""The reader's analysis as a board computes it: every arithmetic result rounded to a 32-bit float.

ESP32 builds of MicroPython compute in single precision. The source of a module is rewritten so that each number it
makes (operations, roots, literals, conversions) passes through a rounding to binary32, and is then run under CPython.
"""

from __future__ import annotations

import ast
import importlib
import struct
import sys
import types
from pathlib import Path

MAKES_A_FLOAT = {"sqrt", "float"}


def rounded(value: object) -> object:
    """A float as the nearest 32-bit one; anything else as it is."""
    if type(value) is not float:
        return value
    try:
        return struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


class _Round(ast.NodeTransformer):
    def _wrap(self, node: ast.expr) -> ast.expr:
        call = ast.Call(ast.Name("_rounded_", ast.Load()), [node], [])
        return ast.copy_location(call, node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        return self._wrap(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        self.generic_visit(node)
        read = ast.parse(ast.unparse(node.target), mode="eval").body
        value = self._wrap(ast.BinOp(read, node.op, node.value))
        return ast.copy_location(ast.Assign([node.target], value), node)

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return self._wrap(node) if type(node.value) is float else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        named = node.func.id if isinstance(node.func, ast.Name) else ""
        return self._wrap(node) if named in MAKES_A_FLOAT else node


def twin(name: str, *, using: dict[str, types.ModuleType] | None = None) -> types.ModuleType:
    """Module `name` computing in 32 bits; `using` puts other twins in the place of the modules it imports."""
    source = Path(importlib.import_module(name).__file__ or "").read_text()
    tree = ast.fix_missing_locations(_Round().visit(ast.parse(source)))
    module = types.ModuleType(name + "_float32")
    vars(module)["_rounded_"] = rounded
    kept = {other: sys.modules[other] for other in using or {}}
    sys.modules.update(using or {})
    try:
        exec(compile(tree, name + "_float32", "exec"), vars(module))
    finally:
        sys.modules.update(kept)
    return module
