"""Finds forbidden side effects of a flow's methods in the methods' source code."""

import ast
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from typing import Any, get_origin

from attrs import fields, has

from strandline.authoring.sources import Method, argument

TURN, DATA = 1, 2
"""The positions of two arguments of a handler or guard: the turn, and the data of the state.
Position 0 is ``self``."""

WRITES = frozenset(
    {
        "add_to_space",
        "ask",
        "ask_back",
        "confirm",
        "edit",
        "invite",
        "join",
        "leave",
        "make_room",
        "name_room",
        "react",
        "remove_from_space",
        "reopen",
        "reply",
        "say",
        "set_state",
        "trigger",
    }
)
"""The methods of a turn that request an effect."""

COLLECTIONS: tuple[Any, ...] = (list, dict, set, bytearray, deque, Counter, defaultdict)
"""The collections that can be changed in place."""

CHANGES = frozenset(
    {
        "add",
        "append",
        "appendleft",
        "clear",
        "difference_update",
        "discard",
        "extend",
        "insert",
        "pop",
        "popitem",
        "popleft",
        "remove",
        "reverse",
        "setdefault",
        "sort",
        "subtract",
        "update",
    }
)
"""The methods that change a collection in place."""


def requested_effects(guard: Method) -> Iterator[str]:
    """Yield the effects that a guard requests, such as ``turn.reply``.

    Args:
        guard: The guard's syntax tree.
    """
    turn = argument(guard, TURN)
    if turn is None or _is_bound_anew(guard, turn):
        return
    for node in ast.walk(guard):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)):
                if name == turn and method in WRITES:
                    yield f"{turn}.{method}"


def changed_fields(handler: Method, given: type) -> Iterator[str]:
    """Yield the fields of a state's data that a handler changes in place, such as ``order.lines``.

    Args:
        handler: The handler's syntax tree.
        given: The class of the data that the handler gets as an argument.
    """
    data = argument(handler, DATA)
    if data is None or not has(given) or _is_bound_anew(handler, data):
        return
    collections = {
        attribute.name
        for attribute in fields(given)
        if (get_origin(attribute.type) or attribute.type) in COLLECTIONS
    }
    for node in ast.walk(handler):
        for target in _changed(node):
            match target:
                case ast.Attribute(
                    value=ast.Name(id=name), attr=field, ctx=ast.Store() | ast.Del()
                ):
                    is_changed = name == data
                case ast.Attribute(value=ast.Name(id=name), attr=field):
                    is_changed = name == data and field in collections
                case _:
                    continue
            if is_changed:
                yield f"{data}.{field}"


def _changed(node: ast.AST) -> Iterator[ast.expr]:
    match node:
        case ast.Attribute(ctx=ast.Store() | ast.Del()):
            yield node
        case ast.Subscript(value=value, ctx=ast.Store() | ast.Del()):
            yield value
        case ast.Call(func=ast.Attribute(value=value, attr=method)) if method in CHANGES:
            yield value


def _is_bound_anew(method: Method, name: str) -> bool:
    """Whether the method assigns the name again, so that the name may refer to a copy."""
    return any(
        (isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Load))
        or (isinstance(node, ast.arg) and node.arg == name and node not in _all(method.args))
        for node in ast.walk(method)
    )


def _all(arguments: ast.arguments) -> list[ast.arg]:
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
