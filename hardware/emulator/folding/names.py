"""Gives private names and parameters short names that the modules of an image share.

MicroPython keeps every name once for the whole program, for ever, in about 14 bytes and its letters. A name with one
leading underscore is its module's own matter, so two modules may use the same short one for different things; and what
a function calls its parameters matters only to a call that names them.

A private name is left as it is where it is more than its module's own: read on anything but `self`, imported, or found
in any text (`getattr`). Modules whose classes inherit from one another count as one. A parameter is left as it is where
any call names one so, and in functions that may be called from outside. What a traceback loses, its line number tells.
"""

import ast
import io
import re
import tokenize
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from .scopes import FunctionLike, Module, parsed

_PRIVATE = re.compile(r"_[A-Za-z0-9]\w*")
_WORD = re.compile(r"\w+")
_ITSELF = ("self", "cls")


@dataclass
class _Uses:
    """What the files of an image say about names."""

    bound: dict[str, set[str]] = field(default_factory=lambda: {})  # by path: private names that the file gives a value
    shared: set[str] = field(default_factory=lambda: set())  # read on other objects, imported, or in a text
    keywords: set[str] = field(default_factory=lambda: set())
    by_mapping: bool = False  # some call passes **arguments
    everything: set[str] = field(default_factory=lambda: set())


def shorten(sources: Mapping[str, str], untouched: Collection[str] = (), public: bool = False) -> dict[str, str]:
    """The texts (by path) with short names; files in `untouched` keep theirs, and what they read.

    `public`: functions without a leading underscore are called from outside too. SyntaxError for what is no Python.
    """
    modules = parsed(sources)
    uses = _Uses()
    for path, module in modules.items():
        _survey(path, module.tree, uses)
        if path in untouched:
            uses.shared |= uses.bound.pop(path)
    private, parameter = _prefixes(uses.everything)
    texts = {path: module.text for path, module in modules.items()}
    for group in _families(modules):
        names = sorted({name for path in group for name in uses.bound.get(path, ())} - uses.shared - uses.keywords)
        new = {name: f"{private}{i}" for i, name in enumerate(names)}
        for path in group:
            if path not in untouched:
                texts[path] = _renamed(texts[path], new)
    if not uses.by_mapping:
        for path, text in texts.items():
            if path not in untouched:
                texts[path] = _with_short_parameters(path, text, parameter, uses.keywords, public)
    return texts


def _survey(path: str, tree: ast.Module, uses: _Uses) -> None:
    bound = uses.bound.setdefault(path, set())
    own: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if owner in _ITSELF:
                (own if isinstance(node.ctx, ast.Load) else bound).add(name)
                uses.everything.add(name)
            case ast.Attribute(attr=name):
                uses.shared.add(name)
                uses.everything.add(name)
            case ast.Name(id=name):
                if not isinstance(node.ctx, ast.Load):
                    bound.add(name)
                uses.everything.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                bound.add(name)
                uses.everything.add(name)
            case ast.arg(arg=name):
                uses.everything.add(name)
            case ast.JoinedStr():  # its names have no place of their own
                uses.shared.update(inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))
            case ast.alias():
                uses.shared.update(_WORD.findall(node.name), _WORD.findall(node.asname or ""))
            case ast.keyword(arg=None):
                uses.by_mapping = True
            case ast.keyword(arg=str(name)):
                uses.keywords.add(name)
            case ast.Constant(value=str(text)):
                uses.shared.update(_WORD.findall(text))
            case _:
                pass
    uses.shared |= own - bound  # what another file gives a value
    uses.bound[path] = {name for name in bound if _PRIVATE.fullmatch(name)}


def _prefixes(taken: set[str]) -> tuple[str, str]:
    """Two beginnings of names that no name of the image has."""
    found = ("_", "a", "b", "c", "d", "_a", "_b", "_c")
    free = [prefix for prefix in found if not any(re.fullmatch(prefix + r"\d+", name) for name in taken)]
    return free[0], free[1]


def _families(modules: Mapping[str, Module]) -> list[list[str]]:
    """The paths, those together whose classes inherit from one another."""
    path_of = {module.name: path for path, module in modules.items()}
    family = {path: {path} for path in modules}
    for path, module in modules.items():
        for node in ast.walk(module.tree):
            for base in node.bases if isinstance(node, ast.ClassDef) else ():
                for other in _homes(module, base):
                    if other in path_of and family[path_of[other]] is not family[path]:
                        family[path] |= family[path_of[other]]
                        for member in family[path]:
                            family[member] = family[path]
    return [sorted(group) for group in {id(group): group for group in family.values()}.values()]


def _homes(module: Module, base: ast.expr) -> set[str]:
    """The modules that a base class may be from."""
    while isinstance(base, ast.Attribute):
        base = base.value
    if not isinstance(base, ast.Name):
        return set()
    bindings = module.scope.bindings.get(base.id, [])
    return {name for b in bindings for name in (b.module, f"{b.module}.{b.member}") if b.module}


def _renamed(text: str, new: Mapping[str, str]) -> str:
    lines = text.splitlines(keepends=True)
    for token in reversed(list(tokenize.generate_tokens(io.StringIO(text).readline))):
        if token.type == tokenize.NAME and token.string in new:
            row, column = token.start
            line = lines[row - 1]
            lines[row - 1] = line[:column] + new[token.string] + line[column + len(token.string) :]
    return "".join(lines)


def _with_short_parameters(path: str, text: str, prefix: str, keywords: set[str], public: bool) -> str:
    tree = ast.parse(text, path)
    renamer = _Parameters(prefix, keywords, public)
    renamer.visit(tree)
    lines = [line.encode() for line in text.splitlines(keepends=True)]
    for (row, column), (old, new) in sorted(renamer.edits.items(), reverse=True):
        line = lines[row - 1]
        lines[row - 1] = line[:column] + new.encode() + line[column + len(old.encode()) :]
    return b"".join(lines).decode()


class _Parameters(ast.NodeVisitor):
    """Finds every place of each parameter that may have another name."""

    def __init__(self, prefix: str, keywords: set[str], public: bool) -> None:
        self.edits: dict[tuple[int, int], tuple[str, str]] = {}
        self._prefix = prefix
        self._keywords = keywords
        self._public = public
        self._depth = 0  # parameters of the functions around that have a short name already

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Rename its parameters, then look into it."""
        private = node.name.startswith("_") and not node.name.startswith("__")
        self._function(node, private or not self._public)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """As any function."""
        self.visit_FunctionDef(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """As any function."""
        self._function(node, True)

    def _function(self, node: FunctionLike, free: bool) -> None:
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        plain = node.args.kwarg is None and free
        body: Sequence[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else node.body
        outer = self._depth
        for argument in arguments:
            if plain and argument.arg not in (*_ITSELF, *self._keywords) and self._simple(body, argument.arg):
                new = f"{self._prefix}{self._depth}"
                self._depth += 1
                self.edits[argument.lineno, argument.col_offset] = (argument.arg, new)
                for part in body:
                    for name in ast.walk(part):
                        if isinstance(name, ast.Name) and name.id == argument.arg:
                            self.edits[name.lineno, name.col_offset] = (argument.arg, new)
        for part in body:
            self.visit(part)
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self.visit(default)
        self._depth = outer

    def _simple(self, body: Sequence[ast.AST], name: str) -> bool:
        """Whether every occurrence of `name` in the body is this parameter, and shows as a name."""
        for part in body:
            for node in ast.walk(part):
                match node:
                    case ast.Lambda() | ast.FunctionDef() | ast.AsyncFunctionDef():
                        inner = node.args
                        rest = [a for a in (inner.vararg, inner.kwarg) if a is not None]
                        if name in [a.arg for a in (*inner.posonlyargs, *inner.args, *inner.kwonlyargs, *rest)]:
                            return False
                        if not isinstance(node, ast.Lambda) and (node.name == name or self._stored(node, name)):
                            return False
                    case ast.ClassDef():
                        return False
                    case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                        if any(self._stored(g.target, name) for g in node.generators):
                            return False
                    case ast.ExceptHandler(name=caught) if caught == name:
                        return False
                    case ast.Global(names=names) | ast.Nonlocal(names=names) if name in names:
                        return False
                    case ast.alias() if name in ((node.asname or node.name).split(".")[0], node.name):
                        return False
                    case ast.JoinedStr():
                        return False
                    case _:
                        pass
        return True

    def _stored(self, node: ast.AST, name: str) -> bool:
        return any(
            isinstance(inner, ast.Name) and inner.id == name and not isinstance(inner.ctx, ast.Load)
            for inner in ast.walk(node)
        )
