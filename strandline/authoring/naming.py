"""The events that a flow's methods name, read from their source, and those that no flow has."""

import ast
import inspect
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from types import FunctionType, ModuleType
from typing import Any

from attrs import frozen

from fsm import Event, Flow, NoSuchEvent
from fsm.checks.findings import Finding, Severity
from fsm.checks.naming import unknown
from strandline.authoring.sources import Method, Sources, argument
from strandline.authoring.writing import TURN


@frozen
class Named:
    """An event that a method has its turn trigger or ask about.

    Args:
        method: The method's name.
        flow: The name of the flow that is meant.
        event: The name of the event or signal that is meant.
        owner: The class of that flow, if the method names it.
    """

    method: str
    flow: str
    event: str
    owner: type[Flow] | None = None


def refuse_misnamed(flows: Iterable[type[Flow]], running: Iterable[type[Flow]]) -> None:
    """Refuse flows whose source names an event that none of the running flows has.

    Args:
        flows: The flows that are looked at.
        running: All that run.

    Raises:
        NoSuchEvent: The first one, with the flow's class and method.
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
        are_all: No other flow runs. Else others may: what is named by its class is taken to run,
            and a name that nobody knows is only a warning.
    """
    for flow, named, error in _misnamed(flows, known):
        if error.is_running or are_all:
            severity = Severity.ERROR
        elif named.owner is None:
            severity = Severity.WARNING
        else:
            continue
        finding = Finding(
            code="SL303" if error.is_running else "SL304",
            flow=flow.__name__,
            where=named.method,
            problem=error.problem,
            remedy=error.remedy,
            severity=severity,
        )
        yield flow, finding


def _misnamed(
    flows: Iterable[type[Flow]], running: Iterable[type[Flow]]
) -> Iterator[tuple[type[Flow], Named, NoSuchEvent]]:
    by_name = {flow.name: flow for flow in running}
    for flow in flows:
        for named in named_in(flow):
            asker = f"{flow.__name__}.{named.method}"
            error = unknown(named.flow, named.event, asker=asker, running=by_name)
            if error is not None:
                yield flow, named, error


@lru_cache(maxsize=256)
def named_in(flow: type[Flow]) -> tuple[Named, ...]:
    """The events that the flow's own methods name, as far as their source tells.

    What is put together when the turn is taken is left out.
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
        """The events that it names, in no particular order."""
        for node in ast.walk(self.method):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=turn), attr=verb)):
                    if turn in self.turns:
                        yield from self._asked(verb, node)

    def _asked(self, verb: str, call: ast.Call) -> Iterator[Named]:
        match verb:
            case "signal":
                flow = self._value(_given(call, "flow", 0))
                event = self._value(_given(call, "event", 1))
                if isinstance(flow, str) and isinstance(event, str):
                    yield Named(self.method.name, flow, event)
            case "trigger":
                yield from self._event(_given(call, "event", 0))
            case "confirm":
                yield from self._event(_given(call, "then"))
                yield from self._event(_given(call, "otherwise"))

    def _event(self, said: ast.expr | None) -> Iterator[Named]:
        match self._value(said):
            case Event(flow=flow, name=name) if flow is not None:
                yield Named(self.method.name, flow.name, name, flow)
            case Named() as missing:
                yield missing

    def _value(self, said: ast.expr | None) -> Any:
        """What an expression means, if it is a literal or leads to a class; else None."""
        match said:
            case ast.Constant(value=value):
                return value
            case ast.Name(id="self"):
                return self.flow
            case ast.Name(id=name):
                return self.scope.get(name)
            case ast.Attribute(value=inner, attr=name):
                return self._attribute(self._value(inner), inner, name)
        return None

    def _attribute(self, owner: Any, said: ast.expr, name: str) -> Any:
        """The same for an attribute; an event by its name, if a flow's class does not have it."""
        if not isinstance(owner, type | ModuleType):
            return None
        is_instance = isinstance(said, ast.Name) and said.id == "self"  # it may have more
        if isinstance(owner, type) and issubclass(owner, Flow) and not is_instance:
            return getattr(owner, name, Named(self.method.name, owner.name, name, owner))
        return getattr(owner, name, None)


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
