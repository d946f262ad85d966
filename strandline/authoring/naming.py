"""The signals that a flow's methods trigger, read from their source."""

import ast
import inspect
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from types import FunctionType, ModuleType
from typing import Any

from attrs import frozen, has

from fsm import Flow, Reset, UnansweredSignal
from fsm.checks.findings import Finding, Severity
from fsm.checks.naming import unanswered
from strandline.authoring.sources import Method, Sources, argument
from strandline.authoring.writing import TURN


@frozen
class Named:
    """A signal that a method triggers or asks a question about.

    Args:
        method: The method's name.
        signal: The signal's class; for a reset, the flow's.
    """

    method: str
    signal: type


def refuse_misnamed(flows: Iterable[type[Flow]], running: Iterable[type[Flow]]) -> None:
    """Raise if the source of a flow triggers a signal that no running flow answers.

    Args:
        flows: The flows to check.
        running: All running flows.

    Raises:
        UnansweredSignal: For the first such signal, with the flow's class and method.
    """
    for _flow, _named, error in _misnamed(flows, running):
        raise error


def misnamed(
    flows: Iterable[type[Flow]], known: Iterable[type[Flow]], *, are_all: bool
) -> Iterator[tuple[type[Flow], Finding]]:
    """Find signals that no flow answers, each with its flow.

    Args:
        flows: The flows to check.
        known: The flows that may run.
        are_all: Whether no other flow runs. If others may run, a signal that any known flow answers
            is accepted, and one that none answers is only a warning.
    """
    for flow, named, error in _misnamed(flows, known):
        if error.elsewhere and not are_all:
            continue
        yield (
            flow,
            Finding(
                code="SL304" if error.elsewhere else "SL303",
                flow=flow.__name__,
                where=named.method,
                problem=error.problem,
                remedy=error.remedy,
                severity=Severity.ERROR if are_all else Severity.WARNING,
            ),
        )


def _misnamed(
    flows: Iterable[type[Flow]], running: Iterable[type[Flow]]
) -> Iterator[tuple[type[Flow], Named, UnansweredSignal]]:
    by_name = {flow.name: flow for flow in running}
    answered = {signal for flow in by_name.values() for signal in (flow, *flow.signals())}
    for flow in flows:
        for named in named_in(flow):
            if named.signal not in answered:
                asker = f"{flow.__name__}.{named.method}"
                yield flow, named, unanswered(named.signal, asker=asker, running=by_name)


@lru_cache(maxsize=256)
def named_in(flow: type[Flow]) -> tuple[Named, ...]:
    """The signals that the flow's own methods trigger, according to their source.

    Only signals that are created in the call are found: ``turn.trigger(HandOver(bob))``.
    """
    return tuple(named for reading in _readings(flow) for named in reading.named())


@frozen
class _Reading:
    """Reads the source of one method.

    Args:
        flow: Its flow.
        method: Its source.
        turns: The names of its arguments that are turns.
        scope: The values of names from outside the method; None for its own names.
    """

    flow: type[Flow]
    method: Method
    turns: frozenset[str]
    scope: Mapping[str, Any]

    def named(self) -> Iterator[Named]:
        """The signals that the method triggers, in no particular order."""
        for node in ast.walk(self.method):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=turn), attr=verb)):
                    if turn in self.turns:
                        yield from self._asked(verb, node)

    def _asked(self, verb: str, call: ast.Call) -> Iterator[Named]:
        match verb:
            case "trigger":
                yield from self._signal(_given(call, "signal", 0))
            case "confirm":
                yield from self._signal(_given(call, "then"))
                yield from self._signal(_given(call, "otherwise"))

    def _signal(self, said: ast.expr | None) -> Iterator[Named]:
        if not isinstance(said, ast.Call):
            return
        made = self._value(said.func)
        if made is Reset:
            made = self._value(_given(said, "flow", 0))
            if isinstance(made, type) and issubclass(made, Flow):
                yield Named(self.method.name, made)
        elif isinstance(made, type) and has(made):
            yield Named(self.method.name, made)

    def _value(self, said: ast.expr | None) -> Any:
        """The class or module that an expression refers to; else None."""
        match said:
            case ast.Name(id=name):
                return self.scope.get(name)
            case ast.Attribute(value=inner, attr=name):
                owner = self._value(inner)
                return getattr(owner, name, None) if isinstance(owner, type | ModuleType) else None
        return None


def _readings(flow: type[Flow]) -> Iterator[_Reading]:
    sources = Sources()
    for name, function in vars(flow).items():
        if not isinstance(function, FunctionType):
            continue
        method, written = sources.method(flow, name), inspect.unwrap(function)
        if method is not None and written.__code__.co_name == name:
            turns = frozenset(_turns(method, is_handler=hasattr(function, "handles")))
            yield _Reading(flow, method, turns, _scope(written))


def _scope(function: Any) -> Mapping[str, Any]:
    """The values of the names in a function; None for its own names."""
    own = dict.fromkeys(function.__code__.co_varnames)
    try:
        around = dict(inspect.getclosurevars(function).nonlocals)
    except ValueError:  # one of them is not bound yet
        around = dict.fromkeys(function.__code__.co_freevars)
    return ChainMap(own, around, function.__globals__)


def _turns(method: Method, *, is_handler: bool) -> Iterator[str]:
    """The names of the arguments that are turns."""
    arguments = method.args
    for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        said = ast.unparse(each.annotation) if each.annotation is not None else each.arg
        if said.strip("'\"") in ("turn", "Turn"):
            yield each.arg
    turn = argument(method, TURN)
    if is_handler and turn is not None:
        yield turn


def _given(call: ast.Call, name: str, place: int | None = None) -> ast.expr | None:
    """The argument of a call with this name or position; None if that can't be determined."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    return call.args[place] if place is not None and len(call.args) > place else None
