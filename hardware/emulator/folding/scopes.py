"""Which scope of a module's source binds each name, by Python's rules, and every place where a name is read.

Annotations are left out: MicroPython does not evaluate them.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

FunctionLike = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, eq=False)
class Binding:
    """One statement that gives a name its value."""

    kind: str  # "import" of a module, "member" of a module, "assign" of one name at the top, "none" or "other"
    module: str = ""  # the module imported, or imported from
    member: str = ""
    value: ast.expr | None = None
    statement: ast.stmt | None = None


@dataclass(eq=False)
class Scope:
    """Names bound in a module, a class, a function or a comprehension."""

    kind: str
    parent: "Scope | None" = None
    bindings: dict[str, list[Binding]] = field(default_factory=lambda: {})
    elsewhere: dict[str, "Scope"] = field(default_factory=lambda: {})  # by `global` and `nonlocal`
    deleted: list[tuple[ast.Name, ast.Delete]] = field(default_factory=lambda: [])

    def bind(self, name: str, binding: Binding) -> None:
        """Note a binding, where `global` or `nonlocal` sends it."""
        self.elsewhere.get(name, self).bindings.setdefault(name, []).append(binding)

    def find(self, name: str) -> "Scope | None":
        """The scope that a read of `name` here reads; None for a built-in."""
        if name in self.elsewhere:
            return self.elsewhere[name]
        scope: Scope | None = self
        while scope is not None:
            if name in scope.bindings and (scope is self or scope.kind != "class"):
                return scope
            scope = scope.parent
        return None

    @property
    def top(self) -> "Scope":
        """The module's scope."""
        return self if self.parent is None else self.parent.top


@dataclass(frozen=True, eq=False)
class Read:
    """A name, or the attributes read from it in turn: `nodes` is innermost first."""

    scope: Scope
    nodes: tuple[ast.Name | ast.Attribute, ...]
    stored: bool  # whether the last of them is assigned or deleted, not read
    in_call_statement: bool  # whether it is what a statement calls, and nothing takes the result


class Module(ast.NodeVisitor):
    """The scopes of one module: `scope` is its own, `reads` are all reads in it."""

    def __init__(self, name: str, path: str, text: str, package: bool) -> None:
        self.name = name
        self.path = path
        self.text = text
        self.tree = ast.parse(text, path)
        self.reads: list[Read] = []
        self.scope = self._scope = Scope("module")
        self._package = package
        self._discarded: ast.expr | None = None
        for statement in self.tree.body:
            match statement:
                case ast.Assign(targets=[ast.Name() as target]):
                    self.visit(statement.value)
                    self.scope.bind(target.id, Binding("assign", value=statement.value, statement=statement))
                case _:
                    self.visit(statement)

    # Reads

    def visit_Expr(self, node: ast.Expr) -> None:
        """Remember what a statement calls, for its result is dropped."""
        if isinstance(node.value, ast.Call):
            self._discarded = node.value.func
        self.visit(node.value)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """A chain of attributes on a name is one read."""
        nodes: list[ast.Name | ast.Attribute] = [node]
        value = node.value
        while isinstance(value, ast.Attribute):
            nodes.append(value)
            value = value.value
        if isinstance(value, ast.Name):
            nodes.append(value)
            stored = not isinstance(node.ctx, ast.Load)
            self.reads.append(Read(self._scope, tuple(reversed(nodes)), stored, node is self._discarded))
        else:
            self.visit(value)

    def visit_Name(self, node: ast.Name) -> None:
        """A read or a binding."""
        if isinstance(node.ctx, ast.Load):
            self.reads.append(Read(self._scope, (node,), False, node is self._discarded))
        elif isinstance(node.ctx, ast.Store):
            self._scope.bind(node.id, Binding("other"))

    def visit_Delete(self, node: ast.Delete) -> None:
        """`del name` ends a name; it binds none."""
        for target in node.targets:
            if isinstance(target, ast.Name):
                self._scope.deleted.append((target, node))
            else:
                self.visit(target)

    # Bindings

    def visit_Assign(self, node: ast.Assign) -> None:
        """`name = None` lets go of what the name held; any other is a new value."""
        self.visit(node.value)
        nothing = isinstance(node.value, ast.Constant) and node.value.value is None
        for target in node.targets:
            if isinstance(target, ast.Name):
                self._scope.bind(target.id, Binding("none" if nothing else "other", statement=node))
            else:
                self.visit(target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        """Reads and binds."""
        self.visit(node.value)
        self.visit(node.target)
        if isinstance(node.target, ast.Name):
            self._scope.bind(node.target.id, Binding("other"))  # twice, so that it never counts as bound once

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """As an assignment; the annotation is nothing."""
        if node.value is not None:
            self.visit(node.value)
            self.visit(node.target)

    def visit_Import(self, node: ast.Import) -> None:
        """`import a.b` binds a, `import a.b as c` binds a.b."""
        for alias in node.names:
            module = alias.name if alias.asname else alias.name.split(".")[0]
            self._scope.bind(alias.asname or module, Binding("import", module, statement=node))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """A member, which may be a submodule."""
        base = node.module or ""
        if node.level:
            above = self.name.split(".") + ([""] if self._package else [])
            base = ".".join([*above[: -node.level], *([node.module] if node.module else [])])
        for alias in node.names:
            self._scope.bind(alias.asname or alias.name, Binding("member", base, alias.name, statement=node))

    def visit_Global(self, node: ast.Global) -> None:
        """Bindings of these names are the module's."""
        for name in node.names:
            self._scope.elsewhere[name] = self.scope
            self.scope.bind(name, Binding("other"))

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        """Bindings of these names are an outer function's."""
        for name in node.names:
            found = self._scope.parent.find(name) if self._scope.parent else None
            self._scope.elsewhere[name] = found or self.scope
            self.scope.bind(name, Binding("other"))  # the outer function may bind it further down

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        """Binds in the nearest function around; here, to be safe, in every scope around."""
        self.visit(node.value)
        scope: Scope | None = self._scope
        while scope is not None:
            scope.bind(node.target.id, Binding("other"))
            scope = scope.parent

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        """`as name` binds."""
        if node.name:
            self._scope.bind(node.name, Binding("other"))
        self.generic_visit(node)

    # Scopes

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Decorators and defaults belong outside."""
        self._scope.bind(node.name, Binding("other", statement=node))
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._function(node, node.body)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """As any function."""
        self.visit_FunctionDef(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """As any function."""
        self._function(node, [node.body])

    def _function(self, node: FunctionLike, body: "list[ast.stmt] | list[ast.expr]") -> None:
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self.visit(default)
        outer, self._scope = self._scope, Scope("function", self._scope)
        arguments = node.args
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            self._scope.bind(argument.arg, Binding("other"))
        for rest in (arguments.vararg, arguments.kwarg):
            if rest is not None:
                self._scope.bind(rest.arg, Binding("other"))
        for statement in body:
            self.visit(statement)
        self._scope = outer

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Bases belong outside."""
        self._scope.bind(node.name, Binding("other", statement=node))
        for outside in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(outside)
        outer, self._scope = self._scope, Scope("class", self._scope)
        for statement in node.body:
            self.visit(statement)
        self._scope = outer

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        """The first iterable belongs outside."""
        self.visit(node.generators[0].iter)
        outer, self._scope = self._scope, Scope("function", self._scope)
        for i, generator in enumerate(node.generators):
            if i:
                self.visit(generator.iter)
            self.visit(generator.target)
            for condition in generator.ifs:
                self.visit(condition)
        for part in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
            self.visit(part)
        self._scope = outer

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp  # type: ignore[assignment]


def parsed(sources: Mapping[str, str]) -> dict[str, Module]:
    """The modules of an image, by path: "reader/wire.py" is reader.wire, "reader/__init__.py" is reader."""
    found: dict[str, Module] = {}
    for path, text in sources.items():
        name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        found[path] = Module(name, path, text, path.endswith("__init__.py"))
    return found
