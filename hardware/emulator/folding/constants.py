"""Puts the constants of an image where they are read, so that their names cost the reader's heap nothing.

A constant is a name of a module that exactly one statement at its top binds, to a literal or to an expression of
integers and other constants. An integer (or truth value) is folded into every read of it, in its own module and in
others; text, bytes, a fraction or a tuple of such only where there is one read, because each place would hold a copy.
An assignment that nothing reads any more goes, and so does an import that gave only constants. Lines keep their
numbers.

That the program does the same after as before rests on these, each checked here, each a FoldError where it does not
hold: nothing rebinds a constant of another module; no module is handled as a value (`getattr(wire, name)`), by which a
name could be read that this does not see; nothing reads `globals()` and the like; and a module whose import is dropped
does nothing at its top but bind names. What `main.py` and `boot.py` read stays,
because they are flashed as they are.
"""

import ast
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from .edits import Edits
from .scopes import Binding, Module, Read, Scope, parsed

Value = int | float | str | bytes | tuple["Value", ...] | None

_DYNAMIC = ("globals", "locals", "vars", "exec", "__import__")
_FROM_OUTSIDE = ("eval", "execfile")  # run what is not of the image, and can read public names
_QUIET = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)


class FoldError(Exception):
    """Source that cannot be folded without changing what it does; the message says where, why, and what to write."""


@dataclass(frozen=True)
class Folded:
    """One place at which a constant now stands: the file and line of the read, and whose constant it is."""

    path: str
    line: int
    module: str
    name: str
    value: Value


@dataclass(frozen=True)
class Result:
    """`texts` are the sources after folding, by path; `folded` all places; `gone` the names no longer stored."""

    texts: dict[str, str]
    folded: list[Folded]
    gone: set[tuple[str, str]]


def fold(sources: Mapping[str, str], untouched: Collection[str] = (), public: bool = False) -> Result:
    """Fold the constants of all `sources` (path in the image to text), but change no file in `untouched`.

    `public`: names without a leading underscore are read from outside too, and are kept. Raises FoldError; SyntaxError
    for source that is no Python.
    """
    return _Folding(sources, frozenset(untouched), public).result()


class _NoConstant(Exception):
    """An expression that is not constant."""


class _Folding:
    def __init__(self, sources: Mapping[str, str], untouched: frozenset[str], public: bool) -> None:
        self._public = public
        self._untouched = untouched
        self._modules = {module.name: module for module in parsed(sources).values()}
        self._values: dict[tuple[str, str], Value] = {}
        self._known: dict[tuple[str, str], bool] = {}
        self._reads: dict[tuple[str, str], list[tuple[Module, ast.expr]]] = {}
        self._used: set[Binding] = set()  # imports that are still needed
        self._kept: set[tuple[str, str]] = set()
        self._edits: dict[str, Edits] = {m.path: Edits(m.text) for m in self._modules.values()}

    def result(self) -> Result:
        for module in self._modules.values():
            for name in module.scope.bindings:
                self._constant(module.name, name)
        for module in self._modules.values():
            for binding in module.scope.bindings.get("*", ()):
                if binding.module in self._modules and binding.statement is not None:
                    raise _refuse(module, binding.statement, "import * hides which names it reads; name them")
            for read in module.reads:
                self._take(module, read)
        folded = self._place()
        gone = self._drop_assignments()
        self._drop_imports()
        return Result({path: edits.text() for path, edits in self._edits.items()}, folded, gone)

    # What is constant

    def _constant(self, module: str, name: str) -> bool:
        key = (module, name)
        if key not in self._known:
            self._known[key] = False  # a constant is not defined by itself
            try:
                self._values[key] = self._value_of(module, name)
                self._known[key] = True
            except _NoConstant:
                pass
        return self._known[key]

    def _value_of(self, module: str, name: str) -> Value:
        bindings = self._modules[module].scope.bindings.get(name, ())
        if len(bindings) != 1:
            raise _NoConstant
        (binding,) = bindings
        if binding.kind == "assign" and binding.value is not None:
            return self._evaluate(self._modules[module], binding.value)
        if (
            binding.kind == "member"
            and binding.module in self._modules
            and f"{binding.module}.{binding.member}" not in self._modules
        ):
            return self._lookup(binding.module, binding.member)
        raise _NoConstant

    def _lookup(self, module: str, name: str) -> Value:
        if not self._constant(module, name):
            raise _NoConstant
        return self._values[module, name]

    def _evaluate(self, module: Module, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=bool() | int() | float() | str() | bytes() | None):
                return node.value  # type: ignore[return-value]
            case ast.Tuple():
                return tuple(self._evaluate(module, element) for element in node.elts)
            case ast.Call(func=ast.Name() as called, args=[argument], keywords=[]) if _is_const(module, called.id):
                return self._evaluate(module, argument)
            case ast.Name() | ast.Attribute():
                found = self._resolve(module, _nodes(node), module.scope)
                if found is None:
                    raise _NoConstant
                return self._lookup(*found[0])
            case ast.UnaryOp():
                return _unary(node.op, self._evaluate(module, node.operand))
            case ast.BinOp():
                return _binary(node.op, self._evaluate(module, node.left), self._evaluate(module, node.right))
            case _:
                raise _NoConstant

    # What a read means

    def _resolve(
        self, module: Module, nodes: tuple[ast.Name | ast.Attribute, ...], scope: Scope
    ) -> tuple[tuple[str, str], ast.Name | ast.Attribute] | None:
        """The constant that a chain of names reads, and the node at which it does; None where it reads none."""
        scoped = scope.find(nodes[0].id) if nodes and isinstance(nodes[0], ast.Name) else None
        if scoped is None or not isinstance(nodes[0], ast.Name):
            return None
        if scoped is module.scope and self._constant(module.name, nodes[0].id):
            return (module.name, nodes[0].id), nodes[0]
        member = _one(scoped, nodes[0].id, "member")
        if member is not None and member.module in self._modules and self._constant(member.module, member.member):
            return (member.module, member.member), nodes[0]
        at = self._imported(scoped, nodes[0].id)
        for node in nodes[1:]:
            if at is None or not isinstance(node, ast.Attribute):
                return None
            if self._constant(at, node.attr):
                return (at, node.attr), node
            at = self._submodule(at, node.attr)
        return None

    def _imported(self, scope: Scope, name: str) -> str | None:
        """The module of the image that `name` is in `scope`, if every binding says the same, or lets go of it."""
        found = {self._module_of(binding) for binding in scope.bindings.get(name, ()) if binding.kind != "none"}
        return found.pop() if len(found) == 1 else None

    def _module_of(self, binding: Binding) -> str | None:
        if binding.kind == "import":
            return binding.module if binding.module in self._modules else None
        if binding.kind == "member":
            name = f"{binding.module}.{binding.member}"
            return name if name in self._modules else None
        return None

    def _submodule(self, module: str, name: str) -> str | None:
        if f"{module}.{name}" in self._modules:
            return f"{module}.{name}"
        return self._imported(self._modules[module].scope, name)

    def _take(self, module: Module, read: Read) -> None:
        """Note what one read reads: a constant, a use of an import, or something that forbids folding."""
        first = read.nodes[0]
        assert isinstance(first, ast.Name)
        scope = read.scope.find(first.id)
        if scope is None:
            dynamic = first.id in _DYNAMIC or (first.id in _FROM_OUTSIDE and not self._public)
            if dynamic and module.path not in self._untouched:  # its own names all stay
                raise _refuse(module, first, f"{first.id}() can read names unseen; name them instead")
            return
        found = self._resolve(module, read.nodes, read.scope)
        if found is not None:
            key, node = found
            key = self._origin(key, module.path in self._untouched)
            if read.stored and node is read.nodes[-1]:
                raise _refuse(module, node, f"{key[0]}.{key[1]} is a constant and is set here; make it a variable")
            self._reads.setdefault(key, []).append((module, node))
            if module.path in self._untouched:
                self._kept.add(key)
                self._use(scope, first.id)
            return
        self._use(scope, first.id)
        self._need_no_module_value(module, read, scope, first)
        chain = ".".join([first.id, *[n.attr for n in read.nodes[1:] if isinstance(n, ast.Attribute)]])
        if chain.startswith("sys.modules") and not (chain == "sys.modules.pop" and read.in_call_statement):
            raise _refuse(module, first, "a module taken from sys.modules can be read unseen; import it instead")

    def _origin(self, key: tuple[str, str], keep: bool) -> tuple[str, str]:
        """Where a constant that is only imported is defined; with `keep`, the imports on the way stay."""
        (binding,) = self._modules[key[0]].scope.bindings[key[1]]
        if binding.kind != "member":
            return key
        if keep:
            self._kept.add(key)
            self._used.add(binding)
        return self._origin((binding.module, binding.member), keep)

    def _use(self, scope: Scope, name: str) -> None:
        self._used.update(scope.bindings[name])

    def _need_no_module_value(self, module: Module, read: Read, scope: Scope, first: ast.Name) -> None:
        named = {self._module_of(binding) for binding in scope.bindings[first.id] if binding.kind != "none"}
        if len(named) > 1 and any(self._constants(name) for name in named if name):
            raise _refuse(module, first, f"{first.id} is a module or something else here; give the two other names")
        at = self._imported(scope, first.id)
        for node in read.nodes[1:]:
            if at is None or not isinstance(node, ast.Attribute):
                return
            at = self._submodule(at, node.attr)
        # What is public is kept where it is read from outside; so it may be read by a name that is computed.
        if at is not None and not self._public and self._constants(at):
            raise _refuse(module, first, f"the module {at} is handled as a value, so its names could be read unseen")

    def _constants(self, module: str) -> bool:
        return any(self._constant(module, name) for name in self._modules[module].scope.bindings)

    # What changes

    def _goes(self, key: tuple[str, str]) -> bool:
        """Whether a constant is folded into its reads and stored no longer."""
        if key in self._kept or (self._public and not key[1].startswith("_")):
            return False
        return isinstance(self._values[key], int) or len(self._reads.get(key, ())) <= 1

    def _place(self) -> list[Folded]:
        folded: list[Folded] = []
        for key, reads in self._reads.items():
            if not self._goes(key) and not (isinstance(self._values[key], int) and key not in self._kept):
                for module, node in reads:
                    self._keep(module, node)
                continue
            for module, node in reads:
                if module.path in self._untouched:
                    continue
                if node.end_lineno != node.lineno:
                    raise _refuse(module, node, f"the read of {key[1]} goes over a line's end; write it on one line")
                self._edits[module.path].replace(node, _literal(self._values[key]))
                folded.append(Folded(module.path, node.lineno, key[0], key[1], self._values[key]))
        return folded

    def _keep(self, module: Module, node: ast.expr) -> None:
        # A read that stays as it is written: its import stays with it.
        for read in module.reads:
            if node in read.nodes and isinstance(read.nodes[0], ast.Name):
                scope = read.scope.find(read.nodes[0].id)
                if scope is not None:
                    self._use(scope, read.nodes[0].id)

    def _drop_assignments(self) -> set[tuple[str, str]]:
        gone: set[tuple[str, str]] = set()
        for key in self._values:
            module = self._modules[key[0]]
            (binding,) = module.scope.bindings[key[1]]
            if binding.kind == "assign" and self._goes(key) and module.path not in self._untouched:
                assert binding.statement is not None
                self._edits[module.path].drop(binding.statement)
                gone.add(key)
        return gone

    def _drop_imports(self) -> None:
        for module in self._modules.values():
            if module.path in self._untouched:
                continue
            scopes = {id(read.scope): read.scope for read in module.reads}
            scopes.setdefault(id(module.scope), module.scope)
            for scope in scopes.values():
                for name, bindings in scope.bindings.items():
                    if not any(binding in self._used for binding in bindings):
                        self._drop_import(module, scope, name, bindings)
            self._drop_const(module)

    def _drop_import(self, module: Module, scope: Scope, name: str, bindings: list[Binding]) -> None:
        sources = {self._source(binding) for binding in bindings}
        if None in sources:
            return
        # A constant that is read by way of this module is folded there too; a module that is, is needed.
        modules = any(self._module_of(binding) for binding in bindings)
        if scope is module.scope and (modules or self._public) and self._read_from_outside(module, name):
            return
        for source in sources:
            noisy = next((s for s in self._modules[str(source)].tree.body if not _is_quiet(s)), None)
            if noisy is not None:
                raise _refuse(
                    self._modules[str(source)], noisy, "this does something when it is imported for constants"
                )
        for binding in bindings:
            assert binding.statement is not None
            self._edits[module.path].drop_name(binding.statement, name)
        for target, statement in scope.deleted:
            if target.id == name:
                self._edits[module.path].drop_name(statement, name)

    def _source(self, binding: Binding) -> str | None:
        """The module of the image that an import which gave only constants loads."""
        whole = self._module_of(binding)
        if whole is not None:
            return whole if not isinstance(binding.statement, ast.Import) or "." not in binding.module else None
        if binding.kind == "member" and binding.module in self._modules:
            return binding.module if self._constant(binding.module, binding.member) else None
        return None

    def _read_from_outside(self, module: Module, name: str) -> bool:
        if self._public and not name.startswith("_"):
            return True
        return any(
            isinstance(node, ast.Attribute) and node.attr == name
            for other in self._modules.values() if other is not module
            for read in other.reads for node in read.nodes
        )  # fmt: skip

    def _drop_const(self, module: Module) -> None:
        """`from micropython import const`, and what stands in for it elsewhere, once nothing is left to it."""
        for statement in module.tree.body:
            imports = statement.body if isinstance(statement, ast.Try) else [statement]
            if len(imports) != 1 or not isinstance(imports[0], ast.ImportFrom):
                continue
            names = [alias.name for alias in imports[0].names]
            if imports[0].module != "micropython" or names != ["const"]:
                continue
            calls = [r for r in module.reads if isinstance(r.nodes[0], ast.Name) and r.nodes[0].id == "const"]
            if all(self._edits[module.path].covers(read.nodes[0]) for read in calls):
                self._edits[module.path].drop(statement)


def _one(scope: Scope, name: str, kind: str) -> Binding | None:
    bindings = scope.bindings.get(name, [])
    return bindings[0] if len(bindings) == 1 and bindings[0].kind == kind else None


def _nodes(node: ast.expr) -> tuple[ast.Name | ast.Attribute, ...]:
    nodes: list[ast.Name | ast.Attribute] = []
    while isinstance(node, ast.Attribute):
        nodes.append(node)
        node = node.value
    if not isinstance(node, ast.Name):
        raise _NoConstant
    return tuple(reversed([*nodes, node]))


def _is_const(module: Module, name: str) -> bool:
    return any(b.module == "micropython" and b.member == "const" for b in module.scope.bindings.get(name, ()))


def _is_quiet(statement: ast.stmt) -> bool:
    """Whether a statement at the top of a module only binds names."""
    if isinstance(statement, ast.Try):
        rest = [*statement.orelse, *statement.finalbody, *[s for handler in statement.handlers for s in handler.body]]
        return all(_is_quiet(s) for s in [*statement.body, *rest])
    if isinstance(statement, ast.If):
        return all(_is_quiet(s) for s in [*statement.body, *statement.orelse])
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.Assign):
        return all(isinstance(target, ast.Name) for target in statement.targets)
    return isinstance(statement, (*_QUIET, ast.Pass))


def _unary(operation: ast.unaryop, value: Value) -> Value:
    match operation:
        case ast.USub() if isinstance(value, int | float):
            return -value
        case ast.Invert() if isinstance(value, int):
            return ~value
        case _:
            raise _NoConstant


def _binary(operation: ast.operator, left: Value, right: Value) -> Value:
    # Integers only: a fraction is 32 bits wide on the board, and would round otherwise here.
    if type(left) is not int or type(right) is not int:
        raise _NoConstant
    match operation:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.FloorDiv() if right:
            return left // right
        case ast.Mod() if right:
            return left % right
        case ast.LShift() if 0 <= right < 64:
            return left << right
        case ast.RShift() if right >= 0:
            return left >> right
        case ast.BitOr():
            return left | right
        case ast.BitAnd():
            return left & right
        case ast.BitXor():
            return left ^ right
        case _:
            raise _NoConstant


def _literal(value: Value) -> str:
    text = repr(value)
    return f"({text})" if text.startswith("-") else text


def _refuse(module: Module, node: ast.expr | ast.stmt, why: str) -> FoldError:
    return FoldError(f"{module.path}:{node.lineno}: {why}.")
