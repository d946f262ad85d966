"""The failpoints that the code has, read from its source."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
FOLDERS = ("fsm", "durable", "ephemeral", "matrix", "strandline")


def calls() -> Iterator[tuple[str, str | None]]:
    """Each call of ``reach``: where it is, and its name, or None if that is no literal."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and _is_reach(node.func):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", _literal(node)


@cache
def names() -> tuple[str, ...]:
    return tuple(sorted({name for _, name in calls() if name is not None}))


def _is_reach(function: ast.expr) -> bool:
    match function:
        case ast.Name(id="reach") | ast.Attribute(attr="reach"):
            return True
    return False


def _literal(call: ast.Call) -> str | None:
    match call:
        case ast.Call(args=[ast.Constant(value=str(name))], keywords=[]):
            return name
    return None
