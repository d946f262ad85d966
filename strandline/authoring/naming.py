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
    """A signal that a method has its turn trigger or ask about.

    Args:
        method: The method's name.
        signal: The signal's class; for a reset, the flow's.
    """

    method: str
    signal: type


def refuse_misnamed(flows: Iterable[type[Flow]], running: Iterable[type[Flow]]) -> None:
    """Refuse flows whose source triggers a signal that none of the running flows answers.

    Args:
        flows: The flows that are looked at.
        running: All that run.

    Raises:
        UnansweredSignal: The first one, with the flow's class and method.
    """
    for _flow, _named, error in _misnamed(flows, running):
        raise error


def misnamed(
    flows: Iterable[type[Flow]], known: Iterable[type[Flow]], *, are_all: bool
) -> Iterator[tuple[type[Flow], Finding]]:
    """The same as findings, each with its flow.

    Args:
        flows: The flows that are looked at.
        known: The flows that may run.
        are_all: No other flow runs. Else others may: a signal that another flow answers is taken to
            be answered, and one that no flow answers is only a warning.
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
    """The signals that the flow's own methods trigger, as far as their source tells.

    That is each that is made where it is triggered: ``turn.trigger(HandOver(bob))``.
    """
    return tuple(named for reading in _readings(flow) for named in reading.named())


@frozen
class _Reading:
    """One method.

    Args:
        flow: Its flow.
        method: Its source.
        turns: The names of its arguments that are turns.
        scope: What the names mean that are not its own; None for those that are.
    """

    flow: type[Flow]
    method: Method
    turns: frozenset[str]
    scope: Mapping[str, Any]

    def named(self) -> Iterator[Named]:
        """The signals that it triggers, in no particular order."""
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
        """What an expression means, if it leads to a class or a module; else None."""
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
    """What the names in a function mean; None for its own."""
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
    """What a call is given by name, or at a place; None if that can't be told."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    return call.args[place] if place is not None and len(call.args) > place else None
