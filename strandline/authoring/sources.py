"""Reads the source code of flows: lines of names, syntax trees of methods, used names."""

import ast
import inspect
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from attrs import frozen

OWN = ("fsm", "durable", "ephemeral", "strandline")
"""The packages of the built-in flows."""

Method = ast.FunctionDef | ast.AsyncFunctionDef


@frozen
class Mentioned:
    """The names that source files use.

    Args:
        names: Attributes that are not called, and the values of strings: ``turn.question_ref``,
            ``"hand_over"``.
        called: Names and attributes that are called: ``HandOver(…)``, ``turn.ask_back(…)``.
    """

    names: frozenset[str] = frozenset()
    called: frozenset[str] = frozenset()

    def __or__(self, other: "Mentioned") -> "Mentioned":
        return Mentioned(self.names | other.names, self.called | other.called)


class Sources:
    """Reads source files, each only once."""

    def __init__(self) -> None:
        self.tree = cache(_tree)
        self._mentioned_in = cache(self._mentioned_in_file)

    def line(self, cls: type, name: str) -> tuple[Path, int]:
        """Return the file and line that define ``name`` in a class body; else those of the class.

        If the source of the class can't be found, the line is 1.
        """
        path, body = self._class(cls)
        if body is None:
            return path, 1
        for statement in body.body:
            if name in _names_of(statement):
                return path, statement.lineno
        return path, body.lineno

    def method(self, cls: type, name: str) -> Method | None:
        """Return the syntax tree of a method in a class body; None if there is no such method."""
        body = self._class(cls)[1]
        for statement in body.body if body is not None else ():
            if isinstance(statement, Method) and statement.name == name:
                return statement
        return None

    def named_twice(self, cls: type) -> list[str]:
        """Return the names that a class body defines more than once.

        Only the names of states, events, guards and handlers count.
        """
        body = self._class(cls)[1]
        parts = [s for s in (body.body if body is not None else ()) if _is_part(s)]
        counted = Counter(name for statement in parts for name in _names_of(statement))
        return [name for name, count in counted.items() if count > 1]

    def mentioned(self, paths: Iterable[Path]) -> Mentioned:
        """The names that these files use."""
        found = Mentioned()
        for path in paths:
            found |= self._mentioned_in(path)
        return found

    def _mentioned_in_file(self, path: Path) -> Mentioned:
        tree = self.tree(path)
        if tree is None:
            return Mentioned()
        mentions = _Mentions()
        mentions.visit(tree)
        return Mentioned(frozenset(mentions.names), frozenset(mentions.called))

    def _class(self, cls: type) -> tuple[Path, ast.ClassDef | None]:
        """Return the file and the syntax tree of a class; the tree is None if the file has none.

        If the file has several classes of that name, the one that contains the class's methods is
        meant.
        """
        path = _file_of(cls)
        tree = self.tree(path)
        nodes = [
            node
            for node in (ast.walk(tree) if tree is not None else ())
            if isinstance(node, ast.ClassDef) and node.name == cls.__name__
        ]
        lines = [v.__code__.co_firstlineno for v in vars(cls).values() if inspect.isfunction(v)]
        for node in nodes:
            if any(node.lineno <= line <= (node.end_lineno or 0) for line in lines):
                return path, node
        return path, nodes[-1] if nodes else None


def package_files(module: str) -> Iterator[Path]:
    """Yield the Python files of the package that contains an imported module.

    That is the top-level package with its subpackages. For a module of Strandline, the files of all
    its packages; for a module in no package, the files in the module's folder.
    """
    top = module.partition(".")[0]
    for name in OWN if top in OWN else (top,):
        package = sys.modules[name]
        for folder in getattr(package, "__path__", ()):
            yield from Path(folder).rglob("*.py")
        if not hasattr(package, "__path__") and package.__file__ is not None:
            yield from Path(package.__file__).parent.glob("*.py")


def argument(method: Method, place: int) -> str | None:
    """Return the name of a method's positional argument; None if there is none at this position.

    Args:
        method: The method's syntax tree.
        place: The argument's position; 0 is ``self``.
    """
    arguments = [*method.args.posonlyargs, *method.args.args]
    return arguments[place].arg if len(arguments) > place else None


def may_return(method: Method) -> bool:
    """Whether the method may return something other than None."""
    ends = (ast.Return, ast.Raise, ast.Yield, ast.YieldFrom)
    return any(
        isinstance(node, ends) and not (isinstance(node, ast.Return) and node.value is None)
        for node in ast.walk(method)
    )


def _file_of(cls: type) -> Path:
    """Return the file that defines the class; ``Path(".")`` if there is none."""
    try:
        return Path(inspect.getsourcefile(cls) or "")
    except (OSError, TypeError):
        return Path()


def _tree(path: Path) -> ast.Module | None:
    """Return the file's syntax tree; None if it can't be read or parsed."""
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None


class _Mentions(ast.NodeVisitor):
    def __init__(self) -> None:
        self.names: set[str] = set()
        self.called: set[str] = set()

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id == "Event":
            return  # what causes an event triggers none
        if isinstance(node.func, ast.Attribute):
            self.called.add(node.func.attr)
            self.visit(node.func.value)
        elif isinstance(node.func, ast.Name):
            self.called.add(node.func.id)
        else:
            self.visit(node.func)
        for child in (*node.args, *node.keywords):
            self.visit(child)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.names.add(node.attr)
        self.visit(node.value)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self.names.add(node.value)


def _is_part(statement: ast.stmt) -> bool:
    match statement:
        case ast.Assign(value=ast.Call(func=ast.Name(id="Event" | "State"))):
            return True
        case ast.FunctionDef(decorator_list=decorators):
            return any(map(_is_of_a_flow, decorators))
        case ast.AsyncFunctionDef(decorator_list=decorators):
            return any(map(_is_of_a_flow, decorators))
    return False


def _is_of_a_flow(decorator: ast.expr) -> bool:
    """Whether the decorator makes a method a handler or a guard."""
    match decorator:
        case ast.Call(func=ast.Name(id="on")) | ast.Attribute(value=ast.Name(), attr="guard"):
            return True
    return False


def _names_of(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.Assign(targets=targets):
            for node in (inner for target in targets for inner in ast.walk(target)):
                if isinstance(node, ast.Name):
                    yield node.id
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
