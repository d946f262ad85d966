"""Finds the signals that a flow's methods trigger, in the methods' source code."""

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
    """A signal that a method triggers, or that the answer to a question of the method triggers.

    Args:
        method: The method's name.
        signal: The signal's class; for a ``Reset``, the class of the flow that is reset.
    """

    method: str
    signal: type


def refuse_unanswered_signals(flows: Iterable[type[Flow]], running: Iterable[type[Flow]]) -> None:
    """Raise if the source of a flow triggers a signal that no running flow answers.

    Args:
        flows: The flows to check.
        running: All running flows.

    Raises:
        UnansweredSignal: A flow triggers such a signal. The error is about the first one, and names
            the flow's class and the method.
    """
    for _flow, _named, error in _unanswered_errors(flows, running):
        raise error


def unanswered_signals(
    flows: Iterable[type[Flow]], known: Iterable[type[Flow]], *, are_all: bool
) -> Iterator[tuple[type[Flow], Finding]]:
    """Yield a finding for each triggered signal that no flow answers, with the triggering flow.

    Args:
        flows: The flows to check.
        known: The flows that may answer the signals.
        are_all: Whether ``known`` has every flow that runs. If not, a signal that any imported flow
            class answers is accepted, and a signal that none answers is only a warning.
    """
    for flow, named, error in _unanswered_errors(flows, known):
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


def _unanswered_errors(
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
    """Return the signals that the flow's own methods trigger, according to their source code.

    Signals of questions (``turn.confirm``) are included. Only signals that are created in the call
    are found: ``turn.trigger(HandOver(bob))``.
    """
    return tuple(named for reading in _readings(flow) for named in reading.named())


@frozen
class _Reading:
    """Reads the source of one method.

    Args:
        flow: The flow that has the method.
        method: The method's syntax tree.
        turns: The names of the method's arguments that are turns.
        scope: The values of the names that the method can use: global names, and those of enclosing
            functions. None for each of the method's own names.
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
        """Return the value that a name, or an attribute of a class or module, refers to.

        None if the expression is of another form, or its value is not known.
        """
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
    """Return the values of the names that a function can use, from outside it.

    None for each of the function's own names.
    """
    own = dict.fromkeys(function.__code__.co_varnames)
    try:
        around = dict(inspect.getclosurevars(function).nonlocals)
    except ValueError:  # one of them is not bound yet
        around = dict.fromkeys(function.__code__.co_freevars)
    return ChainMap(own, around, function.__globals__)


def _turns(method: Method, *, is_handler: bool) -> Iterator[str]:
    """Yield the names of the method's arguments that are turns.

    Args:
        method: The method's syntax tree.
        is_handler: Whether the method handles events: its first argument after ``self`` is then a
            turn.
    """
    arguments = method.args
    for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        said = ast.unparse(each.annotation) if each.annotation is not None else each.arg
        if said.strip("'\"") in ("turn", "Turn"):
            yield each.arg
    turn = argument(method, TURN)
    if is_handler and turn is not None:
        yield turn


def _given(call: ast.Call, name: str, place: int | None = None) -> ast.expr | None:
    """Return the argument of a call with this name or position.

    Args:
        call: The call.
        name: The argument's name.
        place: The argument's position, from 0; None if it can only be given by name.

    Returns:
        The argument's expression; None if the call does not have the argument.
    """
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    return call.args[place] if place is not None and len(call.args) > place else None
