"""Events: what moves a flow from one state to another, and the stimuli that cause them."""

import re
from collections.abc import Callable, Collection, Iterable
from enum import Enum
from typing import Any, TypeVar

from attrs import define, field, frozen, has

from fsm.errors import FlowError, TurnError
from fsm.states import State
from fsm.values.inbound import EventKind
from fsm.values.messages import QuestionRef, Triggered
from fsm.values.text import answered, compared


class Target(Enum):
    """A target that is not a fixed state: ``STAY`` or ``BACK``."""

    STAY = "="
    BACK = "<"


STAY = Target.STAY
"""The event is answered without leaving the state."""

BACK = Target.BACK
"""The event leads to the state from which the current state was entered, with its data."""

ANY = "*"
"""Every command that no earlier event of the flow and no earlier flow answers."""


@frozen
class Command:
    """A person typed a command: ``!name argument``.

    Args:
        name: Its name, normalized as by ``compared``.
        argument: The text after the name.
        is_loose: There was a blank after the prefix. It is a command only if a flow has a command
            of that name; otherwise it is a text.
    """

    name: str
    argument: str = ""
    is_loose: bool = field(default=False, eq=False)


@frozen
class Text:
    """A person wrote a text that is not a command."""

    body: str


@frozen
class Attached:
    """A person sent a file, with or without a caption."""


@frozen
class RoomEvent:
    """An inbound event that is not a message: an invite, a join, an unreadable event."""

    kind: EventKind


@frozen
class Reaction:
    """A person reacted with an emoji to a question that the bot asked them."""

    key: str
    question_ref: QuestionRef


@frozen
class Answer:
    """A person replied to a question that the bot asked them, with a text that is not a command."""

    body: str
    question_ref: QuestionRef


@frozen
class Expiry:
    """The current state of the conversation has expired."""


Stimulus = Command | Text | Attached | RoomEvent | Reaction | Answer | Expiry | Triggered

Guard = Callable[[Any, Any], bool]
"""A method of the flow that returns whether the event applies. It must change nothing."""

G = TypeVar("G", bound=Guard)

Handler = Callable[..., Any]


def _name_of(method: object) -> str:
    return getattr(method, "__name__", repr(method))


def _names(command: str | Iterable[str]) -> tuple[str, ...]:
    return (command,) if isinstance(command, str) else tuple(command)


def _states(sources: Any) -> tuple[State, ...]:
    named: tuple[Any, ...] = (sources,) if isinstance(sources, State | str) else tuple(sources)
    for state in named:
        if not isinstance(state, State):
            problem = f"an event leads from a state, and {state!r} is none"
            raise FlowError("Event", "sources", problem, "name the state itself, without quotes")
    return named


def _target(target: Any) -> State | Target:
    if not isinstance(target, State | Target):
        problem = f"an event leads to a state or to STAY, and {target!r} is neither"
        raise FlowError("Event", "target", problem, "name the state itself, without quotes")
    checked: State | Target = target
    return checked


@define(eq=False)
class Event:
    """One event of a flow, declared in the flow's class body.

    Args:
        sources: The state or states in which the event is possible.
        target: The next state. ``STAY``: no change. ``BACK``: the durable or idle state from which
            its source was entered, with the record of that time.
        command: The name or names of commands that cause it, without the prefix; ``ANY`` for every
            command that no earlier event or flow answers.
        text: A message that is not a command causes it. A regular expression, as a string or
            compiled, must match the whole message without blanks at its ends; ``turn.match`` is
            then the match. A string is compiled with ``re.DOTALL``.
        attachment: A file causes it, with or without a caption.
        reaction: The emoji that cause it, as reactions to a question that this flow asked the same
            person.
        reply: The texts that cause it as replies to such a question, in any case and with or
            without punctuation around them; ``ANY`` for every text.
        on: An inbound event of this kind, which is not a message, causes it; or a signal of this
            class (a frozen attrs class), which a handler has triggered with ``turn.trigger``.
        on_expiry: The expiry of its source state causes it.
        help: A short description of its commands for ``!help``; commands without one are not
            listed.
        arguments: The arguments shown in ``!help``: ``NAME``.
    """

    sources: tuple[State, ...] = field(converter=_states)
    target: State | Target = field(converter=_target)
    command: tuple[str, ...] = field(default=(), kw_only=True, converter=_names)
    text: bool | str | re.Pattern[str] = field(default=False, kw_only=True)
    attachment: bool = field(default=False, kw_only=True)
    reaction: tuple[str, ...] = field(default=(), kw_only=True, converter=_names)
    reply: tuple[str, ...] = field(default=(), kw_only=True, converter=_names)
    on: EventKind | type | None = field(default=None, kw_only=True)
    on_expiry: bool = field(default=False, kw_only=True)
    help: str = field(default="", kw_only=True)
    arguments: str = field(default="", kw_only=True)
    name: str = field(default="", init=False)
    flow: Any = field(default=None, init=False, repr=False)
    """The flow class in whose body it is declared."""
    condition: Guard | None = field(default=None, init=False)
    """Its guard, if it has one."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.flow = owner

    def guard(self, method: G) -> G:
        """Make the decorated method the event's guard.

        It takes ``(self, turn)``, reads the turn and changes nothing. Where it returns False, the
        next event is tried. One method may guard several events.

        Raises:
            FlowError: The event already has a guard, or its class is already defined.
        """
        if self.flow is not None:
            problem = "its class is complete, so it can't be given a guard"
            remedy = "guard an event in the body of its own class"
            raise FlowError(self.flow.__name__, self.name, problem, remedy)
        if self.condition is not None:
            problem = f"it has two guards, {_name_of(self.condition)} and {_name_of(method)}"
            raise FlowError("Event", "guard", problem, "write one method that calls both")
        self.condition = method
        return method

    @property
    def signal(self) -> type | None:
        """The signal class that causes it, if there is one."""
        return self.on if isinstance(self.on, type) else None

    @property
    def kind(self) -> EventKind | None:
        """The kind of inbound event that causes it, if there is one."""
        return self.on if isinstance(self.on, EventKind) else None

    def answers(self, stimulus: Stimulus) -> bool:
        """Whether the stimulus matches one of the event's causes, such as a command.

        The conversation's state and the event's guard are not checked.
        """
        match stimulus:
            case Command(name=name, is_loose=is_loose):
                takes_any = ANY in self.command and not is_loose
                answers = takes_any or name in map(compared, self.command)
            case Text():
                answers = self.text is True or self.match(stimulus) is not None
            case Attached():
                answers = self.attachment
            case RoomEvent(kind=kind):
                answers = self.on is kind
            case Reaction(key=key):
                answers = compared(key) in map(compared, self.reaction)
            case Answer(body=body):
                answers = ANY in self.reply or answered(body) in map(answered, self.reply)
            case Expiry():
                answers = self.on_expiry
            case Triggered(signal=signal):
                answers = type(signal) is self.on
        return answers

    def match(self, stimulus: Stimulus) -> re.Match[str] | None:
        """The match of the event's regular expression in a text; None if there is none."""
        if self.pattern is None or not isinstance(stimulus, Text):
            return None
        return self.pattern.fullmatch(stimulus.body.strip())

    @property
    def pattern(self) -> re.Pattern[str] | None:
        """The event's regular expression, compiled; None if it has none.

        Raises:
            re.error: The regular expression is invalid.
        """
        match self.text:
            case str(expression):
                return re.compile(expression, re.DOTALL)
            case re.Pattern() as compiled:
                return compiled
            case _:
                return None

    @property
    def text_label(self) -> str:
        """The event's regular expression as written in the source; empty if it has none."""
        pattern = self.text.pattern if isinstance(self.text, re.Pattern) else self.text
        return pattern if isinstance(pattern, str) else ""


def triggered(signal: object) -> Triggered:
    """Wrap a signal so that it can be triggered.

    Raises:
        TurnError: It is not an instance of a frozen class.
    """
    if isinstance(signal, Event):
        problem = f"{signal.name!r} is an event"
        raise TurnError(
            problem, "trigger a value of the class that it names: Event(…, on=HandOver)"
        )
    if isinstance(signal, type):
        problem = f"{signal.__name__} is a class"
        raise TurnError(problem, f"trigger a value of it: {signal.__name__}(…)")
    if not has(type(signal)):
        problem = f"{signal!r} is no signal"
        raise TurnError(problem, "trigger a value of a frozen class that an event names as on=")
    return Triggered(signal)


def returning(events: Iterable[Event]) -> frozenset[State]:
    """The states from which one of the events leads ``BACK``."""
    return frozenset(s for event in events if event.target is BACK for s in event.sources)


def origins(events: Collection[Event], state: State) -> list[State]:
    """The states to which ``BACK`` may lead from ``state``, in the order in which they are found.

    A state that has a ``BACK`` event itself is not among them: the search goes on from its own
    origins.
    """
    passing = returning(events)
    found: dict[State, None] = {}
    seen, ahead = {state}, [state]
    while ahead:
        present = ahead.pop(0)
        for source in (s for event in events if event.target is present for s in event.sources):
            if source not in passing:
                found[source] = None
            elif source not in seen:
                seen.add(source)
                ahead.append(source)
    return list(found)


def targets_from(events: Collection[Event], event: Event, source: State) -> list[State]:
    """The states to which the event may lead from ``source``: several only for ``BACK``."""
    match event.target:
        case Target.STAY:
            return [source]
        case Target.BACK:
            return origins(events, source)
        case state:
            return [state]


H = TypeVar("H", bound=Handler)


@frozen
class HandlerMark:
    """Set on a method by ``on``, read when the class is defined."""

    events: tuple[Event, ...]


def on(*events: Event) -> Callable[[H], H]:
    """Make the decorated method the handler of ``events``.

    It takes ``(self, turn)``, or ``(self, turn, data)`` if it needs the data of the state that is
    left: a record, a memory or None. Its return value is the data of the new state; None keeps the
    old data, if both states carry the same class. It may be ``async``.

    Raises:
        FlowError: An argument is not an event.
    """
    strange = [event for event in events if not isinstance(event, Event)]
    if strange or not events:
        named = getattr(strange[0], "__name__", repr(strange[0])) if strange else "nothing"
        raise FlowError("@on", named, "it is no event", "write @on(event) above the handler")

    def mark(handler: H) -> H:
        earlier: HandlerMark = getattr(handler, "handles", HandlerMark(()))
        handler.handles = HandlerMark((*earlier.events, *events))  # type: ignore[attr-defined]
        return handler

    return mark
