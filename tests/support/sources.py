"""Where a public name is defined, and its signature, docstring and members in the source."""

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from attrs import frozen

WIDTH = 88
"""Characters in a line of a signature."""

Node = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Assign | ast.AnnAssign


@frozen
class Definition:
    """A name and what defines it.

    Args:
        name: The name.
        module: Where it is defined.
        node: The statement that defines it.
        doc: Its docstring, or the text that follows the assignment; empty without one.
        value: What it is at run time.
    """

    name: str
    module: str
    node: Node
    doc: str
    value: Any


def definition(path: str) -> Definition:
    """What defines the name at an import path, through the modules that only import it.

    Raises:
        LookupError: Nothing does.
    """
    module, _, name = path.rpartition(".")
    value = getattr(import_module(module), name)
    while True:
        body = _tree(module).body
        for node, doc in _named(body):
            if _name(node) == name:
                return Definition(name, module, node, doc, value)
        module = _imported_from(module, name)


def members(of: Definition, chosen: list[str]) -> Iterator[Definition]:
    """The members of a class that are public and have a docstring, or those that are chosen.

    Raises:
        LookupError: The class has no such member.
    """
    if not isinstance(of.node, ast.ClassDef):
        return
    found = {
        _name(node): Definition(_name(node), of.module, node, doc, None)
        for node, doc in _named(of.node.body)
        if doc and not _name(node).startswith("_") and not _is_setter(node)
    }
    yield from (found[name] for name in chosen or found)


def signature(of: Definition) -> str:
    """How it is called, or what it is, as Python; empty for a class that nobody calls."""
    text = re.sub(r"(: |-> )'(\w+)'", r"\1\2", _signature(of))  # a forward reference
    return re.sub(r"'([^'\"]*)'", r'"\1"', text)


def _signature(of: Definition) -> str:
    match of.node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return _function(of.node)
        case ast.ClassDef():
            return _class(of)
        case ast.AnnAssign(annotation=annotation):
            return f"{of.name}: {ast.unparse(annotation)}"
        case _:
            return f"{of.name} = {ast.unparse(of.node.value)}"


def _tree(module: str) -> ast.Module:
    file = import_module(module).__file__
    assert file is not None
    return ast.parse(Path(file).read_text(encoding="utf-8"))


def _named(body: list[ast.stmt]) -> Iterator[tuple[Node, str]]:
    """The definitions of a body, each with its docstring."""
    for node, follower in zip(body, [*body[1:], None], strict=True):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node, ast.get_docstring(node) or ""
            case ast.Assign(targets=[ast.Name()]) | ast.AnnAssign(target=ast.Name()):
                yield node, _text(follower)


def _text(node: ast.stmt | None) -> str:
    match node:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return inspect.cleandoc(text)
        case _:
            return ""


def _name(node: Node) -> str:
    match node:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return name
        case _:
            return ""


def _imported_from(module: str, name: str) -> str:
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            assert node.module is not None
            return node.module
    problem = f"{module} neither defines nor imports {name}"
    raise LookupError(problem)


def _is_setter(node: Node) -> bool:
    decorators = getattr(node, "decorator_list", [])
    return any(ast.unparse(each).endswith(".setter") for each in decorators)


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    decorators = {ast.unparse(each) for each in node.decorator_list}
    returns = ast.unparse(node.returns) if node.returns else "Any"
    if "property" in decorators:
        return f"{node.name}: {returns}"
    bound = "staticmethod" not in decorators
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    return _wrapped(f"{word} {node.name}", _parameters(node.args, bound=bound), f" -> {returns}")


def _parameters(given: ast.arguments, *, bound: bool) -> list[str]:
    """Each parameter as the source has it, without the object that a method is called on."""
    positional = [*given.posonlyargs, *given.args]
    missing = len(positional) - len(given.defaults)
    defaults = [None] * missing + list(given.defaults)
    shown = [_parameter(arg, default) for arg, default in zip(positional, defaults, strict=True)]
    if bound and positional and positional[0].arg in ("self", "cls"):
        shown = shown[1:]
    if given.vararg:
        shown.append(f"*{_parameter(given.vararg, None)}")
    elif given.kwonlyargs:
        shown.append("*")
    pairs = zip(given.kwonlyargs, given.kw_defaults, strict=True)
    shown += [_parameter(arg, default) for arg, default in pairs]
    return [*shown, *([f"**{_parameter(given.kwarg, None)}"] if given.kwarg else [])]


def _parameter(arg: ast.arg, default: ast.expr | None) -> str:
    text = arg.arg + (f": {ast.unparse(arg.annotation)}" if arg.annotation else "")
    return text + (f" = {ast.unparse(default)}" if default is not None else "")


def _class(of: Definition) -> str:
    """The call that makes one; nothing of a protocol, an enum or a plain base class."""
    assert isinstance(of.node, ast.ClassDef)
    for node in of.node.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            return _wrapped(of.name, _parameters(node.args, bound=True), "")
    if not hasattr(of.value, "__attrs_attrs__"):
        return ""
    return _wrapped(of.name, list(_fields(of.value)), "")


def _fields(cls: Any) -> Iterator[str]:
    """The parameters of an attrs class, annotated as its body has them."""
    annotations = dict(_annotations(cls))
    is_keyword = False
    for name, parameter in inspect.signature(cls).parameters.items():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and not is_keyword:
            is_keyword = True
            yield "*"
        default = "" if parameter.default is inspect.Parameter.empty else " = "
        yield f"{name}: {annotations[name]}{default}{_value(parameter.default) if default else ''}"


def _annotations(cls: type) -> Iterator[tuple[str, str]]:
    for each in reversed(cls.__mro__):
        if not hasattr(each, "__attrs_attrs__"):
            continue
        found = definition(f"{each.__module__}.{each.__qualname__}").node
        assert isinstance(found, ast.ClassDef)
        for node in found.body:
            if isinstance(node, ast.AnnAssign):
                yield _name(node).lstrip("_"), ast.unparse(node.annotation)


def _value(default: object) -> str:
    text = repr(default)
    return "..." if text.startswith(("<", "NOTHING")) else text


def _wrapped(head: str, parameters: list[str], tail: str) -> str:
    line = f"{head}({', '.join(parameters)}){tail}"
    if len(line) > WIDTH:
        line = "\n".join((f"{head}(", *(f"    {each}," for each in parameters), f"){tail}"))
    return line
