"""Checks of a flow's methods: guards, handlers and upgrades."""

from collections.abc import Callable, Iterator
from inspect import (
    Parameter,
    isasyncgenfunction,
    iscoroutinefunction,
    isgeneratorfunction,
    signature,
)
from typing import Any

Method = Callable[..., Any]

Flaws = Iterator[tuple[str, str, str]]
"""Yields a tuple for each error: its code, the problem and the remedy."""


def guard_flaws(guard: Method) -> Flaws:
    """Yield an error for each thing that is wrong with a guard."""
    if not takes(guard, 2):
        yield (
            "SL125",
            "its guard can't be called with a flow and a turn",
            "write it as a method: def may(self, turn: Turn) -> bool",
        )
    if _is_deferred(guard):
        yield (
            "SL128",
            "its guard is async or yields, and what such a call gives always counts as a yes",
            "write it with def and return; read what it needs in a handler",
        )


def handler_flaws(handler: Method) -> Flaws:
    """Yield an error for each thing that is wrong with a handler."""
    if not takes(handler, 2) and not takes(handler, 3):
        yield (
            "SL127",
            "a handler takes the turn, or the turn and the data of the state that is left",
            f"write def {handler.__name__}(self, turn: Turn), or (self, turn: Turn, data: …)",
        )
    if isgeneratorfunction(handler) or isasyncgenfunction(handler):
        yield (
            "SL129",
            "a handler that yields is never run",
            "return what the new state carries",
        )


def upgrade_flaws(upgrade: Method) -> Flaws:
    """Yield an error if a method under ``@upgrade`` is wrong."""
    if not takes(upgrade, 2) or _is_deferred(upgrade):
        yield (
            "SL143",
            "an upgrade is called with what was saved, and returns what is saved now",
            f"write def {upgrade.__name__}(self, saved: Saved) -> Saved",
        )


def _is_deferred(method: Method) -> bool:
    """Whether a call only creates a coroutine or generator, and does not run the method."""
    kinds = (iscoroutinefunction, isgeneratorfunction, isasyncgenfunction)
    return any(is_kind(method) for is_kind in kinds)


def takes(method: Method, count: int) -> bool:
    """Whether ``method`` can be called with ``count`` positional arguments, ``self`` included.

    True if the parameters of the method can't be determined.
    """
    try:
        parameters = signature(method).parameters.values()
    except (TypeError, ValueError):  # built in, or something callable that does not say
        return True
    positional = [
        parameter
        for parameter in parameters
        if parameter.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    ]
    needed = [parameter for parameter in positional if parameter.default is Parameter.empty]
    takes_more = any(parameter.kind is Parameter.VAR_POSITIONAL for parameter in parameters)
    needs_named = any(
        parameter.kind is Parameter.KEYWORD_ONLY and parameter.default is Parameter.empty
        for parameter in parameters
    )
    return not needs_named and len(needed) <= count and (takes_more or len(positional) >= count)
